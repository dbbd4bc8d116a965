-- The command line, and the exit status that comes of it.

local process = require "neap.process"
local child = require "spec.support.child"
local folder = require "spec.support.folder"

local neap, run, run_script, run_sh = folder.neap, folder.run, folder.run_script, folder.run_sh
local says, write = folder.says, folder.write

before_each(folder.make)
after_each(folder.remove)

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
    assert.same(says "1\n", assert(process.run {neap, "-l", "x=neap.time", cwd = folder.path,
      input = "print(x.now and 1)"}))
  end)

  for where, line in pairs {
    ["behind"] = {"OPTION", "-e", "print 'one'"}, ["before"] = {"-eprint 'one'", "OPTION"},
    ["between"] = {"-e", "print 'one'", "OPTION", "-e", "print 'two'", "OPTION", "--"},
  } do
    it("runs each -e as it is, " .. where .. " any option", function()
      for _, option in ipairs {
        {"-w", "2"}, {"-v"}, {"-i"}, {"-E"}, {"-W"}, {"-l", "x=neap.time"}, {"--busy-poll=1"},
        {"--no-attach"}, {"--luasocket"}, {"--trace"}, {"--trace=trace.txt"}, {"--trace-bytes=4"},
        {"--trace-filter=udp"}, {"--trace-format=text"}, {"--memory=64M"}, {"--watchdog=60"},
      } do
        local words = {}
        for _, word in ipairs(line) do
          local more = word == "OPTION" and option or {word}
          table.move(more, 1, #more, #words + 1, words)
        end
        local result = assert(process.run {neap, cwd = folder.path, input = "", table.unpack(words)})
        local said = table.concat(words, " ")
        local times = option[1] == "-w" and 2 or 1
        assert.equal(0, result.code, said .. ": " .. result.stderr)
        assert.equal(times, select(2, result.stdout:gsub("one\n", "")), said)
        assert.equal(where == "between" and times or 0, select(2, result.stdout:gsub("two\n", "")), said)
      end
    end)
  end

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
      return assert(process.run {neap, cwd = folder.path, env = env, ...})
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
      assert.matches("^neap %d+%.%d+%.%d+ %(Lua 5%.4%.%d+%)\nlibuv 1%.%d+%.%d+\nc%-ares 1%.%d+%.%d+\n"
        .. "zlib 1%.%d[%d.]+\nllhttp %d+%.%d+%.%d+\nOpenSSL 3%.%d+%.%d+[^\n]*\n$", result.stdout)
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
      assert.matches("^neap: [^\n]+ %(neap %-%-help tells what there is%)\n$", result.stderr)
    end
    assert.matches("^neap: unknown option %-x %(", run("-x").stderr)
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
    assert.matches("^neap: script.lua: attempt to load a binary chunk", run_script(code).stderr)
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
    local there = folder.path .. "/neap" -- such a line holds no blanks
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

  it("of os.exit's true comes when all tasks have closed what they have", function()
    local result = run("-e", [[
      local function closing(f)
        return setmetatable({}, {__close = f})
      end
      task.spawn(function()
        local _ <close> = closing(function() print "at once" end)
        task.sleep(100)
      end)
      task.spawn(function()
        local _ <close> = closing(function() task.shield(task.sleep, 0.05) print "later" end)
        task.scope(function(s)
          s:spawn(function()
            local _ <close> = closing(function() print "below" end)
            task.sleep(100)
          end)
        end)
      end)
      task.yield()
      local _ <close> = closing(function() print "who left" end)
      task.spawn(function()
        local _ <close> = closing(function() print "nobody waits for it" end)
        task.sleep(100)
      end)
      task.yield()
      os.exit(21, true)
    ]])
    local lines = {}
    for line in result.stdout:gmatch "[^\n]+" do
      lines[#lines + 1] = line
    end
    assert.equal("who left", table.remove(lines))
    table.sort(lines)
    assert.same({"at once", "below", "later", "nobody waits for it"}, lines)
    assert.same({21, ""}, {result.code, result.stderr})
  end)

  it("of os.exit's true comes so also from a task that others wait for", function()
    local result = run("-e", [[
      local _ <close> = setmetatable({}, {__close = function() print "main" end})
      task.scope(function(s)
        for i = 1, 2 do
          s:spawn(function()
            local _ <close> = setmetatable({}, {__close = function() print "one of two" end})
            task.sleep(0.01)
            if i == 1 then
              os.exit(22, true)
            end
            task.sleep(100)
          end)
        end
      end)
    ]])
    assert.same({code = 22, stdout = "one of two\none of two\nmain\n", stderr = ""}, result)
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
