-- usage: neap ping.lua [-c COUNT] [-i SECONDS] [-W SECONDS] [-s BYTES] HOST
--
-- Asks a host, by IPv4 or IPv6, to echo packets, and prints what ping(8) prints. By
-- the ping socket, or a raw one where that is refused. Exits with 1 without a reply.

local net = require "neap.net"
local packet = require "neap.packet"
local task = require "neap.task"
local time = require "neap.time"

local function fail(message)
  io.stderr:write("ping: ", tostring(message), "\n")
  os.exit(2)
end

local options = {c = math.huge, i = 1, W = 1, s = 56}
local host = table.concat(arg, " "):gsub("%-([ciWs]) ([%d.]+)", function(flag, value)
  options[flag] = tonumber(value) or -1
  return ""
end):match "^%s*([^%s-]%S*)%s*$"
if not host or options.c < 1 or options.i <= 0 or options.W < 0 or options.s % 1 > 0 then
  fail("a host and numbers, please\n" .. io.lines(arg[0])():sub(4))
end

-- A raw socket of IPv4 gives the IP header with each reply, and replies to others.
local function open(address)
  local six = address.family == "inet6"
  local at = six and ("[%s]"):format(address.ip) or address.ip
  local socket, err = net.connect("icmp://" .. at, {recvttl = true})
  if not socket and err.code == "EACCES" then
    return net.connect(("raw://%s/%s"):format(at, six and "ipv6-icmp" or "icmp"),
      {recvttl = true, icmp_types = {six and 129 or 0}})
  end
  return socket, err
end

local addresses, unknown = net.resolve(host)
local ip = (addresses or fail(unknown))[1].ip
local socket <close>, refused = open(addresses[1])
local kind = (socket or fail(refused)).family == "inet6" and "icmpv6" or "icmp"
local id, payload = math.random(0xffff), ("neap"):rep(options.s // 4 + 1):sub(1, options.s // 1)
local sent_at, times, sent, errors, began = {}, {}, 0, 0, time.now()

local function failed(err)
  errors = errors + 1
  print(("From %s: %s"):format(err.by and err.by.ip or "this host", err.message))
end

local function receive()
  repeat
    local data, err, info = socket:recv()
    local at = data and socket.header and (data:byte(1) & 15) * 4 + 1 or 1
    local echo = data and packet.dissect(data:sub(at), kind)[1]
    local start = echo and echo.type == "echo-reply" and sent_at[echo.seq]
    if not data then
      failed(err)
    elseif start and (socket.type ~= "raw" or echo.id == id) then
      sent_at[echo.seq] = nil
      local ms = (time.now() - start) * 1000
      local digits = ms < 1 and 3 or ms < 10 and 2 or ms < 100 and 1 or 0
      print(("%d bytes from %s: icmp_seq=%d ttl=%d time=%." .. digits .. "f ms"):format(
        options.s + 8, ip, echo.seq, info and info.ttl or 0, ms))
      times[#times + 1] = ms
    end
  until sent == options.c and not next(sent_at)
end

local function statistics()
  local sum, squares, least, most = 0, 0, math.huge, 0
  for _, t in ipairs(times) do
    sum, squares, least, most = sum + t, squares + t * t, math.min(least, t), math.max(most, t)
  end
  print(("\n--- %s ping statistics ---\n%d packets transmitted, %d received, %s%d%% packet loss, "
    .. "time %dms"):format(host, sent, #times, errors > 0 and "+" .. errors .. " errors, " or "",
    (sent - #times) * 100 // math.max(sent, 1), (time.now() - began) * 1000 // 1))
  if #times > 0 then
    local mean = sum / #times
    print(("rtt min/avg/max/mdev = %.3f/%.3f/%.3f/%.3f ms"):format(least, mean, most,
      math.sqrt(math.max(squares / #times - mean * mean, 0))))
  end
end

print(kind == "icmp" and ("PING %s (%s) %d(%d) bytes of data."):format(host, ip, options.s, options.s + 28)
  or ("PING %s (%s) %d data bytes"):format(host, ip, options.s))
do
  local _ <close> = setmetatable({}, {__close = statistics}) -- on Ctrl-C too
  local receiver = task.spawn(receive)
  while sent < options.c do
    sent = sent + 1
    sent_at[sent & 0xffff] = time.now()
    local ok, err = socket:send((packet[kind] {id = id, seq = sent & 0xffff} / payload):bytes())
    if not ok then
      failed(err)
    end
    task.sleep(sent < options.c and options.i or 0)
  end
  task.timeout(options.W, receiver.join, receiver)
  receiver:cancel()
end
os.exit(#times > 0 and 0 or 1)
