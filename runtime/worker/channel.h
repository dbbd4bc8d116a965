/*
** Channels between the hosts of a process: bounded queues of messages.
**
** A channel belongs to all who hold it; everything in it is under its lock.
** What Lua has is a *box*, one host's end, with the tasks of that host that
** wait.  A box that waits is in the channel's list; who changes the channel
** calls the first of them, by ringing its host (sched/world.h), which then
** wakes one of its tasks, and that one tries again.  A task that goes away
** without taking what it was called for passes the call on.
**
** A channel with a name is found by it in the whole process, while somebody
** holds the channel or it holds messages.
*/

#ifndef WORKER_CHANNEL_H
#define WORKER_CHANNEL_H

#include <lua.h>

#include "host/host.h"

typedef struct channel channel;

/* The channel of the Channel at index; NULL when it is something else. */
channel *channel_test(lua_State *L, int index);

/* Push a new box, with a reference of its own.  Raises; the caller holds another. */
void channel_push(lua_State *L, channel *c);

/* A channel that only those in it, or in each other, refer to is freed with what it
 * holds by the drop of the last other reference. */
channel *channel_hold(channel *c);
void channel_drop(channel *c);

/* The host was rung: wake the tasks that are called. */
void channels_rang(host *h);

/* Leaves the class (metatable). */
void channel_open(lua_State *L);
int channel_lua(lua_State *L);
int channel_stats(lua_State *L);

#endif
