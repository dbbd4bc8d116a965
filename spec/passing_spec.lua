-- Descriptors that pass over a stream, between its bytes.

local host = require "neap.host"
local lfs = require "lfs"
local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"

local code = require "spec.support.child".code
local code_of = require "spec.support.failed"

local neap = require "spec.support.child".neap
local random = require "spec.support.random"

local function descriptors()
  collectgarbage()
  collectgarbage()
  task.sleep(0.001)
  return host.stats().descriptors
end

local function close_all(list)
  for _, each in ipairs(list) do
    each:close()
  end
end

--- Run f with a pair of unix streams; it leaves no descriptor behind.
local function with_pair(f)
  return function()
    local before = descriptors()
    local a, b = net.socketpair()
    f(a, b)
    a:close()
    b:close()
    assert.equal(before, descriptors())
  end
end

--- n times the same.
local function many(what, n)
  local list = {}
  for i = 1, n do
    list[i] = what
  end
  return list
end

--- Everything up to the end: the bytes, and all descriptors.
local function receive_all(stream)
  local bytes, all = {}, {}
  while true do
    local data, fds = stream:recvfd()
    if not data then
      assert.is_nil(fds)
      return table.concat(bytes), all
    end
    bytes[#bytes + 1] = data
    table.move(fds, 1, #fds, #all + 1, all)
  end
end

describe("a unix stream", function()
  it("passes streams, listeners and message sockets, which are adopted", with_pair(function(a, b)
    local near, far = net.socketpair()
    local listener = assert(net.listen "tcp://127.0.0.1:0")
    local socket = assert(net.bind "udp://127.0.0.1:0")
    local where = socket.localaddr
    assert.equal(a, assert(a:sendfd("three", {far, listener, socket})))
    close_all {far, listener, socket}

    local data, fds, info = b:recvfd()
    assert.equal("three", data)
    assert.equal(3, #fds)
    assert.is_nil(info)
    local stream = assert(net.connect("fd:" .. fds[1]:take()))
    near:write "through the copy\n"
    assert.equal("through the copy", stream:read())
    local copy = assert(net.listen("fd:" .. fds[2]:take()))
    local client = assert(net.connect("tcp://" .. tostring(copy.address)))
    local server = assert(copy:accept())
    client:write "accepted\n"
    assert.equal("accepted", server:read())
    local datagrams = assert(net.bind("fd:" .. fds[3]:take()))
    assert.equal(where, datagrams.localaddr)
    datagrams:send("to itself", where)
    assert.equal("to itself", (datagrams:recv()))
    close_all {near, stream, copy, client, server, datagrams}
  end))

  it("passes one that was reset meanwhile, which tells so", with_pair(function(a, b)
    local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
    local client = assert(net.connect(listener.endpoint))
    local served = assert(listener:accept())
    a:sendfd("x", {served})
    served:close()
    client:reset()
    task.sleep(0.01)
    local _, fds = b:recvfd()
    local heir = assert(net.connect("fd:" .. fds[1]:take()))
    assert.equal(listener.address, heir.localaddr)
    assert.is_nil(heir.remoteaddr)
    assert.equal("ECONNRESET", code_of(heir:recv()))
    heir:close()
  end))

  it("passes them to and from another process", function()
    local before = descriptors()
    local path = os.tmpname()
    os.remove(path)
    local listener = assert(net.listen("unix:" .. path))
    local child = assert(process.spawn {
      neap, "-e", code([[
        local parent = assert(net.connect(arg[1]))
        local data, fds = parent:recvfd()
        assert(data == "serve this" and #fds == 1)
        local listener = assert(net.listen("fd:" .. fds[1]:take()))
        local a, b = net.socketpair()
        parent:sendfd("ready\n", {b})
        b:close()
        a:write("from ", process.pid, "\n")
        local stream = assert(listener:accept())
        stream:write("served by ", process.pid, "\n")
        a:close() -- flushes
        stream:close()
      ]], "unix:" .. path),
    })
    local stream = assert(listener:accept())
    assert.equal(child.pid, stream.peercred.pid)
    local tcp = assert(net.listen "tcp://127.0.0.1:0")
    local endpoint = tcp.endpoint
    stream:sendfd("serve this", {tcp})
    tcp:close()
    local data, fds = stream:recvfd()
    assert.equal("ready\n", data)
    local other = assert(net.connect("fd:" .. fds[1]:take()))
    assert.equal("from " .. child.pid, other:read())
    local client = assert(net.connect(endpoint))
    assert.equal("served by " .. child.pid, client:read())
    assert.equal(0, (child:wait()))
    close_all {other, client, stream, listener, child}
    assert.equal(before, descriptors())
  end)

  it("passes them to and from another program", function()
    local python = process.run {"python3", "-c", "import socket; socket.send_fds"}
    if not python or python.code ~= 0 then
      pending "no python3 with socket.send_fds"
    end
    local path = os.tmpname()
    os.remove(path)
    local listener <close> = assert(net.listen("unix:" .. path))
    local child = assert(process.spawn {
      "python3", "-c", [[
import os, socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
data, fds, flags, _ = socket.recv_fds(s, 100, 10)
for fd in fds:
    os.write(fd, b"python was here\n")
r, w = os.pipe()
s.sendall(b"plain")
socket.send_fds(s, [b"+2"], [r, r])
os.write(w, data)
]], path,
    })
    local stream <close> = assert(listener:accept())
    local a, b = net.socketpair()
    local c, d = net.socketpair()
    stream:sendfd("hello", {a, c})
    assert.equal("python was here", b:read())
    assert.equal("python was here", d:read())
    local bytes, fds = receive_all(stream)
    assert.equal("plain+2", bytes)
    assert.equal(2, #fds)
    local pipe <close> = assert(net.connect("fd:" .. fds[1]:take()))
    assert.equal("pipe", pipe.protocol)
    assert.equal("hello", pipe:read "a")
    assert.equal(0, (child:wait()))
    child:close()
    close_all {a, b, c, d, fds[2]}
  end)

  it("passes as many as there may be with one call, all close-on-exec", with_pair(function(a, b)
    assert(a:sendfd("x", many(a, 253)))
    local data, fds = b:recvfd()
    assert.equal("x", data)
    assert.equal(253, #fds)
    for _, fd in ipairs(fds) do
      local file <close> = assert(io.open("/proc/self/fdinfo/" .. fd.fd))
      assert.matches("flags:%s+02%d%d%d%d%d%d\n", file:read "a")
    end
    close_all(fds)
  end))

  it("keeps their place between what was written before and after", with_pair(function(a, b)
    local seen = {}
    local reader = task.spawn(function()
      for _ = 1, 3 do
        local bytes = ""
        repeat
          local data, fds = b:recvfd()
          bytes = bytes .. data
          close_all(fds)
        until fds[1]
        seen[#seen + 1] = bytes
      end
      seen[#seen + 1] = b:recvfd()
    end)
    a:write("one ", "two ")
    a:sendfd("A", {a})
    a:write "three "
    a:sendfd("B", {a, a})
    a:sendfd("C", {a})
    a:write "end"
    a:close()
    reader:join()
    assert.same({"one two A", "three B", "C", "end"}, seen)
  end))

  it("sends them behind a write that the kernel has not taken yet", with_pair(function(a, b)
    local size = 3000000
    local done = {}
    local function writer(name, f)
      return task.spawn(function()
        assert(f())
        done[#done + 1] = name
      end)
    end
    local tasks = {
      writer("write", function() return a:write(("w"):rep(size)) end),
      writer("sendfd", function() return a:sendfd(("s"):rep(size), {a, b}) end),
      writer("small", function() return a:write "after" end),
      writer("again", function() return a:sendfd("!", {a}) end),
    }
    task.sleep(0.01)
    assert.same({}, done)
    local before = 0
    local with
    repeat
      local data, fds = b:recvfd()
      before = before + #data
      with = fds[1] and #fds
      close_all(fds)
    until with
    assert.equal(2, with)
    assert.is_true(before > size and before <= size + 65536, before)
    local rest = b:read(2 * size - before + #"after!")
    assert.equal(("s"):rep(2 * size - before) .. "after!", rest)
    local after = select(2, b:recvfd(0))
    assert.equal(1, #after)
    close_all(after)
    for _, each in ipairs(tasks) do
      each:join()
    end
    assert.same({"write", "sendfd", "small", "again"}, done)
  end))

  it("passes none for a task that is cancelled or late, and others go on", with_pair(function(a, b)
    local size = 2000000
    b:recvfd(0)
    local filling = task.spawn(a.write, a, ("w"):rep(size))
    task.yield()
    local cancelled = task.spawn(a.sendfd, a, "x", {a})
    local late = task.spawn(task.timeout, 0.02, a.sendfd, a, "y", {a})
    local last = task.spawn(a.sendfd, a, "z", {b})
    task.sleep(0.01)
    cancelled:cancel()
    assert.equal("ECANCELED", code_of(cancelled:join()))
    assert.equal("ETIMEDOUT", code_of(late:join()))
    a:settimeout(0.01)
    assert.equal("ETIMEDOUT", code_of(a:sendfd("t", {a})))
    a:settimeout()
    assert.equal(size, #b:read(size))
    local data, fds = b:recvfd()
    assert.equal("z", data)
    assert.equal(1, #fds)
    assert.equal(a, last:join())
    close_all(fds)
    filling:join()
    a:write "still\n"
    assert.equal("still", b:read())
  end))

  it("ends a task that waits to pass, or for them, when it is closed", with_pair(function(a, b)
    local filling = task.spawn(a.write, a, ("w"):rep(2000000))
    task.yield()
    local sending = task.spawn(a.sendfd, a, "x", {b})
    local receiving = task.spawn(a.recvfd, a)
    task.yield()
    a:reset()
    assert.equal("ECANCELED", code_of(sending:join()))
    assert.equal("ECANCELED", code_of(receiving:join()))
    filling:join()
    assert.equal("EBADF", code_of(a:sendfd("x", {b})))
    assert.equal("EBADF", code_of(a:recvfd()))
  end))

  it("says so when nobody is there to have them", with_pair(function(a, b)
    b:close()
    assert.equal("EPIPE", code_of(a:sendfd("x", {a})))
    local c, d = net.socketpair()
    c:shutdown()
    assert.equal("EPIPE", code_of(c:sendfd("x", {d})))
    assert.is_nil((d:recvfd()))
    close_all {c, d}
  end))

  it("goes on after what the kernel or the list refuses", with_pair(function(a, b)
    assert.equal("EBADF", code_of(a:sendfd("x", {a, 999})))
    local c <close>, d = net.socketpair()
    d:close()
    assert.equal("EBADF", code_of(a:sendfd("x", {c, d})))
    a:sendfd("good\n", {c})
    assert.equal("good", b:read())
  end))

  it("takes a list of 1 to 253 descriptors and a byte at least, or it is a mistake",
    with_pair(function(a, b)
      for expected, call in pairs {
        ["a byte at least"] = function() a:sendfd("", {a}) end,
        ["string expected"] = function() a:sendfd({}, {a}) end,
        ["table expected"] = function() a:sendfd("x", a) end,
        ["list of 1 to 253"] = function() a:sendfd("x", {}) end,
        ["1 to 253 desc"] = function() a:sendfd("x", many(a, 254)) end,
        ["descriptors or sockets"] = function() a:sendfd("x", {"1"}) end,
        ["from 0 to"] = function() b:recvfd(-1) end,
      } do
        assert.error_matches(call, expected)
      end
    end))

  describe("that was not asked for them", function()
    it("keeps none", with_pair(function(a, b)
      local before = descriptors()
      for _ = 1, 20 do
        a:sendfd("x", {a, b})
      end
      assert.equal(("x"):rep(20), b:read(20))
      assert.equal(before, descriptors())
      assert.same({}, select(2, b:recvfd(0)))
    end))

    it("keeps them from the first question on, which need not wait", with_pair(function(a, b)
      a:sendfd("lost ", {a})
      assert.equal("lost ", b:read(5))
      local data, fds = b:recvfd(0)
      assert.equal("", data)
      assert.same({}, fds)
      a:sendfd("header\n", {a})
      a:sendfd("body", {a, b})
      assert.equal("header", b:read())
      assert.equal("body", b:read(4))
      data, fds = b:recvfd(0)
      assert.equal("", data)
      assert.equal(1, #fds)
      close_all(fds)
      data, fds = b:recvfd() -- its bytes were read, so it does not wait
      assert.equal("", data)
      assert.equal(2, #fds)
      close_all(fds)
    end))
  end)

  it("gives no more bytes than it was asked for", with_pair(function(a, b)
    b:recvfd(0)
    a:sendfd("abcdef", {a})
    a:flush()
    local data, fds = b:recvfd(4)
    assert.equal("abcd", data)
    assert.same({}, fds)
    data, fds = b:recvfd(4)
    assert.equal("ef", data)
    assert.equal(1, #fds)
    close_all(fds)
  end))

  -- NEAP_PASSING_STEPS=100000 makes so many.
  it("keeps their order and place, however they are sent and read", function()
    local steps = tonumber(os.getenv "NEAP_PASSING_STEPS") or 400
    local before = descriptors()
    local from_zero = random(20240517)
    local function draw(n)
      return from_zero(n) + 1
    end
    local function inode(fd)
      return lfs.symlinkattributes("/proc/self/fd/" .. fd, "target")
    end
    local things, inodes = {}, {}
    for i = 1, 10, 2 do
      things[i], things[i + 1] = net.socketpair()
    end
    for i, thing in ipairs(things) do
      inodes[i] = inode(thing.fd)
    end

    local a, b = net.socketpair()
    b:recvfd(0)
    local sent = {} -- the things of each parcel, and where its bytes are
    local size = 0
    local sender = task.spawn(function()
      for i = 1, steps do
        local bytes = string.char(i % 256):rep(draw(10) == 1 and draw(150000) or draw(50))
        if draw(2) == 1 then
          assert(a:write(bytes))
        else
          local parcel = {first = size + 1, last = size + #bytes}
          local list = {}
          for j = 1, draw(5) do
            parcel[j] = draw(#things)
            list[j] = things[parcel[j] ]
          end
          sent[#sent + 1] = parcel
          assert(a:sendfd(bytes, list))
        end
        size = size + #bytes
        if draw(4) == 1 then
          task.yield()
        end
      end
      a:shutdown()
    end)

    local got, taken = 0, 0
    local ways = {
      function() return b:recv(draw(2) == 1 and draw(100) or nil) end,
      function() return b:read(draw(200)) end,
      function() return b:recvfd(draw(100) - 1) end,
      function() return b:recvfd() end,
      function() return b:recvfd() end,
      function() return b:recvfd() end,
    }
    local ended = false
    repeat
      local was, last = got, ended
      local data, fds = (last and b.recvfd or ways[draw(#ways)])(b)
      got = got + #(data or "")
      ended = ended or not data
      if fds and fds[1] then
        taken = taken + 1
        local parcel = sent[taken]
        assert.is_true(got <= parcel.last or got == was, "they come with their bytes, or after")
        assert.is_true(got >= parcel.first, "they come no earlier than their bytes")
        assert.equal(#parcel, #fds)
        for i, fd in ipairs(fds) do
          assert.equal(inodes[parcel[i] ], inode(fd.fd))
          fd:close()
        end
      end
    until last and not data
    sender:join()
    assert.equal(size, got)
    assert.equal(#sent, taken)
    a:close()
    b:close()
    close_all(things)
    assert.equal(before, descriptors())
  end)

  it("closes those that nobody takes: by closing, by the collector", with_pair(function(a, b)
    for _, ending in ipairs {"close", "reset", "dropped", "peer"} do
      local before = descriptors()
      local function meet()
        local c, d = net.socketpair()
        d:recvfd(0)
        for _ = 1, 5 do
          c:sendfd("xy", {a, b, a})
        end
        c:flush()
        assert.equal("x", d:read(1))
        assert.is_true(descriptors() > before + 2)
        if ending == "close" or ending == "reset" then
          d[ending](d)
        elseif ending == "peer" then
          c:close()
          assert.equal("yxyxyxyxy", d:read "a")
          d:close()
        end
        c:close()
      end
      meet()
      descriptors()
      task.sleep(0.01) -- a close goes on behind the script's back
      assert.equal(before, descriptors(), ending)
    end
  end))

  it("stops reading where too many wait, and loses none", with_pair(function(a, b)
    b:recvfd(0)
    local sending = task.spawn(function()
      for i = 1, 20 do
        assert(a:sendfd(("%02d"):format(i), many(a, 50)))
      end
      a:shutdown()
    end)
    local bytes, err = b:read "a"
    assert.is_nil(bytes)
    assert.equal("ETOOMANYREFS", err.code)
    local total, order = 0, {}
    for i = 1, 20 do
      local data, fds = b:recvfd()
      order[#order + 1] = data
      assert.equal(50, #fds, i)
      total = total + #fds
      close_all(fds)
    end
    assert.equal(1000, total)
    assert.equal("0102030405060708091011121314151617181920", table.concat(order))
    assert.is_nil((b:recvfd()))
    sending:join()
  end))

  it("tells when the process may have no more of them", function()
    local result = assert(process.run {
      "sh", "-c", 'ulimit -n 40; exec "$0" -e "$1"', neap, [[
        for _, kind in ipairs {"unix", "seqpacket"} do
          local a, b = net.socketpair(kind)
          local before = require "neap.host".stats().descriptors
          local list = {}
          for i = 1, 30 do list[i] = a end
          local function receive()
            local data, fds, from, info = b:recvfd()
            return data, fds, kind == "unix" and from or info
          end
          assert(a:sendfd("x", list))
          local data, fds, info = receive()
          assert(data == "x" and #fds > 5 and #fds < 30 and info.lost, #fds)
          for _, fd in ipairs(fds) do fd:close() end
          assert(a:sendfd("y", {a}))
          data, fds, info = receive()
          assert(data == "y" and #fds == 1 and not (info and info.lost))
          fds[1]:close()
          assert(before == require "neap.host".stats().descriptors)
          a:close()
          b:close()
          task.sleep(0.01)
        end
      ]],
    })
    assert.same({stdout = "", stderr = "", code = 0}, result)
  end)

  it("is the only stream that passes any", function()
    local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
    local tcp <close> = assert(net.connect(listener.endpoint))
    local mem <close> = net.socketpair "mem"
    local child <close> = assert(process.spawn {"true", stdout = "pipe"})
    for _, stream in ipairs {tcp, mem, child.stdout} do
      assert.equal("EOPNOTSUPP", code_of(stream:recvfd()))
      local none, err = stream:sendfd("x", {tcp})
      assert.equal("EOPNOTSUPP", code_of(none, err))
      assert.matches("only unix sockets pass descriptors", tostring(err))
    end
    child:wait()
    local udp <close> = assert(net.bind "udp://127.0.0.1:0")
    assert.equal("EOPNOTSUPP", code_of(udp:sendfd("x", {tcp}, udp.localaddr)))
  end)

  it("passes none while it is relayed", with_pair(function(a, b)
    local c, d = net.socketpair()
    local relaying = task.spawn(net.relay, b, c)
    task.yield()
    assert.error_matches(function() b:sendfd("x", {a}) end, "being relayed")
    assert.error_matches(function() b:recvfd() end, "being relayed")
    a:shutdown()
    d:shutdown()
    relaying:join()
    close_all {c, d}
  end))

  it("has one reader", with_pair(function(a, b)
    local reader = task.spawn(b.recvfd, b)
    task.yield()
    assert.error_matches(function() b:recvfd() end, "another task reads")
    a:write "x"
    assert.equal("x", (reader:join()))
  end))
end)
