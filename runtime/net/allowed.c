#include "net/allowed.h"

#include "sched/world.h"


static int check(guard_deed deed, int type, int protocol, const address *a) {
  bool ip = a->u.any.sa_family == AF_INET || a->u.any.sa_family == AF_INET6;
  if (ip && type != SOCK_STREAM && !datagram_has_ports(type, protocol))
    return guard_host(deed, &a->u.any, a->length);
  return guard_address(deed, &a->u.any, a->length);
}


static int check_spec(guard_deed deed, const sockspec *s, const address *a) {
  int status = s->type == SOCK_RAW ? guard_raw() : 0;
  return status < 0 || s->family == AF_PACKET
             ? status
             : check(deed, s->type, s->protocol, a);
}


/* Without a port of one's own nobody else gets in. */
static bool names_local(const sockspec *s) {
  return s->local.length > 0 &&
         (s->family == AF_UNIX || address_port(&s->local) > 0);
}


int allowed_connect(const sockspec *s) {
  if (s->public_only && guard_is_private(&s->addr.u.any))
    return guard_refusal(GUARD_PRIVATE);
  if (!guard_stands())
    return 0;
  int status = check_spec(GUARD_CONNECT, s, &s->addr);
  return status == 0 && names_local(s) ? check_spec(GUARD_BIND, s, &s->local)
                                       : status;
}


int allowed_listen(const sockspec *s) {
  return guard_stands() ? check_spec(GUARD_LISTEN, s, &s->addr) : 0;
}


int allowed_bind(const sockspec *s) {
  return guard_stands() ? check_spec(GUARD_BIND, s, &s->addr) : 0;
}


int allowed_peer(const datagram *d, const address *to) {
  if (!guard_stands() || d->family == AF_PACKET)
    return 0;
  return check(GUARD_CONNECT, d->type, d->protocol, to);
}


/* Who hears a group hears what was sent to its address. */
int allowed_group(const address *group) {
  return guard_host(GUARD_BIND, &group->u.any, group->length);
}


int allowed_descriptor(host *h, int fd) {
  return guard_stands() ? h->world->net->permits(h, fd) : 0;
}
