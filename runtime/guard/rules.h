/*
** The rules themselves, for the files of this folder.
*/

#ifndef GUARD_RULES_H
#define GUARD_RULES_H

#include <stddef.h>
#include <stdint.h>

#include "guard/guard.h"

typedef enum rule_kind {
  RULE_ALL, /* whatever it is */
  RULE_NET, /* IP addresses that begin with `bits` bits of `ip` */
  RULE_NAME,
  RULE_UNIX,
  RULE_VSOCK,
  RULE_RAW,
  RULE_FOLDER, /* and what is beneath; or a file */
  RULE_CODE,   /* as RULE_FOLDER, for files to be run */
  RULE_TEXT    /* the name of a variable */
} rule_kind;

enum { PORTS = 16, LEARNED = 64 };

typedef struct port_range {
  uint32_t first, last;
} port_range;

typedef struct learned {
  int family;
  unsigned char ip[16];
} learned;

typedef struct rule {
  guard_deed deed;
  rule_kind kind;
  int family; /* of NET; 0: both */
  unsigned bits;
  unsigned char ip[16];
  char *text;     /* of NAME, UNIX, FOLDER, CODE, TEXT */
  size_t length;  /* of the text, which may hold zeros */
  uint32_t cid;   /* of VSOCK */
  bool every_cid; /* of VSOCK */
  int port_count; /* 0: every port */
  port_range ports[PORTS];
  learned *learned; /* of NAME: LEARNED of them, a ring */
  size_t found;     /* how many there were, ever */
} rule;

/* A new one, zeroed, at the end of the list.  Pointers move. */
rule *rule_add(guard_deed deed, rule_kind kind);

/* The next one of the deed behind `at`; NULL: the first; at the end NULL. */
const rule *rule_next(const rule *at, guard_deed deed);
rule *rule_first(void);
size_t rule_count(void);

/* The rule on top of the list is to be what stands in the text.  NULL, or what was
 * expected. */
const char *rule_read_address(guard_deed deed, const char *text);
const char *rule_read_folder(guard_deed deed, rule_kind kind, const char *path);

#endif
