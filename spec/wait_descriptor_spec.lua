-- net.wait, for descriptors that are not ours: those of C libraries.

local net = require "neap.net"
local task = require "neap.task"
local child = require "spec.support.child"
local code_of = require "spec.support.code_of"
local woken_by = require "spec.support.tasks".woken_by
local transports = require "spec.support.transports"

local stuff = transports.stuff

local has_luasocket, luasocket = pcall(require, "socket")

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
