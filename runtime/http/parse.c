/*
** Where things are in a head: llhttp says it.
*/

#include <llhttp.h>
#include <string.h>

#include "http/http.h"

/* What trailers have before them, for a parser of messages. */
static const char opening[] = "GET / HTTP/1.1\r\n";

typedef struct parse {
  http_head *head;
  const char *bytes;
  uint32_t room, count;
  bool strange; /* llhttp sees what the lines did not show */
} parse;


/* A span comes in one piece, for the bytes do. */
static int note(parse *p, http_span *to, const char *at, size_t n) {
  if (to->size != 0 && p->bytes + to->at + to->size != at)
    p->strange = true;
  if (to->size == 0)
    to->at = (uint32_t)(at - p->bytes);
  to->size += (uint32_t)n;
  return 0;
}


static int on_target(llhttp_t *l, const char *at, size_t n) {
  parse *p = l->data;
  return note(p, &p->head->target, at, n);
}


/* The field that is begun; the last one again where there is no room. */
static http_span *field(parse *p) {
  if (p->count >= p->room) {
    p->strange = true;
    return NULL;
  }
  return p->head->field[p->count];
}


static int on_name(llhttp_t *l, const char *at, size_t n) {
  parse *p = l->data;
  http_span *f = field(p);
  return f != NULL ? note(p, &f[0], at, n) : -1;
}


static int on_value(llhttp_t *l, const char *at, size_t n) {
  parse *p = l->data;
  http_span *f = field(p);
  return f != NULL ? note(p, &f[1], at, n) : -1;
}


static int on_value_end(llhttp_t *l) {
  parse *p = l->data;
  p->count++;
  return 0;
}


static int on_end(llhttp_t *l) {
  (void)l;
  return HPE_PAUSED;
}


static const llhttp_settings_t settings = {
    .on_url = on_target,
    .on_status = on_target,
    .on_header_field = on_name,
    .on_header_value = on_value,
    .on_header_value_complete = on_value_end,
    .on_headers_complete = on_end,
};


static bool is_blank(char c) {
  return c == ' ' || c == '\t';
}


/* The blanks around a value are not its own. */
static void trim(const char *bytes, http_span *s) {
  while (s->size > 0 && is_blank(bytes[s->at + s->size - 1]))
    s->size--;
  for (; s->size > 0 && is_blank(bytes[s->at]); s->size--)
    s->at++;
}


static http_refusal refusal(llhttp_t *l, llhttp_errno_t error, const parse *p) {
  if (error == HPE_INVALID_METHOD)
    return (http_refusal){501, "an unknown method"};
  if (error != HPE_PAUSED || p->strange || p->count != p->head->fields)
    return (http_refusal){400, error != HPE_PAUSED && l->reason != NULL &&
                                       *l->reason != '\0'
                                   ? l->reason
                                   : "what it says can be read in two ways"};
  return (http_refusal){0, NULL};
}


static void note_line(http_head *h, const llhttp_t *l, const char *bytes) {
  h->minor = l->http_minor;
  h->status = l->status_code;
  h->keepalive = llhttp_should_keep_alive(l) != 0;
  h->upgrade = l->upgrade != 0;
  if (l->status_code == 0)
    h->method.size =
        (uint32_t)((const char *)memchr(bytes, ' ', h->target.at) - bytes);
}


http_refusal http_parse(http_head *h, enum http_kind kind, char *bytes,
                        size_t n) {
  parse p = {.head = h, .bytes = bytes, .room = h->fields};
  llhttp_t l;
  memset(h->field, 0, h->fields * sizeof *h->field);
  llhttp_init(&l, kind == HTTP_RESPONSES ? HTTP_RESPONSE : HTTP_REQUEST,
              &settings);
  l.data = &p;
  if (kind == HTTP_TRAILERS) {
    llhttp_execute(&l, opening, sizeof opening - 1);
    h->target = (http_span){0, 0};
  }
  llhttp_errno_t error = llhttp_execute(&l, bytes, n);
  http_refusal why = refusal(&l, error, &p);
  if (why.status != 0)
    return why;
  if (kind != HTTP_TRAILERS)
    note_line(h, &l, bytes);
  for (uint32_t i = 0; i < h->fields; i++)
    trim(bytes, &h->field[i][1]);
  return why;
}


#define TEXT(n) #n
#define VERSION(a, b, c) TEXT(a) "." TEXT(b) "." TEXT(c)

const char *http_llhttp_version(void) {
  return VERSION(LLHTTP_VERSION_MAJOR, LLHTTP_VERSION_MINOR,
                 LLHTTP_VERSION_PATCH);
}
