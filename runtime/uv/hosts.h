/*
** Where the system looks for hosts, and what /etc/hosts has of them.
*/

#ifndef UV_HOSTS_H
#define UV_HOSTS_H

#include <stdbool.h>
#include <stddef.h>

#include "net/address.h"

/* What stands behind `hosts:` in nsswitch.conf, as far as it is done here. */
typedef struct name_sources {
  bool files; /* /etc/hosts comes first, and what it has is the answer */
  bool dns; /* then, or first, servers are asked by DNS; false: the system is */
  bool more; /* where they know no such name, there are other sources */
} name_sources;

/* 0, or -errno for a lack. */
int hosts_sources(name_sources *s);

/* The addresses of a name in /etc/hosts, of a family or AF_UNSPEC: malloc'ed, each once,
 * in the file's order; none where it is not there.  0, or -errno for a lack, -EFBIG for
 * a file that is very long. */
int hosts_find(const char *name, int family, address **found, size_t *count);

#endif
