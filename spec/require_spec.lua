-- How code is found and loaded.

local lfs = require "lfs"
local process = require "neap.process"
local folder = require "spec.support.folder"

local neap, run, run_script, says = folder.neap, folder.run, folder.run_script, folder.says
local write = folder.write

before_each(folder.make)
after_each(folder.remove)

describe("require", function()
  it("lets messages name a function by the module that scripts know it of", function()
    local result = run("-e", [[
      for _, name in ipairs {"net.wait", "net.address", "net.service", "task.sleep", "task.spawn",
        "task.scope", "task.timeout", "task.shield"} do
        local module, field = name:match "(.*)%.(.*)"
        local _, message = pcall(require("neap." .. module)[field])
        local told = message:match "^bad argument #%d to '([^']*)'"
        if told ~= "neap." .. name then print(name, message) end
      end
      for name in pairs(package.loaded) do
        if name:find "^neap%..*%.core$" then print(name) end
      end
      print(require "neap.net.core" == require "neap.net.core")
    ]])
    assert.same(says "true\n", result)
  end)

  it("finds modules beside the script, by its path too", function()
    assert(lfs.mkdir(folder.path .. "/sub"))
    assert(lfs.mkdir(folder.path .. "/sub/package"))
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

  it("finds them beside the file that the script is a link to, behind those beside the link", function()
    assert(lfs.mkdir(folder.path .. "/real"))
    assert(lfs.mkdir(folder.path .. "/bin"))
    write("real/module.lua", "return 'real'")
    write("real/other.lua", "return 'real other'")
    write("bin/other.lua", "return 'link other'")
    write("real/script.lua", [[print(require "module", require "other")]])
    assert(lfs.link("../real/script.lua", folder.path .. "/bin/script", true))
    local result = run "bin/script"
    assert.equal("", result.stderr)
    assert.equal("real\tlink other\n", result.stdout:gsub("\tbin/other.lua", ""))
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
	./code.lua: attempt to load a binary chunk (mode is 't')
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
nil	code.lua: attempt to load a binary chunk (mode is 't')
nil	code.lua: attempt to load a binary chunk (mode is 't')
ran	x
ran	x
nil	script.lua: attempt to load a text chunk (mode is 'b')
false	code.lua: attempt to load a binary chunk (mode is 't')
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
