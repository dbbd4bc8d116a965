#include "zlib/account.h"

#include <stdalign.h>
#include <stdint.h>

#include "host/host.h"

/* Before each block its size, which zlib does not tell when it frees it. */
typedef struct header {
  alignas(max_align_t) size_t size;
} header;


static void *take(void *of, uInt items, uInt each) {
  account *a = of;
  size_t size = sizeof(header) + (size_t)items * each;
  void *context;
  lua_Alloc allocate = lua_getallocf(a->L, &context);
  header *h = allocate(context, NULL, 0, size);
  if (h == NULL)
    return NULL;
  h->size = size;
  a->taken += size;
  return h + 1;
}


static void give(void *of, void *block) {
  account *a = of;
  header *h = (header *)block - 1;
  void *context;
  lua_Alloc allocate = lua_getallocf(a->L, &context);
  a->taken -= h->size;
  allocate(context, h, h->size, 0);
}


void account_open(account *a, z_stream *z, lua_State *L) {
  a->L = host_of(L)->L;
  z->zalloc = take;
  z->zfree = give;
  z->opaque = a;
}


/* A step of the collector is as long as what was allocated since the last; of a collector
 * that the script has stopped nothing is to run, nor inside of a finalizer (-1). */
void account_tell(account *a, lua_State *L) {
  int more = (int)(a->taken / 1024) - a->counted;
  if (more <= 0 || lua_gc(L, LUA_GCISRUNNING) != 1)
    return;
  a->counted += more;
  lua_gc(L, LUA_GCSTEP, more);
}


void account_close(account *a, lua_State *L) {
  if (a->counted > 0 && lua_gc(L, LUA_GCISRUNNING) == 1)
    lua_gc(L, LUA_GCSTEP, -a->counted);
  a->counted = 0;
}
