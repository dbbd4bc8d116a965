#include "uv/hosts.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "host/memory.h"
#include "uv/lines.h"

#define BLANKS " \t\r\v\f"

enum { SOURCES = 16, FOUND = 256 }; /* looked at, at most */


/*
** nsswitch.conf
*/

/* In brackets stands when to ask elsewhere nevertheless: who has that knows more
 * than is known here. */
static bool is_plain(const char *source, const char *next) {
  return source[0] != '[' && (next == NULL || next[0] != '[');
}


static bool read_sources(char *line, void *of) {
  name_sources *s = of;
  char *rest = NULL, *word[SOURCES + 1] = {NULL};
  line[strcspn(line, "#")] = '\0';
  const char *base = strtok_r(line, ":" BLANKS, &rest);
  if (base == NULL || strcmp(base, "hosts") != 0)
    return false;
  for (int i = 0; i < SOURCES; i++)
    if ((word[i] = strtok_r(NULL, ":" BLANKS, &rest)) == NULL)
      break;
  char **next = word;
  s->files = next[0] != NULL && strcmp(next[0], "files") == 0 &&
             is_plain(next[0], next[1]);
  next += s->files;
  s->dns = next[0] != NULL && strcmp(next[0], "dns") == 0 &&
           is_plain(next[0], next[1]);
  s->more = next[0] == NULL || next[1] != NULL;
  return true;
}


int hosts_sources(name_sources *s) {
  *s = (name_sources){.files = true, .dns = true};
  int status = lines_each("/etc/nsswitch.conf", read_sources, s);
  return status < 0 ? status : 0;
}


/*
** /etc/hosts
*/

typedef struct wanted {
  const char *name;
  int family;
  address *found;
  size_t count;
} wanted;


/* To who asks for IPv4, the loopback of IPv6 is that of IPv4. */
static bool read_ip(const char *ip, int family, address *a) {
  memset(a, 0, sizeof *a);
  if (inet_pton(AF_INET, ip, &a->u.in4.sin_addr) == 1) {
    a->u.any.sa_family = AF_INET;
    a->length = sizeof a->u.in4;
    return family != AF_INET6;
  }
  if (inet_pton(AF_INET6, ip, &a->u.in6.sin6_addr) != 1)
    return false;
  a->u.any.sa_family = AF_INET6;
  a->length = sizeof a->u.in6;
  if (family != AF_INET)
    return true;
  bool is_loopback = IN6_IS_ADDR_LOOPBACK(&a->u.in6.sin6_addr);
  if (is_loopback)
    address_loopback(a, AF_INET, 0);
  return is_loopback;
}


static void add(wanted *w, const address *a) {
  for (size_t i = 0; i < w->count; i++)
    if (address_equal(&w->found[i], a))
      return;
  w->found = memory_grow(w->found, (w->count + 1) * sizeof *w->found);
  w->found[w->count++] = *a;
}


static bool read_host(char *line, void *of) {
  wanted *w = of;
  address a;
  char *rest = NULL;
  line[strcspn(line, "#")] = '\0';
  const char *ip = strtok_r(line, BLANKS, &rest);
  if (ip == NULL || !read_ip(ip, w->family, &a))
    return false;
  for (const char *name; (name = strtok_r(NULL, BLANKS, &rest)) != NULL;)
    if (strcasecmp(name, w->name) == 0) {
      add(w, &a);
      break;
    }
  return w->count == FOUND;
}


int hosts_find(const char *name, int family, address **found, size_t *count) {
  wanted w = {.name = name, .family = family};
  int status = lines_each("/etc/hosts", read_host, &w);
  *found = w.found;
  *count = w.count;
  return status < 0 ? status : 0;
}
