/*
** Socket options by name: from a script's table to what a socket is told, and
** back.  The options themselves are in option_table.c.
*/

#include "net/options.h"

#include <lauxlib.h>
#include <netinet/tcp.h>
#include <string.h>

#include <linux/sctp.h>

#include "host/nearest.h"
#include "host/quote.h"
#include "net/option_table.h"


/*
** {== Unknown names
*/

/* Raise that there is no such option, and say which was meant. */
static int unknown(lua_State *L, int arg, const char *name,
                   const char *const also[]) {
  nearest meant = {.written = name};
  char quoted[QUOTE];
  for (const option *row = option_table; row->name != NULL; row++)
    nearest_try(&meant, row->name);
  for (; also != NULL && *also != NULL; also++)
    nearest_try(&meant, *also);
  quote(quoted, name, strlen(name));
  if (meant.name != NULL)
    lua_pushfstring(L, "unknown option '%s' (did you mean '%s'?)", quoted,
                    meant.name);
  else
    lua_pushfstring(L, "unknown option '%s'", quoted);
  return luaL_argerror(L, arg, lua_tostring(L, -1));
}

static bool listed(const char *const also[], const char *name) {
  for (; also != NULL && *also != NULL; also++) {
    if (strcmp(*also, name) == 0)
      return true;
  }
  return false;
}

/* Raise for a key that is no option; of several, the first in the alphabet. */
static void check_keys(lua_State *L, int arg, const char *const also[]) {
  const char *worst = NULL;
  for (lua_pushnil(L); lua_next(L, arg); lua_pop(L, 1)) {
    const char *name;
    size_t n;
    if (lua_type(L, -2) != LUA_TSTRING) {
      lua_pushfstring(L, "an option's name is a string, got a %s",
                      luaL_typename(L, -2));
      luaL_argerror(L, arg, lua_tostring(L, -1));
    }
    name = lua_tolstring(L, -2, &n);
    if (strlen(name) == n && (option_find(name) != NULL || listed(also, name)))
      continue;
    if (worst == NULL || strcmp(name, worst) < 0)
      worst = name;
  }
  if (worst != NULL)
    unknown(L, arg, worst, also);
}

/* ==} */


/*
** {== From Lua
*/

/* Fewer than fit, because options_family() may make two of one. */
static void append(const reading *r, const option *row, sockspec *spec) {
  sockopt *o = &spec->options[spec->option_count];
  unsigned doubled = 0;
  for (const option *x = option_table; x->name != NULL; x++) {
    for (unsigned i = 0; x->number6 != 0 && i < spec->option_count; i++)
      doubled += spec->options[i].level == x->level &&
                 spec->options[i].name == x->number;
  }
  if (spec->option_count + doubled + 2 > SOCKSPEC_OPTIONS)
    luaL_argerror(r->L, r->arg, "too many options");
  o->level = row->level;
  o->name = row->number;
  row->type->read(r, row, o);
  spec->option_count++;
}

static void keep(lua_State *L, int arg, sockspec *spec, bool on) {
  reading r = {L, arg, option_keepalive.name};
  lua_pushboolean(L, on);
  append(&r, &option_keepalive, spec);
  lua_pop(L, 1);
}

/* true | false | seconds until the first probe | {idle=, interval=, count=} */
static void read_keepalive(lua_State *L, int arg, sockspec *spec) {
  static const struct part {
    const char *key, *name;
  } parts[] = {{"idle", "keepalive_idle"},
               {"interval", "keepalive_interval"},
               {"count", "keepalive_count"}};
  reading r = {L, arg, "keepalive"};
  int table = lua_gettop(L);
  if (lua_isboolean(L, -1)) {
    keep(L, arg, spec, lua_toboolean(L, -1));
    return;
  }
  if (lua_type(L, -1) == LUA_TNUMBER) {
    keep(L, arg, spec, true);
    append(&r, option_find("keepalive_idle"), spec);
    return;
  }
  if (!lua_istable(L, -1))
    option_mistake(&r, "true, false, seconds or {idle=, interval=, count=}");
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
    const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
    if (strcmp(key, "idle") != 0 && strcmp(key, "interval") != 0 &&
        strcmp(key, "count") != 0)
      luaL_argerror(L, arg,
                    "option 'keepalive': its fields are idle, interval (s) "
                    "and count");
  }
  keep(L, arg, spec, true);
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
    lua_pushstring(L, parts[i].key);
    r.name = parts[i].name;
    if (lua_rawget(L, table) != LUA_TNIL)
      append(&r, option_find(parts[i].name), spec);
    lua_pop(L, 1);
  }
}

static void check_when(const reading *r, const option *row, bool open) {
  if (row->when == ASK)
    lua_pushfstring(r->L, "option '%s' can only be asked for", row->name);
  else if (row->when == BEFORE && open)
    lua_pushfstring(r->L, "option '%s' is given when the socket is made",
                    row->name);
  else
    return;
  luaL_argerror(r->L, r->arg, lua_tostring(r->L, -1));
}

static int parse(lua_State *L, int arg, int family, bool open, sockspec *spec,
                 const char *const also[]) {
  unsigned before = spec->option_count;
  if (lua_isnoneornil(L, arg))
    return 0;
  luaL_checktype(L, arg, LUA_TTABLE);
  luaL_checkstack(L, 12, NULL);
  arg = lua_absindex(L, arg);
  check_keys(L, arg, also);
  for (const option *row = option_table; row->name != NULL; row++) {
    reading r = {L, arg, row->name};
    lua_pushstring(L, row->name);
    if (lua_rawget(L, arg) == LUA_TNIL || listed(also, row->name)) {
      lua_pop(L, 1);
      continue;
    }
    check_when(&r, row, open);
    if (row->type == &option_composite)
      read_keepalive(L, arg, spec);
    else
      append(&r, row, spec);
    lua_pop(L, 1);
  }
  options_family(spec, family);
  return (int)(spec->option_count - before);
}

int options_parse(lua_State *L, int arg, int family, sockspec *spec,
                  const char *const also[]) {
  return parse(L, arg, family, false, spec, also);
}

int options_parse_open(lua_State *L, int arg, int family, sockspec *spec) {
  return parse(L, arg, family, true, spec, NULL);
}

/* ==} */


/*
** {== Families
*/

/* The row of an option of IPv4 or IPv6 that has a twin in the other. */
static const option *twin(const sockopt *o) {
  for (const option *row = option_table; row->name != NULL; row++) {
    if (row->number6 != 0 &&
        ((o->level == row->level && o->name == row->number) ||
         (o->level == row->level6 && o->name == row->number6)))
      return row;
  }
  return NULL;
}

static bool has(const sockspec *spec, int level, int name) {
  for (unsigned i = 0; i < spec->option_count; i++) {
    if (spec->options[i].level == level && spec->options[i].name == name)
      return true;
  }
  return false;
}

/* What SCTP has in common with TCP goes by another number. */
static void choose_protocol(sockopt *o, int protocol) {
  if (protocol == IPPROTO_SCTP && o->level == IPPROTO_TCP &&
      o->name == TCP_NODELAY) {
    o->level = IPPROTO_SCTP;
    o->name = SCTP_NODELAY;
  }
}

/* First all as IPv4's, each once; then IPv6's, and IPv4's behind them, but for
 * raw sockets, which take only their own. */
void options_family(sockspec *spec, int family) {
  unsigned count = spec->option_count;
  spec->option_count = 0;
  for (unsigned i = 0; i < count; i++) {
    sockopt o = spec->options[i];
    const option *row = twin(&o);
    if (row != NULL && o.level == row->level6) {
      o.level = row->level;
      o.name = row->number;
    }
    choose_protocol(&o, spec->protocol);
    if (row == NULL || !has(spec, o.level, o.name))
      spec->options[spec->option_count++] = o;
  }
  if (family != AF_INET6)
    return;
  count = spec->option_count;
  for (unsigned i = 0; i < count; i++) {
    const option *row = twin(&spec->options[i]);
    sockopt *o = &spec->options[i];
    if (row == NULL)
      continue;
    if (spec->type != SOCK_RAW && spec->option_count < SOCKSPEC_OPTIONS)
      spec->options[spec->option_count++] = *o; /* IPv4's stays */
    o->level = row->level6;
    o->name = row->number6;
  }
}

/* ==} */


/*
** {== To Lua
*/

const option *options_ask(lua_State *L, int arg, int family, int protocol,
                          sockopt *o) {
  const char *name;
  const option *row;
  luaL_checktype(L, arg, LUA_TSTRING);
  name = lua_tostring(L, arg);
  row = option_find(name);
  if (row == NULL || strlen(name) != lua_rawlen(L, arg))
    unknown(L, arg, name, NULL);
  memset(o, 0, sizeof *o);
  o->level = row->level;
  o->name = row->number;
  o->length = row->type->length;
  if (family == AF_INET6 && row->number6 != 0) {
    o->level = row->level6;
    o->name = row->number6;
  }
  choose_protocol(o, protocol);
  return row;
}

void options_push(lua_State *L, const option *row, const sockopt *o) {
  row->type->push(L, row, o);
}

/* ==} */
