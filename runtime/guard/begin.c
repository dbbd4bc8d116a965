#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guard/kernel.h"
#include "guard/rules.h"

/* The script, wherever it is, and modules beside it and the file that it is a link
 * to. */
static const char *allow_script(const char *script) {
  char folder[PATH_MAX];
  const char *slash = strrchr(script, '/');
  size_t n = slash != NULL ? (size_t)(slash - script) + 1 : 1;
  if (n >= sizeof folder)
    return "the script's path is too long";
  memcpy(folder, slash != NULL ? script : ".", n);
  folder[n] = '\0';
  if (access(script, F_OK) != 0)
    return NULL; /* which is told when it is opened */
  return rule_read_folder(GUARD_READ, RULE_CODE, folder);
}


const char *guard_begin(const char *script) {
  char real[PATH_MAX];
  const char *why = NULL;
  if (access("/proc/self/fd", X_OK) != 0)
    return "it needs /proc, by which the kernel tells what was opened";
  if (script != NULL && strcmp(script, "-") != 0)
    why = allow_script(script);
  if (why == NULL && script != NULL && readlink(script, real, 1) >= 0 &&
      realpath(script, real) != NULL)
    why = allow_script(real);
  if (why != NULL)
    return why;
  guard_on = true;
  kernel_files_and_ports();
  kernel_calls();
  return NULL;
}
