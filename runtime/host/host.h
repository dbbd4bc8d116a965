/*
** A host: one lua_State and what it owns.
**
** Nothing is global in C.  Every lua_State of a host, main thread or
** coroutine, carries the host in its extra space, so any C function finds it
** by host_of(L).  Two hosts can live in one process, each with its own world.
*/

#ifndef HOST_HOST_H
#define HOST_HOST_H

#include <lauxlib.h>
#include <lua.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct host host;
struct trace_event;

/* Who sees what the sockets do: net/trace.h. */
struct tap {
  void (*see)(struct tap *w, const struct trace_event *e);
  void (*end)(struct tap *w); /* the process ends: write what is there */
};

struct host {
  lua_State *L;              /* the main thread; no user code runs on it */
  struct slab *slab;         /* its memory */
  struct arena *arena;       /* which it has instead, if its world has made one:
                                host/arena.h; or NULL */
  const struct world *world; /* what the outside decides: sched/world.h */
  const struct subsystem *subsystems; /* what is opened with it: sched/life.h */
  char **argv;        /* of the process; NULL: it can't be started again */
  const char *script; /* its path; NULL: the program is none */
  const struct command *command; /* of the process: cli/command.h; NULL: none */
  void *outside;       /* the backend's own state, its first argument */
  uint64_t busy_poll;  /* ns that a real world's poll looks for news before it
                         sleeps */
  uint64_t drain;      /* ns that what is served may take to end, when a signal
                         ends the program; 0: nothing waits */
  struct sched *sched; /* tasks and deadlines: sched/task.h */
  struct net *net;     /* what the sockets of this host share */
  struct crypto *crypto;     /* crypto/crypto.h; NULL until it is needed */
  struct workshop *workshop; /* threads and channels: worker/workshop.h */
  const char *label;         /* who speaks on stderr: "neap" */
  char *told;                /* what was told first; malloc'ed, or NULL */
  char *told_at;             /* "file.lua:9", where that was; the same */
  bool supervises;           /* the script's workers: its signals are theirs */
  int siblings; /* workers that run the same script beside this host; 0 */
  int slot;     /* which of them it is, from 1; 0: none */
  void (*settled)(struct host *h); /* called once, when it serves all that its
                                      predecessor did: uv/holding.h; NULL */
  struct profile *profile;         /* sched/profile.h; NULL: there is none */
  struct tap *tap;  /* sees what the sockets do; NULL: nobody does */
  unsigned serial;  /* the last number given to a task or socket */
  unsigned streams; /* open, for the stats */
  unsigned listeners;
  unsigned datagrams;
  unsigned handles;            /* other things of the backend: children, ... */
  lua_State *base;             /* the running task's own coroutine */
  lua_State *volatile running; /* the innermost coroutine that runs now */
  volatile sig_atomic_t preempt_due; /* a signal came: `watch` is to look */
  volatile sig_atomic_t nudged;      /* system calls are ended: sched/world.h */
  volatile sig_atomic_t visited;     /* what computes lets prompts run */
  lua_State *aside; /* the coroutine that the hook has just stopped; NULL */
  bool held;        /* it is to look on, while this task runs */
  bool counted;     /* it is to count what computes: by world.thread_cpu */
  bool hooked;      /* debug.sethook was called: host/hook.h */
  lua_Hook on_line; /* of coroutines that have no hook of the script's; NULL */
  struct lines *lines; /* how often they ran: host/lines.h; NULL: not counted */
  bool tested;         /* births of sockets are noted: sched/task.h */
  void (*watch)(struct host *h, lua_State *co); /* sched/preempt.c */
  void (*insist)(lua_State *L); /* an error was caught: raises where the
                                    running task must not go on behind it */
  unsigned stuck;               /* calls below which nothing can suspend */
  unsigned closing;             /* nested coroutine.close */
  bool no_environment;          /* Lua's variables are not looked at: -E */
  bool warning;                 /* in the middle of one */
  bool warns;                   /* warn("@on") */
  bool begun;      /* the program itself has: what the command line runs before
                      it has ended well */
  bool ended;      /* the state is being closed: what a finalizer makes now
                       gets none itself */
  bool quiet;      /* the program has ended: no task runs any more, and what
                       arrives is for nobody */
  int exit_status; /* of the process; -n: it ends by signal n */
  struct tls_host *tls; /* what TLS streams share: tls/tls.h; NULL: none were */
};

/* The host that L belongs to. */
static inline host *host_of(lua_State *L) {
  return *(host **)lua_getextraspace(L);
}

/* Is it to do the same each time, so that nothing of the process, of its user or of his
 * files may reach it, nor be changed by it? */
static inline bool host_replays(const host *h) {
  return h->arena != NULL;
}

/* In the registry of such a host: a table of its environment. */
#define HOST_ENVIRONMENT "neap.environment"

/* The next serial number, from 1: what objects print instead of a pointer. */
static inline unsigned host_serial(host *h) {
  return ++h->serial;
}

/* When what host.watch sets is called: after so many instructions, and as a function
 * returns. */
enum { HOST_COUNT = 1000, HOST_EVENTS = LUA_MASKCOUNT | LUA_MASKRET };

/* Lua goes on in this coroutine; NULL: outside of tasks. */
static inline void host_enter(host *h, lua_State *co) {
  h->running = co;
  if ((h->preempt_due || h->held || h->visited || h->counted) && co != NULL)
    h->watch(h, co);
}

/* Can L give way to the scheduler?  Not from a coroutine that a C library has
 * resumed by itself: what is given there goes to that library. */
static inline bool host_suspends(lua_State *L) {
  const host *h = host_of(L);
  return h->stuck == 0 && L == h->running && lua_isyieldable(L);
}

/* Register for `require name` a C function that leaves the module. */
void host_module(lua_State *L, const char *name, lua_CFunction open);

/* The standard library is whole, and no script has run: from now on neap's own
 * code in Lua sees it as it is.  A lua_CFunction. */
int host_seal(lua_State *L);

/* The main function on top is neap's own: the globals that it sees are those of
 * host_seal. */
void host_own(lua_State *L);

/* Push such a global, whatever the script made of its own. */
void host_global(lua_State *L, const char *name);

/* Push a module, by the `require` of neap's own code. */
void host_require(lua_State *L, const char *name);

/* Create the lua_State of a zeroed host, with the standard libraries and
 * neap's replacements of parts of them (coroutine.*, require, dofile,
 * loadfile).  False when there is no memory for it. */
bool host_open(host *h);

/* Close the lua_State: finalizers and pending <close> variables run. */
void host_close(host *h);

/* The exit status of a process that is to end with this one: another when what
 * print wrote did not arrive, which is told. */
int host_flush(int status);

/* Say on stderr what ends a program: a line with the label before it. */
void host_tell(host *h, const char *text, size_t n);

/* Load a file as text ("-" or NULL: stdin) and push the function; or push a
 * message and return Lua's status, LUA_ERRFILE when the file cannot be read.
 * A first line that begins with # is skipped. */
int host_load_file(lua_State *L, const char *path);

/* Modules next to that script are found. */
void host_add_folders(lua_State *L, const char *script);

/* Push a new userdata of a class for something that Lua is to own from now on.
 * Without the memory for it, and when the host has ended, push the error and
 * return NULL: the caller lets go of what it has, and then raises. */
void *host_box(lua_State *L, const char *class, size_t size, int values);

/* The mark of a class: from the address of something of the class's own, such
 * that the upper half of no address looks like it. */
static inline uint32_t host_mark(const void *own) {
  return (uint32_t)(uintptr_t)own | UINT32_C(1) << 31;
}

/* The userdata at index if it is of a class whose objects have this size and end
 * with the class's mark; or NULL.  luaL_checkudata looks the class up by its name,
 * which costs a fifth of an echoed message (docs/performance.md). */
static inline void *host_marked(lua_State *L, int index, size_t size,
                                const void *own) {
  char *p = lua_touserdata(L, index);
  uint32_t is = 0;
  if (p != NULL && lua_rawlen(L, index) == size)
    memcpy(&is, p + size - sizeof is, sizeof is);
  return is == host_mark(own) ? p : NULL;
}

/* A number by which a class's metatable is found faster than by its name. */
int host_class(lua_State *L, const char *class);

/* Make the userdata on top one of that class. */
static inline void host_set_class(lua_State *L, int class) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, class);
  lua_setmetatable(L, -2);
}

/* Call the function below nargs arguments on the main thread, before any task
 * runs (opening modules).  False, with the message on the stack, on error. */
bool host_call(host *h, int nargs, int nresults);

#endif
