/*
** The module neap.websocket.core: codecs.
*/

#include <errno.h>
#include <lauxlib.h>
#include <math.h>
#include <string.h>

#include "host/arguments.h"
#include "host/class.h"
#include "host/error.h"
#include "host/host.h"
#include "net/outbox.h"
#include "net/stream_methods.h"
#include "sched/wait.h"
#include "sched/world.h"
#include "websocket/websocket.h"

#define CODEC "neap.websocket.Codec"

/* Bytes of a frame that is one string; what is larger and not masked goes out as it
 * lies, behind its head. */
enum { JOINED = 4 * 1024 };

const char codec_mark = 0;


static codec *check_codec(lua_State *L) {
  codec *c = host_marked(L, 1, sizeof *c, &codec_mark);
  return c != NULL ? c : luaL_checkudata(L, 1, CODEC);
}


/* codec{client=, max=, deflate=} */
static int l_codec(lua_State *L) {
  static const char *const names[] = {"client", "max", "deflate", NULL};
  lua_settop(L, 1);
  options_check(L, 1, names);
  uint64_t max =
      (uint64_t)option_integer(L, 1, "max", 1, COUNT_MAX, 16 * 1024 * 1024);
  bool client = option_flag(L, 1, "client", false);
  bool deflate = option_flag(L, 1, "deflate", false);
  codec *c = lua_newuserdatauv(L, sizeof *c, 0);
  *c = (codec){.taking = {.take = codec_take},
               .max = max,
               .client = client,
               .deflate = deflate,
               .drawn = sizeof c->chance,
               .mark = host_mark(&codec_mark)};
  luaL_setmetatable(L, CODEC);
  return 1;
}


/* codec:forget(); what was put aside, whose memory the collector does not see */
static int l_forget(lua_State *L) {
  codec *c = check_codec(L);
  codec_forget(c);
  c->left = 0;
  return 0;
}


/*
** codec:next(stream, seconds) : an event (websocket.h) | nil, error
*/

/* When to stop waiting: what the stream has, or earlier; 0: what it has. */
static uint64_t deadline_in(stream *s, lua_Number seconds) {
  const host *h = s->host;
  uint64_t at = h->world->now(h->outside) + (uint64_t)(seconds * 1e9) + 1;
  uint64_t own = stream_deadline(s);
  return at < own ? at : own;
}


static int l_next(lua_State *L) {
  codec *c = check_codec(L);
  lua_Number seconds = luaL_optnumber(L, 3, HUGE_VAL);
  lua_settop(L, 2);
  lua_insert(L, 1); /* the Stream first: the arguments of stream_take */
  const box *b = stream_box(L);
  if (b->stream != NULL) /* who waits goes on by what stands in the codec */
    stream_check_reader(L, b->stream);
  c->interrupted = false;
  bool bounded = b->stream != NULL && seconds < 1e9;
  c->taking.deadline =
      bounded ? deadline_in(b->stream, seconds > 0 ? seconds : 0) : 0;
  return stream_take(L);
}


/* codec:interrupt(stream) : boolean; who waits in `next` gives way: behind one turn of
 * the tasks another one can wait there.  False: nobody waits. */
static int l_interrupt(lua_State *L) {
  codec *c = check_codec(L);
  stream *s = stream_box_at(L, 2)->stream;
  bool busy = s != NULL && s->read_busy;
  if (busy) {
    c->interrupted = true;
    wait_wake(&s->readers, 0);
  }
  lua_pushboolean(L, busy);
  return 1;
}


/*
** codec:frame(opcode, data, compressed) : what to write: one string or two
*/

static mask draw_mask(lua_State *L, codec *c) {
  mask m;
  if (c->drawn == sizeof c->chance) {
    const host *h = host_of(L);
    h->world->random(h->outside, c->chance, sizeof c->chance);
    c->drawn = 0;
  }
  memcpy(m.key, c->chance + c->drawn, sizeof m.key);
  c->drawn += sizeof m.key;
  return m;
}


static int push_joined(lua_State *L, const frame *f, const char *data) {
  luaL_Buffer b;
  size_t n = (size_t)f->length;
  mask m = f->mask;
  char *to = luaL_buffinitsize(L, &b, FRAME_HEAD + n);
  size_t head = frame_write(to, f);
  if (f->masked)
    mask_copy(&m, to + head, data, n);
  else
    memcpy(to + head, data, n);
  luaL_pushresultsize(&b, head + n);
  return 1;
}


static int l_frame(lua_State *L) {
  codec *c = check_codec(L);
  size_t n;
  int opcode = (int)argument_integer(L, 2, CONTINUES, PONG);
  const char *data = luaL_checklstring(L, 3, &n);
  frame f = {.length = n,
             .opcode = (uint8_t)opcode,
             .fin = true,
             .rsv1 = lua_toboolean(L, 4),
             .masked = c->client};
  luaL_argcheck(L, opcode < CLOSES || n <= CONTROL_MAX, 3,
                "at most 125 bytes expected");
  if (c->client)
    f.mask = draw_mask(L, c);
  if (n <= JOINED || c->client)
    return push_joined(L, &f, data);
  char head[FRAME_HEAD];
  lua_pushlstring(L, head, frame_write(head, &f));
  lua_pushvalue(L, 3);
  return 2;
}


/*
** Functions
*/

/* clear(stream) : boolean; would a small write not wait? */
static int l_clear(lua_State *L) {
  const stream *s = stream_box(L)->stream;
  lua_pushboolean(L, s != NULL && !s->called && wait_idle(&s->turns) &&
                         outbox_pending(s) < HIGH_WATER);
  return 1;
}


/* pending(stream) : boolean; has something come that nobody has taken? */
static int l_pending(lua_State *L) {
  const stream *s = stream_box(L)->stream;
  lua_pushboolean(L, s != NULL && inbox_size(&s->in) > 0);
  return 1;
}


/* valid(text) : boolean; is it UTF-8? */
static int l_valid(lua_State *L) {
  size_t n;
  const char *text = luaL_checklstring(L, 1, &n);
  lua_pushboolean(L, utf8_is(text, n));
  return 1;
}


/* sha1(text) : 20 bytes */
static int l_sha1(lua_State *L) {
  size_t n;
  unsigned char digest[SHA1_SIZE];
  const char *text = luaL_checklstring(L, 1, &n);
  sha1(digest, text, n);
  lua_pushlstring(L, (const char *)digest, sizeof digest);
  return 1;
}


static const luaL_Reg methods[] = {{"next", l_next},
                                   {"interrupt", l_interrupt},
                                   {"forget", l_forget},
                                   {"frame", l_frame},
                                   {NULL, NULL}};

static const luaL_Reg metamethods[] = {{"__gc", l_forget}, {NULL, NULL}};

static const luaL_Reg functions[] = {{"codec", l_codec},     {"clear", l_clear},
                                     {"pending", l_pending}, {"valid", l_valid},
                                     {"sha1", l_sha1},       {NULL, NULL}};


static int open_core(lua_State *L) {
  class_open(L, CODEC, metamethods, methods, NULL);
  luaL_newlib(L, functions);
  return 1;
}


int websocket_open(lua_State *L) {
  host_module(L, "neap.websocket.core", open_core);
  return 0;
}
