-- Draining: how a program that serves ends behind a signal.

local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"
local time = require "neap.time"

local child = require "spec.support.child"

--- A server that runs this, its handler being `handle`; where it listens is its first line.
local function start(options, script)
  local command = {child.neap, stdout = "pipe", stderr = "pipe"}
  for _, option in ipairs(options) do
    command[#command + 1] = option
  end
  command[#command + 1] = "-e"
  command[#command + 1] = script
  local p = assert(process.spawn(command))
  return p, assert(p.stdout:read "l")
end

local function listening(body, options)
  return ([[
    local listener = assert(net.listen "tcp://127.0.0.1:0")
    print(listener.endpoint)
    io.stdout:flush()
    listener:serve(function(stream) %s end, {%s})
    print "served"
  ]]):format(body, options or "")
end

local function seconds(f, ...)
  local start_time = time.now()
  f(...)
  return time.now() - start_time
end

local LINES = [[
  local line = stream:read "l"
  while line do
    if line == "slow" then task.sleep(0.3) end
    stream:write(line, " ", tostring(task.draining()), "\n")
    line = task.idle(stream.read, stream, "l")
  end
  stream:write "bye\n"
]]

describe("a program that serves, behind SIGTERM", function()
  it("ends what is under way well, and what is idle", function()
    for _, signal in ipairs {"SIGTERM", "SIGINT"} do
      local p, endpoint = start({"--drain=60"}, listening(LINES))
      local idle <close> = assert(net.connect(endpoint))
      local busy <close> = assert(net.connect(endpoint))
      idle:write "first\n"
      assert.equal("first false", idle:read "l")
      busy:write "slow\n"
      task.sleep(0.1)
      p:kill(signal)
      assert.equal("bye\n", idle:read "a")
      assert.is_truthy(task.timeout(5, function()
        repeat
          local stream, err = net.connect(endpoint)
          if stream then
            stream:close()
            task.sleep(0.01)
          end
        until err and err.code == "ECONNREFUSED"
        return true
      end))
      assert.equal("slow true\nbye\n", busy:read "a")
      assert.equal("served\n", p.stdout:read "a")
      assert.equal("", p.stderr:read "a")
      assert.equal(signal, select(2, p:wait()))
    end
  end)

  it("takes what has been sent already for no idle time", function()
    local p, endpoint = start({"--drain=60"}, listening([[
      local line = stream:read "l"
      while line do
        task.sleep(0.3)
        stream:write(line, "\n")
        line = task.idle(stream.read, stream, "l")
      end
    ]]))
    local stream <close> = assert(net.connect(endpoint))
    stream:write "one\ntwo\nthree\n"
    task.sleep(0.1)
    p:kill()
    assert.equal("one\ntwo\nthree\n", stream:read "a")
    p:wait()
  end)

  it("answers all who have connected, also those that it has not accepted", function()
    local p, endpoint = start({"--drain=60"}, listening([[
      local line = stream:read "l"
      if line == "busy" then
        local give_up = time.now() + 0.5
        repeat until time.now() > give_up
      end
      stream:write(line, "\n")
    ]]))
    local busy <close> = assert(net.connect(endpoint))
    busy:write "busy\n"
    task.sleep(0.1)
    local streams = {}
    for i = 1, 100 do
      streams[i] = assert(net.connect(endpoint))
      streams[i]:write(i, "\n")
    end
    p:kill()
    for i, stream in ipairs(streams) do
      assert.equal(tostring(i), (assert(stream:read "l")))
      stream:close()
    end
    assert.equal("busy", busy:read "l")
    assert.equal("SIGTERM", select(2, p:wait()))
  end)

  it("does so where it serves only some at once", function()
    local p, endpoint = start({"--drain=60"}, listening([[
      local line = stream:read "l"
      task.sleep(0.05)
      stream:write(line, "\n")
    ]], "max = 2"))
    local streams = {}
    for i = 1, 8 do
      streams[i] = assert(net.connect(endpoint))
      streams[i]:write(i, "\n")
    end
    task.sleep(0.02)
    p:kill()
    for i, stream in ipairs(streams) do
      assert.equal(tostring(i), (assert(stream:read "l")))
      stream:close()
    end
    assert.equal("SIGTERM", select(2, p:wait()))
  end)

  for what, body in pairs {
    ["that wait"] = "task.sleep(100)",
    ["that compute"] = "while true do os.clock() end",
  } do
    it("cancels handlers " .. what .. " when the time is up (I1)", function()
      local p, endpoint = start({"--drain=0.5"}, listening(([[
        local _ <close> = setmetatable({}, {__close = function() print "closed" io.stdout:flush() end})
        stream:write "here\n"
        task.sleep(0.01)
        %s
      ]]):format(body)))
      local stream <close> = assert(net.connect(endpoint))
      stream:read "l"
      p:kill()
      local took = seconds(function()
        assert.equal("closed", p.stdout:read "l")
      end)
      assert.is_true(took > 0.4, took)
      p:wait()
      assert.equal("SIGTERM", p.signal)
    end)
  end

  for what, body in pairs {
    ["by pcall"] = "while true do pcall(function() while true do os.clock() end end) end",
    ["in a coroutine"] = "coroutine.wrap(function() while true do pcall(spin) end end)()",
    ["in its <close>"] = "local _ <close> = setmetatable({}, {__close = spin}) spin()",
  } do
    it("ends handlers that compute and swallow that " .. what, function()
      local p, endpoint = start({"--drain=0.1"}, "function spin() while true do os.clock() end end " .. listening([[
        stream:write "here\n"
        task.sleep(0.01)
      ]] .. body))
      local stream <close> = assert(net.connect(endpoint))
      stream:read "l"
      p:kill()
      local ended = task.timeout(20, p.wait, p)
      p:kill "SIGKILL"
      assert.is_truthy(ended)
      assert.equal("SIGTERM", p.signal)
    end)
  end

  it("ends at once by the second one", function()
    local p, endpoint = start({"--drain=60"}, listening "task.sleep(100)")
    local stream <close> = assert(net.connect(endpoint))
    task.sleep(0.1)
    p:kill()
    assert.is_nil((task.timeout(0.3, p.wait, p)))
    p:kill()
    assert.is_truthy(task.timeout(5, p.wait, p))
    assert.equal("SIGTERM", p.signal)
    assert.is_truthy(stream)
  end)

  it("ends at once by --drain=0, and where nothing is served", function()
    for _, options in ipairs {{"--drain=0"}, {"--drain=60"}} do
      local p, endpoint = start(options, options[1]:find "=0" and listening "stream:write 'here\\n' task.sleep(100)"
        or [[
          local listener = assert(net.listen "tcp://127.0.0.1:0")
          print(listener.endpoint)
          io.stdout:flush()
          for stream in listener:accepts() do
            task.spawn(function() stream:write "here\n" task.sleep(100) end)
          end
        ]])
      local stream <close> = assert(net.connect(endpoint))
      assert.equal("here", stream:read "l")
      p:kill()
      assert.is_truthy(task.timeout(10, p.wait, p))
      assert.equal("SIGTERM", p.signal)
    end
  end)

  it("cancels what else it does when all that it serves has ended", function()
    local p, endpoint = start({"--drain=60"}, [[
      task.spawn(function()
        local _ <close> = setmetatable({}, {__close = function() print "ticker closed" end})
        while true do task.sleep(0.01) end
      end)
    ]] .. listening "stream:read 'l'" .. [[
      task.shield(task.sleep, 0.05)
      print "shielded"
      task.sleep(100)
      print "no"
    ]])
    local stream = assert(net.connect(endpoint))
    task.sleep(0.1)
    p:kill()
    stream:close()
    local text = p.stdout:read "a"
    assert.matches("served\n", text)
    assert.matches("shielded\n", text)
    assert.matches("ticker closed\n", text)
    assert.is_nil(text:find "no\n")
    p:wait()
  end)

  it("that has two servers waits for both", function()
    local p, endpoint = start({"--drain=60"}, [[
      local both = {}
      for i = 1, 2 do
        both[i] = assert(net.listen "tcp://127.0.0.1:0")
      end
      print(both[1].endpoint .. " " .. both[2].endpoint)
      io.stdout:flush()
      for i = 1, 2 do
        task.spawn(both[i].serve, both[i], function(stream)
          stream:write "hello\n"
          stream:write(stream:read "l", "\n")
        end)
      end
    ]])
    local one, two = endpoint:match "(%S+) (%S+)"
    local a <close> = assert(net.connect(one))
    local b <close> = assert(net.connect(two))
    assert.equal("hello", a:read "l")
    assert.equal("hello", b:read "l")
    p:kill()
    a:write "a\n"
    assert.equal("a", a:read "l")
    task.sleep(0.05)
    b:write "b\n"
    assert.equal("b", b:read "l")
    assert.equal("SIGTERM", select(2, p:wait()))
  end)

  it("drains a listener that it serves only then", function()
    local p, endpoint = start({"--drain=60"}, [[
      local late = assert(net.listen "tcp://127.0.0.1:0")
    ]] .. listening [[
      repeat task.sleep(0.01) until task.draining()
      late:serve(function() end)
      stream:write "late\n"
    ]])
    local stream <close> = assert(net.connect(endpoint))
    task.sleep(0.05)
    p:kill()
    assert.equal("late", stream:read "l")
    assert.equal("SIGTERM", select(2, p:wait()))
  end)
end)

describe("task.idle", function()
  it("is a plain call while nothing drains", function()
    assert.is_false(task.draining())
    assert.same({1, nil, 3, n = 3}, table.pack(task.idle(function(...)
      task.yield()
      return ...
    end, 1, nil, 3)))
    assert.same({false, "mine"}, {pcall(task.idle, error, "mine", 0)})
    assert.has_error(task.idle)
    local _, err = task.timeout(0.01, task.idle, task.sleep, 100)
    assert.equal("timeout", err.op)
    local t = task.spawn(task.idle, task.sleep, 100)
    task.yield()
    t:cancel()
    assert.equal("ECANCELED", select(2, t:join()).code)
  end)

  it("tells what ended it, and is ended in tasks of tasks, but in no shield", function()
    local p, endpoint = start({"--drain=60"}, listening [[
      task.scope(function(scope)
        scope:spawn(function()
          local none, err = task.idle(function() task.scope(function(inner) inner:spawn(task.sleep, 100) end) end)
          stream:write(tostring(none), " ", err.code, " ", tostring(err), "\n")
        end)
        scope:spawn(function()
          task.idle(task.shield, function() task.sleep(0.5) stream:write "shielded\n" end)
        end)
      end)
    ]])
    local stream <close> = assert(net.connect(endpoint))
    task.sleep(0.1)
    p:kill()
    assert.equal("nil ECANCELED idle: the program drains (ECANCELED)", stream:read "l")
    assert.equal("shielded", stream:read "l")
    p:wait()
  end)
end)

describe("neap --drain", function()
  it("wants seconds", function()
    for _, bad in ipairs {"x", "-1", "1s", "", "nan", "1e9"} do
      local result = assert(process.run {child.neap, "--drain=" .. bad, "-e", ""})
      assert.equal(2, result.code)
      assert.equal("neap: --drain: seconds from 0 to 1000000 expected\n", result.stderr)
    end
  end)
end)
