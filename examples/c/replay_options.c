/* SPDX-License-Identifier: MIT */
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replay.h"

static const char kHelp[] =
    "usage: replay [options] FILE\n"
    "\n"
    "How many requests of an access log (common or combined format; - is standard input) a rate\n"
    "limit would have let pass, on the log's own times, and whom it would have denied most.\n"
    "\n"
    "  --limit RATE      per caller, \"100/minute burst 20\", several with ; (default 100/minute)\n"
    "  --key WHAT        who a caller is: address (default), path, or user\n"
    "  --algorithm NAME  token_bucket (default), fixed_window, sliding_window, sliding_log\n"
    "  --store URL       redis://host and the like, in a namespace of its own (default memory://)\n"
    "  --top N           so many of the callers denied most (default 10)\n"
    "  --json            one JSON object instead of the table\n"
    "  --help, --version\n"
    "\n"
    "Exit status: 0, 1 where the store or the reading fails, 2 where the options make no sense.\n";

int fail(int status, const char* format, ...) {
  char text[1024];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof(text), format, arguments);
  va_end(arguments);
  for (char* at = text; *at != '\0'; at++) {
    if ((unsigned char)*at < ' ' || *at == 0x7f) *at = '?';
  }
  fflush(stdout);
  fprintf(stderr, "replay: %s\n", text);
  return status;
}

static int parse_key(replay_options* options, const char* text) {
  static const char* const kNames[] = {"address", "path", "user"};
  for (int i = 0; i < 3; i++) {
    if (strcmp(text, kNames[i]) != 0) continue;
    options->key = (replay_key)i;
    options->key_name = kNames[i];
    return 0;
  }
  return fail(EXIT_USAGE, "--key \"%s\": expected address, path or user", text);
}

static int parse_top(replay_options* options, const char* text) {
  char* end = NULL;
  const long long value = strtoll(text, &end, 10);
  if (text[0] < '0' || text[0] > '9' || *end != '\0' || value > 1000000) {
    return fail(EXIT_USAGE, "--top \"%s\": expected a number from 0 to 1000000", text);
  }
  options->top = value;
  return 0;
}

static int print_and_stop(const char* text) {
  fputs(text, stdout);
  return -1;
}

static const struct option kOptions[] = {
    {"limit", required_argument, NULL, 'l'},
    {"key", required_argument, NULL, 'k'},
    {"algorithm", required_argument, NULL, 'a'},
    {"store", required_argument, NULL, 's'},
    {"top", required_argument, NULL, 't'},
    {"json", no_argument, NULL, 'j'},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'v'},
    {NULL, 0, NULL, 0},
};

static int parse_one(replay_options* options, int option, const char* word) {
  switch (option) {
    case 'l':
      options->limit = optarg;
      return 0;
    case 'k':
      return parse_key(options, optarg);
    case 'a':
      options->algorithm = optarg;
      return 0;
    case 's':
      options->store = optarg;
      return 0;
    case 't':
      return parse_top(options, optarg);
    case 'j':
      options->json = 1;
      return 0;
    case 'h':
      return print_and_stop(kHelp);
    case 'v':
      return print_and_stop("replay " TG_VERSION "\n");
    case ':':
      return fail(EXIT_USAGE, "%s needs a value (--help)", word);
    default:
      return fail(EXIT_USAGE, "unknown option %s (--help)", word);
  }
}

int replay_options_parse(replay_options* options, int argc, char** argv) {
  *options = (replay_options){.limit = "100/minute",
                              .algorithm = "token_bucket",
                              .store = "memory://",
                              .key_name = "address",
                              .top = 10};
  for (;;) {
    const int word = optind;
    const int option = getopt_long(argc, argv, ":", kOptions, NULL);
    if (option == -1) break;
    const int answer = parse_one(options, option, argv[optind > word ? optind - 1 : word]);
    if (answer != 0) return answer;
  }
  if (optind == argc) return fail(EXIT_USAGE, "which log? (--help)");
  if (optind + 1 < argc) {
    return fail(EXIT_USAGE, "one log at a time, not also \"%s\"", argv[optind + 1]);
  }
  options->file = argv[optind];
  return 0;
}
