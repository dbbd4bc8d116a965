/*
** Of neap.sim.core what is in flight.
**
** For a director's rules: a task of his takes each message in turn, and says what becomes
** of it.  So a rule runs as all of his Lua does, and not from inside of who has sent.  And
** for who drives a run: what has passed.
*/

#include <lauxlib.h>
#include <netinet/in.h>
#include <string.h>

#include "sched/wait.h"
#include "sim/flight.h"
#include "sim/library.h"
#include "sim/passage.h"
#include "sim/run.h"


static void set_text(lua_State *L, const char *name, const char *text) {
  lua_pushstring(L, text);
  lua_setfield(L, -2, name);
}


static void set_integer(lua_State *L, const char *name, uint64_t n) {
  lua_pushinteger(L, (lua_Integer)n);
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
  else if (protocol == IPPROTO_TCP)
    lua_pushliteral(L, "tcp");
  else
    lua_pushinteger(L, protocol);
  lua_setfield(L, -2, "protocol");
}


/* Of a message: {from, to, protocol, src, dst, bytes, and where it has ports src_port,
 * dst_port; of TCP seq, ack, flags} */
static void push_passage(lua_State *L, const passage *p) {
  bool is_tcp = p->protocol == IPPROTO_TCP;
  lua_createtable(L, 0, 14);
  set_text(L, "from", p->from->name);
  set_text(L, "to", p->to->name);
  set_protocol(L, p->protocol);
  set_end(L, p->source, "src", "src_port");
  set_end(L, p->target, "dst", "dst_port");
  if (is_tcp) {
    set_integer(L, "seq", p->seq);
    set_integer(L, "ack", p->ack);
    set_integer(L, "flags", p->flags);
  } else if (p->protocol != IPPROTO_UDP) {
    lua_pushnil(L);
    lua_setfield(L, -2, "src_port");
    lua_pushnil(L);
    lua_setfield(L, -2, "dst_port");
  }
  lua_pushlstring(L, p->bytes, p->size);
  lua_setfield(L, -2, "bytes");
}


static void push_message(lua_State *L, const flight *f) {
  const passage p = {.from = f->from,
                     .to = f->to,
                     .source = &f->source,
                     .target = &f->target,
                     .protocol = f->protocol,
                     .bytes = f->bytes,
                     .size = f->size,
                     .seq = f->seq,
                     .ack = f->ack,
                     .flags = f->flags};
  push_passage(L, &p);
}


/*
** What has passed, until it is taken: records, each with its bytes behind it
*/

typedef struct record {
  uint64_t at;
  passage p;
  address source, target;
} record;


void library_note_passage(sim *s, const passage *p) {
  run *r = s->owner;
  record x = {s->now, *p, *p->source, *p->target};
  run_add(&r->passages, &x, sizeof x);
  run_add(&r->passages, p->bytes, p->size);
}


/* And when it left and arrives, ns; none: it is lost. */
static size_t push_record(lua_State *L, const char *from) {
  record x;
  memcpy(&x, from, sizeof x);
  x.p.source = &x.source;
  x.p.target = &x.target;
  x.p.bytes = from + sizeof x;
  push_passage(L, &x.p);
  set_integer(L, "at", x.at - SIM_START);
  if (x.p.arrives != NEVER)
    set_integer(L, "arrives", x.p.arrives - SIM_START);
  return sizeof x + x.p.size;
}


/* Of a copy: a finalizer may make the run go on. */
int library_take_passages(lua_State *L, run *r) {
  lua_Integer n = 0;
  size_t size = r->passages.n;
  const char *bytes = lua_pushlstring(L, r->passages.bytes, size);
  r->passages.n = 0;
  lua_newtable(L);
  for (size_t at = 0; at < size;) {
    at += push_record(L, bytes + at);
    lua_rawseti(L, -2, ++n);
  }
  return 1;
}


/*
** Rules
*/

static flight_verdict leave_undecided(void *about, flight *f, uint64_t *delay) {
  run *r = about;
  (void)f, (void)delay;
  if (wait_wake(&r->undecided, 0))
    node_delivered(r->director);
  return FLIGHT_UNDECIDED;
}


/* rules(are there any, and of streams?) */
static int l_rules(lua_State *L) {
  run *r = run_check(L);
  flight_set_rule(&r->sim, lua_toboolean(L, 1) ? leave_undecided : NULL, r,
                  lua_toboolean(L, 2));
  return 0;
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
  static const char *const names[] = {"pass",      "drop", "delay",
                                      "duplicate", "cut",  NULL};
  static const flight_verdict verdicts[] = {
      FLIGHT_PASS, FLIGHT_DROP, FLIGHT_DELAY, FLIGHT_DOUBLE, FLIGHT_CUT};
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
