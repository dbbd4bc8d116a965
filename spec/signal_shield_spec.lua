--- What SIGINT and SIGTERM do to what blocks in a system call: io.read, a command that
--- is waited for, what is printed; and to what is shielded from them.

local process = require "neap.process"
local task = require "neap.task"

local child = require "spec.support.child"
local await = require "spec.support.tasks".await

--- A sanitizer takes a tenth of a second for each program: there one of them will do.
local both = child.sanitized and {"SIGTERM"} or {"SIGINT", "SIGTERM"}

describe("SIGINT and SIGTERM end what blocks in C:", function()
  --- Signals that the process catches, or none: it may have ended.
  local function caught(p)
    local file <close> = io.open(("/proc/%d/status"):format(p.pid))
    return tonumber(file and file:read "a":match "SigCgt:%s*(%x+)" or "0", 16)
  end

  local fifo

  before_each(function()
    fifo = os.tmpname()
    os.remove(fifo)
    assert(process.run({"mkfifo", fifo}).code == 0)
  end)

  after_each(function()
    os.remove(fifo)
  end)

  --- Start it, and wait until it is ready; FIFO stands for the path of one.
  local function blocked(arguments, ready)
    local command = {child.neap, stdin = "pipe", stdout = "pipe", stderr = "pipe"}
    for _, argument in ipairs(arguments) do
      command[#command + 1] = argument:gsub("FIFO", fifo)
    end
    local p = assert(process.spawn(command))
    if ready then
      assert.equal("ready", p.stdout:read "l")
    else
      assert.is_true(await(function()
        return caught(p) & 1 << 14 ~= 0
      end))
    end
    task.sleep(0.02)
    return p
  end

  local function ends(name, ...)
    local p <close> = blocked(...)
    assert.is_true(p:kill(name))
    local code, by = task.timeout(10, p.wait, p)
    assert(code, "it goes on")
    assert.equal(name, by)
    p.stdin:close() -- a command that it has left alone ends, too
    return p.stderr:read "a"
  end

  local calls = {
    "io.read()", "io.read 'a'", "io.stdin:read(1)",
    "for line in io.lines() do end", "io.stdin:lines()()", "pcall(io.lines())",
    "coroutine.wrap(io.lines())()",
    "task.timeout(20, io.lines())",
    "task.scope(function(s) s:spawn(io.lines()) end)",
    "io.popen 'cat':read()", "local p <close> = io.popen 'cat' p:read()",
    "io.popen 'cat':close()", "os.execute 'cat'",
    "io.open 'FIFO'", "io.lines 'FIFO'", "dofile 'FIFO'", "loadfile 'FIFO'",
    "require 'neap.trace'.start {to = 'FIFO'}",
    "while true do io.write(('x'):rep(4096)) end", "while true do print(('x'):rep(4096)) end",
  }
  for _, call in ipairs(calls) do
    it(call, function()
      for _, name in ipairs(both) do
        local told = ends(name, {"-e", [[
          local guard <close> = setmetatable({}, {__close = function(_, err)
            os.execute "echo closed >&2"
            if err and not tostring(err):find "ECANCELED" then io.stderr:write(tostring(err)) end
          end})
          print "ready"
          io.stdout:flush()
        ]] .. call}, true)
        local lost = call:find "^while" and "neap: stdout: not all of it was written\n" or ""
        assert.equal("closed\n" .. lost, told)
      end
    end)
  end

  for what, arguments in pairs {
    ["a script from an idle stdin"] = {"-"}, ["a script that is a FIFO"] = {"FIFO"},
    ["--trace=FIFO"] = {"--trace=FIFO", "-e", "task.sleep(20)"},
  } do
    it(what, function()
      assert.equal("", ends("SIGINT", arguments))
      assert.equal("", ends("SIGTERM", arguments))
    end)
  end

  it("but not what reads while a script takes them", function()
    local p <close> = blocked({"-e", [[
      local taken = task.spawn(signal.wait, "SIGTERM")
      task.yield()
      print "ready"
      io.stdout:flush()
      print(io.read())
      print(taken:join())
    ]]}, true)
    assert.is_true(p:kill "SIGTERM")
    task.sleep(0.1)
    p.stdin:write "line\n"
    assert.equal("line\nSIGTERM\n", p.stdout:read "a")
    assert.same({0}, {p:wait()})
  end)

  it("and the command that was waited for is reaped when it ends", function()
    for _, call in ipairs {
      "os.execute 'exec sleep 0.5'", "local p <close> = io.popen 'exec sleep 0.5' p:read()",
    } do
      local p <close> = blocked({"-e", ([[
        local file = ("/proc/self/task/%%d/children"):format(io.open "/proc/self/stat":read "n")
        local function children()
          local f <close> = assert(io.open(file))
          return f:read "a"
        end
        print "ready"
        io.stdout:flush()
        print(pcall(function() %s end), children() ~= "")
        task.shield(function()
          for _ = 1, 400 do
            task.sleep(0.01)
            if children() == "" then break end
          end
        end)
        print(children() == "")
      ]]):format(call)}, true)
      assert.is_true(p:kill "SIGTERM")
      assert.equal("false\ttrue\ntrue\n", p.stdout:read "a")
      assert.equal("SIGTERM", select(2, p:wait()))
    end
  end)

  for _, call in ipairs {
    "task.shield(os.execute, 'exec sleep 0.4')",
    "task.shield(function() return io.popen('exec sleep 0.4'):close() end)",
    "task.shield(function() return io.popen('sleep 0.4; echo true'):read() end)",
    "task.shield(pcall, task.scope, function(s) s:spawn(function() shown = os.execute 'exec sleep 0.4' end) end)",
    "worker.run(function() return require 'neap.task'.shield(os.execute, 'exec sleep 0.4') end)",
    "task.shield(function() return task.timeout(20, os.execute, 'exec sleep 0.4') end)",
  } do
    it("but not what is in a shield: " .. call, function()
      for _, name in ipairs(both) do
        local p <close> = blocked({"-e", ([[
          local shown
          print "ready"
          io.stdout:flush()
          pcall(function()
            local first = %s
            print(shown or first)
            task.sleep(10)
          end)
          print "over"
        ]]):format(call)}, true)
        assert.is_true(p:kill(name))
        local told = task.timeout(8, p.stdout.read, p.stdout, "a")
        assert.equal(call:find "^worker" and "over\n" or "true\nover\n", told)
        assert.equal("", p.stderr:read "a")
        assert.equal(name, select(2, p:wait()))
      end
    end)
  end

  for what, call in pairs {
    ["that waits"] = "task.shield(task.sleep, 0.3)",
    ["that blocks"] = "task.shield(os.execute, 'exec sleep 0.3')",
    ["that computes"] = "task.shield(function() local t = time.now() repeat until time.now() - t > 0.3 end)",
    ["that is left by an error"] = "pcall(task.shield, function() task.sleep(0.3) error 'left' end)",
    ["in a coroutine"] = "coroutine.wrap(function() task.shield(task.sleep, 0.3) end)()",
    ["in a shield"] = "task.shield(function() task.shield(task.sleep, 0.3) print 'still' end)",
  } do
    it("and what comes behind a shield " .. what, function()
      for _, behind in ipairs {"while true do end", "io.read()", "os.execute 'exec sleep 9 >/dev/null 2>&1'"} do
        local p <close> = blocked({"-e", ([[
          local guard <close> = setmetatable({}, {__close = function()
            os.execute "sleep 0.1; echo closed" -- it is preempted once
          end})
          print "ready"
          io.stdout:flush()
          %s
          print "behind"
          io.stdout:flush()
          %s
        ]]):format(call, behind)}, true)
        assert.is_true(p:kill "SIGTERM")
        local told = task.timeout(8, p.stdout.read, p.stdout, "a")
        assert.equal((what == "in a shield" and "still\n" or "") .. "behind\nclosed\n", told)
        assert.equal("SIGTERM", select(2, p:wait()))
      end
    end)
  end

  for what, script in pairs {
    ["of a task that runs next"] = [[
      s:spawn(shielded, task.yield)
      s:spawn(function()
        ready()
        signal.raise "SIGTERM"
        task.sleep(10)
      end)
    ]],
    ["of a coroutine that was left in it"] = [[
      ready()
      coroutine.wrap(shielded)(task.sleep, 0.2)
    ]],
    ["of a generator"] = [[
      local generator = coroutine.wrap(shielded)
      generator(coroutine.yield)
      ready()
      signal.raise "SIGTERM"
      generator()
    ]],
    ["when another task's ends, and the task with it"] = [[
      s:spawn(task.shield, task.sleep, 0.2)
      s:spawn(shielded, task.sleep, 0.2)
      ready()
    ]],
  } do
    for call, expected in pairs {
      ["print(io.popen('sleep 0.4; echo whole'):read())"] = "whole\n",
      ["print(os.execute 'exec sleep 0.4')"] = "true\texit\t0\n",
      [ [[
        local f = io.popen("sleep 0.4; wc -c", "w")
        f:setvbuf("full", 1 << 20)
        f:write(("y"):rep(100000))
        print(f:close())
        ]] ] = "100000\ntrue\texit\t0\n",
    } do
      it("but not what is in the shield " .. what .. ": " .. call, function()
        local p <close> = blocked({"-e", ([[
          local function ready()
            print "ready"
            io.stdout:flush()
          end
          local function shielded(wait, ...)
            task.shield(function(...)
              wait(...)
              %s
              io.stdout:flush()
            end, ...)
          end
          task.scope(function(s)
            %s
          end)
        ]]):format(call, script)}, true)
        if not script:find "raise" then
          assert.is_true(p:kill "SIGTERM")
        end
        assert.equal(expected, task.timeout(8, p.stdout.read, p.stdout, "a"))
        assert.equal("", p.stderr:read "a")
        assert.equal("SIGTERM", select(2, p:wait()))
      end)
    end
  end

  --- What it prints at its end finds the pipe full, and the reader comes late.
  local function last_words(before, behind)
    local p <close> = blocked({"-e", ([[
      print "ready"
      io.stdout:flush()
      for _ = 1, 3 do -- some of it is read ahead
        os.execute "dd if=/dev/zero of=/dev/stdout oflag=nonblock bs=4096 count=1000 2>/dev/null"
        io.stderr:write "full\n"
        io.read()
      end
      %s
      io.write(("y"):rep(2000))
      %s
    ]]):format(before, behind)}, true)
    for _ = 1, 3 do
      assert.equal("full", p.stderr:read "l")
      task.sleep(0.05)
      p.stdin:write "\n"
    end
    task.sleep(0.1)
    assert.is_true(p:kill "SIGTERM")
    task.sleep(0.6)
    assert.equal(2000, #task.timeout(8, p.stdout.read, p.stdout, "a"):match "y*$")
    assert.equal("", p.stderr:read "a")
    return select(2, p:wait())
  end

  it("but not the last flush, behind a shield or not", function()
    assert.equal("SIGTERM", last_words("task.shield(task.sleep, 0.4)", ""))
    assert.equal("SIGTERM", last_words("", ""))
  end)

  it("but not the flush of os.exit", function()
    last_words("task.shield(task.sleep, 0.4)", "os.exit(0)")
    last_words("task.shield(task.sleep, 0.4)", "os.exit(0, true)")
  end)

  it("beside a generator that its parent has left inside a shield", function()
    ends("SIGTERM", {"-e", [[
      local generator = coroutine.wrap(function() task.shield(coroutine.yield, 1) end)
      generator()
      print "ready"
      io.stdout:flush()
      task.scope(function(s) s:spawn(io.read) end)
    ]]}, true)
  end)

  it("and what a task blocks in that begins behind them", function()
    for _, call in ipairs {"io.read", "task.scope, function(s) s:spawn(io.read) end"} do
      local p <close> = blocked({"-e", ([[
        task.scope(function(s)
          s:spawn(function()
            print "ready"
            io.stdout:flush()
            signal.raise "SIGTERM"
            while true do end
          end)
          s:spawn(%s)
        end)
      ]]):format(call)}, true)
      assert.equal("SIGTERM", select(2, task.timeout(8, p.wait, p)))
    end
  end)

  it("and what a worker blocks in, though not in a shield", function()
    local p <close> = blocked({"-e", [[
      local function work()
        local task = require "neap.task"
        print "ready"
        io.stdout:flush()
        print(task.shield(os.execute, "exec sleep 0.4"))
        io.stdout:flush()
        io.read()
        print "never"
      end
      worker.run(work)
    ]]}, true)
    assert.is_true(p:kill "SIGTERM")
    assert.equal("true\texit\t0\n", task.timeout(8, p.stdout.read, p.stdout, "a"))
    assert.equal("SIGTERM", select(2, p:wait()))
  end)

  it("whenever they come", function()
    for i = 1, child.sanitized and 20 or 200 do
      local p <close> = blocked({"-e", [[
        print "ready"
        io.stdout:flush()
        for line in io.lines() do end
      ]]}, true)
      for _ = 1, i % 20 * 10 do
        p.stdin:write(("x\n"):rep(10))
      end
      assert.is_true(p:kill "SIGTERM")
      local _, by = p:wait()
      assert.equal("SIGTERM", by)
    end
  end)
end)
