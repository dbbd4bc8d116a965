/*
** Descriptors that travel: those that came with a message, each as an object
** that closes it unless somebody takes it.
*/

#ifndef NET_DESCRIPTOR_H
#define NET_DESCRIPTOR_H

#include <lua.h>
#include <stdbool.h>

/* Push the Descriptor of *fd, and set *fd to -1: it is the object's now.  On
 * lack of memory it raises, and *fd is left. */
void descriptor_push(lua_State *L, int *fd);

/* Push one without a descriptor, to be filled in. */
int *descriptor_new(lua_State *L);

/* Does the value at index name one: a number, a Descriptor, a socket?  And
 * which: -1 when it is closed or has none. */
bool descriptor_is(lua_State *L, int index);
int descriptor_number(lua_State *L, int index);

/* Raise for anything but a list of 1 to PASSED_MAX of these at arg; and read
 * it: how many, or -EBADF. */
void descriptor_check_list(lua_State *L, int arg);
int descriptor_list(lua_State *L, int arg, int *fds);

void descriptor_open(lua_State *L);

#endif
