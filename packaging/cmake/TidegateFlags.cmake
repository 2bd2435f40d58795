# SPDX-License-Identifier: MIT
# What every target of ours is compiled with, and how a room of the core is declared.
add_library(tidegate_flags INTERFACE)
target_compile_options(tidegate_flags INTERFACE -Wall -Wextra -Wshadow
                       -Wno-missing-field-initializers
                       $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-fno-gnu-unique>)
if(TIDEGATE_WERROR)
  target_compile_options(tidegate_flags INTERFACE -Werror)
endif()
if(TIDEGATE_THREAD_SAFETY)
  target_compile_options(tidegate_flags INTERFACE -Wthread-safety -Werror=thread-safety)
endif()
if(TIDEGATE_SANITIZE)
  # Sanitizers' code hides from GCC what is initialised, inside the standard library above all.
  add_compile_options($<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
  add_compile_options(-fsanitize=${TIDEGATE_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${TIDEGATE_SANITIZE})
endif()
if(TIDEGATE_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

# tidegate_room(name DEPENDS targets...): a static library of the .cc files beside it, for the core only.
function(tidegate_room name)
  cmake_parse_arguments(ROOM "" "" "DEPENDS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  add_library(${name} STATIC ${sources})
  target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR}/core)
  target_link_libraries(${name} PUBLIC ${ROOM_DEPENDS} PRIVATE tidegate_flags)
endfunction()
