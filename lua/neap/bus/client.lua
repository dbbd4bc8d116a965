--- What a bus is to its users, whatever carries the messages. A *carrier* has `publish`,
--- `subscribe`, `unsubscribe`, `flush` and `close`; queues, requests and draining are here.

local check_self = require "neap.class.core".check_self
local crypto = require "neap.crypto"
local error_object = require "neap.error"
local headers = require "neap.bus.headers"
local message = require "neap.bus.message"
local options = require "neap.options"
local subject = require "neap.bus.subject"
local subscription = require "neap.bus.subscription"
local task = require "neap.task"
local time = require "neap.time"

local error, next, require, setmetatable, type = error, next, require, setmetatable, type
local format, gsub, sub = string.format, string.gsub, string.sub
local max, mathtype = math.max, math.type
local is_subject, is_pattern = subject.is_subject, subject.is_pattern
local encode, new_message = headers.encode, message.new
local timeout, now = task.timeout, time.now

--- Where messages go by subjects. Any number of tasks may use it at once. `<close>` closes it.
---@class neap.Bus
---@field closed boolean
---@field private carrier table
---@field private subs table<neap.bus.Subscription, true>
local Bus = {}
Bus.__index = Bus
Bus.__name = "neap.Bus"

local function failure(code, op, words)
  return error_object.new { code = code, op = op, message = words }
end

local function bad(verb, n, words)
  error(format("bad argument #%d to '%s' (%s)", n, verb, words), 4)
end

--- Check what is published, for who is called by who is to be told; the text of its headers.
local function check_message(verb, to, data, opts)
  if not is_subject(to) then
    bad(verb, 1, "a subject expected: words with dots between them, at most 1024 bytes")
  elseif type(data) ~= "string" then
    bad(verb, 2, "string expected, got " .. type(data))
  elseif opts == nil then
    return nil
  elseif type(opts) ~= "table" then
    bad(verb, 3, "a table of options expected, got " .. type(opts))
  end
  if opts.headers == nil then
    return nil
  elseif type(opts.headers) ~= "table" then
    bad(verb, 3, "option 'headers': a table expected")
  end
  local text, words = encode(opts.headers)
  return text or bad(verb, 3, words)
end

local function is_time(value)
  return mathtype(value) and value >= 0
end

local function is_closed(self, verb)
  return nil, self.failed or failure("EPIPE", verb, "the bus is closed")
end

--- Publish a message: to all who have subscribed to its subject, and of each queue group to one.
---
--- Returns when it is on its way. Messages of one task arrive in their order; while a connection
--- to NATS is lost they wait for the next one (see `bus.open`), but what was on its way when it
--- was lost may be lost, too. What must not be: `request`, and `Bus:jetstream`.
---
--- ```lua
--- local bus = require "neap.bus"
---
--- local here <close> = assert(bus.open "mem:")
--- local sub = here:subscribe "rooms.>"
--- here:publish("rooms.kitchen.light", "on", {headers = {from = "switch"}})
--- local message = sub:recv()
--- print(message.subject, message.data, message.headers.from)  --> rooms.kitchen.light on switch
--- ```
---@async
---@param to string  the subject: words with dots between them, without blanks, `*` and `>`
---@param data? string  default empty
---@param opts? neap.bus.PublishOptions
---@return true? ok
---@return neap.Error? err  EMSGSIZE: larger than the server takes; EPIPE: the bus is closed;
--- ENOBUFS: too much waits for a connection, with `full = "error"`
function Bus:publish(to, data, opts)
  check_self(self, Bus, "publish")
  if data == nil then
    data = ""
  end
  local head = check_message("publish", to, data, opts)
  local reply = opts and opts.reply or nil
  if reply and not is_subject(reply) then
    error("bad argument #3 to 'publish' (option 'reply': a subject expected)", 2)
  elseif self.closed then
    return is_closed(self, "publish")
  end
  return self.carrier:publish(to, reply, head, data)
end

---@class neap.bus.PublishOptions
---@field headers table<string, string|string[]>?  names without blanks and colons, values in a line
---@field reply string?  the subject of an answer; see `request`, which makes one

local of_subscription = {
  queue = { function(value)
    return is_subject(value)
  end, "a name without blanks" },
  max = options.size, pending = options.size, bytes = options.size, full = options.full,
}

local function subscribe(self, pattern, opts)
  local one = subscription.new(self, pattern, opts)
  if self.closed then
    subscription.finish(one, self.failed)
  else
    self.subs[one] = true
    self.carrier:subscribe(one)
  end
  return one
end

--- Subscribe to a subject, or to many by wildcards: `*` is one word, `>` at the end one or more.
---
--- Other processes, and other workers, may not know of it yet when this returns: `flush` waits
--- until they do.
---
--- ```lua
--- local bus = require "neap.bus"
---
--- local here <close> = assert(bus.open "mem:")
--- local one = here:subscribe("jobs", {queue = "workers"})
--- local other = here:subscribe("jobs", {queue = "workers"})
--- for i = 1, 100 do
---   here:publish("jobs", "job " .. i)
--- end
--- one:drain()
--- other:drain()
--- local count = 0
--- for _ in one:messages() do count = count + 1 end
--- for _ in other:messages() do count = count + 1 end
--- print(count)  --> 100
--- ```
---@async
---@param to string  the subject, or the pattern
---@param opts? neap.bus.SubscribeOptions
---@return neap.bus.Subscription
function Bus:subscribe(to, opts)
  check_self(self, Bus, "subscribe")
  if not is_pattern(to) then
    error("bad argument #1 to 'subscribe' (a subject expected: words with dots between them, `*`, `>` at the end)", 2)
  end
  return subscribe(self, to, options.check("subscribe", opts or {}, of_subscription, 2))
end

---@class neap.bus.SubscribeOptions
---@field queue string?  the queue group: of those who subscribe with the same one, each message goes to one
---@field max integer?  end behind so many messages
---@field pending integer?  messages that may wait to be taken; default 65536
---@field bytes integer?  and their bytes; default 64 MiB
---@field full "drop"|"wait"|nil  what to do at these bounds; default drop. See `Subscription`

local client = {}

--- A subject that nobody else has.
local function new_inbox()
  return "_INBOX." .. gsub(crypto.tobase64(crypto.random(16), { url = true }), "[^%w]", "x")
end

--- Answers come by one subscription, and the last word of their subject says whose they are.
local function ensure_inbox(self)
  if not self.inbox then
    self.inbox = new_inbox() .. "."
    local skip = #self.inbox + 1
    subscribe(self, self.inbox .. "*", { handler = function(answer)
      local future = self.requests[sub(answer.subject, skip)]
      if future then
        future:set(answer)
      end
    end })
  end
end

local asking_meta = { __close = function(guard)
  guard[1].requests[guard[2]] = nil
end }

local expecting_meta = { __close = function(guard)
  local one = guard[1]
  one.bus.subs[one] = nil
  one.bus.carrier:unsubscribe(one)
end }

--- Expect messages at a subject of its own, `guard.reply`, until the guard that is returned is
--- closed: each is given to `take`, in the task that delivers.
function client.expect(self, take)
  local inbox = new_inbox()
  return setmetatable({ subscribe(self, inbox, { handler = take }), reply = inbox }, expecting_meta)
end

--- Ask, and wait for the first answer.
local function ask(self, to, head, data, seconds)
  ensure_inbox(self)
  self.asked = self.asked + 1
  local future, word = task.future(), format("%d", self.asked)
  self.requests[word] = future
  local _ <close> = setmetatable({ self, word }, asking_meta)
  local ok, err = self.carrier:publish(to, self.inbox .. word, head, data)
  if not ok then
    return nil, err
  end
  local answer
  answer, err = timeout(seconds, future.wait, future)
  if not answer then
    return nil, err.op ~= "timeout" and err or failure("ETIMEDOUT", "request", format("no answer within %g s", seconds))
  elseif answer.status == "503" and answer.data == "" then
    return nil, failure("ECONNREFUSED", "request", "nobody has subscribed to " .. to)
  end
  return answer
end

--- Publish, and wait for the first answer (`Message:respond`).
---
--- ```lua
--- local bus = require "neap.bus"
--- local task = require "neap.task"
---
--- local here <close> = assert(bus.open "mem:")
--- local sub = here:subscribe "upper"
--- task.background(function()
---   for message in sub:messages() do
---     message:respond(message.data:upper())
---   end
--- end)
--- print(here:request("upper", "hello").data)  --> HELLO
--- print(here:request "lower")  --> nil request: nobody has subscribed to lower (ECONNREFUSED)
--- ```
---@async
---@param to string  the subject
---@param data? string  default empty
---@param opts? neap.bus.RequestOptions
---@return neap.bus.Message? answer
---@return neap.Error? err  ECONNREFUSED: nobody has subscribed to that; ETIMEDOUT: nobody answered
--- in time; of `publish`
function Bus:request(to, data, opts)
  check_self(self, Bus, "request")
  if data == nil then
    data = ""
  end
  local head = check_message("request", to, data, opts)
  local seconds = opts and opts.timeout or 5
  if not is_time(seconds) then
    error("bad argument #3 to 'request' (option 'timeout': seconds from 0 expected)", 2)
  elseif self.closed then
    return is_closed(self, "request")
  end
  return ask(self, to, head, data, seconds)
end

---@class neap.bus.RequestOptions
---@field headers table<string, string|string[]>?  as of `publish`
---@field timeout number?  seconds for the answer; default 5

--- Wait until what was published before has arrived at the server, or in the queues of the
--- workers, and until subscriptions are known there. Waits for a lost connection, too.
---
--- ```lua
--- local bus = require "neap.bus"
---
--- local here <close> = assert(bus.open "mem:")
--- here:subscribe "x"
--- print(here:flush())  --> true
--- ```
---@async
---@param seconds? number  at most; default 10
---@return true? ok
---@return neap.Error? err  ETIMEDOUT; EPIPE: the bus is closed
function Bus:flush(seconds)
  check_self(self, Bus, "flush")
  seconds = seconds or 10
  if not is_time(seconds) then
    error("bad argument #1 to 'flush' (seconds from 0 expected)", 2)
  elseif self.closed then
    return is_closed(self, "flush")
  end
  local ok, err = timeout(seconds, self.carrier.flush, self.carrier)
  if not ok and err.op == "timeout" then
    return nil, failure("ETIMEDOUT", "flush", format("not done within %g s", seconds))
  elseif ok then
    return true
  end
  return nil, err
end

--- It is over, for everybody; with an error where nobody has asked for that.
function client.finish(self, err)
  if self.closed then
    return
  end
  self.closed, self.failed = true, err or false
  for one in next, self.subs do
    subscription.finish(one, err)
  end
  for _, future in next, self.requests do
    future:fail(err or failure("ECANCELED", "request", "the bus was closed"))
  end
  self.subs, self.requests = {}, {}
  self.ended:set()
end

--- Wait until whoever reads them has read all of the subscriptions.
local function await_readers(list)
  for one in next, list do
    while not subscription.is_read(one) do
      one.room:clear()
      one.room:wait()
    end
  end
  return true
end

--- Close when all is done: nothing new comes by the subscriptions; what has come is waited for
--- until it is taken, and who iterates (`messages`) has come to the end; and what was published
--- has arrived.
---
--- ```lua
--- local bus = require "neap.bus"
--- local task = require "neap.task"
---
--- local here = assert(bus.open "mem:")
--- local sub = here:subscribe "numbers"
--- local reader = task.spawn(function()
---   for message in sub:messages() do
---     print(message.data)
---   end
--- end)
--- here:publish("numbers", "one")
--- print(here:drain())
--- --> one
--- --> true
--- ```
---@async
---@param seconds? number  at most; then it is closed all the same. Default 30
---@return true? ok
---@return neap.Error? err  ETIMEDOUT; EPIPE: it was closed
function Bus:drain(seconds)
  check_self(self, Bus, "drain")
  seconds = seconds or 30
  if not is_time(seconds) then
    error("bad argument #1 to 'drain' (seconds from 0 expected)", 2)
  elseif self.closed then
    return is_closed(self, "drain")
  end
  local late = now() + seconds
  local _ <close> = setmetatable({}, { __close = function()
    self:close()
  end })
  local list = {}
  for one in next, self.subs do
    if not one.handler then
      list[one] = true
      self.carrier:unsubscribe(one, true)
    end
  end
  local ok, err = self:flush(seconds)
  for one in next, list do
    self.subs[one] = nil
    self.carrier:unsubscribe(one)
    subscription.finish(one)
  end
  if ok then
    ok, err = timeout(max(late - now(), 0), await_readers, list)
  end
  if ok then
    ok, err = self:flush(max(late - now(), 0)) -- also what the last messages were answered with
  end
  if ok then
    return true
  elseif err.op == "timeout" then
    err = failure("ETIMEDOUT", "drain", "the messages are not read until the end")
  end
  return nil, err
end

--- Close at once. What was published goes out, if there is a connection; what waits in the
--- subscriptions' queues can be taken, and then they have ended. What is closed already stays
--- as it is.
---
--- ```lua
--- local bus = require "neap.bus"
---
--- local here = assert(bus.open "mem:")
--- local sub = here:subscribe "x"
--- here:publish("x", "last")
--- here:close()
--- print(sub:recv().data, sub:recv())  --> last nil
--- print(here:publish "x")  --> nil publish: the bus is closed (EPIPE)
--- ```
function Bus:close()
  check_self(self, Bus, "close")
  if not self.closed then
    client.finish(self)
    self.carrier:close()
  end
end

Bus.__close = Bus.close

--- What `publish` and its like cannot promise, of a NATS server that has it: messages that are
--- written down, each acknowledged, to whoever publishes and by whoever takes it. See
--- `neap.bus.JetStream`.
---
--- ```lua
--- local bus = require "neap.bus"
---
--- local here <close> = assert(bus.open "mem:")
--- print(here:jetstream())  --> nil jetstream: only a bus over NATS has it (EOPNOTSUPP)
--- ```
---@param opts? neap.bus.JetStreamOptions
---@return neap.bus.JetStream? jetstream
---@return neap.Error? err  EOPNOTSUPP: no NATS carries this bus
function Bus:jetstream(opts)
  check_self(self, Bus, "jetstream")
  if not self.carrier.is_nats then
    return nil, failure("EOPNOTSUPP", "jetstream", "only a bus over NATS has it")
  end
  return require "neap.bus.jetstream".new(self, opts or {})
end

client.Bus = Bus

--- A bus without a carrier, which is to be put into it. `tell(name, what)` hears what happens.
function client.new(tell)
  local self = setmetatable({
    closed = false, failed = false, subs = {}, requests = {}, asked = 0,
    inbox = false, carrier = false, tell = tell or function() end, ended = task.event(),
  }, Bus)
  return self
end

--- A message has come for a subscription; false: it is malformed. May wait.
function client.deliver(self, one, to, reply, head, data)
  local got = new_message(self, to, reply, head, data)
  if not got then
    return false
  end
  subscription.deliver(one, got)
  return true
end

return client
