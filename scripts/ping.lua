-- usage: neap ping.lua [-c COUNT] [-i SECONDS] [-W SECONDS] [-s BYTES] HOST
--
-- Asks a host, by IPv4 or IPv6, to echo packets, and prints what ping(8) prints.
-- By the ping socket, or a raw one where that is refused. Exits with 1 without a reply.

local net = require "neap.net"
local task = require "neap.task"
local time = require "neap.time"

local options = {c = math.huge, i = 1, W = 1, s = 56}
local host = table.concat(arg, " "):gsub("%-([ciWs]) ([%d.]+)", function(flag, value)
  options[flag] = tonumber(value)
  return ""
end):match "^%s*([^%s-]%S*)%s*$"
if not host then
  io.stderr:write(io.lines(arg[0])():sub(4), "\n")
  os.exit(2)
end

-- The kernel fills in a ping socket's checksum and identifier. A raw one of IPv4
-- wants its own, and gives the IP header with each reply.
local function open(address)
  local six = address.family == "inet6"
  local at = six and ("[%s]"):format(address.ip) or address.ip
  local socket, err = net.connect("icmp://" .. at, {recvttl = true})
  return socket or net.connect(("raw://%s/%s"):format(at, six and "ipv6-icmp" or "icmp"),
    {recvttl = true, icmp_types = {six and 129 or 0}}), err
end

local function checksum(bytes)
  local sum = 0
  for at = 1, #bytes, 2 do
    sum = sum + string.unpack(">I2", bytes .. "\0", at)
  end
  sum = (sum & 0xffff) + (sum >> 16)
  return ~(sum + (sum >> 16)) & 0xffff
end

local address = assert(net.resolve(host))[1]
local socket <close> = assert(open(address))
local six = socket.family == "inet6"
local id = math.random(0xffff)
local payload = ("neap"):rep(options.s // 4 + 1):sub(1, options.s)
local sent_at, times, sent = {}, {}, 0
local function request(sequence)
  local packet = string.pack(">BBI2I2I2", six and 128 or 8, 0, 0, id, sequence & 0xffff) .. payload
  return packet:sub(1, 2) .. string.pack(">I2", six and 0 or checksum(packet)) .. packet:sub(5)
end

local function reply(packet, ttl)
  local kind, _, _, which, sequence = string.unpack(">BBI2I2I2", packet)
  local start = sent_at[sequence]
  if kind == (six and 129 or 0) and start and (socket.type ~= "raw" or which == id) then
    sent_at[sequence] = nil
    times[#times + 1] = (time.now() - start) * 1000
    print(("%d bytes from %s: icmp_seq=%d ttl=%d time=%.3g ms"):format(#packet, address.ip,
      sequence, ttl, times[#times]))
  end
end

local function receive()
  while true do
    local data, err, info = socket:recv()
    if data then
      reply(socket.header and data:sub((data:byte(1) & 15) * 4 + 1) or data, info and info.ttl or 0)
    else
      print(("From %s: %s"):format(err.by and err.by.ip or "this host", err.message))
    end
  end
end

local function statistics()
  print(("\n--- %s ping statistics ---"):format(host))
  print(("%d packets transmitted, %d received, %d%% packet loss"):format(sent, #times,
    (sent - #times) * 100 // math.max(sent, 1)))
  local sum, least, most = 0, math.huge, 0
  for _, t in ipairs(times) do
    sum, least, most = sum + t, math.min(least, t), math.max(most, t)
  end
  if #times > 0 then
    print(("rtt min/avg/max = %.3f/%.3f/%.3f ms"):format(least, sum / #times, most))
  end
end

print(("PING %s (%s) %d bytes of data."):format(host, address.ip, options.s))
do
  local _ <close> = setmetatable({}, {__close = statistics}) -- on Ctrl-C too
  local receiver = task.spawn(receive)
  while sent < options.c do
    sent = sent + 1
    sent_at[sent & 0xffff] = time.now()
    socket:send(request(sent))
    task.sleep(sent < options.c and options.i or 0)
  end
  for _ = 1, next(sent_at) and options.W * 100 or 0 do
    task.sleep(next(sent_at) and 0.01 or 0)
  end
  receiver:cancel()
end
os.exit(#times > 0 and 0 or 1)
