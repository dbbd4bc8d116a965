-- No timeout of a connect.
--
-- A client asks the first of two servers that answers, which is to take seconds at most; but to
-- dial a machine that is down takes two minutes. Mended, it takes one second.

local net = require "neap.net"
local sim = require "neap.sim"
local task = require "neap.task"

local timeout = ... == "mended" and 1 or nil

for _, name in ipairs {"first", "second"} do
  sim.host(name, function()
    local net = require "neap.net"
    assert(net.listen "tcp://*:7000"):serve(function(stream)
      stream:write "here\n"
    end)
  end)
end

local function ask(name)
  local stream <close> = net.connect(("tcp://%s:7000"):format(name), {timeout = timeout})
  if stream then
    stream:settimeout(1)
  end
  return stream and stream:read()
end

sim.client("client", function()
  for _ = 1, 30 do
    local began = sim.now()
    local _ = ask "first" or ask "second"
    assert(sim.now() - began < 5, "the answer took too long")
    task.sleep(2)
  end
end)

sim.chaos {kinds = {"crash"}, every = {5, 20}, lasts = {1, 15}}
