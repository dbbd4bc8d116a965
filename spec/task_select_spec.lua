-- Futures, and the choice of one of several waits.

local task = require "neap.task"
local worker = require "neap.worker"
local child = require "spec.support.child"
local code_of = require "spec.support.code_of"
local random_of = require "spec.support.random"
local tasks = require "spec.support.tasks"

local cancelled, woken_by = tasks.cancelled, tasks.woken_by

--- Random schedules of select, and the first of their seeds: 100,000 take some ten seconds
--- in a release build.
local schedules = tonumber(os.getenv "NEAP_SCHEDULES") or child.many // 40
local first_seed = tonumber(os.getenv "NEAP_SEED") or 1

describe("task.future", function()
  it("gives its result to all who wait, and to who comes later", function()
    local future = task.future()
    local waiters = {}
    for i = 1, 3 do
      waiters[i] = task.spawn(future.wait, future)
    end
    task.yield()
    assert.is_false(future.done)
    assert.is_true(future:set("a", nil, "c"))
    assert.is_true(future.done)
    waiters[4] = future
    for i = 1, 3 do
      assert.same({"a", nil, "c", n = 3}, table.pack(waiters[i]:join()))
    end
    assert.same({"a", nil, "c", n = 3}, table.pack(future:wait()))
  end)

  it("can be set to nothing", function()
    local future = task.future()
    assert.is_true(future:set())
    assert.equal(0, select("#", future:wait()))
    assert.same({1}, {task.select(future:waiting())})
  end)

  it("fails with any value but nil", function()
    for _, err in ipairs {"text", false, {}, 7} do
      local future = task.future()
      assert.is_true(future:fail(err))
      assert.same({nil, err, n = 2}, table.pack(future:wait()))
    end
    local future = task.future()
    assert.has_error(function() future:fail() end, "future: an error expected, got nil")
    assert.is_false(future.done)
  end)

  it("is set or fails once", function()
    local set, failed = task.future(), task.future()
    set:set "first"
    failed:fail "first"
    for _, future in ipairs {set, failed} do
      assert.is_false(future:set "second")
      assert.is_false(future:fail "third")
    end
    assert.equal("first", set:wait())
    assert.same({nil, "first", n = 2}, table.pack(failed:wait()))
  end)

  it("whose waiter is cancelled still gives its result to the others", function()
    local future = task.future()
    local other = task.spawn(future.wait, future)
    assert.equal("ECANCELED", code_of(cancelled(future.wait, future)))
    future:set "result"
    assert.equal("result", other:join())
  end)

  it("that nobody sets is told of as a deadlock", function()
    local result = child.run "task.future():wait()"
    assert.matches("waits for future", result.stderr)
    assert.equal(1, result.code)
  end)
end)

describe("task.select", function()
  local channel, event, future
  before_each(function()
    channel, event, future = task.channel(), task.event(), task.future()
  end)

  local function all()
    return channel:receiving(), event:waiting(), future:waiting()
  end

  it("takes the first that is ready, in the order of its arguments", function()
    future:set("a", "b")
    assert.same({3, "a", "b"}, {task.select(all())})
    event:set()
    assert.same({2}, {task.select(all())})
    channel:send "value"
    assert.same({1, "value"}, {task.select(all())})
    assert.same({2}, {task.select(all())})
  end)

  it("else waits for the first to be so", function()
    assert.same({1, "value"}, {woken_by(function() channel:send "value" end, function()
      return task.select(all())
    end)})
    assert.same({2}, {woken_by(function() event:set() end, function()
      return task.select(all())
    end)})
    event:clear()
    assert.same({3, "result"}, {woken_by(function() future:set "result" end, function()
      return task.select(all())
    end)})
  end)

  it("does one of what becomes ready at once, and leaves the others as they are", function()
    local other = task.channel()
    local t = task.spawn(task.select, channel:receiving(), other:receiving())
    task.yield()
    other:send "other"
    channel:send "value"
    assert.same({2, "other"}, {t:join()})
    assert.same({1, 0}, {#channel, #other})
    assert.equal("value", channel:recv())
  end)

  it("sends to the first that has room", function()
    local other = task.channel()
    channel:send "full"
    other:send "full"
    local t = task.spawn(task.select, channel:sending "a", other:sending "b")
    task.yield()
    assert.equal("waiting", t.status)
    assert.equal("full", other:recv())
    assert.equal("full", channel:recv())
    assert.same({2, true}, {t:join()})
    assert.same({0, "b"}, {#channel, (other:recv())})
    assert.has_error(function() channel:sending(nil) end, "channel: nil cannot be sent")
  end)

  it("waits in each queue at its place among the others", function()
    local order = {}
    local function note(name, f, ...)
      return task.spawn(function(...)
        local value = select(-1, f(...))
        order[#order + 1] = name .. " " .. value
      end, ...)
    end
    note("first", channel.recv, channel)
    task.yield()
    note("second", task.select, event:waiting(), channel:receiving())
    task.yield()
    note("third", channel.recv, channel)
    task.yield()
    for i = 1, 3 do
      channel:send(i)
    end
    tasks.await(function() return #order == 3 end)
    assert.same({"first 1", "second 2", "third 3"}, order)
  end)

  it("finds a closed channel ready, with what it was closed with", function()
    channel:close "over"
    assert.same({1, nil, "over"}, {task.select(channel:receiving())})
    assert.same({1, nil, "over"}, {task.select(channel:sending "value")})
    local other = task.channel()
    assert.same({2, nil, "late"}, {woken_by(function() other:close "late" end, function()
      return task.select(event:waiting(), other:receiving())
    end)})
    local full = task.channel()
    full:send "full"
    assert.same({2, nil, "full"}, {woken_by(function() full:close "full" end, function()
      return task.select(event:waiting(), full:sending "value")
    end)})
  end)

  it("can wait in one queue twice, and use a case again", function()
    local case = channel:receiving()
    for i = 1, 3 do
      local t = task.spawn(task.select, case, event:waiting(), case)
      task.yield()
      channel:send(i)
      assert.same({1, i}, {t:join()})
    end
    assert.equal(0, #channel)
    local many = {}
    for i = 1, 500 do
      many[i] = case
    end
    local t = task.spawn(task.select, table.unpack(many))
    task.yield()
    channel:send "value"
    assert.same({1, "value"}, {t:join()})
  end)

  it("has its deadline by task.timeout, and takes what is there by then", function()
    assert.equal("ETIMEDOUT", code_of(task.timeout(0.001, task.select, all())))
    assert.equal("ETIMEDOUT", code_of(task.timeout(0, task.select, all())))
    channel:send "value"
    assert.same({1, "value"}, {task.timeout(10, task.select, all())})
  end)

  it("leaves no waiter behind, however it ends", function()
    for _ = 1, 3 do
      assert.equal("ECANCELED", code_of(cancelled(function() return task.select(all()) end)))
      assert.equal("ETIMEDOUT", code_of(task.timeout(0, task.select, all())))
    end
    local receiver = task.spawn(channel.recv, channel)
    task.yield()
    channel:send "value"
    assert.equal("value", receiver:join())
  end)

  it("hands on what it was promised when it is cancelled then", function()
    local other = task.channel()
    local t = task.spawn(task.select, channel:receiving(), other:receiving())
    local next_one = task.spawn(channel.recv, channel)
    task.yield()
    channel:send "value"
    t:cancel()
    assert.equal("ECANCELED", code_of(t:join()))
    assert.equal("value", next_one:join())
  end)

  it("works in a coroutine of the script's", function()
    local t = task.spawn(coroutine.wrap(function()
      return task.select(all())
    end))
    task.yield()
    event:set()
    assert.same({2}, {t:join()})
  end)

  it("is shown as what the task waits for, and told of as a deadlock", function()
    local result = child.run [[task.select(task.channel():receiving(), task.event():waiting())]]
    assert.matches("waits for select", result.stderr)
    assert.equal(1, result.code)
  end)

  it("wants cases", function()
    local expected = "^select: a case expected %(channel:receiving%(%), event:waiting%(%), ...%), got "
    for _, values in ipairs {{n = 0}, {n = 1}, {channel, n = 1}, {event:waiting(), nil, n = 2},
      {event:waiting(), "case", n = 2}} do
      local ok, err = pcall(task.select, table.unpack(values, 1, values.n))
      assert.is_false(ok)
      assert.matches(expected, err)
    end
  end)

  it("holds what it waits in, whatever a script does to its cases", function()
    local case = channel:receiving()
    local t = task.spawn(task.select, case, event:waiting())
    task.yield()
    case.queue = nil
    channel.receivers = nil
    collectgarbage()
    collectgarbage()
    event:set()
    assert.same({2}, {t:join()})
    for _, value in ipairs {false, 7, {}, io.stdout} do
      case.queue = value
      assert.is_false((pcall(task.select, case)))
    end
  end)
end)

describe("task.select among channels of workers", function()
  local a, b
  before_each(function()
    a, b = worker.channel(nil, 1), worker.channel(nil, 1)
  end)
  after_each(function()
    a, b = nil, nil
  end)

  it("takes from one, and leaves the other", function()
    b:send "b"
    assert.same({2, "b"}, {task.select(a:receiving(), b:receiving())})
    assert.same({2, "late"}, {woken_by(function() b:send "late" end, function()
      return task.select(a:receiving(), b:receiving())
    end)})
    a:send "a"
    b:send "b"
    assert.same({1, "a"}, {task.select(a:receiving(), b:receiving())})
    assert.equal(1, #b)
  end)

  it("sends to one, a copy that is made once", function()
    a:send "full"
    local value = {"then"}
    local case = b:sending(value)
    value[1] = "now"
    assert.same({2, true}, {task.select(a:sending "a", case)})
    assert.same({"then"}, b:recv())
    assert.same({1, true}, {task.select(case)})
    assert.same({"now"}, b:recv())
    assert.equal("full", a:recv())
    assert.is_false((pcall(a.sending, a, print)))
    assert.is_false((pcall(a.sending, a)))
  end)

  it("mixes with what a thread has for itself", function()
    local channel, event = task.channel(), task.event()
    local function wait()
      return task.select(event:waiting(), a:receiving(), channel:receiving())
    end
    assert.same({2, "a"}, {woken_by(function() a:send "a" end, wait)})
    assert.same({3, "channel"}, {woken_by(function() channel:send "channel" end, wait)})
    assert.same({1}, {woken_by(function() event:set() end, wait)})
    a:send "late"
    assert.equal("late", a:recv())
  end)

  it("hands on what it was called for", function()
    local t = task.spawn(task.select, a:receiving(), b:receiving())
    local next_one = task.spawn(a.recv, a)
    task.yield()
    a:send "value"
    t:cancel()
    t:join()
    assert.equal("value", (task.timeout(20, next_one.join, next_one)))
  end)

  it("is woken from another thread", function()
    local jobs, stop = worker.channel(), worker.channel()
    local w = task.spawn(worker.run, function(numbers, last)
      local choose = require "neap.task".select
      local sum = 0
      while true do
        local which, value = choose(numbers:receiving(), last:receiving())
        if which == 2 then
          return sum
        end
        sum = sum + value
      end
    end, jobs, stop)
    for i = 1, 100 do
      jobs:send(i)
    end
    while #jobs > 0 do
      task.sleep(0.001)
    end
    stop:send(true)
    assert.equal(5050, w:join())
  end)
end)

-- Some channels, and tasks that send to them and receive of them, alone and by select, that
-- are cancelled and late at random. Who sent a value knows it, and it is then received, or
-- still there; what was not sent is nowhere.

--- Nobody waits for what is there.
local function check(channel, seed)
  assert.is_true(#channel <= channel.capacity, seed)
  if channel.receivers then
    assert.is_true(channel.count <= channel.promised or channel.receivers:idle(), seed)
    assert.is_true(channel.closed or channel.count + channel.granted >= channel.capacity
      or channel.senders:idle(), seed)
  end
end

--- One schedule. The values that were sent and received, as keys.
local function run_schedule(seed)
  local random = random_of(seed)
  local channels, sent, got, serial = {}, {}, {}, 0
  for i = 1, 2 + random(3) do
    channels[i] = random(4) == 0 and worker.channel(nil, 1 + random(2)) or task.channel(1 + random(2))
  end
  local stop, finish = task.event(), task.future()
  local function any()
    return channels[1 + random(#channels)]
  end
  local function note(list, value)
    assert.is_nil(list[value], seed)
    list[value] = true
  end
  local function new()
    serial = serial + 1
    return serial
  end
  local function note_sent(value, is)
    if is then
      note(sent, value)
    end
  end
  local function note_got(value)
    if value then
      note(got, value)
    end
  end

  local acts = {
    function()
      local value = new()
      note_sent(value, any():send(value))
    end,
    function() note_got(any():recv()) end,
    function()
      local value = new()
      note_sent(value, any():try_send(value))
    end,
    function() note_got((any():try_recv())) end,
    function()
      local cases, values = {}, {}
      for i = 1, 1 + random(4) do
        if random(2) == 0 then
          values[i] = new()
          cases[i] = any():sending(values[i])
        else
          cases[i] = any():receiving()
        end
      end
      if random(3) == 0 then
        cases[#cases + 1] = random(2) == 0 and stop:waiting() or finish:waiting()
      end
      local i, value = task.select(table.unpack(cases))
      if values[i] then
        note_sent(values[i], value)
      elseif i <= #cases then
        note_got(value)
      end
    end,
  }
  acts[6], acts[7] = acts[5], acts[5]

  local function act(steps)
    for _ = 1, steps do
      local f = acts[1 + random(#acts)]
      if random(5) == 0 then
        task.timeout(random(3) * 1e-5, f)
      else
        f()
      end
      for _, channel in ipairs(channels) do
        check(channel, seed)
      end
    end
  end

  task.scope(function(s)
    local actors = {}
    for i = 1, 3 + random(4) do
      actors[i] = s:spawn(act, 1 + random(6))
    end
    for _ = 1, 2 + random(6) do
      task.yield()
      local victim = actors[1 + random(#actors)]
      if random(2) == 0 then
        victim:cancel()
      end
    end
    if random(2) == 0 then
      stop:set()
    end
    if random(2) == 0 then
      finish:set()
    end
    if random(3) == 0 then
      any():close()
    end
    task.yield()
    for _, actor in ipairs(actors) do
      actor:cancel()
    end
  end)
  for _, channel in ipairs(channels) do
    channel:close()
    for value in channel:each() do
      note(got, value)
    end
  end
  return sent, got
end

describe("select in random schedules", function()
  it("loses no value, and doubles none", function()
    for seed = first_seed, first_seed + schedules - 1 do
      local sent, got = run_schedule(seed)
      for value in pairs(got) do
        assert.is_true(sent[value], ("seed %d: %d was received, and not sent"):format(seed, value))
      end
      for value in pairs(sent) do
        assert.is_true(got[value], ("seed %d: %d was lost"):format(seed, value))
      end
    end
  end)
end)
