/*
** Layers: a stream that is made of another one, which it owns.
**
** The *upper* stream is a stream like any other: its transport is the layer.  The
** *lower* one, of any kind (a socket, a pipe, mem:, another layer's), keeps its
** transport and its outbox, but has no box, no inbox and no tasks any more (its
** state is UNDER): its news goes to the layer.
**
**   the script    writes             reads
**   upper         try_write(s, v)    <- layer_data(s, n), stream_eof(s), ...
**   the layer     layer_send(s, v)   -> data(s, bytes, n), end(s), error(s), ...
**   lower         its outbox         <- its transport
**
** All functions of a layer get the upper stream; what is its own lies in
** stream_part, which begins with a `layered`.  What a layer is made of:
**
**   typedef struct turner {
**     layered layered;
**     ...
**   } turner;
**   static const layer xor_layer = {
**     LAYER("xor", sizeof(turner), try_write, layer_shut, layer_close),
**     .data = data, .end = stream_eof, .error = stream_error,
**     .writable = stream_writable,
**   };
**   stream *s = layer_new(lower, &xor_layer, false);
**   ...the rest of its part...
**   layer_begin(s);
**
** Reading.  Bytes that arrive lie somewhere for the time of the call data(): the
** layer makes others of them in layer_room, and hands these up by layer_data; they
** are lent to their reader as a socket's are.  When the upper's inbox is full the
** lower one stops reading, and goes on when it is asked to.  A layer that wants
** bytes for itself (a handshake) asks by layer_start_read.
**
** Writing.  Small writes gather in the upper's outbox; one try_write gets them, or
** the pieces of a large one.  It makes bytes of as many of them as are reasonable,
** gives these to layer_send at once, as few times as it can, and goes on until it
** has taken all, or layer_ready says that the lower one is full.  What layer_send
** was given has been accepted, and goes out in order; so the lower's outbox holds
** what one call gave it, and no more.  flush, shutdown and close wait for both.
** What the layer has to say by itself goes by layer_send, too, whenever it wants.
** Over mem: the peer's answer may arrive inside of layer_send: so call it last.
**
** Ending.  The end and the errors of the lower one are news, which a layer may
** pass on as it is.  A failure to write is the upper's next one.  What the upper
** does behind its close (send the rest, half close, wait for its peer's end) it
** does as one of its lower's kind; the bytes that arrive meanwhile nobody wants,
** and no data() sees them.  Then its `close` is called, which lets go of what is
** the layer's, and ends with layer_close: that closes the lower one.
*/

#ifndef NET_LAYER_H
#define NET_LAYER_H

#include "net/outbox.h"
#include "net/round.h"
#include "net/stream.h"

/* What the part of an upper stream begins with. */
typedef struct layered {
  stream *lower;
} layered;

/* A layer.  None of its functions is called when the upper one is closed. */
typedef struct layer {
  transport transport; /* of the upper stream */

  /* n bytes of the lower one have arrived; nothing is left of them behind this
   * call, and they may not be changed. */
  void (*data)(stream *s, char *bytes, size_t n);

  /* The lower one's end, or the error that ends its reading. */
  void (*end)(stream *s);
  void (*error)(stream *s, int status);

  /* All that the lower one had accepted is out; or it can't be any more, which the
   * upper one has been told. */
  void (*writable)(stream *s);

  /* These may be NULL.  What this status, which has ended it, is to be called;
   * NULL: by its own words. */
  const char *(*words)(stream *s, int status);

  /* It closes; does it need what arrives, to send what it had accepted? */
  bool (*hungry)(stream *s);

  /* Push the field `tls` of its Stream; and write a line about it, or false. */
  void (*about)(lua_State *L, stream *s);
  bool (*brief)(stream *s, char *to, size_t size);
} layer;

/* Make an upper stream of an open one (`connecting`: stream_connected tells when
 * it is, or will not be; who asks later asks the layer), which is its own from now on: the tasks that wait for it fail, the
 * Stream of the script is closed.  NULL: there are too many layers already. */
stream *layer_new(stream *lower, const layer *l, bool connecting);

/* Its part is whole: news may come, at once what the lower one had read before. */
void layer_begin(stream *s);

static inline stream *layer_lower(stream *s) {
  return ((layered *)stream_part(s))->lower;
}

/* As its layer has them; NULL and false without one. */
const char *layer_words(stream *s, int status);
void layer_push_about(lua_State *L, stream *s);
bool layer_brief(stream *s, char *to, size_t size);

/* Those above and below all others, which may be s itself. */
stream *layer_top(stream *s);
stream *layer_bottom(stream *s);

/* May try_write take something?  0; -EAGAIN: not before the lower one has sent
 * what it has; or why that has failed. */
int layer_ready(stream *s);

/* Send these n pieces.  v[0] is room, the first is v[1]; they are used up.  0, or
 * why the lower one has failed. */
int layer_send(stream *s, struct iovec *v, int n);

/* Room for LAYER_ROOM bytes, until the next call of any function here. */
char *layer_room(stream *s);

/* The first n of that room have arrived for the upper one. */
void layer_data(stream *s, size_t n);

/* What passes through: for the transports of layers. */
int layer_start_read(stream *s);
void layer_stop_read(stream *s);
int layer_want_write(stream *s);
int layer_shut(stream *s);
bool layer_discard(stream *s);
bool layer_takes_back(stream *s);
int layer_unacknowledged(stream *s);
void layer_close(stream *s, bool reset);
int layer_set(stream *s, const sockopt *o);
int layer_get(stream *s, sockopt *o);
int layer_localaddr(stream *s, address *a);
int layer_remoteaddr(stream *s, address *a);
int layer_fd(stream *s); /* -EBADF: who has it would go around the layer */

#define LAYER(named, part, write, half_close, end) \
  .transport = { \
      .kind = {.name = named}, \
      .size = part, \
      .start_read = layer_start_read, \
      .stop_read = layer_stop_read, \
      .try_write = write, \
      .want_write = layer_want_write, \
      .shutdown = half_close, \
      .discard = layer_discard, \
      .takes_back = layer_takes_back, \
      .unacknowledged = layer_unacknowledged, \
      .close = end, \
      .set = layer_set, \
      .get = layer_get, \
      .localaddr = layer_localaddr, \
      .remoteaddr = layer_remoteaddr, \
      .fd = layer_fd, \
  }

/*
** For net/: the news of a stream that is UNDER another
*/

void layer_tell_data(stream *lower, char *bytes, size_t n);
void layer_tell_end(stream *lower);
void layer_tell_error(stream *lower, int status);
void layer_tell_writable(stream *lower);

/* Has all that was accepted gone out, also of the streams that it is made of? */
bool layer_is_out(stream *s);

static inline bool stream_is_out(stream *s) {
  return outbox_pending(s) == 0 && (!s->layered || layer_is_out(s));
}

#endif
