/*
** How long it holds that there is no such name, or no such record.
*/

#ifndef UV_NOTHING_H
#define UV_NOTHING_H

#include <stdint.h>

/* Seconds, by an answer of a server's: what its zone's SOA record says, which is with it
 * (RFC 2308, 5); 0: it says nothing.  Takes any bytes. */
uint32_t nothing_holds(const unsigned char *message, int size);

#endif
