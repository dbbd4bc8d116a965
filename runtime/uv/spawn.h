/*
** Starting another program.
*/

#ifndef UV_SPAWN_H
#define UV_SPAWN_H

#include "sys/process.h"

/* What the child gets besides what the spec says.  The descriptors are in ascending
 * order of `as`, and 0, 1 and 2 are among them. */
typedef struct spawning {
  const spawnspec *spec;
  const spawn_fd *fds;
  unsigned fd_count;
  int terminal; /* the one of its session, or -1 */
  bool session; /* it leads one; and so a group */
  bool group;
} spawning;

/* Where it failed. */
typedef enum spawn_step {
  SPAWN_AT_START, /* there is no child, or no group */
  SPAWN_AT_FD,
  SPAWN_AT_TERMINAL,
  SPAWN_AT_FOLDER,
  SPAWN_AT_LIMIT,
  SPAWN_AT_GROUPS,
  SPAWN_AT_GID,
  SPAWN_AT_UID,
  SPAWN_AT_PROGRAM
} spawn_step;

typedef struct spawn_failure {
  int error; /* an errno */
  spawn_step step;
  unsigned index; /* of a descriptor or limit */
} spawn_failure;

/* The pid of a child that has become the program; or a negative errno, and *why. */
int spawn_start(const spawning *s, spawn_failure *why);

/* In a child that fork() has made: have the limit of descriptors that this process
 * was started with (uv_world_descriptors). */
void spawn_restore_limit(void);

/* A parent may have left us SIGCHLD ignored: then children leave nothing to wait
 * for. */
void spawn_let_tell(void);

#endif
