local folder = require "spec.support.folder"
local process = require "neap.process"
local task = require "neap.task"

-- Files side by side, each in a process of its own, and what the first one tells of them; and
-- which lines have run.

local function test(...)
  local result = folder.run("test", ...)
  return result.stdout, result.code, result.stderr
end

describe("neap test -j", function()
  before_each(folder.make)
  after_each(folder.remove)

  it("runs files side by side, and tells of them in their order", function()
    -- Each waits for the other: one alone would not end.
    local code = [[
      local fs, task = require "neap.fs", require "neap.task"
      it("meets the other: %s", function()
        print "printed by %s"
        io.open("%s.there", "w"):close()
        while not io.open "%s.there" do task.sleep(0.01) end
      end)
    ]]
    folder.write("a_spec.lua", code:format("a", "a", "a", "b"))
    folder.write("b_spec.lua", code:format("b", "b", "b", "a"))
    local out, status, err = test("-j", "2", "-o", "TAP", "--timeout=60", "a_spec.lua", "b_spec.lua")
    assert.equal("printed by a\nok 1 - meets the other: a\nprinted by b\nok 2 - meets the other: b\n1..2\n", out)
    assert.equal(0, status)
    assert.equal("", err)
  end)

  it("has one summary, with all that busted knows of a test, and its status", function()
    folder.write("a_spec.lua", [[
      describe("outer", function()
        describe("inner", function()
          it("passes", function() end)
          it("fails", function() assert.equal(1, 2) end)
        end)
        pending("is to be written")
      end)
      describe("broken", function()
        setup(function() error "in setup" end)
        it("does not run", function() end)
      end)
    ]])
    folder.write("b_spec.lua", [[
      it("says \"why\"\n\0\xff", function() error("a\nb \\ \xff") end)
      it("waits", function() pending "for help" end)
    ]])
    local function same(...)
      local one, one_status = test("-o", "TAP", "--verbose", ...)
      local many, many_status = test("-o", "TAP", "--verbose", "-j2", ...)
      assert.equal(one, many)
      assert.equal(one_status, many_status)
      assert.equal(1, many_status)
    end
    same("--pattern=_spec", ".")
    same("--filter=fails", ".")
    local out = test("--jobs=2", "-o", "junit", ".")
    assert.matches('<testsuites [^>]*tests=\'5\'', out)
    assert.matches('classname=\'[^\']*a_spec.lua:4\'', out)
  end)

  it("gives its arguments to each, and ends with 0 when all pass", function()
    folder.write("helper.lua", "helped = true")
    for _, name in ipairs {"a", "b", "c"} do
      folder.write(name .. "_spec.lua", [[
        it("is helped", function() assert.is_true(helped) end)
        it("is filtered", function() error "ran" end)
      ]])
    end
    local out, status = test("-j2", "--helper=helper.lua", "-o", "TAP", "--filter-out=filtered", "--repeat=2", ".")
    assert.equal(0, status, out)
    assert.equal(2, select(2, out:gsub("ok 3 ", "")))
  end)

  it("tells of a process that has ended by itself", function()
    folder.write("a_spec.lua", [[
      it("passes", function() end)
      it("kills", function() require "neap.signal".raise "SIGKILL" require "neap.task".sleep(9) end)
    ]])
    folder.write("b_spec.lua", [[it("passes, too", function() end)]])
    local out, status = test("-j2", "-o", "TAP", ".")
    assert.matches("^ok 1 %- passes\nnot ok 2 [^\n]*\n", out)
    assert.matches("a_spec.lua: its process has ended with SIGKILL before its tests had", out)
    assert.matches("\nok 3 %- passes, too\n", out)
    assert.equal(1, status)
  end)

  it("ends all by ^C", function()
    for _, name in ipairs {"a", "b"} do
      folder.write(name .. "_spec.lua", ([[
        it("hangs", function()
          local file = io.open("%s.pid", "w")
          file:write(require "neap.process".pid, "\n")
          file:close()
          require "neap.task".sleep(60)
        end)
      ]]):format(name))
    end
    local p <close> = assert(process.spawn {folder.neap, "test", "-j2", "--timeout=60", ".",
      cwd = folder.path, stdout = "null", stderr = "null"})
    local function pid(name)
      local file <close> = io.open(folder.path .. "/" .. name .. ".pid")
      return file and file:read "l"
    end
    while not pid "a" or not pid "b" do
      task.sleep(0.01)
    end
    p:kill "SIGINT"
    assert.equal("SIGINT", select(2, p:wait()))
    for _, name in ipairs {"a", "b"} do
      assert.is_nil(io.open("/proc/" .. pid(name) .. "/exe"))
    end
  end)

  it("refuses what is no number of files, and no time", function()
    for _, arguments in ipairs {{"-j"}, {"-j0"}, {"-j", "x"}, {"--jobs=1.5"}, {"--timeout=no"}, {"--timeout=0"}} do
      local _, status, err = test(table.unpack(arguments))
      assert.matches("^neap test: %-%-?%w+: a number of %w+ expected, got ", err)
      assert.equal(1, status)
    end
  end)
end)

describe("neap test --coverage", function()
  before_each(folder.make)
  after_each(folder.remove)

  local function write_all()
    folder.write("lib.lua", [[
local lib = {}

function lib.abs(x)
  if x < 0 then
    return -x
  end
  return x
end

function lib.never()
  local y = 1
  return y
end

function lib.within()
  local task = require "neap.task"
  task.sleep(0)
  return coroutine.wrap(function()
    return 7
  end)()
end

return lib
]])
    folder.write("a_spec.lua", [[
      local lib, task = require "lib", require "neap.task"
      it("is negative", function() assert.equal(1, lib.abs(-1)) end)
      it("is in a task", function() assert.equal(7, task.spawn(lib.within):join()) end)
    ]])
    folder.write("b_spec.lua", [[
      local lib = require "lib"
      it("is positive", function() assert.equal(1, lib.abs(1)) end)
    ]])
  end

  local function lcov()
    local file <close> = assert(io.open(folder.path .. "/lcov.info"))
    return file:read "a"
  end

  it("counts lines, also of tasks and coroutines, for people and for tools", function()
    write_all()
    local _, status, err = test("--coverage", "--lpath=./?.lua", "a_spec.lua")
    assert.equal(0, status)
    assert.equal(table.concat {
      " 83.3 %  of 18 lines in 1 file have run\n",
      " 83.3 %  lib.lua, not: 7, 11-12\n"}, err)
    assert.equal([[
TN:
SF:lib.lua
DA:1,1
DA:3,1
DA:4,1
DA:5,1
DA:7,0
DA:8,1
DA:10,1
DA:11,0
DA:12,0
DA:13,1
DA:15,1
DA:16,1
DA:17,1
DA:18,2
DA:19,1
DA:20,1
DA:21,1
DA:23,1
LF:18
LH:15
end_of_record
]], lcov())
  end)

  it("says that they cannot be written", function()
    write_all()
    os.remove(folder.path .. "/lcov.info")
    assert(process.run {"ln", "-s", "/dev/full", folder.path .. "/lcov.info"})
    local _, _, err = test("--coverage", "--lpath=./?.lua", "b_spec.lua")
    os.remove(folder.path .. "/lcov.info")
    assert.matches("^neap test: lcov.info: No space left on device\n", err)
  end)

  it("adds up what several processes have counted", function()
    write_all()
    local _, status, err = test("-c", "-j2", "--lpath=./?.lua", ".")
    assert.equal(0, status)
    assert.matches("lib.lua, not: 11%-12\n$", err)
    assert.matches("\nDA:4,2\n", lcov())
    assert.is_nil(lcov():find("_spec", 1, true))
  end)
end)
