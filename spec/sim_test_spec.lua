-- sim.test: tests in a simulated world, and what is told of them when they fail, which is looked
-- at in a second neap.

local net = require "neap.net"
local sim = require "neap.sim"
local task = require "neap.task"
local run = require "spec.support.tested".run

local format = string.format

local function ask(where, text)
  local stream <close> = assert(net.connect(where))
  stream:write(text, "\n")
  return stream:read()
end

local function echo()
  assert(net.listen "tcp://*:7000"):serve(function(stream)
    stream:write(stream:read "L")
  end)
end

describe("a test in a simulated world", function()
  local word, list
  local calls = 0
  before_each(function()
    word, list = "set before", {1, {two = 2}, [0.5] = true}
    list[2].all = list
  end)

  it("sleeps for an hour at once, and has busted's assertions", sim.test(function()
    task.sleep(3600)
    assert.equal(3600.0, sim.now() // 1)
    assert.has_error(function() assert.is_nil(1) end)
    assert.same({1, 2}, {assert(1, 2)})
  end))

  it("has copies of the values, functions and modules around it", sim.test(function()
    assert.equal("set before", word)
    assert.equal(list, list[2].all)
    assert.same({1, 2, true}, {list[1], list[2].two, list[0.5]})
    local function count()
      calls = calls + 1
    end
    count()
    assert.equal(1, calls)
    assert.equal("7", format("%d", 7))
  end))

  it("changes nothing of what is around it", function()
    assert.equal(0, calls)
  end)

  it("has hosts beside it, which need not end", sim.test(function()
    assert.equal("one", ask("tcp://server:7000", "one"))
    local other = sim.host("other", echo)
    assert.equal("two", ask("tcp://other:7000", "two"))
    assert.equal("running", other:state())
  end, {hosts = {server = echo}, seeds = 3}))

  it("is of its own seed, and may have its tasks in order", sim.test(function()
    local order = {}
    for i = 1, 9 do
      task.spawn(function()
        order[#order + 1] = i
      end)
    end
    task.sleep(1)
    assert.equal("123456789", table.concat(order))
    assert.equal(5, sim.seed())
  end, {seed = 5, order = "fifo"}))

  it("may have whole what was written", sim.test(function()
    local a <close>, b = net.socketpair()
    for i = 1, 50 do
      a:write(("x"):rep(100 * i))
      assert.equal(100 * i, #b:recv())
    end
    b:close()
  end, {whole = true}))

  it("waits for its clients, and for what must come to hold", sim.test(function()
    local done = 0
    sim.client("client", function()
      task.sleep(50)
      done = done + 1
    end)
    sim.eventually("it is done", 1, function()
      return done == 1 and sim.now() >= 50
    end)
  end))

  it("gives a function to finally", sim.test(function()
    local _, why = pcall(function() finally(5) end)
    assert.matches("sim_test_spec%.lua:%d+: finally: a function expected, got number$", why)
  end))

  it("calls behind itself what it has given to finally, which may wait", sim.test(function()
    finally(function()
      task.sleep(1)
      assert.equal(3.0, sim.now() // 1)
    end)
    task.sleep(2)
  end))

  it("raises at the caller's line for what cannot be", function()
    for _, case in ipairs {
      {"sim.test: a function expected, got nil"},
      {"sim.test: options expected, got number", echo, 1},
      {"sim.test: there is no option 'sed'", echo, {sed = 1}},
      {"sim.test: seeds: a whole number above 0 expected", echo, {seeds = 0}},
      {"sim.test: limit: seconds expected", echo, {limit = "x"}},
      {'sim.test: order: "fifo" expected', echo, {order = "lifo"}},
      {"sim.test: one seed, or so many, expected", echo, {seed = 1, seeds = 2}},
    } do
      local _, err = pcall(load("local f, a, b = ...\nlocal r = f(a, b)\nreturn r", "=caller"),
        sim.test, case[2], case[3])
      assert(err:find("caller:2: " .. case[1], 1, true), err)
    end
  end)
end)

describe("a test in a simulated world that fails", function()
  local out, status

  setup(function()
    out, status = run [[
      local net, sim, task = require "neap.net", require "neap.sim", require "neap.task"
      local channel
      describe("d", function()
        before_each(function() channel = task.channel() end)
        it("asserts (a+b)", sim.test(function()
          print "seen"
          assert.equal(1, 2)
        end, {seeds = 2}))
        it("fails in a task", sim.test(function()
          task.spawn(function()
            error "broken"
          end)
          task.sleep(1)
        end))
        it("has what it cannot have", sim.test(function()
          return function() channel:recv() end
        end))
        it("leaves", sim.test(function()
          local l = net.listen "tcp://*:1"
          task.spawn(function() l:accept() end)
        end))
        it("deadlocks", sim.test(function()
          local stream = net.connect "tcp://server:7000"
          stream:read()
        end, {hosts = {server = function()
          local kept = {net.listen "tcp://*:7000"}
          kept[2] = kept[1]:accept()
          kept[2]:read()
        end}}))
        it("is late", sim.test(function()
          task.sleep(11)
        end, {limit = 10}))
        it("has a host that fails", sim.test(function()
          task.sleep(1)
        end, {hosts = {server = function()
          assert.is_true(false)
        end}}))
        it("passes", sim.test(function() end))
        it("is for another day", sim.test(function()
          finally(function() print "but it is tidied" end)
          pending "not yet"
          error "never"
        end, {seeds = 2}))
        it("fails, and then at its end", sim.test(function()
          finally(function() print "it came here" end)
          error "early"
        end))
      end)
    ]]
  end)

  --- What is told of the test of that number.
  local function told(n)
    return ("\n" .. out):match("\nnot ok " .. n .. " (.-)\n%f[no][no][ok]")
  end

  it("is told at the place of the assertion, with what was printed, and how to see it again", function()
    assert.matches("^%- d asserts %(a%+b%)\n# [^\n]*lua @ 5\n"
      .. "# Failure message: [^\n]*:7: Expected objects to be equal", told(1))
    assert.matches("\n# seed 0x1 at %+0%.%d+s\n# replay: neap test %-%-sim%-seed=0x1 "
      .. "%-%-filter='^d asserts %%%(a%%%+b%%%)%$' [^\n]*lua\n# printed:\n#   seen$", told(1))
    assert.equal(1, status)
  end)

  it("is told of its tasks, and of its hosts", function()
    assert.matches(":11: broken\n", told(2))
    assert.matches("server has ended with status 1: [^\n]*:36: Expected objects to be the same[^\n]*\n"
      .. ".*# printed:\n.*#   server: [^\n]*:36: Expected", told(7))
  end)

  it("is told of what it uses and cannot", function()
    assert.matches("lua @ 15\n# Failure message: [^\n]*:15: sim.test: the function uses 'channel' from around it, "
      .. "a neap.Channel,", told(3))
  end)

  it("is told of what it leaves behind", function()
    assert.matches("leaves behind:\n#   task %d+ spawned at [^\n]*:20, waits for accept [^\n]*\n#   listener", told(4))
  end)

  it("is told of a deadlock at once, with the tasks of all hosts", function()
    assert.matches("a deadlock: [^\n]* waits for read at [^\n]*:28, of server\n# seed 0x1 at %+0%.", told(5))
    assert.matches('#   director: deadlock: .-"main"[^\n]* waits for read at [^\n]*:24', told(5))
    assert.matches('#   server: deadlock: .-"main"[^\n]* waits for read at [^\n]*:28', told(5))
  end)

  it("is told of its limit, with who waits", function()
    assert.matches("the limit, 10 s, is reached\n# seed 0x1 at %+10%.", told(6))
    assert.matches('#   director: these tasks wait:.-"main"[^\n]* waits for sleep at [^\n]*:31', told(6))
  end)

  it("does not touch the next one", function()
    assert.matches("\nok 8 %- d passes\n", out)
  end)

  it("is pending where it says so, and ends by what it has given to finally", function()
    assert.matches("\nok 9 %- # SKIP [^\n]*:41: not yet\n", out)
    assert.is_nil(out:find("never", 1, true))
    assert.matches("but it is tidied", out)
    assert.matches("\nnot ok 10 .*:46: early\n.*\n# printed:\n#   it came here\n", out)
  end)
end)

it("another seed is run by --sim-seed, of all simulated tests, and the first that fails is told", function()
  local out = run([[
    local sim = require "neap.sim"
    it("fails at 8", sim.test(function()
      assert.is_true(sim.seed() < 8)
    end))
  ]], "--sim-seed=7-9")
  assert.matches("\n# seed 0x8 at ", out)
end)
