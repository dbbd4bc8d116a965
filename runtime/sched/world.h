/*
** What the outside world decides: the clocks, chance, the order of ready
** tasks, and waiting.  One table a backend, chosen when a host is created.
** Sockets and names have a table of their own in net/backend.h, and so have
** children, signals and the terminal in sys/system.h.
**
** `w` is the backend's state, host.outside.  Times are nanoseconds.  A function may
** be NULL only where that is said; life_open checks it (world.c).
*/

#ifndef SCHED_WORLD_H
#define SCHED_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define NEVER UINT64_MAX

/* What so many tasks write leaves behind the last of them: the code of the kernel and
 * that of Lua, which hardly fit into the caches together, are then each run through
 * several times.  So as many streams are read together, and gather at a time. */
enum { TOGETHER = 16 };

struct host;

typedef struct world world;

/* How the time of a host's thread goes. */
typedef struct load {
  uint64_t turns; /* waits for the world, since it began */
  uint64_t busy;  /* ns between them, of all */
  uint64_t
      longest; /* ns of the longest since this reader asked before: so long, at
                       most, has something that happened waited */
} load;

/* Who asks for it: neap.metrics, and `neap top`. */
enum load_reader { LOAD_METRICS, LOAD_TOP, LOAD_READERS };

/* What is to be looked at when a time has passed, whether it computes or not:
 *   TOO_LONG    is interrupted as by a signal, and again and again: sched_preempt, and
 *               its system call ends.  It asks no more who has called it:
 *               sched/preempt.c hears
 *   COMPUTES    lets prompts in, once: sched_visit.  The time is what the thread itself
 *               has computed, so no system call that waits is touched */
enum world_alarm { WORLD_TOO_LONG, WORLD_COMPUTES, WORLD_ALARMS };

struct world {
  const char *name;

  uint64_t (*now)(void *w);        /* monotonic, never 0 */
  uint64_t (*coarse)(void *w);     /* the same, but cheap, and some ms late */
  uint64_t (*ticks)(void *w);      /* passing time, nearly for nothing: one to
                                  five in a ns, from any beginning */
  int64_t (*wall)(void *w);        /* since 1970-01-01 UTC */
  uint64_t (*cpu)(void *w);        /* processor time of the process */
  uint64_t (*thread_cpu)(void *w); /* and of the thread that drives the host: by
                                      it a task computes long (preempt.c).  Where
                                      host.counted is set it is what counts: called
                                      for each HOST_COUNT instructions of Lua */
  void (*random)(void *w, void *bytes, size_t n);

  /* Which of the first n ready tasks runs next, 0..n-1.  NULL: first in, first out. */
  size_t (*pick)(void *w, size_t n);

  /* Wait until the deadline (0: do not wait; NEVER: no deadline) or until
   * something happened, deliver what happened to the objects that it
   * concerns, and call sched_round() after one or a few deliveries.  Returns
   * the time behind the waiting and before the first delivery; 0: there was no
   * deadline.  Called between turns, and by what waits for the end of a host.
   * NULL: who drives the host delivers by himself (life.h); then leave and thread
   * are NULL, too. */
  uint64_t (*poll)(void *w, uint64_t deadline);

  /* Deliver the signals and the rings that have come, and nothing else; called
   * from Lua. */
  void (*hear)(void *w);

  /* What runs is to be interrupted, also in a system call: if it goes on for a while,
   * it is preempted and its call ends, again and again, until hush().  Meanwhile
   * host.nudged is set.  A signal that ends what runs does that by itself, where
   * sched_may_nudge() allows it.  For whom it was meant sched/preempt.c knows, and
   * calls hush() before something else runs: also before each poll. */
  void (*nudge)(void *w);
  void (*hush)(void *w);

  /* End the process, now; a status of -n is death by signal n.  NULL: it is not
   * this host's to end, and os.exit ends the host only. */
  void (*leave)(void *w, int status);

  /* Threads: these five are NULL where there are none.  run(arg) in a thread of its own, and then
   * done(arg) from this host's poll; 0 or -errno. */
  int (*thread)(void *w, void (*run)(void *), void (*done)(void *), void *arg);

  /* From bell() on any thread may ring(), until the host ends: soon rang(h) is
   * called from poll, or from hear, once for all that rang before.  preempt() also
   * preempts what Lua runs in the host's thread (sched/task.h); gently: it ends no
   * system call of what is served, which may go on (sched/drain.h).  visit() calls
   * sched_visit() there. */
  int (*bell)(void *w, void (*rang)(struct host *h));
  void (*ring)(void *w);
  void (*preempt)(void *w, bool gently);
  void (*visit)(void *w);

  /* A count of open descriptors, of the stats; -1 where the notion has no
   * meaning. */
  int (*descriptors)(void *w);

  /* The names in a folder, as many as fit: each with a '/' (a folder) or a
   * ' ' (another file) before it, and a zero behind it.  The bytes used, or a
   * negative errno. */
  ssize_t (*list)(void *w, const char *path, char *names, size_t room);

  /* Would close() wait for a thread? */
  bool (*busy)(void *w);

  /* Call profile_sample (sched/profile.h) so often in a second of processor time of
   * the thread that drives the host, from a signal's handler; 0: no more.  0 or
   * -errno; NULL: that cannot be. */
  int (*sample)(void *w, unsigned rate);

  /* In so many ns what runs is looked at, from a signal's handler.  NEVER: no more.
   * NULL: that cannot be. */
  void (*alarm)(void *w, enum world_alarm which, uint64_t ns);

  /* NULL: it is not known. */
  void (*load)(void *w, enum load_reader who, struct load *out);

  /* Free what host.outside is, and all that is still open in it, without a call to
   * the lua_State, which is closed. */
  void (*close)(struct host *h);

  const struct backend *net; /* sockets: net/backend.h */
  const struct system *sys; /* children, signals, the terminal: sys/system.h; or
                                NULL */
};

/* Chance for libraries that draw it by themselves, and know no host: that of the world
 * which drives this thread just now.  No `draw`: the system's. */
typedef struct world_draws {
  void (*draw)(void *about, void *bytes, size_t n);
  void *about;
} world_draws;

extern _Thread_local world_draws world_chance;

/* Which function of a world is missing?  Then it is a mistake of who made it, and the
 * process ends. */
void world_check(const world *w);

#endif
