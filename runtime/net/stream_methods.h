/*
** What streams give their methods: each file of methods gets the stream by these,
** and tells of it so.
*/

#ifndef NET_STREAM_METHODS_H
#define NET_STREAM_METHODS_H

#include <lauxlib.h>
#include <lua.h>

#include "net/stream.h"

#define STREAM_CLASS "neap.Stream" /* for luaL_checkudata */

extern const char stream_mark; /* host_marked's */

/* The box at argument 1; raises for anything else. */
static inline box *stream_box_at(lua_State *L, int arg) {
  box *b = host_marked(L, arg, sizeof *b, &stream_mark);
  return b != NULL ? b : luaL_checkudata(L, arg, STREAM_CLASS);
}

static inline box *stream_box(lua_State *L) {
  return stream_box_at(L, 1);
}

/* Push the Stream of a new body. */
void stream_push(lua_State *L, stream *s);

/* The same, but push the error and return false, for who must then undo more. */
bool stream_try_push(lua_State *L, stream *s);

/* Push a Stream that is closed, and give it a body: for who can make it before
 * there is one, so that nothing is to be undone when that raises. */
void stream_push_closed(lua_State *L);
void stream_fill(box *b, stream *s);

/* Another process gets the descriptor of what is at index, perhaps a stream. */
void stream_share(lua_State *L, int index);

/* nil and an error about the stream (which may be NULL). */
int stream_fail(lua_State *L, stream *s, int status, const char *op);

/* The endpoint as messages name it; pushed on the stack, or nil. */
const char *stream_push_where(lua_State *L, stream *s);

/* Accept these few bytes if there is room and nobody is before them.  False: nothing
 * happened, and it is for the method write. */
bool stream_write_now(lua_State *L, stream *s, const struct iovec *v, int n);

/* Raises for a second reader. */
void stream_check_reader(lua_State *L, stream *s);

/* The absolute deadline of an operation that begins now. */
uint64_t stream_deadline(stream *s);

/* The methods, each file its own. */
extern const luaL_Reg read_methods[], write_methods[], life_methods[],
    option_methods[], seek_methods[];

void stream_open(lua_State *L);

#endif
