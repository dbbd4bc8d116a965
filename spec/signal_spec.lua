local process = require "neap.process"
local signal = require "neap.signal"
local task = require "neap.task"

local child = require "spec.support.child"
local await = require "spec.support.tasks".await

local neap = child.neap

--- A second neap that runs this script, its output a pipe.
local function start(script)
  return assert(process.spawn {neap, "-e", script, stdout = "pipe"})
end

describe("signal.wait", function()
  after_each(function()
    assert(signal.default "SIGUSR1")
    assert(signal.default "SIGUSR2")
  end)

  it("gives the name of the one that came", function()
    local waiting = task.spawn(signal.wait, "SIGUSR1", "SIGUSR2")
    task.yield()
    assert.is_true(signal.raise "SIGUSR2")
    assert.equal("SIGUSR2", (waiting:join()))
  end)

  it("wakes all who wait for the same one", function()
    local first = task.spawn(signal.wait, "SIGUSR1")
    local second = task.spawn(signal.wait, "SIGUSR1", "SIGUSR2")
    task.yield()
    signal.raise "SIGUSR1"
    assert.equal("SIGUSR1", (first:join()))
    assert.equal("SIGUSR1", (second:join()))
  end)

  it("keeps one that came while nobody waited", function()
    task.timeout(0, signal.wait, "SIGUSR1")
    signal.raise "SIGUSR1"
    task.sleep(0.01)
    assert.equal("SIGUSR1", signal.wait("SIGUSR2", "SIGUSR1"))
  end)

  it("gives two that came together one after the other", function()
    local waiting = task.spawn(signal.wait, "SIGUSR1", "SIGUSR2")
    task.yield()
    signal.raise "SIGUSR2"
    signal.raise "SIGUSR1"
    assert.equal("SIGUSR1", (waiting:join()))
    assert.equal("SIGUSR2", signal.wait "SIGUSR2")
  end)

  it("can be cancelled, and loses nothing then (I1)", function()
    local waiting = task.spawn(signal.wait, "SIGUSR1")
    task.yield()
    waiting:cancel()
    local _, err = waiting:join()
    assert.equal("ECANCELED", err.code)
    signal.raise "SIGUSR1"
    assert.equal("SIGUSR1", signal.wait "SIGUSR1")
  end)

  it("raises for what is no signal, with the list", function()
    for _, name in ipairs {"SIGNONE", "HUP", "sighup", "SIGHUP\0", ""} do
      local ok, message = pcall(signal.wait, name)
      assert.is_false(ok)
      assert.matches("unknown signal, expected one of SIGHUP SIGINT ", message)
    end
    assert.has_error(signal.wait)
    assert.has_error(function()
      signal.wait("SIGHUP", 1)
    end)
  end)

  it("raises for those that a script cannot have", function()
    for _, name in ipairs {"SIGKILL", "SIGSTOP", "SIGSEGV", "SIGCHLD"} do
      for _, verb in ipairs {"wait", "each", "ignore", "default"} do
        assert.is_false(pcall(signal[verb], name), verb .. " " .. name)
      end
    end
  end)
end)

describe("signal.each", function()
  after_each(function()
    assert(signal.default "SIGUSR1")
  end)

  it("makes a burst one or some, and never loses the last (M1)", function()
    local seen = 0
    local iterating = task.spawn(function()
      for name in signal.each "SIGUSR1" do
        assert.equal("SIGUSR1", name)
        seen = seen + 1
      end
    end)
    task.yield()
    for i = 1, 100000 do
      signal.raise "SIGUSR1"
      if i % 10000 == 0 then
        task.yield()
      end
    end
    task.sleep(0.01)
    assert.is_true(seen >= 1 and seen <= 11, seen)
    local before = seen
    signal.raise "SIGUSR1"
    assert.is_true(await(function()
      return seen == before + 1
    end))
    iterating:cancel()
    iterating:join()
  end)

  it("keeps what comes during its body", function()
    local bodies = 0
    task.spawn(function()
      signal.raise "SIGUSR1"
    end)
    for _ in signal.each "SIGUSR1" do
      bodies = bodies + 1
      if bodies == 3 then
        break
      end
      signal.raise "SIGUSR1"
      task.sleep(0.001)
    end
    assert.equal(3, bodies)
  end)

  it("sees what came before it began, and leaves what it did not see", function()
    task.timeout(0, signal.wait, "SIGUSR1")
    signal.raise "SIGUSR1"
    task.sleep(0.01)
    for name in signal.each "SIGUSR1" do -- luacheck: ignore 512
      assert.equal("SIGUSR1", name)
      signal.raise "SIGUSR1"
      task.sleep(0.01)
      break
    end
    assert.equal("SIGUSR1", signal.wait "SIGUSR1")
  end)

  it("ends its task, not the loop's process, when the body fails (M1)", function()
    local iterating = task.spawn(pcall, function()
      for _ in signal.each "SIGUSR1" do
        error "thrown in a body"
      end
    end)
    task.yield()
    signal.raise "SIGUSR1"
    local ok, message = iterating:join()
    assert.is_false(ok)
    assert.matches("thrown in a body", message)
    signal.raise "SIGUSR1"
    assert.equal("SIGUSR1", signal.wait "SIGUSR1")
  end)
end)

describe("signal.ignore and default", function()
  it("refuse a signal that somebody waits for", function()
    local waiting = task.spawn(signal.wait, "SIGUSR1")
    task.yield()
    for _, verb in ipairs {"ignore", "default"} do
      local ok, err = signal[verb] "SIGUSR1"
      assert.is_nil(ok)
      assert.equal("EBUSY", err.code)
    end
    signal.raise "SIGUSR1"
    waiting:join()
    assert.is_true(signal.default "SIGUSR1")
  end)

  it("let it do nothing, and what the system says", function()
    local p <close> = start [[
      signal.ignore "SIGTERM"
      signal.raise "SIGTERM"
      task.sleep(0.01)
      io.write "alive"
      io.stdout:flush()
      signal.default "SIGHUP"
      signal.raise "SIGHUP"
      io.write "never"
    ]]
    assert.equal("alive", p.stdout:read "a")
    local code, name = p:wait()
    assert.equal(129, code)
    assert.equal("SIGHUP", name)
  end)
end)

describe("a signal that was ignored when neap began", function()
  local function run(signals, script)
    return assert(process.run {"sh", "-c", "trap '' " .. signals .. [[; exec "$@"]],
      "sh", neap, "-e", script})
  end

  it("is ignored by default (nohup)", function()
    for _, name in ipairs {"HUP", "TERM", "USR1"} do
      local result = run(name, ([[
        local name = "SIG%s"
        signal.ignore(name)
        signal.default(name)
        signal.raise(name)
        task.sleep(0.01)
        print "alive"
      ]]):format(name))
      assert.same({stdout = "alive\n", stderr = "", code = 0}, result)
    end
  end)

  it("may be SIGPIPE, and then print's failure is told", function()
    local result = assert(process.run {"sh", "-c", [[trap '' PIPE; "$@" | true]], "sh", neap, "-e", [[
      task.sleep(0.1)
      for _ = 1, 10 do print "to nobody" end
      io.stderr:write "alive\n"
    ]]})
    assert.equal("alive\nneap: stdout: not all of it was written\n", result.stderr)
  end)
end)

it("a signal that a script takes does not end it at its end", function()
  local script = [[
    local waits = task.spawn(function() for _ in signal.each "SIGHUP" do end end)
    task.yield()
    waits:cancel()
  ]]
  local expected = {stdout = "", stderr = "", code = 0}
  local first = child.strace({"-e", "trace=close"}, script)
  local calls = first.calls
  first.calls = nil
  assert.same(expected, first)
  for i = #calls - 5, #calls do -- the last is of the loop's own epoll
    local result = child.strace({"-e", "inject=close:signal=SIGHUP:when=" .. i}, script)
    result.calls = nil
    assert.same(expected, result)
  end
end)

it("signal.names has the names by number", function()
  assert.equal("SIGHUP", signal.names[1])
  assert.equal("SIGTERM", signal.names[15])
  assert.equal(31, #signal.names)
end)

describe("SIGINT and SIGTERM", function()
  it("cancel the program: <close> runs, and then it dies of the signal", function()
    for _, name in ipairs {"SIGINT", "SIGTERM"} do
      local p <close> = start [[
        local guard <close> = setmetatable({}, {__close = function()
          task.shield(task.sleep, 0.01)
          print "closed"
        end})
        print "ready"
        io.stdout:flush()
        task.sleep(10)
      ]]
      assert.equal("ready", p.stdout:read "l")
      assert.is_true(p:kill(name))
      assert.equal("closed", p.stdout:read "l")
      assert.equal(name, select(2, p:wait()))
    end
  end)

  it("end it in order in an endless loop, too", function()
    for _, name in ipairs {"SIGINT", "SIGTERM"} do
      for _, call in ipairs {
        "coroutine.wrap(%s)()",
        "task.scope(function(s) s:spawn(%s) end)",
        "task.scope(function() task.scope(function(s) s:spawn(%s) end) end)",
      } do
        local p <close> = start([[
          local guard <close> = setmetatable({}, {__close = function()
            print "closed"
          end})
        ]] .. call:format [[function()
          print "ready"
          io.stdout:flush()
          while true do end
        end]])
        assert.equal("ready", p.stdout:read "l")
        assert.is_true(p:kill(name))
        assert.equal("closed", task.timeout(10, p.stdout.read, p.stdout, "l"))
        assert.equal(name, select(2, p:wait()))
      end
    end
  end)

  it("take no result from a function that another signal's EINTR came before", function()
    local p <close> = start [[
      print "ready"
      io.stdout:flush()
      signal.wait "SIGUSR1"
      local _, got = pcall(signal.raise, "SIGTERM")
      print(got)
      task.sleep(10)
    ]]
    assert.equal("ready", p.stdout:read "l")
    task.sleep(0.05)
    assert.is_true(p:kill "SIGUSR1")
    assert.equal("true\n", p.stdout:read "a")
    assert.equal("SIGTERM", select(2, p:wait()))
  end)

  it("leave a program alone that has caught them, and cleans up at length", function()
    local p <close> = start [[
      local time = require "neap.time"
      print "ready"
      io.stdout:flush()
      pcall(function()
        while true do end
      end)
      local began = time.now()
      repeat until time.now() - began > 0.3
      print "cleaned up"
    ]]
    assert.equal("ready", p.stdout:read "l")
    assert.is_true(p:kill "SIGINT")
    assert.equal("cleaned up", p.stdout:read "l")
    assert.equal("SIGINT", select(2, p:wait()))
  end)

  it("count how long it computes behind them by the processor, not by the clock", function()
    local p <close> = start [[
      local function compute(seconds)
        local began = os.clock()
        repeat until os.clock() - began > seconds
      end
      print "ready"
      io.stdout:flush()
      compute(0.02)
      signal.raise "SIGINT"
      compute(0.012) -- much less than what it may
      print "went on"
    ]]
    assert.equal("ready", p.stdout:read "l")
    while p.status == "running" do -- it gets little of the processor, and is late
      p:kill "SIGSTOP"
      task.sleep(0.02)
      p:kill "SIGCONT"
      task.sleep(0.002)
    end
    assert.equal("went on", p.stdout:read "l")
    assert.equal("SIGINT", select(2, p:wait()))
  end)

  it("end it at once when they come twice, even if it catches the first", function()
    local p <close> = start [[
      print "ready"
      io.stdout:flush()
      while true do
        pcall(function()
          while true do end
        end)
      end
    ]]
    assert.equal("ready", p.stdout:read "l")
    assert.is_true(p:kill "SIGINT")
    task.sleep(0.05)
    assert.equal("running", p.status)
    assert.is_true(p:kill "SIGTERM")
    assert.equal("SIGTERM", select(2, p:wait()))
  end)

  it("are a script's while it waits for them, and only then (M1)", function()
    local p <close> = start [[
      for i = 1, 3 do
        print(i)
        io.stdout:flush()
        print(signal.wait "SIGINT")
      end
      print "more"
      io.stdout:flush()
      task.sleep(10)
    ]]
    for i = 1, 3 do
      assert.equal(tostring(i), p.stdout:read "l")
      task.sleep(0.05) -- it prints before it waits
      assert.is_true(p:kill "SIGINT")
      assert.equal("SIGINT", p.stdout:read "l")
    end
    assert.equal("more", p.stdout:read "l")
    p:kill "SIGINT"
    assert.equal("SIGINT", select(2, p:wait()))
  end)

  it("let a server end in its own way (M10)", function()
    local p <close> = start [[
      local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
      task.spawn(function()
        signal.wait "SIGTERM"
        listener:close()
      end)
      print(listener.port)
      io.stdout:flush()
      listener:serve(function(stream)
        stream:write "welcome\n"
        for line in stream:lines() do
          task.sleep(0.05)
          stream:write(line, "\n")
        end
      end)
      print "drained"
    ]]
    local net = require "neap.net"
    local port = p.stdout:read "n"
    local clients = {}
    for i = 1, 20 do
      clients[i] = assert(net.connect("tcp://127.0.0.1:" .. port))
      clients[i]:write("hello\n")
      clients[i]:shutdown()
    end
    for i = 1, 20 do
      assert.equal("welcome", clients[i]:read "l") -- it has been accepted
    end
    assert.is_true(p:kill "SIGTERM")
    for i = 1, 20 do
      assert.equal("hello", clients[i]:read "l")
      clients[i]:close()
    end
    assert.equal("\ndrained\n", p.stdout:read "a")
    assert.equal(0, (p:wait()))
  end)

  it("stay ignored when they were before neap began", function()
    local result = assert(process.run {"sh", "-c", [[
      trap '' INT TERM
      exec "$@"
    ]], "sh", neap, "-e", [[
      signal.raise "SIGINT"
      signal.raise "SIGTERM"
      task.sleep(0.01)
      print "alive"
    ]]})
    assert.same({stdout = "alive\n", stderr = "", code = 0}, result)
  end)

  it("leave the last word to an os.exit in the cleaning up", function()
    local result = assert(process.run {neap, "-e", [[
      local guard <close> = setmetatable({}, {__close = function() os.exit(5) end})
      signal.raise "SIGTERM"
      task.sleep(10)
    ]]})
    assert.same({stdout = "", stderr = "", code = 5}, result)
    assert.same({stdout = "", stderr = "", code = 241}, process.run {neap, "-e", "os.exit(-15)"})
  end)

  it("end with 128 + the number where they kill nobody: process 1", function()
    local unshare = {"unshare", "--pid", "--fork", "--map-root-user"}
    local function run(...)
      local command = {...}
      return assert(process.run(table.move(unshare, 1, #unshare, 1,
        table.move(command, 1, #command, #unshare + 1, {}))))
    end
    if run "true".code ~= 0 then
      pending "no pid namespaces here"
    end
    for code, name in pairs {[130] = "SIGINT", [143] = "SIGTERM"} do
      local result = run(neap, "-e", ([[
        local guard <close> = setmetatable({}, {__close = function() print "closed" end})
        signal.raise %q
        task.sleep(10)
      ]]):format(name))
      assert.same({stdout = "closed\n", stderr = "", code = code}, result)
    end
  end)

  it("end it though the parent has left them blocked", function()
    for _, name in ipairs {"SIGINT", "SIGTERM"} do
      local p <close> = assert(process.spawn {
        "env", "--block-signal=" .. name:sub(4), neap, "-e", "print 'ready' task.sleep(20)",
        stdout = "pipe",
      })
      assert.equal("ready", p.stdout:read "l")
      assert.is_true(p:kill(name))
      assert(task.timeout(10, p.wait, p))
    end
  end)
end)

describe("SIGABRT", function()
  it("ends it, whoever sends it, and says so", function()
    for _, script in ipairs {
      "signal.raise 'SIGABRT'", "os.execute 'kill -ABRT $PPID' task.sleep(10)",
    } do
      local result = assert(process.run {"sh", "-c", 'ulimit -c 0; exec "$0" -e "$1"', neap, script})
      assert.equal("SIGABRT", result.signal)
      assert.matches("^neap: aborted; the last error was %a+\n$", result.stderr)
    end
  end)
end)

describe("SIGPIPE", function()
  it("is an error of the write, and its default in children (M2)", function()
    local result = assert(process.run {neap, "-e", [[
      local a, b = net.socketpair()
      b:close()
      local ok, err = a:write "x"
      if ok then ok, err = a:flush() end
      print(ok, err.code)
      local line = "grep -i sigign /proc/self/status"
      print(io.popen(line):read "a")
      print(process.run{"sh", "-c", line}.stdout)
    ]]})
    assert.equal("", result.stderr)
    local write, popen, spawn = result.stdout:match "^(.-)\nSigIgn:%s*(%x+)\n\nSigIgn:%s*(%x+)\n"
    assert.equal("nil\tEPIPE", write)
    assert.equal(0, tonumber(popen, 16) & 1 << 12)
    assert.equal(0, tonumber(spawn, 16))
  end)
end)
