/*
** Numbers as the command line has them.
*/

#ifndef CLI_AMOUNTS_H
#define CLI_AMOUNTS_H

#include <stddef.h>

/* A whole number from least to most, or -1. */
int amount_number(const char *text, int least, int most);

/* A number of bytes, in K, M or G if that stands behind it; 0: it is none. */
size_t amount_bytes(const char *text);

/* A number of seconds, up to a million, and behind it what *end says; -1: it is none. */
double amount_seconds(const char *text, const char **end);

#endif
