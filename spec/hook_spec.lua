local child = require "spec.support.child"

-- debug.sethook, in a program of its own: the one that tests may count lines itself.

--- What the script prints.
local function prints(script)
  local result = child.run(script)
  assert.equal("", result.stderr)
  assert.equal(0, result.code)
  return result.stdout
end

describe("debug.sethook", function()
  it("is seen by tasks that are made later, and by theirs", function()
    assert.equal("x:1 x:2 x:3 x:4 y:1 y:2 ", prints [[
      local task = require "neap.task"
      local x = load("local a = 1\ntask.sleep(0.001)\na = 2\nreturn a", "=x")
      local y = load("local b = 1\nreturn b", "=y")
      local before = task.spawn(function() task.sleep(0.005) load("local c = 1", "=z")() end)
      task.yield()
      debug.sethook(function(event, line)
        local name = debug.getinfo(2, "S").source
        if name == "=x" or name == "=y" or name == "=z" then
          io.write(name:sub(2), ":", line, " ")
        end
      end, "l")
      task.scope(function(s)
        s:spawn(function()
          x()
          task.spawn(y):join()
        end)
      end)
      before:join()
      debug.sethook()
      task.spawn(x):join()
    ]])
  end)

  it("is of one coroutine, as Lua has it", function()
    assert.equal("l\t0\ttrue\nnil\nnil\nc\t7\ttrue\nr\n", prints [[
      local function f() end
      debug.sethook(f, "l")
      local hook, mask, count = debug.gethook()
      print(mask, count, hook == f)
      print((coroutine.wrap(function() return debug.gethook() end)()))
      debug.sethook()
      print((debug.gethook()))
      local co = coroutine.create(function() coroutine.yield() end)
      debug.sethook(co, f, "c", 7)
      hook, mask, count = debug.gethook(co)
      print(mask, count, hook == f)
      debug.sethook(co, f, "r")
      print((select(2, debug.gethook(co))))
      assert(not pcall(debug.sethook, 1))
      assert(not pcall(debug.sethook, f))
      assert(not pcall(debug.sethook, 1, "l"))
    ]])
  end)

  it("calls with the event, and the line of lines", function()
    assert.equal("line 1\ncall nil\nline 1\nreturn nil\n", prints [[
      local f = load("return", "=x")
      local g = load("f()", "=x", "t", {f = f})
      local seen = {}
      debug.sethook(function(event, line)
        if debug.getinfo(2, "S").source == "=x" then
          seen[#seen + 1] = event .. " " .. tostring(line)
        end
      end, "crl")
      g()
      debug.sethook()
      print(table.concat(seen, "\n", 2, 5))
    ]])
  end)

  it("stays set behind a signal", function()
    assert.equal("SIGINT\ttrue\n", prints [[
      local signal, task = require "neap.signal", require "neap.task"
      local lines, heard = 0, false
      task.spawn(function()
        heard = signal.wait "SIGINT"
      end)
      task.yield()
      local function hook() lines = lines + 1 end
      debug.sethook(hook, "l")
      signal.raise "SIGINT"
      for _ = 1, 5000 do
        local _ = lines
      end
      local before = lines
      task.sleep(0.01)
      for _ = 1, 100 do
        local _ = lines
      end
      local same = debug.gethook() == hook
      debug.sethook()
      print(heard, same and lines - before > 100)
    ]])
  end)
end)
