-- usage: neap worker.lua [--elapsed] NAME
--
-- A worker, as neap sim scripts/sim/leases.lua has three. It takes the lock from
-- tcp://lock:7000, reads a number from tcp://store:7000, works on it for up to eight seconds,
-- and writes the next one, if the lock is still its own.
--
-- That is wrong, for it looks at its wall clock to see whether the lease is over: when that is
-- behind the lock's, or is set back, the lock has been given to another one. --elapsed: it
-- measures on the clock that nobody sets how long it has the lease, from before it asked for
-- it. What no clock mends is a worker that is held up between looking and writing: there the
-- store has to refuse whoever is not the last one, by a number that each lease has.

local args = require "neap.args"
local net = require "neap.net"
local task = require "neap.task"
local time = require "neap.time"

-- Of a lease this much is used: clocks do not run alike, and to write takes a while.
local SHARE = 0.9

local given = args.parse(arg, {
  name = "neap worker.lua",
  {"--elapsed", "measure how long the lease is held"},
  {"NAME", "who this is"},
})

-- The answer to a line, or nil when there is none in time.
local function ask(host, ...)
  return (task.timeout(1, function(...)
    local stream <close> = net.connect(("tcp://%s:7000"):format(host))
    return stream and stream:write(...) and stream:read()
  end, ...))
end

local function work()
  local asked = time.now()
  local seconds, deadline = (ask("lock", "lock ", given.name, "\n") or ""):match "^granted (%S+) (%S+)$"
  if not seconds then
    return
  end
  local number = math.tointeger(ask("store", "read\n"))
  task.sleep(math.random() * 8)
  local ours = time.wall() < tonumber(deadline)
  if given.elapsed then
    ours = time.now() - asked < tonumber(seconds) * SHARE
  end
  if number and ours then
    ask("store", ("write %d %s\n"):format(number + 1, given.name))
  end
  ask("lock", "unlock ", given.name, "\n")
end

while true do
  work()
  task.sleep(math.random())
end
