/*
** What a message shows of somebody's text: printable, and not too long.
*/

#ifndef HOST_QUOTE_H
#define HOST_QUOTE_H

#include <stddef.h>

enum { QUOTE = 72 };

void quote(char out[QUOTE], const char *text, size_t n);

#endif
