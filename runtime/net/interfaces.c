/*
** Network interfaces, as tables.
*/

#include <net/if.h>
#include <stdlib.h>

#include "host/class.h"
#include "host/error.h"
#include "host/fields.h"
#include "net/backend.h"
#include "net/functions.h"
#include "sched/world.h"

#define CLASS "neap.interfaces"

#ifndef IFF_LOWER_UP
#define IFF_LOWER_UP 0x10000 /* of linux/if.h, which this has not */
#endif

static const struct flag {
  const char *name;
  unsigned bit;
} flags[] = {
    {"up", IFF_UP},
    {"broadcast", IFF_BROADCAST},
    {"loopback", IFF_LOOPBACK},
    {"pointopoint", IFF_POINTOPOINT},
    {"running", IFF_RUNNING},
    {"noarp", IFF_NOARP},
    {"promisc", IFF_PROMISC},
    {"allmulti", IFF_ALLMULTI},
    {"master", IFF_MASTER},
    {"slave", IFF_SLAVE},
    {"multicast", IFF_MULTICAST},
    {"lower_up", IFF_LOWER_UP},
    {NULL, 0},
};


static void set_flags(lua_State *L, unsigned bits) {
  lua_createtable(L, 0, 4);
  for (const struct flag *f = flags; f->name != NULL; f++) {
    if ((bits & f->bit) == 0)
      continue;
    set_flag(L, f->name, true);
  }
  lua_setfield(L, -2, "flags");
}


static void push_address(lua_State *L, const netif_address *a) {
  lua_createtable(L, 0, 4);
  address_set(L, "address", &a->addr);
  set_integer(L, "prefix_length", a->prefix);
  address_set(L, "broadcast", &a->broadcast);
  address_set(L, "peer", &a->peer);
  set_text(L, "scope", a->scope);
}


static void set_addresses(lua_State *L, const netif *x) {
  lua_createtable(L, (int)x->address_count, 0);
  for (size_t i = 0; i < x->address_count; i++) {
    push_address(L, &x->addresses[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  lua_setfield(L, -2, "addresses");
}


static void set_hwaddr(lua_State *L, const netif *x) {
  luaL_Buffer b;
  const char *digits = "0123456789abcdef";
  if (x->hw_size == 0)
    return;
  luaL_buffinit(L, &b);
  for (int i = 0; i < x->hw_size; i++) {
    if (i > 0)
      luaL_addchar(&b, ':');
    luaL_addchar(&b, digits[x->hw[i] >> 4]);
    luaL_addchar(&b, digits[x->hw[i] & 15]);
  }
  luaL_pushresult(&b);
  lua_setfield(L, -2, "hwaddr");
}


static void push_interface(lua_State *L, const netif *x) {
  lua_createtable(L, 0, 7);
  set_text(L, "name", x->name);
  set_integer(L, "index", x->index);
  set_integer(L, "mtu", x->mtu);
  set_integer(L, "hwtype", x->hw_type);
  set_hwaddr(L, x);
  set_flags(L, x->flags);
  set_addresses(L, x);
}


static int l_gc(lua_State *L) {
  netifs *all = luaL_checkudata(L, 1, CLASS);
  for (size_t i = 0; i < all->count; i++)
    free(all->list[i].addresses);
  free(all->list);
  *all = (netifs){NULL, 0};
  return 0;
}


/*
** interfaces() : {interface} | nil, error
*/

int interfaces_lua(lua_State *L) {
  host *h = host_of(L);
  netifs *all = lua_newuserdatauv(L, sizeof *all, 0);
  *all = (netifs){NULL, 0};
  luaL_setmetatable(L, CLASS);
  lua_toclose(L, -1);
  int status = h->world->net->interfaces(h, all);
  if (status < 0)
    return fail(L, status, "interfaces", NULL);
  lua_createtable(L, (int)all->count, 0);
  for (size_t i = 0; i < all->count; i++) {
    push_interface(L, &all->list[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}


void interfaces_open(lua_State *L) {
  class_open_closing(L, CLASS, l_gc);
}
