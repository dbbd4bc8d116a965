/*
** The table of socket options, and its types.
**
** A row says which numbers an option has, and names a *type*: how its value
** is read from Lua into setsockopt's bytes and pushed back from getsockopt's.
** Adding an option is a row; adding a type is a row of functions.  keepalive
** alone is no single option of the kernel: it is made of four.
*/

#include "net/option_table.h"

#include <errno.h>
#include <lauxlib.h>
#include <limits.h>
#include <math.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <string.h>

#include "host/error.h"
#include "host/quote.h"
#include "sched/world.h"

#ifndef SOL_RAW
#define SOL_RAW 255
#endif
#ifndef ICMP_FILTER
#define ICMP_FILTER 1 /* of linux/icmp.h; IPv6's has the same number */
#endif
#ifndef IPV6_MULTICAST_ALL
#define IPV6_MULTICAST_ALL 29
#endif
#ifndef IPV6_HDRINCL
#define IPV6_HDRINCL 36
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif
#ifndef TCP_IS_MPTCP
#define TCP_IS_MPTCP 43
#endif
#ifndef SO_MEMINFO
#define SO_MEMINFO 55
#endif


/*
** {== Types
*/

int option_mistake(const reading *r, const char *expected) {
  lua_State *L = r->L;
  if (lua_type(L, -1) == LUA_TNUMBER || lua_type(L, -1) == LUA_TBOOLEAN)
    lua_pushfstring(L, "option '%s': %s expected, got %s", r->name, expected,
                    luaL_tolstring(L, -1, NULL));
  else
    lua_pushfstring(L, "option '%s': %s expected, got %s", r->name, expected,
                    luaL_typename(L, -1));
  return luaL_argerror(L, r->arg, lua_tostring(L, -1));
}

static int out_of_range(const reading *r, const option *row) {
  char expected[96];
  snprintf(expected, sizeof expected, "%s from %.15g to %.15g%s%s",
           row->scale > 1 ? "a number" : "a whole number", row->min, row->max,
           row->unit != NULL ? " " : "", row->unit != NULL ? row->unit : "");
  return option_mistake(r, expected);
}

static void put_int(sockopt *o, int value) {
  memcpy(o->value, &value, sizeof value);
  o->length = sizeof value;
}

static int get_int(const sockopt *o) {
  int value = 0;
  memcpy(&value, o->value, o->length < sizeof value ? o->length : sizeof value);
  return value;
}

static void read_flag(const reading *r, const option *row, sockopt *o) {
  (void)row;
  if (!lua_isboolean(r->L, -1))
    option_mistake(r, "true or false");
  put_int(o, lua_toboolean(r->L, -1));
}

static void push_flag(lua_State *L, const option *row, const sockopt *o) {
  (void)row;
  lua_pushboolean(L, get_int(o) != 0);
}

/* A number in range, in the kernel's unit; whole there, rounded up. */
static double read_scaled(const reading *r, const option *row) {
  double value = lua_tonumber(r->L, -1);
  double scaled = ceil(value * row->scale);
  if (lua_type(r->L, -1) != LUA_TNUMBER ||
      !(value >= row->min && value <= row->max) ||
      (row->scale <= 1 && scaled != value))
    out_of_range(r, row);
  return scaled;
}

static void read_number(const reading *r, const option *row, sockopt *o) {
  int64_t whole = (int64_t)read_scaled(r, row); /* -1 to UINT32_MAX */
  put_int(o, (int)(uint32_t)whole);
}

static void push_number(lua_State *L, const option *row, const sockopt *o) {
  int value = get_int(o);
  if (row->scale > 1)
    lua_pushnumber(L, value / row->scale);
  else if (row->max > INT_MAX)
    lua_pushinteger(L, (uint32_t)value);
  else
    lua_pushinteger(L, value);
}

/* seconds | false */
static void read_linger(const reading *r, const option *row, sockopt *o) {
  struct linger linger = {0};
  bool off = lua_isboolean(r->L, -1) && !lua_toboolean(r->L, -1);
  if (!off && lua_type(r->L, -1) != LUA_TNUMBER)
    option_mistake(r, "false or whole seconds");
  if (!off) {
    linger.l_onoff = 1;
    linger.l_linger = (int)read_scaled(r, row);
  }
  memcpy(o->value, &linger, sizeof linger);
  o->length = sizeof linger;
}

static void push_linger(lua_State *L, const option *row, const sockopt *o) {
  struct linger linger = {0};
  (void)row;
  memcpy(&linger, o->value, sizeof linger);
  if (linger.l_onoff)
    lua_pushinteger(L, linger.l_linger);
  else
    lua_pushboolean(L, false);
}

/* The name of an interface or algorithm: up to 15 bytes. */
static void read_name(const reading *r, const option *row, sockopt *o) {
  size_t n = 0;
  const char *text = NULL;
  if (lua_type(r->L, -1) == LUA_TSTRING)
    text = lua_tolstring(r->L, -1, &n);
  if (text == NULL || n < row->min || n > row->max || memchr(text, '\0', n))
    option_mistake(r, "a name of at most 15 bytes");
  memset(o->value, 0, sizeof o->value);
  memcpy(o->value, text, n);
  o->length = (socklen_t)n + 1;
}

static void push_name(lua_State *L, const option *row, const sockopt *o) {
  (void)row;
  lua_pushlstring(L, (const char *)o->value,
                  strnlen((const char *)o->value, o->length));
}

/* The code of the error, or false when there is none. */
static void push_error(lua_State *L, const option *row, const sockopt *o) {
  (void)row;
  if (get_int(o) == 0)
    lua_pushboolean(L, false);
  else
    lua_pushstring(L, error_code(-get_int(o)));
}

/* Of multicast: IPv4 takes an ip_mreqn, of which it reads the last field;
 * IPv6 takes the number alone, and reads the first. */
static void read_interface(const reading *r, const option *row, sockopt *o) {
  host *h = host_of(r->L);
  size_t n;
  (void)row;
  if (lua_type(r->L, -1) != LUA_TSTRING)
    option_mistake(r, "the name of an interface");
  const char *name = lua_tolstring(r->L, -1, &n);
  int index = strlen(name) == n ? h->world->net->ifindex(h, name) : -ENODEV;
  if (index <= 0) {
    char quoted[QUOTE];
    quote(quoted, name, n);
    luaL_argerror(r->L, r->arg,
                  lua_pushfstring(r->L,
                                  "option '%s': no interface is named '%s'",
                                  r->name, quoted));
  }
  struct ip_mreqn request = {.imr_ifindex = index};
  memcpy(&request.imr_multiaddr, &index, sizeof index);
  memcpy(o->value, &request, sizeof request);
  o->length = sizeof request;
}

/* IPv4 tells an address of the interface only. */
static void push_interface(lua_State *L, const option *row, const sockopt *o) {
  char name[16];
  host *h = host_of(L);
  (void)row;
  if (o->level == IPPROTO_IPV6 && get_int(o) > 0 &&
      h->world->net->ifname(h, (unsigned)get_int(o), name) == 0)
    lua_pushstring(L, name);
  else
    lua_pushboolean(L, false);
}

/* A list of the types that are let through; the kernel's set bits block.  What
 * IPv4 reads of it, the types below 32, is IPv6's beginning. */
static void read_types(const reading *r, const option *row, sockopt *o) {
  (void)row;
  if (!lua_istable(r->L, -1))
    option_mistake(r, "a list of ICMP types");
  memset(o->value, 0xff, sizeof o->value);
  for (lua_Integer i = 1; lua_rawgeti(r->L, -1, i) != LUA_TNIL; i++) {
    lua_Integer n = lua_tointeger(r->L, -1);
    if (!lua_isinteger(r->L, -1) || n < 0 || n > 255)
      option_mistake(r, "a list of ICMP types, 0 to 255,");
    uint32_t word;
    memcpy(&word, o->value + n / 32 * 4, sizeof word);
    word &= ~(UINT32_C(1) << n % 32);
    memcpy(o->value + n / 32 * 4, &word, sizeof word);
    lua_pop(r->L, 1);
  }
  lua_pop(r->L, 1);
  o->length = 32;
}

static void push_types(lua_State *L, const option *row, const sockopt *o) {
  lua_Integer count = 0;
  (void)row;
  lua_newtable(L);
  for (unsigned n = 0; n / 32 * 4 + 4 <= o->length; n++) {
    uint32_t word;
    memcpy(&word, o->value + n / 32 * 4, sizeof word);
    if ((word & UINT32_C(1) << n % 32) == 0) {
      lua_pushinteger(L, n);
      lua_rawseti(L, -2, ++count);
    }
  }
}

/* What to do with what is larger than the path takes: ip(7). */
static const char *const discoveries[] = {"dont", "want", "do", "probe", NULL};

static void read_discovery(const reading *r, const option *row, sockopt *o) {
  const char *name =
      lua_type(r->L, -1) == LUA_TSTRING ? lua_tostring(r->L, -1) : "";
  int i = 0;
  (void)row;
  while (discoveries[i] != NULL && strcmp(discoveries[i], name) != 0)
    i++;
  if (discoveries[i] == NULL)
    option_mistake(r, "'dont', 'want', 'do' or 'probe'");
  put_int(o, i);
}

static void push_discovery(lua_State *L, const option *row, const sockopt *o) {
  int i = get_int(o);
  (void)row;
  if (i >= 0 && i < 4)
    lua_pushstring(L, discoveries[i]);
  else
    lua_pushinteger(L, i);
}

/* Messages that the kernel dropped for lack of room: of SO_MEMINFO's numbers
 * the ninth. */
static void push_drops(lua_State *L, const option *row, const sockopt *o) {
  uint32_t words[9] = {0};
  (void)row;
  memcpy(words, o->value, sizeof words);
  lua_pushinteger(L, words[8]);
}

/* Not an option of the kernel's to set, but a protocol for socket(2). */
static void read_multipath(const reading *r, const option *row, sockopt *o) {
  (void)row, (void)o;
  luaL_argerror(r->L, r->arg,
                "option 'mptcp' is of net.connect and net.listen, by tcp://");
}

static const type flag = {read_flag, push_flag, sizeof(int)};
static const type number = {read_number, push_number, sizeof(int)};
static const type lingering = {read_linger, push_linger, sizeof(struct linger)};
static const type name16 = {read_name, push_name, 16};
static const type pending = {NULL, push_error, sizeof(int)};
static const type interface = {read_interface, push_interface, 4};
static const type types = {read_types, push_types, 32};
static const type discovery = {read_discovery, push_discovery, sizeof(int)};
static const type multipath = {read_multipath, push_flag, sizeof(int)};
static const type drops = {NULL, push_drops, 36};
const type option_composite = {NULL, push_flag, sizeof(int)}; /* keepalive */

/* ==} */


/*
** {== The table.  Options are set in its order.
*/

#define SOCKET(n) SOL_SOCKET, n, 0, 0
#define TCP(n) IPPROTO_TCP, n, 0, 0
#define IP(four, six) IPPROTO_IP, four, IPPROTO_IPV6, six
#define FLAG &flag, 0, 1, NULL
#define NUMBER(min, max, unit) &number, min, max, unit

const option option_table[] = {
    {"reuseaddr", SOCKET(SO_REUSEADDR), FLAG, BEFORE, 1},
    {"reuseport", SOCKET(SO_REUSEPORT), FLAG, BEFORE, 1},
    {"v6only", IPPROTO_IPV6, IPV6_V6ONLY, 0, 0, FLAG, BEFORE, 1},
    {"freebind", IP(IP_FREEBIND, IPV6_FREEBIND), FLAG, BEFORE, 1},
    {"transparent", IP(IP_TRANSPARENT, IPV6_TRANSPARENT), FLAG, BEFORE, 1},
    {"device", SOCKET(SO_BINDTODEVICE), &name16, 0, 15, NULL, ALWAYS, 1},
    {"mark", SOCKET(SO_MARK), NUMBER(0, UINT32_MAX, NULL), ALWAYS, 1},
    {"priority", SOCKET(SO_PRIORITY), NUMBER(0, INT_MAX, NULL), ALWAYS, 1},
    {"sndbuf", SOCKET(SO_SNDBUF), NUMBER(1, INT_MAX, "bytes"), ALWAYS, 1},
    {"rcvbuf", SOCKET(SO_RCVBUF), NUMBER(1, INT_MAX, "bytes"), ALWAYS, 1},
    {"broadcast", SOCKET(SO_BROADCAST), FLAG, ALWAYS, 1},
    {"dontroute", SOCKET(SO_DONTROUTE), FLAG, ALWAYS, 1},
    {"oobinline", SOCKET(SO_OOBINLINE), FLAG, ALWAYS, 1},
    {"linger", SOCKET(SO_LINGER), &lingering, 0, 65535, "s", ALWAYS, 1},
    {"tos", IP(IP_TOS, IPV6_TCLASS), NUMBER(0, 255, NULL), ALWAYS, 1},
    {"ttl", IP(IP_TTL, IPV6_UNICAST_HOPS), NUMBER(1, 255, "hops"), ALWAYS, 1},
    {"nodelay", TCP(TCP_NODELAY), FLAG, ALWAYS, 1},
    {"cork", TCP(TCP_CORK), FLAG, ALWAYS, 1},
    {"quickack", TCP(TCP_QUICKACK), FLAG, ALWAYS, 1},
    {"maxseg", TCP(TCP_MAXSEG), NUMBER(88, 32767, "bytes"), ALWAYS, 1},
    {"user_timeout", TCP(TCP_USER_TIMEOUT), NUMBER(0, 2147483, "s"), ALWAYS,
     1000},
    {"notsent_lowat", TCP(TCP_NOTSENT_LOWAT), NUMBER(0, UINT32_MAX, "bytes"),
     ALWAYS, 1},
    {"congestion", TCP(TCP_CONGESTION), &name16, 1, 15, NULL, ALWAYS, 1},
    {"fastopen", TCP(TCP_FASTOPEN), NUMBER(0, 65535, "requests"), ALWAYS, 1},
    {"fastopen_connect", TCP(TCP_FASTOPEN_CONNECT), FLAG, BEFORE, 1},
    {"defer_accept", TCP(TCP_DEFER_ACCEPT), NUMBER(0, 65535, "s"), ALWAYS, 1},
    {"keepalive", SOCKET(SO_KEEPALIVE), &option_composite, 0, 1, NULL, ALWAYS,
     1},
    {"keepalive_idle", TCP(TCP_KEEPIDLE), NUMBER(1, 32767, "s"), ALWAYS, 1},
    {"keepalive_interval", TCP(TCP_KEEPINTVL), NUMBER(1, 32767, "s"), ALWAYS,
     1},
    {"keepalive_count", TCP(TCP_KEEPCNT), NUMBER(1, 127, NULL), ALWAYS, 1},
    {"multicast_interface", IP(IP_MULTICAST_IF, IPV6_MULTICAST_IF), &interface,
     0, 0, NULL, ALWAYS, 1},
    {"multicast_ttl", IP(IP_MULTICAST_TTL, IPV6_MULTICAST_HOPS),
     NUMBER(0, 255, "hops"), ALWAYS, 1},
    {"multicast_loop", IP(IP_MULTICAST_LOOP, IPV6_MULTICAST_LOOP), FLAG, ALWAYS,
     1},
    {"multicast_all", IP(IP_MULTICAST_ALL, IPV6_MULTICAST_ALL), FLAG, ALWAYS,
     1},
    {"pktinfo", IP(IP_PKTINFO, IPV6_RECVPKTINFO), FLAG, ALWAYS, 1},
    {"recvttl", IP(IP_RECVTTL, IPV6_RECVHOPLIMIT), FLAG, ALWAYS, 1},
    {"recvtos", IP(IP_RECVTOS, IPV6_RECVTCLASS), FLAG, ALWAYS, 1},
    {"recverr", IP(IP_RECVERR, IPV6_RECVERR), FLAG, ALWAYS, 1},
    {"gro", IPPROTO_UDP, UDP_GRO, 0, 0, FLAG, ALWAYS, 1},
    {"timestamp", SOCKET(SO_TIMESTAMPNS), FLAG, ALWAYS, 1},
    {"passcred", SOCKET(SO_PASSCRED), FLAG, ALWAYS, 1},
    {"mtu_discover", IP(IP_MTU_DISCOVER, IPV6_MTU_DISCOVER), &discovery, 0, 0,
     NULL, ALWAYS, 1},
    {"hdrincl", IP(IP_HDRINCL, IPV6_HDRINCL), FLAG, ALWAYS, 1},
    {"checksum", IPPROTO_IPV6, IPV6_CHECKSUM, 0, 0, NUMBER(-1, 65534, "bytes"),
     ALWAYS, 1},
    {"icmp_types", SOL_RAW, ICMP_FILTER, IPPROTO_ICMPV6, ICMP_FILTER, &types, 0,
     0, NULL, ALWAYS, 1},
    {"mptcp", TCP(TCP_IS_MPTCP), &multipath, 0, 1, NULL, BEFORE, 1},
    {"drops", SOCKET(SO_MEMINFO), &drops, 0, 0, NULL, ASK, 1},
    {"error", SOCKET(SO_ERROR), &pending, 0, 0, NULL, ASK, 1},
    {"acceptconn", SOCKET(SO_ACCEPTCONN), FLAG, ASK, 1},
    {NULL, 0, 0, 0, 0, NULL, 0, 0, NULL, ALWAYS, 0},
};

const option option_keepalive = {"keepalive", SOCKET(SO_KEEPALIVE), FLAG,
                                 ALWAYS, 1};

const option *option_find(const char *name) {
  const option *row = option_table;
  while (row->name != NULL && strcmp(row->name, name) != 0)
    row++;
  return row->name != NULL ? row : NULL;
}

/* ==} */
