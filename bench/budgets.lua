--- What a message, or a process, may cost at most, on the paths of bench/cost/measure.lua:
--- instructions in user mode, and system calls; and what an idle connection may
--- take of memory. They are what neap takes and two or three per cent: so a budget
--- that is exceeded tells of a needless step, and one that is met by far is to be
--- lowered. The instructions are those of what scripts/optimise builds on Debian 12 for
--- amd64.

return {
  echo = {instructions = 2500, calls = 2.1},
  lines = {instructions = 1410, calls = 0.15},
  unix = {instructions = 2510, calls = 2.1},
  connect = {instructions = 7850, calls = 6.9},
  udp = {instructions = 1670, calls = 0.2},
  idle = {bytes = 1650}, -- of resident memory a connection: bench/idle.lua
  start = {instructions = 725000, calls = 82},
  start_net = {instructions = 1025000, calls = 82},
}
