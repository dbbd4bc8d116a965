/*
** WebSocket (RFC 6455): what of its frames is taken from a stream's unread bytes, and
** frames to write.
**
** A *codec* is what a connection keeps: which role it has, how long a message may be, and
** the message under way.  Its `next` is a taker (net/stream_take.h), and gives one *event*:
** a whole message, a control frame, what is wrong, or `true` when it has put aside the
** bytes of a message that is not whole yet.  What is not answered is not taken, and what
** was put aside stays, so a read that is cancelled loses nothing.
**
** What such an event means is Lua's: lua/neap/websocket/connection.lua.
*/

#ifndef WEBSOCKET_WEBSOCKET_H
#define WEBSOCKET_WEBSOCKET_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/utf8.h"
#include "net/stream_take.h"

enum opcode { CONTINUES, TEXT, BINARY, CLOSES = 8, PING, PONG };

enum { CONTROL_MAX = 125 /* bytes of a control frame */ };

/* Why a connection is to be closed (RFC 6455 §7.4.1). */
enum {
  CODE_PROTOCOL = 1002,
  CODE_NO_TEXT = 1007, /* what is no UTF-8 */
  CODE_TOO_LONG = 1009
};

/* What is XORed with the bytes of a frame; its first byte goes with the next of them. */
typedef struct mask {
  unsigned char key[4];
} mask;

/* The head of a frame. */
typedef struct frame {
  uint64_t length; /* of what follows it */
  size_t size;     /* of itself */
  uint8_t opcode;  /* enum opcode */
  bool fin, rsv1, masked;
  mask mask;
} frame;

typedef struct codec {
  taking taking; /* first: stream_take's */
  uint64_t max;  /* bytes of a message */
  uint64_t left; /* of a data frame that is being put aside */
  char *bytes;   /* of the message under way; ours */
  size_t size, room;
  mask mask;        /* of that frame */
  uint8_t message;  /* enum opcode; CONTINUES: there is none */
  bool fin;         /* that frame is the message's last */
  bool compressed;  /* the message */
  bool broken;      /* it is no UTF-8 */
  bool interrupted; /* who waits for the next event is to stop */
  bool client;      /* masks what it sends; the peer does not */
  bool deflate;     /* messages may be compressed */
  uint8_t drawn;    /* bytes of chance that are used up */
  utf8 text;        /* where in a character */
  unsigned char chance[64];
  uint32_t none; /* so that the mark is at the end */
  uint32_t mark; /* host_mark(&codec_mark) */
} codec;

_Static_assert(offsetof(codec, mark) + sizeof(uint32_t) == sizeof(codec),
               "host_marked looks for it at the end");

extern const char codec_mark;

/* frame.c: the head of a frame in n bytes: its size; 0: not all of it is there.  What is
 * wrong with it whoever gets it is in *why, and the result -1. */
int frame_read(frame *f, const char *bytes, size_t n, const char **why);

/* Write such a head, with a mask if it has one, and return its size: FRAME_HEAD at most. */
enum { FRAME_HEAD = 14 };
size_t frame_write(char *to, const frame *f);

/* Copy n bytes, masked or unmasked, and turn the mask to what comes next. */
void mask_copy(mask *m, char *to, const char *from, size_t n);

/* codec.c: the next event of a stream: a taker.
**
**   true                           bytes were put aside
**   "text"|"binary", data, compressed
**   "ping"|"pong", data
**   "close", code | nil, reason
**   "wrong", code, words           what the peer did, and the code to close with
**   false                          codec:interrupt() was called
**   nil                            the stream's end
*/
taker codec_take;

/* What was put aside. */
void codec_forget(codec *c);

/* sha1.c: FIPS 180-4, for the handshake, which wants it as a checksum. */
enum { SHA1_SIZE = 20 };
void sha1(unsigned char digest[SHA1_SIZE], const char *bytes, size_t n);

/* The subsystem: registers neap.websocket.core. */
int websocket_open(lua_State *L);

#endif
