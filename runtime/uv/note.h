/*
** What a process notes of itself at a knock, in the signal's handler.
*/

#ifndef UV_NOTE_H
#define UV_NOTE_H

#include <signal.h>
#include <stdbool.h>

#include "sys/terminal.h"

/* Of what a knock says, the bits from here on are a tag, by which who asked finds the
 * answer: a file of memory whose name is the prefix, the tag, and a space. */
enum { NOTE_TAG = 8 };

#define NOTE_PREFIX "neap.where."

static inline enum knock note_knock(const siginfo_t *info) {
  return (enum knock)(info->si_value.sival_int & ((1 << NOTE_TAG) - 1));
}

/* From handlers: a knock has come, which may ask where the threads are; and note where
 * this one is, whose host that is, if it did.  The context is the handler's third
 * argument. */
void note_ask(const siginfo_t *info);
void note_answer(host *h, const void *context);

/* Does Lua stand still where the handler has interrupted this thread? */
bool note_is_still(const void *context);

/* The loop hears: what was noted is old. */
void note_forget(void);

#endif
