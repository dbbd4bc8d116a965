/*
** Layers for the specs: one turns each byte, the other cuts what passes into pieces
** of one byte, unless it is long.  They are there in an executable of their own,
** which is neap but for the module `layers`:
**
**   layers.over(stream, "xor" | "cut") : stream
*/

#include <string.h>

#include "net/layer.h"
#include "net/net.h"
#include "net/outbox.h"
#include "net/trace.h"

#undef net_open /* main.c calls ours in its place: CMakeLists.txt */

enum { TURN = 0x5a, PORTION = 32 * 1024, CUT_IN = 4096, CUT_OUT = 100 };


/*
** xor
*/

typedef struct xor
{
  layered layered;
  char out[PORTION];
} xor
    ;


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
  char *out = ((xor*)stream_part(s))->out;
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
    LAYER("xor", sizeof(xor), xor_write, layer_shut, layer_close),
    .data = xor_data,
    .end = stream_eof,
    .error = stream_error,
    .writable = stream_writable,
};


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


static size_t total(const struct iovec *v, int n) {
  size_t sum = 0;
  for (int i = 0; i < n; i++)
    sum += v[i].iov_len;
  return sum;
}


/* What is long goes in larger ones: of the kernel's room a message takes some
 * hundred bytes more than it has. */
static ssize_t cut_write(stream *s, const struct iovec *v, int n) {
  size_t most = total(v, n) <= CUT_OUT ? 1 : PORTION - 1, sum = 0;
  for (int i = 0; i < n; i++)
    for (size_t k = 0, size; k < v[i].iov_len; k += size, sum += size) {
      int status = layer_ready(s);
      if (status < 0)
        return sum > 0 ? (ssize_t)sum : status;
      size = v[i].iov_len - k < most ? v[i].iov_len - k : most;
      struct iovec pieces[] = {{NULL, 0}, {(char *)v[i].iov_base + k, size}};
      status = layer_send(s, pieces, 1);
      if (status < 0)
        return status;
    }
  return (ssize_t)sum;
}


static const layer cut_layer = {
    LAYER("cut", sizeof(layered), cut_write, layer_shut, layer_close),
    .data = cut_data,
    .end = stream_eof,
    .error = stream_error,
    .writable = stream_writable,
};


/*
** The module
*/

static int l_over(lua_State *L) {
  static const char *const names[] = {"xor", "cut", NULL};
  static const layer *const layers[] = {&xor_layer, &cut_layer};
  const layer *l = layers[luaL_checkoption(L, 2, NULL, names)];
  stream *lower = stream_box(L)->stream;
  luaL_argcheck(L, lower != NULL, 1, "an open stream expected");
  stream *s = layer_new(lower, l, false);
  luaL_argcheck(L, s != NULL, 1, "too many layers");
  stream_push(L, s);
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
