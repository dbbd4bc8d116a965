/*
** What a simulated host has besides sockets: signals.  It has no children, no shell and
** no terminal: ENOSYS.
*/

#include <errno.h>

#include "sim/node.h"
#include "sim/signals.h"
#include "sim/world.h"
#include "sys/process.h"
#include "sys/terminal.h"


/*
** Children
*/

static int spawn(host *h, spawnspec *spec, process *p) {
  (void)h, (void)p;
  spec->culprit = spec->argv[0];
  return -ENOSYS;
}


static int kill_child(process *p, int signal, bool whole) {
  (void)p, (void)signal, (void)whole;
  return -ESRCH;
}


static void with_child(process *p) {
  (void)p;
}


static bool next_child(host *h, void **at, child_facts *out) {
  (void)h, (void)at, (void)out;
  return false;
}


static int self(host *h) {
  return node_pid(node_of(h));
}


static int restart(host *h, int *ready, int *pid) {
  (void)h, (void)ready, (void)pid;
  return -ENOSYS;
}


static void restarted(int pid, bool well) {
  (void)pid, (void)well;
}


static int copy(host *h, int fd) {
  (void)h, (void)fd;
  return -ENOSYS;
}


static void discard(host *h, int fd) {
  (void)h, (void)fd;
}


static int shell(host *h, const char *command) {
  (void)h, (void)command;
  return -ENOSYS;
}


static int open_shell(host *h, const char *command, bool writes, FILE **f) {
  (void)h, (void)command, (void)writes, (void)f;
  return -ENOSYS;
}


static int reap(host *h, int pid, bool hurry, int *status) {
  (void)h, (void)pid, (void)hurry, (void)status;
  return -ECHILD;
}


static const processes no_processes = {
    .spawn = spawn,
    .kill = kill_child,
    .end = with_child,
    .next = next_child,
    .forget = with_child,
    .self = self,
    .restart = restart,
    .restarted = restarted,
    .copy = copy,
    .discard = discard,
    .shell = shell,
    .open = open_shell,
    .reap = reap,
};


/*
** Terminals
*/

static bool is_terminal(host *h, int fd) {
  (void)h, (void)fd;
  return false;
}


static int size(host *h, int fd, int *columns, int *rows) {
  (void)h, (void)fd, (void)columns, (void)rows;
  return -ENOTTY;
}


static int mode(host *h, enum terminal_mode m) {
  (void)h, (void)m;
  return -ENOTTY;
}


static int write_all(host *h, int fd, const char *bytes, size_t n) {
  (void)h, (void)fd, (void)bytes, (void)n;
  return -ENOSYS;
}


static int folder(host *h, const char *base, const char *path) {
  (void)h, (void)base, (void)path;
  return -ENOSYS;
}


static int is_private(host *h, const char *path, unsigned uid) {
  (void)h, (void)path, (void)uid;
  return -ENOSYS;
}


static ssize_t tail(host *h, const char *path, char *bytes, size_t most) {
  (void)h, (void)path, (void)bytes, (void)most;
  return -ENOSYS;
}


static int append(host *h, const char *path, const char *bytes, size_t n,
                  size_t limit) {
  (void)h, (void)path, (void)bytes, (void)n, (void)limit;
  return -ENOSYS;
}


static void sweep(host *h, const char *path) {
  (void)h, (void)path;
}


static int knock(host *h, int pid, enum knock what, unsigned tag) {
  (void)h, (void)pid, (void)what, (void)tag;
  return -ESRCH;
}


static ssize_t note(host *h, int pid, unsigned tag, const char *label,
                    char *text, size_t room) {
  (void)h, (void)pid, (void)tag, (void)label, (void)text, (void)room;
  return -ENOSYS;
}


static int root(host *h, int pid, char *path, size_t room) {
  (void)h, (void)pid, (void)path, (void)room;
  return -ENOSYS;
}


static void hide(host *h, const char *text, size_t n) {
  (void)h, (void)text, (void)n;
}


static int guard(host *h, int fd, bool on) {
  (void)h, (void)fd, (void)on;
  return -ENOSYS;
}


static unsigned uid(host *h) {
  (void)h;
  return 0;
}


static bool alive(host *h, int pid) {
  (void)h, (void)pid;
  return false;
}


static bool is_file(host *h, int fd, uint64_t device, uint64_t inode) {
  (void)h, (void)fd, (void)device, (void)inode;
  return false;
}


static const terminals no_terminals = {
    .is_terminal = is_terminal,
    .size = size,
    .mode = mode,
    .write = write_all,
    .hide = hide,
    .folder = folder,
    .is_private = is_private,
    .tail = tail,
    .append = append,
    .sweep = sweep,
    .knock = knock,
    .note = note,
    .root = root,
    .guard = guard,
    .uid = uid,
    .alive = alive,
    .is_file = is_file,
};

const struct system sim_system = {
    .processes = &no_processes,
    .signals = &sim_signals,
    .terminals = &no_terminals,
};
