#include "uv/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/types.h>
#include <time.h>

#define SECOND UINT64_C(1000000000)


static uint64_t read_clock(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}


uint64_t clock_coarse(void *w) {
  (void)w;
  return read_clock(CLOCK_MONOTONIC_COARSE);
}


uint64_t clock_now(void *w) {
  (void)w;
  return read_clock(CLOCK_MONOTONIC);
}


/* The processor's own counter.  Where there is none that user code may read, the
 * cheapest clock, whose steps are some ms. */
uint64_t clock_ticks(void *w) {
#if defined(__x86_64__) || defined(__i386__)
  (void)w;
  return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
  uint64_t count, frequency;
  (void)w;
  __asm__ volatile("mrs %0, cntvct_el0" : "=r"(count));
  __asm__ volatile("mrs %0, cntfrq_el0" : "=r"(frequency));
  return frequency < SECOND ? count * (SECOND / frequency) : count;
#else
  return clock_coarse(w);
#endif
}


int64_t clock_wall(void *w) {
  (void)w;
  return (int64_t)read_clock(CLOCK_REALTIME);
}


uint64_t clock_cpu(void *w) {
  (void)w;
  return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}


/* Only for what computes: it is a system call. */
uint64_t clock_thread_cpu(void *w) {
  (void)w;
  return read_clock(CLOCK_THREAD_CPUTIME_ID);
}


void chance_draw(void *w, void *bytes, size_t n) {
  (void)w;
  for (char *p = bytes; n > 0;) {
    ssize_t got = getrandom(p, n, 0);
    if (got < 0 && errno != EINTR)
      abort();
    if (got > 0) {
      p += got;
      n -= (size_t)got;
    }
  }
}
