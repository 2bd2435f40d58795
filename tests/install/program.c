/* SPDX-License-Identifier: MIT */
/* The smallest program that asks for two decisions. */
#include <stdio.h>
#include <string.h>
#include <tidegate.h>

static int fail(const char* what, const tg_error* error) {
  fprintf(stderr, "%s: %s\n", what, error->message);
  return 1;
}

int main(void) {
  tg_error error;
  tg_client* gate = NULL;
  const char* url = "memory://";
  if (tg_client_open(url, strlen(url), NULL, &gate, &error) < 0) return fail("client", &error);

  tg_limiter_spec spec;
  memset(&spec, 0, sizeof spec);
  spec.rates.data = "1/minute";
  spec.rates.size = strlen("1/minute");
  uint64_t handle = 0;
  if (tg_limiter_open(gate, &spec, &handle, &error) < 0) return fail("limiter", &error);

  int passed = 0;
  for (int i = 0; i < 2; ++i) {
    tg_entry entry;
    tg_result result;
    memset(&entry, 0, sizeof entry);
    entry.op = TG_OP_CONSUME;
    entry.handle = handle;
    entry.key = "user:42";
    entry.key_len = 7;
    entry.arg = 1;
    if (tg_call(gate, &entry, 1, &result, 1) != 1 || result.status < 0) return 2;
    passed += (result.flags & TG_ALLOWED) != 0;
  }
  tg_client_free(gate);
  if (strcmp(tg_version(), TG_VERSION) != 0 || tg_abi() != TG_ABI) return 3;
  printf("tidegate %s: %d of 2 passed\n", tg_version(), passed);
  return 0;
}
