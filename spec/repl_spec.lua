-- The prompt, driven through a real terminal.

local process = require "neap.process"
local screen = require "spec.support.screen"
local task = require "neap.task"
local time = require "neap.time"

local neap = (os.getenv "NEAP_BUILD" or "build") .. "/neap"
local patient = neap:find "build%-" and 5 or 1 -- a sanitizer slows things down

local function need_tmux()
  if not screen.is_there() then
    pending "tmux is not installed"
  end
end

--- A prompt that is up.
local function prompt(arguments, options)
  need_tmux()
  local s = screen.open(arguments, options)
  s:expect "neap>"
  return s
end

-- Most tests type at the same one, one after the other.
local shared

local function ours()
  shared = shared or prompt()
  return shared
end

teardown(function()
  if shared then
    shared:close()
  end
end)

describe("the prompt", function()
  it("runs inputs, and prints what they give", function()
    local s = ours()
    s:enter "1 + 1"
    s:expect "neap> 1 + 1\n2\nneap>"
    s:enter "_ * 21, 'x'"
    s:find "42"
    s:enter "=_1, _2"
    s:enter "nil"
    s:expect "neap> nil\nnil\nneap>"
    s:enter "x = 1"
    s:enter "  "
    s:expect "neap> x = 1\nneap>\nneap>"
  end)

  it("keeps locals for later inputs, apart from the globals", function()
    local s = ours()
    s:enter "local a, b = 1"
    s:enter "local function f() return a, b end"
    s:enter "local a = 2; local c <const> = a"
    s:enter "g = 5"
    s:enter "print(f(), c, rawget(_G, 'a'), rawget(_G, 'g'))"
    s:expect "\n2       nil     nil     5\nneap>" -- f() is cut to one value
  end)

  it("takes blocks of several lines as one entry (S1)", function()
    local s = ours()
    s:enter "for i = 1, 2 do"
    s:enter "print(i)"
    s:enter "end"
    s:expect "neap> for i = 1, 2 do\n  ..> print(i)\n  ..> end\n1\n2\nneap>"
    s:press "Up"
    s:expect "neap> for i = 1, 2 do\n  ..> print(i)\n  ..> end"
    s:press "Enter"
    s:expect "  ..> end\n1\n2\nneap>"
  end)

  it("tells errors, with the frames of what was typed (S1)", function()
    local s = ours()
    s:enter "x = )"
    s:find "1: unexpected symbol near ')'"
    s:enter "local function f() error 'boo' end"
    s:enter "f(f)  -- a tail call leaves no frame"
    s:expect ":1: boo\nneap>"
    s:enter "local x = f()"
    s:find "in the input"
    local text = s:expect "neap>"
    assert.matches("%f[^\n]error: %[%d+%]:1: boo\n  %[%d+%]:1: in %l+ 'f'\n  %[%d+%]:1: in the input\nneap>$",
      text)
    s:enter "_err"
    s:find "boo"
    s:enter(("("):rep(300) .. "1" .. (")"):rep(300))
    s:find "C stack overflow"
    s:expect "neap>"
  end)

  it("leaves with ^D, and the terminal as it was", function()
    local s <close> = prompt(nil, {shell = "stty -a >/tmp/neap-spec-a; %s; echo code $?; "
      .. "stty -a >/tmp/neap-spec-b; cmp /tmp/neap-spec-a /tmp/neap-spec-b && echo same; "
      .. "rm /tmp/neap-spec-a /tmp/neap-spec-b"})
    s:press "C-d"
    s:find "code 0\nsame"
  end)
end)

describe("^C", function()
  --- How long it takes until the prompt is back.
  local function interrupt(s, input)
    s:enter(input)
    s:expect "\nbegun"
    task.sleep(0.05)
    local began = time.now()
    s:press "C-c"
    s:expect "cancelled\nneap>"
    return time.now() - began
  end

  local function interrupted(input)
    return function()
      local s = ours()
      local took
      for _ = 1, 3 do -- others may need the processor
        took = interrupt(s, input)
        if took < 0.2 then
          break
        end
      end
      assert(took < 0.2 * patient, ("took %.3f s"):format(took))
      s:enter "1 + 1"
      s:expect "\n2\nneap>"
    end
  end

  it("ends an endless loop (S2)", interrupted "print 'begun' while true do end")
  it("ends a sleep (S2)", interrupted "print 'begun' task.sleep(100)")
  it("ends a loop of pcall (S2)", interrupted
    "print 'begun' while true do pcall(function() while true do end end) end")
  it("ends a loop of pcall that waits (S2)", interrupted
    "print 'begun' while true do pcall(task.sleep, 100) end")
  it("ends nested coroutines (S2)", interrupted [[
    print 'begun' coroutine.wrap(function() while true do
    coroutine.resume(coroutine.create(function() while true do end end)) end end)()]])
  it("ends a read (S2)", interrupted [[
    a, b = net.socketpair() print 'begun' a:read()]])
  it("ends a wait for a task in an endless loop (S2)", interrupted [[
    task.spawn(function() print 'begun' while true do end end):join()]])
end)

describe("output above the prompt", function()
  it("leaves what is typed intact, also where it wraps and after a resize (S5)", function()
    local s = ours()
    s:enter "task.spawn(function() for i = 1, 3 do task.sleep(0.2) print('tick ' .. i) end end)"
    local text = "local text = '" .. ("0123456789"):rep(12) .. "'"
    s:find "task"
    s:type(text)
    s:find "tick 1"
    s:expect("\ntick 1\nneap> " .. text:sub(1, 74) .. "\n" .. text:sub(75))
    s:find "tick 2"
    s:resize(50)
    s:find "tick 3"
    s:expect("\ntick 3\nneap> " .. text:sub(1, 44) .. "\n" .. text:sub(45, 94) .. "\n" .. text:sub(95))
    s:press("Left", "X")
    s:press "Enter"
    s:enter "#text"
    s:expect "\n121\nneap>"
    s:resize(80)
    s:expect "\n121\nneap>"
  end)

  it("shows a task's failure once, and goes on (S5)", function()
    local s = ours()
    s:enter "task.spawn(function() task.sleep(0.1) error 'oops' end)"
    s:type "half"
    s:find ":1: oops"
    local text = s:expect "neap> half"
    assert.equal(1, select(2, text:gsub("neap: %[%d+%]:1: oops", "")))
    s:press "C-c"
    s:expect "\nneap>"
  end)

  it("lets a server answer meanwhile", function()
    local s = ours()
    s:enter "l = net.listen 'tcp://127.0.0.1:0' task.spawn(l.serve, l, function(c) c:write(c:read(), '!\\n') end)"
    s:expect "neap>"
    s:enter "l.port"
    s:find "\nneap> l.port\n"
    local port = s:find("l.port\n"):match "l%.port\n(%d+)"
    s:type "half-typed"
    local stream = assert(require "neap.net".connect("tcp://127.0.0.1:" .. port))
    stream:write "hello\n"
    assert.equal("hello!", stream:read())
    stream:close()
    s:expect "neap> half-typed"
    s:press "C-c"
    s:enter "l:close()"
    s:expect "neap>"
  end)
end)

describe("standard input that is no terminal", function()
  it("is run as a script", function()
    local result = assert(process.run {neap, input = "print(1)"})
    assert.same({stdout = "1\n", stderr = "", code = 0}, result)
  end)
end)
