/*
** Rounds: what has arrived is lent to its readers until they have run.
**
** A read goes into one buffer, which all streams share.  Whoever reads hands the
** bytes up and does no more: the tasks that this woke run (a round) when a few
** more streams have been read, or when the backend says so; they find the bytes
** where the kernel put them; and behind the round what they left is copied away.
** So an idle stream owns no buffer, most bytes are copied once, and the kernel's
** code and ours push each other out of the caches less often.
**
** What is closed may still be named by an event that is under way, or be in
** somebody's hands.  So it is freed behind the batch of events (round_later).
*/

#ifndef NET_ROUND_H
#define NET_ROUND_H

#include "net/state.h"

enum {
  ROUND_ROOM = 64 * 1024,  /* bytes of one read, at most */
  ROUND_BYTES = 32 * 1024, /* behind which no more streams join a round */
  LAYER_ROOM = 16 * 1024,  /* bytes that a layer hands up in one piece */
  LAYERS = 8               /* over each other, at most */
};

/* Where to read to: ROUND_ROOM bytes, until the next of the calls below. */
char *round_room(host *h);

/* The first n of that room are this stream's.  A round may follow at once: so
 * nothing that a task could close is in hand. */
void round_hand(stream *s, size_t n);

/* These bytes have arrived, and stay where they are until round_run, which the
 * caller calls next. */
void round_lend(stream *s, char *bytes, size_t n);

/* These bytes have arrived, and what is to stay of them is copied at once. */
void round_give(stream *s, char *bytes, size_t n);

/* Room for LAYER_ROOM bytes, and the first n of it have arrived over a layer: lent,
 * if those that they were made of are.  NULL: there is none. */
char *round_layer_room(host *h);
void round_pass(stream *s, size_t n);

/* Something else has happened: run the tasks that it woke now.  When the batch is
 * over, they run without. */
void round_run(host *h);

/* Call it behind this batch of events, or the next. */
void round_later(host *h, later *x, void (*call)(later *x));

/* The batch is over, or none is under way: make these calls.  Were there any? */
bool round_end(host *h);

void round_open(rounds *r);
void round_close(rounds *r);

#endif
