-- While tasks compute in slices and never wait long, whoever else is due comes soon:
-- behind some slices, and not behind some hundred. They are counted, and not timed: so
-- it holds on a busy machine.

local net = require "neap.net"
local task = require "neap.task"
local time = require "neap.time"

local SLICE = 0.004

--- Each computes `slice()` after each of what it does, and ends with its scope.
local loads = {}

loads["tasks that yield"] = function(scope, slice)
  scope:spawn(function()
    while true do
      slice()
      task.yield()
    end
  end)
end

loads["tasks that sleep for no time"] = function(scope, slice)
  scope:spawn(function()
    while true do
      slice()
      task.sleep(0)
    end
  end)
end

loads["two that hand a value to and fro"] = function(scope, slice)
  local there, back = task.channel(), task.channel()
  scope:spawn(function()
    while there:send(1) do
      slice()
      back:recv()
    end
  end)
  scope:spawn(function()
    while there:recv() do
      slice()
      back:send(1)
    end
  end)
end

loads["one that empties a channel"] = function(scope, slice)
  local channel = task.channel(1000)
  for i = 1, 1000 do
    channel:send(i)
  end
  scope:spawn(function()
    for _ in channel:each() do
      slice()
    end
  end)
end

loads["one that fills a channel"] = function(scope, slice)
  local channel = task.channel(1000)
  scope:spawn(function()
    while channel:send(1) do
      slice()
    end
  end)
end

loads["one that takes a mutex again and again"] = function(scope, slice)
  local mutex = task.mutex()
  scope:spawn(function()
    while true do
      local _ <close> = mutex:lock()
      slice()
    end
  end)
end

loads["one that takes a permit again and again"] = function(scope, slice)
  local semaphore = task.semaphore(1)
  scope:spawn(function()
    while true do
      local _ <close> = semaphore:acquire()
      slice()
    end
  end)
end

loads["one that joins those that have ended"] = function(scope, slice)
  local ended = task.spawn(math.abs, 1)
  ended:join()
  scope:spawn(function()
    while ended:join() do
      slice()
    end
  end)
end

--- What both ends of a connection are kept busy with.
local function pairs_of(name, connected)
  loads["two that talk over " .. name] = function(scope, slice)
    scope:spawn(function()
      local ours, theirs = connected()
      scope:spawn(function()
        while theirs:recv() do
          slice()
          theirs:write "x"
        end
      end)
      while ours:write "x" do
        slice()
        ours:recv()
      end
    end)
  end
  loads["one that reads lines from " .. name] = function(scope, slice)
    scope:spawn(function()
      local ours, theirs = connected()
      theirs:write(("line\n"):rep(1000))
      for _ in ours:lines() do
        slice()
      end
      theirs:close()
    end)
  end
  loads["one that writes to " .. name] = function(scope, slice)
    scope:spawn(function()
      local ours, theirs = connected()
      while ours:write "x" do
        slice()
      end
      theirs:close()
    end)
  end
end

pairs_of("a socket pair", function()
  return assert(net.socketpair())
end)

pairs_of("mem:", function()
  local listener <close> = assert(net.listen "mem:fair")
  local ours = assert(net.connect "mem:fair")
  return ours, assert(listener:accept())
end)

for name, load in pairs(loads) do
  describe(("beside %s"):format(name), function()
    local slices

    local function slice()
      local stop = time.now() + SLICE
      repeat until time.now() >= stop
      slices = slices + 1
      assert(slices < 200, "nobody else has come")
    end

    --- The slices that pass while f runs, in a task of its own.
    local function beside(f)
      local passed
      slices = 0
      task.scope(function(scope)
        load(scope, slice)
        f(function()
          passed = slices
        end)
        passed = slices - (passed or 0)
        scope:cancel()
      end)
      return passed
    end

    it("a sleep ends when its time is up", function()
      local passed = beside(function(begin)
        begin()
        task.sleep(SLICE / 4)
      end)
      assert.is_true(passed <= 20, passed)
    end)

    it("what arrives is read soon", function()
      local ours, theirs = assert(net.socketpair())
      local passed = beside(function(begin)
        task.sleep(SLICE / 4)
        begin()
        theirs:write "x"
        theirs:flush()
        ours:recv()
      end)
      ours:close()
      theirs:close()
      assert.is_true(passed <= 20, passed)
    end)
  end)
end

describe("a turn that others have used up", function()
  it("leaves a task what it needs to come to its first wait", function()
    for _ = 1, 5 do
      local channel, sent = task.channel(4), 0
      local sender = task.spawn(function()
        for i = 1, 100 do
          channel:send(i)
          sent = i
        end
      end)
      local stop = os.clock() + 0.01
      repeat until os.clock() > stop
      task.yield()
      assert.equal(4, sent)
      assert.equal("waiting", sender.status)
      sender:cancel()
      sender:join()
    end
  end)
end)
