// SPDX-License-Identifier: MIT
// raw SOCKET FILE COUNT: sends the command of FILE (lines: length, word) COUNT times, each after
// the last one's answer, and prints the median time in microseconds.
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int by_size(const void* a, const void* b) {
  const double x = *(const double*)a, y = *(const double*)b;
  return (x > y) - (x < y);
}

static int read_words(const char* path, char** words, size_t* sizes, int most) {
  FILE* file = fopen(path, "rb");
  int count = 0;
  while (file && count < most && fscanf(file, "%zu", &sizes[count]) == 1) {
    fgetc(file);
    words[count] = malloc(sizes[count] + 1);
    if (fread(words[count], 1, sizes[count] + 1, file) != sizes[count] + 1) break;
    ++count;
  }
  if (file) fclose(file);
  return count;
}

int main(int argc, char** argv) {
  enum { kMostWords = 512 };
  char* words[kMostWords];
  size_t sizes[kMostWords];
  if (argc != 4) return 2;
  const int count = read_words(argv[2], words, sizes, kMostWords), rounds = atoi(argv[3]);
  redisContext* context = redisConnectUnix(argv[1]);
  if (!context || context->err || count < 3 || rounds < 1) return 1;
  double* times = calloc((size_t)rounds, sizeof *times);
  for (int i = 0; i < rounds; ++i) {
    const double started = now_us();
    redisReply* reply = redisCommandArgv(context, count, (const char**)words, sizes);
    times[i] = now_us() - started;
    if (!reply || reply->type == REDIS_REPLY_ERROR) {
      fprintf(stderr, "raw: %s\n", reply ? reply->str : context->errstr);
      return 1;
    }
    freeReplyObject(reply);
  }
  qsort(times, (size_t)rounds, sizeof *times, by_size);
  printf("%f\n", times[rounds / 2]);
  free(times);
  redisFree(context);
  return 0;
}
