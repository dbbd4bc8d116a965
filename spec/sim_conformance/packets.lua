-- ICMP and raw IP, as scripts see them: by the kernel in a network of its own, with lo.

local cases = require "cases"
local net = require "neap.net"

local _, only = ...
local closing, code = cases.closing, cases.code
local keep = cases.keep
local list, case, alone = cases.new()

local ECHO <const> = {icmp = "\8\0", icmp6 = "\128\0"}
local LOCAL <const> = {icmp = "icmp://127.0.0.1", icmp6 = "icmp6://[::1]"}

--- Of an echo's bytes all but the checksum and the identifier, which are the socket's own.
local function plain(bytes)
  return ("%d %d "):format(bytes:byte(1, 2)) .. bytes:sub(7)
end

--- The sum of all 16-bit words, in one's complement: 65535 where the checksum is right.
local function sum(bytes)
  local total = 0
  for i = 1, #bytes, 2 do
    total = total + (">I2"):unpack((bytes:sub(i, i + 1) .. "\0"):sub(1, 2))
  end
  while total > 0xffff do
    total = (total & 0xffff) + (total >> 16)
  end
  return total
end

case("an echo", "icmp icmp6", function(kind)
  local a <close> = keep(net.connect(LOCAL[kind]))
  assert(a:send(ECHO[kind] .. "\0\0\0\0\0\7hello"))
  local bytes, from, info = a:recv()
  return plain(bytes), from, info, a.remoteaddr, bytes:sub(5, 6) == (">I2"):pack(a.localaddr.port)
end)

alone("an echo's checksum", function()
  local a <close> = keep(net.connect(LOCAL.icmp))
  assert(a:send(ECHO.icmp .. "\0\0\0\0\0\7hello"))
  return sum((a:recv()))
end)

case("what is no echo", "icmp icmp6", function(kind)
  local a <close> = keep(net.connect(LOCAL[kind]))
  return code(a:send "\0\0\0\0\0\0\0\0"), code(a:send "\8"), code(a:send "")
end)

case("each has its own echoes", "icmp icmp6", function(kind)
  local a, b = keep(net.connect(LOCAL[kind])), keep(net.connect(LOCAL[kind]))
  local _ <close> = closing(a, b)
  assert(a:send(ECHO[kind] .. "\0\0\0\0\0\1for a"))
  assert(b:send(ECHO[kind] .. "\0\0\0\0\0\2for b"))
  return plain(a:recv()), plain(b:recv()), code(a:settimeout(0.02):recv())
end)

alone("an echo's hops", function()
  local a <close> = keep(net.connect(LOCAL.icmp, {recvttl = true, ttl = 5}))
  assert(a:send(ECHO.icmp .. "\0\0\0\0\0\1x"))
  return select(3, a:recv()).ttl
end)

case("raw messages", "127.0.0.1 [::1]", function(host)
  local a = keep(net.bind("raw://" .. host .. "/253"))
  local b = keep(net.connect("raw://" .. host .. "/253"))
  local _ <close> = closing(a, b)
  assert(b:send "hello")
  local bytes, from = a:recv()
  local header = host == "127.0.0.1" and 20 or 0
  return #bytes, bytes:sub(header + 1), from
end)

alone("the header of a raw message", function()
  local a <close> = keep(net.bind "raw://127.0.0.1/253")
  local b <close> = keep(net.connect("raw://127.0.0.1/253", {ttl = 9, tos = 8}))
  assert(b:send "hello")
  local bytes = a:recv()
  local version, tos, size = (">BBI2"):unpack(bytes)
  local ttl, protocol = (">BB"):unpack(bytes, 9)
  return version, tos, size, ttl, protocol, sum(bytes:sub(1, 20)), bytes:sub(13, 20)
end)

alone("each raw socket of a protocol has its messages", function()
  local a, b = keep(net.bind "raw://127.0.0.1/253"), keep(net.bind "raw4://0.0.0.0/253")
  local other, c = keep(net.bind "raw://127.0.0.1/254"), keep(net.connect "raw://127.0.0.1/253")
  local _ <close> = closing(a, b, other, c)
  assert(c:send "x")
  return #a:recv(), #b:recv(), code(other:settimeout(0.02):recv())
end)

alone("a raw socket sees echoes and their answers", function()
  local raw <close> = keep(net.bind "raw://127.0.0.1/icmp")
  local a <close> = keep(net.connect(LOCAL.icmp))
  assert(a:send(ECHO.icmp .. "\0\0\0\0\0\3x"))
  return plain(raw:recv():sub(21)), plain(raw:recv():sub(21)), plain(a:recv())
end)

alone("a raw socket has the types that it wants", function()
  local raw <close> = keep(net.bind("raw://127.0.0.1/icmp", {icmp_types = {0}}))
  local a <close> = keep(net.connect(LOCAL.icmp))
  assert(a:send(ECHO.icmp .. "\0\0\0\0\0\3x"))
  return plain(raw:recv():sub(21)), code(raw:settimeout(0.02):recv())
end)

alone("a raw socket asks for an echo", function()
  local raw <close> = keep(net.connect("raw://127.0.0.1/icmp", {icmp_types = {0}}))
  local echo = "\8\0\0\0\1\2\0\3hello"
  echo = echo:sub(1, 2) .. (">I2"):pack(~sum(echo) & 0xffff) .. echo:sub(5)
  assert(raw:send(echo))
  return plain(raw:recv():sub(21))
end)

alone("a raw socket is not connected to nobody again", function()
  local raw <close> = keep(net.connect "raw://127.0.0.1/253")
  return code(raw:connect()), raw.remoteaddr, raw.localaddr
end)

cases.run(list, only)
