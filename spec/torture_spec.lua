-- Tasks do anything to shared streams, at random, and are cancelled at random:
-- nothing may crash, hang, leak or be reported by a sanitizer.
--
-- A longer campaign: NEAP_TORTURE=200 neap test spec/torture_spec.lua

local host = require "neap.host"
local net = require "neap.net"
local task = require "neap.task"

local rounds = tonumber(os.getenv "NEAP_TORTURE" or 12)
local random = math.random

local function by_listener(endpoint)
  local listener <close> = assert(net.listen(endpoint))
  local accepted
  local accept = task.spawn(function()
    accepted = assert(listener:accept())
  end)
  local connected = assert(net.connect(listener.endpoint))
  accept:join()
  return connected, accepted
end

local pairs_of_streams = {
  function() return net.socketpair "mem" end,
  function() return net.socketpair() end,
  function() return by_listener "tcp://127.0.0.1:0" end,
  function() return by_listener "unix:@" end,
  function() return by_listener("mem:torture" .. random(1 << 30)) end,
}

local deeds = {
  function(s) s:recv(random(100000)) end,
  function(s) s:read "l" end,
  function(s) s:read(random(0, 100000)) end,
  function(s) s:read("n", "l") end,
  function(s) s:readuntil(("ab"):rep(random(3)), random(70000)) end,
  function(s) s:peek(random(60000)) end,
  function(s) s:unpack "s2" end,
  function(s) s:write(("x"):rep(random(0, 200))) end,
  function(s) s:write(("y\n"):rep(random(0, 100000)), "z") end,
  function(s)
    local pieces = {}
    for i = 1, random(100) do
      pieces[i] = ("q"):rep(random(0, 3000))
    end
    s:write(table.unpack(pieces))
  end,
  function(s) s:flush() end,
  function(s) s:settimeout(random() / 50 + 0.0001) end,
  function() task.sleep(random() / 100) end,
  function() task.yield() end,
  function() collectgarbage "step" end,
  function(s)
    for _ in s:chunks() do
      if random(3) == 1 then
        break
      end
    end
  end,
  function(s)
    for _ in s:lines() do
      if random(3) == 1 then
        break
      end
    end
  end,
  function(s, other) net.relay(s, other) end,
  function(s)
    local generator = coroutine.wrap(function()
      coroutine.yield(s:recv(10))
      s:write "k"
    end)
    generator()
    generator()
  end,
}

--- What ends a stream, done less often.
local ends = {
  function(s) s:shutdown() end,
  function(s) s:close() end,
  function(s) s:reset() end,
}

local function act(streams)
  for _ = 1, random(20) do
    local deed = random(30) == 1 and ends[random(#ends)] or deeds[random(#deeds)]
    local s, other = streams[random(#streams)], streams[random(#streams)]
    if random(4) == 1 then
      pcall(task.timeout, random() / 100, deed, s, other)
    else
      pcall(deed, s, other)
    end
  end
end

local function round()
  local streams, actors = {}, {}
  for _ = 1, random(3) do
    local a, b = pairs_of_streams[random(#pairs_of_streams)]()
    streams[#streams + 1] = a
    streams[#streams + 1] = b
  end
  task.timeout(0.15, task.scope, function(scope)
    for i = 1, random(2, 8) do
      actors[i] = scope:spawn(act, streams)
    end
    for _ = 1, random(0, 4) do
      task.sleep(random() / 100)
      actors[random(#actors)]:cancel()
    end
  end)
  for _, stream in ipairs(streams) do
    stream[random(2) == 1 and "close" or "reset"](stream)
  end
end

describe("anything at random", function()
  for seed = 1, 4 do
    it(("to streams shared by tasks leaves nothing behind (seed %d)"):format(seed), function()
      math.randomseed(seed)
      local before = host.stats().tasks
      for _ = 1, rounds do
        round()
      end
      assert.equal(before, host.stats().tasks)
    end)
  end
end)
