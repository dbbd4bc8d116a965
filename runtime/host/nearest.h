/*
** Which name was meant by one that there is not.
**
**   nearest meant = {.written = name};
**   for each name that there is: nearest_try(&meant, that);
*/

#ifndef HOST_NEAREST_H
#define HOST_NEAREST_H

#include <lua.h>

typedef struct nearest {
  const char *written; /* by the script */
  const char *name;    /* the nearest until now; NULL: none is near */
  int by;              /* letters that differ */
} nearest;

void nearest_try(nearest *n, const char *candidate);

/* nearest(written, {name, ...}) : name | nil, if none is near */
int nearest_lua(lua_State *L);

#endif
