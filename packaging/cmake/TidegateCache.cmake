# SPDX-License-Identifier: MIT
# Where packaging/setup puts what it builds, and what is said where a library is missing. An archive of a library is
# preferred: what is linked into our libraries stays inside. tidegate_shared_only names those without one that fits.
include_guard()
set(tidegate_cache "$ENV{TIDEGATE_CACHE}")
if(NOT tidegate_cache)
  set(tidegate_cache "$ENV{XDG_CACHE_HOME}")
  if(NOT tidegate_cache)
    set(tidegate_cache "$ENV{HOME}/.cache")
  endif()
  string(APPEND tidegate_cache "/tidegate")
endif()
set(tidegate_shared_only "")

# tidegate_prefixes(NAME-VERSION VARIABLE): looked in before the system's folders. Sets tidegate_help.
macro(tidegate_prefixes name variable)
  list(APPEND CMAKE_PREFIX_PATH "$ENV{${variable}}" "${tidegate_cache}/${name}")
  string(CONCAT tidegate_help "packaging/setup (in a clone of tidegate) builds a fitting one, ${name} and static, into "
         "${tidegate_cache}. ${variable} names the prefix of another.")
endmacro()
