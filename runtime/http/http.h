/*
** HTTP/1.1 (RFC 9112): what of a message is taken from a stream's unread bytes.
**
** A *parser* is what a connection keeps from message to message: limits, deadlines,
** and where in a message it is.  It takes a *head*, which is checked and parsed when
** all of it is there, and then the *body*, piece by piece, whose end it knows by how
** it is framed.  Both are takers (net/stream_take.h): what is not answered is not
** taken, so a cancelled read loses nothing.
**
** llhttp parses; what it lets pass although it can be read in two ways is refused
** before (line.c) and behind it (framing.c).
*/

#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/stream_take.h"

enum http_kind { HTTP_REQUESTS, HTTP_RESPONSES, HTTP_TRAILERS };

/* How the end of a body is known. */
enum http_framing { NO_BODY, BY_LENGTH, BY_CHUNKS, BY_CLOSE };

/* Where in a chunked body. */
enum http_chunk { CHUNK_SIZE, CHUNK_DATA, CHUNK_END, CHUNK_TRAILERS };

typedef struct http_limits {
  uint32_t line;   /* bytes of a line, with its end */
  uint32_t head;   /* of all of it */
  uint32_t fields; /* how many */
  uint64_t idle;   /* ns until the first byte of a head */
  uint64_t first;  /* the same, of a connection's first */
  uint64_t header; /* from then on until its end */
  uint64_t body;   /* ns of waiting for a body, and RATE more for each byte */
} http_limits;

/* So that who sends a byte now and then is not waited for for ever: 500 bytes/s. */
enum { HTTP_BODY_NS_PER_BYTE = 2000000 };

typedef struct http_parser {
  taking taking; /* first: stream_take's */
  http_limits limits;
  uint64_t late;      /* ns: of the head that is awaited; 0: the limits say */
  uint64_t began;     /* ns: this wait; the head's first byte; 0: not yet */
  uint64_t waited;    /* ns, for this body */
  uint64_t remaining; /* bytes of the body, or of its chunk */
  uint64_t taken;     /* of the body */
  uint32_t at;        /* behind the lines that were looked at */
  uint32_t looked;    /* of the next one */
  uint32_t lines;
  uint32_t extra;  /* bytes of chunk extensions */
  uint8_t kind;    /* enum http_kind */
  uint8_t framing; /* enum http_framing */
  uint8_t chunk;   /* enum http_chunk */
  bool later;      /* one message has come already */
  bool blank;      /* an empty line was before it */
  bool whole;      /* the body is taken, or there is none */
  bool to_head;    /* the request that is answered was a HEAD */
  uint8_t none[5]; /* so that the mark is at the end */
  uint32_t mark;   /* host_mark(&http_parser_mark) */
} http_parser;

_Static_assert(offsetof(http_parser, mark) + sizeof(uint32_t) ==
                   sizeof(http_parser),
               "host_marked looks for it at the end");

extern const char http_parser_mark;

typedef struct http_span {
  uint32_t at, size;
} http_span;

/* A head: one block, with its bytes behind the fields. */
typedef struct http_head {
  struct http_head *self; /* what it is known by */
  uint64_t length;
  uint32_t fields, size;
  uint16_t status;
  uint8_t minor;
  uint8_t framing; /* enum http_framing */
  bool keepalive, upgrade, expects;
  http_span method, target; /* of a response its reason */
  http_span field[][2];     /* name and value */
} http_head;

/* What is refused, and how a server answers that. */
typedef struct http_refusal {
  int status;
  const char *words;
} http_refusal;

static inline const char *http_head_bytes(const http_head *h) {
  return (const char *)(h->field + h->fields);
}

/* The name has this size and these letters, whatever their case. */
bool http_is(const http_head *h, const http_span *name, const char *lower,
             size_t n);

/* line.c: is the line of n bytes, with its end, one that can be read in one way only?
 * `first`: the first of a head.  A status of 0: it is. */
http_refusal http_check_line(const char *line, size_t n, enum http_kind kind,
                             bool first);

/* A token, which a name is; a text that a value can be. */
bool http_is_token(const char *text, size_t n);
bool http_is_text(const char *text, size_t n);

/* uri-host [":" port] (RFC 9110 §7.2), where both may be empty; how long the name is. */
bool http_is_authority(const char *text, size_t n, size_t *name);

/* parse.c: the n bytes behind h, whose `fields` says how many there may be. */
http_refusal http_parse(http_head *h, enum http_kind kind, char *bytes,
                        size_t n);

/* framing.c: how the body's end is known, and what else its fields say. */
http_refusal http_frame(http_head *h, enum http_kind kind, bool to_head);

/* Push what is refused: nil, the status, the words. */
int http_refuse(lua_State *L, http_refusal why);

/* head.c, body.c: the takers. */
taker http_take_head, http_take_piece;

/* The next head is awaited, by the limits' times. */
void http_begin_head(http_parser *p);

/* The parser at arg; raises for anything else. */
http_parser *http_check_parser(lua_State *L, int arg);

/* flight.c: a library function. */
int http_flight(lua_State *L);

/* A time since 1970, before the year 10000, as HTTP has it, with a final zero. */
enum { HTTP_DATE = sizeof "Sun, 06 Nov 1994 08:49:37 GMT" };
void http_date(char text[HTTP_DATE], int64_t seconds);

/* Push a new head for n bytes and so many fields. */
http_head *http_push_head(lua_State *L, size_t fields, size_t n);

/* The head at index, or NULL. */
http_head *http_head_at(lua_State *L, int index);

/* Lines of a head from p->at on, to the empty one: 1; more is needed: 0; else what is
 * wrong is in *why, and -1. */
int http_scan(http_parser *p, view *v, size_t from, enum http_kind kind,
              http_refusal *why);

/* Of the stream's host, ns. */
uint64_t http_now(const view *v);

/* Of llhttp, which tells it when it is compiled only. */
const char *http_llhttp_version(void);

/* The subsystem: registers neap.http.core. */
int http_open(lua_State *L);

#endif
