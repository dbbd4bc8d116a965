#include "host/arena.h"

#include <errno.h>
#include <pthread.h>
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

/* What an arena begins with lies beside that of its neighbours, so many of them to a huge
 * page: a thousand states that take turns touch little of each, and most of what that
 * costs is to find out where a page is. */
enum { NEIGHBOURS = 8, PAGE = 2 * 1024 * 1024, NEAR = PAGE / NEIGHBOURS };
enum { PAGES = ARENA_PLACES / NEIGHBOURS };
#define NEAR_BASE (BASE - PAGES * (uint64_t)PAGE)
#define LOW_NEAR_BASE (LOW_BASE - PAGES * (uint64_t)PAGE)

typedef struct cell {
  struct cell *next;
} cell;

/* It is the first that lies in its memory. */
struct arena {
  alignas(STEP) char *near;     /* beside its neighbours: never used */
  char *fresh, *writable, *end; /* and where there is more */
  unsigned place;
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
static char *reserve_at(uint64_t at, size_t size) {
  char *p = mmap(
      (void *)(uintptr_t)at, size, PROT_NONE,
      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
  if (p == MAP_FAILED)
    return NULL;
  if ((uintptr_t)p == at)
    return p;
  munmap(p, size);
  errno = EEXIST;
  return NULL;
}


static char *reserve(uint64_t base, uint64_t low, unsigned i, size_t size) {
  char *p = reserve_at(base + i * (uint64_t)size, size);
  if (p == NULL && errno == ENOMEM)
    p = reserve_at(low + i * (uint64_t)size, size);
  return p;
}


/*
** Pages of neighbours: there as long as one of them is
*/

static struct {
  pthread_mutex_t lock;
  struct {
    char *at;
    unsigned users;
  } pages[PAGES];
} shared = {.lock = PTHREAD_MUTEX_INITIALIZER};


static char *open_page(unsigned i) {
  char *p = reserve(NEAR_BASE, LOW_NEAR_BASE, i, PAGE);
  if (p != NULL && mprotect(p, PAGE, PROT_READ | PROT_WRITE) != 0) {
    munmap(p, PAGE);
    errno = ENOMEM;
    return NULL;
  }
  if (p != NULL)
    madvise(p, PAGE, MADV_HUGEPAGE);
  return p;
}


static char *take_near(unsigned place) {
  unsigned i = place / NEIGHBOURS;
  pthread_mutex_lock(&shared.lock);
  if (shared.pages[i].users == 0)
    shared.pages[i].at = open_page(i);
  char *p = shared.pages[i].at;
  if (p != NULL)
    shared.pages[i].users++;
  pthread_mutex_unlock(&shared.lock);
  return p != NULL ? p + place % NEIGHBOURS * (size_t)NEAR : NULL;
}


static void give_near(unsigned place) {
  unsigned i = place / NEIGHBOURS;
  pthread_mutex_lock(&shared.lock);
  if (--shared.pages[i].users == 0)
    munmap(shared.pages[i].at, PAGE);
  pthread_mutex_unlock(&shared.lock);
}


/*
** Arenas
*/

/* For who looks for leaks. */
static void show(arena *a, void (*to)(const void *p, size_t n)) {
  if (to == NULL)
    return;
  to(a, NEAR);
  to(a->end - ARENA_SIZE, ARENA_SIZE);
}


arena *arena_new(unsigned place, uint64_t seed) {
  if (wants_malloc()) {
    arena *a = memory_new(sizeof *a);
    a->seed = seed;
    a->mallocs = true;
    return a;
  }
  char *far = reserve(BASE, LOW_BASE, place, ARENA_SIZE);
  if (far == NULL)
    return NULL;
  char *p = take_near(place);
  if (p == NULL) {
    munmap(far, ARENA_SIZE);
    return NULL;
  }
  arena *a = (arena *)p;
  *a = (arena){.near = p + sizeof *a,
               .fresh = far,
               .writable = far,
               .end = far + ARENA_SIZE,
               .place = place,
               .seed = seed};
  show(a, __lsan_register_root_region);
  return a;
}


void arena_free(arena *a) {
  if (a->mallocs) {
    free(a);
    return;
  }
  show(a, __lsan_unregister_root_region);
  munmap(a->end - ARENA_SIZE, ARENA_SIZE);
  give_near(a->place);
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
  if (size <= (size_t)((char *)a + NEAR - a->near)) {
    void *p = a->near;
    a->near += size;
    return p;
  }
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
