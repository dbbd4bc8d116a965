/*
** Layers for the specs: one turns each byte, one cuts what passes into pieces of one
** byte, unless it is long, and one has a protocol of its own.  They are there in an
** executable of their own, which is neap but for the module `layers`:
**
**   layers.over(stream, "xor" | "cut" | "greet") : stream | nil, error
*/

#include <errno.h>
#include <string.h>

#include "net/layer.h"
#include "net/outbox.h"
#include "net/stream_methods.h"
#include "net/trace.h"
#include "sched/world.h"

#undef net_open /* main.c calls ours in its place: CMakeLists.txt */

enum { TURN = 0x5a, PORTION = 32 * 1024, CUT_IN = 512, CUT_OUT = 60 };


/*
** xor
*/

typedef struct turner { /* clang-format takes xor for an operator of C++ */
  layered layered;
  char out[PORTION];
} turner;


static void turn(char *to, const char *from, size_t n) {
  for (size_t i = 0; i < n; i++)
    to[i] = (char)(from[i] ^ TURN);
}


static void xor_data(stream *s, char *bytes, size_t n) {
  while (n > 0) {
    size_t part = n < LAYER_ROOM ? n : LAYER_ROOM;
    turn(layer_room(s), bytes, part);
    layer_data(s, part);
    bytes += part;
    n -= part;
  }
}


/* As much as fits into one portion. */
static size_t fill(char *out, const struct iovec *v, int n, size_t skip) {
  size_t size = 0;
  for (int i = 0; i < n && size < PORTION; i++) {
    size_t gone = skip < v[i].iov_len ? skip : v[i].iov_len;
    size_t part = v[i].iov_len - gone;
    skip -= gone;
    if (part > PORTION - size)
      part = PORTION - size;
    turn(out + size, (char *)v[i].iov_base + gone, part);
    size += part;
  }
  return size;
}


static ssize_t xor_write(stream *s, const struct iovec *v, int n) {
  char *out = ((turner *)stream_part(s))->out;
  size_t sum = 0, size;
  int status;
  while ((status = layer_ready(s)) == 0 && (size = fill(out, v, n, sum)) > 0) {
    struct iovec pieces[] = {{NULL, 0}, {out, size}};
    status = layer_send(s, pieces, 1);
    if (status < 0)
      return status;
    sum += size;
  }
  return sum > 0 ? (ssize_t)sum : status;
}


static const layer xor_layer = {
    LAYER("xor", sizeof(turner), xor_write, layer_shut, layer_close),
    .data = xor_data,
    .end = stream_eof,
    .error = stream_error,
    .writable = stream_writable,
};


/*
** What cut and greet write with
*/

/* Give the bytes to `give`, at most so many at a time. */
static ssize_t by_portions(stream *s, const struct iovec *v, int n, size_t most,
                           int (*give)(stream *s, const struct iovec *v)) {
  size_t sum = 0;
  for (int i = 0; i < n; i++)
    for (size_t k = 0, size; k < v[i].iov_len; k += size, sum += size) {
      int status = layer_ready(s);
      if (status < 0)
        return sum > 0 ? (ssize_t)sum : status;
      size = v[i].iov_len - k < most ? v[i].iov_len - k : most;
      status = give(s, &(struct iovec){(char *)v[i].iov_base + k, size});
      if (status < 0)
        return status;
    }
  return (ssize_t)sum;
}


/*
** cut
*/

static void cut_data(stream *s, char *bytes, size_t n) {
  for (size_t i = 0, size; i < n; i += size) {
    size = i < CUT_IN ? 1 : n - i < LAYER_ROOM ? n - i : LAYER_ROOM;
    memcpy(layer_room(s), bytes + i, size);
    layer_data(s, size);
  }
}


/* What is short, in pieces of one byte, which leave together. */
static int cut_short(stream *s, const struct iovec *v) {
  struct iovec pieces[1 + CUT_OUT];
  int n = (int)v->iov_len;
  for (int i = 0; i < n; i++)
    pieces[1 + i] = (struct iovec){(char *)v->iov_base + i, 1};
  return layer_send(s, pieces, n);
}


static int cut_long(stream *s, const struct iovec *v) {
  struct iovec pieces[] = {{NULL, 0}, *v};
  return layer_send(s, pieces, 1);
}


static int cut_portion(stream *s, const struct iovec *v) {
  return v->iov_len <= CUT_OUT ? cut_short(s, v) : cut_long(s, v);
}


static ssize_t cut_write(stream *s, const struct iovec *v, int n) {
  return by_portions(s, v, n, PORTION, cut_portion);
}


static const layer cut_layer = {
    LAYER("cut", sizeof(layered), cut_write, layer_shut, layer_close),
    .data = cut_data,
    .end = stream_eof,
    .error = stream_error,
    .writable = stream_writable,
};


/*
** greet: what a layer with a protocol of its own does.  Each end greets, and is
** connecting until it is greeted; bytes go in frames; and whoever ends says so: an
** end without that is a failure.
*/

enum { GREETING = 'g', FRAME = 'f', FAREWELL = 'b', FRAME_MAX = 16 * 1024 };

typedef struct greet {
  layered layered;
  unsigned char head[3]; /* a FRAME and its length */
  unsigned have;         /* of the head */
  size_t left;           /* of the frame */
  bool said, heard;      /* a FAREWELL */
  int failed;            /* why it could not be opened */
} greet;


static int say(stream *s, char word) {
  struct iovec v[] = {{NULL, 0}, {&word, 1}};
  return layer_send(s, v, 1);
}


/* The first one counts. */
static void greet_error(stream *s, int status) {
  greet *g = stream_part(s);
  if (s->state != CONNECTING) {
    stream_error(s, status);
  } else if (g->failed == 0) {
    g->failed = status;
    stream_connected(s, status); /* if somebody waits already */
  }
}


static void hear(stream *s, char word) {
  greet *g = stream_part(s);
  if (word == FAREWELL) {
    g->heard = true;
    stream_eof(s);
  } else if (word == GREETING && s->state == CONNECTING) {
    stream_connected(s, 0);
  } else {
    greet_error(s, -EPROTO);
  }
}


/* How many of these bytes it took. */
static size_t hear_head(stream *s, const char *bytes) {
  greet *g = stream_part(s);
  if (g->have == 0 && *bytes != FRAME) {
    hear(s, *bytes);
    return 1;
  }
  g->head[g->have++] = (unsigned char)*bytes;
  if (g->have == sizeof g->head) {
    g->left = (size_t)g->head[1] << 8 | g->head[2];
    g->have = 0;
  }
  return 1;
}


static size_t hear_bytes(stream *s, const char *bytes, size_t n) {
  greet *g = stream_part(s);
  size_t size = n < g->left ? n : g->left;
  if (size > LAYER_ROOM)
    size = LAYER_ROOM;
  memcpy(layer_room(s), bytes, size);
  g->left -= size;
  layer_data(s, size);
  return size;
}


static void greet_data(stream *s, char *bytes, size_t n) {
  const greet *g = stream_part(s);
  while (n > 0) {
    size_t used = g->left > 0 ? hear_bytes(s, bytes, n) : hear_head(s, bytes);
    bytes += used;
    n -= used;
  }
}


static void greet_end(stream *s) {
  if (!((greet *)stream_part(s))->heard)
    greet_error(s, -ECONNRESET);
}


static int greet_portion(stream *s, const struct iovec *v) {
  char head[] = {FRAME, (char)(v->iov_len >> 8), (char)v->iov_len};
  struct iovec pieces[] = {{NULL, 0}, {head, sizeof head}, *v};
  return layer_send(s, pieces, 2);
}


static ssize_t greet_write(stream *s, const struct iovec *v, int n) {
  return by_portions(s, v, n, FRAME_MAX, greet_portion);
}


static void bid_farewell(stream *s) {
  greet *g = stream_part(s);
  if (!g->said)
    say(s, FAREWELL);
  g->said = true;
}


static int greet_shut(stream *s) {
  bid_farewell(s);
  return layer_shut(s);
}


static void greet_close(stream *s, bool reset) {
  if (!reset)
    bid_farewell(s);
  layer_close(s, reset);
}


static const layer greet_layer = {
    LAYER("greet", sizeof(greet), greet_write, greet_shut, greet_close),
    .data = greet_data,
    .end = greet_end,
    .error = greet_error,
    .writable = stream_writable,
};


/* The Stream is at index 3. */
static int greet_k(lua_State *L, int status, lua_KContext ctx) {
  stream *s = ((box *)lua_touserdata(L, 3))->stream;
  int result = status == LUA_YIELD ? wait_status(L) : 0;
  if (result == 0 && s != NULL)
    result = ((greet *)stream_part(s))->failed;
  waiting how = {"greet", NEVER, true};
  if (s != NULL && result == 0 && s->state == CONNECTING)
    return wait_park(L, &s->writers, &how, ctx, greet_k);
  if (result == 0 && s != NULL)
    return 1;
  if (s != NULL)
    stream_close(s, true);
  return stream_fail(L, NULL, result < 0 ? result : -ECANCELED, "greet");
}


static int greet_begin(lua_State *L, stream *s) {
  say(s, GREETING);
  layer_begin(s);
  int status = layer_start_read(s);
  if (status < 0)
    greet_error(s, status);
  return greet_k(L, LUA_OK, 0);
}


/*
** The module
*/

static int l_over(lua_State *L) {
  static const char *const names[] = {"xor", "cut", "greet", NULL};
  static const layer *const layers[] = {&xor_layer, &cut_layer, &greet_layer};
  const layer *l = layers[luaL_checkoption(L, 2, NULL, names)];
  stream *lower = stream_box(L)->stream;
  luaL_argcheck(L, lower != NULL, 1, "an open stream expected");
  lua_settop(L, 2);
  stream *s = layer_new(lower, l, l == &greet_layer);
  luaL_argcheck(L, s != NULL, 1, "too many layers");
  stream_push(L, s);
  if (l == &greet_layer)
    return greet_begin(L, s);
  layer_begin(s);
  return 1;
}


static int open_layers(lua_State *L) {
  static const luaL_Reg functions[] = {{"over", l_over}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}


int net_open(lua_State *L);

int net_open_layers(lua_State *L);

int net_open_layers(lua_State *L) {
  net_open(L);
  host_module(L, "layers", open_layers);
  return 0;
}
