-- Messages, as scripts see them.  Run it with a folder to put unix sockets in, and perhaps
-- with a part of the names of the cases to run.

local cases = require "cases"
local net = require "neap.net"
local task = require "neap.task"

local folder, only = ...
local closing, code, said = cases.closing, cases.code, cases.said
local keep = cases.keep
local list, case, alone = cases.new()
local number = 0

local places = {
  udp4 = function() return "udp://127.0.0.1:0" end,
  udp6 = function() return "udp://[::1]:0" end,
  dual = function() return "udp://*:0" end,
  unix = function()
    number = number + 1
    return ("unixgram:%s/m%d"):format(folder, number)
  end,
  abstract = function()
    number = number + 1
    return ("unixgram:@neap%s%d"):format(folder, number)
  end,
}

local function target(socket)
  return (socket.endpoint:gsub("%*", "127.0.0.1"))
end

local function bind(endpoint, options)
  return keep(net.bind(endpoint, options))
end

local function connect(endpoint, options)
  return keep(net.connect(endpoint, options))
end

--- A socket, and another one that is connected to it.
local function pair(kind, options)
  if kind == "pair" or kind == "seqpair" then
    local a, b = net.socketpair(kind == "pair" and "unixgram" or "seqpacket")
    return keep(a), keep(b)
  end
  local server = bind(places[kind](), options)
  return server, connect(target(server), options)
end

--- A port where nobody is.
local function unused(kind)
  local socket <close> = bind(places[kind]())
  return socket.endpoint
end

local function settle()
  task.sleep(0.02)
end

local IP <const> = "udp4 udp6"
local NAMED <const> = "udp4 udp6 dual unix abstract"
local ALL <const> = NAMED .. " pair"


--
-- Boundaries
--

case("messages keep their boundaries and order", ALL .. " seqpair", function(kind)
  local a, b = pair(kind)
  local _ <close> = closing(a, b)
  local got = {}
  for i = 1, 8 do
    assert(b:send(("%d"):format(i):rep(i)))
  end
  for i = 1, 8 do
    got[i] = a:recv()
  end
  return table.concat(got, " ")
end)

case("an empty message", ALL .. " seqpair", function(kind)
  local a, b = pair(kind)
  local _ <close> = closing(a, b)
  assert(b:send "")
  assert(b:send "next")
  return #a:recv(), (a:recv())
end)

case("an answer to whoever asked", NAMED, function(kind)
  local a, b = pair(kind)
  local _ <close> = closing(a, b)
  assert(b:send "question")
  local data, from = a:recv()
  assert(a:send("answer to " .. data, from))
  local answer, whence = b:recv()
  return answer, kind == "dual" or whence == a.localaddr, from == b.localaddr
end)

case("what is cut tells its size", ALL .. " seqpair", function(kind)
  local a, b = pair(kind)
  local _ <close> = closing(a, b)
  assert(b:send "0123456789")
  assert(b:send "0123456789")
  local data, _, info = a:recv(4)
  local whole, _, none = a:recv(10)
  return data, info.truncated, info.size, whole, none
end)

case("the largest, and one that is larger", IP, function(kind)
  local a, b = pair(kind)
  local _ <close> = closing(a, b)
  local most = kind == "udp4" and 65507 or 65527
  assert(b:send(("x"):rep(most)))
  local err = code(b:send(("x"):rep(most + 1)))
  assert(b:send "after")
  return #a:recv(), err, (a:recv())
end)

case("larger than the buffer of sending", "unix pair seqpair", function(kind)
  local a, b = pair(kind)
  local _ <close> = closing(a, b)
  return code(b:send(("x"):rep(150000))), code(b:send(("x"):rep(300000))), #a:recv()
end)

case("several at once", ALL .. " seqpair", function(kind)
  local a, b = pair(kind)
  local _ <close> = closing(a, b)
  assert(b:sendmany {"1", "2", "3", "4", "5"})
  local out = {}
  while #out < 5 do
    local more = a:recvmany(3)
    table.move(more, 1, #more, #out + 1, out)
  end
  return table.concat(out, ",")
end)


--
-- Whom it goes to
--

case("nobody, without a destination", "udp4 udp6 unix", function(kind)
  local a <close> = bind(places[kind]())
  return code(a:send "x"), a.remoteaddr
end)

case("another, and nobody again", "udp4 udp6 dual", function(kind)
  local a, b, c = bind(places[kind]()), bind(places[kind]()), bind(places[kind]())
  local _ <close> = closing(a, b, c)
  local port = c.localaddr.port
  assert(c:connect(target(a)))
  assert(c:send "to a")
  assert(c:connect(target(b)))
  assert(c:send "to b")
  local first, second = a:recv(), b:recv()
  assert(c:connect())
  return first, second, c.remoteaddr, code(c:send "x"), c.localaddr.port == port
end)

case("only the peer of who is connected", IP, function(kind)
  local a, b = pair(kind)
  local c = bind(places[kind]())
  local _ <close> = closing(a, b, c)
  assert(c:send("stranger", b.localaddr))
  assert(a:send("peer", b.localaddr))
  local data = b:recv()
  return data, code(b:settimeout(0.05):recv())
end)

case("strangers' messages that came before", IP, function(kind)
  local a, b, c = bind(places[kind]()), bind(places[kind]()), bind(places[kind]())
  local _ <close> = closing(a, b, c)
  assert(b:send("stranger", a.localaddr))
  assert(c:send("peer", a.localaddr))
  settle()
  assert(a:connect(c.localaddr))
  return a:recv(), code(a:settimeout(0.05):recv())
end)

case("an address of the other family", "udp4 udp6", function(kind)
  local a <close> = bind(places[kind]())
  return code(a:send("x", kind == "udp4" and "[::1]:9" or "127.0.0.1:9"))
end)

alone("IPv4 to a socket of IPv6 only", function()
  local a <close> = bind("udp6://[::]:0", {v6only = true})
  local b <close> = connect("udp://127.0.0.1:" .. a.localaddr.port)
  assert(b:send "x")
  return code(b:recv()), code(a:send("x", "127.0.0.1:9"))
end)

alone("both families by one socket", function()
  local a <close> = bind "udp://*:0"
  local port = a.localaddr.port
  local four <close> = connect("udp://127.0.0.1:" .. port)
  local six <close> = connect("udp://[::1]:" .. port)
  assert(four:send "four")
  local data, from = a:recv()
  assert(a:send("back", from))
  assert(six:send "six")
  local more, whence = a:recv()
  assert(a:send("back", whence))
  return data, from.family, more, whence.family, (four:recv()), (six:recv())
end)

case("0.0.0.0 and :: are this host", IP, function(kind)
  local a <close> = bind(places[kind]())
  local b <close> = connect((a.endpoint:gsub("127.0.0.1", "0.0.0.0"):gsub("::1", "::")))
  assert(b:send "x")
  return (a:recv()), b.remoteaddr == a.localaddr
end)

case("port 0", IP, function(kind)
  local a <close> = bind(places[kind]())
  return code(a:send("x", kind == "udp4" and "127.0.0.1:0" or "[::1]:0"))
end)

alone("the address before a port of another", function()
  local a <close> = bind "udp://127.0.0.2:0"
  local b <close> = connect(a.endpoint)
  assert(b:send "x")
  local _, from = a:recv()
  return a.localaddr.ip, from.ip, b.localaddr.ip
end)


--
-- Refused
--

case("a refused port is told once", IP, function(kind)
  local a <close> = connect(unused(kind))
  assert(a:send "x")
  local first = code(a:recv())
  assert(a:send "x")
  local second = code(a:recv())
  return first, second, code(a:settimeout(0.05):recv())
end)

case("what ICMP tells", IP, function(kind)
  local a <close> = connect(unused(kind))
  assert(a:send "x")
  local _, err = a:recv()
  return err.code, err.icmp_type, err.icmp_code, err.to == a.remoteaddr, err.by.ip
end)

case("to who sends again", IP, function(kind)
  local a <close> = connect(unused(kind))
  assert(a:send "x")
  settle()
  return code(a:send "y"), code(a:flush()), code(a:send "z")
end)

case("not to who is not connected", IP, function(kind)
  local a, b = bind(places[kind]()), bind(places[kind]())
  local _ <close> = closing(a, b)
  assert(a:send("x", (unused(kind):match "//(.*)")))
  settle()
  assert(b:send("z", a.localaddr))
  return (a:recv())
end)

case("but with recverr", IP, function(kind)
  local a <close> = bind(places[kind](), {recverr = true})
  local nobody = unused(kind):match "//(.*)"
  assert(a:send("x", nobody))
  local _, err = a:recv()
  return err.code, tostring(err.to) == nobody
end)

case("a peer that is back", IP, function(kind)
  local a, b = pair(kind)
  local endpoint = a.endpoint
  a:close()
  assert(b:send "lost")
  local first = code(b:recv())
  a = bind(endpoint)
  local _ <close> = closing(a, b)
  assert(b:send "found")
  return first, (a:recv())
end)

case("a unix socket that is gone", "unix abstract", function(kind)
  local a, b = pair(kind)
  a:close()
  local _ <close> = closing(b)
  return code(b:send "x"), code(b:send "x"), code(net.connect(a.endpoint or unused(kind)))
end)

case("no such name", "unix abstract", function(kind)
  local a <close> = bind(places[kind]())
  return code(net.connect(places[kind]())), code(a:send("x", (places[kind]():match ":(.*)")))
end)

case("a name of another type", "unix", function(kind)
  local endpoint = places[kind]()
  local _ <close> = bind(endpoint)
  local b <close> = bind(places[kind]())
  return code(net.connect((endpoint:gsub("^unixgram", "unix")))),
    code(net.listen((endpoint:gsub("^unixgram", "unix")))), code(b:send("x", endpoint))
end)

case("a unix socket whose peer is another", "abstract", function(kind)
  local a, b, c = bind(places[kind]()), bind(places[kind]()), bind(places[kind]())
  local _ <close> = closing(a, b, c)
  assert(a:connect(b.localaddr))
  return code(c:send("x", a.localaddr)), code(c:connect(a.localaddr)), code(b:send("x", a.localaddr)), (a:recv())
end)


--
-- Who may bind
--

case("a port that is taken", "udp4 udp6 dual unix abstract", function(kind)
  local a <close> = bind(places[kind]())
  return code(net.bind(a.endpoint))
end)

case("shared by reuseaddr", IP, function(kind)
  local a <close> = bind(places[kind](), {reuseaddr = true})
  local b = net.bind(a.endpoint, {reuseaddr = true})
  local _ <close> = closing(b)
  local c <close> = connect(a.endpoint)
  assert(c:send "x")
  return (b:recv()), code(net.bind(a.endpoint)), code(a:settimeout(0.02):recv())
end)

case("shared by reuseport", IP, function(kind)
  local a <close> = bind(places[kind](), {reuseport = true})
  local b <close> = bind(a.endpoint, {reuseport = true})
  for i = 1, 60 do
    local c <close> = connect(a.endpoint)
    c:send(tostring(i))
  end
  local counts = {0, 0}
  for i, socket in ipairs {a, b} do
    socket:settimeout(0.02)
    while socket:recv() do
      counts[i] = counts[i] + 1
    end
  end
  return counts[1] + counts[2], counts[1] > 10 and counts[2] > 10, code(net.bind(a.endpoint))
end)

alone("a port's two families", function()
  local a <close> = bind "udp4://*:0"
  local port = a.localaddr.port
  local six <close> = bind("udp6://[::]:" .. port, {v6only = true})
  return code(net.bind("udp://*:" .. port)), six.localaddr.port == port
end)

alone("addresses of a port side by side, the nearest first", function()
  local a <close> = bind "udp://127.0.0.1:0"
  local port = a.localaddr.port
  local b <close> = bind("udp://127.0.0.2:" .. port)
  local c <close> = connect("udp://127.0.0.2:" .. port)
  assert(c:send "two")
  local d <close> = connect("udp://127.0.0.1:" .. port)
  assert(d:send "one")
  return (a:recv()), (b:recv())
end)

alone("an address that is not ours", function()
  return code(net.bind "udp://192.0.2.1:0"), code(net.bind "udp://[2001:db8::1]:0")
end)

alone("an address that is not ours, with freebind", function()
  local a <close> = bind("udp://192.0.2.1:0", {freebind = true})
  return a.localaddr.ip
end)

case("a name that is too long", "unix", function()
  return code(net.bind("unixgram:/" .. ("x"):rep(107)))
end)

case("a name that a bind chooses", "abstract", function()
  local a <close> = bind "unixgram:@"
  local b <close> = bind "unixgram:@"
  assert(b:send("x", a.localaddr))
  local data, from = a:recv()
  return data, #a.endpoint, from == b.localaddr, a.endpoint ~= b.endpoint
end)

case("a name is free when its socket is closed", "abstract unix", function(kind)
  local a = bind(places[kind]())
  local endpoint = a.endpoint
  a:close()
  local b <close> = bind(endpoint)
  return b.endpoint == endpoint
end)


--
-- Waiting
--

case("a wait that times out loses nothing", ALL .. " seqpair", function(kind)
  local a, b = pair(kind)
  local _ <close> = closing(a, b)
  local late = code(a:settimeout(0.01):recv())
  assert(b:send "next")
  return late, (a:settimeout(5):recv())
end)

case("a reader is woken by close", ALL .. " seqpair", function(kind)
  local a, b = pair(kind)
  local _ <close> = closing(b)
  local reader = task.spawn(function()
    return code(a:recv())
  end)
  settle()
  a:close()
  return reader:join(), code(a:recv()), code(a:send "x"), code(a:set {rcvbuf = 10000}), a:close()
end)

case("each message goes to one of several", ALL, function(kind)
  local a, b = pair(kind)
  local _ <close> = closing(b)
  local sum = 0
  task.scope(function(scope)
    for _ = 1, 4 do
      scope:spawn(function()
        for data in a:messages() do
          sum = sum + tonumber(data)
          if sum == 5050 then
            a:close()
          end
          task.yield()
        end
      end)
    end
    for i = 1, 100 do
      assert(b:send(tostring(i)))
    end
  end)
  return sum
end)

case("a full queue", "unix abstract", function(kind)
  local a, b = pair(kind)
  local _ <close> = closing(a, b)
  local sent = 0
  task.scope(function(scope)
    scope:spawn(function()
      for i = 1, 300 do
        assert(b:send(tostring(i)))
        sent = i
      end
      assert(b:flush())
    end)
    settle()
    assert(sent < 300)
    for i = 1, 300 do
      assert(a:recv() == tostring(i))
    end
  end)
  return sent
end)

case("a full queue holds up nobody who sends to another", "abstract", function(kind)
  local full, other, b = bind(places[kind]()), bind(places[kind]()), bind(places[kind]())
  local _ <close> = closing(full, other, b)
  local filler = task.spawn(function()
    for i = 1, 200 do
      b:send(tostring(i), full.localaddr)
    end
    return "done"
  end)
  settle()
  assert(b:send("hello", other.localaddr))
  local data = other:recv()
  for _ = 1, 200 do
    full:recv()
  end
  return data, filler:join()
end)

case("senders that wait are told of close", "abstract", function(kind)
  local a, b = pair(kind)
  local _ <close> = closing(a)
  local codes = {}
  task.scope(function(scope)
    for _ = 1, 200 do
      scope:spawn(function()
        local ok, err = b:send(("x"):rep(1000))
        codes[#codes + 1] = not ok and err.code or nil
      end)
    end
    settle()
    codes[#codes + 1] = code(b:close())
  end)
  return codes[1], #codes > 1
end)

case("a bounded buffer, and drops are counted", IP, function(kind)
  local a, b = pair(kind)
  local _ <close> = closing(a, b)
  assert(a:set {rcvbuf = 4096})
  for i = 1, 500 do
    b:send(tostring(i))
  end
  b:flush()
  settle()
  local n = 0
  a:settimeout(0.02)
  while a:recv() do
    n = n + 1
  end
  return n < 100, a:get "drops" == 500 - n
end)


--
-- Seqpacket
--

alone("the end of a seqpacket", function()
  local a, b = pair "seqpair"
  local _ <close> = closing(a)
  assert(b:send "last")
  b:close()
  return (a:recv()), said(a:recv()), code(a:send "x")
end)

alone("half of a seqpacket", function()
  local a, b = pair "seqpair"
  local _ <close> = closing(a, b)
  assert(b:send "")
  assert(b:shutdown())
  local empty, rest = a:recv(), said(a:recv())
  assert(a:send "back")
  return empty, rest, (b:recv()), code(b:send "x")
end)

alone("a seqpacket that closes with unread messages", function()
  local a, b = pair "seqpair"
  local _ <close> = closing(a)
  assert(a:send "unread")
  settle()
  b:close()
  return code(a:recv()), code(a:send "x")
end)

alone("a seqpacket waits while its peer does not read", function()
  local a, b = pair "seqpair"
  local _ <close> = closing(a, b)
  local sent = 0
  task.scope(function(scope)
    scope:spawn(function()
      for i = 1, 1000 do
        assert(b:send(("%04d"):format(i):rep(250)))
        sent = i
      end
      b:flush()
    end)
    settle()
    assert(sent < 1000)
    for i = 1, 1000 do
      assert(a:recv():sub(1, 4) == ("%04d"):format(i))
    end
  end)
  return sent
end)

case("a listener for seqpackets", "unix abstract", function(kind)
  local endpoint = places[kind]():gsub("^unixgram", "seqpacket")
  local listener <close> = assert(net.listen(endpoint))
  local client = connect(endpoint)
  local server = assert(listener:accept())
  local _ <close> = closing(client, server)
  assert(client:send "question")
  local data = server:recv()
  assert(server:send "answer")
  return data, (client:recv()), tostring(client.remoteaddr) == endpoint:match ":(.*)", client.type,
    code(net.listen(endpoint)), server.remoteaddr == client.localaddr
end)

case("a listener for seqpackets that is full, and closed", "unix abstract", function(kind)
  local endpoint = places[kind]():gsub("^unixgram", "seqpacket")
  local listener = assert(net.listen(endpoint, {backlog = 1}))
  local one, two = connect(endpoint), connect(endpoint)
  local late = code(task.timeout(0.02, function()
    return net.connect(endpoint)
  end))
  listener:close()
  local _ <close> = closing(one, two)
  return late, code(one:recv()), code(two:send "x"), code(net.connect(endpoint))
end)

case("nobody listens for seqpackets", "unix abstract", function(kind)
  local endpoint = places[kind]():gsub("^unixgram", "seqpacket")
  return code(net.connect(endpoint))
end)

alone("the ends of a pair have no names", function()
  local a, b = pair "seqpair"
  local _ <close> = closing(a, b)
  return tostring(a.localaddr), tostring(a.remoteaddr), a.type, a.endpoint
end)

alone("a datagram pair whose other end is closed", function()
  local a, b = pair "pair"
  local _ <close> = closing(a)
  b:close()
  return code(a:send "x"), code(a:settimeout(0.02):recv())
end)


--
-- Options, and what they tell
--

case("options and their defaults", IP, function(kind)
  local a <close> = bind(places[kind]())
  return a:get "ttl", a:get "tos", a:get "multicast_ttl", a:get "multicast_loop", a:get "multicast_all",
    a:get "mtu_discover", a:get "broadcast", a:get "reuseaddr", a:get "recverr", a:get "error", a:get "rcvbuf",
    a:get "sndbuf"
end)

case("options that were set", IP, function(kind)
  local a <close> = bind(places[kind](), {ttl = 9, tos = 8, rcvbuf = 10000, mtu_discover = "do"})
  assert(a:set {multicast_ttl = 7, multicast_loop = false, sndbuf = 1})
  return a:get "ttl", a:get "tos", a:get "rcvbuf", a:get "mtu_discover", a:get "multicast_ttl",
    a:get "multicast_loop", a:get "sndbuf"
end)

case("options of others", "udp4 unix", function(kind)
  local a <close> = bind(places[kind]())
  return code(a:set {nodelay = true}), code(a:set {ttl = 3}), code(a:set {device = "nosuch"})
end)

case("hops and service", IP, function(kind)
  local a, b = pair(kind, {recvttl = true, recvtos = true, ttl = 17, tos = 0x28})
  local _ <close> = closing(a, b)
  assert(b:send "x")
  local _, _, info = a:recv()
  return info.ttl, info.tos, info.time
end)

case("with the options of that moment", IP, function(kind)
  local a, b = pair(kind, {recvttl = true})
  local _ <close> = closing(a, b)
  local out = {}
  for ttl = 1, 6 do
    assert(b:set {ttl = ttl})
    assert(b:send "x")
  end
  for i = 1, 6 do
    out[i] = select(3, a:recv()).ttl
  end
  return table.concat(out, " ")
end)

case("a time", IP, function(kind)
  local a, b = pair(kind, {timestamp = true})
  local _ <close> = closing(a, b)
  assert(b:send "x")
  return math.abs(select(3, a:recv()).time - os.time()) < 3
end)

alone("to which address, by which interface", function()
  local a <close> = bind("udp://*:0", {pktinfo = true})
  local b <close> = connect("udp://127.0.0.5:" .. a.localaddr.port)
  local c <close> = connect("udp://[::1]:" .. a.localaddr.port)
  assert(b:send "x")
  local _, from, info = a:recv()
  assert(a:send("back", from, info))
  assert(c:send "x")
  local _, _, six = a:recv()
  return info.to.ip, info.interface, info.localaddr.ip, (b:recv()), six.to.ip, six.interface
end)

alone("from an address that is asked for", function()
  local a <close> = bind "udp://127.0.0.1:0"
  local b <close> = bind "udp4://*:0"
  assert(b:send("x", a.localaddr, "127.0.0.9"))
  local _, from = a:recv()
  return from.ip, code(b:send("x", a.localaddr, "::1"))
end)

alone("broadcast only where that was asked for", function()
  local a <close> = bind "udp://*:0"
  local b <close> = bind "udp4://127.0.0.1:0"
  local to = "127.255.255.255:" .. a.localaddr.port
  local first = code(b:send("x", to))
  assert(b:set {broadcast = true})
  assert(b:send("x", to))
  return first, (a:recv()), code(net.connect("udp://" .. to))
end)


--
-- Groups, on lo
--

alone("a group that is joined, twice, left, and left again", function()
  local a <close> = bind "udp4://*:0"
  local lo = {interface = "lo"}
  return code(a:join("239.1.2.3", lo)), code(a:join("239.1.2.3", lo)), code(a:leave("239.1.2.3", lo)),
    code(a:leave("239.1.2.3", lo)), code(a:join("127.0.0.1", lo)), code(a:join("239.1.2.3", {interface = "nosuch"}))
end)

alone("to a group, and back to who sends", function()
  local a <close> = bind "udp4://*:0"
  local b <close> = bind("udp4://*:0", {multicast_interface = "lo"})
  assert(a:join("239.1.2.3", {interface = "lo"}))
  assert(b:send("hello", "239.1.2.3:" .. a.localaddr.port))
  local data, from = a:recv()
  assert(b:set {multicast_loop = false})
  assert(b:send("unheard", "239.1.2.3:" .. a.localaddr.port))
  return data, from.port == b.localaddr.port, code(a:settimeout(0.02):recv())
end)

alone("a group from one source only", function()
  local a <close> = bind "udp4://*:0"
  assert(a:join("239.1.2.4", {interface = "lo", source = "127.0.0.9"}))
  local other <close> = bind("udp://127.0.0.8:0", {multicast_interface = "lo"})
  local right <close> = bind("udp://127.0.0.9:0", {multicast_interface = "lo"})
  local group = "239.1.2.4:" .. a.localaddr.port
  assert(other:send("of another source", group))
  assert(right:send("of the source", group))
  return (a:recv()), code(a:settimeout(0.02):recv()), code(a:join("239.1.2.4",
    {interface = "lo", source = "127.0.0.9"}))
end)

alone("one that has not joined hears what another one has", function()
  local a <close> = bind("udp4://*:0", {reuseaddr = true})
  local b <close> = bind("udp4://*:" .. a.localaddr.port, {reuseaddr = true})
  local deaf <close> = bind("udp4://*:" .. a.localaddr.port, {reuseaddr = true, multicast_all = false})
  local c <close> = bind("udp4://*:0", {multicast_interface = "lo"})
  assert(a:join("239.1.2.5", {interface = "lo"}))
  assert(c:send("all", "239.1.2.5:" .. a.localaddr.port))
  return (a:recv()), (b:recv()), code(deaf:settimeout(0.02):recv())
end)


--
-- Names, services, interfaces
--

alone("localhost", function()
  local a <close> = bind "udp://localhost:0"
  local b <close> = connect("udp://localhost:" .. a.localaddr.port)
  assert(b:send "x")
  return (a:recv()), a.localaddr == b.remoteaddr
end)

alone("services and protocols", function()
  return code(net.bind "udp://127.0.0.1:nosuchservice")
end)

alone("lo", function()
  local lo = assert(net.interfaces())[1]
  return lo.name, lo.index, lo.mtu, lo.flags.loopback, lo.flags.up, tostring(lo.addresses[1].address),
    lo.addresses[1].prefix_length, lo.addresses[1].scope
end)


cases.run(list, only)
