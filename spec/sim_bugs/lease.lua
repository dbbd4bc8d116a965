-- A lease under skew.
--
-- A lock service says until when the lock is held, by its wall clock; who holds it looks at his
-- own. Mended, he measures how long he has it, since before he asked.

local net = require "neap.net"
local sim = require "neap.sim"
local task = require "neap.task"

sim.host("lock", function()
  local net = require "neap.net"
  local time = require "neap.time"
  local expires = 0
  assert(net.listen "tcp://*:7000"):serve(function(stream)
    if time.now() < expires then
      stream:write "held\n"
    else
      expires = time.now() + 3
      stream:write(("%.3f\n"):format(time.wall() + 3))
    end
  end)
end)

for _, name in ipairs {"w1", "w2"} do
  sim.host(name, function(me, way)
    local net = require "neap.net"
    local task = require "neap.task"
    local time = require "neap.time"

    local function tell(what)
      local stream <close> = assert(net.connect "tcp://director:7000")
      stream:write(me, " ", what, "\n")
      stream:read()
    end

    while true do
      local asked = time.now()
      local stream <close> = assert(net.connect "tcp://lock:7000")
      local untl = tonumber(stream:read())
      if untl then
        local left = (way == "mended" and asked + 3 - time.now() or untl - time.wall()) - 1
        tell "enters"
        while left > 0 do
          task.sleep(math.min(left, 0.2))
          left = (way == "mended" and asked + 3 - time.now() or untl - time.wall()) - 1
        end
        tell "leaves"
      end
      task.sleep(math.random())
    end
  end, {args = {name, ...}})
end

local inside, broken
task.spawn(function()
  assert(net.listen "tcp://*:7000"):serve(function(stream)
    local name, what = stream:read():match "(%S+) (%S+)"
    if what == "leaves" then
      inside = inside ~= name and inside or nil
    elseif inside then
      broken = ("%s enters, and %s is inside"):format(name, inside)
    else
      inside = name
    end
    stream:write "\n"
  end)
end)

sim.always("one is inside at most", function()
  return not broken, broken
end)

sim.client("watch", function()
  task.sleep(120)
end)

sim.chaos {kinds = {"skew"}, skew = 3, lasts = {1, 30}}
