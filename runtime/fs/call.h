/*
** Calls: what is asked of a file system, each as work in a thread (sched/work.h), for
** a disk may be slow, and a server of files dead.
**
** A function of Lua's gets the root at 1, checks its arguments, makes a call, which
** copies all that the thread needs, and returns call_run.
*/

#ifndef FS_CALL_H
#define FS_CALL_H

#include <lauxlib.h>
#include <lua.h>
#include <sys/stat.h>

#include "fs/line.h"
#include "fs/place.h"
#include "sched/work.h"

enum { CALLS = 32 }; /* of a root at a time */

/* Where paths begin, as Lua and the calls share it. */
typedef struct root {
  place place;
  work_gate gate;
  unsigned users; /* whose last one frees it */
  char *name;     /* before the paths of messages; "": nothing */
} root;

typedef struct call call;

typedef struct call_kind {
  work_kind work;      /* CALL of its name */
  int (*run)(call *c); /* in any thread, without Lua: 0 or a negative errno */
  int (*push)(lua_State *L, call *c); /* the results of 0 */
  bool changes;                       /* something in the file system */
} call_kind;

struct call {
  work work;
  root *root;
  char *path, *other; /* malloc'ed */
  char *bytes;        /* malloc'ed, `size` of `room` are used */
  size_t size, room;
  int64_t from; /* in a file */
  int fd, into; /* to be closed, unless -1 */
  int flags, mode;
  uint64_t chance;
  line line;
  struct stat st;
  int status;
  const char *words; /* that say it better; or NULL */
};

#define CALL(name) \
  { name, sizeof(call), call_work, call_push, call_clear, false }
#define CALL_STAYS(name) \
  { name, sizeof(call), call_work, call_push, call_clear, true }

void call_work(work *w);
int call_push(lua_State *L, work *w);
void call_clear(work *w);

/* On top of the stack, for call_run: so the arguments behind the last that must be
 * there are looked at before.  `path`, of the argument there, may be 0: none. */
call *call_new(lua_State *L, const call_kind *kind, int path);
int call_run(lua_State *L, call *c);


/* A copy of a text that has no zero in it; of one that is too long for a path, so much
 * that it still is. */
char *call_text(lua_State *L, int arg);

/* A copy of some bytes. */
void call_bytes(lua_State *L, call *c, int arg);

/* The root at 1; raises for another value. */
root *call_root(lua_State *L);

/* Does nobody want it any more? */
static inline bool call_dropped(const call *c) {
  return atomic_load(&c->work.dropped);
}

/* Beneath its root. */
static inline int call_open(call *c, int flags) {
  return place_open(&c->root->place, c->path, flags, (mode_t)c->mode);
}

static inline int call_parent(call *c, char name[NAME_MAX + 1]) {
  return place_parent(&c->root->place, c->path, name);
}

/* Room behind what is in `bytes` for n more, and one; 0 or -ENOMEM. */
int call_reserve(call *c, size_t n);

/* Results: true; nil and an error; the descriptor as a stream. */
int call_push_true(lua_State *L, call *c);
int call_fail(lua_State *L, call *c, int status);
int call_push_stream(lua_State *L, call *c);

/* Push a root, whose descriptor becomes its own. */
int call_push_root(lua_State *L, place p, const char *name);

/* The functions of each part. */
extern const luaL_Reg root_functions[], whole_functions[], folder_functions[],
    entry_functions[], send_functions[], watch_functions[];

void call_open_classes(lua_State *L);
void lock_open(lua_State *L);

#endif
