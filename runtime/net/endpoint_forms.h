/*
** The forms of endpoints: what follows a scheme's name and colon.
*/

#ifndef NET_ENDPOINT_FORMS_H
#define NET_ENDPOINT_FORMS_H

#include "net/endpoint.h"

/* The text that is being parsed, behind the scheme, and where to complain. */
typedef struct rest {
  lua_State *L;
  const char *text;
  size_t n;
  char *why;
} rest;

typedef struct endpoint_syntax {
  int (*parse)(rest *r, endpoint *e); /* as endpoint_parse */
  int (*print)(host *h, const endpoint *e, char *out, size_t size);
} endpoint_syntax;

extern const endpoint_syntax endpoint_forms[]; /* by endpoint_form */

#endif
