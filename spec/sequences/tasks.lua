--- Sequences on channels, locks and messages.

local net = require "neap.net"
local task = require "neap.task"

local random = math.random

local tasks = {}

local function pause()
  if random(3) == 1 then
    task.sleep(random() * 0.01)
  else
    task.yield()
  end
end

local function perhaps_timed(f, ...)
  if random(4) > 1 then
    return f(...)
  end
  return task.timeout(random() * 0.005, f, ...)
end

--- Some of them are cancelled; all end.
local function run(list)
  for _ = 1, random(0, #list) do
    pause()
    list[random(#list)]:cancel()
  end
  for _, one in ipairs(list) do
    one:join()
  end
end

--- What was sent is received once, or not at all where its sender does not know.
function tasks.channel()
  local channel = task.channel(random(4))
  local sent, got = {}, {}
  local function take(value, err)
    if value then
      assert(sent[value] and not got[value], "a value twice, or one that nobody has sent")
      got[value] = true
    end
    return value or err and err.code == "ETIMEDOUT"
  end
  local senders, receivers = {}, {}
  for i = 1, random(4) do
    senders[i] = task.spawn(function()
      for k = 1, random(20) do
        local value = i * 1000 + k
        sent[value] = "open"
        if perhaps_timed(channel.send, channel, value) then
          sent[value] = "sent"
        end
        pause()
      end
    end)
    receivers[i] = task.spawn(function()
      local other = task.channel(1)
      while true do
        local value, err
        if random(3) == 1 then
          local case
          case, value, err = task.select(other:receiving(), channel:receiving())
          assert(case == 2, "an empty channel gave something")
        else
          value, err = perhaps_timed(channel.recv, channel)
        end
        if not take(value, err) then
          return
        end
      end
    end)
  end
  run(senders)
  channel:close()
  if random(2) == 1 then
    run(receivers)
  end
  while take(channel:recv()) do
    pause()
  end
  for _, one in ipairs(receivers) do
    one:join()
  end
  for value, fate in pairs(sent) do
    assert(fate == "open" or got[value], "a value is lost")
  end
end

--- Only so many are inside, and in the end nobody is.
function tasks.locks()
  local most = random(3)
  local mutex, semaphore = task.mutex(), task.semaphore(most)
  local inside, permitted, list = 0, 0, {}
  local function locked()
    local _ <close> = mutex:lock()
    inside = inside + 1
    local _ <close> = setmetatable({}, {__close = function() inside = inside - 1 end})
    assert(inside == 1, "two have the lock")
    pause()
  end
  local function permit()
    local _ <close> = semaphore:acquire()
    permitted = permitted + 1
    local _ <close> = setmetatable({}, {__close = function() permitted = permitted - 1 end})
    assert(permitted <= most, "too many have a permit")
    pause()
  end
  for i = 1, random(6) do
    list[i] = task.spawn(function()
      for _ = 1, random(8) do
        perhaps_timed(random(2) == 1 and locked or permit)
        pause()
      end
    end)
  end
  run(list)
  assert(inside == 0 and permitted == 0)
  mutex:lock():__close()
  for _ = 1, most do
    semaphore:acquire()
  end
end

--- Scopes in scopes: none of theirs lives longer than they.
function tasks.scopes()
  local living = 0
  local function grow(depth)
    living = living + 1
    local _ <close> = setmetatable({}, {__close = function() living = living - 1 end})
    if depth == 0 then
      task.sleep(random() * 0.02)
      return
    end
    perhaps_timed(task.scope, function(scope)
      for _ = 1, random(3) do
        scope:spawn(grow, depth - 1)
      end
      pause()
      if random(4) == 1 then
        scope:cancel()
      end
    end)
  end
  local list = {}
  for i = 1, random(3) do
    list[i] = task.spawn(grow, random(0, 3))
  end
  run(list)
  assert(living == 0, "tasks are left")
end

--- Messages come whole, to whom they were sent, and none that nobody has sent.
function tasks.messages()
  local a <close> = assert(net.bind "udp://127.0.0.1:0")
  local b <close> = assert(net.bind "udp://127.0.0.1:0")
  local sent = {}
  local function send()
    for i = 1, random(0, 30) do
      local text = i .. ("m"):rep(random(0, 1400))
      sent[text] = true
      if not perhaps_timed(a.send, a, text, b.endpoint) then
        return
      end
      if random(3) == 1 then
        pause()
      end
    end
  end
  local function receive()
    while true do
      local text, err = perhaps_timed(b.recv, b)
      if text then
        assert(sent[text], "a message that nobody has sent, or twice")
        sent[text] = nil
      elseif err.code ~= "ETIMEDOUT" then
        return
      end
    end
  end
  local receiving = task.spawn(receive)
  run {task.spawn(send)}
  pause()
  if random(2) == 1 then
    receiving:cancel()
  else
    b:close()
  end
  receiving:join()
end

return tasks
