-- What stands on the screen of a prompt while things are printed, typed and asked.

local child = require "spec.support.child"
local process = require "neap.process"
local screen = require "spec.support.screen"
local task = require "neap.task"
local time = require "neap.time"
local visited = require "spec.support.visited"

local prompt = screen.prompt

--- Wait until the screen matches.
local function matching(s, pattern)
  local began = time.now()
  while not s:text():find(pattern) do
    if time.now() - began > 20 then
      error("expected a match of " .. pattern .. ", but the screen is:\n" .. s:text(), 2)
    end
    task.sleep(0.01)
  end
end

local shared

local function ours()
  shared = shared or prompt {columns = 60}
  shared:press "C-u"
  shared:clear()
  return shared
end

teardown(function()
  if shared then
    shared:close()
  end
end)

describe("that an input runs", function()
  it("is told beneath what it writes", function()
    local s = ours()
    s:enter "for i = 1, 4 do io.write(i, ' ') task.sleep(.4) end"
    matching(s, "\n1 2[ 3]*\n%(running for %d s, waits for sleep; ^C ends it%)$")
    s:expect "end\n1 2 3 4\nneap>"
  end)

  it("leaves what is typed meanwhile", function()
    local s = ours()
    s:enter "io.write 'begun ' task.sleep(3)"
    matching(s, "begun *\n%(running")
    s:type "x = 1"
    matching(s, "\nbegun x = 1\n%(running")
    s:expect "\nbegun x = 1\nneap> x = 1"
  end)

  it("leaves a question, and the answer", function()
    local s = ours()
    s:enter "io.write 'name? ' print(stdio.stdin:read())"
    matching(s, "\nname%? *\n%(running for %d s, waits for read")
    s:type "gr\u{FC}n"
    task.sleep(0.6) -- it is told twice a second
    matching(s, "\nname%? gr\u{FC}n\n%(running")
    s:press "Enter"
    s:expect "\nname? gr\u{FC}n\ngr\u{FC}n\nneap>"
  end)

  it("is told in a row of its own also behind one that is full", function()
    local s = ours()
    s:enter "io.write(('x'):rep(60)) task.sleep(2) io.write 'y\\n'"
    matching(s, "\nx+\n\n%(running")
    s:expect("'y\\n'\n" .. ("x"):rep(60) .. "\ny\nneap>")
  end)

  it("is told while it computes, and waits for nothing", function()
    local s = ours()
    s:enter "io.write 'begun ' for _ = 1, 1e12 do end"
    matching(s, "\nbegun *\n%(running for %d+ s; ^C ends it%)$")
    s:press "C-c"
    s:expect "\ncancelled\nneap>"
  end)

  it("is not told while a child may have the screen", function()
    local s = ours()
    s:enter "process.spawn {'sh', '-c', 'sleep 1.2; echo; echo here'}:wait()"
    s:expect "\n\nhere\n0  nil\nneap>"
  end)
end)

describe("a profile at the prompt", function()
  it("tells what it has when ^C ends it, and the next ^C is another's", function()
    local s = ours()
    s:enter ":profile 1000"
    matching(s, "%(running for %d s, waits for event; ^C ends it%)$")
    s:press "C-c"
    matching(s, "\n +SELF +TOTAL +of %d+ samples\n.*neap>$")
    s:clear()
    s:enter "task.sleep(1000)"
    matching(s, "%(running for %d s, waits for sleep; ^C ends it%)$")
    s:press "C-c"
    s:expect "\ncancelled\nneap>"
  end)
end)

describe("a question", function()
  it("is shown before C reads the answer", function()
    local s = ours()
    s:enter "io.write 'name? ' print(io.read())"
    s:expect "\nname?"
    s:enter "me"
    s:expect "\nname? me\nme\nneap>"
  end)
end)

describe("a line that is not finished", function()
  it("goes on above the prompt, by the columns of its characters", function()
    local s = ours()
    s:enter [[task.spawn(function() for _ = 1, 3 do task.sleep(.2) io.write "漢字e\u{301}" end end).id and nil]]
    s:type "half"
    s:expect "\n漢字e\u{301}漢字e\u{301}漢字e\u{301}\nneap> half"
  end)

  it("goes on in pieces of characters and of sequences", function()
    local s = ours()
    s:enter [[task.spawn(function() for c in ("\27[1m漢\27]0;t\7字\27[m"):gmatch "." do
task.sleep(.02) io.write(c) end io.write "|" end).id and nil]]
    s:type "half"
    s:expect "\n漢字|\nneap> half"
  end)

  it("goes on where it has wrapped", function()
    local s = ours()
    s:enter [[task.spawn(function() for _ = 1, 3 do task.sleep(.1) io.write(("z"):rep(40)) end end).id and nil]]
    s:type "half"
    s:expect(("\n%s\n%s\nneap> half"):format(("z"):rep(60), ("z"):rep(60)))
    s:press "C-u"
    s:enter [[task.spawn(function() for _ = 1, 3 do task.sleep(.1) io.write(("字"):rep(7), "w") end end).id and nil]]
    s:expect(("\n%s\nneap>"):format(("字字字字字字字w"):rep(3)))
  end)
end)

describe("the prompt", function()
  it("completes a name that is no UTF-8, and goes on", function()
    local s = ours()
    local folder = os.tmpname()
    os.remove(folder)
    s:enter(("os.execute([[mkdir %s && touch %s/$(printf 'caf\\351')]])"):format(folder, folder))
    s:expect "0\nneap>"
    s:type(("io.open('%s/ca"):format(folder))
    s:press "Tab"
    s:expect("/caf\\xE9")
    s:enter "'):read 'a'"
    s:expect '\n""\nneap>'
    process.run {"rm", "-r", folder}
  end)

  it("takes a history that is no UTF-8", function()
    local home = os.tmpname()
    os.remove(home)
    process.run {"sh", "-c", 'mkdir -m 700 "$1" "$1/neap" && printf "\'caf\\351\'\\n" > "$1/neap/history"', "sh", home}
    local s <close> = prompt {env = {XDG_STATE_HOME = home}}
    s:press "Up"
    s:expect "neap> 'caf\u{FFFD}'"
    s:press "Enter"
    s:expect "\n\"caf\u{FFFD}\"\nneap>"
    process.run {"rm", "-r", home}
  end)

  it("begins anew when it has failed, and the program goes on", function()
    local s <close> = prompt()
    s:enter [[width = require "neap.repl.width" of = width.of
width.of = function(c) return c == "é" and error "broken" or of(c) end local kept = "kept"]]
    s:expect "neap>"
    s:type "local kept = 'é'"
    s:find "neap: the prompt has failed, and begins anew: "
    s:find "broken"
    s:press "C-u"
    s:enter "kept"
    s:expect '\n"kept"\nneap>'
    s:press "C-d"
    s:expect "(ended with 0)"
  end)

  it("gives its text to an editor, and takes it back", function()
    local s <close> = prompt {env = {EDITOR = "sed -i -e s/one/two/", VISUAL = ""}}
    s:type "print 'one'"
    s:press("C-x", "C-e")
    s:expect "neap> print 'two'"
    s:press "Enter"
    s:expect "\ntwo\nneap>"
  end)

  it("keeps its text where the editor fails, and ^C there is the editor's", function()
    local s <close> = prompt {env = {VISUAL = "sh -c 'trap \"echo caught; exit 1\" INT; echo open; read x; exit 1'"}}
    s:type "print 'one'"
    s:press("C-x", "C-e")
    s:find "open"
    s:press "C-c"
    s:find "caught"
    s:expect "neap> print 'one'"
  end)

  it("has the terminal for itself, also where the process ends that is looked into", function()
    if not screen.is_there() then
      pending "tmux is not installed"
    end
    local env, make, remove = visited.folder()
    make()
    local _ <close> = setmetatable({}, {__close = remove})
    local p <close> = visited.start(env(), "print 'up' io.stdout:flush() task.sleep(1000)")
    local s <close> = screen.open({"attach", tostring(p.pid)}, {env = {
      XDG_RUNTIME_DIR = env().XDG_RUNTIME_DIR, VISUAL = "sh -c 'echo open; read x; echo got $x'"}})
    s:expect(("neap %d>"):format(p.pid))
    s:press("C-x", "C-e")
    s:find "open"
    p:kill "SIGKILL"
    p:wait()
    task.sleep(0.3)
    s:enter "this"
    s:find "has ended"
    assert.matches("got this\n.*has ended\n", s:all())
  end)
end)

--- What a prompt says up to this.
local function until_said(p, what)
  local said = ""
  assert(task.timeout(child.sanitized and 30 or 8, function()
    while said:sub(-#what) ~= what do
      said = said .. assert(p.pty:recv(1))
    end
    return true
  end), said)
  return said
end

--- A prompt in a shell that goes on so when it has been stopped.
local function in_a_shell(commands)
  local env = process.env()
  env.HOME, env.XDG_STATE_HOME, env.TERM, env.NO_COLOR = "/nonexistent", nil, "xterm", "1"
  return assert(process.spawn {"bash", "-ic", 'set -m; "$0"; ' .. commands, child.neap, pty = true, env = env})
end

describe("what is not to stay on the screen", function()
  it("is hidden while the prompt is stopped, and is there again behind that", function()
    local p <close> = in_a_shell "echo stopped; fg; echo stopped; fg; echo stopped; fg"
    until_said(p, "neap> ")
    p.pty:write "print 'half"
    until_said(p, "half\r\27[17C\27[?25h")
    p.pty:write "\26"
    assert.matches("\27%[J\r\27%[%?2004l", until_said(p, "stopped\r\n"))
    until_said(p, "neap> print 'half")
    p.pty:write "\21:help\r"
    until_said(p, "more, q: no more)")
    p.pty:write "\26"
    assert.matches("\r\27%[K\27%[%?2004l", until_said(p, "stopped\r\n"))
    until_said(p, "more, q: no more)")
    p.pty:write "q"
    until_said(p, "neap> ")
    p.pty:write "task.sleep(1000)\r"
    until_said(p, "; ^C ends it)\0278")
    p.pty:write "\26"
    assert.matches("\27%[J\r\n", until_said(p, "stopped\r\n"))
    until_said(p, "; ^C ends it)\0278")
  end)
end)

describe("brackets around what is pasted", function()
  local function is_on(said)
    return said:match ".*\27%[%?2004([hl])" == "h"
  end

  for input, status in pairs {
    ["os.exit(3)"] = 3, ["signal.raise 'SIGTERM'"] = "SIGTERM", ["signal.raise 'SIGHUP'"] = "SIGHUP",
    ["signal.raise 'SIGQUIT'"] = "SIGQUIT", ["signal.raise 'SIGABRT'"] = "SIGABRT",
  } do
    it("end with the prompt: " .. input, function()
      local env = process.env()
      env.HOME, env.XDG_STATE_HOME, env.TERM = "/nonexistent", nil, "xterm"
      local p <close> = assert(process.spawn {child.neap, pty = true, env = env})
      assert.is_true(is_on(until_said(p, "\27[?25h")))
      p.pty:write("task.spawn(function() task.sleep(.05) print 'now' " .. input .. " end)\r")
      local said = until_said(p, "now\r\n")
      while true do
        local more = p.pty:recv()
        if not more then
          break
        end
        said = said .. more
      end
      assert.is_false(is_on(said))
      local code, name = p:wait()
      assert.equal(status, name or code)
    end)
  end

  it("end while the prompt is stopped", function()
    local p <close> = in_a_shell "echo stopped; fg; echo code $?"
    assert.is_true(is_on(until_said(p, "neap> ")))
    p.pty:write "\26"
    assert.is_false(is_on(until_said(p, "stopped\r\n")))
    until_said(p, "\27[?2004h")
    until_said(p, "neap> ")
    p.pty:write "\4"
    assert.is_false(is_on(until_said(p, "code 0")))
  end)
end)
