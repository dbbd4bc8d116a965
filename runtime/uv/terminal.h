/*
** The real terminal.
*/

#ifndef UV_TERMINAL_H
#define UV_TERMINAL_H

#include "sys/terminal.h"

extern const terminals uv_terminals;

/* Leave the terminal as it was found.  Callable from a signal's handler. */
void terminal_restore(void);

#endif
