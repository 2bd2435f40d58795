/* SPDX-License-Identifier: MIT */
#include <string.h>
#include <yaml.h>

/* The number of scalars in a document, or -1 where it is none. */
int scalars_in(const char* text) {
  yaml_parser_t parser;
  yaml_event_t event;
  int count = 0;
  int ended = 0;
  if (!yaml_parser_initialize(&parser)) return -1;
  yaml_parser_set_input_string(&parser, (const unsigned char*)text, strlen(text));
  while (!ended && count >= 0) {
    if (!yaml_parser_parse(&parser, &event)) {
      count = -1;
      break;
    }
    count += event.type == YAML_SCALAR_EVENT;
    ended = event.type == YAML_STREAM_END_EVENT;
    yaml_event_delete(&event);
  }
  yaml_parser_delete(&parser);
  return count;
}
