-- How a program ends: by itself, by an error, a deadlock or a signal.

local process = require "neap.process"
local task = require "neap.task"
local child = require "spec.support.child"

local count_lines, neap, run = child.count_lines, child.neap, child.run

describe("the program", function()
  it("goes on until all its tasks have ended (I18)", function()
    local result = run [[
      task.spawn(function()
        task.sleep(0.01)
        print "second"
        task.spawn(function()
          task.sleep(0.01)
          print "third"
        end)
      end)
      print "first"
    ]]
    assert.same({stdout = "first\nsecond\nthird\n", stderr = "", code = 0}, result)
  end)

  it("fails with any of its tasks, the others being cancelled (I18)", function()
    local result = run [[
      task.spawn(function()
        local c <close> = setmetatable({}, {__close = function()
          task.shield(task.sleep, 0.01)
          print "closed"
        end})
        task.sleep(10)
      end)
      task.spawn(function()
        task.sleep(0.001)
        error "failed"
      end)
    ]]
    assert.equal("closed\n", result.stdout)
    assert.equal(1, result.code)
    assert.equal(1, count_lines(result.stderr, "failed"))
  end)

  it("tells who joins the task that failed it why", function()
    for value, told in pairs {
      ["'text'"] = "text\n",
      ["require 'neap.error'.new {code = 'EPROTO', message = 'object'}"] =
        "object (EPROTO)\nstack traceback:\n",
    } do
      local result = run([[
        local t = task.spawn(function()
          task.sleep(0.001)
          error(]] .. value .. [[, 0)
        end)
        local ok, err = pcall(t.join, t)
        print(ok, err)
        print(err.cause)
        print(type(err.cause) == "table" and err.cause.traceback)
      ]])
      assert.equal("false\tcancelled (ECANCELED)\n" .. told,
        result.stdout:sub(1, 28 + #told))
      assert.equal(1, result.code)
    end
  end)

  it("does not fail with a task that is cancelled (I18)", function()
    local result = run [[
      local t = task.spawn(task.sleep, 10)
      task.yield()
      t:cancel()
      print(t:join())
      task.current():cancel()
      task.yield()
    ]]
    assert.same({stdout = "nil\tcancelled (ECANCELED)\n", stderr = "", code = 0}, result)
  end)

  it("runs no more Lua once it has closed its state, after what its tasks close (J14)", function()
    local result = run [[
      local l = assert(net.listen "tcp://127.0.0.1:0")
      local c = assert(net.connect("tcp://127.0.0.1:" .. l.port))
      local s = assert(l:accept())
      for _, wait in ipairs {
        function() l:accept() end,
        function() c:recv() end,
        function() s:read "l" end,
        function() task.sleep(100) end,
        function() process.run {"sleep", "0.01"} task.sleep(100) end,
        function() net.resolve "localhost" task.sleep(100) end,
      } do
        task.spawn(function()
          local g <close> = setmetatable({}, {__close = function() print "closed" end})
          wait()
        end)
      end
      kept = setmetatable({}, {__gc = function() print "finalizer" end})
      task.sleep(0.005)
      os.exit(4, true)
    ]]
    assert.same({stdout = ("closed\n"):rep(6) .. "finalizer\n", stderr = "", code = 4}, result)
  end)
end)

describe("an error that nobody handles", function()
  it("is reported once, with its traceback and where its task was spawned (J5)", function()
    local result = run [[
      local function thrower()
        error "thrown"
      end
      local t = task.spawn(function()
        task.yield()
        thrower()
      end)
      t.name = "bad one"
      local guard <close> = setmetatable({}, {__close = function() print "closed" end})
      t:join()
    ]]
    assert.equal("closed\n", result.stdout)
    assert.equal(1, result.code)
    assert.matches("^neap: %(command line%):2: thrown\nstack traceback:\n", result.stderr)
    assert.matches("%(command line%):2: in upvalue 'thrower'", result.stderr)
    assert.matches('\ntask 2 "bad one" spawned at %(command line%):4\n$', result.stderr)
    assert.equal(1, count_lines(result.stderr, "^neap:"))
  end)

  it("is told whatever its type (J4)", function()
    local result = run [[
      local hostile = setmetatable({}, {__tostring = function() error "inner" end})
      local odd = setmetatable({}, {__tostring = function() return 1 end})
      local fine = setmetatable({}, {__tostring = function() return "fine" end})
      task.scope(function(s)
        for i, e in ipairs {"text", 42, {}, print, hostile, odd, fine, io.stdout, "a\0b"} do
          s:serve(function() error(e, 0) end, {})
        end
        s:serve(function() error(nil) end, {})
        s:serve(function() error() end, {})
      end)
      print "alive"
    ]]
    assert.equal("alive\n", result.stdout)
    assert.equal(0, result.code)
    local told = {}
    for text in result.stderr:gmatch "neap: ([^\n]*)" do
      told[#told + 1] = text:gsub("0x%x+", "ADDRESS")
    end
    assert.same({
      "text", "42", "(error object is a table value)", "(error object is a function value)",
      "(error object is a table value)", "1", "fine",
      "file (ADDRESS)", "a\\x00b", "(error object is a nil value)", "(error object is a nil value)",
    }, told)
  end)

  it("keeps its first traceback through scopes, timeouts and shields", function()
    local result = run [[
      local function origin()
        task.sleep(0)
        local x = nil + 1
      end
      local function wrapped()
        task.timeout(1, task.shield, task.scope, function(s)
          s:spawn(origin)
        end)
      end
      task.scope(function(s)
        s:spawn(wrapped)
        task.sleep(10)
      end)
    ]]
    assert.equal(1, result.code)
    assert.equal(1, count_lines(result.stderr, "^neap:"), result.stderr)
    assert.matches("^neap: %(command line%):3: attempt to perform arithmetic", result.stderr)
    assert.matches("\n\t%(command line%):3: in function <%(command line%):1>", result.stderr)
    assert.matches(":7\ntask 2 spawned at %(command line%):11\ntask 1 \"main\"\n$",
      result.stderr)
  end)

  it("has not the traceback of an equal one that was handled", function()
    local result = run [[
      local function handled()
        error("same", 0)
      end
      local function unhandled()
        error("same", 0)
      end
      pcall(task.timeout, 1, handled)
      task.timeout(1, unhandled)
    ]]
    assert.equal(1, result.code)
    assert.matches("in function <%(command line%):4>", result.stderr)
    assert.not_matches("<%(command line%):1>", result.stderr)
  end)

  it("brings the others of its scope along (I15)", function()
    local result = run [[
      task.scope(function(s)
        for i = 1, 3 do
          s:spawn(function()
            local c <close> = setmetatable({}, {__close = function() error("late " .. i) end})
            task.sleep(10)
          end)
        end
        task.sleep(0)
        error "first"
      end)
    ]]
    assert.equal(1, result.code)
    assert.matches("^neap: %(command line%):9: first\n", result.stderr)
    for i = 1, 3 do
      assert.equal(1, count_lines(result.stderr, "^and: %(command line%):4: late " .. i))
    end
    assert.equal(1, count_lines(result.stderr, "^neap: "))
  end)

  it("of a thousand tasks is told briefly", function()
    local result = run [[
      task.scope(function(s)
        for i = 1, 1000 do
          s:spawn(function()
            pcall(task.sleep, 10)
            error "failed"
          end)
        end
        task.yield()
        error "body"
      end)
    ]]
    assert.equal(1, result.code)
    assert.is_true(#result.stderr < 10000)
  end)

  it("is one of those handed to pcall: the program goes on", function()
    local ok, err = task.spawn(pcall, error, "handled", 0):join()
    assert.is_false(ok)
    assert.equal("handled", err)
  end)

  it("in a __gc is a warning, in __close and __index the task's failure (J5)", function()
    local result = run [[
      warn "@on"
      setmetatable({}, {__gc = function() error "collected" end})
      collectgarbage()
      local t1 = task.spawn(pcall, function()
        local x <close> = setmetatable({}, {__close = function() error "closing" end})
      end)
      local t2 = task.spawn(pcall, function()
        return setmetatable({}, {__index = function() error "indexed" end}).x
      end)
      print(select(2, t1:join()))
      print(select(2, t2:join()))
    ]]
    assert.equal("(command line):5: closing\n(command line):8: indexed\n", result.stdout)
    assert.equal("Lua warning: error in __gc ((command line):2: collected)\n",
      (result.stderr:gsub("\n[^\n]+$", "\n")))
    assert.equal(0, result.code)
  end)
end)

describe("a deadlock", function()
  it("is reported with who waits where for what, and ends the program", function()
    local result = run [[
      local c = task.channel()
      local worker = task.spawn(function()
        local guard <close> = setmetatable({}, {__close = function() print "closed" end})
        c:recv()
      end)
      worker.name = "worker"
      task.scope(function(s)
        s:spawn(function() task.event():wait() end)
        worker:join()
      end)
    ]]
    assert.equal("closed\n", result.stdout)
    assert.equal(1, result.code)
    local lines = {}
    for line in result.stderr:gmatch "[^\n]+" do
      lines[#lines + 1] = line
    end
    assert.same({
      "neap: deadlock: 3 tasks wait, and nothing can wake them",
      '  task 2 "worker" spawned at (command line):2 waits for channel recv at (command line):4',
      '  task 1 "main" waits for join at (command line):9',
      "  task 3 spawned at (command line):8 waits for event at (command line):8",
    }, lines)
  end)

  it("in the cleaning up after it does not hang", function()
    local result = run [[
      local guard <close> = setmetatable({}, {__close = function()
        task.shield(function() task.channel():recv() end)
      end})
      task.event():wait()
    ]]
    assert.equal(1, result.code)
    assert.equal(1, count_lines(result.stderr, "deadlock"))
  end)

  it("is none while somebody sleeps or a socket may speak", function()
    local result = run [[
      local e = task.event()
      task.spawn(function()
        task.sleep(0.02)
        e:set()
      end)
      e:wait()
      local l <close> = assert(net.listen "tcp://127.0.0.1:0")
      task.spawn(function()
        local s <close> = l:accept()
      end)
      local s <close> = net.connect("tcp://127.0.0.1:" .. l.port)
      s:recv()
      print "no deadlock"
    ]]
    assert.same({stdout = "no deadlock\n", stderr = "", code = 0}, result)
  end)
end)

describe("SIGINT and SIGTERM", function()
  local function start(script)
    local p = assert(process.spawn {neap, "-e", script, stdout = "pipe", stderr = "pipe"})
    assert.equal("ready", p.stdout:read "l")
    return p
  end

  for name, status in pairs {SIGINT = 130, SIGTERM = 143} do
    it(name .. " cancels all tasks, and every <close> may still wait", function()
      local p <close> = start [[
        for i = 1, 3 do
          task.spawn(function()
            local g <close> = setmetatable({}, {__close = function(_, err)
              task.shield(task.sleep, 0.005 * i)
              print("closed " .. i, err.message)
            end})
            task.scope(function(s) s:spawn(task.sleep, 10) end)
          end)
        end
        task.spawn(function()
          print "ready"
          io.stdout:flush()
        end)
      ]]
      task.sleep(0.01)
      assert.is_true(p:kill(name))
      local reason = name == "SIGINT" and "interrupted" or "terminated"
      local closed = {p.stdout:read("l", "l", "l")}
      table.sort(closed) -- on a busy machine a shorter sleep may begin later
      for i = 1, 3 do
        assert.equal(("closed %d\t%s"):format(i, reason), closed[i])
      end
      assert.equal("", p.stderr:read "a")
      assert.equal(status, (p:wait()))
    end)
  end

  it("end it at once the second time, whatever it does", function()
    for _, busy in ipairs {
      "while true do end",
      "task.shield(task.sleep, 10)",
      "coroutine.wrap(function() while true do pcall(error) end end)()",
    } do
      local p <close> = start("print 'ready' io.stdout:flush() " .. busy)
      assert.is_true(p:kill "SIGTERM")
      task.sleep(0.03)
      assert.equal("running", p.status, busy)
      assert.is_true(p:kill "SIGTERM")
      assert.equal(143, (p:wait()), busy)
    end
  end)

  it("end what catches them again and again, after the others, and tell it once", function()
    for _, loop in ipairs {
      "pcall(function() task.sleep(1) error 'transient' end)",
      "xpcall(task.yield, print)",
      "coroutine.resume(coroutine.create(task.sleep), 0)",
      "pcall(task.timeout, 1, task.sleep, 1)",
      "pcall(task.scope, function() task.sleep(1) end)",
      "pcall(c.send, c, 1)",
    } do
      local p <close> = start([[
        task.spawn(function()
          local g <close> = setmetatable({}, {__close = function()
            task.shield(task.sleep, 0.001)
            print "other closed"
          end})
          task.sleep(10)
        end)
        local c = task.channel(1)
        local function again(f)
          local g <close> = setmetatable({}, {__close = function()
            print "closed"
          end})
          while true do f() end
        end
        task.yield()
        print "ready"
        io.stdout:flush()
        again(function()
          ]] .. loop .. [[

        end)
      ]])
      assert.is_true(p:kill "SIGTERM")
      local out, told = task.timeout(20, function()
        return p.stdout:read "a", p.stderr:read "a"
      end)
      assert.is_string(out, loop)
      out = out:gsub("[^\n]*terminated[^\n]*\n", "") -- by xpcall's print
      assert.equal("closed\nother closed\n", (out:gsub("^other closed\n(.*)", "%1other closed\n")), loop)
      assert.equal(1, count_lines(told, "."), told)
      assert.matches(":%d+: goes on though it was told to end: .*%(task %d+ \"main\"%)\n$", told)
      assert.equal(143, (p:wait()), loop)
    end
  end)

  it("leave a clean-up alone that catches many of its waits", function()
    local p <close> = start [[
      print "ready"
      io.stdout:flush()
      pcall(task.sleep, 10)
      for _ = 1, 150 do
        pcall(task.sleep, 10)
      end
      print "cleaned up"
    ]]
    assert.is_true(p:kill "SIGTERM")
    assert.equal("cleaned up\n", p.stdout:read "a")
    assert.equal("", p.stderr:read "a")
    assert.equal(143, (p:wait()))
  end)

  it("leave a failure in the cleaning up to be told", function()
    local p <close> = start [[
      task.spawn(function()
        local g <close> = setmetatable({}, {__close = function() error "not clean" end})
        task.sleep(10)
      end)
      task.yield()
      print "ready"
      io.stdout:flush()
      task.sleep(10)
    ]]
    assert.is_true(p:kill "SIGTERM")
    assert.matches("not clean", p.stderr:read "a")
    assert.equal(143, (p:wait()))
  end)
end)

describe("print", function()
  it("loses nothing of what it prints where its output was made non-blocking", function()
    if process.run({"sh", "-c", "command -v python3"}).code ~= 0 then
      pending "python3 is not installed"
    end
    local result = process.run {"python3", "-c", [[
import fcntl, os, subprocess, sys, time
r, w = os.pipe()
fcntl.fcntl(w, fcntl.F_SETFL, fcntl.fcntl(w, fcntl.F_GETFL) | os.O_NONBLOCK)
p = subprocess.Popen([sys.argv[1], "-e", "for i = 1, 5000 do print(('x'):rep(99)) end"], stdout=w)
os.close(w)
time.sleep(0.2)
n = 0
while True:
  some = os.read(r, 4096)
  if not some: break
  n += len(some)
print(n, p.wait())
]], neap}
    assert.same({stdout = "500000 0\n", stderr = "", code = 0}, result)
  end)

  it("writes on where a file was made non-blocking", function()
    if process.run({"sh", "-c", "command -v python3"}).code ~= 0 then
      pending "python3 is not installed"
    end
    local path = os.tmpname()
    local result = process.run {"sh", "-c", [[
      { python3 -c 'import os; os.set_blocking(1, False); print("one", flush=True)'
        "$1" -e 'print "two"'; } > "$2"
      cat "$2"
    ]], "sh", neap, path}
    os.remove(path)
    assert.same({stdout = "one\ntwo\n", stderr = "", code = 0}, result)
  end)
end)
