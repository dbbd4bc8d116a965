-- Waits that take nothing: `wait` of streams, listeners and message sockets. (What
-- interrupts them: cancel_spec.)

local net = require "neap.net"
local task = require "neap.task"
local child = require "spec.support.child"
local code_of = require "spec.support.code_of"
local woken_by = require "spec.support.tasks".woken_by
local transports = require "spec.support.transports"

local narrow_pair, stuff = transports.narrow_pair, transports.stuff

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
