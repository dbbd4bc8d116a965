/*
** What a simulated host's sockets are made by.
*/

#include "net/backend.h"

#include <errno.h>

#include "sim/interfaces.h"
#include "sim/message.h"
#include "sim/names.h"
#include "sim/ports.h"
#include "sim/services.h"
#include "sim/standard_stream.h"
#include "sim/world.h"

static int lacks_adopt(host *h, int fd, stream **s, listener **l) {
  (void)h, (void)fd, (void)s, (void)l;
  return -ENOSYS;
}


static int lacks_descriptors(host *h, int fd) {
  (void)h, (void)fd;
  return -ENOSYS;
}


static int lacks_adopt_datagram(host *h, int fd, datagram **out) {
  (void)h, (void)fd, (void)out;
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


static int listen_any(host *h, const sockspec *spec, listener **out) {
  return spec->type == SOCK_SEQPACKET ? message_listen(h, spec, out)
                                      : sim_listen(h, spec, out);
}


const backend sim_backend = {
    .listen = listen_any,
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
    .permits = lacks_descriptors,
    .borrow = standard_borrow,
    .pair = sim_pair,
    .bind = message_bind,
    .connect_datagram = message_connect,
    .adopt_datagram = lacks_adopt_datagram,
    .pair_datagram = message_pair,
    .disown = lacks_disown,
    .discard = lacks_discard,
    .look = lacks_look,
    .attend = lacks_attend,
    .unattend = lacks_unattend,
    .resolve = names_resolve,
    .unresolve = names_unresolve,
    .service_port = services_port,
    .service_name = services_name,
    .protocol = services_protocol,
    .ifindex = netif_index,
    .ifname = netif_name,
    .interfaces = netif_list,
    .relay = lacks_relay,
    .relay_stop = lacks_relay_stop,
    .relay_result = lacks_relay_result,
    .may_relay = lacks_may_relay,
    .file_target = lacks_file_target,
    .send_file = lacks_send_file,
    .file_failed = lacks_file_failed,
};
