/*
** The module neap.crypto: its parts, and chance.
*/

#include <lauxlib.h>
#include <stdlib.h>

#include "crypto/crypto.h"
#include "host/arguments.h"
#include "host/fields.h"
#include "host/memory.h"
#include "sched/world.h"


struct crypto *crypto_need(lua_State *L) {
  host *h = host_of(L);
  if (h->crypto != NULL)
    return h->crypto;
  if (openssl_need(L, OPENSSL_CRYPTO) < 0)
    lua_error(L);
  return h->crypto = memory_new(sizeof *h->crypto);
}


void crypto_close(host *h) {
  if (h->crypto == NULL)
    return;
  for (int i = 0; i < DIGESTS; i++)
    EVP_MD_free(h->crypto->digests[i]);
  free(h->crypto);
  h->crypto = NULL;
}


/*
** random(n) : bytes
*/

static int l_random(lua_State *L) {
  const host *h = host_of(L);
  size_t n = (size_t)argument_integer(L, 1, 0, INT32_MAX);
  luaL_Buffer b;
  char *bytes = luaL_buffinitsize(L, &b, n);
  h->world->random(h->outside, bytes, n);
  luaL_pushresultsize(&b, n);
  return 1;
}


static const luaL_Reg functions[] = {{"random", l_random}, {NULL, NULL}};


static int open_module(lua_State *L) {
  work_open(L);
  lua_newtable(L);
  luaL_setfuncs(L, functions, 0);
  encoding_open(L);
  digest_open(L);
  derive_open(L);
  key_open(L);
  return 1;
}


static int open_core(lua_State *L) {
#ifdef OPENSSL_LINKED
  const bool linked = true;
#else
  const bool linked = false;
#endif
  lua_newtable(L);
  set_flag(L, "linked", linked);
  certificate_open(L);
  return 1;
}


int crypto_open(lua_State *L) {
  host_module(L, "neap.crypto", open_module);
  host_module(L, "neap.crypto.core", open_core);
  return 0;
}
