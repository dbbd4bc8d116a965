#include "uv/resolv_conf.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/memory.h"
#include "uv/lines.h"

#define BLANKS " \t\r\v\f"

enum { DNS_PORT = 53, LONGEST_HOSTNAME = 256 };


static const char *path(void) {
  const char *chosen = secure_getenv("NEAP_RESOLV_CONF");
  return chosen != NULL && *chosen != '\0' ? chosen : "/etc/resolv.conf";
}


/*
** The lines
*/

static bool read_ip(char *text, address *a) {
  char *scope = strchr(text, '%');
  memset(a, 0, sizeof *a);
  if (scope != NULL)
    *scope++ = '\0';
  if (inet_pton(AF_INET, text, &a->u.in4.sin_addr) == 1) {
    a->u.any.sa_family = AF_INET;
    a->length = sizeof a->u.in4;
  } else if (inet_pton(AF_INET6, text, &a->u.in6.sin6_addr) == 1) {
    a->u.any.sa_family = AF_INET6;
    a->length = sizeof a->u.in6;
    if (scope != NULL)
      a->u.in6.sin6_scope_id = if_nametoindex(scope);
  }
  return a->length > 0;
}


/* An address, or [address]:port. */
static void read_server(resolv_conf *c, char *text) {
  int port = DNS_PORT;
  if (text == NULL || c->server_count == RESOLV_SERVERS)
    return;
  char *end = text[0] == '[' ? strchr(text, ']') : NULL;
  if (end != NULL) {
    *end = '\0';
    text++;
    if (end[1] == ':')
      port = address_parse_port(end + 2, strlen(end + 2));
  }
  address *a = &c->servers[c->server_count];
  if (port <= 0 || !read_ip(text, a))
    return;
  address_set_port(a, port);
  c->server_count++;
}


static unsigned at_most(const char *number, unsigned most) {
  unsigned long n = strtoul(number, NULL, 10);
  return n < most ? (unsigned)n : most;
}


static void read_option(resolv_conf *c, const char *word) {
  if (strncmp(word, "ndots:", 6) == 0)
    c->ndots = at_most(word + 6, 15);
  else if (strncmp(word, "timeout:", 8) == 0)
    c->timeout = at_most(word + 8, 30);
  else if (strncmp(word, "attempts:", 9) == 0)
    c->attempts = at_most(word + 9, 5);
  else if (strcmp(word, "rotate") == 0)
    c->rotate = true;
  else if (strcmp(word, "use-vc") == 0)
    c->tcp = true;
  else if (strcmp(word, "no-aaaa") == 0)
    c->no_aaaa = true;
}


static void read_options(resolv_conf *c, char *text) {
  char *rest = NULL;
  for (char *word = strtok_r(text, BLANKS, &rest); word != NULL;
       word = strtok_r(NULL, BLANKS, &rest))
    read_option(c, word);
}


static void set_search(resolv_conf *c, const char *text) {
  free(c->search);
  c->search = memory_text(text, strlen(text));
}


/* The last of `domain` and `search` counts. */
static bool read_line(char *line, void *of) {
  resolv_conf *c = of;
  char *rest = NULL;
  line[strcspn(line, "#;")] = '\0';
  const char *word = strtok_r(line, BLANKS, &rest);
  if (word == NULL)
    return false;
  if (strcmp(word, "nameserver") == 0)
    read_server(c, strtok_r(NULL, BLANKS, &rest));
  else if (strcmp(word, "search") == 0 || strcmp(word, "domain") == 0)
    set_search(c, rest);
  else if (strcmp(word, "options") == 0)
    read_options(c, rest);
  return false;
}


/*
** What is not in it
*/

static void read_environment(resolv_conf *c) {
  const char *search = getenv("LOCALDOMAIN");
  const char *options = getenv("RES_OPTIONS");
  if (search != NULL)
    set_search(c, search);
  if (options != NULL) {
    char *text = memory_text(options, strlen(options));
    read_options(c, text);
    free(text);
  }
}


static void search_own_domain(resolv_conf *c) {
  char name[LONGEST_HOSTNAME] = "";
  gethostname(name, sizeof name - 1);
  const char *dot = strchr(name, '.');
  set_search(c, dot != NULL ? dot + 1 : "");
}


static void complete(resolv_conf *c) {
  read_environment(c);
  if (c->search == NULL)
    search_own_domain(c);
  if (c->server_count == 0)
    address_loopback(&c->servers[c->server_count++], AF_INET, DNS_PORT);
  c->timeout += c->timeout == 0;
  c->attempts += c->attempts == 0;
}


static bool is_same(const struct stat *a, const struct stat *b) {
  return a->st_ino == b->st_ino && a->st_dev == b->st_dev &&
         a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
         a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}


int resolv_conf_read(resolv_conf *c) {
  resolv_conf fresh = {.ndots = 1, .timeout = 5, .attempts = 2};
  if (stat(path(), &fresh.file) < 0)
    memset(&fresh.file, 0, sizeof fresh.file);
  if (c->server_count > 0 && is_same(&c->file, &fresh.file))
    return 0;
  int status = lines_each(path(), read_line, &fresh);
  if (status < 0 && status != -EFBIG) {
    free(fresh.search);
    return status;
  }
  complete(&fresh);
  free(c->search);
  *c = fresh;
  return 1;
}


void resolv_conf_free(resolv_conf *c) {
  free(c->search);
}
