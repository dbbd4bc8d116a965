-- Worlds: what their director does, and the command line. What needs a network is in the
-- specs of the simulated one.


local child = require "spec.support.child"
local folder = require "spec.support.folder"
local process = require "neap.process"
local worlds = require "neap.sim"

--- Run a world, quietly: ok or nil, its error, and what it printed.
local function run(f, options)
  options = options or {}
  options.quiet = true
  local ok, err = worlds.run(f, options)
  return ok, err, err and err.output
end

describe("a world", function()
  it("passes a year at once, and tells the time by its own clock", function()
    local began = os.time()
    assert(run(function()
      local sim = require "neap.sim"
      local task = require "neap.task"
      local wall = os.time()
      assert(os.date("!%F", wall) == "2000-01-01")
      task.sleep(365 * 24 * 3600)
      assert(sim.now() == 365 * 24 * 3600 and os.time() - wall == sim.now())
    end))
    assert.is_true(os.time() - began < 30)
  end)

  it("draws the same from the same seed, and something else from another", function()
    local function draws(seed)
      local _, _, printed = run(function()
        local sim = require "neap.sim"
        print(sim.seed(), sim.random(1000000), sim.random(5, 6) >= 5, math.random(1000000))
        os.exit(3)
      end, {seed = seed})
      return printed
    end
    local one = draws(7)
    assert.matches("^7\t%d+\ttrue\t%d+\n", one)
    assert.equal(one, draws(7))
    assert.not_equal(one:match "\t.*", draws(8):match "\t.*")
  end)

  it("calls what was asked for at its time, and again and again", function()
    local _, _, printed = run(function()
      local sim = require "neap.sim"
      sim.at(2.5, function()
        print "at"
      end)
      sim.every(1, function()
        print "every"
      end)
      require "neap.task".sleep(3.5)
      error "over"
    end)
    assert.matches("^every\nevery\nat\nevery\ndirector: .*over", printed)
  end)

  it("fails when its tasks wait for each other, and tells who", function()
    local ok, err, printed = run(function()
      require "neap.task".channel():recv()
    end)
    assert.is_nil(ok)
    assert.equal("ESIM", err.code)
    assert.matches('director: deadlock: 1 task waits, and nothing can wake it\n'
      .. '  task 1 "main"[^\n]* waits for channel recv', printed)
  end)

  it("fails when its limit is reached, and clients are left", function()
    local _, err = run(function()
      require "neap.sim".client("slow", function()
        require "neap.task".sleep(1e6)
      end)
    end, {limit = 50})
    assert.matches("^seed 0x1 at %+50%.%d+s: the limit, 50 s, is reached$", err.message)
  end)

  it("ends with its clients, whatever else goes on", function()
    assert(run(function()
      local sim = require "neap.sim"
      sim.host("server", function()
        require "neap.task".sleep(1e6)
      end)
      sim.client("client", function()
        require "neap.task".sleep(5)
      end)
    end))
  end)

  it("leaves alone what workers print meanwhile", function()
    local result = assert(process.run {child.neap, "-e", [[
      local begun, stop = worker.channel(), worker.channel()
      local printing = task.spawn(worker.run, function(begun, stop)
        local task = require "neap.task"
        local n, goes_on = 0, true
        task.spawn(function()
          stop:recv()
          goes_on = false
        end)
        begun:send(true)
        while goes_on do
          print "of the worker"
          n = n + 1
          task.sleep(0)
        end
        return n
      end, begun, stop)
      begun:recv()
      assert(require "neap.sim".run(function()
        for _ = 1, 5000 do
          print "of the world"
        end
      end, {quiet = true}))
      stop:send(true)
      print("lines", printing:join())
    ]]})
    local _, n = result.stdout:gsub("of the worker\n", "")
    assert.equal(n, tonumber(result.stdout:match "lines\t(%d+)"), result.stderr)
  end)

  it("is none inside of a world", function()
    assert(run(function()
      local ok, err = pcall(require "neap.sim".run, function() end)
      assert(not ok and err:find "no worlds in it", err)
    end))
  end)

  it("raises at the caller's line for what cannot be", function()
    local thread = coroutine.running()
    for _, case in ipairs {
      {"sim.now: only a script that `neap sim` runs", worlds.now},
      {"sim.run: a script's path or a function expected, got nil", worlds.run},
      {"sim.run: there is no option 'sed'", worlds.run, "x.lua", {sed = 1}},
      {"sim.run: seed: a whole number expected", worlds.run, "x.lua", {seed = 1.5}},
      {"sim.run: the function uses 'thread' from around it, a thread, which no simulated host has", worlds.run,
        function()
          return thread
        end},
    } do
      local _, err = pcall(load("local f, a, b = ...\nlocal r = f(a, b)\nreturn r", "=caller"),
        table.unpack(case, 2, 4))
      assert(err:find("caller:2: " .. case[1], 1, true), err)
    end
  end)
end)

describe("a director", function()
  it("is told at its line what cannot be", function()
    assert(run(function()
      local sim = require "neap.sim"
      local call = load("local f, a, b, c = ...\nlocal r = f(a, b, c)\nreturn r", "=caller")
      local function none()
      end
      for _, case in ipairs {
        {"link: latency: seconds from 0", {latency = -1}}, {"link: latency: seconds from 0", {latency = {2, 1}}},
        {"link: latency: seconds from 0", {latency = 1e300}}, {"link: jitter: seconds", {jitter = math.huge}},
        {"link: bandwidth: bytes a second, from 1", {bandwidth = 0.5}}, {"link: loss: a number from 0", {loss = 2}},
        {"link: slowness: a factor from 1", {slowness = 0}}, {"link: there is no option 'los'", {los = 1}},
        {"chaos: every: the least and the most seconds", {every = {6}}},
        {"chaos: every: the least and the most seconds", {every = {6, 3}}},
        {"chaos: every: the least and the most seconds", {every = {0, 0}}},
        {"chaos: lasts: the least and the most seconds", {lasts = {1, 1e300}}},
        {"chaos: skew: seconds from 0", {skew = -1}}, {"chaos: hosts: a list of hosts' names", {hosts = {{}}}},
        {"chaos: there is no kind 'x'", {kinds = {"x"}}}, {"chaos: there is no 'x' in a plan", {x = 1}},
        {"at: seconds from 0, below 1e9, expected, got -1", -1, none}, {"at: seconds from 0", math.huge, none},
        {"limit: seconds from 0, below 1e9, expected, got string", "x"}, {"clog: seconds", "director", nil, 1e300},
        {"always: a name expected", nil, none}, {"sometimes: a name expected", none},
        {"eventually: a name expected", 1, none}, {"client: a name expected", nil, none},
        {"partition: a host, its name, or a list of them expected, got nil"}, {"hold: a host, its name"},
        {"release: a host, its name"}, {"random: two whole numbers expected", math.mininteger, math.maxinteger},
        {"random: two whole numbers expected", 0},
      } do
        local ok, err = pcall(call, sim[case[1]:match "^%a+"], table.unpack(case, 2, 4))
        assert(not ok and err:find("caller:2: sim." .. case[1], 1, true), err)
      end
    end))
  end)
end)

describe("a host of a world", function()
  it("is a state of its own, with a name before what it prints", function()
    local _, _, printed = run(function()
      local sim = require "neap.sim"
      rawset(_G, "shared", true)
      sim.host("one", function(...)
        print(rawget(_G, "shared"), ..., os.getenv "WHO", os.getenv "HOME", arg[1])
        io.write "half"
      end, {args = {"first"}, env = {WHO = "me"}}):wait()
      error "over"
    end)
    assert.matches("^one: nil\tfirst\tme\tnil\tfirst\none: half\ndirector: ", printed)
  end)

  it("looks up an address without asking", function()
    assert(run(function()
      local net = require "neap.net"
      local sim = require "neap.sim"
      for _, text in ipairs {"0.0.0.0", "10.9.8.7", "::1"} do
        local found, err = net.resolve(text)
        assert(found and #found == 1 and tostring(found[1]) == text, err)
      end
      assert(not net.resolve("10.9.8.7", {family = "inet6"}))
      assert(sim.now() < 0.0005)
      assert(require "neap.luasocket".install().bind("*", 7000))
    end))
  end)

  it("has a log, empty input, and outputs that are streams", function()
    local _, _, printed = run(function()
      local sim = require "neap.sim"
      local host = sim.host("host", function()
        local log = require "neap.log"
        local stdio = require "neap.stdio"
        log.info "logged"
        print(stdio.stdin:read())
        stdio.stdout:write("out", "\n")
        stdio.stderr:write("err\n")
        require "neap.task".sleep(60)
        log.info "later"
      end)
      host:wait()
      error "over"
    end)
    assert.matches("^host: time=2000%-01%-01T00:00:00.000Z level=info msg=logged\nhost: nil\n"
      .. "host: out\nhost: err\nhost: time=2000%-01%-01T00:01:00.000Z level=info msg=later\ndirector: ", printed)
  end)

  it("fails the run by its status, or begins anew", function()
    local _, err = run(function()
      require "neap.sim".host("one", function()
        os.exit(7)
      end)
    end)
    assert.matches(": one has ended with status 7$", err.message)
    assert(run(function()
      local sim = require "neap.sim"
      local task = require "neap.task"
      local host = sim.host("one", function()
        require "neap.task".sleep(2)
        os.exit(7)
      end, {restart = true})
      task.sleep(2.5)
      assert(host:state() == "ended")
      task.sleep(1)
      assert(host:state() == "running")
      sim.client("end", function() end)
    end))
  end)

  it("crashes without a word, stops in order, pauses, and starts again", function()
    local _, _, printed = run(function()
      local sim = require "neap.sim"
      local task = require "neap.task"
      local host = sim.host("one", function()
        print "begun"
        local _ <close> = setmetatable({}, {__close = function()
          print "closed"
        end})
        require "neap.task".sleep(10)
        print("slept", os.time() - 946684800)
        require "neap.task".sleep(100)
      end)
      task.sleep(1)
      host:crash()
      print(host:state())
      host:restart()
      task.sleep(1)
      host:pause()
      print(host:state())
      task.sleep(20)
      host:resume()
      task.sleep(1)
      host:stop()
      print(host:state())
      error "over"
    end)
    assert.matches("^one: begun\ncrashed\none: begun\npaused\none: slept\t22\none: closed\nstopped\t%-15\n", printed)
  end)

  it("takes arguments and an environment of strings, and clocks that can be", function()
    assert(run(function()
      local sim = require "neap.sim"
      local call = load("local f, a, b, c = ...\nlocal r = f(a, b, c)\nreturn r", "=caller")
      for _, case in ipairs {
        {"args: a list of strings expected", {args = "x"}},
        {"args: a list of strings expected", {args = {1}}},
        {"args: a list of strings expected", {args = {[1] = "x", [2] = "y", [4] = "z"}}},
        {"env: strings by their names expected", {env = {"x"}}},
        {"env: strings by their names expected", {env = {[true] = "x"}}},
        {"env: strings by their names expected", {env = {X = 1}}},
        {"skew: seconds, less than 1e9", {skew = "x"}}, {"drift: parts per million, less", {drift = 1e6}},
      } do
        local ok, err = pcall(call, sim.host, "host", function() end, case[2])
        assert(not ok and err:find("caller:2: sim.host: " .. case[1], 1, true), err)
      end
      local host = sim.host("host", function() end)
      for _, case in ipairs {{"seconds", math.huge}, {"seconds", 0 / 0}, {"parts per million", 1, -1e6}} do
        local ok, err = pcall(call, host.skew, host, case[2], case[3])
        assert(not ok and err:find("caller:2: skew: " .. case[1], 1, true), err)
      end
    end))
  end)

  it("has clocks that are wrong", function()
    local _, _, printed = run(function()
      local sim = require "neap.sim"
      sim.host("fast", function()
        require "neap.task".sleep(1000)
        print(os.time() - 946684800)
      end, {skew = 50, drift = 100000}):wait()
      print(sim.now() < 910)
      error "over"
    end)
    assert.matches("^fast: 1050\ntrue\n", printed)
  end)

  it("has a wall clock that goes wrong by a century at most", function()
    local _, _, printed = run(function()
      local sim = require "neap.sim"
      local host = sim.host("late", function()
        print(os.date "%Y-%m-%d")
      end)
      for _ = 1, 20 do
        host:skew(-9e8)
      end
      host:wait()
      error "over"
    end)
    assert.matches("^late: 1900%-01%-25\n", printed)
  end)
end)

describe("the checks of a world", function()
  it("tell what does not hold any more, and when", function()
    local _, err = run(function()
      local sim = require "neap.sim"
      sim.always("it is early", function()
        return sim.now() < 5, "late"
      end)
      require "neap.task".sleep(60)
    end)
    assert.matches("at %+5%.%d+s: always: it is early: no longer: late$", err.message)
  end)

  it("wait for what must come, once the clients have ended", function()
    local function world()
      local sim = require "neap.sim"
      sim.eventually("it is late", 10, function()
        return sim.now() > 12, sim.now() // 1
      end)
      sim.client("client", function()
        require "neap.task".sleep(tonumber(arg[1]))
      end)
    end
    assert(run(world, {args = {"5"}}))
    local _, err = run(world, {args = {"1"}})
    assert.matches("at %+11%.%d+s: eventually: it is late: not within 10 s: 11%.0$", err.message)
  end)
end)

describe("neap sim", function()
  local write = folder.write

  setup(folder.make)
  teardown(folder.remove)

  local function neap_sim(...)
    return assert(process.run {child.neap, "sim", cwd = folder.path, ...})
  end

  it("runs seeds until one fails, in several processes, too, and says how to see it again", function()
    write("world.lua", [[
      local sim = require "neap.sim"
      sim.sometimes("it is odd", function() return sim.seed() % 2 == 1 end)
      sim.client("client", function()
        print("seed", sim.seed())
        assert(sim.seed() ~= 5, "five")
      end)]])
    local result = neap_sim("world.lua", "--seeds=9", "-j", "2", "--limit=60")
    assert.equal(1, result.code)
    assert.matches("seed\t5\ndirector: .*five", result.stdout)
    assert.matches("%d seeds, 1 failed\n$", result.stdout)
    assert.matches("neap: seed 0x5 at %+0%.%d+s: world%.lua:5: five\n"
      .. "neap: replay: neap sim world%.lua %-%-seed 0x5 %-%-limit 60 %-%-trace\n", result.stderr)
    assert.equal("4 seeds, 0 failed\n", neap_sim("world.lua", "--seeds=1-4").stdout)
    result = neap_sim("world.lua", "--seeds=2-2")
    assert.equal(1, result.code)
    assert.equal("neap: sometimes: it is odd: in none of the seeds\n", result.stderr)
  end)

  it("leaves out the faults that a failure does not need", function()
    write("chaos.lua", [[
      local sim = require "neap.sim"
      for i = 1, 3 do
        sim.host("n" .. i, function() require "neap.task".sleep(1e9) end, {restart = true})
      end
      local crashed = false
      sim.every(0.1, function()
        crashed = crashed or pcall(error) or false
      end)
      sim.chaos {every = {1, 2}, lasts = {3, 4}, kinds = {"pause", "crash"}}
      sim.client("client", function()
        require "neap.task".sleep(100)
      end)
      local host = sim.host("watched", function() require "neap.task".sleep(1e9) end)
      sim.always("it runs", function() return host:state() ~= "paused" end)]])
    local found = neap_sim("chaos.lua", "--shrink", "--seeds=9")
    local result = neap_sim("chaos.lua", "--shrink", "--seed=" .. found.stderr:match "seed (0x%x+)")
    assert.equal(1, found.code)
    assert.equal(found.stderr:match "[^\n]*\n[^\n]*\n(.*)", result.stderr)
    assert.matches("%d+ faults, of which these are needed: %d+:0%.%d+\n"
      .. "neap:   %d+ pause watched, for 0%.%d+ s\n", result.stderr)
    assert.matches("always: it runs: no longer\n"
      .. "neap: replay: neap sim chaos.lua %-%-seed 0x%x+ %-%-keep %d+:0%.%d+ %-%-trace\n$", result.stderr)
    local seed, keep = result.stderr:match "%-%-seed (0x%x+) %-%-keep (%S+)"
    local trace = neap_sim("chaos.lua", "--seed", seed, "--keep", keep, "--trace").stdout
    assert.matches("^%+[%d.]+s fault: " .. keep:gsub(":", " pause watched, for ") .. " s\n", trace)
  end)

  it("runs hosts and a client without a world", function()
    write("server.lua", [[print("server", ...) require "neap.task".sleep(1e6)]])
    write("client.lua", [[print("client", ...) require "neap.task".sleep(5)]])
    local result = neap_sim("--hosts=2", "server.lua", "a", "--", "client.lua", "b")
    assert.equal("", result.stderr)
    assert.equal("server1: server\ta\nserver2: server\ta\nclient: client\tb\n", result.stdout)
    assert.equal(0, result.code)
  end)

  it("tells what is wrong with its words", function()
    for _, case in ipairs {
      {"neap: sim: nosuch.lua: No such file or directory\n", "nosuch.lua"},
      {"neap: sim: %-%- and a client's script are expected behind %-%-hosts\n", "--hosts=2", "world.lua"},
      {"neap sim: %-%-keep: numbers of faults, such as 1,7:0.5, or none expected\n", "--keep=all", "world.lua"},
      {"^neap sim: [^\n]*\nusage: ", "--seeds=0", "world.lua"},
    } do
      local result = neap_sim(table.unpack(case, 2))
      assert.equal(2, result.code)
      assert.matches(case[1], result.stderr)
    end
  end)
end)
