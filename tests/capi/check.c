/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "check.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

int check_failures;

int run_tests(const struct test* tests, size_t count) {
  int passed = 0, failed = 0;
  for (size_t i = 0; i < count; ++i) {
    const int before = check_failures;
    tests[i].run();
    const int ok = check_failures == before;
    printf("%s %s\n", ok ? "ok    " : "FAILED", tests[i].title);
    ok ? ++passed : ++failed;
  }
  printf("%d passed, %d failed\n", passed, failed);
  return failed ? 1 : 0;
}

tg_client* open_client(const char* url) {
  tg_client* client = NULL;
  tg_error error;
  if (tg_client_open(url, strlen(url), NULL, &client, &error) == TG_OK) return client;
  fprintf(stderr, "%s: %s\n", url, error.message);
  abort();
}

uint64_t open_limiter(tg_client* client, const char* rates, const char* name) {
  uint64_t handle = 0;
  tg_error error;
  tg_limiter_spec spec = {.rates = {rates, strlen(rates)}, .name = {name, name ? strlen(name) : 0}};
  if (tg_limiter_open(client, &spec, &handle, &error) == TG_OK) return handle;
  fprintf(stderr, "%s: %s\n", rates, error.message);
  abort();
}

tg_entry entry_of(uint64_t limiter, const char* key) {
  tg_entry entry = {.op = TG_OP_CONSUME, .handle = limiter, .key = key, .arg = 1};
  entry.key_len = (uint32_t)strlen(key);
  return entry;
}

static pid_t server = -1;
static char folder[] = "/tmp/tidegate-capi-XXXXXX";
static char url[128];

static void stop_server(void) {
  char command[160];
  kill(server, SIGKILL);
  waitpid(server, NULL, 0);
  snprintf(command, sizeof command, "rm -rf %s", folder);
  if (system(command) != 0) perror(command);
}

/* The first of $TIDEGATE_SERVERS (name=path:name=path), else what is on PATH. */
static const char* server_path(char* buffer, size_t size) {
  const char* listed = getenv("TIDEGATE_SERVERS");
  const char* equals = listed ? strchr(listed, '=') : NULL;
  if (equals) {
    snprintf(buffer, size, "%.*s", (int)strcspn(equals + 1, ":"), equals + 1);
    return buffer;
  }
  if (system("command -v valkey-server >/dev/null 2>&1") == 0) return "valkey-server";
  return system("command -v redis-server >/dev/null 2>&1") == 0 ? "redis-server" : NULL;
}

const char* server_url(void) {
  char path[512], socket_path[64];
  if (server > 0) return url;
  const char* program = server_path(path, sizeof path);
  if (!program || !mkdtemp(folder)) return NULL;
  snprintf(socket_path, sizeof socket_path, "%s/s", folder);
  const pid_t parent = getpid();
  server = fork();
  if (server == 0) {
    const int null = open("/dev/null", O_WRONLY);
    dup2(null, 1);
    execlp(program, program, "--port", "0", "--unixsocket", socket_path, "--save", "", "--dir",
           folder, (char*)NULL);
    _exit(127);
  }
  if (getpid() == parent) atexit(stop_server);
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strcpy(address.sun_path, socket_path);
  for (int i = 0; i < 1000; ++i, usleep(10000)) {
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    const int up = connect(fd, (struct sockaddr*)&address, sizeof address) == 0;
    close(fd);
    if (!up) continue;
    snprintf(url, sizeof url, "unix://%s?timeout_ms=5000", socket_path);
    return url;
  }
  return NULL;
}
