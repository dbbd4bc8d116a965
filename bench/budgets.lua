--- What a message, or a process, may cost at most, on the paths of bench/cost/measure.lua:
--- instructions in user mode, and system calls; and what an idle connection may
--- take of memory. They are what neap takes and two or three per cent: so a budget
--- that is exceeded tells of a needless step, and one that is met by far is to be
--- lowered. The instructions are those of Debian 12's compiler, Lua and C library,
--- on amd64.

return {
  echo = {instructions = 3100, calls = 2.1},
  lines = {instructions = 1780, calls = 0.15},
  unix = {instructions = 3110, calls = 2.1},
  connect = {instructions = 9150, calls = 6.6},
  udp = {instructions = 2220, calls = 0.2},
  idle = {bytes = 1650}, -- of resident memory a connection: bench/idle.lua
  start = {instructions = 695000, calls = 67},
  start_net = {instructions = 985000, calls = 67},
}
