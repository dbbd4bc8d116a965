#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "guard/kernel.h"
#include "guard/rules.h"

/* As of linux/landlock.h, which may be older than the kernel. */
#define FS_EXECUTE (UINT64_C(1) << 0)
#define FS_WRITE_FILE (UINT64_C(1) << 1)
#define FS_READ_FILE (UINT64_C(1) << 2)
#define FS_READ_DIR (UINT64_C(1) << 3)
#define FS_REFER (UINT64_C(1) << 13)
#define FS_TRUNCATE (UINT64_C(1) << 14)
#define NET_BIND (UINT64_C(1) << 0)
#define NET_CONNECT (UINT64_C(1) << 1)
#define SCOPE_ABSTRACT (UINT64_C(1) << 0)
#define SCOPE_SIGNAL (UINT64_C(1) << 1)

enum { RULE_PATH = 1, RULE_PORT = 2 }; /* landlock_add_rule(2) */

struct ruleset {
  uint64_t fs, net, scopes;
};

struct port_rule {
  uint64_t access, port;
};

/* Files that the runtime and the C library need for themselves: names, certificates,
 * libraries, time zones.  A script's own reading of them is refused before. */
static const char *const readable[] = {
    "/etc",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/lib",
    "/lib64",
    "/usr/share",
    "/usr/local/share",
    "/proc",
    "/run/systemd/resolve",
    "/run/resolvconf",
    "/sys/devices/system/cpu",
    "/sys/kernel/mm",
    "/dev/urandom",
    "/dev/random",
    "/dev/zero",
};

static const char *const devices[] = {"/dev/null", "/dev/tty", "/dev/ptmx",
                                      "/dev/pts"};

/* Where programs are. */
static const char *const runnable[] = {"/usr",   "/bin", "/sbin",     "/lib",
                                       "/lib64", "/opt", "/nix/store"};

/* Files that the environment names for the runtime's own use. */
static const char *const named[] = {"NEAP_LUA", "NEAP_RESOLV_CONF",
                                    "SSL_CERT_FILE", "SSL_CERT_DIR",
                                    "OPENSSL_CONF"};


static bool is_folder(int fd) {
  struct stat st;
  return fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
}


static void allow_path(int set, const char *path, uint64_t access) {
  static const uint64_t of_files =
      FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE;
  int fd = path != NULL ? open(path, O_PATH | O_CLOEXEC) : -1;
  if (fd < 0)
    return;
  struct landlock_path_beneath_attr one = {
      .allowed_access = is_folder(fd) ? access : access & of_files,
      .parent_fd = fd};
  if (one.allowed_access != 0)
    syscall(SYS_landlock_add_rule, set, RULE_PATH, &one, 0);
  close(fd);
}


static void allow_paths(int set, const char *const *paths, size_t n,
                        uint64_t access) {
  for (size_t i = 0; i < n; i++)
    allow_path(set, paths[i], access);
}


#define ALL(list) list, sizeof list / sizeof *list

static void allow_files(int set, const struct ruleset *s) {
  const uint64_t reading = FS_READ_FILE | FS_READ_DIR;
  const uint64_t writing = s->fs & ~(reading | FS_EXECUTE);
  allow_paths(set, ALL(readable), reading);
  allow_paths(set, ALL(devices),
              reading | (writing & (FS_WRITE_FILE | FS_TRUNCATE)));
  for (size_t i = 0; i < sizeof named / sizeof *named; i++)
    allow_path(set, getenv(named[i]), reading);
  if (guard_run() == 0)
    allow_paths(set, ALL(runnable), reading | FS_EXECUTE);
  const uint64_t run = guard_run() == 0 ? FS_EXECUTE : 0;
  const rule *r = NULL;
  while ((r = rule_next(r, GUARD_READ)) != NULL)
    allow_path(set, r->kind == RULE_ALL ? "/" : r->text, reading | run);
  while ((r = rule_next(r, GUARD_WRITE)) != NULL)
    allow_path(set, r->kind == RULE_ALL ? "/" : r->text, writing);
  for (guard_deed deed = GUARD_LISTEN; deed <= GUARD_BIND; deed++)
    while ((r = rule_next(r, deed)) != NULL)
      if (r->kind == RULE_UNIX && r->text[0] == '/') {
        char *slash = strrchr(r->text, '/');
        *slash = '\0';
        allow_path(set, slash == r->text ? "/" : r->text, writing);
        *slash = '/';
      }
}


/*
** Ports
*/

/* Too many to be listed: then all are. */
enum { MOST_PORTS = 4096 };

static bool is_listed(guard_deed deed) {
  uint32_t n = 0;
  const rule *r = NULL;
  while ((r = rule_next(r, deed)) != NULL) {
    bool of_ip = r->kind == RULE_NET || r->kind == RULE_NAME;
    if (r->kind == RULE_ALL || (of_ip && r->port_count == 0))
      return false;
    for (int i = 0; of_ip && i < r->port_count; i++)
      n += r->ports[i].last - r->ports[i].first + 1;
  }
  return n <= MOST_PORTS;
}


static void allow_port(int set, uint64_t access, uint64_t port) {
  struct port_rule one = {access, port};
  syscall(SYS_landlock_add_rule, set, RULE_PORT, &one, 0);
}


static void allow_ports(int set, guard_deed deed, uint64_t access) {
  const rule *r = NULL;
  while ((r = rule_next(r, deed)) != NULL)
    for (int i = 0;
         (r->kind == RULE_NET || r->kind == RULE_NAME) && i < r->port_count;
         i++)
      for (uint64_t p = r->ports[i].first; p <= r->ports[i].last; p++)
        allow_port(set, access, p);
}


/* Of connecting, also where names are asked for; a port of one's own is no
 * listening. */
static uint64_t listed_ports(void) {
  return (is_listed(GUARD_CONNECT) ? NET_CONNECT : 0) |
         (is_listed(GUARD_LISTEN) && is_listed(GUARD_BIND) ? NET_BIND : 0);
}


static void allow_listed(int set, const struct ruleset *s) {
  enum { DOMAIN = 53 };
  if ((s->net & NET_CONNECT) != 0) {
    allow_ports(set, GUARD_CONNECT, NET_CONNECT);
    allow_port(set, NET_CONNECT, DOMAIN);
  }
  if ((s->net & NET_BIND) != 0) {
    allow_ports(set, GUARD_LISTEN, NET_BIND);
    allow_ports(set, GUARD_BIND, NET_BIND);
    allow_port(set, NET_BIND, 0);
  }
}


static bool names_abstract(void) {
  const rule *r = NULL;
  while ((r = rule_next(r, GUARD_CONNECT)) != NULL)
    if (r->kind == RULE_ALL || (r->kind == RULE_UNIX && r->text[0] == '\0'))
      return true;
  return false;
}


/*
** All
*/

/* What this kernel's version of it knows. */
static struct ruleset known(long version) {
  struct ruleset s = {.fs = (UINT64_C(1) << 13) - 1};
  if (version >= 2)
    s.fs |= FS_REFER;
  if (version >= 3)
    s.fs |= FS_TRUNCATE;
  if (version >= 4)
    s.net = listed_ports();
  if (version >= 6)
    s.scopes = SCOPE_SIGNAL | (names_abstract() ? 0 : SCOPE_ABSTRACT);
  return s;
}


static size_t size_of(long version) {
  return version >= 6 ? sizeof(struct ruleset) : version >= 4 ? 16 : 8;
}


void kernel_files_and_ports(void) {
  long version = syscall(SYS_landlock_create_ruleset, NULL, 0, 1);
  if (version < 1)
    return;
  struct ruleset s = known(version);
  int set = (int)syscall(SYS_landlock_create_ruleset, &s, size_of(version), 0);
  if (set < 0)
    return;
  allow_files(set, &s);
  allow_listed(set, &s);
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
    syscall(SYS_landlock_restrict_self, set, 0);
  close(set);
}
