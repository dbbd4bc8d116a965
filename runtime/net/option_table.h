/*
** The table of socket options: what a row of it says.
*/

#ifndef NET_OPTION_TABLE_H
#define NET_OPTION_TABLE_H

#include <lua.h>

#include "net/backend.h"

typedef struct option option; /* also in options.h */

/* Where a value comes from, for messages. */
typedef struct reading {
  lua_State *L;
  int arg;          /* the options' table */
  const char *name; /* "keepalive.idle" */
} reading;

typedef struct type {
  /* Read the value on top of the stack, or raise. */
  void (*read)(const reading *r, const option *row, sockopt *o);
  void (*push)(lua_State *L, const option *row, const sockopt *o);
  socklen_t length;
} type;

typedef enum when {
  ALWAYS,
  BEFORE, /* no effect after bind or connect */
  ASK     /* can only be asked for */
} when;

struct option {
  const char *name;
  int level, number;
  int level6, number6; /* of IPv6; 0: the same for all families */
  const type *type;
  double min, max;  /* as the script gives it */
  const char *unit; /* "s", "bytes" or NULL */
  when when;
  double scale; /* from the script's unit to the kernel's */
};

extern const option option_table[]; /* ended by a row without a name */

/* The type of the row that is no single option of the kernel, and the switch that is
 * one of the four which it is made of. */
extern const type option_composite;
extern const option option_keepalive;

/* The row of that name, or NULL. */
const option *option_find(const char *name);

/* Raise that the value on top is not what is expected. */
int option_mistake(const reading *r, const char *expected);

#endif
