# SPDX-License-Identifier: MIT
# libyaml >= 0.2 as yaml::yaml: by header and library, since its CMake files are not packaged everywhere. An archive
# is taken if it can become part of a shared library: some systems' is not position-independent.
include(TidegateCache)
tidegate_prefixes(libyaml-0.2.5 TIDEGATE_LIBYAML_PREFIX)

find_package(PkgConfig QUIET)
if(PkgConfig_FOUND)
  pkg_check_modules(tidegate_yaml_pc QUIET yaml-0.1) # so called in 0.2 too
endif()
find_path(TIDEGATE_YAML_INCLUDE yaml.h HINTS ${tidegate_yaml_pc_INCLUDE_DIRS})
get_filename_component(tidegate_yaml_prefix "${TIDEGATE_YAML_INCLUDE}" DIRECTORY)
find_library(TIDEGATE_yaml NAMES libyaml.a yaml NAMES_PER_DIR
             HINTS ${tidegate_yaml_prefix} ${tidegate_yaml_pc_LIBRARY_DIRS} PATH_SUFFIXES lib lib64)
mark_as_advanced(TIDEGATE_YAML_INCLUDE TIDEGATE_yaml)

set(tidegate_yaml_library "${TIDEGATE_yaml}")
if(TIDEGATE_YAML_INCLUDE AND TIDEGATE_yaml MATCHES "\\.a$")
  string(MD5 tidegate_yaml_tried "${TIDEGATE_yaml}") # asked once for each archive
  set(tidegate_yaml_fits TIDEGATE_yaml_fits_${tidegate_yaml_tried})
  if(NOT DEFINED ${tidegate_yaml_fits})
    try_compile(${tidegate_yaml_fits} ${CMAKE_BINARY_DIR}/CMakeFiles/tidegate_yaml_try
                ${CMAKE_CURRENT_LIST_DIR}/yaml_try.c
                CMAKE_FLAGS "-DINCLUDE_DIRECTORIES=${TIDEGATE_YAML_INCLUDE}" "-DCMAKE_POSITION_INDEPENDENT_CODE=ON"
                LINK_OPTIONS -shared -Wl,-z,text -Wl,--exclude-libs,ALL
                LINK_LIBRARIES -Wl,--whole-archive "${TIDEGATE_yaml}" -Wl,--no-whole-archive)
  endif()
  if(NOT ${tidegate_yaml_fits})
    get_filename_component(tidegate_yaml_folder "${TIDEGATE_yaml}" DIRECTORY)
    find_library(TIDEGATE_yaml_beside_${tidegate_yaml_tried} NAMES libyaml${CMAKE_SHARED_LIBRARY_SUFFIX}
                 PATHS "${tidegate_yaml_folder}" NO_DEFAULT_PATH)
    mark_as_advanced(TIDEGATE_yaml_beside_${tidegate_yaml_tried})
    set(tidegate_yaml_library "${TIDEGATE_yaml_beside_${tidegate_yaml_tried}}")
  endif()
endif()
if(NOT TIDEGATE_YAML_INCLUDE OR NOT tidegate_yaml_library)
  message(FATAL_ERROR "tidegate needs libyaml 0.2 or newer (yaml.h, and libyaml as a shared library or as an archive "
                      "that can become part of one), and there is none. ${tidegate_help}")
endif()

# No header says the version; the library holds it as a string of its own.
file(STRINGS "${tidegate_yaml_library}" tidegate_yaml_version REGEX "^[0-9]+\\.[0-9]+\\.[0-9]+$" LIMIT_COUNT 1)
if(tidegate_yaml_version AND tidegate_yaml_version VERSION_LESS 0.2)
  message(FATAL_ERROR "tidegate needs libyaml 0.2 or newer; ${tidegate_yaml_library} is of ${tidegate_yaml_version}. "
                      "${tidegate_help}")
endif()
if(NOT tidegate_yaml_library MATCHES "\\.a$")
  list(APPEND tidegate_shared_only libyaml)
endif()
add_library(yaml::yaml UNKNOWN IMPORTED GLOBAL)
set_target_properties(yaml::yaml PROPERTIES IMPORTED_LOCATION "${tidegate_yaml_library}"
                      INTERFACE_INCLUDE_DIRECTORIES "${TIDEGATE_YAML_INCLUDE}")
