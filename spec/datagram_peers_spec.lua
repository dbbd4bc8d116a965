--- Whom messages come from and go to: receivers that are full, peers that a socket
--- is connected to and no longer, addresses that are asked and answer.

local net = require "neap.net"
local task = require "neap.task"

local open

local function keep(socket, err)
  open[#open + 1] = assert(socket, err)
  socket:settimeout(10)
  return socket
end

local function bind(endpoint, opts)
  return keep(net.bind(endpoint, opts))
end

local function code(...)
  local value, err = ...
  assert.is_nil(value)
  return err.code
end

before_each(function()
  open = {}
end)

after_each(function()
  for _, socket in ipairs(open) do
    socket:close()
  end
end)

describe("a full unix receiver", function()
  local full, socket, sent, sender

  --- Send until it is full, and the sender waits.
  local function fill(to, count)
    sent = 0
    sender = task.spawn(function()
      for i = 1, count do
        local ok, err = socket:send(tostring(i), to)
        if not ok then
          return err.code
        end
        sent = i
      end
      return socket:flush() and "flushed"
    end)
    local before
    repeat
      before = sent
      task.sleep(0.02)
    until sent == before and sent > 0
    assert.is_true(sent < count)
  end

  before_each(function()
    full, socket = bind "unixgram:@", bind "unixgram:@"
  end)

  it("holds up nobody who sends to another", function()
    local other = bind "unixgram:@"
    fill(full.localaddr, 300)
    for i = 1, 200 do
      assert(socket:send("hello " .. i, other.localaddr))
      assert.equal("hello " .. i, (other:recv()))
    end
    assert(socket:sendmany({"a", "b", "c"}, other.localaddr))
    local near, far = net.socketpair()
    assert(socket:sendfd("d", {far}, other.localaddr))
    near:close() far:close()
    for text in ("abcd"):gmatch "." do
      assert.equal(text, (other:recv()))
    end
    for i = 1, 300 do
      assert.equal(tostring(i), (full:recv()))
    end
    assert.equal("flushed", sender:join())
  end)

  it("holds up nobody whose messages gathered among its own", function()
    local other = bind "unixgram:@"
    for _, to in ipairs {full.localaddr, other.localaddr} do
      assert(socket:send("known", to))
      assert(socket:flush())
    end
    assert.equal("known", (other:recv()))
    local senders = {}
    for i, to in ipairs {full.localaddr, other.localaddr} do
      senders[i] = task.spawn(function()
        for k = 1, 200 do
          assert(socket:send(tostring(k), to))
        end
      end)
    end
    for i = 1, 200 do
      assert.equal(tostring(i), (other:recv()))
    end
    senders[2]:join()
    assert.equal("known", (full:recv()))
    for i = 1, 200 do
      assert.equal(tostring(i), (full:recv()))
    end
    senders[1]:join()
  end)

  it("is one of many: each keeps its order, and what is held is bounded", function()
    local receivers, senders = {}, {}
    for i = 1, 20 do -- as many as the sender's own buffer allows
      receivers[i] = bind "unixgram:@"
      senders[i] = task.spawn(function()
        for k = 1, 100 do
          assert(socket:send(i .. " " .. k, receivers[i].localaddr))
        end
      end)
    end
    task.sleep(0.1)
    local other = bind "unixgram:@"
    assert(socket:send("hello", other.localaddr))
    assert.equal("hello", (other:recv()))
    for i = 20, 1, -1 do
      for k = 1, 100 do
        assert.equal(i .. " " .. k, (receivers[i]:recv()))
      end
      senders[i]:join()
    end
  end)

  it("leaves its senders in their order", function()
    fill(full.localaddr, 150)
    local later = {}
    for i = 1, 5 do
      later[i] = task.spawn(function()
        assert(socket:send("later " .. i, full.localaddr))
      end)
      task.yield()
    end
    for i = 1, 150 do
      local data = assert(full:recv())
      while data:find "^later" do
        data = assert(full:recv())
      end
      assert.equal(tostring(i), data)
    end
    for _, t in ipairs(later) do
      t:join()
    end
  end)

  it("does not keep a sender who is cancelled, late, or whose socket is closed", function()
    fill(full.localaddr, 300)
    assert.equal("ETIMEDOUT", code(socket:settimeout(0.02):send("late", full.localaddr)))
    socket:settimeout(10)
    assert.equal("ETIMEDOUT", code(task.timeout(0.02, socket.send, socket, "later", full.localaddr)))
    local other = bind "unixgram:@"
    assert(socket:send("hello", other.localaddr))
    assert.equal("hello", (other:recv()))
    assert.equal("ECANCELED", code(socket:close())) -- what had gathered is lost, and that is told
    assert.equal("ECANCELED", sender:join())
    local n = 0
    full:settimeout(0.02)
    while full:recv() do
      n = n + 1
    end
    assert.is_true(n < sent)
  end)

  it("that goes away is an error of its senders only", function()
    local other = bind "unixgram:@"
    fill(full.localaddr, 300)
    local to = full.localaddr
    full:close()
    assert.equal("ECONNREFUSED", sender:join())
    assert.equal("ECONNREFUSED", code(socket:send("x", to)))
    local ok, err = socket:send("hello", other.localaddr)
    assert.is_true(ok ~= nil or err.earlier)
    assert.equal("hello", (other:recv()))
  end)

  it("does not hold up a connected peer, nor he it, nor makes it anybody spin", function()
    local peer = bind "unixgram:@"
    assert(socket:connect(peer.localaddr))
    fill(full.localaddr, 300)
    local clock = os.clock()
    task.sleep(0.3)
    assert.is_true(os.clock() - clock < 0.2)
    for i = 1, 50 do
      assert(socket:send("peer " .. i))
      assert.equal("peer " .. i, (peer:recv()))
    end
    -- Now the peer is full, too.
    local second = task.spawn(function()
      for i = 1, 200 do
        assert(socket:send("peer " .. i))
      end
    end)
    task.sleep(0.05)
    for i = 1, 300 do
      assert.equal(tostring(i), (full:recv()))
    end
    assert.equal("waiting", second.status)
    for i = 1, 200 do
      assert.equal("peer " .. i, (peer:recv()))
    end
    second:join()
    sender:join()
  end)

  it("as the former peer is waited for by connect, and others are not", function()
    local peer, other = bind "unixgram:@", bind "unixgram:@"
    assert(socket:connect(peer.localaddr))
    fill(nil, 100)
    local change = task.spawn(function()
      assert(socket:connect(other.localaddr))
      return "connected"
    end)
    task.sleep(0.05)
    assert.equal(peer.localaddr, socket.remoteaddr)
    for i = 1, 100 do
      assert.equal(tostring(i), (peer:recv()))
    end
    assert.equal("connected", change:join())
    assert(socket:send "to the other")
    assert.equal("to the other", (other:recv()))
    sender:join()
    fill(full.localaddr, 300)
    assert(task.timeout(5, socket.connect, socket, peer.localaddr))
    assert.equal(peer.localaddr, socket.remoteaddr)
    socket:close()
    sender:join()
  end)
end)
