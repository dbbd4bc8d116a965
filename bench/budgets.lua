--- What a message, or a process, may cost at most, on the paths of bench/cost/measure.lua:
--- instructions in user mode, and system calls; and what an idle connection may
--- take of memory. They are what neap takes and up to four per cent, for two profiles make
--- builds that differ by two: so a budget that is exceeded tells of a needless step,
--- and one that is met by far is to be lowered. The instructions are those of what
--- scripts/optimise builds on Debian 12 for amd64.

return {
  echo = {instructions = 2640, calls = 2.1},
  lines = {instructions = 1320, calls = 0.15},
  unix = {instructions = 2630, calls = 2.1},
  connect = {instructions = 9400, calls = 7.8},
  tls = {instructions = 17800, calls = 2.1}, -- 14,300 of them OpenSSL's, 3.0
  tls_bulk = {instructions = 177000, calls = 2.2}, -- 16 KiB: the cipher 82,000, four copies 66,000
  http = {instructions = 19800, calls = 2.1}, -- a request as a browser's, and a text
  http_flight = {instructions = 12700, calls = 0.2},
  udp = {instructions = 1840, calls = 0.2},
  idle = {bytes = 1650}, -- of resident memory a connection: bench/idle.lua
  tls_silent = {bytes = 1960}, -- of one that has sent nothing: bench/tls_idle.lua
  tls_half = {bytes = 2048}, -- or half a hello, of which 130 bytes are kept
  tls_stalled = {bytes = 45000}, -- or a hello, and nothing behind the answer
  start = {instructions = 785000, calls = 88},
  start_net = {instructions = 1180000, calls = 88},

  -- A value given to a task that waits, and the switch to it.
  channel = {instructions = 7900, calls = 0.01},
  future = {instructions = 8750, calls = 0.01},
  select = {instructions = 14400, calls = 0.01},

  -- A file of 4 KiB that is read, by a thread; one of 68 KiB that is sent, the last 4 of it
  -- by sendfile(2), and read by its peer. How a copy of 64 KiB is counted depends on which of
  -- the C library's ways the compiler takes: 190,000 to 340,000, in the same time.
  file_read = {instructions = 17100, calls = 21.5},
  file_send = {instructions = 420000, calls = 32},

  -- A line of the log below the level, and one with three fields; an addition to a
  -- counter, and to a histogram by its label.
  log_quiet = {instructions = 295, calls = 0.01},
  log_line = {instructions = 48100, calls = 1.01},
  counter = {instructions = 675, calls = 0.01},
  histogram = {instructions = 4950, calls = 0.01},
}
