--- Tasks, scopes, and what they meet at: channels, semaphores, mutexes, events, futures.
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
--- Waiters of a channel, semaphore, mutex, event or future are served in their order, and
--- what is waited for is handed over at the moment of waking: nothing is lost or
--- taken twice when a waiter is cancelled. `task.select` waits for the first of several.

-- Waiting is one primitive of the core, a queue of tasks: queue:wait() returns
-- when queue:wake() chose this task, and raises when the task is interrupted
-- instead, never both.

local check_self = require "neap.class.core".check_self
local core = require "neap.task.core"
local error_object = require "neap.error"

local error, getmetatable, ipairs, setmetatable, type = error, getmetatable, ipairs, setmetatable, type
local select = select
local getmeta = debug.getmetatable
local format, mathtype, pack, unpack = string.format, math.type, table.pack, table.unpack

--- Where a call of `check_self` would cost too much, a field of this is asked for in place of
--- nil's: one that the object of another class has not, either.
local NOBODY = {}

---@class neap.task
local task = {
  spawn = core.spawn,
  background = core.background,
  current = core.current,
  get = core.get,
  sleep = core.sleep,
  yield = core.yield,
  timeout = core.timeout,
  idle = core.idle,
  draining = core.draining,
  shield = core.shield,
  scope = core.scope,
}

local function is_callable(f)
  local meta = type(f) ~= "function" and getmeta(f)
  return meta == false or meta and meta.__call ~= nil
end

local function check_functions(list, name)
  if type(list) ~= "table" or #list == 0 then
    error(format("%s: a list of functions expected", name), 3)
  end
  for i, f in ipairs(list) do
    if not is_callable(f) then
      error(format("%s: a list of functions expected, got %s at %d", name, type(f), i), 3)
    end
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
---@field private cause any?  what it was closed with
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

--- What it gives from now on.
---@param channel neap.Channel
local function ended(channel)
  local cause = channel.cause
  if cause == nil then
    return nil
  end
  return nil, cause
end

---@param channel neap.Channel
local function put(channel, value)
  channel.values[channel.first + channel.count] = value
  channel.count = channel.count + 1
  if channel.receivers:wake(GIVEN) then
    channel.promised = channel.promised + 1
  end
  return true
end

--- Put it in after a wait for room.
---@param channel neap.Channel
local function put_granted(channel, value, code)
  if code == CLOSED then
    return ended(channel)
  end
  channel.granted = channel.granted - 1
  if channel.closed then -- after it was woken: its value has no taker
    return ended(channel)
  end
  return put(channel, value)
end

--- Is there neither room for a value, nor an end?
---@param channel neap.Channel
local function is_full(channel)
  return not channel.closed and channel.count + channel.granted >= channel.capacity
end

local function check_value(value)
  if value == nil then
    error("channel: nil cannot be sent", 3)
  end
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
---@return any err  what it was closed with
function Channel:send(value)
  check_value(value)
  core.check_put "channel send"
  local granted = (self or NOBODY).granted
  if not granted then
    check_self(self, Channel, "send")
  elseif self.closed then
    return ended(self)
  elseif self.count + granted >= self.capacity then
    return put_granted(self, value, self.senders:wait())
  end
  return put(self, value)
end

-- The channel is closed: when all is taken that was promised, nobody who waits for a
-- value will get one.
---@param channel neap.Channel
local function dismiss_receivers(channel)
  if channel.promised == 0 then
    channel.receivers:wake_all(CLOSED)
  end
end

---@param channel neap.Channel
local function take(channel)
  local first = channel.first
  local value = channel.values[first]
  channel.values[first] = nil
  channel.first = first + 1
  channel.count = channel.count - 1
  if channel.senders:wake(GIVEN) then
    channel.granted = channel.granted + 1
  end
  return value
end

--- Take what a wait was promised.
---@param channel neap.Channel
local function take_promised(channel, code)
  if code == CLOSED then
    return ended(channel)
  end
  channel.promised = channel.promised - 1
  if core.interrupted() then -- since it was woken: the value is the next one's
    if channel.receivers:wake(GIVEN) then
      channel.promised = channel.promised + 1
    end
    core.check "channel recv"
  end
  if channel.closed then
    dismiss_receivers(channel)
  end
  return take(channel)
end

--- Will no value come any more? What is promised may be given up yet, and is then
--- somebody else's.
---@param channel neap.Channel
local function is_over(channel)
  return channel.closed and channel.promised == 0
end

--- The oldest value; waits for one.
---
--- ```lua
--- local task = require "neap.task"
---
--- local channel = task.channel()
--- channel:send "value"
--- channel:close "no more"
--- print(channel:recv())  --> value
--- print(channel:recv())  --> nil no more
--- ```
---@async
---@return any? value  nil when the channel is closed and empty
---@return any err  what it was closed with
function Channel:recv()
  core.check "channel recv"
  local promised = (self or NOBODY).promised
  if not promised then
    check_self(self, Channel, "recv")
  elseif self.count > promised then
    return take(self)
  elseif is_over(self) then
    return ended(self)
  end
  return take_promised(self, self.receivers:wait())
end

local function again(op, message)
  return error_object.new { code = "EAGAIN", op = op, message = message }
end

--- Put a value in if there is room for it now. It never waits, so it can be called
--- where nothing may.
---
--- ```lua
--- local task = require "neap.task"
---
--- local channel = task.channel(1)
--- print(channel:try_send "value")  --> true
--- print(channel:try_send "more")  --> nil channel send: the channel is full (EAGAIN)
--- ```
---@param value any  not nil
---@return true? sent
---@return any err  EAGAIN: there is no room; or what the channel was closed with
function Channel:try_send(value)
  check_self(self, Channel, "try_send")
  check_value(value)
  if self.closed then
    return ended(self)
  elseif is_full(self) then
    return nil, again("channel send", "the channel is full")
  end
  return put(self, value)
end

--- The oldest value, if there is one now. It never waits.
---
--- ```lua
--- local task = require "neap.task"
---
--- local channel = task.channel()
--- print(channel:try_recv())  --> nil channel recv: the channel is empty (EAGAIN)
--- channel:send "value"
--- print(channel:try_recv())  --> value
--- ```
---@return any? value
---@return any err  EAGAIN: there is none; or what the channel was closed with
function Channel:try_recv()
  check_self(self, Channel, "try_recv")
  if self.count > self.promised then
    return take(self)
  elseif is_over(self) then
    return ended(self)
  end
  return nil, again("channel recv", "the channel is empty")
end

--- No more values go in: waiting senders and receivers get nil; what is in the
--- channel can still be received. May be called again; the first call counts.
---
--- ```lua
--- local task = require "neap.task"
---
--- local channel = task.channel()
--- local t = task.spawn(channel.recv, channel)
--- task.yield()
--- channel:close "broken"
--- print(t:join())  --> nil broken
--- print(channel.closed)  --> true
--- ```
---@param err? any  why: what all get behind nil
function Channel:close(err)
  check_self(self, Channel, "close")
  if not self.closed then
    self.closed = true
    self.cause = err
  end
  self.senders:wake_all(CLOSED)
  dismiss_receivers(self)
end

function Channel:__close()
  self:close()
end

--- Iterate over the values, until the channel is closed and empty. Raises what it was
--- closed with.
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
  check_self(self, Channel, "each")
  return function()
    local value, err = self:recv()
    if err ~= nil then
      error(err, 0)
    end
    return value
  end
end

function Channel:__len()
  return self.count
end

--- Something that a task can wait for among others, by `task.select`. It can be used
--- again.
---@class neap.Case
---@field private of any  whose it is
---@field private queue userdata  where it waits
---@field private value any?  what is to be sent
local Case = core.Case

--- `attempt` is called with the case, and with a code if its queue has woken the task. It
--- returns false, or true and what `select` is to return.
local function case(of, queue, attempt, value)
  return setmetatable({ of = of, queue = queue, attempt = attempt, value = value }, Case)
end

local function attempt_recv(self, code)
  local channel = self.of
  if code then
    return true, take_promised(channel, code)
  elseif channel.count > channel.promised then
    return true, take(channel)
  elseif is_over(channel) then
    return true, ended(channel)
  end
  return false
end

local function attempt_send(self, code)
  local channel = self.of
  if code then
    return true, put_granted(channel, self.value, code)
  elseif channel.closed then
    return true, ended(channel)
  elseif is_full(channel) then
    return false
  end
  return true, put(channel, self.value)
end

--- What `recv` does, for `task.select`.
---
--- ```lua
--- local task = require "neap.task"
---
--- local work, stop = task.channel(), task.channel()
--- work:send "value"
--- print(task.select(stop:receiving(), work:receiving()))  --> 2 value
--- ```
---@return neap.Case
function Channel:receiving()
  local receivers = (self or NOBODY).receivers
  if not receivers then
    check_self(self, Channel, "receiving")
  end
  return case(self, receivers, attempt_recv)
end

--- What `send` does, for `task.select`. Raises for nil.
---
--- ```lua
--- local task = require "neap.task"
---
--- local full, other = task.channel(1), task.channel(1)
--- full:send "value"
--- print(task.select(full:sending "a", other:sending "b"))  --> 2 true
--- print(#full, other:recv())  --> 1 b
--- ```
---@param value any  not nil
---@return neap.Case
function Channel:sending(value)
  local senders = (self or NOBODY).senders
  if not senders then
    check_self(self, Channel, "sending")
  end
  check_value(value)
  return case(self, senders, attempt_send, value)
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
  check_self(self, Semaphore, "acquire")
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
  check_self(self, Semaphore, "release")
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
  check_self(self, Permit, "release")
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
  check_self(self, Mutex, "lock")
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
  check_self(self, Mutex, "unlock")
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
  check_self(self, Event, "set")
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
  check_self(self, Event, "clear")
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
  local is_set = (self or NOBODY).is_set
  if is_set == nil then
    check_self(self, Event, "wait")
  elseif not is_set then
    self.waiters:wait()
  end
end

local function attempt_event(self, code)
  return code ~= nil or self.of.is_set
end

--- What `wait` does, for `task.select`.
---
--- ```lua
--- local task = require "neap.task"
---
--- local work, stop = task.channel(), task.event()
--- stop:set()
--- print(task.select(work:receiving(), stop:waiting()))  --> 2
--- ```
---@return neap.Case
function Event:waiting()
  if (self or NOBODY).is_set == nil then
    check_self(self, Event, "waiting")
  end
  return case(self, self.waiters, attempt_event)
end

--- A result that is not there yet.
---@class neap.Future
---@field done boolean  it has a result, or has failed
---@field private results table?
---@field private waiters userdata
local Future = {}
Future.__index = Future
Future.__name = "neap.Future"

--- A result that is not there yet: any number of tasks wait for it, and one sets it.
--- For an answer, say, that another task reads from a connection.
---
--- ```lua
--- local task = require "neap.task"
---
--- local pending = {}
--- task.spawn(function()
---   task.sleep(0.001)
---   pending[1]:set("answer", 42)
--- end)
--- pending[1] = task.future()
--- print(pending[1]:wait())  --> answer 42
--- ```
---@return neap.Future
function task.future()
  return setmetatable({ done = false, waiters = core.queue "future" }, Future)
end

local function settle(future, name, results)
  local done = (future or NOBODY).done
  if done == nil then
    check_self(future, Future, name)
  elseif done then
    return false
  end
  future.results = results
  future.done = true
  future.waiters:wake_all(GIVEN)
  return true
end

--- Here is the result: all waiters get it, and whoever waits later.
---
--- ```lua
--- local task = require "neap.task"
---
--- local future = task.future()
--- print(future:set "first", future:set "second")  --> true false
--- print(future:wait())  --> first
--- ```
---@param ... any
---@return boolean first  false: it had a result already, or had failed, and keeps that
function Future:set(...)
  return settle(self, "set", pack(...))
end

--- There will be no result: all waiters get nil and the error.
---
--- ```lua
--- local task = require "neap.task"
---
--- local future = task.future()
--- future:fail "the connection was lost"
--- print(future:wait())  --> nil the connection was lost
--- ```
---@param err any  not nil
---@return boolean first  false: it had a result already, or had failed, and keeps that
function Future:fail(err)
  check_self(self, Future, "fail")
  if err == nil then
    error("future: an error expected, got nil", 2)
  end
  return settle(self, "fail", pack(nil, err))
end

local function results_of(future)
  return unpack(future.results, 1, future.results.n)
end

--- The result; waits for it.
---
--- ```lua
--- local task = require "neap.task"
---
--- local future = task.future()
--- print(select(2, task.timeout(0.001, future.wait, future)).code)  --> ETIMEDOUT
--- future:set(1, nil, 3)
--- print(future.done, future:wait())  --> true 1 nil 3
--- ```
---@async
---@return any ...  what it was set to; nil when it has failed
---@return any err  what it has failed with
function Future:wait()
  core.check "future"
  local done = (self or NOBODY).done
  if done == nil then
    check_self(self, Future, "wait")
  elseif not done then
    self.waiters:wait()
  end
  return results_of(self)
end

local function attempt_future(self)
  if self.of.done then
    return true, results_of(self.of)
  end
  return false
end

--- What `wait` does, for `task.select`.
---
--- ```lua
--- local task = require "neap.task"
---
--- local a, b = task.future(), task.future()
--- b:set "result"
--- print(task.select(a:waiting(), b:waiting()))  --> 2 result
--- ```
---@return neap.Case
function Future:waiting()
  if (self or NOBODY).done == nil then
    check_self(self, Future, "waiting")
  end
  return case(self, self.waiters, attempt_future)
end

-- Select: each case is tried in order, then all are waited for at once. Most know, once
-- they have woken the task, that what they are for is its own; a channel between workers
-- may have been emptied by another thread meanwhile, and then all is tried anew.

local attempt

--- What attempt number i has come to.
local function settled(cases, i, ready, ...)
  if ready then
    return i, ...
  end
  return attempt(cases, i + 1)
end

--- What the attempt of a case that was woken has come to.
local function woken(cases, i, ready, ...)
  if ready then
    return i, ...
  end
  core.check "select"
  return attempt(cases, 1)
end

function attempt(cases, i)
  local one = cases[i]
  if one then
    return settled(cases, i, one:attempt())
  end
  local code
  i, code = core.choose(cases)
  one = cases[i]
  return woken(cases, i, one:attempt(code))
end

--- Wait until one of several things can be done, and do that one: the others are left as
--- they are, with their values and their other waiters. Of those that can be done at once
--- it is the first in the order of the arguments; else the one that can be first.
---
--- A deadline is that of `task.timeout`, as for all waits; who is cancelled has done none
--- of them. A channel that is closed is ready: it gives nil.
---
--- ```lua
--- local task = require "neap.task"
---
--- local work, stop = task.channel(), task.event()
--- task.spawn(function()
---   work:send "a job"
---   task.sleep(0.001)
---   stop:set()
--- end)
---
--- repeat
---   local which, job = task.select(work:receiving(), stop:waiting())
---   print(which, job)
--- until which == 2
--- --> 1 a job
--- --> 2 nil
---
--- print(select(2, task.timeout(0.001, task.select, work:receiving())).code)  --> ETIMEDOUT
--- ```
---@async
---@param ... neap.Case  at least one: of `receiving`, `sending` and `waiting`
---@return integer which  the case that was done, from 1
---@return any ...  what its `recv`, `send` or `wait` returns
function task.select(...)
  local cases = { ... }
  local n = select("#", ...)
  for i = 1, n == 0 and 1 or n do
    if getmetatable(cases[i]) ~= Case then
      error(format("select: a case expected (channel:receiving(), event:waiting(), ...), got %s",
        type(cases[i])), 2)
    end
  end
  core.check "select"
  return attempt(cases, 1)
end

return task
