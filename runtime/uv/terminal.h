/*
** The real terminal, for the backend's own table.
*/

#ifndef UV_TERMINAL_H
#define UV_TERMINAL_H

#include "net/terminal.h"

/* For struct backend.terminals. */
extern const terminals uv_terminals;

/* Leave the terminal as it was found.  Callable from a signal's handler. */
void terminal_restore(void);

#endif
