-- usage: neap lock.lua
--
-- A lock service, as neap sim scripts/sim/leases.lua has one: at tcp://*:7000 who asks for the
-- lock gets it for five seconds, or is told that somebody else has it.
--
--   lock NAME      granted SECONDS UNTIL, or busy; UNTIL is a time of the wall clock
--   unlock NAME    done

local net = require "neap.net"
local task = require "neap.task"
local time = require "neap.time"

local LEASE = 5

-- Who has it, and until when by our own clock, which nobody sets.
local owner, expires = nil, 0

local function answer(line)
  local verb, name = line:match "^(%l+) (%S+)$"
  if verb == "lock" then
    if owner and time.now() < expires then
      return "busy"
    end
    owner, expires = name, time.now() + LEASE
    return ("granted %d %.3f"):format(LEASE, time.wall() + LEASE)
  elseif verb == "unlock" then
    owner = owner ~= name and owner or nil
    return "done"
  end
  return "lock NAME or unlock NAME expected"
end

-- Somebody may have a lease from a life of ours before.
task.sleep(LEASE)

assert(net.listen "tcp://*:7000"):serve(function(stream)
  for line in stream:lines() do
    stream:write(answer(line), "\n")
  end
end)
