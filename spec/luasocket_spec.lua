-- LuaSocket's API on neap's sockets: what its scripts rely on.

local folder = require "spec.support.folder"
local net = require "neap.net"
local socket = require "neap.luasocket.socket"
local task = require "neap.task"
local time = require "neap.time"

--- Both ends of a connection, and who accepted it.
local function pair()
  local server = assert(socket.bind("127.0.0.1", 0))
  local host, port = server:getsockname()
  local client = assert(socket.connect(host, port))
  local other = assert(server:accept())
  finally(function()
    server:close()
    client:close()
    other:close()
  end)
  return client, other, server
end

local function results(...)
  return {n = select("#", ...), ...}
end

describe("a tcp object", function()
  it("is a master, then a server or a client, and says so", function()
    local client, other, server = pair()
    assert.matches("^tcp{master}: ", tostring(socket.tcp()))
    assert.matches("^tcp{server}: ", tostring(server))
    assert.matches("^tcp{client}: ", tostring(client))
    assert.equal("tcp{client}", other.class)
    local _, err = pcall(function()
      return (server.send(server, "x"))
    end)
    assert.matches("luasocket_spec.lua:%d+: calling 'send' on bad self %(tcp{client} expected", err)
  end)

  it("tells its addresses as LuaSocket does: its own port is a text", function()
    local client, other, server = pair()
    local ip, port, family = server:getsockname()
    assert.same({"127.0.0.1", "string", "inet"}, {ip, type(port), family})
    assert.same({ip, tonumber(port), "inet"}, {client:getpeername()})
    assert.same({other:getpeername()}, {"127.0.0.1", tonumber((select(2, client:getsockname()))), "inet"})
    assert.equal("inet4", client:getfamily())
    assert.same({nil, "Bad file descriptor"}, {socket.tcp():getpeername()})
  end)

  it("receives lines without their ends, counts, and all", function()
    local client, other = pair()
    other:send "a\rb\r\n\nbytes and rest"
    assert.equal("ab", client:receive())
    assert.equal("", client:receive "*l")
    assert.equal("bytes", client:receive(5))
    assert.equal("> and", client:receive(5, ">"))
    assert.equal("longer", client:receive(3, "longer"))
    other:close()
    assert.equal("=> rest", client:receive("*a", "=>"))
    assert.same({n = 3, nil, "closed", ""}, results(client:receive "*a"))
    assert.same({n = 3, nil, "closed", "x"}, results(client:receive(2, "x")))
    assert.same({n = 3, nil, "closed", ""}, results(client:receive(0)))
  end)

  it("gives what there is in the third place, and has taken it", function()
    local client, other = pair()
    client:settimeout(0.01)
    for _, pattern in ipairs {"*l", 100, "*a"} do
      other:send "part"
      local line, text, part = client:receive(pattern)
      while part == "" do -- on its way
        line, text, part = client:receive(pattern)
      end
      assert.same({nil, "timeout", "part"}, {line, text, part})
      assert.same({n = 3, nil, "timeout", "so far"}, results(client:receive(pattern, "so far")))
    end
    other:send "last"
    other:close()
    client:settimeout()
    assert.same({n = 3, nil, "closed", "the last"}, results(client:receive("*l", "the ")))
  end)

  it("sends a part of a text, and tells the index of its last byte", function()
    local client, other = pair()
    assert.equal(6, other:send "hello\n")
    assert.equal(4, other:send("hello", 2, 4))
    assert.equal(4, other:send("hello", -4, -2))
    assert.equal(5, other:send("hello", 0))
    assert.equal(2, other:send("hello", 3, 2))
    assert.equal(1, other:send(5))
    other:close()
    assert.equal("hello\nellellhello5", client:receive "*a")
    assert.same({n = 3, nil, "closed", 1}, results(other:send("xyz", 2)))
  end)

  it("says how much of a text it has sent when its peer takes no more", function()
    local client, other = pair()
    local text = ("x"):rep(2 ^ 23)
    for _, mode in ipairs {"b", "t"} do
      other:settimeout(0.01, mode)
      local sent, why, last = other:send(text)
      assert.same({nil, "timeout"}, {sent, why})
      assert.is_true(last >= 0 and last < #text)
      local reader = task.spawn(function()
        local got = 0
        while got < last do
          got = got + #client:receive(math.min(65536, last - got))
        end
        return got
      end)
      assert.equal(last, reader:join())
      other:settimeout(nil, mode)
    end
  end)

  it("that never waits has sent when send returns, for loops that neap knows nothing of", function()
    local client, other = pair()
    local _, port = client:getsockname()
    other:settimeout(0)
    assert.equal(5, other:send "hello")
    local file <close> = assert(io.open "/proc/net/tcp")
    local queued = file:read "a":match(("0100007F:%04X %%x+:%%x+ 01 %%x+:(%%x+)"):format(port))
    assert.equal(5, tonumber(queued, 16))
    assert.equal("hello", client:receive(5))
  end)

  it("that never waits leaves what arrives later for those loops to see", function()
    local client, other = pair()
    local _, port = client:getsockname()
    client:settimeout(0)
    assert.equal("timeout", (select(2, client:receive())))
    other:send "hello"
    local arrived
    repeat
      task.sleep(0.01)
      local file <close> = assert(io.open "/proc/net/tcp")
      arrived = file:read "a":match(("0100007F:%04X %%x+:%%x+ 01 %%x+:(%%x+)"):format(port))
    until tonumber(arrived, 16) > 0 or client:dirty()
    assert.same({5, false}, {tonumber(arrived, 16), client:dirty()})
    assert.equal("hello", client:receive(5))
  end)

  it("waits no longer than its two times: of each wait, and of the call", function()
    local client, other = pair()
    client:settimeout(30)
    client:settimeout(0.05, "t")
    assert.same({30, 0.05}, {client:gettimeout()})
    local writer = task.spawn(function()
      while other:send "x" do
        task.sleep(0.01)
      end
    end)
    local start = time.now()
    for _, pattern in ipairs {"*l", 10000, "*a"} do
      assert.equal("timeout", (select(2, client:receive(pattern))))
    end
    assert.is_true(time.now() - start < 20)
    client:settimeout(nil, "t")
    writer:cancel()
    writer:join()
    assert.has_error(function() client:settimeout(1, "x") end)
  end)

  it("accepts, and connects, within a time", function()
    local _, _, server = pair()
    server:settimeout(0)
    assert.same({n = 2, nil, "timeout"}, results(server:accept()))
    server:settimeout(0.01, "t")
    assert.same({n = 2, nil, "timeout"}, results(server:accept()))

    local full <close> = assert(net.listen("tcp://127.0.0.1:0", {backlog = 0}))
    local first <close> = assert(net.connect(full.endpoint))
    local late = socket.tcp()
    late:settimeout(0.01)
    local ok, why
    for _ = 1, 8 do -- until its queue is full
      ok, why = late:connect("127.0.0.1", full.port)
      if not ok then
        break
      end
      late:close()
    end
    assert.same({nil, "timeout"}, {ok, why})
    assert.equal("Operation already in progress", (select(2, late:connect("127.0.0.1", full.port))))
    assert.equal("timeout", (select(3, socket.select(nil, {late}, 0))))
    late:close()
    assert(first)
  end)

  it("connects beside its caller, and is to be written when it has", function()
    local server = assert(socket.bind("127.0.0.1", 0))
    local host, port = server:getsockname()
    local client = socket.tcp()
    client:settimeout(0)
    local ok, why = client:connect(host, port)
    if not ok then
      assert.equal("timeout", why)
      assert.equal(client, socket.select(nil, {client})[1] or select(2, socket.select(nil, {client}))[1])
      assert.equal(1, (client:connect(host, port)))
    end
    assert.same({nil, "already connected"}, {client:connect(host, port)})
    client:close()
    server:close()

    local refused = socket.tcp()
    refused:settimeout(0)
    ok, why = refused:connect("127.0.0.1", 1)
    if why == "timeout" then
      assert.equal(refused, select(2, socket.select(nil, {refused}))[1])
      ok, why = refused:connect("127.0.0.1", 1)
    end
    assert.same({nil, "connection refused"}, {ok, why})
  end)

  it("says in LuaSocket's words what is wrong", function()
    local _, _, server = pair()
    local _, port = server:getsockname()
    assert.same({nil, "address already in use"}, {socket.bind("127.0.0.1", port)})
    assert.same({nil, "connection refused"}, {socket.connect("127.0.0.1", 1)})
    assert.same({nil, "host or service not provided, or not known"}, {socket.connect("127.0.0.1", "no such")})
    assert.same({nil, "host or service not provided, or not known"}, {socket.connect("", port)})
    assert.same({nil, "Transport endpoint is not connected", ""}, {(function()
      local master = socket.tcp()
      master:connect("", 1)
      return master:receive()
    end)()})
    server:close()
    assert.same({nil, "closed"}, {server:accept()})
  end)

  it("half closes", function()
    local client, other = pair()
    assert.equal(1, client:shutdown "send")
    assert.same({nil, "closed", ""}, {other:receive()})
    other:send "answer\n"
    assert.equal("answer", client:receive())
    client:shutdown "receive"
    assert.same({nil, "closed", ""}, {client:receive()})
    assert.has_error(function() client:shutdown "x" end)
  end)

  it("keeps what an open socket is to have, and asks it", function()
    local client = socket.tcp4()
    assert.equal(1, client:setoption("keepalive", true))
    assert.equal(1, client:setoption("linger", {on = true, timeout = 3}))
    assert.is_true(client:getoption "keepalive")
    local _, other, server = pair()
    assert(client:connect(server:getsockname(), (select(2, server:getsockname()))))
    assert.is_true(client:getoption "keepalive")
    assert.same({on = true, timeout = 3}, client:getoption "linger")
    assert.equal(1, client:setoption("tcp-nodelay", false))
    assert.is_false(client:getoption "tcp-nodelay")
    assert.equal(1, other:setoption("reuseaddr", true))
    assert.is_nil(client:getoption "error")
    assert.has_error(function() client:setoption("no-such", true) end)
    assert.has_error(function() client:setoption("keepalive", 1) end)
    client:close()
  end)

  it("counts, and can be told what it has counted", function()
    local client, other = pair()
    other:send "line\nxyz"
    client:receive()
    client:receive(3)
    local received, sent, age = client:getstats()
    assert.same({8, 0}, {received, sent})
    assert.is_true(age >= 0)
    client:setstats(1, 2, 100)
    received, sent, age = client:getstats()
    assert.same({1, 2}, {received, sent})
    assert.is_true(age >= 100)
  end)

  it("hands its descriptor over, and takes another", function()
    local client, other = pair()
    local fd = client:getfd()
    client:setfd(-1)
    assert.equal(-1, client:getfd())
    local stream <close> = assert(net.connect("fd:" .. fd))
    other:send "hello\n"
    assert.equal("hello", stream:read())
    local again = socket.tcp()
    again:setfd(stream:detach())
    other:send "again\n"
    assert.equal("again", again:receive())
    again:close()
    assert.equal(-1, again:getfd())
  end)

  it("is closed by another task under one that receives", function()
    local client = pair()
    local reader = task.spawn(client.receive, client)
    task.yield()
    client:close()
    assert.same({n = 3, nil, "closed", ""}, results(reader:join()))
  end)
end)

describe("select", function()
  it("gives all that are ready, in order and by themselves", function()
    local a, b = pair()
    local c, d = pair()
    local readable, writable, text = socket.select({a, b, c}, nil, 0.01)
    assert.same({{}, {}, "timeout"}, {readable, writable, text})
    b:send "x"
    d:send "y"
    while #readable < 2 do
      readable, writable = socket.select({a, b, c}, {b, a})
      assert.same({b, a, [b] = 1, [a] = 2}, writable)
    end
    assert.same({a, c, [a] = 1, [c] = 2}, readable)
  end)

  it("sees those who connect, messages, the end, and what was read ahead", function()
    local client, other, server = pair()
    local third = assert(socket.connect(server:getsockname(), (select(2, server:getsockname()))))
    assert.equal(server, (socket.select({client, server}, nil, 5))[1])
    assert(server:accept()):close()
    other:send "two\nlines\n"
    assert.equal("two", client:receive())
    assert.is_true(client:dirty())
    assert.equal(client, (socket.select({client}, nil, 5))[1])
    assert.equal("lines", client:receive())
    assert.is_false(client:dirty())
    local source = socket.source("until-closed", client)
    other:close()
    assert.equal(source, (socket.select({source}, nil, 5))[1])
    assert.equal("", source())
    assert.is_nil(source())
    third:close()
  end)

  it("waits for descriptors of others, too", function()
    local client = pair()
    local near, far = net.socketpair()
    local fd = near:detach()
    local theirs = {getfd = function() return fd end}
    far:write "x"
    assert.same({theirs, [theirs] = 1}, (socket.select({client, theirs}, nil, 5)))
    net.connect("fd:" .. fd):close()
    far:close()
    local closed = socket.tcp()
    assert.equal("timeout", (select(3, socket.select({closed}, {closed}, 0))))
    assert.has_error(function() socket.select(1) end)
    assert.has_error(function() socket.select({}, {}, "x") end)
  end)
end)

describe("a udp object", function()
  it("sends and receives, from one and from all", function()
    local server, client = socket.udp4(), socket.udp()
    assert.equal(1, server:setsockname("127.0.0.1", 0))
    local ip, port = server:getsockname()
    assert.matches("^udp{unconnected}: ", tostring(client))
    assert.equal(5, client:sendto("hello", ip, port))
    local data, from, back = server:receivefrom()
    assert.same({"hello", "127.0.0.1"}, {data, from})
    assert.equal(0, server:sendto("", from, back))
    assert.equal("", client:receive())
    assert.equal(1, client:setpeername("localhost", port))
    assert.matches("^udp{connected}: ", tostring(client))
    assert.same({"127.0.0.1", tonumber(port), "inet"}, {client:getpeername()})
    assert.equal(4, client:send "more")
    assert.equal("mo", server:receive(2))
    assert.has_error(function() client:sendto("x", ip, port) end)
    assert.equal(1, client:setpeername "*")
    assert.has_error(function() client:send "x" end)
    client:settimeout(0.01)
    assert.same({nil, "timeout"}, {client:receive()})
    assert.same({nil, "host or service not provided, or not known"}, {client:sendto("x", "localhost", 1)})
    assert.equal(1, client:setoption("broadcast", true))
    assert.equal(1, server:setoption("ip-add-membership", {multiaddr = "239.7.7.7", interface = "127.0.0.1"}))
    assert.equal(server, (socket.select({server, client}, {}, 0))[1] or server)
    client:close()
    server:close()
    assert.same({nil, "closed"}, {client:receive()})
  end)

  it("hears that nobody is there", function()
    local free <close> = assert(net.bind "udp://127.0.0.1:0")
    local port = free.localaddr.port
    free:close()
    local client = socket.udp()
    client:setpeername("127.0.0.1", port)
    client:settimeout(5)
    client:send "x"
    assert.same({nil, "connection refused"}, {client:receive()})
    client:close()
  end)
end)

describe("socket.unix", function()
  before_each(folder.make)
  after_each(folder.remove)

  it("has streams and messages, and is a function as it was once", function()
    local path = folder.path .. "/s"
    local server = socket.unix()
    assert.equal(1, server:bind(path))
    assert.equal(1, server:listen())
    local client = socket.unix.stream()
    client:settimeout(5)
    assert.equal(1, client:connect(path))
    local other = assert(server:accept())
    assert.matches("^unixstream{client}: ", tostring(other))
    assert.equal(path, server:getsockname())
    other:send "hello\n"
    assert.equal("hello", client:receive())
    assert.equal("No such file or directory", (select(2, socket.unix():connect(folder.path .. "/none"))))
    for _, one in ipairs {server, client, other} do
      one:close()
    end

    local one, two = socket.unix.dgram(), socket.unix.udp()
    assert.equal(1, one:bind(folder.path .. "/one"))
    assert.equal(1, two:bind(folder.path .. "/two"))
    assert.equal(5, one:sendto("hello", folder.path .. "/two"))
    assert.same({"hello", folder.path .. "/one"}, {two:receivefrom()})
    assert.equal(1, two:connect(folder.path .. "/one"))
    two:send "back"
    assert.equal("back", one:receive())
    one:close()
    two:close()
  end)
end)

describe("socket", function()
  it("tries and protects", function()
    local ended = false
    local try = socket.newtry(function() ended = true end)
    assert.same({n = 2, nil, "why"}, results(socket.protect(function() try(nil, "why") end)()))
    assert.is_true(ended)
    assert.same({n = 3, 1, 2, 3}, results(socket.protect(socket.try)(1, 2, 3)))
    local thrown = {}
    assert.equal(thrown, select(2, pcall(socket.protect(function() error(thrown) end))))
    assert.equal("c", (socket.skip(2, "a", "b", "c")))
    local start = socket.gettime()
    socket.sleep(-1)
    assert.is_true(math.abs(start - os.time()) < 60)
  end)

  it("has sources and sinks", function()
    local client, other = pair()
    local sink, source = socket.sink("close-when-done", other), socket.source("by-length", client, 3)
    assert(sink "abcdef")
    assert.equal("abc", source())
    assert.is_nil(source())
    sink()
    assert.equal("def", socket.source(client)())
    assert.equal(1, socket.sink("keep-open", other)())
    assert.has_error(function() socket.sink("no such", other) end)
  end)

  it("looks names up", function()
    local ip, resolved = socket.dns.toip "localhost"
    assert.same({"127.0.0.1", "127.0.0.1"}, {ip, resolved.ip[1]})
    assert.equal("127.0.0.1", socket.dns.getaddrinfo "127.0.0.1"[1].addr)
    assert.equal("localhost", (socket.dns.tohostname "127.0.0.1"))
    assert.same({"localhost"}, (socket.dns.getnameinfo("127.0.0.1")))
    assert.equal("http", select(2, socket.dns.getnameinfo(nil, "80")))
    assert.matches("^%S+$", socket.dns.gethostname())
    assert.same({nil, "host not found"}, {socket.dns.toip ""})
  end)

  it("raises where Lua cannot suspend", function()
    local client = pair()
    local ok, err = pcall(table.sort, {2, 1, 3}, function()
      return client:receive()
    end)
    assert.is_false(ok)
    assert.matches("cannot wait here", tostring(err))
  end)
end)

describe("neap --luasocket", function()
  before_each(folder.make)
  after_each(folder.remove)

  it("lets require give it, and says which package has the rest", function()
    local result = folder.run("--luasocket", "-e", [[
      package.path, package.cpath = "", ""
      local socket = require "socket"
      print(socket == require "socket.core", socket.unix == require "socket.unix")
      print(require "neap.luasocket".install() == socket, socket.tcp().class)
      print((require "mime.core".b64("", "abcd")))
      print(select(2, pcall(require, "socket.http")))]])
    assert.equal("", result.stderr)
    assert.equal("true\ttrue\ntrue\ttcp{master}\nYWJj\n", result.stdout:match "^.-YWJj\n")
    assert.matches("apt%-get install lua%-socket", result.stdout)
  end)

  it("does so in workers", function()
    folder.write("script.lua", "print(require 'socket'.tcp().class)")
    local result = folder.run("--luasocket", "-w", "2", "script.lua")
    assert.same({stdout = "tcp{master}\ntcp{master}\n", stderr = "", code = 0}, result)
  end)
end)

describe("mime.core", function()
  it("codes as LuaSocket's own does, however a text is cut", function()
    local ours, there, theirs = require "neap.luasocket.mime", pcall(require, "mime.core")
    if not there then
      pending "no LuaSocket (apt-get install lua-socket)"
    end
    local parts = {"a", "=", "\r", "\n", " ", "\t", ".", "\xe9", "4", "=41", "\r\n", "=\r\n", "Zm9v"}
    local function text()
      local words = {}
      for i = 1, math.random(0, 12) do
        words[i] = parts[math.random(#parts)]
      end
      return table.concat(words)
    end
    for _ = 1, 200 do
      local one, two = text(), math.random(3) > 1 and text() or nil
      for _, name in ipairs {"b64", "unb64", "qp", "unqp"} do
        local rest = name == "unb64" and one:gsub("=", ""):sub(1, 3) or one
        local said = ("%s %q %q"):format(name, rest, two)
        assert.same(results(theirs[name](rest, two)), results(ours[name](rest, two)), said)
      end
      for name, state in pairs {wrp = math.random(0, 9), qpwrp = math.random(0, 9), dot = math.random(0, 2),
        eol = ({0, 10, 13})[math.random(3)]} do
        local how = name == "eol" and "|" or name ~= "dot" and 9 or nil
        assert.same(results(theirs[name](state, two, how)), results(ours[name](state, two, how)), name)
      end
    end
  end)
end)
