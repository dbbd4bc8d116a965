#include "uv/lines.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { LONGEST = 256 * 1024 }; /* of a file that is read between two tasks */


static bool is_lack(int error) {
  return error == EMFILE || error == ENFILE || error == ENOMEM;
}


static int read_lines(FILE *f, bool (*take)(char *line, void *of), void *of) {
  char *line = NULL;
  size_t room = 0;
  bool taken = false;
  while (!taken && getline(&line, &room, f) >= 0) {
    line[strcspn(line, "\n")] = '\0';
    taken = take(line, of);
  }
  free(line);
  return taken;
}


int lines_each(const char *path, bool (*take)(char *line, void *of), void *of) {
  struct stat st;
  int status = 0;
  FILE *f = fopen(path, "re");
  if (f == NULL)
    return is_lack(errno) ? -errno : 0;
  if (fstat(fileno(f), &st) == 0 && S_ISREG(st.st_mode))
    status = st.st_size <= LONGEST ? read_lines(f, take, of) : -EFBIG;
  fclose(f);
  return status;
}
