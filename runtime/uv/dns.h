/*
** Asking servers of names, by c-ares (inquiry.h).
*/

#ifndef UV_DNS_H
#define UV_DNS_H

#include "uv/loop.h"

/* Before anything is asked: look at resolv.conf.  1: what was answered before need not
 * hold any more; 0; or -errno, for a lack. */
int dns_prepare(loop *l);

/* When all inquiries of the loop have ended. */
void dns_close(loop *l);

#endif
