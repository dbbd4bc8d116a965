-- Long texts a window at a time, and leaving: in a real terminal.

local Pager = require "neap.repl.pager"
local child = require "spec.support.child"
local process = require "neap.process"
local screen = require "spec.support.screen"
local visited = require "spec.support.visited"

local prompt = screen.prompt

--- Numbers, a line each.
local function lines(from, to)
  local out = {}
  for i = from, to do
    out[#out + 1] = i
  end
  return table.concat(out, "\n")
end

describe("a pager", function()
  it("is there for what a window does not show", function()
    assert.is_nil(Pager.new("a\nb\n", 10, 3))
    assert.is_table(Pager.new("a\nb\nc\n", 10, 3))
    assert.is_nil(Pager.new(("x"):rep(20) .. "\n", 10, 3))
    assert.is_table(Pager.new(("x"):rep(21) .. "\n", 10, 3))
    assert.is_nil(Pager.new("\27[32m" .. ("x"):rep(20) .. "\27[0m\n", 10, 3))
    assert.is_table(Pager.new(("中"):rep(11), 10, 3))
  end)

  it("gives so many rows at a time", function()
    local pager = Pager.new(lines(1, 10), 80, 4)
    assert.equal("1\n2\n3\n", pager:take(80, 3))
    assert.equal("(3 of 10 lines; space: more, q: no more)", pager:status())
    assert.equal(lines(4, 10) .. "\n", pager:take(80, math.maxinteger))
    assert.is_true(pager:is_done())
    pager = Pager.new(("x"):rep(25) .. "\ny", 10, 3)
    assert.equal(("x"):rep(20) .. "\n", pager:take(10, 2))
    assert.is_false(pager:is_done())
    assert.equal("xxxxx\ny\n", pager:take(10, 2))
    pager = Pager.new("a\n\27[1m" .. ("中"):rep(12) .. "\27[0mz", 9, 3)
    assert.equal("a\n\27[1m中中中中\n", pager:take(9, 2))
    assert.equal(("中"):rep(8) .. "\27[0m\n", pager:take(8, 2))
    assert.equal("z\n", pager:take(8, 2))
  end)

  it("knows keys, and leaves others to the prompt", function()
    assert.same({3, "x"}, {Pager.key(" x", 4)})
    assert.same({1, ""}, {Pager.key("\r", 4)})
    assert.same({1, "q"}, {Pager.key("\27[Bq", 4)})
    assert.same({0, ""}, {Pager.key("q", 4)})
    assert.same({0, "print"}, {Pager.key("print", 4)})
    assert.same({0, "\27[A"}, {Pager.key("\27[A", 4)})
  end)
end)

describe("a long value", function()
  it("is shown a window at a time", function()
    local s <close> = prompt {columns = 60, rows = 10}
    s:enter "print 'short' t = {} for i = 1, 30 do t[i] = ('v'):rep(50) end return t"
    s:expect "\n(9 of 32 lines; space: more, q: no more)"
    s:press "Enter"
    s:expect "\n(10 of 32 lines; space: more, q: no more)"
    s:press "Space"
    s:expect "\n(19 of 32 lines; space: more, q: no more)"
    s:press "q"
    local text = s:expect "\nneap>"
    assert.is_nil(text:find("lines;", 1, true))
    s:enter "t"
    s:expect "no more)"
    s:press "G"
    s:expect "\n}\nneap>"
    s:enter "('w'):rep(600)"
    s:expect "(0 of 1 lines; space: more, q: no more)"
    s:press "Space"
    s:expect "w\"\nneap>"
    s:enter ":help"
    s:expect "no more)"
    s:enter "6 * 7" -- what is typed is for the prompt
    s:expect "neap> 6 * 7\n42\nneap>"
    s:enter ":doc net.listen"
    s:expect "no more)"
    s:press "C-c"
    s:expect "\nneap>"
  end)

  it("lets others print meanwhile, and what comes behind it wait", function()
    local s <close> = prompt {columns = 60, rows = 10}
    s:enter "l = require 'neap.task'.channel() task.spawn(function() l:recv() print 'meanwhile' end)"
    s:enter "t = {} for i = 1, 30 do t[i] = ('v'):rep(50) end"
    s:enter "task.spawn(function() task.sleep(0.3) l:send(1) end) return t"
    s:find "meanwhile"
    s:expect "meanwhile\n(9 of 32 lines; space: more, q: no more)"
    s:press "q"
    s:expect "meanwhile\nneap>"
  end)

  it("holds up a process that prints without end, and is looked into", function()
    if not screen.is_there() then
      pending "tmux is not installed"
    end
    local env, make, remove = visited.folder()
    make()
    local _ <close> = setmetatable({}, {__close = remove})
    local p <close> = visited.start(env(), "print 'up' io.stdout:flush() task.sleep(1000)")
    local s <close> = screen.open({"attach", tostring(p.pid)},
      {columns = 60, rows = 10, env = {XDG_RUNTIME_DIR = env().XDG_RUNTIME_DIR}})
    s:find(("neap %d>"):format(p.pid))
    s:enter "t = {} for i = 1, 30 do t[i] = ('v'):rep(50) end"
    s:enter "task.background(function() task.sleep(1) for i = 1, 1e5 do n = i print(i) end end) return t"
    s:find "no more)"
    local before, n
    repeat
      before, n = n, assert(process.run {child.neap, "attach", tostring(p.pid), input = "n or 0", env = env()}).stdout
    until n ~= "0\n" and n == before
    assert(tonumber(n) < 5e4, n)
    p:kill "SIGKILL"
    p:wait()
  end)

  it("of candidates, too, at the second Tab", function()
    local s <close> = prompt {columns = 60, rows = 10}
    s:enter "t = {} for i = 1, 30 do t['key' .. i] = i end"
    s:type "t.k"
    s:press "Tab"
    s:find "... and 25 more" -- "key" is what they have in common
    s:press "Tab"
    s:find "no more)"
    s:press "G"
    s:expect "key9                  number\nneap> t.key"
    s:press "C-c"
    s:expect "\nneap>"
  end)
end)

describe("a word alone", function()
  it("helps, or leaves", function()
    local s <close> = prompt {rows = 100}
    s:enter "help"
    s:find ":socks"
    s:expect "neap>"
    s:enter "exit"
    s:expect "(ended with 0)"
  end)

  it("is a variable where there is one", function()
    local s <close> = prompt()
    s:enter "exit, other = 'mine', 1 help = 'me'"
    s:enter "local quit = 'session'"
    s:enter "exit"
    s:expect "neap> exit\n\"mine\"\nneap>"
    s:enter "quit"
    s:expect "neap> quit\n\"session\"\nneap>"
    s:enter "help"
    s:expect "neap> help\n\"me\"\nneap>"
  end)
end)

describe("^D", function()
  it("asks once where jobs or listeners would end with it", function()
    local s <close> = prompt()
    s:enter "l = net.listen 'mem:pager'"
    s:expect "neap>"
    s:press "C-d"
    s:expect "\n1 listener: leaving once more ends it\nneap>"
    s:enter "task.sleep(100) &"
    s:expect "background\nneap>"
    s:press "C-d"
    s:expect "\n1 job and 1 listener: leaving once more ends them\nneap>"
    s:press "C-d"
    s:expect "(ended with 0)"
  end)

  it("leaves at once else", function()
    local s <close> = prompt()
    s:enter "l = net.listen 'mem:pager' l:close()"
    s:expect "neap>"
    s:press "C-d"
    s:expect "(ended with 0)"
  end)
end)
