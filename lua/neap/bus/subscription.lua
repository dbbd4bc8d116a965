--- Subscriptions: a queue of messages between whoever delivers them and whoever takes them.

local check_self = require "neap.class.core".check_self
local task = require "neap.task"

local error, setmetatable = error, setmetatable
local yield = task.yield

--- What was subscribed to. `<close>` unsubscribes.
---
--- Its queue is bounded, by `pending` messages and by `bytes`. Where it is full, who delivers lets
--- the others run once; if that did not help, the message is dropped, `dropped` counts it, and
--- `onevent` is told `"slow"`, once until the queue was empty. So one that is slow holds up
--- nobody. With `full = "wait"` nothing is dropped: `mem:` and `worker:` let the publisher wait;
--- a connection to NATS is not read meanwhile, and nothing else that comes by it: not the
--- answers either, that whoever is to empty the queue may ask for. A server cuts it off when too
--- much waits for it. A worker that computes, so that its tasks do not run, is waited for in any
--- case, when 4096 messages are on their way to it.
---@class neap.bus.Subscription
---@field subject string
---@field queue string?
---@field dropped integer  messages, for the queue was full
---@field private count integer
---@field private bus neap.Bus
local Subscription = {}
Subscription.__index = Subscription
Subscription.__name = "neap.bus.Subscription"

local function is_full(self, size)
  local bytes = self.bytes
  return #self.channel >= self.pending or bytes > 0 and bytes + size > self.most
end

--- Say that something was dropped, once until it keeps up.
local function tell(self)
  self.dropped = self.dropped + 1
  if not self.slow then
    self.slow = true
    self.bus.tell("slow", self)
  end
end

local subscription = { Subscription = Subscription }

--- No message comes any more; those in the queue can be taken.
function subscription.finish(self, err)
  if not self.ended then
    self.ended = true
    self.channel:close(err)
    self.room:set()
  end
end

--- It gets a message. May wait.
function subscription.deliver(self, message)
  if self.ended then
    return
  elseif self.handler then
    return self.handler(message)
  end
  local size = #message.data
  if is_full(self, size) then
    yield()
    while self.full == "wait" and is_full(self, size) and not self.ended do
      self.room:clear()
      self.room:wait()
    end
    if self.ended then
      return
    elseif is_full(self, size) then
      return tell(self)
    end
  end
  local count = self.count + 1
  self.count = count
  self.bytes = self.bytes + size
  self.channel:send(message)
  if count == self.max then
    self.bus.subs[self] = nil
    self.bus.carrier:unsubscribe(self)
    subscription.finish(self)
  end
end

--- Has all of it been taken, and have those who iterate come to the end?
function subscription.is_read(self)
  return #self.channel == 0 and self.readers == 0
end

function subscription.new(bus, subject, opts)
  return setmetatable({
    bus = bus, subject = subject, queue = opts.queue, max = opts.max, handler = opts.handler,
    pending = opts.pending or 65536, most = opts.bytes or 64 << 20, full = opts.full or "drop",
    channel = task.channel(opts.pending or 65536), room = task.event(),
    count = 0, bytes = 0, dropped = 0, readers = 0, ended = false, slow = false,
  }, Subscription)
end

local function ended(err)
  if err == nil then
    return nil
  end
  return nil, err
end

local function receive(self)
  local message, err = self.channel:recv()
  if not message then
    return ended(err)
  end
  self.bytes = self.bytes - #message.data
  if self.slow and #self.channel == 0 then
    self.slow = false
  end
  if self.ended or self.full == "wait" then
    self.room:set()
  end
  return message
end

--- The next message; waits for one. nil when there will be none: behind `unsubscribe`, `drain`,
--- `max` messages, or when the bus was closed. Any number of tasks may wait, and each message
--- goes to one of them.
---
--- ```lua
--- local bus = require "neap.bus"
---
--- local here <close> = assert(bus.open "mem:")
--- local sub = here:subscribe("rooms.*", {max = 1})
--- here:publish("rooms.kitchen", "hello")
--- local message = sub:recv()
--- print(message.subject, message.data)  --> rooms.kitchen hello
--- print(sub:recv())  --> nil
--- ```
---@async
---@return neap.bus.Message? message
---@return neap.Error? err  why the bus has ended by itself; EACCES: the server does not let us
--- subscribe
function Subscription:recv()
  check_self(self, Subscription, "recv")
  return receive(self)
end

--- One who iterates is done with the last message.
local reader_meta = { __close = function(reader)
  local self = reader[1]
  self.readers = self.readers - 1
  self.room:set()
end }

local function next_message(self)
  local message, err = receive(self)
  if not message and err then
    error(err, 0)
  end
  return message
end

--- Iterate over the messages, until there will be none. An error is raised.
---
--- ```lua
--- local bus = require "neap.bus"
---
--- local here <close> = assert(bus.open "mem:")
--- local sub = here:subscribe("numbers", {max = 2})
--- here:publish("numbers", "one")
--- here:publish("numbers", "two")
--- for message in sub:messages() do
---   print(message.data)
--- end
--- --> one
--- --> two
--- ```
---@async
---@return fun(sub: neap.bus.Subscription): neap.bus.Message?
---@return neap.bus.Subscription
---@return nil
---@return table reader  tells `Bus:drain`, when it is closed, that the loop has ended
function Subscription:messages()
  check_self(self, Subscription, "messages")
  self.readers = self.readers + 1
  return next_message, self, nil, setmetatable({ self }, reader_meta)
end

--- Take no more: what is in the queue is dropped, and who waits for a message gets nil.
---
--- ```lua
--- local bus = require "neap.bus"
---
--- local here <close> = assert(bus.open "mem:")
--- local sub = here:subscribe "numbers"
--- here:publish("numbers", "one")
--- sub:unsubscribe()
--- print(sub:recv())  --> nil
--- ```
---@async
function Subscription:unsubscribe()
  check_self(self, Subscription, "unsubscribe")
  if not self.ended then
    self.bus.subs[self] = nil
    self.bus.carrier:unsubscribe(self)
  end
  subscription.finish(self)
  self.channel, self.bytes = task.channel(), 0
  self.channel:close()
end

Subscription.__close = Subscription.unsubscribe

--- Let no more come: what was published before is still delivered, and behind that `recv`
--- gives nil.
---
--- ```lua
--- local bus = require "neap.bus"
---
--- local here <close> = assert(bus.open "mem:")
--- local sub = here:subscribe "numbers"
--- here:publish("numbers", "one")
--- sub:drain()
--- here:publish("numbers", "two")
--- print(sub:recv().data, sub:recv())  --> one nil
--- ```
---@async
---@return true? ok
---@return neap.Error? err  of `Bus:flush`
function Subscription:drain()
  check_self(self, Subscription, "drain")
  if self.ended then
    return true
  end
  self.bus.carrier:unsubscribe(self, true)
  local ok, err = self.bus:flush()
  self.bus.subs[self] = nil
  self.bus.carrier:unsubscribe(self)
  subscription.finish(self)
  if ok then
    return true
  end
  return nil, err
end

return subscription
