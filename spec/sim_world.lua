-- usage: neap sim spec/sim_world.lua
--
-- A world of which scripts/check-sim wants each seed to be the same in each run: HTTP over TLS,
-- messages, unix sockets, all faults, and what depends on addresses and on the order of keys.

local http = require "neap.http"
local sim = require "neap.sim"
local task = require "neap.task"
local tls = require "neap.tls"

local cert, key = tls.selfsigned {names = {"web"}}

sim.host("web", function(cert, key)
  local net = require "neap.net"
  local serve = require "neap.http".serve

  local visits = {}
  serve(assert(net.listen("tls://*:443", {cert = cert, key = key})), function(request)
    visits[request] = #request.path
    local sum = 0
    for visit, length in pairs(visits) do
      sum = sum * 3 + length + #tostring(visit)
    end
    return ("%d %s\n"):format(sum, os.date "%T")
  end)
end, {args = {cert, key}, restart = true})

local names = {"g1", "g2", "g3"}
for _, name in ipairs(names) do
  sim.host(name, function(me, ...)
    local net = require "neap.net"
    local task = require "neap.task"
    local others = {...}
    local heard = {}

    local inner <close> = assert(net.listen "unix:@inner")
    task.background(function()
      inner:serve(function(stream)
        for line in stream:lines() do
          stream:write(line:reverse(), "\n")
        end
      end)
    end)
    local stream = assert(net.connect "unix:@inner")

    local socket = assert(net.bind "udp://*:7000")
    task.background(function()
      for message in socket:messages() do
        stream:write(message, "\n")
        heard[{}] = stream:read()
      end
    end)
    while true do
      task.sleep(math.random())
      local words = {}
      for at, what in pairs(heard) do
        words[#words + 1] = tostring(at):sub(-4) .. what:sub(1, 9)
      end
      local to = net.resolve(others[math.random(#others)])
      if to then
        socket:send(me .. table.concat(words, " ", 1, math.min(#words, 9)), ("udp://%s:7000"):format(to[1]))
      end
    end
  end, {args = {name, table.unpack(names)}, drift = sim.random(-100, 100)})
end

sim.link {latency = {0.0005, 0.020}, loss = 0.05, duplicates = 0.02, reordered = 0.05}
sim.chaos {every = {1, 3}, lasts = {0.5, 2}}

local client = http.client {tls = {ca = cert}}
for i = 1, 2 do
  sim.client("client " .. i, function()
    for n = 1, 4 do
      local answer, err = client:get(("https://web/%d"):format(n), {timeout = 1})
      local text = answer and answer:read "a"
      print(i, n, text and #text or err, task.current())
      task.sleep(math.random() * 2)
    end
  end)
end
