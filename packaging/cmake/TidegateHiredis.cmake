# SPDX-License-Identifier: MIT
# hiredis >= 1.1 with SSL, as hiredis::hiredis and hiredis::hiredis_ssl: by header and library, since a package built
# by make has no CMake files and one built by CMake may have a shared target alone.
include(TidegateCache)
tidegate_prefixes(hiredis-1.2.0 TIDEGATE_HIREDIS_PREFIX)

find_package(PkgConfig QUIET)
if(PkgConfig_FOUND)
  pkg_check_modules(tidegate_hiredis_pc QUIET hiredis_ssl hiredis) # for a prefix that only PKG_CONFIG_PATH names
endif()
find_path(TIDEGATE_HIREDIS_INCLUDE hiredis/hiredis_ssl.h HINTS ${tidegate_hiredis_pc_INCLUDE_DIRS})
get_filename_component(tidegate_hiredis_prefix "${TIDEGATE_HIREDIS_INCLUDE}" DIRECTORY)
foreach(name hiredis hiredis_ssl)
  find_library(TIDEGATE_${name} NAMES lib${name}.a ${name} NAMES_PER_DIR
               HINTS ${tidegate_hiredis_prefix} ${tidegate_hiredis_pc_LIBRARY_DIRS} PATH_SUFFIXES lib lib64)
endforeach()
mark_as_advanced(TIDEGATE_HIREDIS_INCLUDE TIDEGATE_hiredis TIDEGATE_hiredis_ssl)
if(NOT TIDEGATE_HIREDIS_INCLUDE OR NOT TIDEGATE_hiredis OR NOT TIDEGATE_hiredis_ssl)
  message(FATAL_ERROR "tidegate needs hiredis 1.1 or newer with SSL (hiredis/hiredis_ssl.h, libhiredis, libhiredis_ssl), "
                      "and there is none. ${tidegate_help}")
endif()

file(STRINGS "${TIDEGATE_HIREDIS_INCLUDE}/hiredis/hiredis.h" tidegate_hiredis_version
     REGEX "^#define HIREDIS_(MAJOR|MINOR) ")
string(REGEX REPLACE "[^0-9]*([0-9]+)[^0-9]+([0-9]+).*" "\\1.\\2" tidegate_hiredis_version "${tidegate_hiredis_version}")
if(tidegate_hiredis_version VERSION_LESS 1.1)
  message(FATAL_ERROR "tidegate needs hiredis 1.1 or newer; ${TIDEGATE_HIREDIS_INCLUDE}/hiredis/hiredis.h is of "
                      "${tidegate_hiredis_version}. ${tidegate_help}")
endif()

if(NOT TIDEGATE_hiredis MATCHES "\\.a$" OR NOT TIDEGATE_hiredis_ssl MATCHES "\\.a$")
  list(APPEND tidegate_shared_only hiredis)
  if(OPENSSL_USE_STATIC_LIBS)
    message(FATAL_ERROR "${TIDEGATE_hiredis_ssl} is shared and brings the system's OpenSSL, where a static OpenSSL is "
                        "asked for (OPENSSL_USE_STATIC_LIBS): two of them in one process hand each other what is not "
                        "theirs. ${tidegate_help}")
  endif()
endif()
add_library(hiredis::hiredis UNKNOWN IMPORTED GLOBAL)
add_library(hiredis::hiredis_ssl UNKNOWN IMPORTED GLOBAL)
set_target_properties(hiredis::hiredis PROPERTIES IMPORTED_LOCATION "${TIDEGATE_hiredis}"
                      INTERFACE_INCLUDE_DIRECTORIES "${TIDEGATE_HIREDIS_INCLUDE}")
set_target_properties(hiredis::hiredis_ssl PROPERTIES IMPORTED_LOCATION "${TIDEGATE_hiredis_ssl}"
                      INTERFACE_LINK_LIBRARIES "hiredis::hiredis;OpenSSL::SSL;OpenSSL::Crypto")
