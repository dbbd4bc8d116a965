-- usage: neap bench/children.lua [count]    what starting a child and hearing of its end costs

-- How large the parent is should not matter: to copy the tables of its memory, as fork
-- does, takes the longer the more of it there is.

local process = require "neap.process"
local time = require "neap.time"

local count = tonumber(arg[1]) or 500

local function one_by_one()
  local start = time.now()
  for _ = 1, count do
    assert(assert(process.spawn {"/bin/true"}):wait() == 0)
  end
  return (time.now() - start) / count * 1e6
end

one_by_one()
print(("a small parent: %.0f µs a child"):format(one_by_one()))
local held = {}
for i = 1, 64 do
  held[i] = ("x"):rep(8 << 20)
end
print(("one of %d MiB: %.0f µs"):format(#held * 8, one_by_one()))
