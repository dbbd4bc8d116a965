-- `neap top`: what tasks and sockets cost, in a terminal and once.

local child = require "spec.support.child"
local host = require "neap.host"
local process = require "neap.process"
local screen = require "spec.support.screen"
local task = require "neap.task"
local time = require "neap.time"
local visited = require "spec.support.visited"

local neap = child.neap
local env, make, remove = visited.folder()

setup(make)
teardown(remove)

local busy = [[
  task.spawn(function()
    while true do
      local x = 0
      for i = 1, 200000 do x = x + i end
      task.sleep(0.001)
    end
  end).name = "computes"
  task.spawn(function()
    while true do
      task.sleep(0.01)
    end
  end).name = "hardly does"
  local a, b = net.socketpair()
  task.spawn(function() while b:recv() do end end).name = "reads"
  task.spawn(function() while true do a:write(("x"):rep(10000)) task.sleep(0.01) end end).name = "writes"
  print "up" io.stdout:flush()
  while true do task.spawn(function() end) task.sleep(0.01) end
]]

local function top(...)
  return assert(process.run {neap, "top", env = env(), ...})
end

local function attach(p, code)
  return assert(process.run {neap, "attach", tostring(p.pid), input = code, env = env()}).stdout
end

describe("neap top", function()
  it("prints one table where there is no terminal, with what costs most first", function()
    local p <close> = visited.start(env(), busy)
    local result = top(tostring(p.pid))
    assert.equal(0, result.code, result.stderr)
    local text = result.stdout
    assert.matches("^process " .. p.pid .. ", ", text)
    assert.matches("\ncpu [%d.]+%%   memory [%d.]+ MiB, of Lua [%d.]+ %w+   loop busy [%d.]+%%, lag [%d.]+ ms", text)
    assert.matches("\n *CPU%% +ID +TASK +STATE +WAITS FOR +SPAWNED AT\n *[%d.]+ +%d+ +computes ", text)
    assert.matches("\n *[%d.]+ +- +%(tasks that have ended%)\n", text)
    local share = tonumber(text:match "([%d.]+) +%d+ +computes ")
    assert(share > 2 and share <= 100, text)
    assert(share > 3 * (tonumber(text:match "([%d.]+) +%d+ +hardly does ") or 0), text)
    local rate, unit = text:match "\n +0 B +([%d.]+) (%w+) +%d+ +unix"
    assert(rate and unit ~= "B", text)
    assert.matches("KiB +0 B +%d+ +unix [^\n]*\n", text)
    assert.is_nil(text:find "attached", text) -- the visitor's own
    assert.is_nil(text:find "prompt", text)
  end)

  it("counts while somebody looks", function()
    local p <close> = visited.start(env(), busy)
    local looked = [[local ok = pcall(require "neap.clocks.core".read) return ok]]
    assert.equal("false\n", attach(p, looked))
    local one <close> = assert(process.spawn {neap, "top", "--once", tostring(p.pid), stdout = "pipe", env = env()})
    repeat
      local counts = attach(p, looked)
    until counts == "true\n" or one.status
    one:kill "SIGKILL"
    one:wait()
    repeat
      local counts = attach(p, looked)
    until counts == "false\n"
  end)

  it("takes the lag from no one else who asks for it", function()
    host.load()
    host.load(true)
    local last = time.now() + 0.05
    repeat
      local now = time.now()
    until now > last
    assert(host.load(true).longest >= 0.05)
    assert(host.load().longest >= 0.05)
  end)

  it("shows workers together", function()
    local p <close> = visited.start(env(), busy, "-w", "2")
    assert(p.stdout:read "l")
    local text = top("--once", tostring(p.pid)).stdout
    assert.matches("^process " .. p.pid .. ", [^\n]*, 2 workers\n", text)
    assert.matches("1/%d+ +computes", text)
    assert.matches("2/%d+ +computes", text)
    text = top(p.pid .. "/2").stdout
    assert.matches("\n *[%d.]+ +%d+ +computes", text)
  end)

  it("says how it is used", function()
    for _, wrong in ipairs {{}, {"-x"}, {"1", "2"}} do
      local result = top(table.unpack(wrong))
      assert.equal("usage: neap top [--once] PID[/WORKER]|PATH\n", result.stderr)
      assert.equal(2, result.code)
    end
  end)
end)

describe("neap top in a terminal", function()
  local p

  before_each(function()
    if not screen.is_there() then
      pending "there is no tmux"
    end
    p = visited.start(env(), busy)
  end)

  after_each(function()
    if p then
      p:kill "SIGKILL"
      p:wait()
      p.stdout:close()
    end
  end)

  local function open(options)
    options = options or {}
    options.env = {XDG_RUNTIME_DIR = env().XDG_RUNTIME_DIR, TERM = options.term}
    return screen.open({"top", tostring(p.pid)}, options)
  end

  --- Until the screen matches.
  local function wait(s, pattern)
    local last = time.now() + 20
    local text
    repeat
      text = s:text()
      if text:find(pattern) then
        return
      end
      task.sleep(0.05)
    until time.now() > last
    error(("%s is not there:\n%s"):format(pattern, text), 2)
  end

  for _, term in ipairs {"linux", "xterm", "rxvt", "tmux"} do
    it("shows the tables again and again, and leaves the screen as it was: TERM=" .. term, function()
      local s <close> = open {term = term}
      wait(s, "%d +computes")
      wait(s, "unix +open")
      wait(s, "q quits;")
      s:type "q"
      wait(s, "%(ended with 0%)")
      assert.is_nil(s:text():find "computes")
    end)
  end

  it("sorts by a key, and ends by ^C", function()
    local s <close> = open()
    wait(s, "CPU%% +ID +TASK[^\n]*\n[^\n]*computes")
    s:type "n"
    wait(s, "CPU%% +ID +TASK[^\n]*\n[^\n]*writes")
    s:press("F2", "c") -- the end of what F2 sends is a Q
    wait(s, "CPU%% +ID +TASK[^\n]*\n[^\n]*computes")
    s:type "\3"
    wait(s, "%(ended with 0%)")
  end)

  it("ends by a key while the process does not answer", function()
    local s <close> = open()
    wait(s, "q quits;")
    p:kill "SIGSTOP"
    task.sleep(1.5) -- it asks, and waits
    s:type "q"
    wait(s, "%(ended with 0%)")
  end)

  it("fits a small window, and one that changes", function()
    local s <close> = open {columns = 30}
    wait(s, "computes")
    for _, size in ipairs {{20, 8}, {200, 50}, {40, 10}} do
      s:resize(size[1], size[2])
      wait(s, "process ")
      wait(s, "q quits")
      for line in s:text():gmatch "[^\n]+" do
        assert(utf8.len(line) < size[1], line) -- or what erases the rest takes its end
      end
    end
    s:type "q"
    wait(s, "%(ended with 0%)")
  end)

  it("ends with the process", function()
    local s <close> = open()
    wait(s, "computes")
    p:kill "SIGKILL"
    wait(s, "%(ended with 1%)")
    assert.matches("has ended", s:text())
  end)
end)

describe("the clocks of tasks", function()
  it("are each one's, also where its slot was another's", function()
    local clocks = require "neap.clocks.core"
    clocks.look(true)
    local _ <close> = setmetatable({}, {__close = function()
      clocks.look(false)
    end})
    local function spin()
      for _ = 1, 100 do
        local x = 0
        for i = 1, 1000 do
          x = x + i
        end
        task.yield()
      end
    end
    for _ = 1, 3 do
      local now, ended = clocks.read()
      local one = task.spawn(spin)
      one:join()
      local later, more, each = clocks.read()
      assert(more > ended and more - ended <= later - now)
      local ids = {}
      for at = 1, #each, 12 do
        ids[#ids + 1] = string.unpack("=I4", each, at)
      end
      table.sort(ids)
      for i = 2, #ids do
        assert(ids[i] > ids[i - 1])
      end
    end
  end)

  it("end with who looks, also while they are read", function()
    local result = assert(process.run {neap, env = env(), "-e", [[
      local clocks = require "neap.clocks.core"
      clocks.look(true)
      for _ = 1, 300 do
        task.background(task.sleep, 100)
      end
      task.yield()
      collectgarbage "generational"
      collectgarbage "stop"
      setmetatable({}, {__gc = function() clocks.look(false) end})
      collectgarbage "restart"
      local _, _, each = clocks.read()
      print(#each, pcall(clocks.read))
    ]]})
    assert.matches("^0\tfalse\t.*nobody looks\n$", result.stdout, result.stderr)
  end)
end)
