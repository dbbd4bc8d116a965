/*
** Lines of a head: what can be read in two ways is refused (RFC 9112 §2.2, §5.1, §5.2).
*/

#include <string.h>

#include "http/http.h"

static const http_refusal good = {0, NULL};


static http_refusal bad(const char *words) {
  return (http_refusal){400, words};
}


/* A set of ASCII characters, a bit each. */
typedef uint64_t set[2];

static bool is_in(const set s, char c) {
  unsigned char u = (unsigned char)c;
  return u < 128 && (s[u / 64] >> u % 64 & 1) != 0;
}


/* tchar (RFC 9110 §5.6.2): letters, digits and !#$%&'*+-.^_`|~ */
bool http_is_token(const char *text, size_t n) {
  static const set tchar = {UINT64_C(0x03ff6cfa00000000),
                            UINT64_C(0x57ffffffc7fffffe)};
  for (size_t i = 0; i < n; i++)
    if (!is_in(tchar, text[i]))
      return false;
  return n > 0;
}


static bool is_control(unsigned char c) {
  return (c < 0x20 && c != '\t') || c == 0x7f;
}


/* Is any of these eight bytes below a blank, or a delete?  For most texts none is. */
static bool may_control(const char *text) {
  const uint64_t ones = UINT64_C(0x0101010101010101);
  uint64_t w;
  memcpy(&w, text, sizeof w);
  uint64_t d = w ^ 0x7f * ones;
  return (((w - 0x20 * ones) & ~w) | ((d - ones) & ~d)) & 0x80 * ones;
}


/* No control but the tab. */
bool http_is_text(const char *text, size_t n) {
  size_t i = 0;
  while (i < n) {
    if (n - i >= sizeof(uint64_t) && !may_control(text + i))
      i += sizeof(uint64_t);
    else if (is_control((unsigned char)text[i++]))
      return false;
  }
  return true;
}


static bool is_digit(char c) {
  return c >= '0' && c <= '9';
}


/* "HTTP/1.0" or "HTTP/1.1". */
static http_refusal check_version(const char *text, size_t n) {
  if (n != 8 || memcmp(text, "HTTP/", 5) != 0 || !is_digit(text[5]) ||
      text[6] != '.' || !is_digit(text[7]))
    return bad("a version, HTTP/1.1, expected");
  if (text[5] != '1' || text[7] > '1')
    return (http_refusal){505, "HTTP/1.0 or HTTP/1.1 expected"};
  return good;
}


static bool starts(const char *text, size_t n, const char *with) {
  size_t size = strlen(with);
  return n >= size && strncasecmp(text, with, size) == 0;
}


/* Up to five digits, of a port (RFC 3986 §3.2.3). */
static bool is_port(const char *text, size_t n) {
  unsigned port = 0;
  for (size_t i = 0; i < n; i++) {
    if (!is_digit(text[i]) ||
        (port = port * 10 + (unsigned)(text[i] - '0')) > 65535)
      return false;
  }
  return true;
}


/* What is printed, but for /?#@,:[]\"<>^`{|} */
static bool is_of_host(char c) {
  static const set printed = {UINT64_C(0x2bff6ff200000000),
                              UINT64_C(0x47fffffe87fffffe)};
  return is_in(printed, c);
}


bool http_is_authority(const char *text, size_t n, size_t *name) {
  size_t i = 0;
  if (n > 0 && *text == '[') {
    while (++i < n && (is_of_host(text[i]) || text[i] == ':'))
      ;
    if (i < 3 || i == n || text[i++] != ']')
      return false;
  } else {
    while (i < n && is_of_host(text[i]))
      i++;
  }
  *name = i;
  return i == n || (text[i] == ':' && is_port(text + i + 1, n - i - 1));
}


/* host:port, both of them there (RFC 9110 §9.3.6). */
static bool is_for_connect(const char *text, size_t n) {
  size_t name;
  return http_is_authority(text, n, &name) && name > 0 && n > name + 1;
}


/* Behind "http://": a host, and no userinfo, which a stranger's URI must not have
 * (RFC 9110 §4.2). */
static bool names_host(const char *text, size_t n) {
  size_t authority = 0, name;
  while (authority < n && text[authority] != '/' && text[authority] != '?')
    authority++;
  return http_is_authority(text, authority, &name) && name > 0;
}


/* One of the four forms of a target (RFC 9112 §3.2). */
static http_refusal check_target(const char *text, size_t n, bool connect,
                                 bool options) {
  for (size_t i = 0; i < n; i++) {
    unsigned char c = (unsigned char)text[i];
    if (c <= 0x20 || c >= 0x7f || c == '#')
      return bad("the target has a byte that belongs into no URI");
  }
  if (connect)
    return is_for_connect(text, n) ? good : bad("CONNECT: host:port expected");
  if (n == 1 && *text == '*')
    return options ? good : bad("the target * is for OPTIONS");
  if (*text == '/')
    return good;
  size_t scheme = starts(text, n, "http://")    ? 7
                  : starts(text, n, "https://") ? 8
                                                : 0;
  if (scheme == 0)
    return bad("the target is no path, and no http URI");
  return names_host(text + scheme, n - scheme)
             ? good
             : bad("a target whose host is none");
}


static http_refusal check_request_line(const char *line, size_t n) {
  const char *space = memchr(line, ' ', n);
  const char *last = memrchr(line, ' ', n);
  if (space == NULL || space == last)
    return bad("a request line expected: method, target and version");
  size_t method = (size_t)(space - line);
  if (!http_is_token(line, method))
    return bad("a method expected");
  http_refusal version = check_version(last + 1, (size_t)(line + n - last - 1));
  if (version.status != 0)
    return version;
  size_t target = (size_t)(last - space - 1);
  if (target == 0)
    return bad("a target expected");
  return check_target(space + 1, target,
                      method == 7 && memcmp(line, "CONNECT", 7) == 0,
                      method == 7 && memcmp(line, "OPTIONS", 7) == 0);
}


/* The blank behind the status may be missing with the reason. */
static http_refusal check_status_line(const char *line, size_t n) {
  if (n < 12 || line[8] != ' ' || !is_digit(line[9]) || !is_digit(line[10]) ||
      !is_digit(line[11]) || (n > 12 && line[12] != ' '))
    return bad("a status line expected");
  if (line[9] < '1' || line[9] > '5')
    return bad("a status from 100 to 599 expected");
  http_refusal version = check_version(line, 8);
  if (version.status != 0)
    return version;
  return http_is_text(line, n) ? good
                               : bad("a control character in the status line");
}


static http_refusal check_field(const char *line, size_t n) {
  if (*line == ' ' || *line == '\t')
    return bad("a field that is folded");
  const char *colon = memchr(line, ':', n);
  if (colon == NULL || !http_is_token(line, (size_t)(colon - line)))
    return bad("a field's name and a colon expected");
  size_t value = (size_t)(line + n - colon - 1);
  return http_is_text(colon + 1, value) ? good
                                        : bad("a control character in a field");
}


http_refusal http_check_line(const char *line, size_t n, enum http_kind kind,
                             bool first) {
  if (n < 2 || line[n - 2] != '\r')
    return bad("a line ends with CR LF");
  n -= 2;
  if (n == 0)
    return good;
  if (!first || kind == HTTP_TRAILERS)
    return check_field(line, n);
  return kind == HTTP_REQUESTS ? check_request_line(line, n)
                               : check_status_line(line, n);
}
