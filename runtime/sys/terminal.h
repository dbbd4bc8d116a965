/*
** The seam below the prompt (repl/): the terminal that this process was
** started from, files that only this user may read, and a knock at another
** neap (sys/system.h).
*/

#ifndef SYS_TERMINAL_H
#define SYS_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "host/host.h"

/* What the terminal does with what is typed: as it was found; each key comes
 * at once, not echoed, what is pasted in brackets, but ^C, ^Z and ^\ still are
 * signals. */
enum terminal_mode { TERMINAL_FOUND, TERMINAL_KEYS };

/* How another neap is knocked at: it is to open a place to attach to; or to
 * end what an attached prompt runs in it, even in an endless loop; or to open one and
 * to note where its threads are. */
enum knock { KNOCK_ATTACH, KNOCK_INTERRUPT, KNOCK_WHERE };

typedef struct terminals {
  bool (*is_terminal)(host *h, int fd);
  int (*size)(host *h, int fd, int *columns, int *rows);

  /* Of descriptor 0.  However the process ends, but by SIGKILL, the terminal is
   * left as it was found. */
  int (*mode)(host *h, enum terminal_mode mode);

  /* Write all, waiting as print does. */
  int (*write)(host *h, int fd, const char *bytes, size_t n);

  /* What the terminal is told first when a signal stops or ends the process, for it hides
   * what is not to stay: of some 64 bytes, and from now on; none: n is 0.  By one
   * thread at a time. */
  void (*hide)(host *h, const char *text, size_t n);

  /* Make a folder for this user alone, with those between it and `base`, which
   * is there.  -EPERM if base is another's, unless nobody may take the place of
   * others' files in it (/tmp); or if is_private says no. */
  int (*folder)(host *h, const char *base, const char *path);

  /* 0 for a folder, no symbolic link, that this user has and no other may enter;
   * -EPERM, -ENOTDIR. */
  int (*is_private)(host *h, const char *path, unsigned uid);

  /* The last bytes of a file, `most` of them at most; or a negative errno.  As
   * append, it takes only a regular file of this user's; -EPERM. */
  ssize_t (*tail)(host *h, const char *path, char *bytes, size_t most);

  /* Append to a file for this user alone; what is above twice the limit is
   * cut down to the limit, from the front, at a line's end.  Two processes may
   * do so at once. */
  int (*append)(host *h, const char *path, const char *bytes, size_t n,
                size_t limit);

  /* Remove the places to attach to (PID.sock) of processes that are no more. */
  void (*sweep)(host *h, const char *folder);

  /* -ESRCH: there is none such; -ENOTSUP: it does not listen to knocks.  The tag, of
   * 23 bits and not 0, is KNOCK_WHERE's. */
  int (*knock)(host *h, int pid, enum knock what, unsigned tag);

  /* What the process has noted at the knock of that tag, of the host with that label:
   * the length of the text; 0: nothing yet.  (sched/where.h) */
  ssize_t (*note)(host *h, int pid, unsigned tag, const char *label, char *text,
                  size_t room);

  /* The path below which the process's files are; "" if it sees the same as we. */
  int (*root)(host *h, int pid, char *path, size_t room);

  /* While it is on, the death of who is at the socket's other end is as a
   * KNOCK_INTERRUPT, for no loop hears of it while an input computes.  -EPIPE: it
   * has died. */
  int (*guard)(host *h, int fd, bool on);
  unsigned (*uid)(host *h);
  bool (*alive)(host *h, int pid);

  /* Is the descriptor open, and this file? */
  bool (*is_file)(host *h, int fd, uint64_t device, uint64_t inode);
} terminals;

#endif
