-- Waits that take nothing: `wait` of streams, listeners and message sockets, and
-- net.wait, for the descriptors of C libraries. (What interrupts them: cancel_spec.)

local child = require "spec.support.child"
local net = require "neap.net"
local task = require "neap.task"
local transports = require "spec.support.transports"

local has_luasocket, luasocket = pcall(require, "socket")

local function code_of(_, err)
  return err and err.code
end

--- A pair whose first is soon full.
local function narrow_pair(kind)
  local ours, theirs = transports.pair(kind)
  ours:set {sndbuf = 65536}
  theirs:set {rcvbuf = 65536}
  return ours, theirs
end

--- Write more than the kernel and the stream take; returns how many bytes.
local function stuff(stream)
  local bytes = ("s"):rep(1024 * 1024)
  assert.equal("ETIMEDOUT", code_of(task.timeout(0.02, stream.write, stream, bytes)))
  return #bytes
end

--- What `wait` returns, of which nothing is there before `act`.
local function woken_by(act, wait, ...)
  local waiter = task.spawn(wait, ...)
  task.sleep(0.002)
  assert.equal("waiting", waiter.status)
  act()
  return waiter:join()
end

for _, kind in ipairs(transports.names) do
  describe(("waiting for a stream (%s)"):format(kind), function()
    it("tells of bytes, and leaves them", function()
      local ours <close>, theirs = transports.pair(kind)
      local _ <close> = theirs
      assert.equal("ETIMEDOUT", code_of(ours:wait("r", 0)))
      assert.equal("r", woken_by(function()
        theirs:write "hello"
      end, ours.wait, ours))
      for _ = 1, 3 do
        assert.equal("r", ours:wait())
        assert.equal("r", ours:wait("r", 0))
      end
      theirs:write "\nmore"
      assert.equal("hello", ours:read())
      assert.equal("r", ours:wait())
      assert.equal("more", ours:recv())
      assert.equal("ETIMEDOUT", code_of(ours:wait("r", 0)))
    end)

    it("finds what is there however little time it has", function()
      local ours <close>, theirs = transports.pair(kind)
      local _ <close> = theirs
      theirs:write "x"
      theirs:flush()
      task.sleep(0.002)
      assert.equal("r", ours:wait("r", 0))
    end)

    it("tells of the end, and of an error", function()
      local ours <close>, theirs = transports.pair(kind)
      assert.equal("r", woken_by(function()
        theirs:close()
      end, ours.wait, ours))
      assert.equal("r", ours:wait())
      assert.same({nil, nil}, {ours:recv()})
      local a <close>, b = transports.pair(kind)
      assert.equal("r", woken_by(function()
        a:write "unread"
        a:flush()
        b:reset()
      end, a.wait, a))
      assert.equal("r", a:wait())
      local _, err = a:recv()
      assert.is_truthy(err == nil and kind == "vsock" or err.code == "ECONNRESET", tostring(err))
    end)

    it("tells of room, in the line of the writers", function()
      local ours <close>, theirs = narrow_pair(kind)
      local _ <close> = theirs
      assert.equal("w", ours:wait "w")
      assert.equal("w", ours:wait "rw")
      local stuffed = stuff(ours)
      assert.equal("ETIMEDOUT", code_of(ours:wait("w", 0.002)))
      local order = {}
      task.scope(function(s)
        local function write(text)
          s:spawn(function()
            assert(ours:write(text))
            order[#order + 1] = text
          end)
          task.yield()
        end
        write "1"
        for i = 1, 2 do
          s:spawn(function()
            assert.equal("w", ours:wait "w")
            order[#order + 1] = "wait " .. i
          end)
          task.yield()
        end
        write "2"
        assert.equal("sss12", assert(theirs:read(stuffed + 2)):sub(-5))
      end)
      assert.same({"1", "wait 1", "wait 2", "2"}, order)
      assert.equal("w", ours:wait("w", 0))
    end)

    it("tells of either", function()
      local ours <close>, theirs = narrow_pair(kind)
      local _ <close> = theirs
      local stuffed = stuff(ours)
      assert.equal("ETIMEDOUT", code_of(ours:wait("rw", 0.002)))
      assert.equal("r", woken_by(function()
        theirs:write "back"
      end, ours.wait, ours, "rw"))
      assert.equal("back", ours:recv())
      assert.equal("w", woken_by(function()
        theirs:read(stuffed)
      end, ours.wait, ours, "rw"))
      theirs:write "more"
      ours:wait()
      assert.equal("rw", ours:wait "rw")
    end)

    it("tells of room to who waits for either, behind the writers", function()
      local ours <close>, theirs = narrow_pair(kind)
      local _ <close> = theirs
      local stuffed = stuff(ours)
      local ready, written
      task.scope(function(s)
        s:spawn(function()
          ready = ours:wait "rw"
          assert.is_true(written)
        end)
        s:spawn(function()
          written = ours:write "1" == ours
        end)
        task.yield()
        assert.equal("1", assert(theirs:read(stuffed + 1)):sub(-1))
      end)
      assert.equal("w", ready)
    end)

    it("tells who waits to write that writing fails", function()
      for _, what in ipairs {"w", "rw"} do
        local ours <close>, theirs = narrow_pair(kind)
        stuff(ours)
        assert.is_truthy(woken_by(function()
          theirs:reset()
        end, ours.wait, ours, what))
        assert.equal("w", ours:wait "w")
        assert.is_truthy(code_of(ours:write "x"))
      end
      local a <close>, b = narrow_pair(kind)
      local _ <close> = b
      a:shutdown()
      assert.equal("w", a:wait("w", 0))
      assert.equal("EPIPE", code_of(a:write "x"))
    end)

    it("is a reader", function()
      local ours <close>, theirs = transports.pair(kind)
      local _ <close> = theirs
      for _, pair in ipairs {{"recv", "wait"}, {"wait", "recv"}, {"wait", "wait"}} do
        local t = task.spawn(ours[pair[1]], ours)
        task.yield()
        local ok, err = pcall(ours[pair[2]], ours)
        assert.is_false(ok)
        assert.is_truthy(err:find "another task reads this stream")
        assert.equal("w", ours:wait "w")
        t:cancel()
        t:join()
      end
      local t = task.spawn(ours.wait, ours, "rw")
      assert.equal("w", t:join())
      theirs:write "x"
      assert.equal("x", ours:recv())
    end)

    it("is ended by a close, and is not on a closed stream", function()
      local ours, theirs <close> = narrow_pair(kind)
      stuff(ours)
      local codes = {}
      for i, what in ipairs {"w", "rw"} do
        task.spawn(function()
          codes[i] = code_of(ours:wait(what))
        end)
      end
      task.yield()
      ours:reset()
      task.yield()
      assert.same({"ECANCELED", "ECANCELED"}, codes)
      local none, err = ours:wait()
      assert.is_nil(none)
      assert.equal("EBADF", err.code)
      assert.equal("wait", err.op)
      assert.is_truthy(theirs)
    end)

    it("ends with the stream's own timeout, unless it has another", function()
      local ours <close>, theirs = transports.pair(kind)
      local _ <close> = theirs
      ours:settimeout(0.001)
      assert.equal("ETIMEDOUT", code_of(ours:wait()))
      local t = task.spawn(ours.wait, ours, "r", 100)
      task.sleep(0.01)
      assert.equal("waiting", t.status)
      theirs:write "x"
      assert.equal("r", t:join())
    end)

    it("lets others come first now and then", function()
      local ours <close>, theirs = transports.pair(kind)
      local _ <close> = theirs
      theirs:write "x"
      ours:wait()
      local over = false
      task.spawn(function()
        over = true
      end)
      local n = 0
      while not over do
        n = n + 1
        assert(n < 1e7)
        ours:wait(n % 2 == 0 and "r" or "w")
      end
    end)
  end)
end

describe("waiting for a stream", function()
  it("may be for a pipe, a file, a child", function()
    local process = require "neap.process"
    local p <close> = assert(process.spawn {"cat", stdin = "pipe", stdout = "pipe"})
    assert.equal("ETIMEDOUT", code_of(p.stdout:wait("r", 0)))
    assert.equal("w", p.stdin:wait "w")
    p.stdin:write "x"
    assert.equal("r", p.stdout:wait())
    assert.equal("x", p.stdout:recv())
    p.stdin:close()
    assert.equal("r", p.stdout:wait())
    assert.is_nil(p.stdout:recv())
    p:wait()
    local path = os.tmpname()
    local file = assert(io.open(path, "w"))
    file:write "in the file"
    file:close()
    local result = assert(process.run {"sh", "-c", '"$0" -e "$1" < "$2"', child.neap, [[
      local stdin = require("neap.stdio").stdin
      print(stdin:wait(), stdin:wait(), stdin:read "a", stdin:wait())
    ]], path})
    os.remove(path)
    assert.equal("r\tr\tin the file\tr\n", result.stdout .. result.stderr)
  end)

  it("is a deadlock where only tasks could end it", function()
    local result = child.run [[
      local a, b = net.socketpair "mem"
      a:wait()
    ]]
    assert.is_truthy(result.stderr:find "deadlock", result.stderr)
  end)

  it("raises for what it is not", function()
    local a <close>, b = net.socketpair()
    local _ <close> = b
    for _, arguments in ipairs {{"x"}, {1}, {"r", -1}, {"r", "x"}, {"r", 0 / 0}, {"wr"}} do
      assert.is_false((pcall(a.wait, a, table.unpack(arguments))))
      assert.is_false((pcall(net.wait, 0, table.unpack(arguments))))
    end
    local relay = task.spawn(net.relay, a, b)
    task.yield()
    for _, what in ipairs {"r", "w", "rw"} do
      local ok, err = pcall(a.wait, a, what)
      assert.is_false(ok)
      assert.is_truthy(err:find "being relayed")
    end
    relay:cancel()
    relay:join()
  end)
end)

for _, endpoint in ipairs {"tcp://127.0.0.1:0", "unix:@", "mem:wait_spec", "seqpacket:@"} do
  describe(("waiting for a connection (%s)"):format(endpoint), function()
    it("leaves it", function()
      local listener <close> = assert(net.listen(endpoint))
      assert.equal("ETIMEDOUT", code_of(listener:wait(0)))
      assert.equal("ETIMEDOUT", code_of(listener:wait(0.001)))
      local client
      assert.equal("r", woken_by(function()
        client = assert(net.connect(listener.endpoint))
      end, listener.wait, listener))
      assert.equal("r", listener:wait())
      assert.equal("r", listener:wait(0))
      local server = assert(listener:accept())
      assert.equal("ETIMEDOUT", code_of(listener:wait(0)))
      client:close()
      server:close()
    end)

    it("goes on where another accepts", function()
      local listener <close> = assert(net.listen(endpoint))
      local acceptor = task.spawn(listener.accept, listener)
      local waiter = task.spawn(listener.wait, listener)
      task.yield()
      local client = assert(net.connect(listener.endpoint))
      acceptor:join():close()
      task.sleep(0.002)
      assert.equal("waiting", waiter.status)
      local another = assert(net.connect(listener.endpoint))
      assert.equal("r", waiter:join())
      assert(listener:accept()):close()
      client:close()
      another:close()
    end)

    it("is ended by a close", function()
      local listener = assert(net.listen(endpoint))
      assert.equal("ECANCELED", code_of(woken_by(function()
        listener:close()
      end, listener.wait, listener)))
      assert.equal("EBADF", code_of(listener:wait()))
    end)
  end)
end

describe("waiting for a connection", function()
  it("waits for descriptors, as accept does", function()
    local p <close> = child.start('ulimit -n 40; exec "$@"', [[
      local listener = assert(net.listen "unix:@")
      local client = assert(net.connect(listener.endpoint))
      local files = {}
      for i = 1, 100 do files[i] = io.open "/dev/null" end
      print(listener:wait())
      for i = 1, 3 do -- a pause of 10, 20, 40 ms
        local start = time.now()
        print(select(2, listener:accept()).code)
        print(select(2, listener:wait(0)).code)
        print(listener:wait(), time.now() - start >= 0.009)
      end
      for _, file in ipairs(files) do file:close() end
      print(listener:accept() ~= nil)
    ]])
    assert.equal("r\n" .. ("EMFILE\nETIMEDOUT\nr\ttrue\n"):rep(3) .. "true\n", p.stdout:read "a")
    assert.equal(0, (p:wait()))
  end)
end)

describe("waiting for a message", function()
  for _, kind in ipairs {"udp", "unixgram", "seqpacket"} do
    local function pair()
      if kind ~= "udp" then
        return assert(net.socketpair(kind))
      end
      local ours = assert(net.bind "udp://127.0.0.1:0")
      local theirs = assert(net.connect("udp://127.0.0.1:" .. ours.localaddr.port))
      return ours, theirs
    end

    it(("leaves it (%s)"):format(kind), function()
      local ours <close>, theirs = pair()
      local _ <close> = theirs
      assert.equal("ETIMEDOUT", code_of(ours:wait("r", 0)))
      assert.equal("w", theirs:wait("rw", 0))
      assert.equal("r", woken_by(function()
        theirs:send "hello"
      end, ours.wait, ours))
      theirs:send "more"
      assert.equal("r", ours:wait())
      assert.equal("r", ours:wait("r", 0))
      if kind ~= "udp" then
        assert.equal("rw", ours:wait "rw")
      end
      assert.equal("hello", (ours:recv()))
      assert.equal("more", (ours:recv()))
      assert.equal("ETIMEDOUT", code_of(ours:wait("r", 0)))
    end)

    it(("takes none from those who receive (%s)"):format(kind), function()
      local ours <close>, theirs = pair()
      local _ <close> = theirs
      for _, first in ipairs {"wait", "recv"} do
        local waiters, receiver = {}, nil
        if first == "recv" then
          receiver = task.spawn(ours.recv, ours)
          task.yield()
        end
        for i = 1, 3 do
          waiters[i] = task.spawn(ours.wait, ours)
        end
        task.yield()
        receiver = receiver or task.spawn(ours.recv, ours)
        task.sleep(0.001)
        theirs:send "one"
        assert.equal("one", (receiver:join()))
        theirs:send "another"
        for i = 1, 3 do
          assert.equal("r", waiters[i]:join())
        end
        assert.equal("another", (ours:recv()))
      end
    end)

    it(("is ended by a close (%s)"):format(kind), function()
      local ours, theirs <close> = pair()
      assert.equal("ECANCELED", code_of(woken_by(function()
        ours:close()
      end, ours.wait, ours)))
      assert.equal("EBADF", code_of(ours:wait()))
      assert.is_truthy(theirs)
    end)
  end

  it("tells of an error and of the end", function()
    local socket <close> = assert(net.bind "udp://127.0.0.1:0")
    local client <close> = assert(net.connect("udp://127.0.0.1:" .. socket.localaddr.port))
    socket:close()
    assert.equal("r", woken_by(function()
      client:send "nobody is there"
    end, client.wait, client))
    assert.equal("ECONNREFUSED", code_of(client:recv()))
    local waiter, receiver = task.spawn(client.wait, client), task.spawn(client.recv, client)
    task.yield()
    client:send "nobody is there" -- it is told to one
    assert.equal("r", waiter:join())
    assert.equal("ECONNREFUSED", code_of(receiver:join()))
    local a <close>, b = net.socketpair "seqpacket"
    assert.equal("r", woken_by(function()
      b:close()
    end, a.wait, a))
    assert.equal("r", a:wait())
    assert.same({nil, nil}, {a:recv()})
  end)

  for _, kind in ipairs {"unixgram", "seqpacket"} do
    it(("tells of room (%s)"):format(kind), function()
      local ours <close>, theirs = net.socketpair(kind)
      local _ <close> = theirs
      local function fill()
        repeat
          local sent = task.timeout(0.001, ours.send, ours, "message")
        until not sent
      end
      local function drain()
        repeat
          local taken = task.timeout(0.001, theirs.recvmany, theirs)
        until not taken
      end
      for _, what in ipairs {"w", "rw"} do
        fill()
        assert.equal("ETIMEDOUT", code_of(ours:wait(what, 0.001)))
        assert.equal("w", woken_by(drain, ours.wait, ours, what))
      end
      fill()
      assert.equal("r", woken_by(function()
        theirs:send "back"
      end, ours.wait, ours, "rw"))
      assert.equal("back", (ours:recv()))
    end)
  end
end)


-- Descriptors that are not ours.

describe("net.wait", function()
  it("tells of what is there, and takes nothing", function()
    local fd, theirs = transports.foreign()
    assert.equal("ETIMEDOUT", code_of(net.wait(fd, "r", 0)))
    assert.equal("w", net.wait(fd, "w"))
    assert.equal("w", net.wait(fd, "rw", 0))
    assert.equal("r", woken_by(function()
      theirs:write "x"
    end, net.wait, fd))
    assert.equal("rw", net.wait(fd, "rw"))
    assert.equal("r", net.wait(fd, "r", 0))
    theirs:close()
    local ours <close> = assert(net.connect("fd:" .. fd))
    assert.equal("x", ours:recv())
  end)

  it("tells of the end as of something to be read", function()
    local fd, theirs, close = transports.foreign()
    assert.equal("r", woken_by(function()
      theirs:close()
    end, net.wait, fd))
    assert.equal("rw", net.wait(fd, "rw"))
    close()
  end)

  it("may be waited in by many tasks, for either direction", function()
    local stream, theirs = net.socketpair()
    stuff(stream)
    local copy = transports.copy(stream)
    local function spawn(what)
      local t = task.spawn(net.wait, copy, what)
      task.yield()
      return t
    end
    local r1, w, r2, rw = spawn "r", spawn "w", spawn "r", spawn "rw"
    task.sleep(0.002)
    for _, t in ipairs {r1, w, r2, rw} do
      assert.equal("waiting", t.status)
    end
    theirs:write "x"
    assert.equal("r", r1:join())
    assert.equal("r", r2:join())
    assert.equal("r", rw:join())
    assert.equal("waiting", w.status)
    theirs:read(1024 * 1024)
    assert.equal("w", w:join())
    w = spawn "w"
    assert.equal("w", w:join())
    assert.equal("r", spawn "r":join())
    theirs:close()
    stream:close()
    assert(net.connect("fd:" .. copy)):close()
  end)

  it("refuses what is neap's own, or nobody's", function()
    local a <close>, b = net.socketpair()
    local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
    local socket <close> = assert(net.bind "udp://127.0.0.1:0")
    for _, mine in ipairs {a, b, listener, socket} do
      local none, err = net.wait(mine.fd)
      assert.is_nil(none)
      assert.equal("EBUSY", err.code)
      assert.equal("wait", err.op)
      assert.equal("fd:" .. mine.fd, err.endpoint)
    end
    local fd = b.fd
    b:close()
    assert.equal("EBADF", code_of(net.wait(fd)))
    assert.equal("EBADF", code_of(net.wait(-1)))
    assert.equal("EBADF", code_of(net.wait(2 ^ 40)))
    local file = assert(io.open "/dev/null")
    file:close()
    assert.equal("EBADF", code_of(net.wait(file)))
    for _, bad in ipairs {"1", true, {}, a, 1.5, print, setmetatable({}, {__index = error})} do
      assert.is_false((pcall(net.wait, bad)))
    end
    assert.is_false((pcall(net.wait)))
    assert.is_false((pcall(net.wait, {getfd = function() return "x" end})))
  end)

  it("refuses the loop's own descriptors", function()
    local result = child.run [[
      for fd = 3, 20 do
        local ready, err = net.wait(fd, "rw", 0)
        if err and err.code == "EBUSY" then print "EBUSY" end
      end
    ]]
    assert.is_true(select(2, result.stdout:gsub("EBUSY", "")) >= 3)
  end)

  it("takes a file, or an object that tells its descriptor", function()
    local fd, theirs, close = transports.foreign()
    theirs:write "x"
    local object = setmetatable({}, {__index = {getfd = function() return fd * 1.0 end}})
    assert.equal("r", net.wait(object))
    assert.equal("EBADF", code_of(net.wait {getfd = function() return -1 end}))
    local child_ <close> = assert(io.popen "echo hello")
    assert.equal("r", net.wait(child_))
    assert.equal("hello", child_:read())
    local file <close> = assert(io.open("/dev/null", "r+"))
    assert.equal("rw", net.wait(file, "rw", 0))
    local path = os.tmpname()
    local regular <close> = assert(io.open(path))
    os.remove(path)
    assert.equal("r", net.wait(regular))
    theirs:close()
    close()
  end)

  it("ends by its deadline where its descriptor was closed, and with EBADF where its number is another's", function()
    local fd, theirs, close = transports.foreign()
    local waiter = task.spawn(net.wait, fd, "r", 0.05)
    task.sleep(0.002)
    close()
    assert.equal("ETIMEDOUT", code_of(waiter:join()))
    theirs:close()

    local next_fd
    fd, theirs, close = transports.foreign()
    waiter = task.spawn(net.wait, fd, "r", 100)
    task.sleep(0.002)
    close()
    theirs:close()
    local heirs = {}
    repeat
      local heir = table.pack(transports.foreign())
      heirs[#heirs + 1] = heir
      next_fd = heir[1]
    until next_fd == fd or #heirs == 50
    assert.equal(fd, next_fd)
    local another = task.spawn(net.wait, fd)
    assert.equal("EBADF", code_of(waiter:join()))
    assert.equal("waiting", another.status)
    heirs[#heirs][2]:write "x"
    assert.equal("r", another:join())
    for _, heir in ipairs(heirs) do
      heir[2]:close()
      heir[3]()
    end
  end)

  it("leaves a socket of neap's alone that has its number next", function()
    for _, drop in ipairs {"before", "after", "never"} do
      local fd, theirs, close = transports.foreign()
      local waiters = {task.spawn(net.wait, fd), task.spawn(net.wait, fd)}
      task.sleep(0.002)
      close()
      theirs:close()
      local sockets, heir, peer = {}, nil, nil
      repeat
        local a, b = net.socketpair()
        sockets[#sockets + 1] = a
        sockets[#sockets + 1] = b
        if a.fd == fd then
          heir, peer = a, b
        elseif b.fd == fd then
          heir, peer = b, a
        end
      until heir
      local function cancel()
        waiters[1]:cancel()
        waiters[1]:join()
        waiters[2]:cancel()
        waiters[2]:join()
      end
      if drop == "before" then
        cancel()
      end
      local reader = task.spawn(heir.read, heir, "a")
      task.sleep(0.002)
      if drop == "after" then
        cancel()
      end
      peer:write "for the heir"
      task.sleep(0.002)
      peer:shutdown()
      assert.equal("for the heir", reader:join())
      if drop == "never" then
        assert.equal("waiting", waiters[1].status)
        cancel()
      end
      stuff(heir)
      local flusher = task.spawn(heir.flush, heir)
      task.yield()
      peer:read(1024 * 1024)
      assert.equal(heir, flusher:join())
      for _, socket in ipairs(sockets) do
        socket:close()
      end
    end
  end)

  it("leaves nothing in the epoll behind it", function()
    local result = child.strace({"-e", "trace=epoll_ctl"}, [[
      local near, far = net.socketpair()
      local a, b = net.socketpair()
      near:sendfd("x", {b})
      b:close()
      local fd = select(2, far:recvfd())[1]:take()
      for i = 1, 5 do
        print(select(2, net.wait(fd, "r", 0.001)).code)
        print(select(2, task.timeout(0.001, net.wait, fd)).code)
      end
      a:write "x"
      print(net.wait(fd))
    ]])
    assert.equal(("ETIMEDOUT\n"):rep(10) .. "r\n", result.stdout)
    local there = {}
    for _, call in ipairs(result.calls) do
      local op, fd = call:match "^epoll_ctl%(%d+, EPOLL_CTL_(%u+), (%d+)"
      if op == "ADD" then
        there[fd] = (there[fd] or 0) + 1
      elseif op == "DEL" then
        there[fd .. " removed"] = (there[fd .. " removed"] or 0) + 1
      end
    end
    local balanced = 0
    for fd, added in pairs(there) do
      if added >= 10 and there[fd .. " removed"] == added then
        balanced = balanced + 1
      end
    end
    assert.equal(1, balanced)
  end)

  it("goes on in a fresh epoll, for those that are still there", function()
    local result = child.run [[
      local near, far = net.socketpair()
      local function take(stream)
        near:sendfd("x", {stream})
        stream:close()
        return select(2, far:recvfd())[1]:take()
      end
      local a, b = net.socketpair()
      local c, d = net.socketpair()
      local kept, lost = take(b), take(d)
      local waiter = task.spawn(net.wait, kept)
      local loser = task.spawn(net.wait, lost)
      task.sleep(0.002)
      -- lost is closed; what has its number next is no socket of neap's, with news.
      assert(net.connect("fd:" .. lost)):close()
      local pipe = io.popen "echo news"
      assert(pipe:read(0) == "")
      -- A stream that lives on elsewhere, when it is closed here.
      local x, y = net.socketpair()
      y:write "1"
      x:read(1)
      local hidden, keeper = net.socketpair()
      hidden:sendfd("x", {x})
      x:close()
      y:write "more"
      task.sleep(0.01)
      local before = os.clock()
      task.sleep(0.1)
      print(os.clock() - before < 0.05 and "rests" or "spins")
      print(waiter.status)
      a:write "x"
      print(waiter:join())
      print(loser.status == "waiting" or select(2, loser:join()).code == "EBADF")
      loser:cancel()
    ]]
    assert.equal("", result.stderr)
    assert.equal("rests\nwaiting\nr\ntrue\n", result.stdout)
  end)

  it("lets others come first now and then", function()
    local fd, theirs, close = transports.foreign()
    local over = false
    task.spawn(function()
      over = true
    end)
    while not over do
      net.wait(fd, "w")
    end
    theirs:close()
    close()
  end)

  it("is over when its coroutine is", function()
    local fd, theirs, close = transports.foreign()
    for _ = 1, 3 do
      task.timeout(0.001, coroutine.wrap(net.wait), fd)
    end
    collectgarbage()
    theirs:write "x"
    assert.equal("r", coroutine.wrap(net.wait)(fd))
    theirs:close()
    close()
  end)
end)

describe("LuaSocket under net.wait", function()
  --- As its users do: try without blocking, wait, try again.
  local function receive(socket, pattern)
    local got = ""
    while true do
      local data, err, part = socket:receive(pattern, got)
      if data then
        return data
      end
      assert.equal("timeout", err)
      got = part
      assert(net.wait(socket, "r", 10))
    end
  end

  local function send(socket, data)
    local at = 1
    while at <= #data do
      local last, err, partial = socket:send(data, at)
      if not last then
        assert.equal("timeout", err)
        assert(net.wait(socket, "w", 10))
      end
      at = (last or partial) + 1
    end
  end

  local function connect(listener)
    local socket = assert(luasocket.tcp())
    socket:settimeout(0)
    local ok, err = socket:connect("127.0.0.1", listener.port)
    if not ok then
      assert.equal("timeout", err)
      assert.equal("w", net.wait(socket, "w", 10))
      ok, err = socket:connect("127.0.0.1", listener.port)
      assert.is_truthy(ok or err == "already connected")
    end
    return socket
  end

  it("blocks its task only", function()
    if not has_luasocket then
      pending "LuaSocket is not installed"
    end
    local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
    local big = ("0123456789abcdef"):rep(256 * 1024)
    local ticks = 0
    task.scope(function(s)
      local ticking = s:spawn(function()
        while true do
          task.sleep(0.001)
          ticks = ticks + 1
        end
      end)
      s:spawn(function()
        local stream <close> = assert(listener:accept())
        assert.equal("hello", stream:read())
        task.sleep(0.02)
        stream:write "welcome\n"
        task.sleep(0.02)
        local got = stream:read(#big)
        stream:write(got, "\n")
      end)
      local socket = connect(listener)
      send(socket, "hello\n")
      assert.equal("welcome", receive(socket, "*l"))
      task.scope(function(both) -- for either direction at once
        both:spawn(send, socket, big)
        assert.is_true(receive(socket, "*l") == big)
      end)
      assert.equal("r", net.wait(socket, "r", 10)) -- the end
      assert.equal("closed", select(2, socket:receive()))
      socket:close()
      assert.equal("EBADF", code_of(net.wait(socket)))
      ticking:cancel()
    end)
    assert.is_true(ticks > 5)
  end)

  it("tells of a connection that is refused", function()
    if not has_luasocket then
      pending "LuaSocket is not installed"
    end
    local listener = assert(net.listen "tcp://127.0.0.1:0")
    local port = listener.port
    listener:close()
    local socket = assert(luasocket.tcp())
    socket:settimeout(0)
    local ok, err = socket:connect("127.0.0.1", port)
    assert.is_nil(ok)
    if err == "timeout" then
      assert.is_truthy(net.wait(socket, "w", 10))
      err = select(2, socket:connect("127.0.0.1", port))
    end
    assert.equal("connection refused", err)
    socket:close()
  end)

  it("has listeners, too", function()
    if not has_luasocket then
      pending "LuaSocket is not installed"
    end
    local server = assert(luasocket.bind("127.0.0.1", 0))
    server:settimeout(0)
    local _, port = server:getsockname()
    assert.equal("ETIMEDOUT", code_of(net.wait(server, "r", 0)))
    local client
    assert.equal("r", woken_by(function()
      client = assert(net.connect("tcp://127.0.0.1:" .. port))
    end, net.wait, server))
    local socket = assert(server:accept())
    socket:send "hello\n"
    assert.equal("hello", client:read())
    client:close()
    socket:close()
    server:close()
  end)
end)
