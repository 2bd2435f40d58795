/* SPDX-License-Identifier: MIT */
/* fork: the child is told, and works with what it opens itself; the parent is not disturbed. */
#define _GNU_SOURCE
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

static const char* url;

struct opened {
  tg_client* client;
  tg_ring* ring;
  uint64_t api;
};

static int decide(tg_client* client, uint64_t api) {
  tg_entry entry = entry_of(api, "k");
  tg_result result;
  return tg_call(client, &entry, 1, &result, 1) == 1 && result.status == TG_OK;
}

static int ring_decides(struct opened* on) {
  tg_entry entry = entry_of(on->api, "k");
  tg_result result;
  return tg_submit(on->ring, &entry, 1) == 1 && tg_ring_wait(on->ring, &result, 1, 5000000) == 1 &&
         result.status == TG_OK;
}

/* What the child checks; its exit status is the number of failures. */
static void child(struct opened* parents) {
  check_failures = 0;
  tg_entry entry = entry_of(parents->api, "k");
  tg_result result;
  tg_stats stats;
  tg_event event;
  tg_error error;
  uint64_t handle;
  tg_ring* ring;
  tg_limiter_spec spec = {.rates = TG_TEXT("5/s")};
  CHECK_INT(tg_call(parents->client, &entry, 1, &result, 1), TG_EFORK);
  CHECK_INT(tg_submit(parents->ring, &entry, 1), TG_EFORK);
  CHECK_INT(tg_reap(parents->ring, &result, 1), TG_EFORK);
  CHECK_INT(tg_ring_wait(parents->ring, &result, 1, 0), TG_EFORK);
  CHECK_INT(tg_ring_flush(parents->ring), TG_EFORK);
  CHECK_INT(tg_cancel(parents->ring, 0), TG_EFORK);
  CHECK_INT(tg_client_stats(parents->client, &stats), TG_EFORK);
  CHECK_INT(tg_client_next_event(parents->client, &event), TG_EFORK);
  CHECK_INT(tg_client_on_event(parents->client, NULL, NULL), TG_EFORK);
  CHECK_INT(tg_client_close(parents->client), TG_EFORK);
  CHECK_INT(tg_limiter_open(parents->client, &spec, &handle, &error), TG_EFORK);
  CHECK_INT(tg_limiter_change(parents->client, parents->api, &spec, &error), TG_EFORK);
  CHECK_INT(tg_limiter_close(parents->client, parents->api), TG_EFORK);
  CHECK_INT(tg_limiter_name(parents->client, parents->api, -1, NULL, 0), TG_EFORK);
  CHECK_INT(tg_ring_open(parents->client, 8, 0, &ring, &error), TG_EFORK);
  CHECK_INT(tg_is_fatal(TG_EFORK), 1);
  tg_ring_free(parents->ring);
  tg_client_free(parents->client);

  tg_client* own = open_client(url);
  const uint64_t api = open_limiter(own, "100000/hour", "fork");
  for (int i = 0; i < 100; ++i) CHECK(decide(own, api));
  tg_client_free(own);
  _exit(check_failures > 100 ? 100 : check_failures);
}

static void the_child_is_told_and_the_parent_goes_on(void) {
  struct opened on = {.client = open_client(url)};
  on.api = open_limiter(on.client, "100000/hour", "fork");
  CHECK_INT(tg_ring_open(on.client, 8, 0, &on.ring, NULL), TG_OK);
  CHECK(decide(on.client, on.api) && ring_decides(&on));
  for (int round = 0; round < 5; ++round) {
    fflush(NULL);
    const pid_t pid = fork();
    if (pid == 0) child(&on);
    for (int i = 0; i < 200; ++i) CHECK(decide(on.client, on.api) && ring_decides(&on));
    int status = -1;
    CHECK_INT(waitpid(pid, &status, 0), pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    for (int i = 0; i < 200; ++i) CHECK(decide(on.client, on.api) && ring_decides(&on));
  }
  tg_ring_free(on.ring);
  tg_client_free(on.client);
}

int main(void) {
  static const struct test tests[] = {
      {"the child is told and the parent goes on", the_child_is_told_and_the_parent_goes_on},
  };
  url = "memory://";
  int failed = run_tests(tests, sizeof tests / sizeof *tests);
  url = server_url();
  if (!url) {
    fprintf(stderr, "no server: set TIDEGATE_SERVERS, or run packaging/setup\n");
    return 1;
  }
  return run_tests(tests, sizeof tests / sizeof *tests) | failed;
}
