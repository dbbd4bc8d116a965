local lfs = require "lfs"
local task = require "neap.task"

-- Specs that are run by a second neap, whose output and status are looked at.

local neap = require "spec.support.child".neap
local run = require "spec.support.tested".run

describe("neap test", function()
  it("ends with 0 when every test passes", function()
    local out, status = run [[it("adds", function() assert.equal(2, 1 + 1) end)]]
    assert.matches("ok 1 %- .*adds", out)
    assert.equal(0, status)
  end)

  it("ends with 1 when one fails, and says where", function()
    local out, status = run '\nit("adds", function()\n  assert.equal(3, 1 + 1)\nend)'
    assert.matches("not ok 1", out)
    assert.matches(":3: Expected objects to be equal", out)
    assert.equal(1, status)
  end)

  it("lets every function of a spec suspend", function()
    local out, status = run [[
      local task = require "neap.task"
      task.sleep(0.001)
      describe("all", function()
        task.sleep(0.001)
        setup(function() task.sleep(0.001) end)
        before_each(function() task.sleep(0.001) end)
        after_each(function() task.sleep(0.001) end)
        teardown(function() task.sleep(0.001) end)
        it("sleeps", function()
          finally(function() task.sleep(0.001) end)
          task.sleep(0.001)
        end)
      end)
    ]]
    assert.matches("ok 1", out)
    assert.equal(0, status)
  end)

  it("dies of a signal that ends it, behind busted's summary, and runs no more", function()
    local out, status = run [[
      local signal, task = require "neap.signal", require "neap.task"
      it("is ended", function() signal.raise "SIGTERM" task.sleep(9) end)
      for i = 1, 300 do it("is another", function() task.sleep(9) end) end
    ]]
    assert.matches("not ok 1 %- .*is ended", out)
    assert.is_nil(out:find("is another", 1, true))
    assert.is_nil(out:find("goes on", 1, true))
    assert.equal(15, status & 127) -- the shell's, or its 128 + 15
  end)

  it("cancels a test that takes too long, and goes on", function()
    local out, status = run([[
      local task = require "neap.task"
      it("hangs", function()
        task.sleep(60)
      end)
      it("goes on", function() end)
    ]], "--timeout=0.05", "NEAP_TEST_LIMIT=60")
    assert.matches("not ok 1 %- .*hangs", out)
    assert.matches(":3: not done after 0.05 s", out)
    assert.matches("\nok 2 %- .*goes on", out)
    assert.equal(1, status)
  end)

  it("makes os.exit in a test an error of that test", function()
    local out, status = run [[
      it("leaves", function() os.exit(0) end)
      it("goes on", function() end)
    ]]
    assert.matches("os.exit%(0%) was called in a test", out)
    assert.matches("\nok 2 %- .*goes on", out)
    assert.equal(1, status)
  end)

  it("has one of each of neap's modules in all files", function()
    local code = [[
      it("keeps it", function()
        local net = require "neap.net"
        debug.getregistry().seen = debug.getregistry().seen or net
        assert.equal(debug.getregistry().seen, net)
      end)
    ]]
    local out, status = run(code, "--repeat=2")
    assert.equal(0, status, out)
  end)

  it("sleeps without holding others up", function()
    local _, status = run [[
      local task = require "neap.task"
      it("sleeps", function()
        local ran = false
        task.spawn(function() ran = true end)
        require "busted".sleep(0.001)
        assert.is_true(ran)
      end)
    ]]
    assert.equal(0, status)
  end)

  it("fails the test that spawned a task that fails, and no other", function()
    local out, status = run [[
      local task = require "neap.task"
      it("waits", function()
        task.spawn(error, "in a task", 0)
        task.sleep(5)
      end)
      it("waits no more", function()
        task.spawn(function()
          task.yield()
          error(nil)
        end)
        task.spawn(error, {})
        pcall(task.sleep, 1)
      end)
      it("is not concerned", function()
        local ok = task.spawn(function()
          task.sleep(0.01)
          return "spawned"
        end)
        assert.equal("spawned", ok:join())
      end)
      describe("with what surrounds it", function()
        before_each(function()
          task.spawn(error, "before")
          task.yield()
        end)
        it("does not even run", function() end)
      end)
      it("is not concerned, either", function()
        task.sleep(0.001)
      end)
    ]]
    assert.matches("not ok 1 %- waits\n[^\n]*\n[^\n]*in a task\n", out)
    assert.matches("not ok 2 %- waits no more\n", out)
    assert.matches("\nok 3 %- is not concerned\n", out)
    assert.matches("not ok 4 %- with what surrounds it[^\n]*\n[^\n]*\n[^\n]*before\n", out)
    assert.matches("\nok 5 %- is not concerned, either\n", out)
    assert.equal(1, status)
  end)

  it("tells specs what they are run by, below arg[0]", function()
    local out, status = run(([[
      it("could start another", function()
        assert.equal(%q, arg[-1])
        assert.is_nil(arg[-2])
      end)
    ]]):format(neap))
    assert.equal(0, status, out)
  end)

  it("tells of an error outside of a test where the spec has it", function()
    local out, status = run "\nlocal x = require 'no.such.module'"
    assert.matches("^not ok 1 [^\n]*\n# [^\n]*%.lua @ 2\n", out)
    assert.matches("%.lua:2: module 'no.such.module' not found", out)
    assert.equal(1, status)
  end)

  it("ends with 1 on an unknown option", function()
    assert.equal(1, select(2, run("", "--no-such-option")))
  end)

  it("tells its options, and busted's, and that is no error", function()
    local out, status = run("", "--help")
    assert.matches("^options of neap test", out:match "options.*")
    assert.matches("\n  %-%-repeat=COUNT ", out)
    assert.is_nil(out:find("rror: ", 1, true))
    assert.equal(0, status)
  end)
end)

describe("spec/helper.lua", function()
  local helper = "'--helper=" .. lfs.currentdir() .. "/spec/helper.lua'"

  it("fails a file that leaves a task behind", function()
    local out, status = run([[
      local task = require "neap.task"
      it("forgets", function()
        task.background(task.sleep, 5)
      end)
    ]], helper)
    assert.matches("leaves behind: .*tasks %+1", out)
    assert.equal(1, status)
  end)

  it("fails a file that reads an undeclared global", function()
    local out, status = run([[it("reads", function() return misspelt end)]],
      helper)
    assert.matches(":1: undeclared global 'misspelt'", out)
    assert.equal(1, status)
  end)
end)

it("a test is a task of its own program", function()
  assert.is_not_nil(task.current())
end)
