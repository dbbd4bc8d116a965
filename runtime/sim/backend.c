/*
** What a simulated host's sockets are made by.
*/

#include "net/backend.h"

#include <errno.h>

#include "sim/ports.h"
#include "sim/world.h"

static int lacks_adopt(host *h, int fd, stream **s, listener **l) {
  (void)h, (void)fd, (void)s, (void)l;
  return -ENOSYS;
}


static int lacks_borrow(host *h, int fd, bool reading, stream **s) {
  (void)h, (void)fd, (void)reading, (void)s;
  return -ENOSYS;
}


static int lacks_bind(host *h, const sockspec *spec, datagram **out) {
  (void)h, (void)spec, (void)out;
  return -ENOSYS;
}


static int lacks_connect_datagram(host *h, const sockspec *spec,
                                  datagram **out) {
  (void)h, (void)spec, (void)out;
  return -ENOSYS;
}


static int lacks_adopt_datagram(host *h, int fd, datagram **out) {
  (void)h, (void)fd, (void)out;
  return -ENOSYS;
}


static int lacks_pair_datagram(host *h, int type, datagram **a, datagram **b) {
  (void)h, (void)type, (void)a, (void)b;
  return -ENOSYS;
}


static void lacks_disown(host *h, int fd) {
  (void)h, (void)fd;
}


static void lacks_discard(host *h, int fd) {
  (void)h, (void)fd;
}


static int lacks_look(host *h, int fd, unsigned events) {
  (void)h, (void)fd, (void)events;
  return -ENOSYS;
}


static int lacks_attend(host *h, attention *a) {
  (void)h, (void)a;
  return -ENOSYS;
}


static void lacks_unattend(host *h, attention *a) {
  (void)h, (void)a;
}


static int lacks_resolve(host *h, lookup *l) {
  (void)h, (void)l;
  return -ENOSYS;
}


static void lacks_unresolve(lookup *l) {
  (void)l;
}


static int lacks_service_port(host *h, const char *name, const char *proto) {
  (void)h, (void)name, (void)proto;
  return -1;
}


static int lacks_service_name(host *h, int port, const char *proto, char *out,
                              size_t size) {
  (void)h, (void)port, (void)proto, (void)out, (void)size;
  return -ENOSYS;
}


static int lacks_protocol(host *h, const char *name) {
  (void)h, (void)name;
  return -1;
}


static int lacks_ifindex(host *h, const char *name) {
  (void)h, (void)name;
  return -ENOSYS;
}


static int lacks_ifname(host *h, unsigned index, char out[16]) {
  (void)h, (void)index, (void)out;
  return -ENOSYS;
}


static int lacks_interfaces(host *h, netifs *all) {
  (void)h, (void)all;
  return -ENOSYS;
}


static struct relay *lacks_relay(host *h, stream *a, stream *b,
                                 void (*done)(void *), void *owner) {
  (void)h, (void)a, (void)b, (void)done, (void)owner;
  return NULL;
}


static void lacks_relay_stop(struct relay *r) {
  (void)r;
}


static int lacks_relay_result(struct relay *r, uint64_t counts[2]) {
  (void)r, (void)counts;
  return -ENOSYS;
}


static bool lacks_may_relay(stream *from, stream *to) {
  (void)from, (void)to;
  return true; /* by net/, which copies */
}


static int lacks_file_target(stream *to) {
  (void)to;
  return -EOPNOTSUPP;
}


static ssize_t lacks_send_file(int file, int64_t from, int to, size_t n) {
  (void)file, (void)from, (void)to, (void)n;
  return -ENOSYS;
}


static void lacks_file_failed(stream *to, int status) {
  (void)to, (void)status;
}


const backend sim_backend = {
    .listen = sim_listen,
    .accept = sim_accept,
    .acceptable = sim_acceptable,
    .watch = sim_watch,
    .rest = sim_rest,
    .close_listener = sim_close_listener,
    .set_listener = sim_set_listener,
    .get_listener = sim_get_listener,
    .fd_of_listener = sim_fd_of_listener,
    .connect = sim_connect,
    .adopt = lacks_adopt,
    .borrow = lacks_borrow,
    .pair = sim_pair,
    .bind = lacks_bind,
    .connect_datagram = lacks_connect_datagram,
    .adopt_datagram = lacks_adopt_datagram,
    .pair_datagram = lacks_pair_datagram,
    .disown = lacks_disown,
    .discard = lacks_discard,
    .look = lacks_look,
    .attend = lacks_attend,
    .unattend = lacks_unattend,
    .resolve = lacks_resolve,
    .unresolve = lacks_unresolve,
    .service_port = lacks_service_port,
    .service_name = lacks_service_name,
    .protocol = lacks_protocol,
    .ifindex = lacks_ifindex,
    .ifname = lacks_ifname,
    .interfaces = lacks_interfaces,
    .relay = lacks_relay,
    .relay_stop = lacks_relay_stop,
    .relay_result = lacks_relay_result,
    .may_relay = lacks_may_relay,
    .file_target = lacks_file_target,
    .send_file = lacks_send_file,
    .file_failed = lacks_file_failed,
};
