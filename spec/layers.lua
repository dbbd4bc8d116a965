-- What is particular of a stream that is made of another one. That it is a stream
-- like any other, stream_spec and its like say, which run over layers, too.

local child = require "spec.support.child"
local host = require "neap.host"
local layers = require "layers"
local task = require "neap.task"
local trace = require "neap.trace"
local transports = require "spec.support.transports"

child.neap = child.neap:gsub("neap$", "layers")

local function code_of(_, err)
  return err and err.code
end

local turn = {}
for i = 0, 255 do
  turn[string.char(i)] = string.char(i ~ 0x5a)
end

--- What "xor" makes of bytes.
local function turned(bytes)
  return (bytes:gsub(".", turn))
end

for _, kind in ipairs {"tcp", "unix", "mem"} do
  describe(("a layer over %s"):format(kind), function()
    local lower, theirs, upper

    after_each(function()
      if upper then
        upper:reset()
      end
      upper = nil
    end)

    transports.each_test(kind, function(a, b)
      lower, theirs = a, b
    end)

    it("turns what passes, both ways", function()
      upper = layers.over(lower, "xor")
      upper:write "there"
      upper:flush()
      assert.equal(turned "there", theirs:recv())
      theirs:write "and back"
      assert.equal(turned "and back", upper:recv())
    end)

    it("gets what was read before, and sends what was gathered, in order", function()
      theirs:write "line\nrest"
      assert.equal("line", lower:read())
      lower:write "before "
      upper = layers.over(lower, "xor")
      upper:write "after"
      upper:flush()
      assert.equal("before " .. turned "after", theirs:read(12))
      assert.equal(turned "rest", upper:recv())
    end)

    it("keeps its descriptor, which is not its own", function()
      upper = layers.over(lower, "xor")
      assert.equal("EOPNOTSUPP", code_of(upper:detach()))
      assert.equal("EBADF", code_of(lower:detach()))
      upper:write "on"
      assert.equal(turned "on", theirs:read(2))
    end)

    it("gets the end that had come before", function()
      theirs:write "last"
      theirs:close()
      assert.equal("last", lower:peek(10))
      upper = layers.over(lower, "xor")
      assert.equal(turned "last", upper:read "a")
      assert.is_nil(upper:read(1))
    end)

    it("closes its lower one for the script, and fails who waits for it", function()
      local reader = task.spawn(lower.recv, lower)
      task.yield()
      upper = layers.over(lower, "xor")
      assert.equal("ECANCELED", code_of(reader:join()))
      assert.equal("EBADF", code_of(lower:recv()))
      assert.equal("EBADF", code_of(lower:write "x"))
      theirs:write "still there"
      assert.equal(turned "still there", upper:recv())
    end)

    it("has the options and addresses of its lower one, and no descriptor", function()
      local localaddr, family = lower.localaddr, lower.family
      upper = layers.over(layers.over(lower, "cut"), "xor")
      assert.equal("xor", upper.protocol)
      assert.equal(localaddr, upper.localaddr)
      assert.equal(family, upper.family)
      assert.is_nil(upper.fd)
      if kind ~= "mem" then
        assert(upper:set {rcvbuf = 30000})
        assert.is_true(upper:get "rcvbuf" >= 30000)
      else
        assert.equal("ENOPROTOOPT", code_of(upper:get "rcvbuf"))
      end
      assert.equal("EOPNOTSUPP", code_of(upper:sendfd("x", {0})))
      assert.equal("EOPNOTSUPP", code_of(upper:recvfd()))
    end)

    it("counts once, and is listed once", function()
      local streams, sockets = host.stats().streams, #host.sockets()
      upper = layers.over(layers.over(lower, "cut"), "xor")
      assert.equal(streams, host.stats().streams)
      assert.equal(sockets, #host.sockets())
      upper:reset()
      theirs:reset()
      for _ = 1, 1000 do
        if host.stats().streams == 0 then
          break
        end
        task.sleep(0.001)
      end
      assert.equal(0, host.stats().streams)
    end)

    it("waits in flush and shutdown for what its lower one keeps", function()
      lower:set {sndbuf = 16384}
      upper = layers.over(lower, "xor")
      local bytes = ("x"):rep(1 << 20)
      local flushed = false
      local writer = task.spawn(function()
        assert(upper:write(bytes))
        assert(upper:flush())
        flushed = true
        assert(upper:shutdown())
      end)
      task.sleep(0.01)
      assert.is_false(flushed)
      assert.is_true(theirs:read "a" == turned(bytes))
      writer:join()
      assert.is_true(flushed)
    end)

    it("has sent all when flush returns", function()
      lower:set {sndbuf = 16384}
      upper = layers.over(lower, "xor")
      local bytes = ("x"):rep(1 << 20)
      local left
      local writer = task.spawn(function()
        assert(upper:write(bytes))
        assert(upper:flush())
        left = host.socket(upper).queued_out
      end)
      assert.equal(#bytes, #theirs:read(#bytes))
      writer:join()
      assert.equal(0, left)
    end)

    it("fails in flush where its lower one can't send what it keeps", function()
      lower:set {sndbuf = 16384}
      upper = layers.over(lower, "xor")
      repeat
        upper:write(("x"):rep(1000))
        task.yield()
      until host.socket(upper).queued_out > 0
      local flushing = task.spawn(upper.flush, upper)
      task.yield()
      assert.equal("waiting", flushing.status)
      theirs:reset()
      local ok, err = flushing:join()
      assert.is_nil(ok)
      assert.is_true(err.code == "EPIPE" or err.code == "ECONNRESET", err.code)
    end)

    it("sends all behind its close, and then is gone", function()
      lower:set {sndbuf = 16384}
      upper = layers.over(layers.over(lower, "xor"), "cut")
      local bytes = ("x"):rep(1 << 20)
      upper:settimeout(0.001)
      upper:write(bytes)
      upper:close()
      assert.is_true(theirs:read "a" == turned(bytes))
    end)

    it("stops its lower one where nobody reads, and loses nothing", function()
      local bytes = ("0123456789"):rep(400000)
      upper = layers.over(lower, "xor")
      local writer = task.spawn(function()
        assert(theirs:write(bytes))
        assert(theirs:shutdown())
      end)
      upper:peek(1)
      task.sleep(0.01)
      for _, s in ipairs(host.sockets()) do
        assert.is_true((s.queued_in or 0) < 200000, s.queued_in)
      end
      assert.equal("waiting", writer.status)
      assert.is_true(upper:read "a" == turned(bytes))
      writer:join()
    end)

    it("is refused above eight others", function()
      upper = lower
      for i = 1, 8 do
        upper = layers.over(upper, i % 2 == 0 and "xor" or "cut")
      end
      assert.error_matches(function()
        layers.over(upper, "xor")
      end, "too many layers")
      upper:write "through all"
      upper:flush()
      assert.equal("through all", theirs:recv(11))
      local writer = task.spawn(function()
        assert(theirs:write(("back"):rep(50000)))
        assert(theirs:shutdown())
      end)
      assert.is_true(upper:read "a" == ("back"):rep(50000))
      writer:join()
    end)

    it("is one stream to traces, with its own bytes", function()
      local tracer = assert(trace.events())
      local serial = tonumber(tostring(lower):match "%d+")
      lower:write "first"
      lower:flush()
      theirs:recv()
      upper = layers.over(lower, "xor")
      assert.equal(serial, tonumber(tostring(upper):match "%d+"))
      upper:write "plain"
      upper:flush()
      theirs:recv()
      theirs:write(turned "answer")
      upper:recv()
      upper:reset()
      tracer:stop()
      local seen = {}
      for event in tracer do
        if event.serial == serial then
          seen[#seen + 1] = event.kind .. (event.data and " " .. event.data or "")
        end
      end
      assert.same({"write first", "write plain", "read answer", "reset"}, seen)
    end)
  end)
end

-- "greet" begins with "g", sends frames "f" with a length, and ends with "b".
for _, kind in ipairs {"tcp", "unix", "mem"} do
  describe(("a layer over %s, with a protocol of its own,"):format(kind), function()
    local lower, theirs

    transports.each_test(kind, function(a, b)
      lower, theirs = a, b
    end)

    it("is open when its peer has answered", function()
      local opening = task.spawn(layers.over, lower, "greet")
      assert.equal("g", theirs:read(1))
      assert.equal("waiting", opening.status)
      theirs:write "gf\0\5hello"
      local upper <close> = opening:join()
      assert.equal("hello", upper:recv())
      upper:write("one", "two")
      assert(upper:flush())
      assert.equal("f\0\6onetwo", theirs:read(9))
    end)

    it("fails where its peer does not answer so", function()
      for answer, code in pairs {[""] = "ECONNRESET", x = "EPROTO"} do
        local mine, other = transports.pair(kind)
        other:write(answer)
        other:shutdown()
        local upper, err = layers.over(mine, "greet")
        assert.is_nil(upper)
        assert.equal(code, err.code)
        assert.equal("EBADF", code_of(mine:recv()))
        other:close()
      end
    end)

    it("can be given up while it waits for that", function()
      local opening = task.spawn(layers.over, lower, "greet")
      task.sleep(0.001)
      opening:cancel()
      assert.equal("ECANCELED", code_of(opening:join()))
      assert.equal("g", theirs:read(1))
    end)

    it("knows an end that was meant from one that was not", function()
      for word, code in pairs {b = false, [""] = "ECONNRESET"} do
        local mine, other = transports.pair(kind)
        other:write("gf\0\4last", word)
        other:shutdown()
        local upper <close> = assert(layers.over(mine, "greet"))
        assert.equal("last", upper:read(4))
        local bytes, err = upper:recv()
        assert.is_nil(bytes)
        assert.equal(code, err and err.code or false)
        other:close()
      end
    end)

    it("makes nothing of what arrives behind its close", function()
      if kind ~= "unix" then
        return -- a close resets, or it is told at once
      end
      theirs:write "g"
      local upper = assert(layers.over(lower, "greet"))
      theirs:write "f\0\5he"
      theirs:flush()
      upper:close()
      for _ = 1, 3 do -- the rest is no frame any more
        assert(theirs:write "llo")
        assert(theirs:flush())
        task.sleep(0.001)
      end
      assert.equal("gb", theirs:read "a")
    end)

    it("has the last word behind all that was written, by shutdown and by close", function()
      for _, how in ipairs {"shutdown", "close"} do
        local mine, other = transports.pair(kind)
        mine:set {sndbuf = 16384}
        other:write "g"
        local upper <close> = assert(layers.over(mine, "greet"))
        upper:settimeout(0.001)
        upper:write(("x"):rep(1 << 20))
        upper[how](upper)
        local got = other:read "a"
        assert.equal("gf", got:sub(1, 2))
        assert.equal("xb", got:sub(-2))
        assert.equal(1 << 20, select(2, got:gsub("x", "")))
        other:close()
      end
    end)
  end)
end

describe("the system calls of a layer", function()
  it("are one write for the small writes of a run", function()
    local calls = child.strace({"-e", "trace=sendto,sendmsg"}, [[
      local layers = require "layers"
      local a, b = net.socketpair()
      a = layers.over(layers.over(a, "xor"), "xor")
      task.yield() -- a turn of its own, which is long enough also for who traces
      for i = 1, 50 do
        a:write("line ", i, "\n")
      end
      task.yield()
      a:write("small", ("z"):rep(20000), "more")
    ]]).calls
    local sizes = {}
    for i, line in ipairs(calls) do
      sizes[i] = line:match "= (%d+)$"
    end
    assert.same({"391", "20009"}, sizes)
  end)
end)
