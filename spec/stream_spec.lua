-- Streams: deadlines, the end, wrong calls, what they are. (Reading and writing:
-- stream_read_spec, stream_write_spec.)

local net = require "neap.net"
local task = require "neap.task"
local aside = require "spec.support.aside"
local child = require "spec.support.child"
local code_of = require "spec.support.code_of"
local streams = require "spec.support.streams"
local transports = require "spec.support.transports"

local pour, pattern, call = streams.pour, transports.pattern, streams.call
local litter, narrow = streams.litter, streams.narrow

-- What a reset peer looks like: a unix socket's reset is its end.
local reset_code = {tcp = "ECONNRESET", mem = "ECONNRESET"}

for _, kind in ipairs(transports.names) do
  describe(("a stream (%s)"):format(kind), function()
    local ours, theirs

    local renew = transports.each_test(kind, function(a, b)
      ours, theirs = a, b
    end)

    describe("settimeout", function()
      it("limits each later wait", function()
        assert.equal(ours, ours:settimeout(0.005))
        for _, verb in ipairs {
          {"recv"}, {"read", "l"}, {"read", 5}, {"readuntil", "x"}, {"peek", 1}, {"unpack", "B"},
        } do
          local result, err = call(ours, table.unpack(verb))
          assert.is_nil(result)
          assert.equal("ETIMEDOUT", err.code)
          assert.equal(verb[1], err.op)
        end
        ours:settimeout(nil)
        local reader = aside(ours.read, ours, 4)
        task.sleep(0.02)
        theirs:write "late"
        assert.equal("late", (reader:join()))
      end)

      it("C6: limits writes, which say how many bytes they accepted", function()
        narrow(ours)
        ours:settimeout(0.005)
        local block = ("x"):rep(1 << 22)
        local result, err = ours:write(block)
        assert.is_nil(result)
        assert.equal("ETIMEDOUT", err.code)
        assert.equal("write", err.op)
        assert.equal(#block, err.accepted)
        _, err = ours:write "y"
        assert.equal("ETIMEDOUT", err.code)
        assert.equal(0, err.accepted)
        assert.is_true(theirs:read(#block) == block)
        ours:settimeout(nil)
        ours:write "z"
        assert.equal("z", theirs:recv())
      end)

      it("I7: takes what is sensible", function()
        for _, seconds in ipairs {math.huge, 1e300, 1e-300, 2 ^ 63, 1, 0.5} do
          assert.equal(ours, ours:settimeout(seconds))
        end
        for _, least in ipairs {1e-300, 0} do
          ours:settimeout(least)
          assert.equal("ETIMEDOUT", code_of(ours:recv()))
        end
        for _, wrong in ipairs {-1, 0 / 0, -math.huge, "x", {}} do
          assert.has_error(function()
            ours:settimeout(wrong)
          end)
        end
      end)
    end)

    describe("close", function()
      it("B9: may be called twice", function()
        assert.is_true(ours:close())
        assert.is_true(ours:close())
        assert.is_true(ours:reset())
        do
          local again <close> = ours
          assert.equal(ours, again)
        end
        assert.matches("^stream %d+ %(closed%)$", tostring(ours))
      end)

      it("B9: happens at the end of a <close> variable's scope", function()
        do
          local stream <close> = ours
          stream:write "bye"
        end
        assert.equal("bye", theirs:read "a")
        assert.equal("EBADF", code_of(ours:recv()))
      end)

      it("B7: fails every later call, with EBADF", function()
        ours:close()
        for _ = 1, 2 do
          for _, verb in ipairs {
            {"recv"}, {"read"}, {"read", "a"}, {"readuntil", "x"}, {"peek", 1}, {"unpack", "B"},
            {"write", "x"}, {"write"}, {"pack", "B", 1}, {"flush"}, {"shutdown"}, {"settimeout", 1},
            {"set", {nodelay = true}}, {"get", "nodelay"},
          } do
            local result, err = call(ours, table.unpack(verb))
            assert.is_nil(result)
            assert.equal("EBADF", err.code, verb[1])
          end
          for _, field in ipairs {
            "localaddr", "remoteaddr", "family", "protocol", "fd", "peercred",
          } do
            assert.is_nil(ours[field])
          end
        end
      end)

      it("B13: wakes a reader and writers that wait, in the same round", function()
        local codes = {}
        narrow(ours)
        local function note(name, _, err)
          codes[name] = err.code
        end
        local tasks = {
          aside(function() note("reader", ours:recv()) end),
          aside(function() note("first writer", ours:write(("x"):rep(1 << 22))) end),
          aside(function() note("second writer", ours:write "y") end),
          aside(function() note("flush", ours:flush()) end),
        }
        task.sleep(0.005)
        assert.same({}, codes)
        ours:close()
        task.yield()
        assert.same({
          reader = "ECANCELED", flush = "ECANCELED",
          ["first writer"] = "ECANCELED", ["second writer"] = "ECANCELED",
        }, codes)
        for _, t in ipairs(tasks) do
          t:join()
        end
      end)

      it("B17: sends what was accepted first", function()
        local bytes = pattern(2 << 20)
        narrow(ours)
        ours:settimeout(0.001)
        assert.equal(#bytes, select(2, ours:write(bytes)).accepted)
        assert.is_true(ours:close())
        assert.is_true(theirs:read "a" == bytes)
        assert.is_nil(theirs:recv())
      end)

      it("B17: sends what small writes gathered", function()
        ours:write("a", "b")
        ours:write "c"
        ours:close()
        assert.equal("abc", theirs:read "a")
      end)

      it("B17: with bytes unread loses none of those that were written", function()
        local bytes = pattern(2 << 20)
        theirs:write "a request that nobody reads"
        theirs:flush()
        local writer = aside(function()
          assert(ours:write(bytes))
          ours:close()
        end)
        task.sleep(0.002)
        assert.is_true(theirs:read "a" == bytes)
        writer:join()
      end)

      it("B17: with bytes read but not taken loses none, either", function()
        local bytes = pattern(2 << 20)
        theirs:write(("x"):rep(50000))
        theirs:flush()
        assert.equal("x", ours:peek(1))
        local writer = aside(function()
          assert(ours:write(bytes))
          ours:close()
        end)
        task.sleep(0.002)
        theirs:write "and one more"
        assert.is_true(theirs:read "a" == bytes)
        writer:join()
      end)

      it("J1: happens when nothing refers to it any more", function()
        local mine, other <close> = transports.pair(kind)
        mine:write "last words"
        mine = nil -- luacheck: ignore 311
        collectgarbage()
        collectgarbage()
        assert.equal("last words", other:read "a")
      end)

      it("J2: does not happen while a task waits for it", function()
        local reader
        do
          local mine, other = transports.pair(kind)
          reader = aside(mine.read, mine, 5)
          task.yield()
          aside(function()
            task.sleep(0.005)
            other:write "woken"
            other:close()
          end)
        end
        collectgarbage()
        collectgarbage()
        assert.equal("woken", (reader:join()))
        collectgarbage()
      end)

      it("N6: from a finalizer does no harm to the call that it interrupts", function()
        local formats = {}
        for i = 1, 1000 do
          formats[i] = "l"
        end
        local mode = collectgarbage("generational", 1, 1)
        for i = 1, 20 do
          local line = "a line of more than forty bytes, so that it is long\n"
          local writer = aside(pour, theirs, line:rep(1000))
          ours:peek(51000)
          local stream = ours
          setmetatable({}, {__gc = function()
            stream:close()
          end})
          litter(i * 100)
          local first = ours:read(table.unpack(formats))
          assert.is_true(first == nil or #first == 51)
          writer:join()
          renew()
        end
        collectgarbage(mode)
      end)
    end)

    it("N6: hears its peer's last words in the middle of a call", function()
      local lines = ("a line of more than forty bytes, so that it is long\n"):rep(1000)
      local formats = {}
      for i = 1, 1000 do
        formats[i] = "l"
      end
      local mode = collectgarbage("generational", 1, 1)
      for i = 1, 10 do
        local mine, other = transports.pair(kind)
        local writer = aside(other.write, other, lines)
        mine:peek(51000)
        writer:join()
        other:write(("last"):rep(3000))
        setmetatable({}, {__gc = function()
          other:close()
        end})
        litter(i * 100)
        local read = table.pack(mine:read(table.unpack(formats)))
        assert.equal(1000, read.n)
        for k = 1, 1000 do
          assert(read[k] == lines:sub(1, 51), read[k])
        end
        collectgarbage()
        collectgarbage()
        assert.is_true(mine:read "a" == ("last"):rep(3000))
        mine:close()
      end
      collectgarbage(mode)
    end)

    describe("the peer's reset", function()
      local code = reset_code[transports.bottom(kind)] or kind:find "^tls" and "ETLSCUT" or nil

      it("B3: ends a read that waits, and every later one", function()
        local reader = aside(ours.recv, ours)
        task.yield()
        theirs:reset()
        assert.equal(code, code_of(reader:join()))
        for _ = 1, 2 do
          assert.equal(code, code_of(ours:recv()))
          assert.equal(code, code_of(ours:read "l"))
        end
        assert.is_true(ours:close())
      end)

      it("B3: is told after the bytes that came before it", function()
        theirs:write "before"
        theirs:flush()
        ours:peek(6)
        theirs:reset()
        task.sleep(0.002)
        assert.equal("before", ours:recv())
        assert.equal(code, code_of(ours:recv()))
      end)

      it("B4: ends a write that waits", function()
        local block = ("x"):rep(16 << 20)
        local writer = aside(ours.write, ours, block)
        task.sleep(0.002)
        theirs:reset()
        local result, err = writer:join()
        assert.is_nil(result)
        assert.is_true(err.code == "ECONNRESET" or err.code == "EPIPE", err.code)
        assert.equal(#block, err.accepted)
        result, err = ours:write "more"
        assert.is_nil(result)
        assert.equal(0, err.accepted)
      end)

      it("is told to the next call when a small write had succeeded", function()
        theirs:reset()
        task.sleep(0.002)
        assert.equal(ours, ours:write "lost")
        task.yield()
        local result, err = ours:write "next"
        assert.is_nil(result)
        assert.is_true(err.code == "ECONNRESET" or err.code == "EPIPE", err.code)
      end)

      it("is told by close when no other call came", function()
        theirs:reset()
        task.sleep(0.002)
        assert.equal(ours, ours:write "lost")
        local result, err = ours:close()
        assert.is_nil(result)
        assert.is_true(err.code == "ECONNRESET" or err.code == "EPIPE", err.code)
        assert.is_true(ours:close())
      end)
    end)

    describe("two readers", function()
      it("B12: are one too many", function()
        local reader = aside(ours.readexactly, ours, 13)
        task.yield()
        for _, verb in ipairs {
          {"recv"}, {"read"}, {"readuntil", "x"}, {"peek", 1}, {"unpack", "B"},
        } do
          assert.error_matches(function()
            call(ours, table.unpack(verb))
          end, "EBUSY")
        end
        assert.error_matches(ours:lines(), "EBUSY")
        assert.error_matches(function()
          net.relay(ours, theirs)
        end, "EBUSY")
        theirs:write "for the first"
        assert.equal("for the first", (reader:join()))
        theirs:write "next"
        assert.equal("next", ours:read(4))
      end)

      it("B12: are none after the first was cancelled or late", function()
        local reader = aside(ours.recv, ours)
        task.yield()
        reader:cancel()
        assert.is_false(pcall(reader.join, reader))
        task.timeout(0.001, ours.read, ours, "a")
        ours:settimeout(0.001)
        ours:recv()
        theirs:write "free"
        assert.equal("free", ours:read(4))
      end)
    end)

    describe("a wrong argument", function()
      local wrong = {
        {"recv", 0}, {"recv", -1}, {"recv", 2 ^ 31}, {"recv", 1.5}, {"recv", 0 / 0}, {"recv", {}},
        {"read", -1}, {"read", 2 ^ 31}, {"read", 2 ^ 53}, {"read", 1.5}, {"read", "x"}, {"read",
        ""},
        {"read", "*"}, {"read", true}, {"read", "l", "q"}, {"read", "l", {}},
        {"readuntil"}, {"readuntil", ""}, {"readuntil", {}}, {"readuntil", "x", 0}, {"readuntil",
        "x", "y"},
        {"peek"}, {"peek", 0}, {"peek", 65537}, {"peek", -1}, {"peek", 0.5},
        {"unpack"}, {"unpack", {}}, {"unpack", "q"}, {"unpack", "B", 0}, {"unpack", "i17"},
        {"pack", "B", 256}, {"pack", "q"}, {"pack", "B"}, {"pack"},
        {"write", {}}, {"write", true}, {"write", "a", false}, {"write", print},
        {"lines", "x"}, {"lines", -1}, {"settimeout", "x"}, {"settimeout", -1},
        {"set"}, {"set", 1}, {"set", {nosuch = 1}}, {"get"}, {"get", "nosuch"}, {"get", 1},
      }

      for _, verb in ipairs(wrong) do
        local name = verb[1]
        local text = {}
        for i = 2, #verb do
          local is_text = type(verb[i]) == "string"
          text[#text + 1] = is_text and ("%q"):format(verb[i]) or tostring(verb[i])
        end
        text = table.concat(text, ", "):gsub("0x%x+", "...")
        it(("O1: %s(%s) raises, naming it"):format(name, text), function()
          theirs:write "some bytes"
          local ok, message = pcall(call, ours, table.unpack(verb))
          assert.is_false(ok)
          assert.is_string(message)
          assert.matches(name, message)
          assert.equal("some bytes", ours:read(10))
        end)
      end

      it("O1: of any kind, at any place, raises or is taken, and the stream lives", function()
        local cyclic = {}
        cyclic[1] = cyclic
        local closed = net.socketpair("mem")
        closed:close()
        local values = {
          n = 24, nil, true, 0, -1, 1, 2 ^ 31, 2 ^ 53, math.maxinteger, math.mininteger, 0 / 0,
          math.huge,
          1.5, "", "\0", "a\0b", "1", ("x"):rep(1 << 20), {}, cyclic, print,
          coroutine.create(print),
          io.stdout, closed, setmetatable({}, {__index = error, __pairs = error, __len = error}),
        }
        local function try(name, ...)
          local arguments = table.pack(...)
          local ok, err = pcall(task.timeout, 0.0002, function()
            return call(ours, name, table.unpack(arguments, 1, arguments.n))
          end)
          if not ok then
            assert.is_string(err)
            assert.matches(name == "pack" and "pack" or "'" .. name .. "'", err)
          end
        end
        for _, name in ipairs {
          "recv", "read", "lines", "chunks", "readuntil", "peek", "unpack", "pack", "write",
          "flush", "set",
          "get", "settimeout", "shutdown", "close", "reset",
        } do
          for i = 1, values.n do
            try(name, values[i])
            try(name, "B", values[i])
            try(name, values[i], 1)
            if ours.protocol == nil or i % 8 == 0 then
              renew()
            end
          end
          renew()
        end
        theirs:write "alive"
        assert.equal("alive", ours:read(5))
      end)

      it("O5: '.' for ':' raises, naming what was expected", function()
        for _, name in ipairs {
          "recv", "read", "readuntil", "peek", "unpack", "lines", "chunks", "write", "flush",
          "shutdown",
          "close", "reset", "set", "get", "settimeout",
        } do
          for _, self in ipairs {1, "x", {}, io.stderr} do
            local ok, message = pcall(ours[name], self)
            assert.is_false(ok)
            assert.matches("neap%.Stream expected", message)
          end
          assert.is_false(pcall(ours[name]))
        end
      end)

      it("O7: numbers and strings stand for each other, as elsewhere in Lua", function()
        theirs:write(12, "34")
        assert.equal("1", ours:recv "1")
        assert.equal("2", ours:read(1.0))
        assert.equal("3", ours:peek(2.0):sub(1, 1))
        assert.equal("34", ours:recv(2.0))
      end)
    end)

    it("has the fields of what it is", function()
      assert.equal("stream", ours.type)
      local bottom, protocol = transports.bottom(kind), transports.protocol(kind)
      assert.equal(protocol, ours.protocol)
      assert.equal(({tcp = "inet", unix = "unix"})[bottom], ours.family)
      assert.equal(bottom == "mem" or bottom ~= kind, ours.fd == nil)
      assert.equal(bottom == "unix", ours.peercred ~= nil)
      assert.is_false((pcall(function() return ours.nosuch end)))
      assert.matches("^stream %d+ %(" .. protocol, tostring(ours))
      if bottom == "tcp" then
        assert.equal(theirs.localaddr, ours.remoteaddr)
        assert.equal(ours.localaddr, theirs.remoteaddr)
        assert.equal("127.0.0.1", ours.remoteaddr.ip)
      end
    end)

    it("carries both directions at once", function()
      local bytes = pattern(2 << 20)
      local function swap(stream)
        local got
        task.scope(function(scope)
          scope:spawn(pour, stream, bytes)
          got = stream:read "a"
        end)
        return got == bytes
      end
      assert.same({true, true, n = 2}, task.all {
        function() return swap(ours) end, function() return swap(theirs) end,
      })
    end)
  end)
end

describe("an idle stream", function()
  it("K3: has no buffer once all that came is read", function()
    local result = child.run_lean [[
      local function memory()
        collectgarbage()
        local file <close> = assert(io.open "/proc/self/statm")
        return select(2, file:read("n", "n")) * 4096
      end
      local block = ("x"):rep(60000)
      local all, before = {}
      for i = 1, 300 do
        local a, b = net.socketpair()
        all[i] = {a, b}
        a:write(block)
        b:peek(#block)
        task.sleep(1e-9) -- now it is kept
        assert(#b:read(#block) == #block)
        before = before or memory()
      end
      print(memory() - before)
    ]]
    assert.equal("", result.stderr)
    assert.is_true(tonumber(result.stdout) < 4 << 20, result.stdout)
  end)
end)
