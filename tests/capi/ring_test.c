/* SPDX-License-Identifier: MIT */
/* Rings, embedded and on a real server: exactly one result per accepted request, and no wake-up
 * lost, whoever polls. */
#define _GNU_SOURCE
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "check.h"

#define ROUNDS 20000
#define MOST_OUT 64

static const char* url; /* of the store under test */

static tg_ring* open_ring(tg_client* client, int32_t capacity, uint32_t flags) {
  tg_ring* ring = NULL;
  tg_error error;
  if (tg_ring_open(client, capacity, flags, &ring, &error) == TG_OK) return ring;
  fprintf(stderr, "%s\n", error.message);
  abort();
}

static tg_client* open_store(const char* query) {
  char text[256];
  snprintf(text, sizeof text, "%s%c%s", url, strchr(url, '?') ? '&' : '?', query);
  return open_client(text);
}

/* Sleeps on the outer poller; a wake-up that does not come within 10 s was lost. */
static int sleep_on(int outer) {
  struct epoll_event event;
  const int got = epoll_wait(outer, &event, 1, 10000);
  if (got != 1) fprintf(stderr, "a wake-up was lost\n");
  return got == 1;
}

static int outer_poller(tg_ring* ring, uint32_t trigger) {
  const int outer = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event event = {.events = EPOLLIN | trigger};
  CHECK_INT(epoll_ctl(outer, EPOLL_CTL_ADD, (int)tg_ring_fd(ring), &event), 0);
  return outer;
}

struct run {
  const char* query;
  uint32_t flags, trigger;
  int32_t max; /* results a reap */
};

/* Keeps 1 to 64 requests out, and sleeps whenever a reap has brought less than it could. */
static void drive(struct run how) {
  tg_client* client = open_store(how.query);
  tg_ring* ring = open_ring(client, 256, how.flags);
  const uint64_t api = open_limiter(client, "1000000/hour", "api");
  const int outer = outer_poller(ring, how.trigger);
  static unsigned char seen[ROUNDS];
  tg_result results[MOST_OUT];
  char key[32];
  int sent = 0, done = 0, out = 0;
  memset(seen, 0, sizeof seen);
  while (done < ROUNDS) {
    const int target = 1 + sent / 7 % MOST_OUT;
    for (; out < target && sent < ROUNDS; ++sent, ++out) {
      snprintf(key, sizeof key, "u%d", sent % 500);
      tg_entry entry = entry_of(api, key);
      entry.user_data = (uint64_t)sent;
      if (tg_submit(ring, &entry, 1) != 1) break;
    }
    tg_ring_flush(ring);
    if (!sleep_on(outer)) break;
    int32_t n;
    do {
      n = tg_reap(ring, results, how.max);
      for (int32_t i = 0; i < n; ++i) {
        CHECK(results[i].user_data < ROUNDS && !seen[results[i].user_data]);
        seen[results[i].user_data] = 1;
        CHECK_INT(results[i].status, TG_OK);
      }
      out -= n;
      done += n;
      /* Edge-triggered hosts come back only if they are called again while the array comes back
         full; a leftover raises the descriptor anew, so that one who does not (max 1) is called
         too. */
    } while (n == how.max && how.max > 1);
  }
  CHECK_INT(done, ROUNDS);
  CHECK_INT(tg_reap(ring, results, MOST_OUT), 0);
  close(outer);
  tg_ring_free(ring);
  tg_client_free(client);
}

static void no_wake_up_is_lost_by_a_level_triggered_host(void) {
  drive((struct run){"spin_us=50", 0, 0, MOST_OUT});
  drive((struct run){"spin_us=50", TG_RING_LOCAL, 0, MOST_OUT});
}

static void no_wake_up_is_lost_by_an_edge_triggered_host(void) {
  drive((struct run){"spin_us=50", 0, EPOLLET, MOST_OUT});
  drive((struct run){"spin_us=50", TG_RING_LOCAL, EPOLLET, MOST_OUT});
}

static void no_wake_up_is_lost_when_the_socket_is_read_in_pieces(void) {
  drive((struct run){"testing=1&read_bytes=64", 0, EPOLLET, MOST_OUT});
  drive((struct run){"testing=1&read_bytes=64", TG_RING_LOCAL, EPOLLET, MOST_OUT});
}

static void what_does_not_fit_the_array_raises_the_descriptor_again(void) {
  drive((struct run){"spin_us=50", 0, EPOLLET, 1});
  drive((struct run){"spin_us=50", TG_RING_LOCAL, 0, 1});
}

struct submitter {
  tg_ring* ring;
  uint64_t api, base;
};

enum { kThreads = 4, kEach = 3000 };

static void* submit_many(void* argument) {
  struct submitter* me = argument;
  for (int i = 0; i < kEach;) {
    tg_entry entry = entry_of(me->api, "shared");
    entry.user_data = me->base + (uint64_t)i;
    const int32_t taken = tg_submit(me->ring, &entry, 1);
    if (taken == 1)
      ++i;
    else if (taken == 0)
      sched_yield(); /* full: the reaper is behind */
    else {
      fprintf(stderr, "submit: %d\n", taken);
      break;
    }
    if (i % 97 == 0) usleep(200); /* let the reaper fall asleep now and then */
  }
  return NULL;
}

static void submitters_on_other_threads_wake_the_reaper(void) {
  for (int edge = 0; edge < 2; ++edge) {
    tg_client* client = open_store("spin_us=50");
    tg_ring* ring = open_ring(client, 128, 0);
    const int outer = outer_poller(ring, edge ? EPOLLET : 0);
    const uint64_t api = open_limiter(client, "5000/day", "api");
    struct submitter submitters[kThreads];
    pthread_t threads[kThreads];
    for (int i = 0; i < kThreads; ++i) {
      submitters[i] = (struct submitter){ring, api, (uint64_t)i * kEach};
      pthread_create(&threads[i], NULL, submit_many, &submitters[i]);
    }
    static unsigned char seen[kThreads * kEach];
    memset(seen, 0, sizeof seen);
    tg_result results[32];
    int done = 0, allowed = 0;
    while (done < kThreads * kEach && sleep_on(outer)) {
      int32_t n;
      do {
        n = tg_reap(ring, results, 32);
        for (int32_t i = 0; i < n; ++i) {
          CHECK(!seen[results[i].user_data]);
          seen[results[i].user_data] = 1;
          allowed += (results[i].flags & TG_ALLOWED) != 0;
        }
        done += n;
      } while (n == 32);
    }
    for (int i = 0; i < kThreads; ++i) pthread_join(threads[i], NULL);
    CHECK_INT(done, kThreads * kEach);
    if (done != kThreads * kEach) fprintf(stderr, "edge %d done %d\n", edge, done);
    CHECK_INT(allowed,
              edge && strstr(url, "unix:") ? 0 : 5000); /* a server remembers the first round */
    close(outer);
    tg_ring_free(ring);
    tg_client_free(client);
  }
}

static void a_full_ring_takes_whole_requests_and_says_how_many(void) {
  tg_client* client = open_store("spin_us=50");
  tg_ring* ring = open_ring(client, 3, 0);
  const uint64_t api = open_limiter(client, "1000/hour", "full");
  tg_entry entries[8];
  tg_result results[8];
  for (int i = 0; i < 8; ++i) {
    entries[i] = entry_of(api, "k");
    entries[i].flags = i % 2 == 0 ? TG_LINK : 0; /* four requests of two parts */
  }
  CHECK_INT(tg_submit(ring, entries, 8), 6);
  CHECK_INT(tg_submit(ring, entries + 6, 2), 0);
  int done = 0;
  while (done < 3) {
    const int32_t n = tg_ring_wait(ring, results, 8, 5000000);
    CHECK(n > 0);
    if (n <= 0) break;
    done += n;
  }
  CHECK_INT(tg_reap(ring, results, 8), 0);
  CHECK_INT(tg_submit(ring, entries + 6, 2), 2);
  CHECK_INT(tg_ring_wait(ring, results, 8, 5000000), 1);
  CHECK_INT(results[0].part_count, 2);
  tg_ring_free(ring);
  tg_client_free(client);
}

static void errors_come_out_of_reap_too(void) {
  tg_client* client = open_store("spin_us=50");
  tg_ring* ring = open_ring(client, 8, 0);
  tg_entry entries[3] = {
      entry_of(12345, "k"), entry_of(open_limiter(client, "5/s", "api"), ""), {.op = TG_OP_PING}};
  tg_result results[8];
  for (uint64_t i = 0; i < 3; ++i) entries[i].user_data = i;
  CHECK_INT(tg_submit(ring, entries, 3), 3);
  int32_t status[3] = {1, 1, 1};
  for (int done = 0; done < 3;) {
    const int32_t n = tg_ring_wait(ring, results, 8, 5000000);
    CHECK(n > 0);
    if (n <= 0) break;
    for (int32_t i = 0; i < n; ++i) status[results[i].user_data] = results[i].status;
    done += n;
  }
  CHECK_INT(status[0], TG_EHANDLE);
  CHECK_INT(status[1], TG_EKEY);
  CHECK_INT(status[2], TG_OK);
  entries[0].flags = TG_LINK;
  CHECK_INT(tg_submit(ring, entries, 1), TG_EINVAL); /* a dangling link */
  CHECK_INT(tg_reap(ring, NULL, 1), TG_EINVAL);
  CHECK_INT(tg_reap(ring, results, -1), TG_EINVAL);
  CHECK_INT(tg_ring_wait(ring, results, 0, 0), TG_EINVAL);
  CHECK_INT(tg_ring_wait(ring, results, 1, 1000), 0);
  tg_ring* none = NULL;
  CHECK_INT(tg_ring_open_sized(client, 0, 0, &none, NULL, TG_LAYOUT), TG_EINVAL);
  CHECK_INT(tg_ring_open_sized(client, 8, 2, &none, NULL, TG_LAYOUT), TG_EINVAL);
  CHECK_INT(tg_cancel(NULL, 1), TG_EINVAL);
  tg_ring_free(ring);
  tg_client_free(client);
  tg_ring_free(NULL);
  tg_client_free(NULL);
}

static void a_cancelled_request_still_has_one_result(void) {
  tg_client* client = open_store("spin_us=50");
  tg_ring* ring = open_ring(client, 64, TG_RING_LOCAL);
  const uint64_t api = open_limiter(client, "100000/hour", "cancel");
  tg_result results[64];
  for (int round = 0; round < 300; ++round) {
    int seen[32] = {0}, canceled = 0, asked = 0, done = 0;
    for (uint64_t i = 0; i < 32; ++i) {
      tg_entry entry = entry_of(api, "k");
      entry.user_data = i;
      CHECK_INT(tg_submit(ring, &entry, 1), 1);
    }
    if (round % 2) tg_ring_flush(ring);
    for (uint64_t i = 0; i < 32; i += 3) asked += tg_cancel(ring, i);
    while (done < 32) {
      const int32_t n = tg_ring_wait(ring, results, 64, 5000000);
      CHECK(n > 0);
      if (n <= 0) break;
      for (int32_t i = 0; i < n; ++i) {
        ++seen[results[i].user_data];
        canceled += results[i].status == TG_ECANCELED;
      }
      done += n;
    }
    for (int i = 0; i < 32; ++i) CHECK_INT(seen[i], 1);
    CHECK(canceled <= asked);
  }
  tg_ring_free(ring);
  tg_client_free(client);
}

static void rings_are_told_of_close(void) {
  tg_client* client = open_store("spin_us=50");
  tg_ring* ring = open_ring(client, 64, 0);
  const uint64_t api = open_limiter(client, "100000/hour", "close");
  tg_result results[64];
  tg_entry entry = entry_of(api, "k");
  for (int i = 0; i < 32; ++i) CHECK_INT(tg_submit(ring, &entry, 1), 1);
  CHECK_INT(tg_client_close(client), TG_OK);
  CHECK_INT(tg_submit(ring, &entry, 1), 1);
  int done = 0, closed = 0;
  while (done < 33) {
    const int32_t n = tg_ring_wait(ring, results, 64, 5000000);
    CHECK(n > 0);
    if (n <= 0) break;
    for (int32_t i = 0; i < n; ++i) closed += results[i].status == TG_ECLOSED;
    done += n;
  }
  CHECK(closed >= 1);
  tg_ring_free(ring);
  tg_client_free(client);
}

static void* close_soon(void* client) {
  usleep(50000);
  CHECK_INT(tg_client_close(client), TG_OK);
  return NULL;
}

static void who_waits_without_end_is_woken_by_close(void) {
  tg_client* client = open_store("spin_us=50");
  tg_ring* ring = open_ring(client, 8, 0);
  tg_result results[8];
  pthread_t thread;
  pthread_create(&thread, NULL, close_soon, client);
  CHECK(tg_ring_wait(ring, results, 8, -1) <= 0);
  CHECK(tg_ring_wait(ring, results, 8, INT64_MAX) <= 0); /* and so is who comes later */
  pthread_join(thread, NULL);
  tg_ring_free(ring);
  tg_client_free(client);
}

/* The longest timeout there is takes no other's deadline away, and a wait may be as long. */
static void an_endless_timeout_is_nobody_elses_matter(void) {
  tg_client* client = open_store("spin_us=50");
  tg_ring* ring = open_ring(client, 8, 0);
  const uint64_t api = open_limiter(client, "100000/hour", "endless");
  tg_entry entry = entry_of(api, "k");
  tg_result results[8];
  for (int i = 0; i < 2; ++i) {
    entry.timeout_us = i ? 0 : INT64_MAX;
    CHECK_INT(tg_submit(ring, &entry, 1), 1);
  }
  int done = 0;
  while (done < 2) {
    const int32_t n = tg_ring_wait(ring, results, 8, INT64_MAX);
    CHECK(n > 0);
    if (n <= 0) break;
    done += n;
  }
  tg_ring_free(ring);
  tg_client_free(client);
}

static void equal_user_data_is_canceled_together(void) {
  tg_client* client = open_client("redis://127.0.0.1:1?timeout_ms=60000");
  tg_ring* ring = open_ring(client, 64, 0);
  const uint64_t api = open_limiter(client, "100000/hour", "same");
  tg_entry entry = entry_of(api, "k");
  tg_result results[64];
  for (uint64_t i = 0; i < 12; ++i) {
    entry.user_data = i % 3;
    CHECK_INT(tg_submit(ring, &entry, 1), 1);
  }
  CHECK_INT(tg_cancel(ring, 1), 4);
  CHECK_INT(tg_cancel(ring, 1), 0);
  CHECK_INT(tg_cancel(ring, 77), 0);
  CHECK_INT(tg_cancel(ring, 0), 4);
  CHECK_INT(tg_cancel(ring, 2), 4);
  int done = 0;
  while (done < 12) {
    const int32_t n = tg_ring_wait(ring, results, 64, 5000000);
    CHECK(n > 0);
    if (n <= 0) break;
    for (int32_t i = 0; i < n; ++i)
      CHECK(results[i].status == TG_ECANCELED || TG_SOURCE(results[i].flags) == TG_SOURCE_FALLBACK);
    done += n;
  }
  tg_ring_free(ring);
  tg_client_free(client);
}

int main(void) {
  static const struct test tests[] = {
      {"no wake-up is lost by a level-triggered host",
       no_wake_up_is_lost_by_a_level_triggered_host},
      {"no wake-up is lost by an edge-triggered host",
       no_wake_up_is_lost_by_an_edge_triggered_host},
      {"no wake-up is lost when the socket is read in pieces",
       no_wake_up_is_lost_when_the_socket_is_read_in_pieces},
      {"what does not fit the array raises the descriptor again",
       what_does_not_fit_the_array_raises_the_descriptor_again},
      {"submitters on other threads wake the reaper", submitters_on_other_threads_wake_the_reaper},
      {"a full ring takes whole requests and says how many",
       a_full_ring_takes_whole_requests_and_says_how_many},
      {"errors come out of reap too", errors_come_out_of_reap_too},
      {"a cancelled request still has one result", a_cancelled_request_still_has_one_result},
      {"rings are told of close", rings_are_told_of_close},
      {"who waits without end is woken by close", who_waits_without_end_is_woken_by_close},
      {"an endless timeout is nobody else's matter", an_endless_timeout_is_nobody_elses_matter},
      {"equal user_data is canceled together", equal_user_data_is_canceled_together},
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
