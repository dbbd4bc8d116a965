-- neap build: executables that carry a program.

local fs = require "neap.fs"
local process = require "neap.process"
local child = require "spec.support.child"
local folder = require "spec.support.folder"

local run, write = folder.run, folder.write

before_each(folder.make)
after_each(folder.remove)

local function path(name)
  return folder.path .. "/" .. name
end

--- Run an executable there, elsewhere.
local function start(name, ...)
  return assert(process.run {path(name), cwd = "/", ...})
end

local function make(name)
  assert(fs.mkdir(path(name), {parents = true}))
end

local base

setup(function()
  base = os.tmpname()
  assert(process.run({"strip", "-o", base, child.neap}).code == 0)
end)

teardown(function()
  os.remove(base)
end)

--- Build on a smaller neap, which is the same.
local function build(...)
  return run("build", "--base=" .. base, ...)
end

local function fine(result)
  assert.same({code = 0, stdout = "", stderr = ""}, result)
end

describe("neap build", function()
  it("carries what is required by a constant name, and files", function()
    make "lib/deep"
    make "assets/sub"
    make "plugins"
    write("app.lua", [[
      #!/usr/bin/env neap
      local x = require "lib.x"
      local fs = require("neap.fs")
      print(x.name, x.deep, fs.embedded "assets/sub/page", fs.embedded "assets/none")
      print(arg[0] ~= nil, #arg, arg[-1], ...)
      for _, name in ipairs {'a', 'b'} do print(require('plugins.' .. name)) end
      print(debug.getinfo(1, "S").source, pcall(require, 'lib.lost'))
    ]])
    write("app.lua", (assert(fs.read(path "app.lua")):gsub("^%s+", "")))
    write("lib/x.lua", "-- require 'lib.no'\nreturn {name = ..., deep = pcall(require, [[lib.deep]])}")
    write("lib/deep/init.lua", "return true")
    write("assets/sub/page", "the page")
    write("plugins/a.lua", "return 'first'")
    write("plugins/b.lua", "return 'second'")
    local built = build("app.lua", "--include=assets", "--include=plugins")
    assert.equal("neap build: app.lua:6: what is required here is computed, and not followed (--include)\n"
      .. "neap build: app.lua:7: the module lib.lost is not found\n", built.stderr)
    assert.equal(0, built.code)
    for _, name in ipairs {"lib", "assets", "plugins", "app.lua"} do
      assert(fs.remove(path(name), {recursive = true}))
    end
    local result = start("app", "-v", "--trace")
    assert.equal("", result.stderr)
    assert.matches("^lib%.x\ttrue\tthe page\tnil\tembedded assets/none: no such file or directory %(ENOENT%)\n"
      .. "true\t2\tnil\t%-v\t%-%-trace\n"
      .. "first\tplugins/a.lua\nsecond\tplugins/b.lua\n@app%.lua\tfalse\tmodule 'lib%.lost' not found:", result.stdout)
    local list = start("app", "--neap-list").stdout:gsub("%d+", "N"):gsub(" +", "")
    assert.equal("Napp.lua\nNlib/x.lua\nNlib/deep/init.lua\nNassets/sub/page\nNplugins/a.lua\nNplugins/b.lua\n", list)
  end)

  it("makes the same bytes each time, which are started by any name, or say what is lost", function()
    write("app.lua", "print(require 'neap.json'.encode {#require 'neap.crypto'.digest('md5', '')})")
    fine(build("app.lua", "-o", "one"))
    fine(run("build", "app.lua", "-o", "two", "--base=one"))
    local whole = assert(fs.read(path "one"))
    assert.is_true(whole == fs.read(path "two"))
    local env = process.env()
    env.LUA_INIT = "print 'init'"
    env.PATH = folder.path .. ":" .. env.PATH
    assert.equal("[16]\n", assert(process.run {"sh", "-c", "two", cwd = "/", env = env}).stdout)
    assert(fs.write(path "one", whole:sub(1, -2), {mode = tonumber("755", 8), sync = false}))
    local result = start "one"
    assert.equal(1, result.code)
    assert.matches("^neap: the program that this executable carries is gone", result.stderr)
  end)

  it("keeps the options before it for the program", function()
    write("app.lua", [[
      print(require "neap.worker".id, #arg, ...)
    ]])
    fine(run("-w", "2", "--drain=0", "build", "--base=" .. base, "app.lua"))
    local result = start("app", "word")
    assert.equal("", result.stderr)
    local lines = {}
    for line in result.stdout:gmatch "[^\n]+" do
      lines[#lines + 1] = line
    end
    table.sort(lines)
    assert.same({"1\t1\tword", "2\t1\tword"}, lines)
    local refused = run("-e", "x = 1", "build", "app.lua")
    assert.equal(2, refused.code)
    assert.matches("^neap: %-e, %-l, %-i and %-W are not for what neap build makes", refused.stderr)
  end)

  it("tells what it does not follow, and takes no modules of C", function()
    write("app.lua", "require 'own'\nrequire(name)\npcall(require, 'a' .. name)")
    write("own.so", "")
    local result = build "app.lua"
    assert.equal(table.concat({
      "neap build: app.lua:1: the C module own (./own.so) is not carried: it may stand next to the executable",
      "neap build: app.lua:2: what is required here is computed, and not followed (--include)",
      "neap build: app.lua:3: what is required here is computed, and not followed (--include)",
      "",
    }, "\n"), result.stderr)
    assert.matches("error loading module 'own' from file '" .. folder.path:gsub("%p", "%%%0") .. "/own.so'",
      start("app").stderr)
  end)

  it("says what is wrong", function()
    write("app.lua", "print(1)")
    write("bad.lua", "x =")
    write("text", "no neap")
    for words, message in pairs {
      [{"bad.lua"}] = "bad.lua:1: unexpected symbol near <eof>",
      [{"app.lua", "--base=text"}] = "text is no neap that can carry a program",
      [{"app.lua", "--include=../x"}] = "it is not below the script's folder",
      [{"text"}] = "-o FILE is expected",
    } do
      local result = build(table.unpack(words))
      assert.equal(1, result.code)
      assert(result.stderr:find(message, 1, true), result.stderr)
    end
  end)
end)

describe("fs.embedded", function()
  it("reads what is in the script's folder when that is run as such", function()
    make "sub"
    write("sub/page", "the page")
    write("sub/app.lua", "print(require 'neap.fs'.embedded 'page')")
    assert.equal("the page\n", assert(process.run {child.neap, path "sub/app.lua", cwd = "/"}).stdout)
    assert.equal("the page\n", run("sub/app.lua").stdout)
  end)

  it("reads nothing above that", function()
    for _, name in ipairs {"/etc/passwd", "../x", "x/../../y", ".."} do
      assert.error_matches(function()
        fs.embedded(name)
      end, "bad argument #1 to 'embedded' %(a path below the script's folder expected%)")
    end
  end)
end)
