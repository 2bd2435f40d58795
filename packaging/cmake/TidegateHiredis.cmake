# SPDX-License-Identifier: MIT
# hiredis >= 1.1 with SSL: the prefix that packaging/setup built, or one that the system or CMAKE_PREFIX_PATH has.
set(tidegate_cache "$ENV{TIDEGATE_CACHE}")
if(NOT tidegate_cache)
  set(tidegate_cache "$ENV{XDG_CACHE_HOME}")
  if(NOT tidegate_cache)
    set(tidegate_cache "$ENV{HOME}/.cache")
  endif()
  string(APPEND tidegate_cache "/tidegate")
endif()
list(APPEND CMAKE_PREFIX_PATH "$ENV{TIDEGATE_HIREDIS_PREFIX}" "${tidegate_cache}/hiredis-1.2.0")
find_package(hiredis 1.1 CONFIG QUIET)
find_package(hiredis_ssl CONFIG QUIET)
if(NOT hiredis_FOUND OR NOT hiredis_ssl_FOUND)
  message(FATAL_ERROR "tidegate needs hiredis 1.1 or newer with SSL. Run packaging/setup, which builds it into "
                      "${tidegate_cache}, or set TIDEGATE_HIREDIS_PREFIX to where it is installed.")
endif()
