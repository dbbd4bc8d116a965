/*
** Heads: waited for by their lines, parsed when they are whole.
*/

#include <errno.h>
#include <lauxlib.h>
#include <string.h>

#include "host/host.h"
#include "http/http.h"
#include "net/stream.h"
#include "sched/world.h"


uint64_t http_now(const view *v) {
  const host *h = v->box->stream->host;
  return h->world->now(h->outside);
}


int http_refuse(lua_State *L, http_refusal why) {
  lua_pushnil(L);
  lua_pushinteger(L, why.status);
  lua_pushstring(L, why.words);
  return TAKEN;
}


static bool too_long(const http_parser *p, size_t line, enum http_kind kind,
                     http_refusal *why) {
  if (line > p->limits.line)
    *why = p->lines == 0 && kind == HTTP_REQUESTS
               ? (http_refusal){414, "the request line is too long"}
               : (http_refusal){431, "a field is too long"};
  else if (p->at + line > p->limits.head)
    *why = (http_refusal){431, "the fields are too long"};
  else
    return false;
  return true;
}


/* An empty line before a request is passed over, once (RFC 9112 §2.2). */
static bool pass_blank(http_parser *p, enum http_kind kind) {
  if (kind != HTTP_REQUESTS || p->lines > 0 || p->blank)
    return false;
  p->blank = true;
  return true;
}


int http_scan(http_parser *p, view *v, size_t from, enum http_kind kind,
              http_refusal *why) {
  for (;;) {
    const char *line = v->bytes + from + p->at;
    size_t there = v->size - from - p->at;
    const char *end = there > p->looked
                          ? memchr(line + p->looked, '\n', there - p->looked)
                          : NULL;
    size_t n = end != NULL ? (size_t)(end - line) + 1 : there;
    if (too_long(p, n, kind, why))
      return -1;
    if (end == NULL) {
      p->looked = (uint32_t)n;
      v->need = v->size + 1;
      return 0;
    }
    *why = http_check_line(line, n, kind, p->lines == 0);
    if (why->status != 0)
      return -1;
    p->at += (uint32_t)n;
    p->looked = 0;
    if (n > 2 && p->lines++ == p->limits.fields + (kind != HTTP_TRAILERS)) {
      *why = (http_refusal){431, "too many fields"};
      return -1;
    }
    if (n == 2 && !pass_blank(p, kind))
      break;
  }
  if (p->lines > 0 || kind == HTTP_TRAILERS)
    return 1;
  *why = (http_refusal){400, "an empty line where a message begins"};
  return -1;
}


/* How long to wait: until it begins, and then until it ends; or as the call says. */
static void set_deadline(http_parser *p, const view *v) {
  p->taking.deadline = p->late;
  if (p->late != 0)
    return;
  uint64_t now = http_now(v);
  if (v->size > 0 && p->began == 0)
    p->began = now;
  uint64_t ns = v->size > 0 ? p->limits.header
                : p->later  ? p->limits.idle
                            : p->limits.first;
  p->taking.deadline = ns == 0 ? 0 : (v->size > 0 ? p->began : now) + ns;
}


static void begin_body(http_parser *p, const http_head *h) {
  p->framing = h->framing;
  p->remaining = h->length;
  p->chunk = CHUNK_SIZE;
  p->taken = p->waited = p->began = 0;
  p->at = p->looked = p->lines = p->extra = 0;
  p->later = true;
  p->blank = false;
  p->whole =
      h->framing == NO_BODY || (h->framing == BY_LENGTH && h->length == 0);
}


static bool has_method(const http_head *h, const char *name, size_t n) {
  return h->method.size == n && memcmp(http_head_bytes(h), name, n) == 0;
}


/* A request without a body, which is answered as most are: the connection goes on. */
static bool is_plain(const http_head *h) {
  return h->keepalive && h->minor == 1 && h->framing == NO_BODY &&
         !has_method(h, "HEAD", 4) && !has_method(h, "CONNECT", 7);
}


/* The head of the first n bytes.  To make room for it may run a finalizer, behind
 * which they are looked at again. */
static int take_whole(lua_State *L, http_parser *p, view *v, size_t n) {
  size_t blank = p->blank ? 2 : 0;
  uint32_t fields = p->lines - 1;
  http_head *h = http_push_head(L, fields, n - blank);
  if (!view_look(v) || v->size < n)
    return MORE;
  char *bytes = (char *)(h->field + h->fields);
  memcpy(bytes, v->bytes + blank, n - blank);
  http_refusal why = http_parse(h, p->kind, bytes, n - blank);
  if (why.status == 0)
    why = http_frame(h, p->kind, p->to_head);
  if (why.status != 0) {
    lua_pop(L, 1);
    return http_refuse(L, why);
  }
  begin_body(p, h);
  v->at = n;
  lua_pushboolean(L, h->status == 0 && is_plain(h));
  return TAKEN;
}


void http_begin_head(http_parser *p) {
  p->began = p->late = 0;
  p->at = p->looked = p->lines = 0;
  p->blank = p->to_head = false;
}


int http_take_head(lua_State *L, view *v, int arg) {
  http_parser *p = lua_touserdata(L, arg);
  http_refusal why = {0, NULL};
  if (v->size < p->at) /* somebody else has read */
    p->at = p->looked = p->lines = 0;
  int whole = http_scan(p, v, 0, p->kind, &why);
  if (whole < 0)
    return http_refuse(L, why);
  if (whole > 0)
    return take_whole(L, p, v, p->at);
  if (!v->end) {
    set_deadline(p, v);
    return MORE;
  }
  if (v->size > (p->blank ? 2 : 0))
    return -ENODATA;
  lua_pushnil(L);
  return TAKEN;
}
