-- What passes in a simulated network, as packets.

local packet = require "neap.packet"

local ipairs, tostring = ipairs, tostring
local find, format = string.find, string.format
local concat = table.concat

local packets = {}

local FLAGS = {"FIN", "SYN", "RST", "PSH", "ACK"}

--- Windows are shown as TCP scales them, so that none looks full.
local WINDOW, SCALE = 65535, 10

local function flags_of(bits)
  local names = {}
  for i, name in ipairs(FLAGS) do
    if bits >> (i - 1) & 1 == 1 then
      names[#names + 1] = name
    end
  end
  return concat(names, " ")
end

local function tcp(message)
  local options
  if message.flags & 2 ~= 0 then
    options = {{kind = "mss", mss = 65495}, {kind = "nop"}, {kind = "window-scale", shift = SCALE}}
  end
  return packet.tcp {
    src_port = message.src_port, dst_port = message.dst_port, seq = message.seq, ack = message.ack,
    flags = flags_of(message.flags), window = WINDOW, options = options,
  } / message.bytes
end

--- A message's bytes, from IP on; and which IP.
function packets.bytes(message)
  local four = not find(message.src, ":", 1, true)
  local inner
  if message.protocol == "tcp" then
    inner = tcp(message)
  elseif message.protocol == "udp" then
    inner = packet.udp {src_port = message.src_port, dst_port = message.dst_port} / message.bytes
  else
    inner = packet.raw(message.bytes)
  end
  local around = {src = message.src, dst = message.dst}
  around[four and "protocol" or "next_header"] = message.protocol
  return ((four and packet.ip or packet.ipv6)(around) / inner):bytes(), four and "ip" or "ipv6"
end

--- What passes, in a line: when it leaves, who sends whom what, and when that arrives.
function packets.line(message)
  local text = tostring(packet.dissect(packets.bytes(message)))
  return format("%+.6fs %s > %s: %s, %s", message.at / 1e9, message.from, message.to, text,
    message.arrives and format("arrives at %+.6fs", message.arrives / 1e9) or "is lost")
end

return packets
