/* SPDX-License-Identifier: MIT */
/*
 * gate: a rate limit for shell scripts, and for whoever can send a line over TCP. Two of them with
 * the same store and limit share one budget.
 *
 *   echo user:42 | gate --store redis://localhost --limit 10/minute
 */
#include "gate.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char kHelp[] =
    "usage: gate [options]\n"
    "\n"
    "Reads lines \"KEY [COST]\" and answers each with a line like\n"
    "  allowed remaining=9 retry_after=0.000 source=store\n"
    "\n"
    "  --limit RATE        \"10/minute\", \"100/minute burst 20\" (default 10/minute)\n"
    "  --name NAME         the limiter's name (default: from its numbers)\n"
    "  --algorithm NAME    token_bucket (default), fixed_window, sliding_window, sliding_log\n"
    "  --policy FILE       instead of a limit: a policy; each line is what a request is, such as\n"
    "                      \"method=POST path=/report identity=k_1\"\n"
    "  --store URL         redis://host and the like (default $TIDEGATE_URL, or memory://)\n"
    "  --listen HOST:PORT  serve TCP connections instead of standard input; port 0: any\n"
    "  --help, --version\n";

typedef struct gate_options {
  const char *limit, *name, *algorithm, *store, *listen, *policy;
} gate_options;

static int complain(const char* text) {
  fprintf(stderr, "gate: %s\n", text);
  return 2;
}

/* 0, an exit status, or -1: help and version are done. */
static int parse_options(gate_options* options, int argc, char** argv) {
  static const struct option kOptions[] = {{"limit", required_argument, NULL, 0},
                                           {"name", required_argument, NULL, 1},
                                           {"algorithm", required_argument, NULL, 2},
                                           {"store", required_argument, NULL, 3},
                                           {"listen", required_argument, NULL, 4},
                                           {"policy", required_argument, NULL, 5},
                                           {"help", no_argument, NULL, 'h'},
                                           {"version", no_argument, NULL, 'v'},
                                           {NULL, 0, NULL, 0}};
  *options = (gate_options){.name = "", .algorithm = ""};
  const char** const values[] = {&options->limit, &options->name,   &options->algorithm,
                                 &options->store, &options->listen, &options->policy};
  for (int option; (option = getopt_long(argc, argv, ":", kOptions, NULL)) != -1;) {
    if (option == 'h') return fputs(kHelp, stdout) < 0 ? 1 : -1;
    if (option == 'v') return puts("gate " TG_VERSION) < 0 ? 1 : -1;
    if (option == '?') return complain("unknown option (--help)");
    if (option == ':') return complain("an option needs a value (--help)");
    *values[option] = optarg;
  }
  return optind < argc ? complain("keys are read from standard input (--help)") : 0;
}

static int open_gate(gate* self, const gate_options* options) {
  tg_error error;
  const size_t url_size = options->store != NULL ? strlen(options->store) : 0;
  if (tg_client_open(options->store, url_size, NULL, &self->client, &error) < 0) {
    return complain(error.message);
  }
  const char* const rates = options->limit != NULL ? options->limit : "10/minute";
  if (options->policy != NULL && options->limit != NULL) {
    return complain("--policy: expected no --limit beside it");
  }
  if (options->policy != NULL) { /* read again when it has changed */
    const tg_guard_spec spec = {.file = {options->policy, strlen(options->policy)}};
    const int is_open = tg_guard_open(self->client, &spec, &self->guard, &error) >= 0;
    return is_open ? 0 : complain(error.message);
  }
  const tg_limiter_spec spec = {
      .rates = {rates, strlen(rates)},
      .name = {options->name, strlen(options->name)},
      .algorithm = {options->algorithm, strlen(options->algorithm)},
  };
  if (tg_limiter_open(self->client, &spec, &self->limiter, &error) < 0) {
    return complain(error.message);
  }
  return 0;
}

/* A line that does not fit is refused as a whole: its pieces are no keys. */
static int skip_rest_of_line(const char* line) {
  if (strlen(line) < GATE_LINE - 1 || line[GATE_LINE - 2] == '\n') return 0;
  for (int c = getchar(); c != '\n' && c != EOF;) c = getchar();
  return 1;
}

static int serve_standard_input(const gate* self) {
  char line[GATE_LINE], answer[GATE_ANSWER];
  tg_entry entry;
  tg_result result;
  while (fgets(line, sizeof(line), stdin) != NULL) {
    if (skip_rest_of_line(line)) {
      snprintf(answer, sizeof(answer), "error the line is too long\n");
    } else if (gate_parse(self, line, strlen(line), &entry, answer)) {
      const int32_t count = tg_call(self->client, &entry, 1, &result, 1);
      if (count < 0) result = (tg_result){.status = count};
      gate_format(self, &result, answer);
    }
    if (fputs(answer, stdout) < 0 || fflush(stdout) != 0) return 1;
  }
  return 0;
}

int main(int argc, char** argv) {
  gate_options options;
  gate self = {0};
  int status = parse_options(&options, argc, argv);
  if (status < 0) return 0;
  if (status == 0) status = open_gate(&self, &options);
  if (status == 0) {
    status =
        options.listen != NULL ? gate_listen(&self, options.listen) : serve_standard_input(&self);
  }
  tg_client_free(self.client);
  return status;
}
