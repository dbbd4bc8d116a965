-- neap.bus: the same of each carrier, and what only one of them has.

local bus = require "neap.bus"
local folder = require "spec.support.folder"
local nats = require "spec.support.nats"
local net = require "neap.net"
local task = require "neap.task"

local neap = require "spec.support.child".neap
local process = require "neap.process"

--- What is to hold whatever carries the messages; `open(opts)` is a bus of the same place.
local function holds(open)
  local here, there

  before_each(function()
    here, there = open(), open()
  end)

  after_each(function()
    here:close()
    there:close()
    here, there = nil, nil
  end)

  it("gives a message to all who have subscribed, with its headers", function()
    local one, two = here:subscribe "a.b", there:subscribe "a.*"
    local all, none = there:subscribe "a.>", here:subscribe "a.*.c"
    assert(here:flush() and there:flush())
    assert(here:publish("a.b", "x\0\r\n", {headers = {One = "1", Two = {"2", "3"}}, reply = "answers"}))
    for _, sub in ipairs {one, two, all} do
      local message = sub:recv()
      assert.same({"a.b", "x\0\r\n", "answers"}, {message.subject, message.data, message.reply})
      assert.same({One = "1", Two = {"2", "3"}}, message.headers)
    end
    assert(there:publish "a.b.c")
    assert.equal("", none:recv().data)
    assert.equal("a.b.c", all:recv().subject)
    one:unsubscribe()
    assert.is_nil(one:recv())
  end)

  it("gives it to one of each queue group", function()
    local subs = {}
    for i = 1, 4 do
      subs[i] = (i % 2 == 0 and here or there):subscribe("jobs", {queue = i < 3 and "a" or "b"})
    end
    assert(here:flush() and there:flush())
    for i = 1, 100 do
      assert(here:publish("jobs", tostring(i)))
    end
    assert(here:flush())
    local counts = {}
    for i, sub in ipairs(subs) do
      assert(sub:drain())
      counts[i] = 0
      for _ in sub:messages() do
        counts[i] = counts[i] + 1
      end
    end
    assert.same({100, 100}, {counts[1] + counts[2], counts[3] + counts[4]})
  end)

  it("asks and answers, and tells that nobody answers", function()
    local sub = there:subscribe "up"
    local silent = there:subscribe "silent"
    assert(there:flush())
    local server = task.spawn(function()
      for message in sub:messages() do
        assert(message:respond(message.data:upper(), {headers = {by = "me"}}))
      end
    end)
    local results = task.all {
      function() return here:request("up", "a").data end,
      function() return here:request("up", "b").data end,
      function() return there:request("up", "c").headers.by end,
    }
    assert.same({"A", "B", "me", n = 3}, results)
    assert.equal("ECONNREFUSED", select(2, here:request "nobody").code)
    assert.equal("ETIMEDOUT", select(2, here:request("silent", "", {timeout = 0.01})).code)
    assert.equal("", silent:recv().data)
    sub:unsubscribe()
    server:join()
  end)

  it("keeps the order of a task's messages", function()
    local sub = there:subscribe("n", {max = 500})
    assert(there:flush())
    for i = 1, 510 do
      assert(here:publish("n", tostring(i)))
    end
    local i = 0
    for message in sub:messages() do
      i = i + 1
      assert.equal(tostring(i), message.data)
    end
    assert.equal(500, i)
  end)

  it("drops what a slow subscriber has no room for, and tells once", function()
    local told = {}
    local slow <close> = open {onevent = function(name, what)
      told[#told + 1] = {name, what}
    end}
    local sub = slow:subscribe("n", {pending = 3})
    local behind = slow:subscribe "behind"
    assert(slow:flush())
    for i = 1, 10 do
      assert(here:publish("n", tostring(i)))
    end
    here:publish "behind"
    behind:recv()
    assert.same({"1", "2", "3", 7}, {sub:recv().data, sub:recv().data, sub:recv().data, sub.dropped})
    assert.same({{"slow", sub}}, told)
    assert(here:publish("n", "more"))
    assert.equal("more", sub:recv().data)
    local few = slow:subscribe("bytes", {bytes = 5})
    assert(slow:flush())
    for i = 1, 10 do
      assert(here:publish("bytes", ("%03d"):format(i)))
    end
    here:publish "behind"
    behind:recv()
    assert.same({"001", 9}, {few:recv().data, few.dropped})
  end)

  it("waits for a slow one that asks for it", function()
    local sub = there:subscribe("n", {pending = 2, full = "wait", max = 100})
    assert(there:flush())
    local publisher = task.spawn(function()
      for i = 1, 100 do
        assert(here:publish("n", tostring(i)))
      end
    end)
    local i = 0
    for message in sub:messages() do
      i = i + 1
      assert.equal(tostring(i), message.data)
      task.yield()
    end
    assert.same({100, 0}, {i, sub.dropped})
    publisher:join()
  end)

  it("drains: what has come is taken, and its answers go out", function()
    local sub, answers = there:subscribe "n", here:subscribe "answers"
    assert(there:flush() and here:flush())
    for i = 1, 20 do
      assert(here:publish("n", tostring(i), {reply = "answers"}))
    end
    assert(here:flush())
    local worker = task.spawn(function()
      for message in sub:messages() do
        task.yield()
        assert(message:respond(message.data))
      end
    end)
    assert(there:drain())
    worker:join()
    assert(answers:drain())
    local count = 0
    for _ in answers:messages() do
      count = count + 1
    end
    assert.equal(20, count)
    assert.equal("EPIPE", select(2, there:publish "n").code)
    assert.equal("EPIPE", select(2, there:drain()).code)
  end)

  it("does not drain for ever", function()
    local sub = there:subscribe "n"
    assert(there:flush())
    there:publish "n"
    local ok, err = there:drain(0.2)
    assert.same({nil, "ETIMEDOUT", true}, {ok, err.code, there.closed})
    assert.equal("n", sub:recv().subject)
  end)

  it("ends what waits when it is closed", function()
    local sub = here:subscribe "n"
    there:subscribe "silent"
    assert(there:flush())
    local reader = task.spawn(sub.recv, sub)
    local asker = task.spawn(here.request, here, "silent")
    task.yield()
    here:close()
    here:close()
    assert.is_nil(reader:join())
    assert.equal("ECANCELED", select(2, asker:join()).code)
    assert.is_nil(here:subscribe "n":recv())
  end)
end

describe("a bus in one state", function()
  holds(function(opts)
    return assert(bus.open("mem:spec", opts))
  end)

  it("knows others by the name only", function()
    local here <close> = assert(bus.open "mem:one")
    local there <close> = assert(bus.open "mem:other")
    local sub = there:subscribe "x"
    here:publish "x"
    there:publish("x", "mine")
    assert.equal("mine", sub:recv().data)
  end)
end)

describe("a bus of workers", function()
  holds(function(opts)
    return assert(bus.open("worker:spec", opts))
  end)
end)

describe("workers with a bus", function()
  before_each(folder.make)
  after_each(folder.remove)

  it("reach each other, and forget one that has ended", function()
    local script = folder.write("script.lua", [[
      local bus = require "neap.bus"
      local task = require "neap.task"
      local worker = require "neap.worker"

      local here <close> = assert(bus.open "worker:x")
      local jobs = here:subscribe("jobs", {queue = "workers"})
      local stop, fail = here:subscribe "stop", worker.id == 3 and here:subscribe "fail"
      task.background(function()
        for message in jobs:messages() do
          message:respond(tostring(worker.id))
        end
      end)
      if fail then
        fail:recv()
        os.exit(0)
      elseif worker.id == 2 then
        stop:recv()
        return
      end

      --- Who answers, of all, in many tries.
      local function known()
        local found = {none = false}
        for _ = 1, 30 do
          local answer = here:request("jobs", "", {timeout = 0.05})
          found[answer and answer.data or "none"] = true
        end
        return found
      end
      local who
      repeat
        who = known()
      until who["1"] and who["2"] and who["3"]
      here:publish "fail"
      repeat
        who = known()
      until who["1"] and who["2"] and not who["3"] and not who.none
      here:publish "stop"
      print "done"
    ]])
    local result = assert(process.run {neap, "-w", "3", script, stderr = "stdout"})
    assert.same({0, "done\n"}, {result.code, result.stdout})
  end)
end)

describe("a bus over NATS", function()
  if not nats.installed then
    it("is as the others are", nats.need)
    return
  end

  local server

  lazy_setup(function()
    folder.make()
    server = nats.start()
  end)

  lazy_teardown(function()
    server:close()
    folder.remove()
  end)

  holds(function(opts)
    return assert(bus.open(server.url, opts))
  end)
end)

describe("what is wrong", function()
  it("raises where it is called", function()
    local here <close> = assert(bus.open "mem:wrong")
    local function raises(words, f, ...)
      local ok, err = pcall(f, ...)
      assert.is_false(ok)
      assert(err:find("bus_spec.lua", 1, true) and err:find(words, 1, true), err)
    end
    for _, name in ipairs {"", "a b", "a..b", ".a", "a.", "a.*", ">", "a\r\n", ("x"):rep(2000)} do
      raises("a subject expected", function() return (here:publish(name)) end)
      raises("a subject expected", function() return (here:request(name)) end)
    end
    for _, name in ipairs {"", "a*", "a.>.b", "a b", "a.", "x>"} do
      raises("a subject expected", function() return (here:subscribe(name)) end)
    end
    raises("string expected", function() return (here:publish("a", 1)) end)
    raises("option 'headers'", function() return (here:publish("a", "", {headers = 1})) end)
    raises("names without", function() return (here:publish("a", "", {headers = {["a b"] = "1"}})) end)
    raises("one line", function() return (here:publish("a", "", {headers = {a = "1\r\n2"}})) end)
    raises("option 'reply'", function() return (here:publish("a", "", {reply = "a.*"})) end)
    raises("option 'pending'", function() return (here:subscribe("a", {pending = 0})) end)
    raises("unknown option 'x'", function() return (here:subscribe("a", {x = 0})) end)
    raises("option 'timeout'", function() return (here:request("a", "", {timeout = 0 / 0})) end)
    raises("seconds", function() return (here:flush "x") end)
    raises("seconds", function() return (here:drain(-1)) end)
    raises("unknown option", function() return (bus.open("mem:", {x = 1})) end)
    raises("option 'ping'", function() return (bus.open("mem:", {ping = 0})) end)
    raises("string expected", function() return (bus.open(1)) end)
  end)

  it("is told of endpoints", function()
    for _, text in ipairs {"", "mem", "http://x", "nats://", "nats://a b", "nats://host:99999", "nats://h,http://x"} do
      assert.equal("EBADMSG", select(2, bus.open(text)).code, text)
    end
    local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
    task.spawn(function()
      local stream <close> = listener:accept()
      stream:write "220 hello\r\n"
    end)
    local _, err = bus.open("nats://127.0.0.1:" .. listener.port)
    assert.equal("EPROTO", err.code)
    assert.equal("ETIMEDOUT", select(2, bus.open("nats://127.0.0.1:" .. listener.port, {timeout = 0.05})).code)
  end)
end)
