/*
** What getaddrinfo answers at once, without asking anybody.
*/

#ifndef UV_HOSTS_H
#define UV_HOSTS_H

#include <stdbool.h>

/* Is the name in /etc/hosts, with an address of the family, and is that the
 * first place where the system looks (nsswitch.conf)?  False where that is not
 * sure, or the file is very long. */
bool hosts_has(const char *name, int family);

#endif
