/*
** What the sockets of a host share, and the module neap.net.core.
*/

#ifndef NET_NET_H
#define NET_NET_H

#include <string.h>

#include "net/datagram.h"
#include "net/outbox.h"
#include "net/round.h"
#include "net/stream.h"

struct net {
  host *host;
  int stream_class;  /* host_class */
  struct slab *slab; /* the streams' memory */
  stream *streams;   /* all whose bodies live, the newest first */
  listener *listeners;
  datagram *datagrams;
  stream *dirty[FREE_OUTBOXES]; /* those with gathered bytes; NULL: no more */
  unsigned dirty_count;
  outbox *outboxes; /* free ones */
  unsigned outbox_count;
  datagram *gathered;         /* those with gathered messages */
  struct send_batch *batches; /* free ones */
  unsigned batch_count;
  stream *closing; /* those that go on behind their close(), the oldest first */
  stream **closing_end; /* what is to point to the next of them */
  uint64_t forgotten;   /* bytes that these have read since the last pause */
  uint64_t pause;       /* until then they read no more; 0: they do */
  uint64_t look;        /* the program has ended: the next time to see which of
                           them need not be waited for; 0: it goes on */
  struct mem_name *names; /* listeners of mem: */
  rounds rounds;
};

/* Lists by `next` and `at`, what points to an element. */
#define LIST_ADD(head, x) \
  do { \
    (x)->next = (head); \
    (x)->at = &(head); \
    if ((head) != NULL) \
      (head)->at = &(x)->next; \
    (head) = (x); \
  } while (0)

#define LIST_REMOVE(x) \
  do { \
    *(x)->at = (x)->next; \
    if ((x)->next != NULL) \
      (x)->next->at = (x)->at; \
  } while (0)

static inline struct net *net_of(host *h) {
  return h->net;
}

/* Create it and register the modules; call it through host_call. */
int net_open(lua_State *L);
void net_close(host *h);

/* Send what has gathered, of all tasks: also before a descriptor goes to
 * another process, which may write by it at once. */
void net_flush(host *h);

/* Class names, for luaL_checkudata. */
#define STREAM_CLASS "neap.Stream"

/* Push the Stream of a new body. */
void stream_push(lua_State *L, stream *s);

/* The same, but push the error and return false, for who must then undo more. */
bool stream_try_push(lua_State *L, stream *s);

/* Push a Stream that is closed, and give it a body: for who can make it before
 * there is one, so that nothing is to be undone when that raises. */
void stream_push_closed(lua_State *L);
void stream_fill(box *b, stream *s);

/* host_marked's. */
extern const char stream_mark, datagram_mark;

/* The box at argument 1; raises for anything else. */
static inline box *stream_box(lua_State *L) {
  box *b = host_marked(L, 1, sizeof *b, &stream_mark);
  return b != NULL ? b : luaL_checkudata(L, 1, STREAM_CLASS);
}

static inline datagram_box *datagram_box_of(lua_State *L) {
  datagram_box *b = host_marked(L, 1, sizeof *b, &datagram_mark);
  return b != NULL ? b : luaL_checkudata(L, 1, DATAGRAM_CLASS);
}

/* Close it as the script does: the box is emptied, the waiters are woken, what
 * was accepted goes out.  Returns 0, or an error of a write that nobody was
 * told of. */
int stream_close(stream *s, bool reset);

/* The same without what the script is told, for a layer: its bytes are all there
 * is to be sent, and the peer's end need not be waited for.  And before that, when
 * it becomes the layer's: the box is emptied, and so on. */
void stream_let_go(stream *s, bool reset);
void stream_leave(stream *s);

/* Has all that was accepted gone out, also of the streams that it is made of? */
bool layer_is_out(stream *s);

static inline bool stream_is_out(stream *s) {
  return outbox_pending(s) == 0 && (!s->layered || layer_is_out(s));
}

/* Half close, once all was written. */
int stream_shut(stream *s);

/* Its time to send the rest is over. */
void stream_give_up(stream *s);

/* Another process gets the descriptor of what is at index, perhaps a stream. */
void stream_share(lua_State *L, int index);

/* Bytes arrived; whoever calls this (round.c) calls stream_keep when they do not
 * stay any longer where they are, which copies what was not read.  The stream may
 * have been closed in between. */
void stream_data(stream *s, char *bytes, size_t n);
void stream_keep(stream *s);

/* Have the transport deliver. */
void stream_hear(stream *s);

/* Of one that waits for its peer's end: has that got all, and been silent since
 * the last call? */
bool stream_is_settled(stream *s);

/* nil and an error about the stream (which may be NULL). */
int stream_fail(lua_State *L, stream *s, int status, const char *op);

/* The endpoint as messages name it; pushed on the stack, or nil. */
const char *stream_push_where(lua_State *L, stream *s);

/* The same for a reader, who is to see why it can't. */
static inline void stream_start_read(stream *s) {
  s->reading = true;
  int status = s->transport->start_read(s);
  if (status < 0)
    stream_error(s, status);
}

/* Raises for a second reader. */
void stream_check_reader(lua_State *L, stream *s);

/* Wake the first of those who wait to write, unless one was woken already. */
void stream_next_turn(stream *s);

/* The absolute deadline of an operation that begins now. */
uint64_t stream_deadline(stream *s);

/* The methods, each file its own. */
extern const luaL_Reg read_methods[], write_methods[], life_methods[],
    option_methods[];

void stream_open(lua_State *L);
int dial_lua(lua_State *L);
int listen_lua(lua_State *L);
int bind_lua(lua_State *L);
int pair_lua(lua_State *L);
int resolve_lua(lua_State *L);
int address_lua(lua_State *L);
int service_lua(lua_State *L);
int interfaces_lua(lua_State *L);

void resolve_open(lua_State *L);
void interfaces_open(lua_State *L);

/* neap.host, as of sched/, and the sockets (stats.c) */
int luaopen_neap_host_net(lua_State *L);

#endif
