-- Streams, as scripts see them.  Run it with a folder to put unix sockets in, and perhaps
-- with a part of the names of the cases to run.

local cases = require "cases"
local net = require "neap.net"
local task = require "neap.task"

local folder, only = ...
local closing, code, said = cases.closing, cases.code, cases.said
local list, case, alone = cases.new()

local number = 0

--- Where to listen: a path is a new one each time.
local places = {
  tcp4 = function() return "tcp://127.0.0.1:0" end,
  tcp6 = function() return "tcp://[::1]:0" end,
  dual = function() return "tcp://*:0" end,
  unix = function()
    number = number + 1
    return ("unix:%s/s%d"):format(folder, number)
  end,
  abstract = function()
    number = number + 1
    return ("unix:@neap%s%d"):format(folder, number)
  end,
}

local function target(listener)
  return (listener.endpoint:gsub("%*", "127.0.0.1"))
end

local function pair(kind, options)
  if kind == "pair" then
    return net.socketpair()
  end
  local listener <close> = assert(net.listen(places[kind](), options))
  local client = assert(net.connect(target(listener), options))
  return client, assert(listener:accept())
end

local function settle()
  task.sleep(0.02)
end

local all, ip = "tcp4 tcp6 dual unix abstract pair", "tcp4 tcp6"


-- Bytes

case("echo", all, function(kind)
  local a, b = pair(kind)
  local _ <close> = closing(a, b)
  a:write "ping\n"
  local line = b:read()
  b:write(line, "pong\n")
  return a:read(), a.protocol, b.type
end)

case("a large message whole", all, function(kind)
  local a, b = pair(kind)
  local _ <close> = closing(a, b)
  local bytes = ("0123456789"):rep(30000)
  local writer = task.spawn(function() return a:write(bytes) == a, a:shutdown() end)
  local got = b:read "a"
  return got == bytes, writer:join()
end)

case("both ways at once", all, function(kind)
  local a, b = pair(kind)
  local _ <close> = closing(a, b)
  local bytes = ("x"):rep(500000)
  local got = task.all {
    function() a:write(bytes) end,
    function() b:write(bytes) end,
    function() return #a:read(#bytes) end,
    function() return #b:read(#bytes) end,
  }
  return got[3], got[4]
end)

case("a writer waits for its reader", all, function(kind)
  local a, b = pair(kind, kind ~= "pair" and {sndbuf = 65536, rcvbuf = 65536} or nil)
  local _ <close> = closing(a, b)
  a:settimeout(0.3)
  local ok, err = a:write(("x"):rep(1 << 21))
  local failed = err and err.code
  b:settimeout(30)
  local got = #b:read(1 << 20)
  return ok, failed, got
end)

case("a reader waits no longer than it is told", all, function(kind)
  local a, b = pair(kind)
  local _ <close> = closing(a, b)
  local first = said(a:settimeout(0.01):read())
  b:write "late\n"
  return first, a:settimeout(5):read()
end)


-- Ends

case("half close, and the answer", all, function(kind)
  local a, b = pair(kind)
  local _ <close> = closing(a, b)
  a:write "question"
  local shut = a:shutdown()
  local asked = b:read "a"
  b:write "answer"
  b:close()
  return shut, asked, a:read "a", said(a:read())
end)

case("a write behind shutdown", all, function(kind)
  local a, b = pair(kind)
  local _ <close> = closing(a, b)
  a:shutdown()
  return said(a:write "x"), said(a:shutdown()), said(b:read())
end)

case("the end behind what was written", all, function(kind)
  local a, b = pair(kind)
  local _ <close> = closing(a, b)
  a:write(("x"):rep(100000))
  a:close()
  return #b:read "a", said(b:read())
end)

case("a reset is told to the reader", all, function(kind)
  local a, b = pair(kind)
  local _ <close> = closing(a, b)
  a:reset()
  return said(b:read()), said(b:read())
end)

case("a reset behind bytes", all, function(kind)
  local a, b = pair(kind)
  local _ <close> = closing(a, b)
  a:write "before"
  a:flush()
  settle()
  a:reset()
  settle()
  return said(b:read(6)), said(b:read()), said(b:read())
end)

case("a reset with unread bytes here", all, function(kind)
  local a, b = pair(kind)
  local _ <close> = closing(a, b)
  b:write "unread"
  b:flush()
  settle()
  a:reset()
  settle()
  return said(b:read()), code(b:write "x")
end)

case("writes behind the peer's close", all, function(kind)
  local a, b = pair(kind)
  local _ <close> = closing(a, b)
  a:close()
  settle()
  local first = said(b:write "one") == said(b)
  local f = said(b:flush()) == said(b)
  settle()
  local second = select(2, b:write "two")
  if not second then
    second = select(2, b:flush())
  end
  settle()
  return first, f, second and second.code, said(b:read())
end)

case("writes behind the peer's reset", all, function(kind)
  local a, b = pair(kind)
  local _ <close> = closing(a, b)
  a:reset()
  settle()
  local _, first = b:write "one"
  if not first then
    _, first = b:flush()
  end
  local _, second = b:write "two"
  if not second then
    _, second = b:flush()
  end
  return first and first.code, second and second.code, said(b:read())
end)

case("a writer that waits learns of a close", all, function(kind)
  local a, b = pair(kind)
  local _ <close> = closing(a, b)
  local writer = task.spawn(function()
    while true do
      local ok, err = a:write(("x"):rep(100000))
      if not ok then
        return err.code == "EPIPE" or err.code == "ECONNRESET"
      end
    end
  end)
  b:read(5)
  b:close()
  return writer:join()
end)

case("a writer that waits learns of a reset", all, function(kind)
  local a, b = pair(kind, kind ~= "pair" and {sndbuf = 65536, rcvbuf = 65536} or nil)
  local _ <close> = closing(a, b)
  local writer = task.spawn(function()
    local _, err = a:write(("x"):rep(1 << 21))
    return err.code
  end)
  b:read(5)
  b:reset()
  return writer:join()
end)

case("a reader learns of its own close", all, function(kind)
  local a, b = pair(kind)
  local _ <close> = closing(a, b)
  local reader = task.spawn(function() return said(b:read()) end)
  settle()
  b:close()
  return reader:join(), said(a:read())
end)

case("the answer to who writes on while the other closes", all, function(kind)
  local a, b = pair(kind)
  local _ <close> = closing(a, b)
  local writer = task.spawn(function()
    for _ = 1, 20 do
      if not a:write(("x"):rep(1000)) then
        break
      end
      task.sleep(0.0005)
    end
  end)
  b:read(5)
  b:write(("y"):rep(20000))
  b:close()
  local got = #a:read(20000)
  writer:join()
  return got
end)

case("both close at once", all, function(kind)
  local a, b = pair(kind)
  local _ <close> = closing(a, b)
  a:write "a"
  b:write "b"
  return a:close(), b:close()
end)

case("bytes before an end are read first", all, function(kind)
  local a, b = pair(kind)
  local _ <close> = closing(a, b)
  a:write "one\ntwo\n"
  a:close()
  settle()
  return b:read(), b:read(), said(b:read()), said(b:read())
end)


-- Listening and connecting

alone("nobody listens (tcp4)", function()
  local listener = assert(net.listen "tcp://127.0.0.1:0")
  local endpoint = listener.endpoint
  listener:close()
  return said(net.connect(endpoint))
end)

alone("nobody listens (tcp6)", function()
  local listener = assert(net.listen "tcp://[::1]:0")
  local endpoint = listener.endpoint
  listener:close()
  return said(net.connect(endpoint))
end)

alone("nobody has that name (unix)", function()
  return said(net.connect(("unix:%s/nobody"):format(folder)))
end)

alone("nobody has that name (abstract)", function()
  return said(net.connect(("unix:@%s/nobody"):format(folder)))
end)

case("a listener's own name", "tcp4 tcp6 dual unix abstract", function(kind)
  local listener <close> = assert(net.listen(places[kind]()))
  local again <close> = net.listen(listener.endpoint)
  return again == nil, code(net.listen(listener.endpoint))
end)

case("a name again behind close", "tcp4 tcp6 unix abstract", function(kind)
  local listener = assert(net.listen(places[kind]()))
  local endpoint = listener.endpoint
  local client = assert(net.connect(endpoint))
  local server = assert(listener:accept())
  server:close()
  client:read()
  client:close()
  listener:close()
  local again <close> = assert(net.listen(endpoint))
  return again.endpoint == endpoint
end)

case("a port again without reuseaddr", ip, function(kind)
  local listener = assert(net.listen(places[kind](), {reuseaddr = false}))
  local endpoint = listener.endpoint
  local client = assert(net.connect(endpoint))
  local server = assert(listener:accept())
  server:close()
  client:read()
  client:close()
  listener:close()
  settle()
  return code(net.listen(endpoint, {reuseaddr = false})), net.listen(endpoint) ~= nil
end)

case("a port again while its connection lives, with reuseaddr", ip, function(kind)
  local listener = assert(net.listen(places[kind]()))
  local endpoint = listener.endpoint
  local client <close> = assert(net.connect(endpoint))
  local server <close> = assert(listener:accept())
  listener:close()
  local again <close> = assert(net.listen(endpoint))
  client:write "x\n"
  return again.endpoint == endpoint, server:read()
end)

alone("an address and every address are the same port", function()
  local one <close> = assert(net.listen "tcp://127.0.0.1:0")
  local port = one.port
  return code(net.listen(("tcp://0.0.0.0:%d"):format(port))),
    code(net.listen(("tcp://*:%d"):format(port)))
end)

alone("two addresses of one port", function()
  local one <close> = assert(net.listen "tcp://127.0.0.1:0")
  local other <close> = assert(net.listen(("tcp://127.0.0.2:%d"):format(one.port)))
  local client <close> = assert(net.connect(other.endpoint))
  local server <close> = assert(other:accept())
  return server.localaddr.ip, client.remoteaddr.ip, other.port == one.port
end)

alone("two families of one port", function()
  local one <close> = assert(net.listen "tcp://127.0.0.1:0")
  local other <close> = assert(net.listen(("tcp://[::1]:%d"):format(one.port)))
  return other.port == one.port
end)

alone("v6only leaves the port to IPv4", function()
  local six <close> = assert(net.listen("tcp://[::]:0", {v6only = true}))
  local four <close> = assert(net.listen(("tcp://0.0.0.0:%d"):format(six.port)))
  return four.port == six.port
end)

alone("reuseport is shared by those that have it", function()
  local one <close> = assert(net.listen("tcp://127.0.0.1:0", {reuseport = true}))
  local two <close> = assert(net.listen(one.endpoint, {reuseport = true}))
  local third = code(net.listen(one.endpoint))
  local clients = {}
  for i = 1, 40 do
    clients[i] = assert(net.connect(one.endpoint))
  end
  settle()
  local counts = {0, 0}
  for i, listener in ipairs {one, two} do
    while task.timeout(0.05, listener.wait, listener) do
      listener:accept():close()
      counts[i] = counts[i] + 1
    end
  end
  for _, client in ipairs(clients) do
    client:close()
  end
  return third, counts[1] + counts[2], counts[1] > 0 and counts[2] > 0
end)

alone("no such address here", function()
  return said(net.listen "tcp://192.0.2.1:0")
end)

alone("connect from no such address", function()
  local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
  return code(net.connect(listener.endpoint, {localaddr = "192.0.2.1"}))
end)

alone("connect from an address and port", function()
  local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
  local spare = assert(net.listen "tcp://127.0.0.1:0")
  local port = spare.port
  spare:close()
  local client <close> = assert(net.connect(listener.endpoint,
    {localaddr = ("127.0.0.3:%d"):format(port)}))
  local server <close> = assert(listener:accept())
  return client.localaddr.ip, client.localaddr.port == port, server.remoteaddr == client.localaddr,
    code(net.connect(listener.endpoint, {localaddr = ("127.0.0.3:%d"):format(port)}))
end)

case("addresses of both ends", ip, function(kind)
  local a, b = pair(kind)
  local _ <close> = closing(a, b)
  return a.localaddr == b.remoteaddr, a.remoteaddr == b.localaddr, a.localaddr.ip,
    a.localaddr.port > 1024, a.family, a.protocol
end)

case("names of both ends", "unix", function(kind)
  local a, b = pair(kind)
  local _ <close> = closing(a, b)
  return tostring(a.remoteaddr):sub(-2) == tostring(b.localaddr):sub(-2), tostring(a.localaddr),
    tostring(b.remoteaddr), a.family, b.protocol
end)

alone("names of a pair", function()
  local a, b = net.socketpair()
  local _ <close> = closing(a, b)
  return tostring(a.localaddr), tostring(b.remoteaddr), a.family
end)

alone("an IPv4 peer of a dual listener", function()
  local a, b = pair "dual"
  local _ <close> = closing(a, b)
  return b.remoteaddr.family, b.localaddr.ip, a.family
end)

case("connections are accepted in their order", "tcp4 unix", function(kind)
  local listener <close> = assert(net.listen(places[kind]()))
  local clients = {}
  for i = 1, 5 do
    clients[i] = assert(net.connect(target(listener)))
    clients[i]:write(i, "\n")
    clients[i]:flush()
  end
  local out = {}
  for i = 1, 5 do
    local server <close> = assert(listener:accept())
    out[i] = server:read()
  end
  for _, client in ipairs(clients) do
    client:close()
  end
  return table.concat(out)
end)

case("a connection that was not accepted is good for bytes", "tcp4 unix", function(kind)
  local listener <close> = assert(net.listen(places[kind]()))
  local client <close> = assert(net.connect(target(listener)))
  client:write "early\n"
  client:shutdown()
  settle()
  local server <close> = assert(listener:accept())
  return server:read(), said(server:read())
end)

case("a listener that closes ends those that wait", "tcp4 unix", function(kind)
  local listener = assert(net.listen(places[kind]()))
  local client <close> = assert(net.connect(target(listener)))
  listener:close()
  settle()
  return said(client:read()), said(client:read())
end)

case("a full queue makes who connects wait", "tcp4 unix", function(kind)
  local listener <close> = assert(net.listen(places[kind](), {backlog = 1}))
  local clients, failed = {}, nil
  for i = 1, 3 do
    local client, err = net.connect(target(listener), {timeout = 0.3})
    clients[i] = client or false
    failed = failed or (err and err.code)
  end
  for i = 1, 3 do
    if clients[i] then
      clients[i]:close()
    end
  end
  return clients[1] ~= false, clients[2] ~= false, clients[3], failed
end)

case("a full queue lets in who waits, when somebody is accepted", "unix", function(kind)
  local listener <close> = assert(net.listen(places[kind](), {backlog = 0}))
  local first <close> = assert(net.connect(target(listener)))
  local waiter = task.spawn(function()
    local second <close> = assert(net.connect(target(listener)))
    return second:read()
  end)
  settle()
  local a <close> = assert(listener:accept())
  local b <close> = assert(listener:accept())
  b:write "in\n"
  a:close()
  first:close()
  return waiter:join()
end)

case("accept ends with its listener", "tcp4 unix", function(kind)
  local listener = assert(net.listen(places[kind]()))
  local acceptor = task.spawn(function() return said(listener:accept()) end)
  settle()
  listener:close()
  return acceptor:join(), said(listener:accept())
end)

case("a peer that was reset before it was accepted", "tcp4", function(kind)
  local listener <close> = assert(net.listen(places[kind]()))
  local client = assert(net.connect(target(listener)))
  client:write "x"
  client:flush()
  settle()
  client:reset()
  settle()
  local server <close> = assert(listener:accept())
  return said(server:read(1)), said(server:read())
end)

alone("a connection to itself is refused", function()
  local spare = assert(net.listen "tcp://127.0.0.1:0")
  local at = spare.endpoint
  spare:close()
  return code(net.connect(at, {timeout = 3}))
end)

alone("a stale file", function()
  local path = folder .. "/left"
  local one <close> = assert(net.listen("unix:" .. path))
  return code(net.listen(one.endpoint, {unlink_stale = true}))
end)

alone("a name that the kernel chooses", function()
  local listener <close> = assert(net.listen "unix:@")
  local client <close> = assert(net.connect("unix:" .. tostring(listener.address)))
  local server <close> = assert(listener:accept())
  client:write "x\n"
  return #tostring(listener.address), server:read()
end)

alone("datagrams of that name are no streams", function()
  local path = ("unix:%s/kind"):format(folder)
  local listener <close> = assert(net.listen(path))
  return code(net.connect("unixgram:" .. listener.endpoint:sub(6)))
end)


-- Options

local options = {
  nodelay = false, keepalive = true, user_timeout = 5, linger = false, tos = 16, ttl = 7,
keepalive_idle = 11, keepalive_interval = 3, keepalive_count = 4, quickack = true,
  priority = 3,
}

case("options are kept", ip, function(kind)
  local a, b = pair(kind)
  local _ <close> = closing(a, b)
  local out = {}
  for name, value in pairs(options) do
    local ok, err = a:set {[name] = value}
    out[#out + 1] = ("%s=%s"):format(name, ok and tostring(a:get(name)) or err.code)
  end
  table.sort(out)
  return b ~= nil, table.concat(out, " ")
end)

case("options of a socket that nobody has set", ip, function(kind)
  local a, b = pair(kind)
  local _ <close> = closing(a, b)
  local out = {}
  for _, name in ipairs {
    "nodelay", "keepalive", "linger", "tos", "ttl", "keepalive_idle", "keepalive_interval",
    "keepalive_count", "user_timeout", "reuseaddr", "reuseport", "broadcast", "oobinline", "error",
    "acceptconn", "cork", "mark", "dontroute",
  } do
    out[#out + 1] = ("%s=%s/%s"):format(name, tostring(a:get(name)), tostring(b:get(name)))
  end
  return table.concat(out, " ")
end)

case("sizes of buffers are doubled", all, function(kind)
  local a, b = pair(kind)
  local _ <close> = closing(a, b)
  a:set {sndbuf = 20000, rcvbuf = 30000}
  b:set {sndbuf = 1, rcvbuf = 1}
  return a:get "sndbuf", a:get "rcvbuf", b:get "sndbuf", b:get "rcvbuf"
end)

case("what a listener's connections inherit", ip, function(kind)
  local listener <close> = assert(net.listen(places[kind](), {keepalive_idle = 9, tos = 8, nodelay = false}))
  local client <close> = assert(net.connect(target(listener)))
  local server <close> = assert(listener:accept())
  return server:get "keepalive_idle", server:get "tos", server:get "nodelay", client:get "nodelay",
    listener:get "acceptconn", listener:get "reuseaddr"
end)

case("options of IP on a unix socket", "unix pair", function(kind)
  local a, b = pair(kind)
  local _ <close> = closing(a, b)
  return said(a:set {nodelay = true}), said(b:get "ttl")
end)

case("linger for no time resets", ip, function(kind)
  local a, b = pair(kind)
  local _ <close> = closing(a, b)
  a:set {linger = 0}
  a:close()
  return said(b:read())
end)


-- Looking

case("wait tells what may be done", all, function(kind)
  local a, b = pair(kind)
  local _ <close> = closing(a, b)
  local first = a:wait "w"
  local second = said(a:wait("r", 0.01))
  b:write "x"
  b:flush()
  local third = a:wait("r", 5)
  b:close()
  a:read(1)
  return first, second, third, a:wait("r", 5)
end)

case("a relay", "tcp4 unix", function(kind)
  local a, b = pair(kind)
  local c, d = pair(kind)
  local _ <close> = closing(a, b, c, d)
  local relay = task.spawn(net.relay, b, c)
  a:write "through\n"
  local there = d:read()
  d:write "back\n"
  local back = a:read()
  a:close()
  local last = said(d:read())
  d:close()
  return there, back, last, said(relay:join())
end)

cases.run(list, only)
