-- Tasks that a program does not wait for.

local task = require "neap.task"
local child = require "spec.support.child"
local lists = require "neap.repl.lists"

--- Run it, and give what it wrote: it is to end well, and say nothing on stderr.
local function output(script)
  local result = child.run(script)
  assert.equal("", result.stderr)
  assert.equal(0, result.code)
  return result.stdout
end

describe("task.background", function()
  it("runs a function in a task, which can be joined and cancelled", function()
    local t = task.background(function(...) return ... end, 1, nil, 3)
    assert.same({1, nil, 3, n = 3}, table.pack(t:join()))
    t = task.background(task.sleep, 10)
    task.yield()
    t:cancel()
    assert.equal("ECANCELED", select(2, t:join()).code)
    assert.is_false((pcall(task.background)))
    assert.is_false((pcall(task.background, 7)))
  end)

  it("is shown as such", function()
    local t = task.background(task.sleep, 10)
    t.name = "beside"
    task.yield()
    assert.matches("beside +waiting & ", lists.ps())
    t:cancel()
    t:join()
    assert.is_nil(lists.ps():find("beside", 1, true))
  end)

  it("keeps no program alive, and ends with it, its <close> variables run", function()
    assert.equal("main\nclosed\nclosed\n", output [[
      for i = 1, 2 do
        task.background(function()
          local _ <close> = setmetatable({}, {__close = function()
            task.shield(task.sleep, 0.001)
            print "closed"
          end})
          while true do
            task.sleep(i == 1 and 1000 or 0)
          end
        end)
      end
      task.sleep(0.01)
      print "main"
    ]])
  end)

  it("that has not begun is cancelled at its first wait", function()
    assert.equal("begun\nECANCELED\n", output [[
      task.background(function()
        print "begun"
        print(select(2, pcall(task.sleep, 1000)).code)
      end)
    ]])
  end)

  it("has scopes whose tasks end with it; what it spawns is the program's", function()
    assert.equal("spawned\nclosed\n", output [[
      local task = task
      task.background(function()
        task.scope(function(s)
          s:spawn(function()
            local _ <close> = setmetatable({}, {__close = function() print "closed" end})
            task.sleep(1000)
          end)
          task.spawn(function()
            task.sleep(0.01)
            print "spawned"
          end)
          task.sleep(1000)
        end)
      end)
      task.sleep(0.001)
    ]])
  end)

  it("leaves the tasks of a scope that it abandons to the program's end", function()
    assert.equal("main\n", output [[
      task.background(function()
        local co = coroutine.wrap(function()
          task.scope(function(s)
            s:spawn(task.shield, task.sleep, 0.01)
            coroutine.yield()
          end)
        end)
        co()
      end)
      task.sleep(0.001)
      collectgarbage()
      print "main"
    ]])
  end)

  it("can wake the program, which is no deadlock then", function()
    assert.equal("value\n", output [[
      local c = task.channel()
      task.background(function()
        task.sleep(0.005)
        c:send "value"
        c:recv()
      end)
      print(c:recv())
    ]])
  end)

  it("ends the program with its error", function()
    local result = child.run [[
      task.background(error, "broken")
      task.sleep(1000)
    ]]
    assert.matches("broken", result.stderr)
    assert.equal(1, result.code)
  end)

  it("computes on, whoever looks at the process", function()
    local result = child.run [[
      local t = task.background(function()
        -- SIGATTACH, as `neap ps` sends it
        local knocker = process.spawn {"sh", "-c", "sleep 0.05; kill -40 $PPID"}
        local clock = os.clock
        local start = clock()
        while clock() - start < 0.4 do end
        knocker:wait()
        return "done"
      end)
      print(t:join())
    ]]
    assert.equal("", result.stderr)
    assert.equal("done\n", result.stdout)
  end)
end)
