-- Attaching to what computes.

local child = require "spec.support.child"
local process = require "neap.process"

local neap = child.neap
local runtime -- stands for XDG_RUNTIME_DIR

setup(function()
  runtime = os.tmpname()
  os.remove(runtime)
  assert(process.run {"mkdir", "-m", "700", runtime})
end)

teardown(function()
  process.run {"rm", "-rf", runtime}
end)

local function with()
  local env = process.env()
  env.XDG_RUNTIME_DIR = runtime
  return env
end

--- Start a script that says something before it computes.
local function start(script, options)
  local command = {neap, stdin = "pipe", stdout = "pipe", stderr = "pipe", env = with(), cwd = "/"}
  table.move(options or {}, 1, #(options or {}), #command + 1, command)
  command[#command + 1] = "-e"
  command[#command + 1] = "counter = 0 " .. script
  local p = assert(process.spawn(command))
  assert.equal("up", p.stdout:read "l")
  return p
end

local function remote(word, where, code)
  return assert(process.run {neap, word, tostring(where), input = code, env = with()})
end

local function stop(p)
  p:kill "SIGTERM"
  return p:wait()
end

local up = "io.stdout:write 'up\\n' io.stdout:flush() "

describe("a visitor of what computes", function()
  it("is let in by an endless loop, which goes on", function()
    for _, script in ipairs {
      "while true do counter = counter + 1 end",
      "pcall(function() while true do pcall(function() for _ = 1, 1e9 do counter = counter + 1 end end) end end)",
      [[coroutine.wrap(function()
          while true do
            coroutine.wrap(function()
              for _ = 1, 1e6 do counter = counter + 1 end
              coroutine.yield()
            end)()
          end
        end)()]],
      "table.sort({3, 2, 1}, function(a, b) while counter < 1e5 do counter = counter + 1 end return a < b end) "
        .. "while true do counter = counter + 1 end",
    } do
      local p <close> = start(up .. script)
      local before = tonumber(remote("attach", p.pid, "counter").stdout)
      local result = remote("attach", p.pid, "counter")
      assert(before and tonumber(result.stdout) > before, result.stdout)
      assert.equal(0, result.code)
      assert.matches("1  main +computing +%d[%d.:]* s? *%(command line%):%d", remote("ps", p.pid).stdout)
      p:kill "SIGKILL" -- the second one catches what SIGTERM raises
    end
  end)

  it("sees where it is, and cancels it", function()
    local p <close> = start(up .. [[
      local function inner() while true do counter = counter + 1 end end
      local t = task.spawn(function()
        local _ <close> = setmetatable({}, {__close = function() print "closed" io.stdout:flush() end})
        local co = coroutine.wrap(inner)
        co()
      end)
      t.name = "busy"
      t:join()
      task.sleep(1000)]])
    local id = remote("ps", p.pid).stdout:match "(%d+) +busy +computing"
    local stack = remote("attach", p.pid, ":bt " .. id).stdout
    assert.matches("in function.*which a coroutine runs in:.*\n.-%(command line%):%d", stack)
    assert.same({stdout = "", stderr = "", code = 0}, remote("attach", p.pid, ":cancel " .. id))
    assert.equal("closed", p.stdout:read "l")
    local gone = remote("attach", p.pid, ":bt " .. id)
    assert.equal("there is no such task; :ps lists them\n", gone.stdout)
    assert.equal(1, gone.code)
    assert.equal(1, remote("attach", p.pid, ":nosuch").code)
    stop(p)
  end)

  it("changes what it computes, and nothing else runs in between", function()
    local p <close> = start(up .. [[
      task.spawn(function() while true do counter = counter + 1 task.yield() end end)
      task.yield()
      local seen = counter
      while not over do
        assert(counter == seen)
      end
      print("over", counter == seen)
      os.exit(0, true)]])
    for _ = 1, 3 do
      assert.equal(0, remote("attach", p.pid, "task.sleep(0.05)").code)
    end
    assert.equal(0, remote("attach", p.pid, "over = true").code)
    assert.equal("over\ttrue", p.stdout:read "l")
    assert.equal(0, (p:wait()))
  end)

  it("computes for a long time, and others come in", function()
    local p <close> = start(up .. "task.sleep(1000)")
    local one = assert(process.spawn {
      neap, "attach", tostring(p.pid), stdin = "pipe", stdout = "pipe", env = with(),
    })
    one.stdin:write "io.stdout:write 'begun\\n' io.stdout:flush() while true do counter = counter + 1 end"
    one.stdin:close()
    assert.equal("begun", p.stdout:read "l")
    assert.matches("^%d+\n$", remote("attach", p.pid, "counter").stdout)
    assert.matches("input 1 +computing", remote("ps", p.pid).stdout)
    one:kill "SIGKILL" -- nothing is left of it
    one:wait()
    one:close()
    local before, now
    for _ = 1, 50 do
      before, now = now, remote("attach", p.pid, "counter").stdout
      if now == before then
        break
      end
    end
    assert.equal(before, now)
    assert.equal(143, (stop(p)))
  end)

  it("is let in by a worker's loop", function()
    local p <close> = start([[
      if worker.id == 1 then
        ]] .. up .. [[
        while true do counter = counter + 1 end
      end
      task.sleep(1000)]], {"-w", "2", "-l", "worker=neap.worker"})
    assert.matches("^%d+\n$", remote("attach", p.pid .. "/1", "counter").stdout)
    assert.equal("0\n", remote("attach", p.pid .. "/2", "counter").stdout)
    assert.matches("worker 1:.*main +computing", remote("ps", p.pid).stdout)
    assert.equal(143, (stop(p)))
  end)

  it("does not keep SIGTERM from ending the loop", function()
    local p <close> = start([[
      local _ <close> = setmetatable({}, {__close = function() print "closed" end})
      ]] .. up .. "while true do counter = counter + 1 end")
    local visitor = assert(process.spawn {
      neap, "attach", tostring(p.pid), stdin = "pipe", stdout = "pipe", env = with(),
    })
    visitor.stdin:write "io.stdout:write 'in\\n' io.stdout:flush() task.sleep(1000)"
    visitor.stdin:close()
    assert.equal("in", p.stdout:read "l")
    assert.equal(143, (stop(p)))
    assert.equal("closed\n", p.stdout:read "a")
    visitor:wait()
    visitor:close()
  end)
end)
