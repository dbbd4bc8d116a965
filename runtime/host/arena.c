#include "host/arena.h"

#include <errno.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>

#include "host/memory.h"

/* Where nothing of a process lies, with sanitizers and without; and in an address space
 * of 39 bits. */
#define BASE UINT64_C(0x200000000000)
#define LOW_BASE UINT64_C(0x2000000000)

/* Four classes of size to each power of two, from 64 on; those below are multiples of a
 * STEP. */
enum { STEP = 16, QUARTERS = 4, CLASSES = 4 + QUARTERS * (30 - 6) };

/* As much as is made writable at a time: less than a huge page, so that none is put
 * there. */
enum { GROWTH = 1024 * 1024 };

typedef struct cell {
  struct cell *next;
} cell;

struct arena {
  alignas(STEP) char *fresh; /* never used */
  char *writable, *end;
  uint64_t seed;
  bool mallocs; /* its blocks are malloc's */
  cell *free[CLASSES];
};


/* What is malloc'ed, and known in an arena only, is not lost: for who looks for leaks at
 * the end of the process. */
__attribute__((weak)) void __lsan_register_root_region(const void *p, size_t n);
__attribute__((weak)) void __lsan_unregister_root_region(const void *p,
                                                         size_t n);


static bool wants_malloc(void) {
  const char *of = getenv("NEAP_SIM_ALLOC");
  return of != NULL && strcmp(of, "libc") == 0;
}


/* Kernels that do not know how to keep away from what is there put it elsewhere. */
static char *reserve(uint64_t at) {
  char *p = mmap(
      (void *)(uintptr_t)at, ARENA_SIZE, PROT_NONE,
      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
  if (p == MAP_FAILED)
    return NULL;
  if ((uintptr_t)p == at)
    return p;
  munmap(p, ARENA_SIZE);
  errno = EEXIST;
  return NULL;
}


static char *find_place(unsigned place) {
  char *p = reserve(BASE + place * (uint64_t)ARENA_SIZE);
  if (p == NULL && errno == ENOMEM)
    p = reserve(LOW_BASE + place * (uint64_t)ARENA_SIZE);
  return p;
}


arena *arena_new(unsigned place, uint64_t seed) {
  if (wants_malloc()) {
    arena *a = memory_new(sizeof *a);
    a->seed = seed;
    a->mallocs = true;
    return a;
  }
  char *p = find_place(place);
  if (p == NULL)
    return NULL;
  if (mprotect(p, GROWTH, PROT_READ | PROT_WRITE) != 0) {
    munmap(p, ARENA_SIZE);
    errno = ENOMEM;
    return NULL;
  }
  arena *a = (arena *)p;
  a->fresh = p + sizeof *a;
  a->writable = p + GROWTH;
  a->end = p + ARENA_SIZE;
  a->seed = seed;
  if (__lsan_register_root_region != NULL)
    __lsan_register_root_region(p, ARENA_SIZE);
  return a;
}


void arena_free(arena *a) {
  if (a->mallocs) {
    free(a);
    return;
  }
  if (__lsan_unregister_root_region != NULL)
    __lsan_unregister_root_region(a, ARENA_SIZE);
  munmap(a, ARENA_SIZE);
}


/*
** Blocks
*/

static unsigned exponent(size_t n) {
  return 63 - (unsigned)__builtin_clzll(n);
}


static unsigned class_of(size_t size) {
  size_t last = size - 1;
  if (last < 64)
    return (unsigned)(last / STEP);
  unsigned e = exponent(last);
  return 4 + (e - 6) * QUARTERS + (unsigned)(last >> (e - 2) & 3);
}


static size_t size_of(unsigned class) {
  if (class < 4)
    return (class + 1) * (size_t)STEP;
  unsigned e = (class - 4) / QUARTERS + 6, quarter = (class - 4) % QUARTERS;
  return (size_t)(QUARTERS + quarter + 1) << (e - 2);
}


/* Up to so much of it. */
static bool make_writable(arena *a, size_t more) {
  size_t grown = (more + GROWTH - 1) / GROWTH * GROWTH;
  if (grown > (size_t)(a->end - a->writable) ||
      mprotect(a->writable, grown, PROT_READ | PROT_WRITE) != 0)
    return false;
  a->writable += grown;
  return true;
}


static void *carve(arena *a, size_t size) {
  size_t room = (size_t)(a->writable - a->fresh);
  if (size > room && !make_writable(a, size - room))
    return NULL;
  void *p = a->fresh;
  a->fresh += size;
  return p;
}


static void *take(arena *a, size_t size) {
  if (size > ARENA_SIZE)
    return NULL;
  unsigned class = class_of(size);
  cell *c = a->free[class];
  if (c == NULL)
    return carve(a, size_of(class));
  a->free[class] = c->next;
  return c;
}


static void give(arena *a, void *p, size_t size) {
  cell *c = p, **list = &a->free[class_of(size)];
  c->next = *list;
  *list = c;
}


/* Without the memory to move, what shrinks stays: a larger cell is as good as a smaller
 * one. */
static void *move(arena *a, void *p, size_t old, size_t size) {
  if (size <= ARENA_SIZE && class_of(old) == class_of(size))
    return p;
  void *q = take(a, size);
  if (q == NULL)
    return size < old ? p : NULL;
  memcpy(q, p, old < size ? old : size);
  give(a, p, old);
  return q;
}


static void *from_malloc(void *p, size_t old, size_t size) {
  if (size == 0) {
    free(p);
    return NULL;
  }
  void *q = realloc(p, size);
  return q == NULL && p != NULL && size < old ? p : q;
}


void *arena_alloc(void *about, void *p, size_t old, size_t size) {
  arena *a = about;
  if (a->mallocs)
    return from_malloc(p, old, size);
  if (p == NULL)
    return size == 0 ? NULL : take(a, size);
  if (size == 0) {
    give(a, p, old);
    return NULL;
  }
  return move(a, p, old, size);
}


/*
** What Lua asks (cmake/lua_replay.h)
*/

static arena *arena_of(lua_State *L) {
  void *about;
  return lua_getallocf(L, &about) == arena_alloc ? about : NULL;
}


/* Of other states it is what nobody can guess: 16 bytes of the kernel's for each
 * process, and where this one lies. */
unsigned host_hash_seed(lua_State *L);
unsigned host_hash_seed(lua_State *L) {
  const arena *a = arena_of(L);
  uint64_t seed[2] = {0}, mixed = (uintptr_t)L;
  const void *chance = (const void *)(uintptr_t)getauxval(AT_RANDOM);
  if (a != NULL)
    return (unsigned)(a->seed ^ a->seed >> 32);
  if (chance != NULL)
    memcpy(seed, chance, sizeof seed);
  for (int i = 0; i < 2; i++) {
    mixed = (mixed ^ seed[i]) * UINT64_C(0x9e3779b97f4a7c15);
    mixed ^= mixed >> 32;
  }
  return (unsigned)mixed;
}


bool arena_replays(void) {
#ifdef NEAP_LUA_REPLAYS
  return true;
#else
  return false;
#endif
}
