/*
** What the sources of Lua are compiled with, so that a state does the same each time
** that it is given the same: nothing in it depends on a clock, or on where the system
** has put the program.
**
** It is included before all else (CMakeLists.txt), so by nothing more than this.
*/

#ifndef LUA_REPLAY_H
#define LUA_REPLAY_H

#include <stddef.h>

struct lua_State;

/* Of strings: who has made the state says what theirs is (host/arena.h); not in programs
 * that have none of the runtime, as the build's own. */
__attribute__((weak)) unsigned int host_hash_seed(struct lua_State *L);
#define luai_makeseed(L) (host_hash_seed != NULL ? host_hash_seed(L) : 1u)

/* Where table.sort divides what it has divided badly before: nobody is to guess that, who
 * sends what is sorted. */
#define l_randomizePivot() luai_makeseed(L)

/* Of a function of C that is in the program itself, its distance from the program's
 * beginning, which is no address of anything else; and of others where they are. */
extern const char __executable_start[], _end[];

static inline size_t replay_address(const void *p) {
  size_t far = (size_t)p - (size_t)__executable_start;
  return far < (size_t)_end - (size_t)__executable_start ? far : (size_t)p;
}

#endif
