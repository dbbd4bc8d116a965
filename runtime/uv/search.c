#include "uv/search.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "host/memory.h"

enum { DOMAINS = 32 }; /* of the search list that are tried */


/* Nobody is to be told of hidden services (RFC 7686). */
static bool is_hidden(const char *name, size_t n) {
  static const char last[] = ".onion";
  size_t m = sizeof last - 1;
  return n >= m && strncasecmp(name + n - m, last, m) == 0;
}


bool search_is_name(const char *name) {
  size_t n = strlen(name), label = 0;
  if (n > 0 && name[n - 1] == '.')
    n--;
  if (n == 0 || n > 253 || strchr(name, '\\') != NULL || is_hidden(name, n))
    return false;
  for (size_t i = 0; i <= n; i++) {
    if (i < n && name[i] != '.') {
      label++;
      continue;
    }
    if (label == 0 || label > 63)
      return false;
    label = 0;
  }
  return true;
}


static void add_name(char **all, size_t *used, const char *name,
                     const char *domain) {
  char text[512];
  int n =
      snprintf(text, sizeof text, "%s%s%s", name, *domain ? "." : "", domain);
  if (n < 0 || (size_t)n >= sizeof text || !search_is_name(text))
    return;
  *all = memory_grow(*all, *used + (size_t)n + 2);
  memcpy(*all + *used, text, (size_t)n + 1);
  *used += (size_t)n + 1;
  (*all)[*used] = '\0';
}


static void add_domains(char **all, size_t *used, const char *name,
                        const char *search) {
  char *domains = memory_text(search, strlen(search)), *rest = NULL;
  const char *d = strtok_r(domains, " \t", &rest);
  for (int n = 0; n < DOMAINS && d != NULL; n++) {
    if (strcmp(d, ".") != 0)
      add_name(all, used, name, d);
    d = strtok_r(NULL, " \t", &rest);
  }
  free(domains);
}


static unsigned count_dots(const char *name) {
  unsigned n = 0;
  for (; *name != '\0'; name++)
    n += *name == '.';
  return n;
}


char *search_names(const char *name, const resolv_conf *conf) {
  char *all = NULL;
  size_t used = 0;
  bool whole = name[strlen(name) - 1] == '.';
  bool first = whole || count_dots(name) >= conf->ndots;
  if (first)
    add_name(&all, &used, name, "");
  if (!whole)
    add_domains(&all, &used, name, conf->search);
  if (!first)
    add_name(&all, &used, name, "");
  return all;
}
