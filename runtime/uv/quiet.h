/*
** Around a write that reports EPIPE itself: no SIGPIPE of this thread ends the process.
** It is in uv/signal.c.
*/

#ifndef UV_QUIET_H
#define UV_QUIET_H

#include <stdbool.h>

void signals_quiet(bool quiet);

#endif
