-- usage: neap bench/sim.lua [gossip|echo|lines|hour|year]    simulated worlds, in processor time
--
--   gossip   1,000 hosts, each of which tells 20 others at random: a million messages
--   echo     two hosts, one message back and forth: a million
--   lines    two hosts, one line of a stream back and forth: half a million
--   hour     five hosts that tell all others once a second, for an hour
--   year     a host that sleeps a year, a hundred times

local sim = require "neap.sim"

local worlds, counts = {}, {}

counts.gossip = 1000000
function worlds.gossip()
  local sim = require "neap.sim"
  for i = 1, 1000 do
    sim.host("h" .. i, function()
      local net = require "neap.net"
      local task = require "neap.task"
      local address, random, sleep = net.address, math.random, task.sleep
      local socket = assert(net.bind "udp://*:7000")
      local heard, others = 0, {}
      for n = 1, 20 do
        local other = random(2, 1001)
        others[n] = address(("10.0.%d.%d:7000"):format(other // 256, other % 256))
      end
      task.spawn(function()
        while true do
          sleep(random() * 2)
          socket:send("gossip", others[random(20)])
        end
      end)
      while socket:recv() do
        heard = heard + 1
      end
    end)
  end
  sim.client("end", function()
    require "neap.task".sleep(1000)
  end)
end

counts.echo = 1000000
function worlds.echo()
  local sim = require "neap.sim"
  sim.limit(1e9)
  sim.host("server", function()
    local socket = assert(require "neap.net".bind "udp://*:7000")
    for message, from in socket:messages() do
      socket:send(message, from)
    end
  end)
  sim.client("client", function()
    local socket <close> = assert(require "neap.net".connect "udp://server:7000")
    for _ = 1, 500000 do
      socket:send "message"
      socket:recv()
    end
  end)
end

counts.lines = 500000
function worlds.lines()
  local sim = require "neap.sim"
  sim.limit(1e9)
  sim.host("server", function()
    assert(require "neap.net".listen "tcp://*:7000"):serve(function(stream)
      for line in stream:lines() do
        stream:write(line, "\n")
      end
    end)
  end)
  sim.client("client", function()
    local stream <close> = assert(require "neap.net".connect "tcp://server:7000")
    for _ = 1, 250000 do
      stream:write "message\n"
      stream:read()
    end
  end)
end

counts.hour = 5 * 4 * 3600
function worlds.hour()
  local sim = require "neap.sim"
  sim.limit(3700)
  for i = 1, 5 do
    sim.host("h" .. i, function(me)
      local net = require "neap.net"
      local task = require "neap.task"
      local socket = assert(net.bind "udp://*:7000")
      task.spawn(function()
        while true do
          for other = 1, 5 do
            if other ~= math.tointeger(me) then
              socket:send("beat", ("udp://10.0.0.%d:7000"):format(other + 1))
            end
          end
          task.sleep(1)
        end
      end)
      while socket:recv() do
        task.yield()
      end
    end, {args = {tostring(i)}})
  end
  sim.client("end", function()
    require "neap.task".sleep(3600)
  end)
end

counts.year = 100
function worlds.year()
  for _ = 1, 100 do
    require "neap.task".sleep(365 * 24 * 3600)
  end
end

local which = arg[1]
for _, name in ipairs(which and {which} or {"gossip", "echo", "lines", "hour", "year"}) do
  local started = os.clock()
  assert(sim.run(worlds[name]))
  local took = os.clock() - started
  print(("%-6s  %9.4f s, %9.0f a second"):format(name, took, counts[name] / took))
end
