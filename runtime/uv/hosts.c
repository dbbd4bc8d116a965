#include "uv/hosts.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum { LONGEST = 256 * 1024 }; /* of a file that is read between two tasks */


/* Does fits(line, of) hold of any line of a file, without its comment? */
static bool any_line(const char *path, bool (*fits)(char *line, void *of),
                     void *of) {
  char *line = NULL;
  size_t room = 0;
  struct stat st;
  bool found = false;
  FILE *f = fopen(path, "re");
  if (f == NULL)
    return false;
  if (fstat(fileno(f), &st) == 0 && S_ISREG(st.st_mode) &&
      st.st_size <= LONGEST)
    while (!found && getline(&line, &room, f) >= 0) {
      line[strcspn(line, "#\n")] = '\0';
      found = fits(line, of);
    }
  free(line);
  fclose(f);
  return found;
}


/* What stands in brackets says when to ask elsewhere nevertheless. */
static bool puts_files_first(char *line, void *of) {
  static const char between[] = ": \t\r\v\f";
  char *rest = NULL;
  (void)of;
  const char *base = strtok_r(line, between, &rest);
  if (base == NULL || strcmp(base, "hosts") != 0)
    return false;
  const char *first = strtok_r(NULL, between, &rest);
  const char *next = strtok_r(NULL, between, &rest);
  return first != NULL && strcmp(first, "files") == 0 &&
         (next == NULL || next[0] != '[');
}


/* To who asks for IPv4, the loopback of IPv6 is that of IPv4. */
static bool serves(const char *ip, int family) {
  struct in6_addr a;
  if (inet_pton(AF_INET, ip, &a) == 1)
    return family != AF_INET6;
  return inet_pton(AF_INET6, ip, &a) == 1 &&
         (family != AF_INET || IN6_IS_ADDR_LOOPBACK(&a));
}


typedef struct wanted {
  const char *name;
  int family;
} wanted;


static bool names_wanted(char *line, void *of) {
  static const char between[] = " \t\r\v\f";
  const wanted *w = of;
  char *rest = NULL;
  const char *ip = strtok_r(line, between, &rest);
  if (ip == NULL || !serves(ip, w->family))
    return false;
  for (const char *name; (name = strtok_r(NULL, between, &rest)) != NULL;)
    if (strcasecmp(name, w->name) == 0)
      return true;
  return false;
}


bool hosts_has(const char *name, int family) {
  wanted w = {name, family};
  return any_line("/etc/hosts", names_wanted, &w) &&
         any_line("/etc/nsswitch.conf", puts_files_first, NULL);
}
