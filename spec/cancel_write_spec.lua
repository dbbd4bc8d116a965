-- Writes that are interrupted (see cancel_spec).

local task = require "neap.task"
local code_of = require "spec.support.code_of"
local interrupting = require "spec.support.interrupting"
local transports = require "spec.support.transports"

local SOON, assert_usable, case = interrupting.SOON, interrupting.assert_usable, interrupting.case
local interrupts, read_all = interrupting.interrupts, interrupting.read_all
local settle = interrupting.settle
local narrow_pair, pattern, stuff = transports.narrow_pair, transports.pattern, transports.stuff

--- All that it reads while f runs, and until its end.
local function read_while(stream, f)
  local got
  task.scope(function(s)
    s:spawn(f)
    got = read_all(stream)
  end)
  return got
end

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
        local got = read_while(theirs, function()
          assert(ours:write "the next")
          ours:shutdown()
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
        local got = read_while(theirs, function()
          assert(ours:flush())
          ours:shutdown()
        end)
        assert.equal(stuffed, #got)
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
