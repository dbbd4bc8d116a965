--- What the soaked process does besides serving: connections within it, timeouts, cancellations,
--- names, children, much at once.

local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"

local actors = {}
actors.__index = actors

local MANY = 8 -- of each
local BULK = 300000 -- bytes that do not fit into a socket

local function check(ok, ...)
  return assert(ok, ...)
end

local function mem(path)
  local stream <close> = check(net.connect("mem:" .. path))
  for i = 1, 10 do
    local text = ("x"):rep(i * 100)
    check(stream:write(text))
    check(stream:readexactly(#text) == text, "other bytes")
    task.yield()
  end
end

local function late()
  local a <close>, b = net.socketpair()
  local _ <close> = b
  local data, err = task.timeout(0.001 + math.random() * 0.02, a.read, a, 1)
  check(data == nil and err.code == "ETIMEDOUT", "no timeout")
  check(b:write "y")
  check(a:read(1) == "y", "lost behind a timeout")
end

local function cancelled()
  local a <close>, b = net.socketpair()
  local _ <close> = b
  local reader = task.spawn(a.readexactly, a, 10)
  check(b:write "01234")
  task.sleep(math.random() * 0.01)
  reader:cancel()
  reader:join()
  check(b:write "56789")
  check(a:readexactly(10) == "0123456789", "lost behind a cancellation")
end

local function bulk()
  local a <close>, b = net.socketpair()
  local _ <close> = b
  local text = ("0123456789"):rep(BULK // 10)
  task.scope(function(scope)
    scope:spawn(function()
      check(a:write(text))
      a:shutdown()
    end)
    local got = check(b:read "a")
    check(got == text, "other bytes")
  end)
end

local function names()
  local name = ("n%d.soak.test"):format(math.random(2000))
  local found = check(net.resolve(name, {family = "inet", resolver = "dns"}))
  check(found[1].ip == "127.0.0.1", "another address")
end

local function raced()
  local a <close>, b = net.socketpair()
  local _ <close> = b
  local won = task.race {
    function() return a:read(1) end,
    function() task.sleep(math.random() * 0.01) return "slept" end,
    function() task.sleep(0.5) return "slept" end,
  }
  check(won == "slept", "another winner")
  check(b:write "z")
  check(a:read(1) == "z", "lost behind a race")
end

local function children()
  local result = check(process.run {"cat", input = "through a child"})
  check(result.code == 0 and result.stdout == "through a child", "a child")
end

local acts = {
  mem = mem, timeouts = late, cancelling = cancelled, bulk = bulk, names = names, races = raced, children = children,
}
local seldom = {bulk = 0.1, children = 0.02} -- of the others' rate

--- Begin: so many of each a second at most. `counts` of what it gives is how often each was done.
function actors.start(path, rate, onerror)
  local self = setmetatable({counts = {}, operations = 0, tasks = {}, stopped = task.event()}, actors)
  for name, act in pairs(acts) do
    self.counts[name] = 0
    local many = seldom[name] and 1 or MANY
    local pause = many / (rate * (seldom[name] or 1))
    for _ = 1, many do
      self.tasks[#self.tasks + 1] = task.spawn(function()
        repeat
          local ok, err = pcall(act, path)
          if not ok then
            onerror(name .. ": " .. tostring(err))
          end
          self.counts[name] = self.counts[name] + 1
          self.operations = self.operations + 1
          task.timeout(-pause * math.log(1 - math.random()), self.stopped.wait, self.stopped)
        until self.stopped.is_set
      end)
    end
  end
  return self
end

function actors:stop()
  self.stopped:set()
  for _, t in ipairs(self.tasks) do
    t:join()
  end
end

return actors
