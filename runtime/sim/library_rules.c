/*
** Of neap.sim.core what decides about messages in flight: a task of the director takes
** each in turn, and says what becomes of it.  So a rule runs as all of a director's Lua
** does, and not from inside of who has sent.
*/

#include <lauxlib.h>
#include <netinet/in.h>

#include "sched/wait.h"
#include "sim/flight.h"
#include "sim/library.h"
#include "sim/run.h"


static flight_verdict leave_undecided(void *about, flight *f, uint64_t *delay) {
  run *r = about;
  (void)f, (void)delay;
  if (wait_wake(&r->undecided, 0))
    node_delivered(r->director);
  return FLIGHT_UNDECIDED;
}


/* rules(are there any?) */
static int l_rules(lua_State *L) {
  run *r = run_check(L);
  flight_set_rule(&r->sim, lua_toboolean(L, 1) ? leave_undecided : NULL, r);
  return 0;
}


static void set_text(lua_State *L, const char *name, const char *text) {
  lua_pushstring(L, text);
  lua_setfield(L, -2, name);
}


static void set_end(lua_State *L, const address *a, const char *ip,
                    const char *port) {
  char text[ADDRESS_TEXT];
  address_print_ip(a, text, sizeof text);
  set_text(L, ip, text);
  lua_pushinteger(L, address_port(a));
  lua_setfield(L, -2, port);
}


static void set_protocol(lua_State *L, int protocol) {
  if (protocol == IPPROTO_UDP)
    lua_pushliteral(L, "udp");
  else if (protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6)
    lua_pushstring(L, protocol == IPPROTO_ICMP ? "icmp" : "icmpv6");
  else
    lua_pushinteger(L, protocol);
  lua_setfield(L, -2, "protocol");
}


/* {from, to, protocol, src, dst, bytes, and of UDP src_port, dst_port} */
static void push_message(lua_State *L, const flight *f) {
  lua_createtable(L, 0, 9);
  set_text(L, "from", f->from->name);
  set_text(L, "to", f->to->name);
  set_protocol(L, f->protocol);
  set_end(L, &f->source, "src", "src_port");
  set_end(L, &f->target, "dst", "dst_port");
  if (f->protocol != IPPROTO_UDP) {
    lua_pushnil(L);
    lua_setfield(L, -2, "src_port");
    lua_pushnil(L);
    lua_setfield(L, -2, "dst_port");
  }
  lua_pushlstring(L, f->bytes, f->size);
  lua_setfield(L, -2, "bytes");
}


/* undecided() : a message, when there is one */
static int undecided_k(lua_State *L, int status, lua_KContext ctx) {
  static const waiting how = {"messages", NEVER, true};
  run *r = run_check(L);
  if (status == LUA_YIELD)
    wait_status(L);
  const flight *f = flight_undecided(&r->sim);
  if (f == NULL)
    return wait_park(L, &r->undecided, &how, ctx, undecided_k);
  push_message(L, f);
  return 1;
}


static int l_undecided(lua_State *L) {
  run_check(L);
  wait_enter(L, "undecided");
  return undecided_k(L, LUA_OK, 0);
}


/* decide(what, seconds, bytes or nil): of that message */
static int l_decide(lua_State *L) {
  static const char *const names[] = {"pass", "drop", "delay", "duplicate",
                                      NULL};
  static const flight_verdict verdicts[] = {FLIGHT_PASS, FLIGHT_DROP,
                                            FLIGHT_DELAY, FLIGHT_DOUBLE};
  run *r = run_check(L);
  int what = luaL_checkoption(L, 1, NULL, names);
  double seconds = luaL_optnumber(L, 2, 0);
  flight *f = flight_undecided(&r->sim);
  size_t n;
  const char *bytes = luaL_optlstring(L, 3, NULL, &n);
  luaL_argcheck(L, seconds >= 0 && seconds < 1e9, 2, "out of bounds");
  luaL_argcheck(L, f != NULL, 1, "no message waits");
  if (bytes != NULL)
    flight_set_bytes(f, bytes, n);
  flight_decide(&r->sim, verdicts[what], (uint64_t)(seconds * 1e9));
  return 0;
}


void library_rules_set(lua_State *L) {
  static const luaL_Reg functions[] = {{"rules", l_rules},
                                       {"undecided", l_undecided},
                                       {"decide", l_decide},
                                       {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
