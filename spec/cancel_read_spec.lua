-- Reads that are interrupted (see cancel_spec); and those that have no time: what is there
-- already is found all the same.

local net = require "neap.net"
local task = require "neap.task"
local code_of = require "spec.support.code_of"
local interrupting = require "spec.support.interrupting"
local transports = require "spec.support.transports"

local SOON, assert_closed = interrupting.SOON, interrupting.assert_closed
local assert_usable, case = interrupting.assert_usable, interrupting.case
local guarded, interrupts = interrupting.guarded, interrupting.interrupts
local read_all, readers, settle = interrupting.read_all, interrupting.readers, interrupting.settle
local with_news = interrupting.with_news
local pattern = transports.pattern

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
        if name:find "unpack" or name:find "exactly" or name:find "strictly" then
          assert.equal("ENODATA", err.code, name)
          assert.equal(before, err.partial, name)
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
