/*
** How the end of a body is known (RFC 9112 §6), so that nobody on the way can see
** another end: what two could read differently is refused.
*/

#include <strings.h>

#include "http/http.h"

static const http_refusal good = {0, NULL};


static http_refusal bad(const char *words) {
  return (http_refusal){400, words};
}


static bool same(const http_head *h, const http_span *s, const char *lower,
                 size_t n) {
  return s->size == n && strncasecmp(http_head_bytes(h) + s->at, lower, n) == 0;
}


bool http_is(const http_head *h, const http_span *name, const char *lower,
             size_t n) {
  return same(h, name, lower, n);
}


#define IS(span, text) same(h, span, text, sizeof(text) - 1)

/* What of the fields decides. */
typedef struct found {
  const http_span *length, *coding, *host, *expect;
  unsigned lengths, codings, hosts;
} found;


static found look(const http_head *h) {
  found f = {0};
  for (uint32_t i = 0; i < h->fields; i++) {
    const http_span *name = &h->field[i][0], *value = &h->field[i][1];
    if (IS(name, "content-length"))
      f.length = value, f.lengths++;
    else if (IS(name, "transfer-encoding"))
      f.coding = value, f.codings++;
    else if (IS(name, "host"))
      f.host = value, f.hosts++;
    else if (IS(name, "expect"))
      f.expect = value;
  }
  return f;
}


/* Digits alone, up to 2^63 - 1. */
static bool read_length(const http_head *h, const http_span *s, uint64_t *n) {
  const char *text = http_head_bytes(h) + s->at;
  *n = 0;
  for (uint32_t i = 0; i < s->size; i++) {
    unsigned digit = (unsigned)(text[i] - '0');
    if (digit > 9 || *n > ((uint64_t)INT64_MAX - digit) / 10)
      return false;
    *n = *n * 10 + digit;
  }
  return s->size > 0;
}


static bool is_host(const http_head *h, const http_span *s) {
  size_t name;
  return http_is_authority(http_head_bytes(h) + s->at, s->size, &name);
}


static http_refusal check_request(http_head *h, const found *f) {
  if (f->hosts > 1 || (f->hosts == 0 && h->minor > 0))
    return bad("exactly one Host expected");
  if (f->hosts == 1 && !is_host(h, f->host))
    return bad("a Host that is none");
  if (f->expect != NULL && h->minor > 0) {
    if (!IS(f->expect, "100-continue"))
      return (http_refusal){417, "an unknown expectation"};
    h->expects = true;
  }
  return good;
}


static http_refusal frame(http_head *h, const found *f,
                          enum http_framing otherwise) {
  if (f->codings > 0) {
    if (f->lengths > 0)
      return bad("both Content-Length and Transfer-Encoding");
    if (f->codings > 1 || !IS(f->coding, "chunked"))
      return bad("a transfer coding other than chunked");
    if (h->minor == 0)
      return bad("Transfer-Encoding in HTTP/1.0");
    h->framing = BY_CHUNKS;
    return good;
  }
  if (f->lengths > 1)
    return bad("more than one Content-Length");
  h->framing = f->lengths == 1 ? BY_LENGTH : (uint8_t)otherwise;
  if (f->lengths == 1 && !read_length(h, f->length, &h->length))
    return bad("a Content-Length that is none");
  return good;
}


/* What has no body whatever its fields say (RFC 9112 §6.3). */
static bool is_bare(const http_head *h, bool to_head) {
  return to_head || h->status < 200 || h->status == 204 || h->status == 304;
}


http_refusal http_frame(http_head *h, enum http_kind kind, bool to_head) {
  found f = look(h);
  http_refusal why = good;
  if (kind == HTTP_TRAILERS)
    return f.lengths + f.codings + f.hosts > 0
               ? bad("a trailer that belongs into the head")
               : good;
  if (kind == HTTP_REQUESTS)
    why = check_request(h, &f);
  if (why.status == 0)
    why = frame(h, &f, kind == HTTP_REQUESTS ? NO_BODY : BY_CLOSE);
  if (why.status == 0 && kind == HTTP_RESPONSES && is_bare(h, to_head))
    h->framing = NO_BODY;
  return why;
}
