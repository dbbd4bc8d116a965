/*
** Bodies: the next piece of what has arrived, without what frames it (RFC 9112 §6, §7).
*/

#include <errno.h>
#include <lauxlib.h>
#include <string.h>

#include "http/http.h"

enum {
  SIZE_LINE = 1024,     /* a chunk's size and its extensions */
  EXTENSIONS = 16384,   /* of all chunks of a message */
  DIGITS = 15,          /* of a chunk's size: below 2^60 */
  GATHERED = 16 * 1024, /* small chunks are given together */
};

/* A look at a chunked body that has not been taken yet. */
typedef struct walk {
  http_parser p; /* as it will be */
  view *v;
  size_t at; /* behind what was understood */
  size_t n;  /* bytes of the body found */
  char *to;  /* where they are gathered; the first GATHERED of them */
} walk;

/* What a step says besides TAKEN (go on) and MORE. */
enum { REFUSED = 2 };


static int hex(char c) {
  if (c >= '0' && c <= '9')
    return c - '0';
  c |= 0x20;
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}


/* "size;extensions" CR LF, of n bytes. */
static bool read_size(http_parser *p, const char *line, size_t n) {
  size_t digits = 0;
  uint64_t size = 0;
  for (int digit; digits < n && (digit = hex(line[digits])) >= 0; digits++) {
    if (digits == DIGITS)
      return false;
    size = size * 16 + (unsigned)digit;
  }
  if (digits == 0 || n < 2 || line[n - 2] != '\r')
    return false;
  size_t rest = n - 2 - digits;
  if (rest > 0 && line[digits] != ';')
    return false;
  if (!http_is_text(line + digits, rest))
    return false;
  p->extra += (uint32_t)rest;
  p->remaining = size;
  p->chunk = size > 0 ? CHUNK_DATA : CHUNK_TRAILERS;
  return p->extra <= EXTENSIONS;
}


static int walk_size(walk *w, http_refusal *why) {
  const char *line = w->v->bytes + w->at;
  size_t there = w->v->size - w->at;
  const char *end = memchr(line, '\n', there);
  size_t n = end != NULL ? (size_t)(end - line) + 1 : there;
  if (n > SIZE_LINE || (end != NULL && !read_size(&w->p, line, n))) {
    *why = (http_refusal){400, "a chunk's size expected"};
    return REFUSED;
  }
  w->at += end != NULL ? n : 0;
  return end != NULL ? TAKEN : MORE;
}


static int walk_data(walk *w, size_t max) {
  size_t there = w->v->size - w->at;
  size_t room = max - w->n;
  if (w->n > 0 &&
      room > GATHERED - w->n) /* only what is first is given as it lies */
    room = GATHERED - w->n;
  size_t n = w->p.remaining < there ? (size_t)w->p.remaining : there;
  n = n < room ? n : room;
  if (n == 0)
    return MORE;
  if (w->n + n <= GATHERED)
    memcpy(w->to + w->n, w->v->bytes + w->at, n);
  w->at += n, w->n += n;
  w->p.remaining -= n;
  if (w->p.remaining == 0)
    w->p.chunk = CHUNK_END;
  return w->n > GATHERED ? MORE : TAKEN;
}


static int walk_end(walk *w, http_refusal *why) {
  const char *bytes = w->v->bytes + w->at;
  size_t there = w->v->size - w->at;
  if ((there > 0 && bytes[0] != '\r') || (there > 1 && bytes[1] != '\n')) {
    *why = (http_refusal){400, "the end of a chunk expected"};
    return REFUSED;
  }
  if (there < 2)
    return MORE;
  w->at += 2;
  w->p.chunk = CHUNK_SIZE;
  return TAKEN;
}


/* Chunks, until something is missing or there is enough. */
static int walk_chunks(walk *w, size_t max, http_refusal *why) {
  int step = TAKEN;
  while (step == TAKEN && w->p.chunk != CHUNK_TRAILERS) {
    if (w->p.chunk == CHUNK_SIZE)
      step = walk_size(w, why);
    else if (w->p.chunk == CHUNK_DATA)
      step = walk_data(w, max);
    else
      step = walk_end(w, why);
  }
  return step;
}


/* nil, and the trailers, if there are some. */
static int take_trailers(lua_State *L, http_parser *p, view *v, size_t from) {
  http_refusal why = {0, NULL};
  int whole = http_scan(p, v, from, HTTP_TRAILERS, &why);
  if (whole < 0)
    return http_refuse(L, why);
  if (whole == 0)
    return MORE;
  size_t n = p->at;
  lua_pushnil(L);
  if (p->lines > 0) {
    http_head *h = http_push_head(L, p->lines, n);
    if (!view_look(v) || v->size < from + n)
      return MORE;
    char *bytes = (char *)(h->field + h->fields);
    memcpy(bytes, v->bytes + from, n);
    why = http_parse(h, HTTP_TRAILERS, bytes, n);
    if (why.status == 0)
      why = http_frame(h, HTTP_TRAILERS, false);
    if (why.status != 0) {
      lua_pop(L, 2);
      return http_refuse(L, why);
    }
  }
  p->whole = true;
  v->at = from + n;
  return TAKEN;
}


static int take_chunks(lua_State *L, http_parser *p, view *v, size_t max) {
  char gathered[GATHERED];
  walk w = {.p = *p, .v = v, .to = gathered};
  http_refusal why = {0, NULL};
  int step = walk_chunks(&w, max, &why);
  if (w.n > 0) { /* what is wrong behind it is told by the next call */
    lua_pushlstring(L, w.n <= GATHERED ? gathered : v->bytes + w.at - w.n, w.n);
    w.p.taken += w.n;
    w.p.taking = p->taking;
    *p = w.p;
    v->at = w.at;
    return TAKEN;
  }
  if (step == REFUSED)
    return http_refuse(L, why);
  if (w.p.chunk != CHUNK_TRAILERS)
    return MORE;
  return take_trailers(L, p, v, w.at);
}


/* Up to so many of the bytes that are there. */
static int take_bytes(lua_State *L, http_parser *p, view *v, size_t max) {
  size_t n = v->size < max ? v->size : max;
  if (p->framing == BY_LENGTH && n > p->remaining)
    n = (size_t)p->remaining;
  if (n == 0)
    return MORE;
  lua_pushlstring(L, v->bytes, n);
  p->taken += n;
  if (p->framing == BY_LENGTH) {
    p->remaining -= n;
    p->whole = p->remaining == 0;
  }
  v->at = n;
  return TAKEN;
}


static int take_nothing(lua_State *L, http_parser *p) {
  p->whole = true;
  lua_pushnil(L);
  return TAKEN;
}


/* Only what is waited for here counts, and so much is allowed more as has come. */
static void set_deadline(http_parser *p, const view *v) {
  if (p->limits.body == 0)
    return;
  p->began = http_now(v);
  uint64_t all = p->limits.body + p->taken * HTTP_BODY_NS_PER_BYTE;
  p->taking.deadline = p->began + (all > p->waited ? all - p->waited : 1);
}


static void count_wait(http_parser *p, const view *v) {
  if (p->began != 0)
    p->waited += http_now(v) - p->began;
  p->began = 0;
}


int http_take_piece(lua_State *L, view *v, int arg) {
  http_parser *p = lua_touserdata(L, arg);
  size_t max = (size_t)lua_tointeger(L, arg + 1);
  if (p->whole)
    return take_nothing(L, p);
  count_wait(p, v);
  int result = p->framing == BY_CHUNKS ? take_chunks(L, p, v, max)
                                       : take_bytes(L, p, v, max);
  if (result != MORE || v->box->stream == NULL) /* a finalizer has closed it */
    return result;
  if (v->end)
    return p->framing == BY_CLOSE ? take_nothing(L, p) : -ENODATA;
  v->need = v->size + 1;
  set_deadline(p, v);
  return MORE;
}
