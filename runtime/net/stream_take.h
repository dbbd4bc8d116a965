/*
** Takers: functions that look at the bytes that are there and take a value out of
** them, which they push, or say that they need more.  They consume nothing: that
** is for the loop around them (stream_read.c), once the call can be answered.
*/

#ifndef NET_STREAM_TAKE_H
#define NET_STREAM_TAKE_H

#include "net/inbox.h"

enum { LINE_MAX_DEFAULT = 64 * 1024, COUNT_MAX = INT32_MAX };

/* A look at the unread bytes, beginning at `at`. */
typedef struct view {
  const box *box;
  const char *bytes;
  size_t size;
  size_t at;    /* how far this call has taken */
  bool end;     /* no more will come */
  bool dry;     /* only to see whether all is there: a boolean for a string */
  size_t need;  /* out: so many bytes, before a next try makes sense */
  size_t *seen; /* bytes that a search need not look at again */
} view;

/* What a taker says; or a negative errno. */
enum { TAKEN, MORE };

/* Look at what is there now; false when the stream is closed.  For each push
 * may run a finalizer, and that may close the stream, or the other end of a
 * mem: pair, which sends its last bytes then. */
static inline bool view_look(view *v) {
  const stream *s = v->box->stream;
  if (s == NULL)
    return false;
  v->size = inbox_size(&s->in);
  v->bytes = v->size > 0 ? inbox_bytes(&s->in) : "";
  v->end = s->eof;
  return true;
}

/* What was looked at is taken, and what comes next was not searched. */
static inline void view_take(stream *s, const view *v) {
  inbox_skip(&s->in, v->at);
  s->want = s->in.scanned = 0;
}

typedef int taker(lua_State *L, view *v, int arg);

/* Nothing but the end of the stream. */
taker take_none;

/* The formats of read from index 2 to arg, each a value: take_check_format has
 * seen them. */
taker take_formats;

/* Up to the delimiter at index arg; behind it the limit, or nothing. */
taker take_delimited;

/* The count of bytes at index arg, and none is taken. */
taker take_peek;

/* What the format of string.unpack at index arg says; behind it the limit. */
taker take_unpack;

/* Bytes, at most as many as at index arg, up to descriptors, and these. */
taker take_passed;

/* The same, but what is left at the end of the stream is no value: -ENODATA. */
taker take_strictly;

/* As many bytes as at index arg, or -ENODATA. */
taker take_exactly;

/* A line; arg: with its end or without, or also without a "\r" before that. */
enum { WITHOUT_END, WITH_END, CRLF };
taker take_line;

/* A taker of another folder's, with what it keeps from try to try: the beginning of a
 * userdata. */
typedef struct taking {
  taker *take;
  uint64_t deadline; /* of the next wait, absolute; 0: the stream's own */
} taking;

/* Read by it: the Stream is argument 1, that userdata argument 2, and its taker is told
 * to look there. */
int stream_take(lua_State *L);

/* What that taker takes of what is there, without a wait, with the userdata at arg: how
 * many values it pushed.  0: nothing is taken, and stream_take may have to wait for it. */
int stream_take_there(lua_State *L, const box *b, taker *take, int arg);

/* Raises for what is no format of read. */
void take_check_format(lua_State *L, int arg);

#endif
