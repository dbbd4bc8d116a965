--- Tasks, scopes, and what they meet at: channels, semaphores, mutexes, events.
---
--- A task is a coroutine that the scheduler runs; whatever in it looks blocking
--- suspends only it. Until it waits no other task runs, so between two waits
--- nothing changes under its hands. Ready tasks run first in, first out. Who has run
--- for one or two milliseconds lets the others come first at its next call that might
--- wait, even if it need not.
---
--- Every task belongs to a scope, which ends when its tasks have ended; the first
--- failure cancels the others. `task.scope` makes one, and the program is one. A
--- cancelled task ends by an error that its next wait raises, with the code
--- ECANCELED, so `<close>` variables run; they can still write and send what there is
--- room for. When all tasks wait for each other, that
--- is reported on stderr, and the program ends with status 1.
---
--- Waiters of a channel, semaphore, mutex or event are served in their order, and
--- what is waited for is handed over at the moment of waking: nothing is lost or
--- taken twice when a waiter is cancelled.

-- Waiting is one primitive of the core, a queue of tasks: queue:wait() returns
-- when queue:wake() chose this task, and raises when the task is interrupted
-- instead, never both.

local core = require "neap.task.core"

local error, ipairs, setmetatable, type = error, ipairs, setmetatable, type
local format, mathtype, pack, unpack = string.format, math.type, table.pack, table.unpack

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
    error(format("%s: a list of functions expected", name), 3)
  end
end

--- Run functions side by side, each in a task of its own, and wait for all.
--- The first that fails cancels the others, and its error is raised; an error object
--- has its task's `traceback`.
---
--- ```lua
--- local task = require "neap.task"
---
--- local results = task.all {
---   function()
---     task.sleep(0.002)
---     return "slow"
---   end,
---   function()
---     return "quick"
---   end,
--- }
--- print(results[1], results[2])  --> slow quick
--- ```
---@async
---@param functions (fun(): any)[]  at least one
---@return any[] results  the first result of each, in the order of `functions`; `n` is
--- their number
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
--- cancelled. If it fails instead, its error is raised; an error object has its task's
--- `traceback`.
---
--- ```lua
--- local task = require "neap.task"
---
--- print(task.race {
---   function()
---     task.sleep(10)
---   end,
---   function()
---     task.sleep(0.001)
---     return "quick", 2
---   end,
--- })  --> quick 2
--- ```
---@async
---@param functions (fun(): any)[]  at least one
---@return any ...  the results of the first to return
function task.race(functions)
  check_functions(functions, "race")
  local results
  task.scope(function(scope)
    for _, f in ipairs(functions) do
      scope:spawn(function()
        local mine = pack(f())
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
  return unpack(results, 1, results.n)
end

--- Why a queue woke a task: what it waited for is its own now, or the thing was
--- closed.
local GIVEN, CLOSED = 1, 0

--- A queue of values between tasks; `#channel` is how many it holds. It is closed
--- by `close` and by `local c <close>`.
---@class neap.Channel
---@field capacity integer
---@field closed boolean
---@field private values table  from `first` on
---@field private first integer
---@field private count integer
---@field private promised integer  values that belong to woken receivers
---@field private granted integer  places that belong to woken senders
---@field private senders userdata
---@field private receivers userdata
local Channel = {}
Channel.__index = Channel
Channel.__name = "neap.Channel"

--- A queue of values between tasks. `send` waits while it is full, `recv` while it
--- is empty. nil cannot be sent: it is what a closed channel gives.
---
--- ```lua
--- local task = require "neap.task"
---
--- local channel = task.channel(2)
--- task.spawn(function()
---   for i = 1, 3 do
---     channel:send(i)
---   end
---   channel:close()
--- end)
--- for value in channel:each() do
---   print(value)
--- end
--- --> 1
--- --> 2
--- --> 3
--- ```
---@param capacity? integer  values that it holds, 1 or more; default 1
---@return neap.Channel
function task.channel(capacity)
  capacity = capacity or 1
  if mathtype(capacity) ~= "integer" or capacity < 1 then
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

--- Put a value in; waits while there is no room for it. Raises for nil.
---
--- ```lua
--- local task = require "neap.task"
---
--- local channel = task.channel()
--- print(channel:send "value", #channel)  --> true 1
--- channel:close()
--- print(channel:send "late")  --> nil
--- ```
---@async
---@param value any  not nil
---@return true? sent  nil when the channel is closed
function Channel:send(value)
  if value == nil then
    error("channel: nil cannot be sent", 2)
  end
  core.check_put "channel send"
  if self.closed then
    return nil
  end
  if self.count + self.granted >= self.capacity then
    if self.senders:wait() == CLOSED then
      return nil
    end
    self.granted = self.granted - 1
    if self.closed then -- after it was woken: its value has no taker
      return nil
    end
  end
  self.values[self.first + self.count] = value
  self.count = self.count + 1
  if self.receivers:wake(GIVEN) then
    self.promised = self.promised + 1
  end
  return true
end

-- Is the channel closed, and all is taken that was promised? Then nobody who
-- waits for a value will get one.
---@param channel neap.Channel
local function dismiss_receivers(channel)
  if channel.closed and channel.promised == 0 then
    channel.receivers:wake_all(CLOSED)
  end
end

--- The oldest value; waits for one.
---
--- ```lua
--- local task = require "neap.task"
---
--- local channel = task.channel()
--- channel:send "value"
--- channel:close()
--- print(channel:recv(), channel:recv())  --> value nil
--- ```
---@async
---@return any? value  nil when the channel is closed and empty
function Channel:recv()
  core.check "channel recv"
  if self.count <= self.promised then
    -- What is promised may be given up yet, and is then this one's.
    if self.closed and self.promised == 0 or self.receivers:wait() == CLOSED then
      return nil
    end
    self.promised = self.promised - 1
    if core.interrupted() then -- since it was woken: the value is the next one's
      if self.receivers:wake(GIVEN) then
        self.promised = self.promised + 1
      end
      core.check "channel recv"
    end
    dismiss_receivers(self)
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
--- channel can still be received. May be called again.
---
--- ```lua
--- local task = require "neap.task"
---
--- local channel = task.channel()
--- local t = task.spawn(channel.recv, channel)
--- task.yield()
--- channel:close()
--- print(t:join(), channel.closed)  --> nil true
--- ```
function Channel:close()
  self.closed = true
  self.senders:wake_all(CLOSED)
  dismiss_receivers(self)
end

Channel.__close = Channel.close

--- Iterate over the values, until the channel is closed and empty.
---
--- ```lua
--- local task = require "neap.task"
---
--- local channel = task.channel(2)
--- channel:send "a"
--- channel:send "b"
--- channel:close()
--- for value in channel:each() do
---   print(value)
--- end
--- --> a
--- --> b
--- ```
---@async
---@return fun(): any?
function Channel:each()
  return function()
    return self:recv()
  end
end

function Channel:__len()
  return self.count
end

--- A count of what can be had at once.
---@class neap.Semaphore
---@field count integer  what can be acquired without waiting
---@field private waiters userdata
local Semaphore = {}
Semaphore.__index = Semaphore
Semaphore.__name = "neap.Semaphore"

--- What `Semaphore:acquire` returns: gives back by `release` or at the end of its
--- block, `local permit <close> = s:acquire()`.
---@class neap.Permit
---@field private semaphore neap.Semaphore?
local Permit = {}
Permit.__index = Permit
Permit.__name = "neap.Permit"

--- A bound on how many tasks do something at once.
---
--- ```lua
--- local task = require "neap.task"
---
--- local slots = task.semaphore(2)
--- local now, most = 0, 0
--- task.scope(function(s)
---   for _ = 1, 6 do
---     s:spawn(function()
---       local permit <close> = slots:acquire()
---       now = now + 1
---       most = math.max(most, now)
---       task.sleep(0.001)
---       now = now - 1
---     end)
---   end
--- end)
--- print(most)  --> 2
--- ```
---@param n integer  0 or more
---@return neap.Semaphore
function task.semaphore(n)
  if mathtype(n) ~= "integer" or n < 0 then
    error("semaphore: a count of 0 or more expected", 2)
  end
  return setmetatable({ count = n, waiters = core.queue "semaphore" }, Semaphore)
end

--- Take one; waits while there is none.
---
--- ```lua
--- local task = require "neap.task"
---
--- local slots = task.semaphore(1)
--- do
---   local permit <close> = slots:acquire()
---   print(slots.count)  --> 0
--- end
--- print(slots.count)  --> 1
--- ```
---@async
---@return neap.Permit permit
function Semaphore:acquire()
  core.check "semaphore"
  if self.count > 0 then
    self.count = self.count - 1
  else
    self.waiters:wait() -- release handed it over
    if core.interrupted() then -- since it was woken: it is the next one's
      self:release()
      core.check "semaphore"
    end
  end
  return setmetatable({ semaphore = self }, Permit)
end

--- Give one back that was not given back by its Permit, or add one.
---
--- ```lua
--- local task = require "neap.task"
---
--- local items = task.semaphore(0)
--- local t = task.spawn(items.acquire, items)
--- task.yield()
--- items:release()
--- t:join()
--- print(t.status, items.count)  --> done 0
--- ```
function Semaphore:release()
  if not self.waiters:wake(GIVEN) then
    self.count = self.count + 1
  end
end

--- Give it back before the end of the block. Later calls do nothing.
---
--- ```lua
--- local task = require "neap.task"
---
--- local slots = task.semaphore(1)
--- local permit <close> = slots:acquire()
--- permit:release()
--- print(slots.count)  --> 1
--- ```
function Permit:release()
  local semaphore = self.semaphore
  self.semaphore = nil
  if semaphore then
    semaphore:release()
  end
end

Permit.__close = Permit.release

--- A lock that one task holds at a time.
---@class neap.Mutex
---@field owner neap.Task?  who holds it
---@field private held boolean
---@field private current neap.Lock?  what the last lock returned
---@field private waiters userdata
local Mutex = {}
Mutex.__index = Mutex
Mutex.__name = "neap.Mutex"

--- What `Mutex:lock` returns: unlocks at the end of its block,
--- `local lock <close> = m:lock()`.
---@class neap.Lock
---@field private mutex neap.Mutex
local Lock = {}
Lock.__index = Lock
Lock.__name = "neap.Lock"

--- A lock that one task holds at a time, for a change that takes several waits.
---
--- ```lua
--- local task = require "neap.task"
---
--- local mutex = task.mutex()
--- local total = 0
--- local function add(n)
---   local lock <close> = mutex:lock()
---   local before = total
---   task.sleep(0.001)
---   total = before + n
--- end
--- task.all {function() add(1) end, function() add(2) end}
--- print(total)  --> 3
--- ```
---@return neap.Mutex
function task.mutex()
  return setmetatable({ waiters = core.queue "mutex", held = false }, Mutex)
end

--- Take it; waits while another task holds it. Raises if this task does.
---
--- ```lua
--- local task = require "neap.task"
---
--- local mutex = task.mutex()
--- do
---   local lock <close> = mutex:lock()
---   print(mutex.owner == task.current())  --> true
--- end
--- print(mutex.owner)  --> nil
--- ```
---@async
---@return neap.Lock lock
function Mutex:lock()
  core.check "mutex"
  local me = core.current()
  if self.owner == me then
    error("mutex: this task holds it already", 2)
  end
  if self.held then
    self.waiters:wait() -- unlock handed it over
    if core.interrupted() then -- since it was woken: it is the next one's
      self.held = self.waiters:wake(GIVEN)
      core.check "mutex"
    end
  end
  self.held = true
  self.owner = me
  self.current = setmetatable({ mutex = self }, Lock)
  return self.current
end

--- Give it to the next one before the end of the block. Raises if this task does
--- not hold it.
---
--- ```lua
--- local task = require "neap.task"
---
--- local mutex = task.mutex()
--- mutex:lock()
--- mutex:unlock()
--- print(mutex.owner)  --> nil
--- ```
function Mutex:unlock()
  if self.owner ~= core.current() then
    error("mutex: this task does not hold it", 2)
  end
  self.owner = nil
  self.held = self.waiters:wake(GIVEN)
end

function Lock:__close()
  local mutex = self.mutex
  -- Not when it was unlocked before, and perhaps locked again.
  if mutex.current == self and mutex.owner == core.current() then
    mutex:unlock()
  end
end

--- Something that happens once, until cleared.
---@class neap.Event
---@field is_set boolean
---@field private waiters userdata
local Event = {}
Event.__index = Event
Event.__name = "neap.Event"

--- Something that happens once, until cleared; any number of tasks wait for it.
---
--- ```lua
--- local task = require "neap.task"
---
--- local ready = task.event()
--- local t = task.spawn(function()
---   ready:wait()
---   return "go"
--- end)
--- ready:set()
--- print(t:join())  --> go
--- ```
---@return neap.Event
function task.event()
  return setmetatable({ is_set = false, waiters = core.queue "event" }, Event)
end

--- It happened: all waiters go on.
---
--- ```lua
--- local task = require "neap.task"
---
--- local ready = task.event()
--- ready:set()
--- print(ready.is_set)  --> true
--- ```
function Event:set()
  self.is_set = true
  self.waiters:wake_all(GIVEN)
end

--- It has not happened yet: the next `wait` waits again.
---
--- ```lua
--- local task = require "neap.task"
---
--- local ready = task.event()
--- ready:set()
--- ready:clear()
--- print(select(2, task.timeout(0.001, ready.wait, ready)).code)  --> ETIMEDOUT
--- ```
function Event:clear()
  self.is_set = false
end

--- Return when it has happened, at once if it had already.
---
--- ```lua
--- local task = require "neap.task"
---
--- local ready = task.event()
--- ready:set()
--- ready:wait()
--- print "now"  --> now
--- ```
---@async
function Event:wait()
  core.check "event"
  if not self.is_set then
    self.waiters:wait()
  end
end

return task
