/*
** Two hosts in one process, each with its own loop: nothing in C is shared.
**
** Both run the same script at the same time, one in a thread of its own, and
** then again, so that what the first round leaves behind would show.  Only the
** first host of a round takes the signals, which are the process's.
*/

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "host/host.h"
#include "net/net.h"
#include "sched/task.h"
#include "sched/world.h"
#include "uv/world.h"

enum { ROUNDS = 3 };

#define DRAIN (5 * UINT64_C(1000000000))

static const char script[] =
  "local net, task = require 'neap.net', require 'neap.task'\n"
  "local process = require 'neap.process'\n"
  "local clients = 10\n"
  "\n"
  "local function echo(stream)\n"
  "  for line in stream:lines() do\n"
  "    assert(stream:write(line, '\\n'))\n"
  "  end\n"
  "end\n"
  "\n"
  "local function talk(endpoint, n)\n"
  "  local stream <close> = assert(net.connect(endpoint))\n"
  "  for i = 1, 100 do\n"
  "    local line = ('%s %d %d'):format(..., n, i)\n"
  "    assert(stream:write(line, '\\n'))\n"
  "    assert(stream:read 'l' == line)\n"
  "  end\n"
  "end\n"
  "\n"
  "local name = ...\n"
  "local function serve(listening, connecting)\n"
  "  local listener <close> = assert(net.listen(listening))\n"
  "  local server = task.spawn(listener.serve, listener, echo)\n"
  "  local endpoint = connecting or 'tcp://127.0.0.1:' .. listener.port\n"
  "  task.scope(function(s)\n"
  "    for n = 1, clients do\n"
  "      s:spawn(talk, endpoint, n)\n"
  "    end\n"
  "  end)\n"
  "  listener:close()\n"
  "  server:join()\n"
  "end\n"
  "\n"
  "task.all {\n"
  "  function() serve 'tcp://127.0.0.1:0' end,\n"
  "  function() serve('unix:@neap ' .. name, 'unix:@neap ' .. name) end,\n"
  "  function() serve('mem:same name', 'mem:same name') end,\n"
  "  function() assert(net.resolve 'localhost') end,\n"
  "  function() for _ = 1, 20 do task.sleep(0.001) end end,\n"
  "  function()\n"
  "    assert(task.timeout(10, process.run, {'echo', name}).stdout == name .. '\\n')\n"
  "  end,\n"
  "  function()\n"
  "    for _ = 1, 10 do\n"
  "      collectgarbage()\n"
  "      task.yield()\n"
  "    end\n"
  "  end,\n"
  "}\n"
  "assert(not net.connect('mem:same name'))\n";


static int open_sched(lua_State *L) {
  sched_open(L);
  return net_open(L);
}


static int start(lua_State *L) {
  if (luaL_loadbufferx(L, script, sizeof script - 1, "=script", "t") != LUA_OK)
    return lua_error(L);
  lua_insert(L, 1); /* below the name */
  task_spawn(L, NULL, 1);
  return 0;
}


static int run(host *h, const char *name) {
  lua_pushcfunction(h->L, open_sched);
  if (!host_call(h, 0, 0))
    return EXIT_FAILURE;
  lua_pushcfunction(h->L, start);
  lua_pushstring(h->L, name);
  if (!host_call(h, 1, 0))
    return EXIT_FAILURE;
  sched_run(h);
  h->world->drain(h->outside, h->world->now(h->outside) + DRAIN);
  return h->exit_status;
}


static int live(const char *name, bool signals) {
  host h = {0};
  if (uv_world_open(&h) < 0 || !host_open(&h))
    return EXIT_FAILURE;
  if (signals && uv_world_signals(&h) < 0)
    return EXIT_FAILURE;
  int status = run(&h, name);
  host_close(&h);
  net_give_up(&h);
  uv_world_close(&h);
  net_close(&h);
  sched_close(&h);
  return status;
}


static void *second(void *status) {
  *(int *)status = live("second", false);
  return NULL;
}


int main(void) {
  for (int i = 1; i <= ROUNDS; i++) {
    pthread_t thread;
    int other = EXIT_FAILURE;
    if (pthread_create(&thread, NULL, second, &other) != 0)
      return EXIT_FAILURE;
    int one = live("first", true);
    pthread_join(thread, NULL);
    if (one != 0 || other != 0) {
      fprintf(stderr, "two_hosts: round %d: the %s host failed\n", i,
              one != 0 ? "first" : "second");
      return EXIT_FAILURE;
    }
  }
  return EXIT_SUCCESS;
}
