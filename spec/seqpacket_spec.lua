local host = require "neap.host"
local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"
local child = require "spec.support.child"
local code = require "spec.support.failed"

--- A connected pair of message sockets by each way there is.
local function listened(endpoint)
  local listener <close> = assert(net.listen(endpoint))
  local a = assert(net.connect(listener.endpoint))
  return a, assert(listener:accept()), listener.endpoint
end

local path = os.tmpname()
os.remove(path)

for _, endpoint in ipairs {"seqpacket:@", "seqpacket:" .. path} do
  describe(endpoint, function()
    it("carries messages over a connection, both ways", function()
      local a, b = listened(endpoint)
      assert.equal("seqpacket", a.type)
      assert.equal("unix", a.family)
      assert(a:send "one")
      assert(a:send "two")
      assert.equal("one", (b:recv()))
      assert.equal("two", (b:recv()))
      assert(b:send "three")
      assert.equal("three", (a:recv()))
      a:close()
      b:close()
    end)
  end)
end

describe("a descriptor", function()
  local function echo(endpoint)
    return ([[
      local socket = assert(%s)
      for data, from in socket:messages() do
        assert(socket:send(data, from))
      end
    ]]):format(endpoint)
  end

  it("that listens for seqpackets is a listener, and tells empty messages from the end", function()
    local listener = assert(net.listen "seqpacket:@")
    local p <close> = assert(process.spawn {
      child.neap, "-e", echo 'net.listen "fd:0":accept()', stdin = listener,
    })
    local client <close> = assert(net.connect(listener.endpoint)):settimeout(5)
    listener:close()
    for _, data in ipairs {"", "x", "", ""} do
      assert(client:send(data))
    end
    for _, data in ipairs {"", "x", "", ""} do
      assert.equal(data, (client:recv()))
    end
    client:close()
    assert.equal(0, (p:wait()))
  end)

  for _, endpoint in ipairs {"unixgram:@", "udp://127.0.0.1:0"} do
    it("is a message socket: " .. endpoint, function()
      local socket = assert(net.bind(endpoint))
      local p <close> = assert(process.spawn {child.neap, "-e", echo 'net.bind "fd:0"', stdin = socket})
      local client <close> = assert(net.connect(socket.endpoint)):settimeout(5)
      socket:close()
      for i = 1, 3 do
        assert(client:send(tostring(i)))
        assert.equal(tostring(i), (client:recv()))
      end
      p:kill "SIGTERM"
      p:wait()
    end)
  end

  it("that listens is no message socket, and the other way round", function()
    local listener <close> = assert(net.listen "seqpacket:@")
    local socket <close> = assert(net.bind "unixgram:@")
    for stdin, open in pairs {[listener] = "bind", [socket] = "listen"} do
      local result = process.run {
        child.neap, "-e", ("print(select(2, net.%s 'fd:0').code)"):format(open), stdin = stdin,
      }
      assert.equal("EPROTOTYPE\n", result.stdout)
    end
  end)
end)

describe("seqpacket", function()
  local a, b

  before_each(function()
    a, b = net.socketpair "seqpacket"
    a:settimeout(5)
    b:settimeout(5)
  end)

  after_each(function()
    a:close()
    b:close()
  end)

  it("tells an empty message from the end", function()
    a:send ""
    a:send "x"
    a:send ""
    a:close()
    assert.equal("", (b:recv()))
    assert.equal("x", (b:recv()))
    assert.equal("", (b:recv()))
    assert.same({}, {b:recv()})
    assert.same({}, {b:recv()})
    assert.equal("EPIPE", code(b:send "y"))
  end)

  it("ends its messages when the peer shuts down, and the other way goes on", function()
    a:send "last"
    a:shutdown()
    local got = {}
    for data in b:messages() do
      got[#got + 1] = data
    end
    assert.same({"last"}, got)
    b:send "reply"
    assert.equal("reply", (a:recv()))
  end)

  it("wakes a reader at the end", function()
    local t = task.spawn(function()
      return select("#", b:recv()), b:recv()
    end)
    task.yield()
    a:close()
    assert.equal(1, (t:join()))
  end)

  it("waits while its peer does not read", function()
    task.scope(function(scope)
      local sent = 0
      scope:spawn(function()
        for i = 1, 500 do
          assert(a:send(("%04d"):format(i):rep(500)))
          sent = i
        end
        assert(a:flush())
      end)
      task.sleep(0.02)
      assert.is_true(sent < 500)
      for i = 1, 500 do
        assert.equal(("%04d"):format(i):rep(500), (b:recv()))
      end
    end)
  end)

  it("knows its peer (F11)", function()
    assert.equal(io.open "/proc/self/stat":read "n", b.peercred.pid)
    a:send "x"
    local _, _, info = b:recv()
    assert.is_nil(info)
    b:set {passcred = true}
    a:send "y"
    _, _, info = b:recv()
    assert.equal(b.peercred.pid, info.pid)
  end)

  it("serves by tasks", function()
    local listener = assert(net.listen "seqpacket:@")
    local server = task.spawn(listener.serve, listener, function(socket)
      for data in socket:messages() do
        socket:send(data:upper())
      end
    end)
    for i = 1, 10 do
      local c <close> = assert(net.connect(listener.endpoint))
      c:send("message " .. i)
      assert.equal("MESSAGE " .. i, (c:recv()))
    end
    listener:close()
    server:join()
  end)

  it("fails where streams fail", function()
    assert.equal("ECONNREFUSED", code(net.connect "seqpacket:@nobody-is-here"))
    assert.equal("ENOENT", code(net.connect("seqpacket:" .. path)))
    assert.has_error(function() net.bind "seqpacket:@" end)
  end)
end)

describe("passing descriptors", function()
  local function descriptors()
    collectgarbage()
    collectgarbage()
    return host.stats().descriptors
  end

  for _, kind in ipairs {"seqpacket", "unixgram"} do
    it("gives several, as objects that close them: " .. kind, function()
      local before = descriptors()
      do
        local one_a, one_b = net.socketpair(kind)
        local a <close> = one_a
        local b <close> = one_b
        local file <close> = assert(io.tmpfile())
        local one_stream, one_peer = net.socketpair()
        local stream <close> = one_stream
        local peer <close> = one_peer
        assert.equal(file, file:write "x")
        assert(a:sendfd("three", {stream, a, stream.fd}))
        local data, fds = b:recvfd()
        assert.equal("three", data)
        assert.equal(3, #fds)
        assert.equal("integer", math.type(fds[1].fd))
        local adopted <close> = assert(net.connect("fd:" .. fds[1]:take()))
        assert.is_nil(fds[1].fd)
        assert.equal("EBADF", code(fds[1]:take()))
        adopted:write "through the copy\n"
        adopted:flush()
        assert.equal("through the copy", peer:read())
        local again <close> = assert(net.bind("fd:" .. fds[2]:take()))
        again:send "by the copy"
        assert.equal("by the copy", (b:recv()))
        assert.is_true(fds[3]:close())
        assert.is_true(fds[3]:close())
      end
      assert.equal(before, descriptors())
    end)

    it("leaks none that nobody takes: " .. kind, function()
      local before = descriptors()
      do
        local one_a, one_b = net.socketpair(kind)
        local a <close> = one_a
        local b <close> = one_b
        for i = 1, 20 do
          assert(a:sendfd(tostring(i), {a, b}))
        end
        assert.equal("1", (b:recv())) -- not asked for: closed
        local _, fds = b:recvfd()
        assert.equal(2, #fds) -- left to the collector
        task.yield()
      end -- the rest is in the queue
      assert.equal(before, descriptors())
    end)
  end

  it("refuses what is no descriptor", function()
    local one_a, one_b = net.socketpair "seqpacket"
    local a <close> = one_a
    local b <close> = one_b
    assert.has_error(function() a:sendfd("x", {}) end)
    assert.has_error(function() a:sendfd("x", {"x"}) end)
    assert.has_error(function() a:sendfd("x", 3) end)
    assert.equal("EBADF", code(a:sendfd("x", {999})))
    b:close()
    assert.equal("EBADF", code(a:sendfd("x", {b})))
    local many = {}
    for i = 1, 254 do
      many[i] = a
    end
    assert.has_error(function() a:sendfd("x", many) end)
  end)

  it("gives as many as there may be", function()
    local one_a, one_b = net.socketpair "seqpacket"
    local a <close> = one_a
    local b <close> = one_b
    local many = {}
    for i = 1, 253 do
      many[i] = a
    end
    assert(a:sendfd("x", many))
    local _, fds = b:recvfd()
    assert.equal(253, #fds)
    for _, fd in ipairs(fds) do
      fd:close()
    end
  end)
end)
