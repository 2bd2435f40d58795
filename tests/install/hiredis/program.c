/* SPDX-License-Identifier: MIT */
#include <hiredis/hiredis.h>
#include <hiredis/hiredis_ssl.h>
#include <stdio.h>

int main(void) {
  redisSSLContextError error = REDIS_SSL_CTX_NONE;
  redisReader* reader = redisReaderCreate();
  redisSSLContext* context = redisCreateSSLContext(NULL, NULL, NULL, NULL, NULL, &error);
  printf("%s\n", reader != NULL && context != NULL ? "ready" : redisSSLContextGetError(error));
  redisFreeSSLContext(context);
  redisReaderFree(reader);
  return 0;
}
