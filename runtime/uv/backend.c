/*
** The table of functions that net/ calls when the sockets are real.
*/

#include "uv/backend.h"

#include "uv/datagram.h"
#include "uv/file.h"
#include "uv/foreign.h"
#include "uv/loop.h"
#include "uv/names.h"
#include "uv/resolve.h"

const backend uv_backend = {
    .listen = acceptor_listen,
    .accept = acceptor_accept,
    .acceptable = acceptor_acceptable,
    .watch = acceptor_watch,
    .rest = acceptor_rest,
    .close_listener = acceptor_close,
    .set_listener = acceptor_set,
    .get_listener = acceptor_get,
    .fd_of_listener = acceptor_fd,
    .connect = connect_begin,
    .adopt = adopt_take,
    .permits = adopt_permits,
    .borrow = adopt_borrow,
    .pair = connect_pair,
    .bind = port_bind,
    .connect_datagram = port_connect,
    .adopt_datagram = port_adopt,
    .pair_datagram = port_pair,
    .disown = adopt_disown,
    .discard = adopt_discard,
    .look = foreign_look,
    .attend = foreign_attend,
    .unattend = foreign_unattend,
    .resolve = resolve_begin,
    .unresolve = resolve_give_up,
    .service_port = names_service_port,
    .service_name = names_service_name,
    .protocol = names_protocol,
    .ifindex = names_ifindex,
    .ifname = names_ifname,
    .interfaces = names_interfaces,
    .relay = pump_begin,
    .relay_stop = pump_stop,
    .relay_result = pump_result,
    .may_relay = pump_may_relay,
    .file_target = file_target,
    .send_file = file_send,
    .file_failed = file_failed,
};
