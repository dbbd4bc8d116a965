-- Profiles: `neap profile`, `neap heap PID SECONDS`, `neap --profile=FILE`, flame graphs.

local child = require "spec.support.child"
local flame = require "neap.repl.flame"
local process = require "neap.process"
local profile = require "neap.repl.profile"
local task = require "neap.task"
local visited = require "spec.support.visited"

local neap = child.neap
local env, make, remove = visited.folder()

setup(make)
teardown(remove)

--- Computes in hot, four times as long as in cold; in a task that another one waits for,
--- and in a coroutine.
local busy = [[
  local function spin(n)
    local x = 0
    for i = 1, n do x = x + i % 7 end
    return x
  end
  local function hot() spin(40000) end
  local function cold() spin(10000) end
  local function work()
    local go = coroutine.wrap(function() while true do hot() coroutine.yield() end end)
    while true do go() cold() task.yield() end
  end
  print "up" io.stdout:flush()
]]
local waiting = busy .. "task.scope(function(s) s:spawn(work) end)"

--- The weight of the stacks that match, and of all.
local function weights(text, pattern)
  local found, all = 0, 0
  for stack, weight in text:gmatch "([^\n]+) (%d+)\n" do
    found = found + (stack:find(pattern) and tonumber(weight) or 0)
    all = all + tonumber(weight)
  end
  return found, all
end

local function run(...)
  return assert(process.run {neap, env = env(), ...})
end

describe("a flame graph", function()
  local text = "main;a;b 30\nmain;a;c<d> 60\nmain;e 10\n"

  it("has a bar for each function, as wide as what it weighs, with a title", function()
    local svg = flame.svg(text, {title = "this & that", unit = "samples"})
    assert.matches(">this &amp; that</text>", svg)
    assert.matches("<title>c&lt;d&gt; %(60 samples, 60.0%%%)</title>", svg)
    local function width(name)
      return tonumber(svg:match("<title>" .. name .. " .-width=\"([%d.]+)\""))
    end
    assert.near(1180, width "main", 1)
    assert.near(0.9 * 1180, width "a", 1)
    assert.near(0.3 * 1180, width "b", 1)
    local parts = select(2, svg:gsub("<g>", ""))
    assert.equal(6, parts) -- all, and five
    assert.equal(parts, select(2, svg:gsub("</g>", "")))
  end)

  it("is one of nothing, too", function()
    assert.matches("^<svg.*</svg>\n$", flame.svg("", {title = "nothing", unit = "samples"}))
  end)

  it("shows no control character, and cuts names between characters", function()
    local svg = flame.svg(("é"):rep(300) .. "\27[31m 1\n", {title = "\27]0;x\7", unit = "samples"})
    assert.is_nil(svg:find "\27")
    assert.is_truthy(utf8.len(svg))
  end)
end)

describe("a table of a profile", function()
  it("has what a function weighs by itself, and with what it calls, once", function()
    local text = profile.table("main;a;a;b 30\nmain;a 60\nmain 10\n", "samples")
    assert.equal([[
   SELF    TOTAL  of 100 samples
  60.0%    90.0%  a
  30.0%    30.0%  b
  10.0%   100.0%  main
]], text)
  end)
end)

describe("neap profile", function()
  it("says where a running process spends its time, and in which task", function()
    local p <close> = visited.start(env(), waiting)
    local result = run("profile", tostring(p.pid), "1")
    assert.equal(0, result.code, result.stderr)
    local hot, all = weights(result.stdout, "hot")
    local cold = weights(result.stdout, "cold")
    assert(all > 20, result.stdout)
    assert(hot > 0.6 * all and hot < 0.95 * all and cold > 0.05 * all, result.stdout)
    local chain = weights(result.stdout,
      "^main;task [^;]+:13;function [^;]+:8;go;function [^;]+:9;hot [^;]+:6;spin [^;]+:1$")
    assert(chain > 0.5 * hot, result.stdout)
  end)

  it("is let in by what never waits", function()
    local p <close> = visited.start(env(), busy .. "while true do hot() end")
    local result = run("profile", tostring(p.pid), "0.5")
    assert.equal(0, result.code, result.stderr)
    assert(weights(result.stdout, "^main;.*;hot [^;]+;spin [^;]+$") > 5, result.stdout)
  end)

  it("makes a flame graph", function()
    local path <close> = setmetatable({os.tmpname() .. ".svg"}, {__close = function(self)
      os.remove(self[1])
    end})
    local p <close> = visited.start(env(), waiting)
    local result = run("profile", tostring(p.pid), "0.5", "-o", path[1])
    assert.same({code = 0, stdout = "", stderr = ""}, result)
    local file <close> = assert(io.open(path[1]))
    local svg = file:read "a"
    assert.matches("^<svg", svg)
    assert.matches("<title>spin [^<]* samples", svg)
    assert.matches("processor time of process " .. p.pid, svg)
  end)

  it("ends with who asked for it, and is made once at a time", function()
    local p <close> = visited.start(env(), busy .. "while true do cold() task.sleep(0.01) end")
    local first = assert(process.spawn {neap, "profile", tostring(p.pid), "1000", stdout = "pipe", env = env()})
    repeat
      local tasks = run("ps", tostring(p.pid)).stdout
    until tasks:find "input 1 +waiting[ &]+event"
    local refused = run("profile", tostring(p.pid), "0.01")
    assert.equal(1, refused.code)
    assert.matches("a profile is being made already", refused.stderr)
    first:kill "SIGKILL"
    first:wait()
    local again
    repeat
      again = run("profile", tostring(p.pid), "0.01")
    until again.code == 0
    assert.equal("", again.stderr)
  end)

  it("writes what it has when ^C ends it", function()
    local p <close> = visited.start(env(), busy .. "while true do hot() task.sleep(0.001) end")
    local path = os.tmpname()
    local one <close> = assert(process.spawn {neap, "profile", tostring(p.pid), "1000", "-o", path, stderr = "pipe",
      env = env()})
    repeat
      local tasks = run("ps", tostring(p.pid)).stdout
    until tasks:find "input 1 +waiting[ &]+event"
    task.sleep(0.2) -- of its samples
    one:kill "SIGINT"
    assert.equal("", one.stderr:read "a")
    assert.equal(0, (one:wait()))
    local file <close> = assert(io.open(path))
    assert.matches("hot [^\n]*%d+\n", file:read "a")
    os.remove(path)
  end)

  it("interrupts no system call of a process that waits", function()
    local p <close> = visited.start(env(), [[
      task.spawn(function() task.sleep(0.2) print(os.execute "sleep 0.5") io.stdout:flush() end)
      print "up" io.stdout:flush()
      task.sleep(60)
    ]])
    assert.equal(0, run("profile", tostring(p.pid), "0.5").code)
    assert.equal("true\texit\t0", p.stdout:read "l")
  end)

  it("says how it is used", function()
    for _, wrong in ipairs {{"profile"}, {"profile", "1", "x"}, {"profile", "1", "2", "3"}, {"profile", "1", "-x"},
      {"heap"}, {"heap", "1", "-o", "x.svg"}} do
      local result = run(table.unpack(wrong))
      assert.matches("^usage: neap ", result.stderr)
      assert.equal(2, result.code)
    end
  end)

  it("takes at the prompt what a profile takes, and says so of what it does not", function()
    local p <close> = visited.start(env(), waiting)
    local result = assert(process.run {neap, "attach", tostring(p.pid), input = ":profile 0.5", env = env()})
    assert.matches("SELF +TOTAL +of %d+ samples\n.*%%  spin [^\n]+\n", result.stdout)
    result = assert(process.run {neap, "attach", tostring(p.pid), input = ":profile soon", env = env()})
    assert.matches("seconds are expected", result.stdout)
  end)
end)

describe("neap heap with a time", function()
  it("says where memory is allocated", function()
    local p <close> = visited.start(env(), [[
      local function much() return ("x"):rep(30000) end
      local function little() return ("y"):rep(3000) end
      print "up" io.stdout:flush()
      while true do much() little() task.sleep(0.001) end
    ]])
    local result = run("heap", tostring(p.pid), "1")
    local much, all = weights(result.stdout, "much")
    assert(much > 0.6 * all and all > 300000, result.stdout)
    result = run("heap", tostring(p.pid), "0.1")
    assert.equal(0, result.code)
  end)
end)

describe("a profile", function()
  it("ends once, whatever ends it while its text is made", function()
    local result = run("-e", [[
      local core = require "neap.profile.core"
      collectgarbage "generational"
      assert(core.start(64))
      for i = 1, 40 do
        load("local function f() return {{}} end for i = 1, 20 do f() end", "=chunk" .. i)()
      end
      collectgarbage "stop"
      local again
      setmetatable({}, {__gc = function() again = core.stop() == nil end})
      collectgarbage "restart"
      local text = core.stop()
      print(again, #text > 500)
    ]])
    assert.equal("true\ttrue\n", result.stdout, result.stderr)
  end)
end)

describe("a profile by time", function()
  it("keeps its signals to itself", function()
    local result = run("-e", [[
      local core = require "neap.profile.core"
      assert(core.start())
      local waiting = task.spawn(function()
        for _ in signal.each "SIGPROF" do print "a signal" end
      end)
      task.sleep(0)
      local start = os.clock()
      while os.clock() < start + 0.2 do task.sleep(0) end
      local _, outside, count = core.stop()
      print(outside + count > 0)
      waiting:cancel()
    ]])
    assert.equal("true\n", result.stdout, result.stderr)
  end)
end)

describe("neap --profile", function()
  local path

  before_each(function()
    path = os.tmpname()
    os.remove(path)
  end)

  local function read(name)
    local file <close> = assert(io.open(name))
    os.remove(name)
    return file:read "a"
  end

  local once = busy .. "for _ = 1, 300 do hot() cold() end "

  it("writes the stacks of the whole program, however that ends", function()
    for _, last in ipairs {"", "os.exit(0)", "os.exit(0, true)", "coroutine.wrap(function() os.exit(0) end)()"} do
      local result = run("--profile=" .. path, "-e", once .. last)
      assert.same({code = 0, stdout = "up\n", stderr = ""}, result)
      local text = read(path)
      local hot, all = weights(text, "^main;.*;hot [^;]+;spin ")
      assert(hot > 0.5 * all and all > 5, text)
    end
  end)

  it("does so when a signal ends the program, and when it fails", function()
    local p <close> = visited.start(env(), waiting, "--profile=" .. path .. ".svg")
    task.sleep(0.2)
    p:kill "SIGTERM"
    assert.equal(143, (p:wait()))
    assert.matches("<title>spin ", read(path .. ".svg"))
    assert.equal(1, run("--profile=" .. path, "-e", once .. "error 'no'").code)
    assert(weights(read(path), "hot") > 0)
  end)

  it("writes a file for each worker", function()
    local p <close> = visited.start(env(), waiting, "-w", "2", "--profile=" .. path .. ".svg")
    assert(p.stdout:read "l")
    task.sleep(0.2)
    p:kill "SIGTERM"
    p:wait()
    for worker = 1, 2 do
      assert.matches("<title>spin ", read(("%s.%d.svg"):format(path, worker)))
    end
  end)

  it("says what cannot be written", function()
    local result = run("--profile=/nowhere/x", "-e", "print(1)")
    assert.equal("1\n", result.stdout)
    assert.matches("^neap: %-%-profile: /nowhere/x: No such file", result.stderr)
  end)
end)
