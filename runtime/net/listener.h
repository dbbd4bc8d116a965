/*
** Listeners: as streams, a box of Lua's and a body of the backend's, but smaller.
*/

#ifndef NET_LISTENER_H
#define NET_LISTENER_H

#include "net/backend.h"
#include "sched/wait.h"

#define LISTENER_CLASS "neap.Listener" /* for luaL_checkudata */

/* What makes another stream of each that is accepted: a layer's. */
typedef struct cover {
  stream *(*over)(struct cover *c, stream *lower);
  void (*end)(struct cover *c); /* frees it */
} cover;

struct listener {
  host *host;
  listener *next, **at; /* as a stream's */
  uint64_t accepted;    /* connections */
  struct listener_box *box;
  const backend *backend; /* its functions: the world's, or those of mem: */
  waitq acceptors;
  cover *cover;         /* NULL: none */
  const char *where;    /* the endpoint as printed */
  address addr;         /* bound to */
  const sockspec *spec; /* its own copy: for what is accepted */
  uint64_t rearm;       /* after a lack of resources: not before; 0: now */
  uint64_t backoff;     /* the next such pause, ns */
  int protocol;         /* as in sockspec */
  unsigned serial;
  bool closed, watched, outside;
  bool served; /* a drain concerns it: drains_lua */
  bool drains; /* what has come is accepted, and then nobody */
  bool hidden; /* no trace sees it, or what it accepts */
  bool bare;   /* who takes what it accepts covers that */
};

typedef struct listener_box {
  listener *listener; /* NULL: closed */
  unsigned serial;
  uint32_t mark; /* host_mark(&listener_mark) */
} listener_box;

static inline void *listener_part(listener *l) {
  return l + 1;
}

listener *listener_new(host *h, size_t part, const sockspec *spec);

void listener_ready(listener *l);  /* accept may succeed */
void listeners_drain(host *h);     /* sched_on_drain's */
void listener_close(listener *l);  /* empties its box, wakes who accepts */
void listener_closed(listener *l); /* frees the body */

extern const char listener_mark; /* host_marked's */
extern const luaL_Reg listener_methods[];

/* The listener at index; NULL for anything else, or a closed one. */
listener *listener_test(lua_State *L, int index);

/* The userdata's values. */
enum { LISTENER_SCOPES = 1, LISTENER_CONTEXT, LISTENER_VALUES = 2 };

int listener_push(lua_State *L, listener *l, const char *where);
void listener_open(lua_State *L);

#endif
