/*
** The table of what a real process has besides sockets.
*/

#include "uv/process.h"
#include "uv/terminal.h"

static const struct signals signals = {
    .watch = signals_watch,
    .unwatch = signals_unwatch,
    .missed = signals_missed,
    .dispose = signals_dispose,
    .raise = signals_raise,
};

const struct system uv_system = {
    .processes = &uv_processes,
    .signals = &signals,
    .terminals = &uv_terminals,
};
