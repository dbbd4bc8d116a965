-- Every way to wait meets every way to be interrupted. Whatever ends a wait,
-- `<close>` variables run from the last to the first, nobody else notices, what
-- was received stays, and what was opened is gone.

local host = require "neap.host"
local net = require "neap.net"
local process = require "neap.process"
local signal = require "neap.signal"
local task = require "neap.task"
local time = require "neap.time"
local transports = require "spec.support.transports"
local worker = require "neap.worker"

local neap = (os.getenv "NEAP_BUILD" or "build") .. "/neap"

--- Seconds until a wait is interrupted.
local SOON = 0.001

--- What the census counts beyond `before`, once what was closed is gone.
local function left_since(before)
  local left
  for i = 1, 200 do
    left = {}
    for kind, count in pairs(host.census()) do
      if count > before[kind] then
        left[#left + 1] = ("%s: %d, was %d"):format(kind, count, before[kind])
      end
    end
    if #left == 0 then
      break
    end
    if i > 20 then
      collectgarbage()
    end
    task.sleep(i * 1e-4)
  end
  return table.concat(left, ", ")
end

--- A test that leaves nothing behind.
local function case(name, f)
  it(name, function()
    local before = host.census()
    f()
    assert.equal("", left_since(before))
  end)
end

local function code_of(_, err)
  return err and err.code
end

--- Let all that is ready run, and what the kernel has ready come in.
local function settle()
  task.sleep(SOON)
end

--- Bytes that differ everywhere, so that a loss or a swap shows.
local function pattern(n)
  local parts = {}
  for i = 1, n // 8 + 1 do
    parts[i] = ("%08x"):format(i)
  end
  return table.concat(parts):sub(1, n)
end

local function read_all(stream)
  return assert(stream:read "a")
end

--- Some bytes both ways.
local function assert_usable(a, b)
  assert(a:write "ping\n")
  assert.equal("ping", b:read "l")
  assert(b:write "pong\n")
  assert.equal("pong", a:read "l")
end

--- A pair of which the first is soon full, when the second does not read.
local function narrow_pair(kind)
  local ours, theirs = transports.pair(kind)
  ours:set {sndbuf = 65536}
  theirs:set {rcvbuf = 65536}
  return ours, theirs
end

--- Write far more than the kernel takes; returns how many bytes that was.
local function stuff(stream)
  local bytes = ("s"):rep(1024 * 1024)
  assert.equal("ETIMEDOUT", code_of(task.timeout(0.02, stream.write, stream, bytes)))
  return #bytes
end

--- `f(...)` between two variables to close; `closed` gets their names, in order.
local function guarded(closed, f, ...)
  local function guard(name)
    return setmetatable({}, {__close = function() closed[#closed + 1] = name end})
  end
  local outer <close> = guard "outer"
  local inner <close> = guard "inner"
  return select(3, outer, inner, f(...))
end

local function assert_closed(closed)
  assert.same({"inner", "outer"}, closed)
end

-- How a wait is interrupted: each way calls wait() in a task, and checks how that
-- ends there.

local ways = {}

ways["task:cancel"] = function(wait)
  local closed = {}
  local t, result, err
  task.scope(function(s)
    t = s:spawn(guarded, closed, wait)
    settle()
    assert.equal("waiting", t.status)
    t:cancel()
    result, err = t:join()
  end)
  assert.is_nil(result)
  assert.equal("ECANCELED", err.code)
  assert.equal("cancelled", err.message)
  assert.equal("cancelled", t.status)
  assert_closed(closed)
end

ways["task:cancel, seen by a pcall"] = function(wait)
  local closed = {}
  local ok, err, again
  task.scope(function(s)
    local t = s:spawn(function()
      ok, err = pcall(guarded, closed, wait)
      again = select(2, pcall(task.sleep, 1))
    end)
    settle()
    t:cancel "enough"
    t:join()
    assert.equal("done", t.status) -- it returned
  end)
  assert.is_false(ok)
  assert.equal("enough", err.message)
  assert.equal(err, again)
  assert_closed(closed)
end

ways["task.timeout"] = function(wait)
  local closed = {}
  local result, err = task.timeout(SOON, guarded, closed, wait)
  assert.is_nil(result)
  assert.equal("ETIMEDOUT", err.code)
  assert.equal("timeout", err.op)
  assert_closed(closed)
end

ways["task.timeout, inside a coroutine"] = function(wait)
  local closed, outside = {}, {}
  local result, err = task.timeout(SOON, guarded, outside, coroutine.wrap(function()
    return guarded(closed, wait)
  end))
  assert.is_nil(result)
  assert.equal("ETIMEDOUT", err.code)
  assert_closed(closed)
  assert_closed(outside)
end

ways["its scope's cancel"] = function(wait)
  local closed = {}
  local t
  local result, err = task.scope(function(s)
    t = s:spawn(guarded, closed, wait)
    settle()
    s:cancel()
    task.sleep(10)
  end)
  assert.is_nil(result)
  assert.equal("ECANCELED", err.code)
  assert.equal("cancelled", t.status)
  assert_closed(closed)
end

ways["task.race, which another wins"] = function(wait)
  local closed = {}
  assert.equal("won", task.race {
    function() return guarded(closed, wait) end,
    function()
      settle()
      return "won"
    end,
  })
  assert_closed(closed)
end

ways["a sibling's failure"] = function(wait)
  local closed = {}
  local ok, err = pcall(task.all, {
    function() return guarded(closed, wait) end,
    function()
      settle()
      error("broken", 0)
    end,
  })
  assert.is_false(ok)
  assert.equal("broken", err)
  assert_closed(closed)
end

local way_names = {}
for name in pairs(ways) do
  way_names[#way_names + 1] = name
end
table.sort(way_names)

--- For each way: begin() gives the wait, and what is to hold behind it.
local function interrupts(what, begin)
  for _, name in ipairs(way_names) do
    case(("I1: %s: %s"):format(what, name), function()
      local wait, check = begin()
      ways[name](wait)
      if check then
        check()
      end
    end)
  end
end


-- Reading.

--- What each reader is given before and after the interruption, and takes then.
local readers = {
  {"recv", function(s) return s:recv() end, "", "bytes", "bytes"},
  {"recv of a few", function(s) return s:recv(3) end, "", "bytes", "byt"},
  {"read 'l'", function(s) return s:read() end, "half ", "a line\nrest", "half a line"},
  {"read 'L'", function(s) return s:read "L" end, "half ", "a line\nrest", "half a line\n"},
  {"read 'n'", function(s) return s:read "n" end, " 12", "34 rest", 1234},
  {"read of a count", function(s) return s:read(10) end, "12345", "67890rest", "1234567890"},
  {"read of 0", function(s) return s:read(0) end, "", "rest", ""},
  {"read of several", function(s) return s:read("l", 4) end, "one\ntw", "o more", "one"},
  {"read 'a'", function(s) return s:read "a" end, "some ", "more", "some more", true},
  {"lines", function(s) return s:lines()() end, "half ", "a line\nrest", "half a line"},
  {"chunks", function(s) return s:chunks()() end, "", "bytes", "bytes"},
  {"readuntil", function(s) return s:readuntil "\r\n\r\n" end, "a\r\n\r", "\nb", "a"},
  {"peek", function(s) return s:peek(6) end, "abc", "defg", "abcdef"},
  {"unpack", function(s) return s:unpack "<s2" end, "\5\0abc", "defg", "abcde"},
  {"wait", function(s) return s:wait() end, "", "bytes", "r"},
  {"unpack of a number", function(s) return s:unpack ">I4" end, "\0\1", "\0\2rest", 65538},
}

for _, kind in ipairs(transports.names) do
  describe(("interrupting a reader (%s)"):format(kind), function()
    for _, row in ipairs(readers) do
      local name, read, before, after, taken, to_end = table.unpack(row, 1, 6)

      interrupts(name, function()
        local ours, theirs = transports.pair(kind)
        assert(theirs:write(before))
        return function()
          return read(ours)
        end, function()
          assert(theirs:write(after))
          if to_end then
            theirs:shutdown()
          end
          settle()
          assert.equal(taken, (read(ours)))
          assert(ours:write "still there\n")
          assert.equal("still there", theirs:read "l")
          theirs:close()
          ours:close()
        end
      end)

      case(("B15: %s: settimeout"):format(name), function()
        local ours <close>, theirs = transports.pair(kind)
        theirs:write(before)
        ours:settimeout(SOON)
        local closed = {}
        local ok, result, err = pcall(guarded, closed, read, ours)
        if name == "lines" or name == "chunks" then
          assert.is_false(ok)
          result, err = nil, result
        end
        assert.is_nil(result)
        assert.equal("ETIMEDOUT", err.code)
        assert.is_not_equal("timeout", err.op)
        assert_closed(closed)
        assert.equal(ours, ours:settimeout())
        theirs:write(after)
        theirs:close()
        assert.equal(taken, (read(ours)))
      end)

      case(("B15: %s: interrupted again and again"):format(name), function()
        local ours <close>, theirs = transports.pair(kind)
        for byte in before:gmatch "." do
          theirs:write(byte)
          assert.equal("ETIMEDOUT", code_of(task.timeout(0.0005, read, ours)))
        end
        theirs:write(after)
        theirs:close()
        assert.equal(taken, (read(ours)))
      end)

      case(("%s: closed by another task"):format(name), function()
        local ours, theirs <close> = transports.pair(kind)
        assert(theirs:write(before))
        local closed = {}
        local ok, err
        task.scope(function(s)
          s:spawn(guarded, closed, function()
            ok, err = pcall(read, ours)
            if ok then
              ok, err = read(ours)
            end
          end)
          settle()
          assert.is_true(ours:close())
        end)
        if name == "lines" or name == "chunks" then
          assert.is_false(ok)
        else
          assert.is_nil(ok)
        end
        assert.is_truthy(err.code == "EBADF" or err.code == "ECANCELED")
        assert_closed(closed)
      end)
    end

    case("B13: a close wakes the reader, once, with ECANCELED", function()
      local ours, theirs <close> = transports.pair(kind)
      local times, result, err = 0, nil, nil
      task.scope(function(s)
        s:spawn(function()
          result, err = ours:recv()
          times = times + 1
        end)
        settle()
        ours:close()
        assert.equal(0, times) -- it runs when its turn comes
        task.yield()
        assert.equal(1, times)
      end)
      assert.is_nil(result)
      assert.equal("ECANCELED", err.code)
      assert.equal("recv", err.op)
      assert.equal("EBADF", code_of(ours:recv()))
      assert.is_nil(theirs:recv(), "the peer sees the end")
    end)

    case("raises ECANCELED from an iterator whose stream is closed", function()
      for _, iterator in ipairs {"lines", "chunks"} do
        local ours, theirs <close> = transports.pair(kind)
        local ok, err
        task.scope(function(s)
          s:spawn(function()
            ok, err = pcall(function()
              for _ in ours[iterator](ours) do
                error "there is nothing"
              end
            end)
          end)
          settle()
          ours:close()
        end)
        assert.is_false(ok)
        assert.equal("ECANCELED", err.code)
        assert.is_nil(theirs:recv())
      end
    end)

    case("a peer's close is the end, behind what came before it", function()
      for _, row in ipairs(readers) do
        local name, read, before = table.unpack(row, 1, 3)
        local ours <close>, theirs = transports.pair(kind)
        theirs:write(before)
        local result, err
        task.scope(function(s)
          s:spawn(function()
            result, err = read(ours)
          end)
          settle()
          theirs:close()
        end)
        if name:find "unpack" then
          assert.equal("ENODATA", err.code, name)
          assert.is_nil(result)
          assert.equal(before, ours:read "a")
        elseif name == "read 'n'" then
          assert.equal(12, result)
        elseif name == "read of several" then
          assert.equal("one", result)
        elseif name == "wait" then
          assert.equal("r", result)
        elseif before == "" then
          assert.is_nil(result, name)
          assert.is_nil(err, name)
        else
          assert.equal(before, result, name)
        end
      end
    end)

    case("I5: bytes in the turn of the interruption are returned or left", function()
      for round = 1, 40 do
        local ours <close>, theirs = transports.pair(kind)
        local got = {}
        task.scope(function(s)
          local t = s:spawn(function()
            while true do
              got[#got + 1] = ours:recv()
            end
          end)
          task.yield()
          theirs:write "one "
          theirs:flush()
          if round % 2 == 0 then
            task.yield()
          end
          if round % 4 >= 2 then
            task.sleep(round * 1e-6)
          end
          t:cancel()
          theirs:write "two"
          theirs:close()
        end)
        assert.equal("one two", table.concat(got) .. read_all(ours))
      end
    end)

    case("I5: a deadline beside bytes loses none", function()
      local ours, theirs <close> = transports.pair(kind)
      local text = pattern(2000)
      local got, late = {}, 0
      task.scope(function(s)
        s:spawn(function()
          for i = 1, #text, 10 do
            theirs:write(text:sub(i, i + 9))
            task.sleep(i % 200 == 1 and 0.01 or 0.0004)
          end
          theirs:shutdown()
        end)
        while true do
          local bytes, err = task.timeout(0.0004, ours.recv, ours)
          if err then
            assert.equal("timeout", err.op)
            late = late + 1
          elseif not bytes then
            break
          end
          got[#got + 1] = bytes
        end
      end)
      assert.equal(text, table.concat(got))
      assert.is_true(late > 0)
    end)
  end)
end


-- Writing.

for _, kind in ipairs(transports.names) do
  describe(("interrupting a writer (%s)"):format(kind), function()
    local big = pattern(1024 * 1024)

    interrupts("a large write to a peer that does not read", function()
      local ours, theirs = narrow_pair(kind)
      return function() return ours:write(big) end, function()
        local writer, got
        task.scope(function(s)
          writer = s:spawn(function()
            assert(ours:write " and more")
            ours:shutdown()
          end)
          got = read_all(theirs)
        end)
        assert.equal("done", writer.status)
        assert.is_true(got == big .. " and more")
        theirs:write "back\n"
        assert.equal("back", ours:read())
        theirs:close()
        ours:close()
      end
    end)

    interrupts("a write that waits for its turn", function()
      local ours, theirs = narrow_pair(kind)
      local stuffed = stuff(ours)
      return function() return ours:write "never accepted" end, function()
        local got
        task.scope(function(s)
          s:spawn(function()
            assert(ours:write "the next")
            ours:shutdown()
          end)
          got = read_all(theirs)
        end)
        assert.equal(stuffed + #"the next", #got)
        assert.equal("ssthe next", got:sub(-10))
        ours:close()
        theirs:close()
      end
    end)

    interrupts("flush", function()
      local ours, theirs = narrow_pair(kind)
      local stuffed = stuff(ours)
      return function() return ours:flush() end, function()
        local got = 0
        task.scope(function(s)
          s:spawn(function()
            assert(ours:flush())
            ours:shutdown()
          end)
          for chunk in theirs:chunks() do
            got = got + #chunk
          end
        end)
        assert.equal(stuffed, got)
        ours:close()
        theirs:close()
      end
    end)

    for _, what in ipairs {"w", "rw"} do
      interrupts(("wait '%s'"):format(what), function()
        local ours, theirs = narrow_pair(kind)
        local stuffed = stuff(ours)
        return function() return ours:wait(what) end, function()
          local waiter
          task.scope(function(s)
            waiter = s:spawn(ours.wait, ours, what)
            task.yield()
            s:spawn(function()
              waiter:join()
              ours:shutdown()
            end)
            assert.equal(stuffed, #read_all(theirs))
          end)
          assert.equal("w", waiter:join())
          theirs:write "back\n"
          assert.equal("back", ours:read())
          theirs:close()
          ours:close()
        end
      end)
    end

    for name, wait in pairs {
      write = function(s) return s:write(big) end,
      flush = function(s)
        stuff(s)
        s:settimeout(SOON)
        return s:flush()
      end,
      pack = function(s) return s:pack("s4", big) end,
    } do
      case(("settimeout ends a stalled %s, and its bytes follow"):format(name), function()
        local ours, theirs <close> = narrow_pair(kind)
        ours:settimeout(SOON)
        local ok, err = wait(ours)
        assert.is_nil(ok)
        assert.equal("ETIMEDOUT", err.code)
        if name ~= "flush" then
          assert.is_true(err.accepted >= #big)
        end
        ours:settimeout()
        ours:close()
        local got = read_all(theirs)
        if name == "write" then
          assert.is_true(got == big)
        elseif name == "pack" then
          assert.is_true(got == string.pack("s4", big))
        end
      end)
    end

    case("the other writers keep their order when one of them is cancelled", function()
      local ours, theirs <close> = narrow_pair(kind)
      stuff(ours)
      local writers, done = {}, {}
      task.scope(function(s)
        for i = 1, 5 do
          writers[i] = s:spawn(function()
            assert(ours:write(("(%d)"):format(i)))
            done[#done + 1] = i
          end)
          task.yield()
        end
        writers[2]:cancel()
        writers[4]:cancel()
        s:spawn(function()
          for _, i in ipairs {1, 3, 5} do
            writers[i]:join()
          end
          ours:shutdown()
        end)
        assert.equal("s(1)(3)(5)", read_all(theirs):sub(-10))
      end)
      assert.same({1, 3, 5}, done)
      ours:close()
    end)

    case("B13: a close wakes the reader and all writers, each once", function()
      local ours, theirs = narrow_pair(kind)
      local codes, accepted = {}, {}
      task.scope(function(s)
        local tasks = {}
        tasks[1] = s:spawn(function()
          codes.reader = code_of(ours:recv())
        end)
        for i = 1, 3 do
          tasks[i + 1] = s:spawn(function()
            local ok, err = ours:write(big)
            assert.is_nil(ok)
            codes[i], accepted[i] = err.code, err.accepted
          end)
        end
        tasks[5] = s:spawn(function()
          task.yield()
          codes.flush = code_of(ours:flush())
        end)
        for _, t in ipairs(tasks) do
          repeat
            task.yield()
          until t.status == "waiting"
        end
        ours:close()
        for _, t in ipairs(tasks) do
          t:join()
        end
        assert.same({
          "ECANCELED", "ECANCELED", "ECANCELED", reader = "ECANCELED", flush = "ECANCELED",
        }, codes)
      end)
      assert.same({#big, 0, 0}, accepted)
      assert.is_true(read_all(theirs) == big) -- what was accepted goes out behind close
      theirs:close()
    end)

    --- What a stalled write and a flush say when this is done to their peer.
    local function when_peer(deed)
      local ours <close>, theirs = narrow_pair(kind)
      local codes = {}
      task.scope(function(s)
        s:spawn(function()
          codes.write = code_of(ours:write(big)) or "none"
        end)
        s:spawn(function()
          task.yield()
          codes.flush = code_of(ours:flush()) or "none"
        end)
        settle()
        theirs[deed](theirs)
      end)
      return codes, code_of(ours:write "x")
    end

    case("B4: a writer learns of its peer's reset, and a flush too", function()
      local codes, later = when_peer "reset"
      for _, code in ipairs {codes.write, codes.flush, later} do
        assert.is_truthy(code == "EPIPE" or code == "ECONNRESET", code)
      end
      assert.is_truthy(later)
    end)

    -- A peer that has closed may hear the rest, and forget it, or not.
    case("B4: a writer is not left waiting when its peer closes, nor a flush", function()
      for _, code in pairs(when_peer "close") do
        assert.is_truthy(code == "none" or code == "EPIPE" or code == "ECONNRESET", code)
      end
    end)

    case("I1: a reader and a writer of one stream are interrupted one by one", function()
      local ours, theirs <close> = narrow_pair(kind)
      task.scope(function(s)
        local reader = s:spawn(function()
          return ours:read "l"
        end)
        local writer = s:spawn(function()
          ours:write(big)
        end)
        settle()
        writer:cancel()
        writer:join()
        assert.equal("waiting", reader.status)
        theirs:write "a line\n"
        assert.equal("a line", reader:join())
        reader = s:spawn(function()
          return ours:read "l"
        end)
        writer = s:spawn(function()
          return ours:flush() == ours
        end)
        settle()
        reader:cancel()
        reader:join()
        assert.equal("waiting", writer.status)
        assert.is_true(theirs:read(#big) == big)
        assert.is_true(writer:join())
      end)
      assert_usable(ours, theirs)
      ours:close()
    end)
  end)
end


-- Connections.

local listeners = {
  tcp = "tcp://127.0.0.1:0", unix = "unix:@", mem = "mem:cancel_spec", mptcp = "tcp://127.0.0.1:0",
  sctp = "sctp://127.0.0.1:0", vsock = "vsock://local:0",
}

for _, kind in ipairs(transports.names) do
  describe(("interrupting a server (%s)"):format(kind), function()
    local function assert_accepts(listener)
      local a <close> = assert(net.connect(listener.endpoint))
      local b <close> = assert(listener:accept())
      assert_usable(a, b)
    end

    for name, wait in pairs {
      accept = function(l) return l:accept() end,
      wait = function(l) return l:wait() end,
      accepts = function(l) return l:accepts()() end,
      serve = function(l) return l:serve(print) end,
    } do
      interrupts(name, function()
        local listener = assert(net.listen(listeners[kind]))
        return function()
          return wait(listener)
        end, function()
          assert_accepts(listener)
          listener:close()
        end
      end)
    end

    case("A6: a close wakes all who accept, in their order", function()
      local listener = assert(net.listen(listeners[kind]))
      local order, endpoint = {}, listener.endpoint
      task.scope(function(s)
        for i = 1, 3 do
          s:spawn(function()
            local stream, err = listener:accept()
            assert.is_nil(stream)
            assert.equal("accept", err.op)
            order[i] = err.code
            order[#order + 1] = i == #order + 1 and "in turn" or nil
          end)
        end
        s:spawn(function()
          for _ in listener:accepts() do
            error "nobody connects"
          end
          order.accepts = "over"
        end)
        s:spawn(function()
          listener:serve(error)
          order.serve = "over"
        end)
        settle()
        listener:close()
        task.yield()
        assert.equal("ECANCELED", order[1])
        assert.equal("ECANCELED", order[2])
        assert.equal("ECANCELED", order[3])
        assert.equal("over", order.accepts)
      end)
      assert.equal("over", order.serve)
      assert.equal("EBADF", code_of(listener:accept()))
      assert.equal("ECONNREFUSED", code_of(net.connect(endpoint)))
      assert(net.listen(endpoint)):close() -- it is free at once
    end)

    case("the others go on to accept when one of them is interrupted", function()
      local listener <close> = assert(net.listen(listeners[kind]))
      local got = {}
      task.scope(function(s)
        local acceptors = {}
        for i = 1, 4 do
          acceptors[i] = s:spawn(function()
            local stream <close> = assert(listener:accept())
            got[i] = stream:read "l"
          end)
        end
        settle()
        acceptors[1]:cancel()
        acceptors[3]:cancel()
        for i = 1, 2 do
          local stream <close> = assert(net.connect(listener.endpoint))
          stream:write(i, "\n")
        end
      end)
      assert.same({[2] = "1", [4] = "2"}, got)
    end)

    case("I5: a connection in the turn of the interruption is not lost", function()
      for round = 1, 20 do
        local listener <close> = assert(net.listen(listeners[kind]))
        local accepted
        local client <close> = task.scope(function(s)
          local t = s:spawn(function()
            accepted = listener:accept()
          end)
          settle()
          local stream = assert(net.connect(listener.endpoint))
          if round % 2 == 0 then
            task.sleep(round * 1e-6)
          end
          t:cancel()
          return stream
        end)
        accepted = accepted or assert(task.timeout(1, listener.accept, listener))
        assert_usable(client, accepted)
        accepted:close()
      end
    end)

    case("serve: its cancelling cancels the handlers, and leaves the listener", function()
      local listener <close> = assert(net.listen(listeners[kind]))
      local closed, ends = {}, {}
      local clients = {}
      task.scope(function(s)
        local server = s:spawn(function()
          listener:serve(function(stream)
            guarded(closed, stream.recv, stream)
          end)
        end)
        for i = 1, 3 do
          clients[i] = assert(net.connect(listener.endpoint))
        end
        settle()
        server:cancel()
        server:join()
        assert.equal("cancelled", server.status)
      end)
      for i, client in ipairs(clients) do
        ends[i] = client:read "a"
        client:close()
      end
      assert.same({"", "", ""}, ends)
      assert.equal("inner outer inner outer inner outer", table.concat(closed, " "))
      assert_accepts(listener)
    end)

    case("serve: a close lets the connections go on; drain bounds that", function()
      for _, drain in ipairs {false, 0.01} do
        local listener = assert(net.listen(listeners[kind]))
        local answered
        local client <close> = assert(net.connect(listener.endpoint))
        task.scope(function(s)
          local server = s:spawn(function()
            listener:serve(function(stream)
              answered = stream:read "l"
              stream:write "ok\n"
            end, {drain = drain or nil})
          end)
          settle()
          listener:close()
          task.sleep(drain and 0.03 or SOON)
          assert.equal(drain and "done" or "waiting", server.status)
          client:write "go\n"
          assert.equal(not drain and "ok" or nil, (client:read "l"))
        end)
        assert.equal(not drain and "go" or nil, answered)
      end
    end)
  end)
end

-- What is there already is found however little time there is to wait for it.

--- What comes next runs while the news of a wait are delivered.
local function with_news()
  local a <close>, b = net.socketpair()
  b:write "news"
  b:close()
  assert.equal("news", a:recv())
end

describe("a deadline of zero", function()
  for _, kind in ipairs(transports.names) do
    for _, row in ipairs(readers) do
      local name, read, before, after, taken, to_end = table.unpack(row, 1, 6)
      if not to_end then -- which takes two looks
        case(("finds what has arrived: %s (%s)"):format(name, kind), function()
          local ours <close>, theirs = transports.pair(kind)
          theirs:settimeout(1)
          for _, set in ipairs {false, true} do
            theirs:write(before .. after)
            theirs:flush()
            settle()
            with_news()
            local got
            if set then
              got = read(ours:settimeout(0))
            else
              got = task.timeout(0, read, ours)
            end
            assert.equal(taken, got)
            task.timeout(0, ours.recv, ours) -- what is left
          end
          assert.equal("ETIMEDOUT", code_of(ours:recv()))
          theirs:close()
        end)
      end
    end
  end

  case("finds a connection", function()
    local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
    assert.equal("ETIMEDOUT", code_of(task.timeout(0, listener.accept, listener)))
    local a <close> = assert(net.connect(listener.endpoint))
    with_news()
    local b <close> = assert(task.timeout(0, listener.accept, listener))
    assert_usable(a, b)
  end)

  case("finds a message", function()
    local socket <close> = assert(net.bind "udp://127.0.0.1:0")
    local sender <close> = assert(net.connect("udp://127.0.0.1:" .. socket.localaddr.port))
    assert.equal("ETIMEDOUT", code_of(task.timeout(0, socket.recv, socket)))
    for _, set in ipairs {false, true} do
      sender:send "message"
      settle()
      with_news()
      if set then
        socket:settimeout(0)
        assert.equal("message", (socket:recv()))
      else
        assert.equal("message", (task.timeout(0, socket.recv, socket)))
      end
    end
    assert.equal("ETIMEDOUT", code_of(socket:recv()))
  end)

  case("finds a port that is open, and one that is not", function()
    local listener = assert(net.listen "tcp://127.0.0.1:0")
    with_news()
    assert(task.timeout(0, net.connect, listener.endpoint)):close()
    local endpoint = listener.endpoint
    listener:close()
    with_news()
    assert.equal("ECONNREFUSED", code_of(task.timeout(0, net.connect, endpoint)))
  end)

  case("ends what only others would end", function()
    with_news()
    assert.equal("ETIMEDOUT", code_of(task.timeout(0, task.sleep, 1)))
    local event = task.event()
    assert.equal("ETIMEDOUT", code_of(task.timeout(0, event.wait, event)))
  end)
end)

describe("interrupting a connect", function()
  --- A listener whose queue is full, so that a connect to it waits, and those that
  --- fill the queue.
  local function full(kind)
    local listener = assert(net.listen(listeners[kind], {backlog = 0}))
    local queued = {}
    repeat
      local stream, err = task.timeout(0.02, net.connect, listener.endpoint)
      queued[#queued + 1] = stream
    until err
    return listener, queued
  end

  local function release(listener, queued)
    for _, stream in ipairs(queued) do
      assert(listener:accept()):close()
      stream:close()
    end
  end

  for _, kind in ipairs {"tcp", "unix"} do
    interrupts(kind, function()
      local listener, queued = full(kind)
      return function() return net.connect(listener.endpoint) end, function()
        release(listener, queued)
        local a <close> = assert(net.connect(listener.endpoint))
        local b <close> = assert(listener:accept())
        assert_usable(a, b)
        listener:close()
      end
    end)

    case(("A2: %s: its own timeout is told as connect's"):format(kind), function()
      local listener <close>, queued = full(kind)
      local before = host.census().descriptors
      local start = time.now()
      local stream, err = net.connect(listener.endpoint, {timeout = 0.02})
      local took = time.now() - start
      assert.is_nil(stream)
      assert.equal("ETIMEDOUT", err.code)
      assert.equal("connect", err.op)
      assert.equal(listener.endpoint, err.endpoint)
      assert.is_true(took >= 0.02 and took < 0.2)
      assert.equal(before, host.census().descriptors)
      release(listener, queued)
    end)
  end

  interrupts("a name", function()
    local listener, queued = full "tcp"
    local endpoint = "tcp4://localhost:" .. listener.port
    return function() return net.connect(endpoint) end, function()
      release(listener, queued)
      assert(net.connect(endpoint)):close()
      listener:close()
    end
  end)

  interrupts("a name, with a timeout of its own", function()
    local listener, queued = full "tcp"
    local endpoint = "tcp4://localhost:" .. listener.port
    return function() return net.connect(endpoint, {timeout = 5}) end, function()
      release(listener, queued)
      listener:close()
    end
  end)

  case("unix: it goes through when the queue has room again", function()
    local listener <close>, queued = full "unix"
    task.scope(function(s)
      local waiting = {}
      for i = 1, 3 do
        waiting[i] = s:spawn(net.connect, listener.endpoint)
      end
      settle()
      table.remove(waiting, 2):cancel()
      release(listener, queued)
      -- Any of them may find the room first, also the one that is cancelled.
      for _ = 1, #waiting do
        assert(listener:accept()):close()
      end
      for _, t in ipairs(waiting) do
        local a <close> = assert(t:join())
        assert.equal("unix", a.protocol)
      end
    end)
  end)

  case("unix: it is refused when the listener closes", function()
    local listener, queued = full "unix"
    task.scope(function(s)
      local t = s:spawn(net.connect, listener.endpoint)
      settle()
      listener:close()
      local stream, err = t:join()
      assert.is_nil(stream)
      assert.equal("ECONNREFUSED", err.code)
    end)
    for _, stream in ipairs(queued) do
      stream:close()
    end
  end)
end)

describe("interrupting a lookup", function()
  local name = "no-such-host.invalid" -- what the hosts file has is there at once

  --- Until it was; a lookup that had ended before proves nothing.
  local function until_interrupted(f)
    for _ = 1, 50 do
      if f() then
        return
      end
    end
    error "never interrupted"
  end

  case("I1: resolve: task:cancel", function()
    until_interrupted(function()
      local closed, t = {}, nil
      task.scope(function(s)
        t = s:spawn(guarded, closed, net.resolve, name)
        task.yield()
        assert.equal("waiting", t.status)
        t:cancel()
      end)
      assert_closed(closed)
      assert.equal("cancelled", t.status)
      return true
    end)
    assert.is_truthy(net.resolve "localhost")
  end)

  case("I1: resolve: task.timeout", function()
    until_interrupted(function()
      local closed = {}
      local found, err = task.timeout(0, guarded, closed, net.resolve, name)
      assert_closed(closed)
      return not found and err.code == "ETIMEDOUT"
    end)
    assert.is_truthy(net.resolve "localhost")
  end)

  case("I1: resolve: others for the same name are answered", function()
    task.scope(function(s)
      local asking = {}
      for i = 1, 12 do
        asking[i] = s:spawn(net.resolve, name, {family = "inet"})
      end
      task.yield()
      for i = 1, 12, 2 do
        asking[i]:cancel()
      end
      for i = 2, 12, 2 do
        assert.matches("^EAI_", select(2, asking[i]:join()).code)
      end
    end)
  end)
end)


-- Relays; more in relay_spec.lua.

describe("interrupting a relay", function()
  for _, kind in ipairs(transports.names) do
    interrupts(kind, function()
      local client, a = transports.pair(kind)
      local b, server = transports.pair(kind)
      return function() return net.relay(a, b) end, function()
        assert_usable(client, a)
        assert_usable(b, server)
        for _, stream in ipairs {client, a, b, server} do
          stream:close()
        end
      end
    end)
  end
end)


-- Tasks and what they meet at.

describe("interrupting", function()
  interrupts("net.wait", function()
    local fd, theirs, close = transports.foreign()
    return function() return net.wait(fd) end, function()
      assert.equal("ETIMEDOUT", code_of(net.wait(fd, "r", 0)))
      theirs:write "x"
      assert.equal("r", net.wait(fd))
      theirs:close()
      close()
    end
  end)

  for _, kind in ipairs {"unixgram", "seqpacket"} do
    interrupts(("a wait for a message (%s)"):format(kind), function()
      local ours, theirs = assert(net.socketpair(kind))
      return function() return ours:wait() end, function()
        theirs:send "message"
        assert.equal("r", ours:wait())
        assert.equal("message", (ours:recv()))
        theirs:close()
        ours:close()
      end
    end)

    interrupts(("a wait for room (%s)"):format(kind), function()
      local ours, theirs = assert(net.socketpair(kind))
      repeat
        local sent = task.timeout(SOON, ours.send, ours, "message")
      until not sent
      return function() return ours:wait(kind == "unixgram" and "w" or "rw") end, function()
        assert.equal("ETIMEDOUT", code_of(ours:wait("w", 0)))
        repeat
          local taken = task.timeout(SOON, theirs.recvmany, theirs)
        until not taken
        assert.equal("w", ours:wait "w")
        theirs:close()
        ours:close()
      end
    end)
  end

  interrupts("sleep", function()
    return function() return task.sleep(10) end
  end)

  interrupts("join", function()
    local gate = task.event()
    local t = task.spawn(function()
      gate:wait()
      return "result"
    end)
    return function() return t:join() end, function()
      assert.equal("waiting", t.status) -- a joiner does not end whom it joins
      gate:set()
      assert.equal("result", t:join())
    end
  end)

  interrupts("a channel's send", function()
    local channel = task.channel(2)
    channel:send "a"
    channel:send "b"
    return function() return channel:send "cancelled" end, function()
      channel:close()
      local got = {}
      for value in channel:each() do
        got[#got + 1] = value
      end
      assert.same({"a", "b"}, got)
    end
  end)

  interrupts("a channel's recv", function()
    local channel = task.channel()
    return function() return channel:recv() end, function()
      assert.is_true(channel:send "value")
      assert.equal("value", channel:recv())
    end
  end)

  interrupts("a channel's each", function()
    local channel = task.channel()
    return function() return channel:each()() end, function()
      assert.is_true(channel:send "value")
      assert.equal("value", channel:recv())
    end
  end)

  interrupts("a semaphore's acquire", function()
    local slots = task.semaphore(1)
    local permit = slots:acquire()
    return function() return slots:acquire() end, function()
      permit:release()
      assert.equal(1, slots.count)
    end
  end)

  interrupts("a mutex's lock", function()
    local mutex = task.mutex()
    local gate = task.event()
    local holder = task.spawn(function()
      mutex:lock()
      gate:wait()
      mutex:unlock()
    end)
    task.yield()
    return function() return mutex:lock() end, function()
      gate:set()
      holder:join()
      assert.is_nil(mutex.owner)
      mutex:lock()
      mutex:unlock()
    end
  end)

  interrupts("an event's wait", function()
    local event = task.event()
    return function() return event:wait() end, function()
      event:set()
      event:wait()
    end
  end)

  interrupts("the end of a scope", function()
    local closed, child = {}, nil
    return function()
      return task.scope(function(s)
        child = s:spawn(guarded, closed, task.sleep, 10)
      end)
    end, function()
      assert.equal("cancelled", child.status)
      assert_closed(closed)
    end
  end)

  interrupts("a scope's wait", function()
    local closed = {}
    return function()
      return task.scope(function(s)
        s:spawn(guarded, closed, task.sleep, 10)
        s:wait()
      end)
    end, function()
      assert_closed(closed)
    end
  end)

  for _, name in ipairs {"all", "race"} do
    interrupts("task." .. name, function()
      local first, second = {}, {}
      return function()
        return task[name] {
          function() guarded(first, task.sleep, 10) end,
          function() guarded(second, task.sleep, 10) end,
        }
      end, function()
        assert_closed(first)
        assert_closed(second)
      end
    end)
  end

  interrupts("a timeout that is longer", function()
    return function() return task.timeout(10, task.sleep, 20) end
  end)

  interrupts("time.every", function()
    return function()
      for _ in time.every(10) do
        error "too early"
      end
    end
  end)

  interrupts("signal.wait", function()
    return function() return signal.wait("SIGUSR1", "SIGUSR2") end, function()
      signal.raise "SIGUSR2"
      assert.equal("SIGUSR2", signal.wait("SIGUSR1", "SIGUSR2"))
      signal.default "SIGUSR1"
      signal.default "SIGUSR2"
    end
  end)

  interrupts("signal.each", function()
    return function()
      for _ in signal.each "SIGUSR1" do
        error "no signal was sent"
      end
    end, function()
      signal.raise "SIGUSR1"
      assert.equal("SIGUSR1", signal.wait "SIGUSR1")
      signal.default "SIGUSR1"
    end
  end)

  interrupts("a child's wait", function()
    local child = assert(process.spawn {"cat", stdin = "pipe"})
    return function() return child:wait() end, function()
      assert.equal("running", child.status)
      child.stdin:close()
      assert.equal(0, child:wait())
    end
  end)

  interrupts("process.run", function()
    return function() return process.run {"sleep", "10"} end
  end)

  interrupts("a read of a pipe", function()
    local child = assert(process.spawn {"cat", stdin = "pipe", stdout = "pipe"})
    child.stdin:write "half "
    return function() return child.stdout:read "l" end, function()
      child.stdin:write "a line\n"
      assert.equal("half a line", child.stdout:read "l")
      child.stdin:close()
      assert.is_nil(child.stdout:read "l")
      child.stdout:close()
      assert.equal(0, child:wait())
    end
  end)

  interrupts("a write to a pipe", function()
    local child = assert(process.spawn {"cat", stdin = "pipe", stdout = "pipe"})
    local big = pattern(1024 * 1024)
    return function() return child.stdin:write(big) end, function()
      task.scope(function(s)
        s:spawn(function()
          assert(child.stdin:write " and more")
          child.stdin:close()
        end)
        assert.is_true(read_all(child.stdout) == big .. " and more")
      end)
      child.stdout:close()
      assert.equal(0, child:wait())
    end
  end)

  case("I1: a read of stdin, in a program", function()
    local child <close> = assert(process.spawn {
      neap, "-e", [[
        local stdin = require "neap.stdio".stdin
        local line, err = task.timeout(0.05, stdin.read, stdin, "l")
        print(line, err.code)
        local t = task.spawn(stdin.read, stdin, "l")
        task.sleep(0.01)
        t:cancel()
        print(select(2, t:join()).code)
        print "go"
        io.stdout:flush()
        print(stdin:read "l")
      ]], stdin = "pipe", stdout = "pipe",
    })
    child.stdin:write "half "
    assert.equal("nil\tETIMEDOUT", child.stdout:read())
    assert.equal("ECANCELED", child.stdout:read())
    assert.equal("go", child.stdout:read())
    child.stdin:write "a line\n"
    assert.equal("half a line", child.stdout:read())
    assert.equal(0, child:wait())
  end)

  case("the other waiters are served when one of them is interrupted", function()
    local channel, slots, mutex, event =
      task.channel(), task.semaphore(0), task.mutex(), task.event()
    local got = {}
    mutex:lock()
    local function wait_for_all(i)
      local values = {}
      task.scope(function(s)
        s:spawn(function() values[1] = channel:recv() end)
        s:spawn(function()
          slots:acquire()
          values[2] = "permit"
        end)
        s:spawn(function()
          mutex:lock()
          values[3] = "lock"
          mutex:unlock()
        end)
        s:spawn(function()
          event:wait()
          values[4] = "event"
        end)
      end)
      got[i] = table.concat(values, " ")
    end
    task.scope(function(s)
      local waiters = {}
      for i = 1, 3 do
        waiters[i] = s:spawn(wait_for_all, i)
        settle()
      end
      waiters[1]:cancel()
      waiters[1]:join()
      waiters[2]:cancel()
      waiters[2]:join()
      channel:send "value"
      slots:release()
      mutex:unlock()
      event:set()
    end)
    assert.same({[3] = "value permit lock event"}, got)
    assert.equal(0, slots.count)
    assert.is_nil(mutex.owner)
  end)

  case("what is handed over in the turn of the interruption is not lost", function()
    local channel, slots = task.channel(), task.semaphore(0)
    local got = {}
    task.scope(function(s)
      for _ = 1, 20 do
        local a = s:spawn(function() got[#got + 1] = channel:recv() end)
        local b = s:spawn(function()
          slots:acquire():release()
        end)
        task.yield()
        channel:send "value"
        slots:release()
        a:cancel()
        b:cancel()
        task.yield()
        task.yield()
        if #channel > 0 then
          got[#got + 1] = channel:recv()
        end
        assert.equal(1, slots.count)
        slots:acquire()
      end
    end)
    assert.equal(20, #got)
  end)
end)


-- What runs while a task ends.

describe("a task that is interrupted", function()
  case("I2: may wait in its <close> variables, under a shield", function()
    local ours, theirs <close> = transports.pair "tcp"
    local said
    task.scope(function(s)
      local t = s:spawn(function()
        local farewell <close> = setmetatable({}, {__close = function()
          task.shield(function()
            ours:write "bye\n"
            said = ours:read "l"
          end)
        end})
        ours:read "l"
        return farewell
      end)
      settle()
      t:cancel()
      assert.equal("bye", theirs:read "l")
      theirs:write "farewell\n"
      t:join()
      assert.equal("cancelled", t.status)
    end)
    assert.equal("farewell", said)
    ours:close()
  end)

  case("I1: is interrupted at every wait from then on, and can still close", function()
    local codes = {}
    local ours, theirs <close> = transports.pair "unix"
    local listener = assert(net.listen "unix:@")
    local message <close> = assert(net.bind "udp://127.0.0.1:0")
    local channel, between <close> = task.channel(), worker.channel()
    local event = task.event()
    local done = task.spawn(settle)
    event:set()
    channel:send "value"
    between:send "value"
    message:send("message", message.localaddr)
    ours:write "bytes"
    settle()
    task.scope(function(s)
      local t = s:spawn(function()
        pcall(task.sleep, 10)
        for name, f in pairs {
          sleep = function() task.sleep(1) end,
          yield = task.yield,
          ["sleep of 0"] = function() task.sleep(0) end,
          recv = function() ours:recv() end,
          wait = function() ours:wait "w" end,
          wait_for_connection = function() listener:wait() end,
          wait_for_descriptor = function() net.wait(0, "r", 0) end,
          ["recv of what is there"] = function() theirs:recv(1) end,
          ["message recv"] = function() message:recv() end,
          join = function() done:join() end,
          scope = function() task.scope(print) end,
          accept = function() listener:accept() end,
          connect = function() net.connect(listener.endpoint) end,
          resolve = function() net.resolve "localhost" end,
          relay = function() net.relay(ours, theirs) end,
          channel = function() channel:recv() end,
          ["channel of a worker"] = function() between:recv() end,
          mutex = function() task.mutex():lock() end,
          semaphore = function() task.semaphore(1):acquire() end,
          event = function() event:wait() end,
          timeout = function() task.timeout(1, print) end,
        } do
          codes[name] = select(2, pcall(f)).code
        end
        codes.close = ours:close()
        codes.listener = listener:close()
      end)
      settle()
      t:cancel()
    end)
    assert.is_true(codes.close)
    assert.is_true(codes.listener)
    codes.close, codes.listener = nil, nil
    for name, code in pairs(codes) do
      assert.equal("ECANCELED", code, name)
    end
    assert.equal("bytes", theirs:read "a")
    assert.equal("value", channel:recv())
    assert.equal("value", between:recv())
    assert.equal("message", message:recv())
  end)

  --- Call f in a task that was cancelled, as its <close>; is it `cancelled` after?
  local function when_cancelled(f)
    local t = task.spawn(function()
      local _ <close> = setmetatable({}, {__close = f})
      task.sleep(10)
    end)
    task.yield()
    t:cancel()
    local _, err = task.timeout(20, t.join, t)
    assert.equal("ECANCELED", err.code)
    assert.equal("cancelled", t.status)
  end

  for _, kind in ipairs(transports.names) do
    case("says goodbye in its <close>: " .. kind, function()
      local ours, theirs <close> = transports.pair(kind)
      when_cancelled(function()
        assert(ours:write("bye", " ", "now\n"))
        assert(ours:flush())
        assert(ours:write(("x"):rep(16 * 1024)))
        assert(ours:shutdown())
      end)
      assert.equal("bye now", theirs:read "l")
      assert.equal(16 * 1024, #theirs:read "a")
      ours:close()
    end)

    case("cannot write to who does not read: " .. kind, function()
      local ours, theirs = narrow_pair(kind)
      local size = stuff(ours)
      local code, flush_code
      when_cancelled(function()
        code = select(2, pcall(ours.write, ours, "no room")).code
        flush_code = select(2, pcall(ours.flush, ours)).code
      end)
      assert.equal("ECANCELED", code)
      assert.equal("ECANCELED", flush_code)
      ours:close()
      assert.equal(size, #read_all(theirs))
      theirs:close()
    end)
  end

  case("says goodbye by messages, descriptors and channels", function()
    local a <close> = assert(net.bind "udp://127.0.0.1:0")
    local b <close> = assert(net.bind "udp://127.0.0.1:0")
    local ours, theirs <close> = transports.pair "unix"
    local channel, between <close> = task.channel(), worker.channel(nil, 1)
    local refused = {}
    when_cancelled(function()
      assert(a:send("one", b.localaddr))
      assert(a:sendmany({"two", "three"}, b.localaddr))
      assert(a:flush())
      assert(ours:sendfd("four", {ours}))
      assert(channel:send "five")
      assert(between:send "six")
      refused[1] = select(2, pcall(channel.send, channel, "full"))
      refused[2] = select(2, pcall(between.send, between, "full"))
    end)
    assert.equal("one two three", ("%s %s %s"):format((b:recv()), (b:recv()), (b:recv())))
    local bytes, fds = theirs:recvfd()
    assert.equal("four", bytes)
    fds[1]:close()
    assert.equal("five", channel:recv())
    assert.equal("six", between:recv())
    assert.equal("ECANCELED", refused[1].code)
    assert.equal("ECANCELED", refused[2].code)
    ours:close()
  end)

  it("ends, though what it puts is always taken", function()
    local result = assert(process.run {neap, "-e", [[
      local channel, between = task.channel(4), worker.channel(nil, 8)
      local message = assert(net.bind "udp://127.0.0.1:0")
      local ours, theirs = net.socketpair "mem"
      local function flood(name, put)
        local done = 0
        local g <close> = setmetatable({}, {__close = function()
          print(name, done)
        end})
        pcall(task.sleep, 10)
        while true do
          put()
          done = done + 1
          if done % 4 == 0 then
            task.shield(task.sleep, 1e-5) -- it is taken meanwhile
          end
        end
      end
      task.scope(function(s)
        for _, take in ipairs {
          function() channel:recv() end,
          function() between:recv() end,
          function() theirs:recv() end,
          function() message:recv() end,
        } do
          s:spawn(function()
            while true do take() end
          end)
        end
        for name, put in pairs {
          channel = function() channel:send(1) end,
          ["channel of a worker"] = function() between:send(1) end,
          stream = function() ours:write "x" end,
          messages = function() message:send("x", message.localaddr) end,
        } do
          local t = task.spawn(flood, name, put)
          task.yield()
          t:cancel()
          print(t:join())
        end
        s:cancel()
      end)
    ]]})
    for _, name in ipairs {"channel", "channel of a worker", "stream", "messages"} do
      assert.matches(("%s\t99\nnil\tcancelled (ECANCELED)\n"):format(name), result.stdout, 1, true)
    end
    assert.equal("", result.stderr)
    assert.equal(0, result.code)
  end)

  case("lets others run before each wait raises", function()
    local channel = task.channel(1)
    channel:send "full"
    for _, wait in ipairs {
      task.yield,
      function() task.sleep(1) end,
      function() channel:recv() end,
      function() channel:send "value" end,
    } do
      local turns, caught = 0, 0
      local other = task.spawn(function()
        while true do
          turns = turns + 1
          task.yield()
        end
      end)
      when_cancelled(function()
        for _ = 1, 50 do
          caught = caught + (pcall(wait) and 0 or 1)
        end
      end)
      other:cancel()
      assert.equal(50, caught)
      assert.is_true(turns >= 50, turns)
    end
  end)

  case("I8: by nested deadlines, the earliest one counts", function()
    local ours, theirs <close> = transports.pair "unix"
    local inner_err
    local start = time.now()
    local result, err = task.timeout(0.01, function()
      local _
      _, inner_err = task.timeout(5, ours.recv, ours)
      return "not reached"
    end)
    assert.is_nil(result)
    assert.equal("ETIMEDOUT", err.code)
    assert.is_nil(inner_err)
    assert.is_true(time.now() - start < 0.2)
    result, err = task.timeout(5, function()
      local _
      _, inner_err = task.timeout(0.01, ours.recv, ours)
      return "reached"
    end)
    assert.equal("reached", result)
    assert.is_nil(err)
    assert.equal("ETIMEDOUT", inner_err.code)
    assert_usable(ours, theirs)
  end)
end)
