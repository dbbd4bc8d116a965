#include "guard/rules.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <limits.h>
#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool guard_on;

static rule *rules;
static size_t count, room;


/*
** The list
*/

static void *sure(void *p) {
  if (p != NULL)
    return p;
  fputs("neap: not enough memory\n", stderr);
  abort();
}


rule *rule_add(guard_deed deed, rule_kind kind) {
  if (count == room) {
    room = room == 0 ? 16 : 2 * room;
    rules = sure(realloc(rules, room * sizeof *rules));
  }
  rule *r = &rules[count++];
  memset(r, 0, sizeof *r);
  r->deed = deed;
  r->kind = kind;
  return r;
}


rule *rule_first(void) {
  return rules;
}


size_t rule_count(void) {
  return count;
}


const rule *rule_next(const rule *at, guard_deed deed) {
  const rule *r = at == NULL ? rules : at + 1;
  while (r != NULL && r < rules + count && r->deed != deed)
    r++;
  return r != NULL && r < rules + count ? r : NULL;
}


static void set_text(rule *r, const char *text, size_t n) {
  r->text = sure(malloc(n + 1));
  memcpy(r->text, text, n);
  r->text[n] = '\0';
  r->length = n;
}


/*
** Reading: host[:ports], address[/bits][:ports], *[:ports], unix:path,
** vsock:cid[:ports], raw
*/

static const char expected[] = "HOST, ADDRESS, ADDRESS/BITS or * expected, and "
                               "perhaps :PORT,PORT-PORT,...; "
                               "or unix:PATH, unix:@NAME, vsock:CID:PORT, raw";


/* A number below 2^32, and *at behind it. */
static bool read_number(const char **at, uint32_t most, uint32_t *out) {
  char *end;
  if (!isdigit((unsigned char)**at))
    return false;
  unsigned long long n = strtoull(*at, &end, 10);
  *at = end;
  *out = (uint32_t)n;
  return n <= most;
}


static bool read_ports(rule *r, const char *text, uint32_t most) {
  const char *at = text;
  if (*text == '*' && text[1] == '\0')
    return true;
  do {
    port_range *p = &r->ports[r->port_count];
    if (r->port_count++ == PORTS || !read_number(&at, most, &p->first))
      return false;
    p->last = p->first;
    if (*at == '-' && (at++, !read_number(&at, most, &p->last)))
      return false;
    if (p->last < p->first)
      return false;
  } while (*at == ',' && at++ != NULL);
  return *at == '\0' && r->port_count <= PORTS;
}


static bool read_ip(rule *r, const char *text) {
  r->family = strchr(text, ':') != NULL ? AF_INET6 : AF_INET;
  r->bits = r->family == AF_INET6 ? 128 : 32;
  return inet_pton(r->family, text, r->ip) == 1;
}


/* What stands in the clothes of IPv6 is IPv4. */
static void undress(rule *r) {
  static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
  if (r->family != AF_INET6 || r->bits < 96 ||
      memcmp(r->ip, mapped, sizeof mapped) != 0)
    return;
  r->family = AF_INET;
  r->bits -= 96;
  memmove(r->ip, r->ip + 12, 4);
}


/* An address, perhaps with the number of bits that count. */
static bool read_net(rule *r, char *text) {
  char *slash = strchr(text, '/');
  uint32_t bits;
  const char *at = slash != NULL ? slash + 1 : NULL;
  if (slash != NULL)
    *slash = '\0';
  if (!read_ip(r, text))
    return false;
  if (at != NULL) {
    if (!read_number(&at, r->bits, &bits) || *at != '\0')
      return false;
    r->bits = bits;
  }
  undress(r);
  return true;
}


/* Of letters, digits, '-' and '_', with dots between, and no number at the end, which
 * would be an address in disguise: 127.1, 0x7f000001. */
static bool is_name(const char *text) {
  size_t n = strlen(text);
  const char *dot = strrchr(text, '.'), *last = dot != NULL ? dot + 1 : text;
  if (n == 0 || n > 253 || strstr(text, "..") != NULL || *text == '.' ||
      isdigit((unsigned char)*last) || *last == '\0')
    return false;
  return text[strspn(text,
                     "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                     "0123456789-_.")] == '\0';
}


/* It is this machine, whoever is asked. */
static const char *read_localhost(guard_deed deed, const char *ports) {
  static const char *const texts[] = {"127.0.0.0/8", "::1"};
  for (int i = 0; i < 2; i++) {
    char text[16];
    rule *r = rule_add(deed, RULE_NET);
    strcpy(text, texts[i]);
    if (!read_net(r, text) ||
        (ports != NULL && !read_ports(r, ports, UINT16_MAX)))
      return expected;
  }
  return NULL;
}


static const char *read_name(guard_deed deed, const char *name,
                             const char *ports) {
  if (strcasecmp(name, "localhost") == 0)
    return read_localhost(deed, ports);
  if (!is_name(name))
    return expected;
  if (deed != GUARD_CONNECT)
    return "an address of this machine, localhost or * expected, and no name";
  rule *r = rule_add(deed, RULE_NAME);
  set_text(r, name, strlen(name));
  r->learned = sure(calloc(LEARNED, sizeof *r->learned));
  return ports == NULL || read_ports(r, ports, UINT16_MAX) ? NULL : expected;
}


/* Where a host's text ends and its ports begin, in a copy; false: brackets are
 * missing. */
static bool cut(char *text, char **host, char **ports) {
  char *colon = strchr(text, ':');
  *host = text;
  *ports = NULL;
  if (*text == '[') {
    char *end = strchr(text, ']');
    if (end == NULL)
      return false;
    *host = text + 1;
    char *behind = end + 1 + strcspn(end + 1, ":");
    if (*behind == ':')
      *ports = behind + 1;
    *behind = '\0';
    memmove(end, end + 1, strlen(end + 1) + 1); /* [fd00::]/8 */
  } else if (colon != NULL && strchr(colon + 1, ':') == NULL) {
    *colon = '\0';
    *ports = colon + 1;
  }
  return true;
}


static const char *read_host(guard_deed deed, char *text) {
  char *host, *ports;
  if (!cut(text, &host, &ports))
    return expected;
  if (strchr(host, '/') == NULL && strchr(host, ':') == NULL && is_name(host))
    return read_name(deed, host, ports);
  rule *r = rule_add(deed, RULE_NET);
  if (strcmp(host, "*") != 0 && !read_net(r, host))
    return expected;
  return ports == NULL || read_ports(r, ports, UINT16_MAX) ? NULL : expected;
}


static const char *read_vsock(guard_deed deed, const char *text) {
  rule *r = rule_add(deed, RULE_VSOCK);
  r->every_cid = *text == '*';
  if (r->every_cid)
    text++;
  else if (!read_number(&text, UINT32_MAX - 1, &r->cid))
    return expected;
  if (*text == '\0')
    return NULL;
  return *text == ':' && read_ports(r, text + 1, UINT32_MAX) ? NULL : expected;
}


static const char *read_unix(guard_deed deed, const char *text) {
  char real[PATH_MAX + NAME_MAX], folder[PATH_MAX];
  if (*text == '@' && text[1] != '\0') {
    rule *r = rule_add(deed, RULE_UNIX);
    set_text(r, text, strlen(text));
    r->text[0] = '\0';
    return NULL;
  }
  const char *slash = strrchr(text, '/'),
             *name = slash != NULL ? slash + 1 : text;
  size_t n = (size_t)(name - text);
  if (*name == '\0' || n >= sizeof folder)
    return expected;
  memcpy(folder, n == 0 ? "." : text, n == 0 ? 1 : n);
  folder[n == 0 ? 1 : n] = '\0';
  if (realpath(folder, real) == NULL)
    return "the path of a socket in a folder that is there expected";
  size_t used = strlen(real);
  snprintf(real + used, sizeof real - used, "%s%s", used > 1 ? "/" : "", name);
  set_text(rule_add(deed, RULE_UNIX), real, strlen(real));
  return NULL;
}


const char *rule_read_address(guard_deed deed, const char *value) {
  char text[512];
  if (strlen(value) >= sizeof text)
    return expected;
  if (strncmp(value, "unix:", 5) == 0)
    return read_unix(deed, value + 5);
  if (strncmp(value, "vsock:", 6) == 0)
    return read_vsock(deed, value + 6);
  if (strcmp(value, "raw") == 0 && deed == GUARD_BIND)
    return rule_add(deed, RULE_RAW), NULL;
  strcpy(text, value);
  return read_host(deed, text);
}


const char *rule_read_folder(guard_deed deed, rule_kind kind,
                             const char *path) {
  char real[PATH_MAX];
  if (realpath(path, real) == NULL)
    return "a folder or file that is there expected";
  set_text(rule_add(deed, kind), real, strlen(real));
  return NULL;
}


/*
** Options
*/

static bool is_variable(const char *text) {
  return *text != '\0' && strchr(text, '=') == NULL;
}


const char *guard_allow(guard_deed deed, const char *value) {
  if (value == NULL)
    return rule_add(deed, RULE_ALL), NULL;
  switch (deed) {
  case GUARD_READ:
  case GUARD_WRITE:
    return rule_read_folder(deed, RULE_FOLDER, value);
  case GUARD_ENV:
    if (!is_variable(value))
      return "the name of a variable expected";
    set_text(rule_add(deed, RULE_TEXT), value, strlen(value));
    return NULL;
  default:
    return rule_read_address(deed, value);
  }
}


const char *guard_words(int status) {
  static const char *const words[GUARD_ERRORS] = {
      [GUARD_CONNECT] =
          "refused by --restrict: --allow-connect=HOST:PORT would allow it",
      [GUARD_LISTEN] =
          "refused by --restrict: --allow-listen=ADDRESS:PORT would allow it",
      [GUARD_BIND] =
          "refused by --restrict: --allow-bind=ADDRESS:PORT would allow it",
      [GUARD_READ] = "refused by --restrict: --allow-read=DIR would allow it",
      [GUARD_WRITE] = "refused by --restrict: --allow-write=DIR would allow it",
      [GUARD_RUN] = "refused by --restrict: --allow-run would allow it",
      [GUARD_ENV] = "refused by --restrict: --allow-env=NAME would allow it",
      [GUARD_NAME] =
          "refused by --restrict: --allow-connect=NAME would allow it",
      [GUARD_UNIX + GUARD_CONNECT] =
          "refused by --restrict: --allow-connect=unix:PATH would allow it",
      [GUARD_UNIX + GUARD_LISTEN] =
          "refused by --restrict: --allow-listen=unix:PATH would allow it",
      [GUARD_UNIX + GUARD_BIND] =
          "refused by --restrict: --allow-bind=unix:PATH would allow it",
      [GUARD_PRIVATE] =
          "the address is private, and only public ones were asked for",
  };
  int at = GUARD_STATUS - 1 - status;
  return at >= 0 && at < GUARD_ERRORS ? words[at] : NULL;
}


static bool has_all(guard_deed deed) {
  const rule *r = NULL;
  while ((r = rule_next(r, deed)) != NULL)
    if (r->kind == RULE_ALL)
      return true;
  return false;
}


int guard_run(void) {
  return !guard_on || has_all(GUARD_RUN) ? 0 : guard_refusal(GUARD_RUN);
}


bool guard_env(const char *name) {
  const rule *r = NULL;
  if (!guard_on)
    return true;
  while ((r = rule_next(r, GUARD_ENV)) != NULL)
    if (r->kind == RULE_ALL || strcmp(r->text, name) == 0)
      return true;
  return false;
}
