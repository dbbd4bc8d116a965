#include "uv/own_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/carried.h"


/* Where there is no /proc, the path will do. */
static int open_own(const char *path) {
  int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  return fd < 0 ? open(path, O_RDONLY | O_CLOEXEC) : fd;
}


/* The kernel lets nobody write to a file that runs, so it can stay a mapping. */
static bool map(int fd, const char *path, uint64_t at, uint64_t size) {
  struct stat st;
  if (fstat(fd, &st) < 0 || (uint64_t)st.st_size < size ||
      (uint64_t)st.st_size - size < at)
    return false;
  char *bytes = mmap(NULL, (size_t)(at + size), PROT_READ, MAP_PRIVATE, fd, 0);
  return bytes != MAP_FAILED && carried_set(bytes + at, (size_t)size, path);
}


bool own_file_open(void) {
  uint64_t at, size;
  if (!carried_place(&at, &size))
    return true;
  /* As the kernel was given it. */
  const char *given = (const char *)getauxval(AT_EXECFN);
  char *path = realpath(given, NULL);
  if (path == NULL)
    path = strdup(given);
  int fd = open_own(path);
  bool is_there = fd >= 0 && map(fd, path, at, size);
  if (!is_there && fd < 0)
    fputs("neap: this executable cannot be opened, to read the program that it "
          "carries\n",
          stderr);
  else if (!is_there)
    fputs("neap: the program that this executable carries is gone, as strip(1) "
          "leaves it: strip neap before neap build\n",
          stderr);
  if (fd >= 0)
    close(fd);
  if (!is_there)
    free(path);
  return is_there;
}
