/*
** A world with nothing in it, and no `poll`: its clock stands where the driver sets it.  Of one
** driver each, which includes it once.
*/

#ifndef SPEC_EMPTY_WORLD_H
#define SPEC_EMPTY_WORLD_H

#include <errno.h>
#include <string.h>

#include "host/host.h"
#include "sched/world.h"

static uint64_t empty_clock = 1; /* ns */


static uint64_t empty_now(void *w) {
  (void)w;
  return empty_clock;
}


static int64_t empty_wall(void *w) {
  return (int64_t)empty_now(w);
}


static void empty_chance(void *w, void *bytes, size_t n) {
  (void)w;
  memset(bytes, 0, n);
}


static void empty_nothing(void *w) {
  (void)w;
}


static bool empty_never(void *w) {
  (void)w;
  return false;
}


static int empty_descriptors(void *w) {
  (void)w;
  return -1;
}


static ssize_t empty_folder(void *w, const char *path, char *names,
                            size_t room) {
  (void)w, (void)path, (void)names, (void)room;
  return -ENOENT;
}


static void empty_close(host *h) {
  (void)h;
}


#define EMPTY_WORLD(called, backend) \
  { \
    .name = called, .now = empty_now, .coarse = empty_now, .ticks = empty_now, \
    .wall = empty_wall, .cpu = empty_now, .thread_cpu = empty_now, \
    .random = empty_chance, .hear = empty_nothing, .nudge = empty_nothing, \
    .hush = empty_nothing, .descriptors = empty_descriptors, \
    .list = empty_folder, .busy = empty_never, .close = empty_close, \
    .net = backend, \
  }

#endif
