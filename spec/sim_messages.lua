--- What each of sim_messages.c's nodes runs: n1 asks, the others serve.

local name = ...

local net = require "neap.net"
local task = require "neap.task"
local time = require "neap.time"

local function bind(endpoint, opts)
  local socket, err = net.bind(endpoint, opts)
  return assert(socket, err):settimeout(60)
end

local function same(expected, actual)
  if expected ~= actual then
    error(("expected %s, got %s"):format(expected, actual), 2)
  end
end

--- One beat each 100 ms; then, of each second, how many were answered: at once, or later.
if name == "beats" then
  local socket <close> = bind "udp4://*:0"
  local at_once, later = {}, {}
  local reader = task.spawn(function()
    for data in socket:messages() do
      local second, sent = math.tointeger(tonumber(data)) // 10, tonumber(data) / 10
      local set = time.now() - 1 - sent < 0.05 and at_once or later
      set[second] = (set[second] or 0) + 1
    end
  end)
  for i = 0, 99 do
    task.sleep(1 + i / 10 - time.now())
    assert(socket:send(tostring(i), "10.0.0.2:7000"))
  end
  assert(socket:send("end", "10.0.0.2:7000"))
  task.sleep(0.5)
  socket:close()
  reader:join()
  local got = {}
  for second = 0, 9 do
    got[#got + 1] = ("%d+%d"):format(at_once[second] or 0, later[second] or 0)
  end
  -- Cut there, and back, over; crashed, restarted; paused; held.
  same("10+0 1+0 0+0 9+0 1+0 9+0 1+9 9+1 1+9 9+1", table.concat(got, " "))
  return
elseif name == "echoes" then
  local socket <close> = bind "udp4://*:7000"
  for data, from in socket:messages() do
    if data == "end" then
      return
    end
    socket:send(data, from)
  end
elseif name == "floods" then
  local socket <close> = bind "udp4://*:0"
  for i = 1, 1000 do
    assert(socket:send(("%d "):format(i):rep(200), "10.0.0.2:7000"))
  end
  assert(socket:send("end", "10.0.0.2:7000"))
  assert(socket:flush())
  return
elseif name == "counts" then
  local socket <close> = bind "udp4://*:7000"
  local count, bytes, first = 0, 0, nil
  for data in socket:messages() do
    first = first or time.now()
    if data == "end" then
      break
    end
    count, bytes = count + 1, bytes + #data + 28
  end
  local rate = bytes / (time.now() - first)
  same(1000, count)
  assert(rate > 99000 and rate < 102000, rate)
  return
elseif name ~= "n1" then
  local server <close> = bind("udp://*:7000", {pktinfo = true})
  server:join "239.1.1.1"
  for data, from, info in server:messages() do
    if data == "end" then
      break
    end
    server:send(name .. " has " .. data, from, info)
  end
  return
end

task.sleep(1)
local addresses = assert(net.resolve "n2")
same(2, #addresses)
same("10.0.0.2", addresses[1].ip)
same("fd00::2", addresses[2].ip)
same("EAI_NONAME", select(2, net.resolve "nobody").code)

-- To a name, by both families.
for _, endpoint in ipairs {"udp://n2:7000", "udp4://n3:7000", "udp6://n3:7000"} do
  local socket <close> = assert(net.connect(endpoint)):settimeout(5)
  socket:send "x"
  same(endpoint:match "n%d" .. " has x", (socket:recv()))
end

-- Who has a port refuses by ICMP, and who has none is not there.
do
  local socket <close> = assert(net.connect "udp://n2:9"):settimeout(10)
  assert(socket:send "x")
  local _, err = socket:recv()
  same("ECONNREFUSED", err.code)
  same("10.0.0.2", err.by.ip)
  same(3, err.icmp_type)
  same(3, err.icmp_code)
  same("10.0.0.2:9", tostring(err.to))
  local far <close> = assert(net.connect "udp://10.9.9.9:9"):settimeout(10)
  assert(far:send "x")
  same("EHOSTUNREACH", select(2, far:recv()).code)
  same("ENETUNREACH", select(2, net.connect "udp://192.0.2.1:9").code)
end

-- A group, and all of the network.
local many = bind("udp4://*:0", {broadcast = true})
for _, to in ipairs {"239.1.1.1:7000", "10.255.255.255:7000", "255.255.255.255:7000"} do
  assert(many:send("all", to))
  local seen = {}
  for i = 1, 2 do
    seen[i] = assert(many:recv())
  end
  table.sort(seen)
  same("n2 has all,n3 has all", table.concat(seen, ","))
end

-- A kernel answers.
do
  local ping <close> = assert(net.connect "icmp://n3"):settimeout(5)
  assert(ping:send("\8\0\0\0\0\0\0\1hello"))
  local reply, from = ping:recv()
  same("\0\0", reply:sub(1, 2))
  same("\0\1hello", reply:sub(7))
  same("10.0.0.3", from.ip)
  same("EINVAL", select(2, ping:send "\0\0\0\0\0\0\0\0").code)
  local six <close> = assert(net.connect "icmp6://n3"):settimeout(5)
  assert(six:send("\128\0\0\0\0\0\0\1hello"))
  same(129, six:recv():byte())
end

-- What a link takes, and what it does not.
do
  local socket <close> = assert(net.connect("udp://n2:7000", {mtu_discover = "do"})):settimeout(5)
  assert(socket:send(("x"):rep(1472)))
  same(1479, #socket:recv())
  socket:send(("x"):rep(1473)) -- it gathers
  same("EMSGSIZE", select(2, socket:flush()).code)
  assert(socket:set {mtu_discover = "dont"})
  assert(socket:send(("x"):rep(60000)))
  same(60007, #socket:recv())
end

local list = assert(net.interfaces())
same("lo", list[1].name)
same("eth0", list[2].name)
same("10.0.0.1", list[2].addresses[1].address.ip)
same("10.255.255.255", list[2].addresses[1].broadcast.ip)

for _, to in ipairs {"10.0.0.2:7000", "[fd00::3]:7000"} do
  assert(bind("udp://*:0"):send("end", to))
end
