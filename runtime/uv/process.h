/*
** Children on libuv, and signals.
*/

#ifndef UV_PROCESS_H
#define UV_PROCESS_H

#include "sys/process.h"
#include "sys/signals.h"
#include "sys/system.h"
#include "uv/loop.h"

extern const processes uv_processes;
extern const struct system uv_system; /* uv/system.c */

/* Leave the children that still run, and kill those that were told to end. */
void children_close(loop *l);

/* Commands of the shell: uv/shell.c. */
int shell_start(host *h, const char *command);
int shell_open(host *h, const char *command, bool writes, FILE **f);
int shell_wait(host *h, int pid, bool hurry, int *status);

/* Signals: uv/signal.c. */
int signals_watch(host *h, subscription *w);
void signals_unwatch(host *h, subscription *w);
int signals_missed(host *h, uint64_t wanted);
int signals_dispose(host *h, int signal, bool ignore);
int signals_raise(host *h, int signal);

/* Deliver what has come, without running tasks: for the world's hear. */
void signals_hear(host *h);

/* Give the signals back what they did before; world.close calls it. */
void signals_close(host *h);

#endif
