/*
** A timer by which what a thread runs is sampled: world.sample.
*/

#ifndef UV_SAMPLING_H
#define UV_SAMPLING_H

#include <signal.h>
#include <stdbool.h>

int sampling_set(void *w, unsigned rate);

/* Is it of that timer?  Then it is no signal for anybody else, such as a script that
 * has begun to wait for SIGPROF.  Callable from a signal's handler. */
bool sampling_hears(int n, const siginfo_t *info);

#endif
