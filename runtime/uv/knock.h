/*
** Knocking at another neap: for the table in sys/terminal.h.
*/

#ifndef UV_KNOCK_H
#define UV_KNOCK_H

#include "sys/terminal.h"

int knock_send(host *h, int pid, enum knock what, unsigned tag);
ssize_t knock_note(host *h, int pid, unsigned tag, const char *label,
                   char *text, size_t room);
int knock_root(host *h, int pid, char *path, size_t room);
bool knock_alive(host *h, int pid);

#endif
