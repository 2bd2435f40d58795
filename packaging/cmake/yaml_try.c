/* SPDX-License-Identifier: MIT */
/* Linked as a shared library with an archive of libyaml, to see whether that can be
 * (TidegateYaml.cmake). */
#include <yaml.h>

int tidegate_try(yaml_parser_t* parser);
int tidegate_try(yaml_parser_t* parser) { return yaml_parser_initialize(parser); }
