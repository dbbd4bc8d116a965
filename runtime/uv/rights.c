/*
** Control messages hold descriptors as bytes, not aligned: they are copied.
*/

#include "uv/rights.h"

#include <string.h>


void rights_put(rights *r, struct msghdr *m, const int *fds, int n) {
  size_t size = (size_t)n * sizeof *fds;
  m->msg_control = r->control;
  m->msg_controllen = CMSG_SPACE(size);
  memset(r->control, 0, m->msg_controllen);
  struct cmsghdr *c = CMSG_FIRSTHDR(m);
  c->cmsg_level = SOL_SOCKET;
  c->cmsg_type = SCM_RIGHTS;
  c->cmsg_len = CMSG_LEN(size);
  memcpy(CMSG_DATA(c), fds, size);
}


void rights_expect(rights *r, struct msghdr *m) {
  m->msg_control = r->control;
  m->msg_controllen = sizeof r->control;
}


int rights_take(struct msghdr *m, int *fds) {
  int n = 0;
  for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
      continue;
    size_t size = c->cmsg_len - CMSG_LEN(0);
    memcpy(fds + n, CMSG_DATA(c), size);
    n += (int)(size / sizeof *fds);
  }
  return n;
}
