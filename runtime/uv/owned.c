#include "uv/owned.h"

#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "host/memory.h"

/* A bit for each descriptor, in pages that are made as they are needed and never
 * freed: other threads may look. */
enum { WORD = 64, PAGE = 32 * 1024, PAGES = INT_MAX / PAGE + 1 };

typedef struct page {
  atomic_uint_fast64_t words[PAGE / WORD];
} page;

static page *_Atomic pages[PAGES];


static uint64_t bit(int fd) {
  return UINT64_C(1) << (fd % WORD);
}


/* NULL: there is no page, so it is not ours. */
static atomic_uint_fast64_t *word(int fd) {
  page *p = pages[fd / PAGE];
  return p != NULL ? &p->words[fd % PAGE / WORD] : NULL;
}


static void make_page(int fd) {
  page *none = NULL, *fresh = memory_new(sizeof *fresh);
  if (!atomic_compare_exchange_strong(&pages[fd / PAGE], &none, fresh))
    free(fresh);
}


bool owned_add(int fd) {
  if (word(fd) == NULL)
    make_page(fd);
  return (atomic_fetch_or(word(fd), bit(fd)) & bit(fd)) == 0;
}


void owned_remove(int fd) {
  if (word(fd) != NULL)
    atomic_fetch_and(word(fd), ~bit(fd));
}


bool owned_has(int fd) {
  return word(fd) != NULL && (atomic_load(word(fd)) & bit(fd)) != 0;
}


/* A sandbox may have no devices; what is opened as a path only can be neither read
 * nor written. */
bool owned_occupy(int fd) {
  int mode = fd == STDIN_FILENO ? O_WRONLY : O_RDONLY;
  int null = open("/dev/null", mode | O_CLOEXEC);
  if (null < 0)
    null = open("/", O_PATH | O_CLOEXEC);
  if (null < 0)
    return false;
  if (null == fd)
    return fcntl(fd, F_SETFD, 0) == 0;
  bool done = dup2(null, fd) == fd;
  close(null);
  return done;
}


void owned_close(int fd, int epoll) {
  owned_remove(fd);
  if (fd > STDERR_FILENO)
    close(fd);
  else if (!owned_occupy(fd))
    dup2(epoll, fd);
}
