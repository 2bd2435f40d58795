/* SPDX-License-Identifier: MIT */
/*
 * A C event loop that drives a ring: epoll watches the listener, the connections and tg_ring_fd. A
 * connection's next line is looked at when its last one is answered, so answers need no order of
 * their own and the ring is never full.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gate.h"

enum { kConnections = 256, kResults = 64, kListener = kConnections, kRing };

typedef struct connection {
  int descriptor;      /* -1: free */
  uint32_t generation; /* an answer for a connection that has gone finds another number here */
  int is_waiting, is_ended;
  size_t used;
  char input[GATE_LINE];
} connection;

typedef struct server {
  const gate* gate;
  tg_ring* ring;
  int epoll, listener;
  connection connections[kConnections];
} server;

static int complain(const char* what, const char* why) {
  fprintf(stderr, "gate: %s: %s\n", what, why);
  return 1;
}

static int watch(server* self, int descriptor, uint32_t events, uint64_t number) {
  struct epoll_event event = {.events = events, .data.u64 = number};
  return epoll_ctl(self->epoll, EPOLL_CTL_ADD, descriptor, &event);
}

static void hang_up(connection* peer) {
  close(peer->descriptor); /* which takes it out of the epoll set */
  peer->descriptor = -1;
  peer->generation++;
}

static void answer(connection* peer, const char* text, size_t size) {
  if (send(peer->descriptor, text, size, MSG_NOSIGNAL) != (ssize_t)size) hang_up(peer);
}

/* Submits lines until one is in the ring; those that make no sense are answered at once. */
static void take_lines(server* self, connection* peer) {
  char text[GATE_ANSWER];
  tg_entry entry;
  while (peer->descriptor >= 0 && !peer->is_waiting) {
    const char* feed = memchr(peer->input, '\n', peer->used);
    if (feed == NULL && !(peer->is_ended && peer->used > 0)) break;
    const size_t size = feed != NULL ? (size_t)(feed - peer->input) + 1 : peer->used;
    if (gate_parse(self->gate, peer->input, size, &entry, text)) {
      const uint64_t number = (uint64_t)(peer - self->connections);
      entry.user_data = number | (uint64_t)peer->generation << 32;
      const int32_t taken = tg_submit(self->ring, &entry, 1); /* copies key and value */
      peer->is_waiting = taken == 1;
      const char* why = taken == 0 ? "too many requests are out" : tg_strerror(taken);
      if (taken != 1) snprintf(text, sizeof(text), "error %s\n", why);
    }
    peer->used -= size;
    memmove(peer->input, peer->input + size, peer->used);
    if (!peer->is_waiting) answer(peer, text, strlen(text));
  }
  if (peer->descriptor < 0 || peer->is_waiting) return;
  if (peer->is_ended || peer->used == sizeof(peer->input)) hang_up(peer);
}

/* Until a line is out, or there is nothing more to read: an edge is told only once. */
static void read_input(server* self, connection* peer) {
  for (;;) {
    take_lines(self, peer);
    if (peer->descriptor < 0 || peer->is_waiting) return;
    char* room = peer->input + peer->used;
    const size_t size = sizeof(peer->input) - peer->used;
    const ssize_t got = recv(peer->descriptor, room, size, MSG_DONTWAIT);
    if (got > 0) {
      peer->used += (size_t)got;
    } else if (got == 0) {
      peer->is_ended = 1;
    } else if (errno == EAGAIN) {
      return;
    } else if (errno != EINTR) {
      hang_up(peer);
      return;
    }
  }
}

static void accept_all(server* self) {
  for (;;) {
    const int descriptor = accept4(self->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (descriptor < 0) return;
    connection* peer = self->connections;
    connection* const end = peer + kConnections;
    while (peer < end && peer->descriptor >= 0) peer++;
    if (peer == end ||
        watch(self, descriptor, EPOLLIN | EPOLLET, (uint64_t)(peer - self->connections)) < 0) {
      close(descriptor);
      continue;
    }
    *peer = (connection){.descriptor = descriptor, .generation = peer->generation};
  }
}

static void give_answers(server* self) {
  tg_result results[kResults];
  char text[GATE_ANSWER];
  int32_t count;
  while ((count = tg_reap(self->ring, results, kResults)) > 0) {
    for (int32_t i = 0; i < count; i++) {
      connection* peer = &self->connections[results[i].user_data & 0xffffffffu];
      if (peer->generation != results[i].user_data >> 32) continue;
      peer->is_waiting = 0;
      const size_t size = gate_format(self->gate, &results[i], text);
      answer(peer, text, size);
      /* Only marked: taking the next line may not disturb the results that are still to be given.
       */
    }
    for (int32_t i = 0; i < count; i++) {
      connection* peer = &self->connections[results[i].user_data & 0xffffffffu];
      const int is_there = peer->generation == results[i].user_data >> 32;
      if (is_there && !peer->is_waiting) read_input(self, peer);
    }
  }
}

/* getaddrinfo takes 65537 for 1. */
static int is_port(const char* text) {
  const size_t size = strlen(text);
  return size > 0 && size <= 5 && strspn(text, "0123456789") == size && atoi(text) <= 65535;
}

static int open_listener(server* self, const char* address) {
  char host[256];
  const char* colon = strrchr(address, ':');
  if (colon == NULL || (size_t)(colon - address) >= sizeof(host) || !is_port(colon + 1)) {
    return complain(address, "expected HOST:PORT") + 1;
  }
  const int is_bracketed = address[0] == '[' && colon > address && colon[-1] == ']';
  snprintf(host, sizeof(host), "%.*s", (int)(colon - address) - 2 * is_bracketed,
           address + is_bracketed);
  const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
  struct addrinfo* found = NULL;
  const int code = getaddrinfo(host, colon + 1, &hints, &found);
  if (code != 0) return complain(address, gai_strerror(code));
  const int one = 1;
  self->listener =
      socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, found->ai_protocol);
  setsockopt(self->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
  const int failed = self->listener < 0 ||
                     bind(self->listener, found->ai_addr, found->ai_addrlen) != 0 ||
                     listen(self->listener, 64) != 0;
  freeaddrinfo(found);
  return failed ? complain(address, strerror(errno)) : 0;
}

static void announce(const server* self) {
  struct sockaddr_storage bound;
  socklen_t size = sizeof(bound);
  char host[NI_MAXHOST], port[NI_MAXSERV];
  getsockname(self->listener, (struct sockaddr*)&bound, &size);
  getnameinfo((struct sockaddr*)&bound, size, host, sizeof(host), port, sizeof(port),
              NI_NUMERICHOST | NI_NUMERICSERV);
  printf(strchr(host, ':') != NULL ? "listening on [%s]:%s\n" : "listening on %s:%s\n", host, port);
  fflush(stdout);
}

static int serve(server* self) {
  struct epoll_event events[kResults];
  for (;;) {
    tg_ring_flush(self->ring); /* what this turn queued leaves together */
    const int count = epoll_wait(self->epoll, events, kResults, -1);
    if (count < 0 && errno != EINTR) return complain("epoll_wait", strerror(errno));
    for (int i = 0; i < count; i++) {
      const uint64_t number = events[i].data.u64;
      if (number == kListener) {
        accept_all(self);
      } else if (number == kRing) {
        give_answers(self);
      } else if (self->connections[number].descriptor >= 0) {
        read_input(self, &self->connections[number]);
      }
    }
  }
}

int gate_listen(const gate* gate, const char* address) {
  server* self = calloc(1, sizeof(*self));
  if (self == NULL) return complain("gate", "no memory");
  self->gate = gate;
  for (int i = 0; i < kConnections; i++) self->connections[i].descriptor = -1;
  tg_error error;
  int status = open_listener(self, address);
  if (status == 0 && (self->epoll = epoll_create1(EPOLL_CLOEXEC)) < 0) {
    status = complain("epoll_create1", strerror(errno));
  }
  /* Twice as many as connections: who hangs up may leave a request behind. */
  if (status == 0 &&
      tg_ring_open(gate->client, 2 * kConnections, TG_RING_LOCAL, &self->ring, &error) < 0) {
    status = complain("ring", error.message);
  }
  if (status == 0) {
    watch(self, self->listener, EPOLLIN, kListener);
    watch(self, (int)tg_ring_fd(self->ring), EPOLLIN, kRing);
    announce(self);
    status = serve(self);
  }
  tg_ring_free(self->ring);
  free(self);
  return status;
}
