local lfs = require "lfs"
local process = require "neap.process"
local task = require "neap.task"

local child = require "spec.support.child"

local neap = (os.getenv "NEAP_BUILD" or "build") .. "/neap"
if neap:sub(1, 1) ~= "/" then
  neap = lfs.currentdir() .. "/" .. neap
end

-- Each test has a folder of its own to put scripts and modules in.

local folder

before_each(function()
  folder = os.tmpname()
  os.remove(folder)
  assert(lfs.mkdir(folder))
end)

local function remove(path)
  if lfs.symlinkattributes(path, "mode") == "directory" then
    for name in lfs.dir(path) do
      if name ~= "." and name ~= ".." then
        remove(path .. "/" .. name)
      end
    end
    return assert(lfs.rmdir(path))
  end
  assert(os.remove(path))
end

after_each(function()
  remove(folder)
end)

local function write(name, text)
  local path = folder .. "/" .. name
  local file <close> = assert(io.open(path, "wb"))
  assert(file:write(text))
  return path
end

--- Run neap in that folder.
local function run(...)
  return assert(process.run {neap, cwd = folder, ...})
end

--- Run a script of that text.
local function run_script(text, ...)
  write("script.lua", text)
  return run("script.lua", ...)
end

--- Run it behind a shell that redirects.
local function run_sh(line, ...)
  return assert(process.run {"sh", "-c", line, neap, cwd = folder, ...})
end

local function says(stdout)
  return {stdout = stdout, stderr = "", code = 0}
end

describe("the command line", function()
  it("runs a script with its arguments (S9)", function()
    local result = run_script([[
      print(...)
      print(#arg, arg[0], arg[1], arg[2], arg[3], arg[4])
      print(arg[-1] ~= nil, arg[-2])
    ]], "a b", "", "größe €", "-x")
    assert.same(says("a b\t\tgröße €\t-x\n4\tscript.lua\ta b\t\tgröße €\t-x\ntrue\tnil\n"), result)
  end)

  it("passes on arguments that are no text, and very many (S9)", function()
    local many = {"x.lua"}
    for i = 2, 5001 do
      many[i] = "\xff\xfe"
    end
    write("x.lua", "print(#arg, select('#', ...), arg[5000] == '\\xff\\xfe', (...) == arg[1])")
    assert.same(says "5000\t5000\ttrue\ttrue\n", run(table.unpack(many)))
  end)

  it("runs standard input (S9)", function()
    local result = assert(process.run {neap, "-", "a", "b", input = "print(arg[0], ...)"})
    assert.same(says "-\ta\tb\n", result)
    assert.same(says "", assert(process.run {neap, "-"}))
  end)

  it("runs code, with the short names at hand", function()
    local result = run("-e", [[
      print(net == require "neap.net", task == require "neap.task", time == require "neap.time")
      print(signal == require "neap.signal", process == require "neap.process",
        stdio == require "neap.stdio")
    ]])
    assert.same(says "true\ttrue\ttrue\ntrue\ttrue\ttrue\n", result)
    assert.same(says "nil\n", run_script "print(net)")
  end)

  it("has each short name at hand, by whatever way the code gets at it", function()
    for _, names in ipairs {"net, time, process, worker", "task, signal, stdio, trace"} do
      local result = run("-e", ("for _, value in ipairs {%s} do print(type(value)) end"):format(names))
      assert.same(says(("table\n"):rep(4)), result)
    end
    for _, way in ipairs {
      "_ENV[name]", "_G[name]", "load('return ' .. name)()", "require '\\95G'[name]",
      "package.loaded['\\95G'][name]", "debug.getregistry()[2][name]",
      [[(function(path)
        local file <close> = io.open(path, "w")
        file:write("return ", name)
        file:flush()
        return dofile(path), os.remove(path)
      end)(os.tmpname())]],
    } do
      local code = ("local name = 'tra' .. 'ce'; print(type(%s))"):format(way)
      assert.same(says "table\n", run("-e", code), code)
    end
  end)

  it("takes each -e and -l in its turn, and then the script, as lua(1) does", function()
    write("there.lua", "return {x = x}")
    write("script.lua", "print(x, y, there.x, other == there, net, ...) print(arg[0], arg[1], arg[-1])")
    local result = run("-e", "x = 1; package.path = './?.lua'", "-lthere", "-l", "other=there",
      "-ey = x + 1", "script.lua", "a", "-b")
    assert.same(says "1\t2\t1\ttrue\tnil\ta\t-b\nscript.lua\ta\t-ey = x + 1\n", result)
    assert.same(says "1\t2\n", run("-e", "x = 1 task = 2", "-e", "print(x, task)"))
    local said = ("0\t%s\n2\tprint(0, arg[0]) print(#arg, arg[2])\n"):format(neap)
    assert.same(says(said), run("-e", "print(0, arg[0]) print(#arg, arg[2])"))
    assert.same(says "1\n", assert(process.run {neap, "-l", "x=neap.time", cwd = folder,
      input = "print(x.now and 1)"}))
  end)

  it("ends at the step that fails, before the script", function()
    write("script.lua", "print 'ran'")
    for _, step in ipairs {"-eerror 'here'", "-e= 1", "-lnosuch"} do
      local result = run("-e", "print 'first'", step, "script.lua")
      assert.equal("first\n", result.stdout)
      assert.equal(1, result.code)
    end
    local result = run("-e", "print 'first'", "none.lua")
    assert.equal("first\n", result.stdout)
    assert.equal(2, result.code)
  end)

  it("may wait in each step", function()
    write("slow.lua", "require 'neap.task'.sleep(0.01) return 'awake'")
    write("script.lua", "print(slow, ...)")
    assert.same(says "slept\nawake\tx\n", run("-e", "require 'neap.task'.sleep(0.01) print 'slept'",
      "-l", "slow", "script.lua", "x"))
  end)

  it("takes what follows -- for the script", function()
    write("test", "print('a script', ...)")
    write("-x", "print 'a script, too'")
    assert.same(says "a script\t-e\n", run("--", "test", "-e"))
    assert.same(says "a script, too\n", run("--", "-x"))
    assert.same(says "", assert(process.run {neap, "--", input = ""}))
  end)

  it("looks at LUA_INIT first, unless there is -E", function()
    local function with(env, ...)
      return assert(process.run {neap, cwd = folder, env = env, ...})
    end
    write("init.lua", "x = 'a file'")
    write("script.lua", "print(x, ...)")
    assert.same(says "code\ta\n", with({LUA_INIT = "x = 'code'"}, "script.lua", "a"))
    assert.same(says "a file\n", with({LUA_INIT = "@init.lua"}, "-e", "print(x)"))
    assert.same(says "5.4\n", with({LUA_INIT = "x = 1", LUA_INIT_5_4 = "x = '5.4'"}, "script.lua"))
    assert.same(says "nil\n", with({LUA_INIT = "x = 1"}, "-E", "script.lua"))
    assert.same(says "/x\n", with({LUA_PATH = "/x"}, "-e", "print(package.path)"))
    assert.same(says "true\n", with({LUA_PATH = "/x"}, "-E", "-e", "print(package.path ~= '/x')"))
    local failed = with({LUA_INIT = "error 'no'"}, "script.lua")
    assert.matches("^neap: LUA_INIT:1: no\n", failed.stderr)
    assert.equal(1, failed.code)
  end)

  it("turns warnings on by -W", function()
    assert.equal("Lua warning: x\n", run("-W", "-e", "warn 'x'").stderr)
    assert.equal("Lua warning: x\n", run("-e", "warn 'w'", "-W", "-e", "warn 'x'").stderr)
    assert.equal("", run("-e", "warn 'x'").stderr)
  end)

  it("tells the version first, and runs the program", function()
    write("script.lua", "print 'ran'")
    assert.matches("^neap %S+ %(Lua %S+%)\nran\n$", run("-v", "script.lua").stdout)
    assert.matches("^neap %S+ %(Lua %S+%)\nran\n$", run("-v", "-e", "print 'ran'").stdout)
  end)

  it("prompts for -i whatever standard input is", function()
    local result = assert(process.run {neap, "-i", "-e", "x = 40", input = "x + 2\nfor i = 1, 1 do\n print 'in' end\n"})
    assert.matches("^neap> 42\nneap>   ..> in\nneap> ", result.stdout)
    assert.equal(0, result.code)
    result = assert(process.run {neap, "-i", input = "error 'no'\n1 + 1\n"})
    assert.matches("^neap %S+ .-\nneap> error: %S+: no\nneap> 2\nneap> ", result.stdout)
  end)

  it("knows -v and --help, by their other names too", function()
    for _, option in ipairs {"-v", "--version"} do
      local result = run(option)
      assert.matches("^neap %d+%.%d+%.%d+ %(Lua 5%.4%.%d+%)\n$", result.stdout)
      assert.equal(0, result.code)
    end
    for _, option in ipairs {"-h", "--help"} do
      local result = run(option)
      assert.matches("^usage: neap %[OPTION%.%.%.%] %[SCRIPT", result.stdout)
      assert.equal(0, result.code)
    end
  end)

  it("runs what standard input has, without a script (S9)", function()
    assert.same(says "hello\t3\n", assert(process.run {neap, input = "#!/bin/neap\nprint('hello', 1 + 2)"}))
    local result = assert(process.run {neap, input = "print(1"})
    assert.equal("neap: stdin:1: ')' expected near <eof>\n", result.stderr)
    assert.equal(1, result.code)
    assert.same(says "", assert(process.run {neap, input = ""}))
  end)

  it("refuses what it does not know, with 2 (S9)", function()
    for _, arguments in ipairs {
      {"-x"}, {"--versio"}, {"-v=1"}, {"--help=1"}, {"-e"}, {"-l"}, {"-V", "x.lua"}, {"-ix"}, {"-Wx"},
    } do
      local result = run(table.unpack(arguments))
      assert.equal(2, result.code)
      assert.equal("", result.stdout)
      assert.matches("usage: neap %[OPTION%.%.%.%] %[SCRIPT", result.stderr)
    end
    assert.matches("^neap: unknown option %-x\n", run("-x").stderr)
  end)

  it("ends with 2 when the script cannot be read (S9)", function()
    local result = run "none.lua"
    assert.equal("neap: cannot open none.lua: No such file or directory\n", result.stderr)
    assert.equal(2, result.code)
    result = run "."
    assert.equal("neap: cannot read .: Is a directory\n", result.stderr)
    assert.equal(2, result.code)
    assert.equal(2, run("").code)
    assert.equal(2, run(("x"):rep(5000)).code)
  end)

  it("ends with 1 when it is no Lua", function()
    local result = run_script "x = 1\ny = = 2"
    assert.equal("neap: script.lua:2: unexpected symbol near '='\n", result.stderr)
    assert.equal(1, result.code)
    result = run("-e", "x = = 1")
    assert.equal(1, result.code)
    assert.matches("^neap: %(command line%):1: unexpected symbol near '='\n$", result.stderr)
  end)

  it("refuses bytecode, behind a # line too (S9)", function()
    local code = string.dump(function() print "ran" end)
    for _, text in ipairs {code, "#!/usr/bin/neap\n" .. code, "\xef\xbb\xbf" .. code} do
      local result = run_script(text)
      assert.equal(1, result.code)
      assert.equal("", result.stdout)
    end
    assert.matches("attempt to load a binary chunk", run_script(code).stderr)
  end)

  it("takes a # line, a byte order mark, other line ends and none (S9)", function()
    for _, text in ipairs {
      "#!/usr/bin/env neap\nprint 'ran'",
      "\xef\xbb\xbfprint 'ran'\n",
      "\xef\xbb\xbf#!/usr/bin/env neap\nprint 'ran'",
      "#!/usr/bin/env neap\r\nprint\r\n\t'ran'\r\n",
      "-- comment\rprint 'ran'\r",
      "print 'ran' -- no end of line",
    } do
      assert.same(says "ran\n", run_script(text))
    end
    assert.same(says "", run_script "")
    assert.same(says "", run_script "#")
    assert.same(says "", run_script "# only this")
    assert.matches("script.lua:3:", run_script("#!x\n\nerror 'x'").stderr)
  end)

  it("is a program for the first line of a script", function()
    local there = folder .. "/neap" -- such a line holds no blanks
    assert(process.run {"ln", "-s", neap, there})
    local path = write("program", ("#!%s\nprint(arg[0]:match '[^/]+$', ...)"):format(there))
    assert(process.run {"chmod", "+x", path})
    local result = assert(process.run {path, "a"})
    assert.same(says "program\ta\n", result)
  end)

  it("runs a script of ten megabytes (S9)", function()
    local line = "x = 'some text' -- and a comment, to make it longer\n"
    local text = line:rep(220000) .. "print 'ran'"
    assert.is_true(#text > 10000000)
    assert.same(says "ran\n", run_script(text))
  end)

  it("does not read on a closed standard input, output or error (M12)", function()
    write("script.lua", "io.write 'out' io.stderr:write 'err' print((io.read()))")
    for _, redirection in ipairs {"<&-", "2>&-", "<&- 2>&-"} do
      local result = run_sh('"$0" script.lua ' .. redirection)
      assert.equal("outnil\n", result.stdout, redirection)
      assert.equal(0, result.code)
    end
    assert.is_true(run_sh('"$0" script.lua >&-').code ~= 0)
    assert.equal(0, run_sh('"$0" -e "local x = 1" >&- <&- 2>&-').code)
  end)
end)

describe("the exit status", function()
  it("is what os.exit is given", function()
    for code, status in pairs {
      ["os.exit()"] = 0, ["os.exit(true)"] = 0, ["os.exit(false)"] = 1, ["os.exit(7)"] = 7,
      ["os.exit(255)"] = 255, ["os.exit(256)"] = 0, ["os.exit(-1)"] = 255, ["os.exit(3.0)"] = 3,
      ["os.exit(nil, true)"] = 0, ["os.exit(5, true)"] = 5, ["os.exit('6')"] = 6,
      ["coroutine.wrap(function() os.exit(8) end)()"] = 8,
      ["coroutine.wrap(function() os.exit(9, true) end)()"] = 9,
      ["table.sort({3, 2, 1}, function() os.exit(10) end)"] = 10,
      ["table.sort({3, 2, 1}, function() os.exit(11, true) end)"] = 11,
      ["task.spawn(os.exit, 12) task.sleep(10)"] = 12,
      ["task.spawn(os.exit, 13, true) task.sleep(10)"] = 13,
      ["pcall(os.exit, 14) print 'no'"] = 14,
      ["pcall(os.exit, 15, true) print 'no'"] = 15,
      ["setmetatable({}, {__gc = function() os.exit(16) end}) collectgarbage()"] = 16,
      ["setmetatable({}, {__gc = function() os.exit(17, true) end}) collectgarbage()"] = 17,
      ["task.shield(task.timeout, 1, os.exit, 18, true)"] = 18,
      ["local x <close> = setmetatable({}, {__close = function() os.exit(19, true) end})"] = 19,
      ["for k in pairs(os) do local e = os.exit e(20) end"] = 20,
    } do
      local result = run("-e", code)
      assert.same({code = status, stdout = "", stderr = ""}, result, code)
    end
  end)

  it("is 1 for a status that is none", function()
    for _, value in ipairs {"'x'", "{}", "1.5", "print"} do
      local result = run("-e", ("os.exit(%s)"):format(value))
      assert.equal(1, result.code)
      assert.matches("bad argument #1 to 'exit'", result.stderr)
    end
  end)

  it("comes after what was printed and sent, and os.exit's true closes", function()
    local result = run("-e", [[
      local l = assert(net.listen "tcp://127.0.0.1:0")
      local child = assert(process.spawn {arg[0], "-e", [=[
        local s = assert(net.connect("tcp://127.0.0.1:" .. os.getenv "PORT"))
        s:write(("x"):rep(1 << 20))
        io.write "written"
        local a <close> = setmetatable({}, {__close = function() io.write " outer" end})
        coroutine.wrap(function()
          local b <close> = setmetatable({}, {__close = function() io.write " inner" end})
          os.exit(7, true)
        end)()
      ]=], stdout = "pipe", env = {PORT = tostring(l.port), ASAN_OPTIONS = os.getenv "ASAN_OPTIONS"}})
      local s = l:accept()
      local text = s:read "a"
      print(#text)
      print(child.stdout:read "a")
      print((child:wait()))
    ]])
    -- A nested coroutine is not closed, as in Lua: only what it was called from.
    assert.same(says(("%d\nwritten outer\n7\n"):format(1 << 20)), result)
  end)

  it("is 1 after any error, of whatever value (J4)", function()
    for code, text in pairs {
      ["error 'text'"] = "%(command line%):1: text",
      ["error()"] = "%(error object is a nil value%)",
      ["error(nil)"] = "%(error object is a nil value%)",
      ["error(42)"] = "42",
      ["error(false)"] = "%(error object is a boolean value%)",
      ["error {}"] = "%(error object is a table value%)",
      ["error(print)"] = "%(error object is a function value%)",
      ["error(coroutine.create(print))"] = "%(error object is a thread value%)",
      ["error(io.stdout)"] = "file %(0x%x+%)",
      ["error(setmetatable({}, {__tostring = function() return 'told' end}))"] = "told",
      ["error(setmetatable({}, {__tostring = function() error 'x' end}))"] =
        "%(error object is a table value%)",
      ["error(require 'neap.error'.new {code = 'EX', message = 'odd', op = 'do'})"] =
        "do: odd %(EX%)",
      ["local x = nil + 1"] = "%(command line%):1: attempt to perform arithmetic on a nil value",
      ["assert(net.connect 'mem:nobody')"] = "connect mem:nobody: .*%(ECONNREFUSED%)",
    } do
      local result = run("-e", code)
      assert.equal(1, result.code)
      assert.equal("", result.stdout)
      assert.matches("^neap: " .. text .. "\nstack traceback:\n", result.stderr)
      assert.matches('\ntask 1 "main"\n$', result.stderr)
    end
  end)

  it("is 0 whatever the script returns", function()
    assert.equal(0, run("-e", "return 3").code)
    assert.equal(0, run("-e", "return false, 'x'").code)
  end)

  it("is not 0 when what was printed did not arrive (M12)", function()
    for _, code in ipairs {
      "print(1)", "io.write(1)", "io.stdout:write(1)", "print(1) os.exit(0)",
      "print(1) os.exit(true, true)", "io.stdout:setvbuf('full') print(1)",
      "for i = 1, 1e5 do print(i) end",
    } do
      local result = run_sh('"$0" -e "$1" >/dev/full', code)
      assert.equal(1, result.code, code)
      assert.matches("^neap: stdout: [^\n]+\n$", result.stderr)
    end
    assert.equal(1, run_sh('"$0" -v >/dev/full').code)
    assert.equal(1, run_sh('"$0" --help >/dev/full').code)
    assert.equal(7, run_sh('"$0" -e "print(1) os.exit(7)" >/dev/full').code)
    assert.equal(0, run_sh('"$0" -e "local x = 1" >/dev/full').code)
  end)

  it("is that of SIGPIPE, quietly, when nobody reads the output any more (S10)", function()
    for _, code in ipairs {
      "for i = 1, 1e6 do print(i) end",
      "while true do print(1) end",
      "while true do io.write('1\\n') end",
      "while true do print(1) task.sleep(0) end",
      "task.spawn(function() while true do io.stdout:write('1\\n') task.yield() end end)",
    } do
      local result = run_sh('("$0" -e "$1"; echo $? >status) | head -n 1; cat status', code)
      assert.same(says "1\n141\n", result)
    end
  end)

  it("leaves a broken output to the script that asked for that (S10)", function()
    local result = run_sh([[("$0" -e "$1"; echo $? >status) | head -n 1 >/dev/null; cat status]], [[
      signal.ignore "SIGPIPE"
      repeat
        local ok, message = io.write("1\n")
      until not ok
      io.stderr:write "broken"
    ]])
    assert.matches("^broken", result.stderr)
    assert.equal("1\n", result.stdout)
  end)
end)

describe("a start without descriptors", function()
  it("says what is missing", function()
    for n = 4, 9 do
      local line = [[ulimit -n %d; ASAN_OPTIONS=detect_leaks=0 exec "$0" -e '']]
      local result = assert(process.run {"sh", "-c", line:format(n), child.neap})
      assert.matches("^neap: [^\n]*EMFILE[^\n]*\n$", result.stderr)
    end
  end)
end)

describe("an error in __gc", function()
  it("is a warning, which is off until it is asked for", function()
    local result = run_script [[
      local function drop() setmetatable({}, {__gc = function() error "gone" end}) end
      drop()
      collectgarbage()
      warn("@no such")
      warn "@on"
      drop()
      collectgarbage()
      warn "@off"
      drop()
      collectgarbage()
      warn "@on"
      warn("one ", "warning")
      drop()
    ]]
    assert.equal(0, result.code)
    assert.equal([[
Lua warning: error in __gc (script.lua:1: gone)
Lua warning: one warning
Lua warning: error in __gc (script.lua:1: gone)
]], result.stderr)
  end)

  it("in a socket's life harms nothing (J5)", function()
    local result = run("-e", [[
      local guard = {__gc = function() error(setmetatable({}, {__tostring = error})) end}
      for i = 1, 50 do
        local a, b = net.socketpair()
        setmetatable({a}, guard)
        b:write(i)
      end
      collectgarbage()
      task.sleep(0.001)
      print "alive"
    ]])
    assert.equal("alive\n", result.stdout)
    assert.equal(0, result.code)
  end)
end)

describe("a finalizer at the end of the program", function()
  it("opens nothing any more: nobody would close it (J14)", function()
    for _, code in ipairs {
      "net.listen 'tcp://127.0.0.1:0'", "net.listen 'mem:x'", "net.bind 'udp://127.0.0.1:0'",
      "net.socketpair()", "net.socketpair 'mem'", "net.socketpair 'unixgram'",
      "stdio.stdin:close()", "process.spawn {'true', stdout = 'pipe'}", "signal.each 'SIGHUP'",
    } do
      for _, ending in ipairs {"", "os.exit(0, true)", "task.sleep(0)"} do
        local result = run("-e", ([[
          last = setmetatable({}, {__gc = function()
            local ok, message = pcall(function() %s end)
            print(ok, message)
          end})
          %s
        ]]):format(code, ending))
        assert.matches("^false\t.*the program has ended\n$", result.stdout, code)
        assert.equal("", result.stderr)
        assert.equal(0, result.code)
      end
    end
  end)

  it("may spawn and wake, which does nothing any more, and close (J14, J16)", function()
    local result = run("-e", [[
      local a, b = net.socketpair()
      local c = task.channel()
      local t = task.spawn(c.recv, c)
      task.yield()
      last = setmetatable({}, {__gc = function()
        task.spawn(print, "no")
        c:close()
        t:cancel()
        print(a:close(), b:close(), a:close())
        print(pcall(a.recv, a))
        print(pcall(task.sleep, 0))
        print(t.status, task.current())
      end})
      os.exit(0, true)
    ]])
    assert.equal("", result.stderr)
    assert.equal(table.concat({
      "true\ttrue\ttrue",
      "false\trecv: only a task can wait",
      "false\tsleep: only a task can wait",
      "ready\tnil\n",
    }, "\n"), result.stdout)
    assert.equal(0, result.code)
  end)
end)

describe("require", function()
  it("finds modules beside the script, by its path too", function()
    assert(lfs.mkdir(folder .. "/sub"))
    assert(lfs.mkdir(folder .. "/sub/package"))
    write("sub/module.lua", "return {name = ..., file = select(2, ...)}")
    write("sub/package/init.lua", "return 'package'")
    write("sub/script.lua", [[
      print(require "module".name, require "module".file)
      print(require "package" == package, require "sub.nothing")
    ]])
    local path = write("sub/script.lua", [[
      print(require "module".name, (require "module".file:gsub("^.*/sub/", "sub/")))
      package.loaded.package = nil
      print(require "package")
    ]])
    local expected = says "module\tsub/module.lua\npackage\t" -- and where it was
    for _, script in ipairs {"sub/script.lua", "./sub/script.lua", path} do
      local result = run(script)
      assert.equal("", result.stderr)
      assert.equal(expected.stdout, result.stdout:sub(1, #expected.stdout))
    end
  end)

  it("gives the value and where it came from, as Lua does", function()
    write("nothing.lua", "")
    write("wrong.lua", "return false")
    write("set.lua", "package.loaded[...] = 'set'")
    write("value.lua", "return 'value', 'dropped'")
    local result = run_script [[
      print(require "value")
      print(require "value")
      print(require "nothing")
      print(require "set")
      print(require "wrong")
      print(require "wrong")
      package.preload.early = function(name, extra) return name .. extra end
      print(require "early")
      print(package.searchpath("value", "./?.lua"))
      print(#package.searchers, package.loaded.value, package.config:sub(1, 1))
    ]]
    assert.same(says [[
value	./value.lua
value
true	./nothing.lua
set	./set.lua
false	./wrong.lua
false	./wrong.lua
early:preload:	:preload:
./value.lua
5	value	/
]], result)
  end)

  it("says which places it looked in, and raises as Lua does", function()
    write("syntax.lua", "x = = 1")
    write("fails.lua", "\nerror 'while loading'")
    write("object.lua", "error {}")
    write("code.lua", string.dump(function() end))
    write("script.lua", [[
      local function try(...) return select(2, pcall(require, ...)) end
      print((try "not.there":gsub("\n.*", "")))
      local message = try "not.there"
      print(message:find("\n\tno field package.preload['not.there']", 1, true) ~= nil,
        message:find("\n\tno module 'not.there' in neap", 1, true) ~= nil,
        message:find("\n\tno file './not/there.lua'", 1, true) ~= nil,
        message:find("\n\tno file './not/there.so'", 1, true) ~= nil)
      print(select(2, pcall(function() require "not" end)):match "^[^\n]*")
      print(try "syntax")
      print(try "fails")
      print(type(try "object"))
      print(try "code")
      print(try())
      print(try {})
      print(try(nil))
      print((try(12):gsub("\n.*", "")))
      package.path = nil
      print(try "any")
      package.path, package.searchers = "", nil
      print(try "any")
    ]])
    assert.same(says [[
module 'not.there' not found:
true	true	true	true
script.lua:8: module 'not' not found:
error loading module 'syntax' from file './syntax.lua':
	./syntax.lua:1: unexpected symbol near '='
./fails.lua:2: while loading
table
error loading module 'code' from file './code.lua':
	attempt to load a binary chunk (mode is 't')
bad argument #1 to 'require' (string expected, got no value)
bad argument #1 to 'require' (string expected, got table)
bad argument #1 to 'require' (string expected, got nil)
module '12' not found:
'package.path' must be a string
'package.searchers' must be a table
]], run "script.lua")
  end)

  it("keeps the traceback of a module that fails, and tries it again later", function()
    write("flaky.lua", "n = (n or 0) + 1\nif n == 1 then error 'once' end\nreturn n")
    assert.same(says "false\t./flaky.lua:2: once\n2\t./flaky.lua\n", run_script [[
      print(pcall(require, "flaky"))
      print(require "flaky")
    ]])
    local result = run("-e", "require 'flaky'")
    assert.equal(1, result.code)
    assert.matches("^neap: %./flaky.lua:2: once\nstack traceback:\n.-\n\t%./flaky.lua:2: in",
      result.stderr)
  end)

  it("lets a module wait while it loads (J10)", function()
    write("slow.lua", [[
      local task = require "neap.task"
      task.sleep(0.005)
      coroutine.wrap(function() task.sleep(0.001) end)()
      return {name = ...}
    ]])
    assert.same(says "slow\n", run_script [[print(require "slow".name)]])
    assert.same(says "slow\n", run_script [[
      local f = coroutine.wrap(function() coroutine.yield(require "slow".name) end)
      print(f())
    ]])
    local result = run("-e", [[
      print(select(2, task.timeout(0.001, require, "slow")))
      print(package.loaded.slow)
      print(require "slow".name)
    ]])
    assert.same(says "timeout: the time is up (ETIMEDOUT)\nnil\nslow\n", result)
  end)

  it("loads a module once, whatever tasks ask for it meanwhile", function()
    write("slow.lua", [[
      local task = require "neap.task"
      loads = (loads or 0) + 1
      task.sleep(0.01)
      return {}
    ]])
    assert.same(says "1\t10\n", run("-e", [[
      local first, same = nil, 0
      task.scope(function(s)
        for i = 1, 10 do
          s:spawn(function()
            local module = require "slow"
            first = first or module
            same = same + (module == first and 1 or 0)
          end)
        end
      end)
      print(loads, same)
    ]]))
  end)

  it("passes the loading on when the task that does it fails or is cancelled", function()
    write("slow.lua", [[
      local task = require "neap.task"
      loads = (loads or 0) + 1
      task.sleep(loads == 1 and 10 or 0.005)
      if loads <= 2 then error("load " .. loads) end
      return loads
    ]])
    assert.same(says "ECANCELED\nfalse\t./slow.lua:4: load 2\n3\n3\n", run("-e", [[
      local first = task.spawn(require, "slow")
      local others = {}
      for i = 1, 3 do others[i] = task.spawn(pcall, require, "slow") end
      task.sleep(0.001)
      first:cancel()
      print(select(2, first:join()).code)
      print(others[1]:join())
      print((select(2, others[2]:join())))
      print((select(2, others[3]:join())))
    ]]))
  end)

  it("lets a task that waits for a module be cancelled", function()
    write("slow.lua", "require 'neap.task'.sleep(0.1) return 'slow'")
    assert.same(says "nil\tETIMEDOUT\nslow\n", run("-e", [[
      local first = task.spawn(require, "slow")
      task.yield()
      local result, err = task.timeout(0.005, require, "slow")
      print(result, err.code)
      print((first:join()))
    ]]))
  end)

  it("is one line of a traceback", function()
    write("broken.lua", "error 'here'")
    write("outer.lua", "require 'broken'")
    local expected = "%s\nstack traceback:\n\t[C]: in function 'error'\n\t./broken.lua:1: in local 'loader'\n"
      .. "\t[C]: in function 'require'\n\t./outer.lua:1: in local 'loader'\n"
      .. "\t[C]: in function 'require'\n\tscript.lua:1: in "
    local result = run_script "require 'outer'"
    assert.equal("neap: " .. expected:format "./broken.lua:1: here" .. "main chunk\n\t[C]: in ?\ntask 1 \"main\"\n",
      result.stderr)
    result = run_script "xpcall(function() require 'outer' end, function(e) print(debug.traceback(e, 2)) end)"
    assert.equal(expected:format "./broken.lua:1: here" .. "function <script.lua:1>\n\t[C]: in function 'xpcall'\n"
      .. "\tscript.lua:1: in main chunk\n\t[C]: in ?\n", result.stdout)
    result = run("-e", "require 'no.such'")
    assert.matches("\nstack traceback:\n\t%[C%]: in function 'require'\n\t%(command line%):1: in main chunk\n",
      result.stderr)
  end)

  it("leaves debug.traceback as Lua has it", function()
    assert.same(says "a\nstack traceback:\n\t[C]: in ?\ntable\nstack traceback:\tnil\n", run("-e", [[
      print(debug.traceback("a", 2))
      print(type(debug.traceback({})))
      print(debug.traceback(coroutine.create(print)), (debug.traceback(coroutine.create(print), nil, 0):match "x"))
    ]]))
  end)

  it("raises for a module that requires itself, across tasks too", function()
    write("circle.lua", "local c = require 'circle' return c")
    write("tail.lua", "return require 'tail'")
    write("a.lua", "require 'neap.task'.sleep(0.002) local b = require 'b' return b")
    write("b.lua", "require 'neap.task'.sleep(0.002) local a = require 'a' return a")
    assert.same(says "false\t./circle.lua:1: module 'circle' requires itself while it loads\n",
      run_script "print(pcall(require, 'circle'))")
    assert.same(says "false\tmodule 'tail' requires itself while it loads\n",
      run_script "print(pcall(require, 'tail'))")
    assert.same(says "false\t./b.lua:1: module 'a' requires itself while it loads\n",
      run_script "print(pcall(require, 'a'))")
    local result = run("-e", [[
      local t = task.spawn(pcall, require, "a")
      print(pcall(require, "b"))
      print(t:join())
    ]])
    assert.equal("", result.stderr)
    assert.equal(0, result.code)
    assert.matches("requires itself while it loads\n.*requires itself while it loads\n",
      result.stdout)
  end)

  it("loads C modules of the system", function()
    assert.same(says [[
{"a":[1,2,3]}	3
directory	true
5	nil
]], run_script [[
      local json = require "cjson"
      print(json.encode {a = {1, 2, 3}}, #json.decode "[1,2,3]")
      local lfs = require "lfs"
      print(lfs.attributes(".", "mode"), lfs.currentdir() ~= nil)
      local lpeg = require "lpeg"
      local word = lpeg.R "az" ^ 1
      print(word:match "abcd1", word:match "1")
    ]])
  end)

  it("lets a C module call back into Lua that cannot wait, and says so", function()
    local result = run("-e", [[
      local lpeg = require "lpeg"
      local p = lpeg.Cmt(lpeg.P(1), function() task.sleep(0) return true end)
      print(select(2, pcall(p.match, p, "x")))
    ]])
    assert.matches("sleep cannot wait here", result.stdout)
    assert.equal(0, result.code)
  end)

  it("finds neap's own modules in a script that replaced the searchers", function()
    assert.same(says "true\nfalse\n", run_script [[
      local own = package.searchers[2]
      package.searchers = {own}
      print(require "neap.net" ~= nil)
      print((pcall(require, "neap.nonsense")))
    ]])
  end)
end)

describe("dofile, loadfile and load", function()
  it("let a file wait, and pass its results", function()
    write("slow.lua", "require 'neap.task'.sleep(0.002) return 1, nil, ...")
    assert.same(says "1\tnil\n3\n", run_script [[
      print(dofile "slow.lua")
      print(select("#", (function(...) return ... end)(dofile "slow.lua"), nil, nil))
    ]])
    assert.same(says "1\tnil\n", run_script [[
      coroutine.wrap(function() print(dofile "slow.lua") end)()
    ]])
  end)

  it("read standard input without a name", function()
    local result = assert(process.run {neap, "-e", "print(dofile())", input = "return 1, 2"})
    assert.same(says "1\t2\n", result)
    result = assert(process.run {neap, "-e", "print(loadfile()())", input = "# x\nreturn 3"})
    assert.same(says "3\n", result)
  end)

  it("raise or return the same errors as Lua", function()
    write("syntax.lua", "x = = 1")
    write("fails.lua", "error 'inside'")
    assert.same(says [[
false	cannot open none.lua
false	./syntax.lua:1: unexpected symbol near '='
false	./fails.lua:1: inside
nil	cannot open none.lua
nil	./syntax.lua:1: unexpected symbol near '='
false	bad argument #1 to 'loadfile' (string expected, got table)
]], run_script [[
      local function first(text) return (text:gsub(": No such.*", "")) end
      local ok, message = pcall(dofile, "none.lua") print(ok, first(message))
      print(pcall(dofile, "./syntax.lua"))
      print(pcall(dofile, "./fails.lua"))
      ok, message = loadfile "none.lua" print(ok, first(message))
      print(loadfile "./syntax.lua")
      print(pcall(loadfile, {}))
    ]])
  end)

  it("take bytecode where it is asked for, and from files only then", function()
    write("code.lua", string.dump(assert(load "return 'ran', ...")))
    assert.same(says [[
nil	attempt to load a binary chunk (mode is 't')
nil	attempt to load a binary chunk (mode is 't')
ran	x
ran	x
nil	attempt to load a text chunk (mode is 'b')
false	attempt to load a binary chunk (mode is 't')
ran	y
ran	z
nil	attempt to load a binary chunk (mode is 't')
7	7
]], run_script [[
      print(loadfile "code.lua")
      print(loadfile("code.lua", "t"))
      print(loadfile("code.lua", "b")("x"))
      print(loadfile("code.lua", "bt")("x"))
      print(loadfile("script.lua", "b"))
      print(pcall(dofile, "code.lua"))
      local code = io.open("code.lua", "rb"):read "a"
      print(load(code)("y"))
      local parts = {code:sub(1, 1), code:sub(2)}
      print(load(function() return table.remove(parts, 1) end)("z"))
      print(load(code, "x", "t"))
      local up = 7
      local f = load(string.dump(function() return up end))
      debug.setupvalue(f, 1, 7)
      print(f(), up)
    ]])
  end)

  it("take an environment", function()
    write("env.lua", "x = 1 return _ENV")
    assert.same(says "true\t1\nfalse\tnil\tnil\n", run_script [[
      local env = {}
      print(loadfile("env.lua", "t", env)() == env, env.x)
      local ok = pcall(loadfile("env.lua", "t", nil))
      print(ok, x, rawget(_G, "x"))
    ]])
  end)
end)

describe("the standard library", function()
  it("has time and chance from the world, as Lua documents them", function()
    local result = run_script [[
      print(math.type(os.time()), os.time {year = 2020, month = 1, day = 1, hour = 12} > 0)
      print(os.date("!%Y-%m-%d", 0), type(os.date()), os.date("*t").year == tonumber(os.date "%Y"))
      print(pcall(os.date, "%Ez"))
      print(math.type(os.clock()), os.clock() < 10)
      math.randomseed(42)
      local a = math.random(1 << 40)
      math.randomseed(42)
      print(a == math.random(1 << 40), select("#", math.randomseed()))
      print(pcall(os.time, {}))
    ]]
    assert.equal("", result.stderr)
    assert.equal([[
integer	true
1970-01-01	string	true
false	bad argument #1 to 'os.date' (invalid conversion specifier '%Ez')
float	true
true	2
false	field 'year' missing in date table
]], result.stdout)
    assert.is_true(run_script("print(math.random(1 << 40))").stdout ~=
      run_script("print(math.random(1 << 40))").stdout)
  end)

  it("opens no library for one coroutine only", function()
    assert.same(says "true\ttrue\n", run_script [[
      print(coroutine == package.loaded.coroutine, require "coroutine" == coroutine)
    ]])
  end)
end)

describe("many tasks", function()
  it("cost less than two kilobytes each, and give them back (K1) #slow", function()
    local result = run("-e", child.code([[
      local n = tonumber(...)
      local function rss()
        local f <close> = io.open "/proc/self/statm"
        return tonumber(f:read "a":match "%d+ (%d+)") * 4096
      end
      task.scope(function(scope) -- the coroutines that are kept for the next tasks
        for _ = 1, 100 do
          scope:spawn(task.sleep, 0)
        end
      end)
      collectgarbage()
      local before, count = rss(), collectgarbage "count"
      local tasks = {}
      for i = 1, n do
        tasks[i] = task.spawn(task.sleep, 0.3)
      end
      task.yield()
      local each = (rss() - before) // n
      for i = 1, n do
        tasks[i]:join()
      end
      tasks = nil
      collectgarbage()
      collectgarbage()
      print(each < 2048 and "small" or each, (collectgarbage "count" - count) * 1024 // n < 32)
    ]], neap:find "stress" and "200" or "50000"))
    if neap:find "/build$" then -- sanitizers need more
      assert.matches("^small\t", result.stdout)
    end
    assert.matches("true\n$", result.stdout)
    assert.equal(0, result.code)
    assert.equal(task.current(), task.current())
  end)
end)
