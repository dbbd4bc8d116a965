/*
** Workers within: their threads (worker_thread.c), and what Lua has of them
** (worker_class.c).
*/

#ifndef WORKER_WORKER_PARTS_H
#define WORKER_WORKER_PARTS_H

#include <pthread.h>
#include <stdatomic.h>

#include "sched/wait.h"
#include "worker/message.h"
#include "worker/worker.h"

/* How a worker is asked to end.  INSIST is for what went on behind INTERRUPT. */
enum asked { NOT, DRAIN, INTERRUPT, INSIST };

struct worker {
  /* Whom an interrupt reaches, under the lock. */
  pthread_mutex_t lock;
  host *host; /* its own, from worker_begin to workers_close */
  enum asked asked;
  bool summoned;

  /* Given to the thread. */
  void (*live)(worker *);
  enum worker_kind kind;
  int id, count;
  char label[32];
  char *name, *code;
  size_t code_size;
  message *arguments;

  /* Made by the thread. */
  message *results;
  char *error;
  int status;
  bool began;

  atomic_bool settled; /* serves all that its predecessor did */

  /* Of the host that started it. */
  host *parent;
  worker *older, *newer; /* in the host's workshop */
  waitq waiters;
  bool ended, dropped;
  unsigned rung;       /* how often it was asked whether its loop goes on */
  atomic_uint heard;   /* of these */
  atomic_uint ringing; /* rung, for its thread */
};

/* Ask it to end, in this way at least. */
void worker_ask(worker *w, enum asked asked);

/* Have it open a place to attach to. */
void worker_summon(worker *w);

/* Its loop is to hear. */
void worker_ring(worker *w);

/* In its thread. */
void worker_live(void *w);

/* The module neap.worker.core. */
int worker_class_open(lua_State *L);

#endif
