--- Tasks, scopes, and what they meet at: channels, semaphores, mutexes, events.
---
--- A task is a coroutine that the scheduler runs; whatever in it looks blocking
--- suspends only it. Ready tasks run first in, first out.
---
--- Waiting is one primitive of the core, a queue of tasks: `queue:wait()`
--- returns when `queue:wake()` chose this task, and raises when the task is
--- interrupted instead, never both. All below hand over what they guard at the
--- moment of waking, so nothing is lost or taken twice, and waiters are served
--- in their order.

local core = require "neap.task.core"

---@class neap.task
local task = {
  spawn = core.spawn,
  current = core.current,
  sleep = core.sleep,
  yield = core.yield,
  timeout = core.timeout,
  shield = core.shield,
  scope = core.scope,
}

local function check_functions(list, name)
  if type(list) ~= "table" or #list == 0 then
    error(("%s: a list of functions expected"):format(name), 3)
  end
end

--- Run functions side by side, each in a task of its own, and wait for all.
--- The first that fails cancels the others, and its error is raised.
---@param functions function[]
---@return any[] results  the first result of each, in the order of `functions`
function task.all(functions)
  check_functions(functions, "all")
  local results = { n = #functions }
  task.scope(function(scope)
    for i, f in ipairs(functions) do
      scope:spawn(function()
        results[i] = f()
      end)
    end
  end)
  return results
end

--- Run functions side by side until the first of them returns; the others are
--- cancelled. If it fails instead, its error is raised.
---@param functions function[]
---@return any ...  the results of the first to return
function task.race(functions)
  check_functions(functions, "race")
  local results
  task.scope(function(scope)
    for _, f in ipairs(functions) do
      scope:spawn(function()
        local mine = table.pack(f())
        if not results then
          results = mine
          scope:cancel()
        end
      end)
    end
  end)
  if not results then -- all were cancelled from elsewhere
    core.check "race"
    return nil
  end
  return table.unpack(results, 1, results.n)
end

--- Why a queue woke a task: what it waited for is its own now, or the thing was
--- closed.
local GIVEN, CLOSED = 1, 0

---@class neap.Channel
---@field private values table  the ring of values, from `first` on
---@field private promised integer  values that belong to woken receivers
---@field private granted integer  places that belong to woken senders
---@field closed boolean
local Channel = {}
Channel.__index = Channel
Channel.__name = "neap.Channel"

--- A queue of values between tasks. `send` suspends while it is full, `recv`
--- while it is empty. nil cannot be sent: it is what a closed channel gives.
---@param capacity? integer  values that it holds, 1 or more; default 1
---@return neap.Channel
function task.channel(capacity)
  capacity = capacity or 1
  if math.type(capacity) ~= "integer" or capacity < 1 then
    error("channel: a capacity of 1 or more expected", 2)
  end
  return setmetatable({
    capacity = capacity,
    values = {},
    first = 1,
    count = 0,
    promised = 0,
    granted = 0,
    closed = false,
    senders = core.queue "channel send",
    receivers = core.queue "channel recv",
  }, Channel)
end

--- Put a value in, and wait while there is no room for it.
---@param value any  not nil
---@return true? sent  nil when the channel is closed
function Channel:send(value)
  if value == nil then
    error("channel: nil cannot be sent", 2)
  end
  core.check "channel send"
  if self.closed then
    return nil
  end
  if self.count + self.granted >= self.capacity then
    if self.senders:wait() == CLOSED then
      return nil
    end
    self.granted = self.granted - 1
  end
  self.values[self.first + self.count] = value
  self.count = self.count + 1
  if self.receivers:wake(GIVEN) then
    self.promised = self.promised + 1
  end
  return true
end

--- The oldest value; waits for one.
---@return any? value  nil when the channel is closed and empty
function Channel:recv()
  core.check "channel recv"
  if self.count <= self.promised then
    if self.closed or self.receivers:wait() == CLOSED then
      return nil
    end
    self.promised = self.promised - 1
  end
  local first = self.first
  local value = self.values[first]
  self.values[first] = nil
  self.first = first + 1
  self.count = self.count - 1
  if self.senders:wake(GIVEN) then
    self.granted = self.granted + 1
  end
  return value
end

--- No more values go in: waiting senders and receivers get nil; what is in the
--- channel can still be received.
function Channel:close()
  self.closed = true
  self.senders:wake_all(CLOSED)
  self.receivers:wake_all(CLOSED)
end

Channel.__close = Channel.close

--- Iterate over the values, until the channel is closed and empty.
---@return fun(): any?
function Channel:each()
  return function()
    return self:recv()
  end
end

function Channel:__len()
  return self.count
end

---@class neap.Semaphore
---@field count integer  what can be acquired without waiting
local Semaphore = {}
Semaphore.__index = Semaphore
Semaphore.__name = "neap.Semaphore"

--- What acquire returns: gives back at the end of its scope.
local Permit = {}
Permit.__index = Permit
Permit.__name = "neap.Permit"

--- A bound on how many tasks do something at once.
---@param n integer  0 or more
---@return neap.Semaphore
function task.semaphore(n)
  if math.type(n) ~= "integer" or n < 0 then
    error("semaphore: a count of 0 or more expected", 2)
  end
  return setmetatable({ count = n, waiters = core.queue "semaphore" }, Semaphore)
end

--- Take one; waits, in order, while there is none.
---@return neap.Permit permit  `local permit <close> = s:acquire()` releases it
function Semaphore:acquire()
  core.check "semaphore"
  if self.count > 0 then
    self.count = self.count - 1
  else
    self.waiters:wait() -- release handed it over
  end
  return setmetatable({ semaphore = self }, Permit)
end

--- Give one back, or add one.
function Semaphore:release()
  if not self.waiters:wake(GIVEN) then
    self.count = self.count + 1
  end
end

--- Once; later calls do nothing.
function Permit:release()
  local semaphore = self.semaphore
  self.semaphore = nil
  if semaphore then
    semaphore:release()
  end
end

Permit.__close = Permit.release

---@class neap.Mutex
---@field owner neap.Task?  who holds it
local Mutex = {}
Mutex.__index = Mutex
Mutex.__name = "neap.Mutex"

--- What lock returns: unlocks at the end of its scope.
local Lock = {}
Lock.__index = Lock
Lock.__name = "neap.Lock"

--- A lock that one task holds at a time. It passes to the waiters in order.
---@return neap.Mutex
function task.mutex()
  return setmetatable({ waiters = core.queue "mutex", held = false }, Mutex)
end

--- Take it; waits while another task holds it. Raises if this task does.
---@return neap.Lock lock  `local lock <close> = m:lock()` unlocks it
function Mutex:lock()
  core.check "mutex"
  local me = core.current()
  if self.owner == me then
    error("mutex: this task holds it already", 2)
  end
  if self.held then
    self.waiters:wait() -- unlock handed it over
  end
  self.held = true
  self.owner = me
  return setmetatable({ mutex = self }, Lock)
end

--- Raises if this task does not hold it.
function Mutex:unlock()
  if self.owner ~= core.current() then
    error("mutex: this task does not hold it", 2)
  end
  self.owner = nil
  self.held = self.waiters:wake(GIVEN)
end

function Lock:__close()
  local mutex = self.mutex
  if mutex.owner == core.current() then
    mutex:unlock()
  end
end

---@class neap.Event
---@field is_set boolean
local Event = {}
Event.__index = Event
Event.__name = "neap.Event"

--- Something that happens once, until cleared; any number of tasks wait for it.
---@return neap.Event
function task.event()
  return setmetatable({ is_set = false, waiters = core.queue "event" }, Event)
end

--- It happened: all waiters go on.
function Event:set()
  self.is_set = true
  self.waiters:wake_all(GIVEN)
end

--- It has not happened yet: the next `wait` waits again.
function Event:clear()
  self.is_set = false
end

--- Return when it has happened, at once if it had already.
function Event:wait()
  core.check "event"
  if not self.is_set then
    self.waiters:wait()
  end
end

return task
