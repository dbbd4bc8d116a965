-- The prompt, driven through a real terminal.

local child = require "spec.support.child"
local process = require "neap.process"
local screen = require "spec.support.screen"
local task = require "neap.task"
local time = require "neap.time"

local neap = child.neap
local patient = child.sanitized and 5 or 1 -- a sanitizer slows things down

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
    s:expect "neap> for i = 1, 2 do\n  ..>   print(i)\n  ..> end\n1\n2\nneap>"
    s:press "Up"
    s:expect "neap> for i = 1, 2 do\n  ..>   print(i)\n  ..> end"
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
    local s <close> = prompt(nil, {shell = "before=$(stty -a); %s; echo code $?; "
      .. "test \"$before\" = \"$(stty -a)\" && echo same"})
    s:press "C-d"
    s:find "code 0\nsame"
  end)
end)

describe("^C", function()
  --- How long it takes until the prompt is back, but for what it had no processor.
  local function interrupt(s, input)
    s:enter(input)
    s:expect "\nbegun"
    task.sleep(0.05)
    local began, waited = time.now(), child.waited(s.pid)
    s:press "C-c"
    s:expect "cancelled\nneap>"
    return time.now() - began - (child.waited(s.pid) - waited)
  end

  local function interrupted(input)
    return function()
      local s = ours()
      local took
      s:enter "print('pid', require 'neap.process'.pid)"
      s.pid = tonumber(s:find "\npid ":match ".*\npid%s+(%d+)")
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
  it("ends an error that has no end to its text (S7)", interrupted [[
    print 'begun' error(setmetatable({}, {__tostring = function() while true do end end}))]])
  it("ends a wait for a task in an endless loop (S2)", interrupted [[
    task.spawn(function() print 'begun' while true do end end):join()]])
end)

describe("output above the prompt", function()
  it("leaves what is typed intact, also where it wraps and after a resize (S5)", function()
    local s = ours()
    s:enter(("task.spawn(function() for i = 1, 3 do task.sleep(%.1f) print('tick ' .. i) end end)"):format(
      0.2 * patient))
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
  it("may print into a pipe that nobody reads (S10)", function()
    local result = assert(process.run {"sh", "-c", [[
      echo 'for i = 1, 1e6 do print(i) end' | "$0" 2>&1 | head -n 1]], neap})
    assert.same({stdout = "1\n", stderr = "", code = 0}, result)
  end)

  it("is run as a script", function()
    local result = assert(process.run {neap, input = "print(1)"})
    assert.same({stdout = "1\n", stderr = "", code = 0}, result)
  end)
end)

describe("a value", function()
  for name, case in pairs {
    ["that is a cycle"] = {"t = {} t.t = t return t", "{t = "},
    ["with a hostile __tostring"] = {"setmetatable({}, {__tostring = error, __name = {}})", "{"},
    ["with a hostile __pairs and __index"] = {
      "setmetatable({1}, {__pairs = error, __index = error, __len = error})", "{",
    },
    ["that is very large"] = {"t = {} for i = 1, 1e6 do t[i] = i end return t", "more"},
    ["with controls in it"] = {"'\\27[2J\\0'", "\\"},
    ["that was raised"] = {
      "error(setmetatable({}, {__tostring = function() error 'x' end}))", "error object is a table",
    },
    ["that was raised, nil"] = {"error()", "error: nil"},
  } do
    it(name .. " is shown (S7)", function()
      local s = ours()
      s:clear()
      s:enter(case[1])
      local text = s:expect "\nneap>"
      assert(text:find(case[2], 1, true), text)
    end)
  end
end)

describe("jobs", function()
  it("run in the background, and can be brought back or ended", function()
    local s = ours()
    s:enter "task.sleep(100) &"
    local n = s:expect("runs in the background\nneap>"):match "%[(%d+)%] [^\n]*\nneap>$"
    s:enter ":jobs"
    s:expect "task.sleep(100)\nneap>"
    s:enter(":fg " .. n)
    task.sleep(0.05)
    s:press "C-c"
    s:expect "cancelled\nneap>"
    s:enter ":bg task.sleep(0.1) return 'done it'"
    s:type "half"
    s:find "done: \"done it\""
    s:expect "neap> half"
    s:press "C-c"
    s:enter "task.sleep(100)&"
    s:enter ":kill"
    s:find "cancelled"
    s:enter ":kill 1000"
    s:expect "there is no such job; :jobs lists them\nneap>"
  end)

  it("tell that they still run", function()
    local s = ours()
    s:enter "task.sleep(1.2)"
    s:find "(running for"
    s:expect "neap> task.sleep(1.2)\nneap>"
  end)
end)

describe("commands", function()
  it("time, dump, save and load", function()
    local s = ours()
    s:enter ":time task.sleep(0.01)"
    s:find "s of processor time"
    s:enter ":hex 'neap\\0'"
    s:expect "00000000  6e 65 61 70 00                                    neap.\nneap>"
    local path = os.tmpname()
    local file = assert(io.open(path, "w"))
    file:write "loaded = (loaded or 0) + 1\nreturn loaded"
    file:close()
    s:enter(":load " .. path)
    s:expect "\n1\nneap>"
    s:enter(":load " .. path)
    s:expect "\n2\nneap>"
    s:enter(":save " .. path)
    s:find(" inputs are in " .. path)
    file = assert(io.open(path))
    assert.matches("\nfor i = 1, 2 do\n  print%(i%)\nend\n", file:read "a")
    file:close()
    os.remove(path)
    s:enter ":load /none"
    s:find "No such file"
    s:enter ":nonsense"
    s:find "there is no command :nonsense"
  end)

  it("list tasks and sockets, and help", function()
    local s = ours()
    s:enter ":help"
    s:find ":socks"
    s:enter "sleeper = task.spawn(task.sleep, 1000) sleeper.name = 'a sleeper' l = net.listen 'mem:listed'"
    s:enter ":ps"
    local text = s:find " waiting "
    assert.is_nil(text:find "prompt session")
    s:enter ":socks"
    assert.is_nil(s:find " mem ":find "tty")
    s:enter "print(sleeper)"
    local id = s:find " (waiting)":match "task (%d+) %(waiting%)"
    s:enter(":bt " .. id)
    s:find "sleep'"
    s:enter(":cancel " .. id)
    s:enter "print(sleeper)"
    s:find " (cancelled)"
    s:enter(":bt " .. id)
    s:find "there is no such task; :ps lists them"
    s:enter ":doc task.sleep"
    s:find "Wait for a time"
    s:enter "help(task.sleep)"
    s:expect "neap>"
    s:enter ":reload neap.prefix"
    s:expect "neap>"
  end)

  it("trace, but not the prompt itself", function()
    local s = ours()
    s:clear()
    s:enter ":trace on"
    s:expect "the trace is on; :trace off ends it\nneap>"
    s:enter "a, b = net.socketpair() a:write 'hi' b:recv()"
    s:find "68 69"
    s:enter ":trace off"
    local text = s:expect "the trace is off\nneap>"
    assert.is_nil(text:find("mem ", 1, true))
    assert.is_nil(text:find("tty ", 1, true))
  end)

  it("complete names, with what they are", function()
    local s = ours()
    s:type "task.sle"
    s:press "Tab"
    s:find "task.sleep(seconds)"
    s:press "C-u"
    s:type ":sav"
    s:press "Tab"
    s:expect "neap> :save"
    s:press "C-u"
    s:expect "neap>"
  end)
end)

describe("the history", function()
  it("is kept for the next prompt, blocks as one entry, for this user alone", function()
    local first <close> = prompt()
    first:enter "for i = 1, 1 do"
    first:enter "print 'kept'"
    first:enter "end"
    first:expect "\nkept\nneap>"
    first:enter "other = 1"
    first:expect "other = 1\nneap>"
    local path = first.home .. "/neap/history"
    local result = assert(process.run {"stat", "-c", "%a", path, first.home .. "/neap"})
    assert.equal("600\n700\n", result.stdout)
    local second <close> = prompt(nil, {env = {XDG_STATE_HOME = first.home}})
    second:type "for"
    second:press "Up"
    second:expect "neap> for i = 1, 1 do\n  ..>   print 'kept'\n  ..> end"
    second:press "Enter"
    second:expect "\nkept\nneap>"
    second:press "C-r"
    second:type "oth"
    second:expect "(search `oth') other = 1"
    second:press "Enter"
    second:expect "neap> other = 1\nneap>"
    second:press "C-d"
    first:enter "third = 1"
    first:expect "third = 1\nneap>"
    local file <close> = assert(io.open(path))
    local _, n = file:read "a":gsub("\n", "")
    assert.equal(5, n)
  end)
end)

describe("a terminal", function()
  it("may send any bytes (S4)", function()
    local s = ours()
    s:bytes "\0\200\255\27[\27[99~\27]x\7\27\27\27[1;9Zab\226\130"
    s:press("C-u", "C-k")
    task.sleep(0.1)
    s:press "C-u"
    s:enter "'sane'"
    s:find '"sane"'
  end)

  it("may paste much, and lines in brackets run when one says so (S4)", function()
    local s = ours()
    s:paste(("x = 'a line that is pasted'\n"):rep(40000))
    s:find "x = 'a line that is pasted'\n  ..>"
    s:press "C-c"
    s:expect "^C\nneap>"
    s:paste "print 'one'\nprint 'two'"
    s:expect "neap> print 'one'\n  ..> print 'two'"
    s:press "Enter"
    s:expect "\none\ntwo\nneap>"
  end)

  it("may be stopped and continued (S4)", function()
    need_tmux()
    local s <close> = screen.open(nil, {shell = [[bash --norc -i -c "set -m; %s; stty -a; fg; echo status \$?"]]})
    s:expect "neap>"
    s:type "half"
    s:press "C-z"
    s:find " icanon"
    s:expect "neap> half"
    s:press "C-c"
    s:press "C-d"
    s:find "status 0"
  end)

  it("is left as it was, however neap ends (M13)", function()
    need_tmux()
    for input, says in pairs {
      ["os.exit(3)"] = "code 3",
      ["signal.raise 'SIGTERM'"] = "code 143",
      ["signal.raise 'SIGHUP'"] = "code 129",
      ["signal.raise 'SIGQUIT'"] = "code 131",
      ["signal.raise 'SIGABRT'"] = "code 134",
    } do
      local s <close> = screen.open(nil, {
        shell = "before=$(stty -a); %s; echo code $?; test \"$before\" = \"$(stty -a)\" && echo same",
      })
      s:expect "neap>"
      s:enter("task.spawn(function() task.sleep(0.05) " .. input .. " end)")
      s:find(says .. "\nsame")
    end
  end)

  it("ends by one ^C what blocks in C", function()
    local s <close> = prompt()
    for _, call in ipairs {"os.execute(%q)", "io.popen(%q):read()"} do
      s:enter(call:format "trap '' INT; sleep 30") -- else it ends by itself
      task.sleep(0.3)
      s:press "C-c"
      s:find "cancelled"
      s:enter "('alive '):rep(2)"
      s:find "alive alive"
      s:press "C-l"
    end
  end)

  it("is not needed by what cannot be stopped: the third ^C ends neap (S3)", function()
    local s <close> = prompt()
    s:enter "string.find(('a'):rep(30), ('a?'):rep(30) .. ('a'):rep(30))"
    task.sleep(0.2)
    s:press "C-c"
    task.sleep(0.1) -- two at once would be one
    s:press "C-c"
    s:find "^C once more ends neap"
    s:press "C-c"
    s:find "(ended with 130)" -- as the shell calls a death by SIGINT
  end)

  it("is not needed by what runs command after command in the background", function()
    local s <close> = prompt()
    s:enter "loop = task.spawn(function() while true do os.execute 'exec sleep 0.3' end end)"
    task.sleep(0.2)
    s:press "C-c"
    task.sleep(0.2) -- two at once would be one
    s:press "C-c"
    task.sleep(0.2)
    s:enter "loop.status"
    s:find '"cancelled"'
    s:enter "1 + 1"
    s:find "\n2\n"
  end)
end)

describe("a dumb terminal", function()
  it("gets plain lines", function()
    local s <close> = prompt(nil, {env = {TERM = "dumb"}})
    s:enter "1 + 1"
    s:expect "neap> 1 + 1\n2\nneap>"
    s:enter "for i = 1, 2 do"
    s:expect "  ..>"
    s:enter "print(i) end"
    s:expect "  ..> print(i) end\n1\n2\nneap>"
    s:enter "task.sleep(100)"
    task.sleep(0.1)
    s:press "C-c"
    s:expect "cancelled\nneap>"
    s:press "C-d"
    s:find "(ended with 0)"
  end)
end)

describe("neap -i", function()
  it("opens the prompt behind a script, with what it left", function()
    local path = os.tmpname()
    local file = assert(io.open(path, "w"))
    file:write "left = {...}\nerror 'it failed'"
    file:close()
    local s <close> = prompt {"-i", path, "a", "b"}
    s:find "it failed"
    s:enter "left"
    s:expect "{\"a\", \"b\"}\nneap>"
    os.remove(path)
  end)

  it("opens it where repl.here is called", function()
    local s <close> = prompt {"-e", [[
      local up = 1
      task.spawn(function() task.sleep(0.2) print "meanwhile" end)
      local function f(a)
        local b = a * 2
        require "neap.repl".here()
        print("after", a, b, up)
      end
      f(4)
      os.exit(0)
    ]]}
    s:enter "a, b, up"
    s:find "\n4  8  1\n"
    s:enter "local c = 5; b = 100; up = up + c"
    s:find "meanwhile"
    s:press "C-d"
    s:find "after   4       100     6"
  end)
end)
