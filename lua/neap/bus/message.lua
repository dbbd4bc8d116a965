--- What a subscription gives.

local check_self = require "neap.class.core".check_self
local decode = require "neap.bus.headers".decode
local error_object = require "neap.error"

local error, find, format, setmetatable, type = error, string.find, string.format, setmetatable, type
local mathtype = math.type

--- A message of a bus.
---@class neap.bus.Message
---@field subject string  what it was published to
---@field data string
---@field reply string?  where an answer is expected
---@field headers table<string, string|string[]>?  as they were published; a list where there are
--- several of a name
---@field status string?  of what NATS says itself: `"503"`
---@field description string?  what is said with the status
---@field seq integer?  of one that `Consumer:fetch` gave: its number in the stream
---@field deliveries integer?  and how often it has been delivered, with this time
---@field private bus neap.Bus
local Message = {}
Message.__index = Message
Message.__name = "neap.bus.Message"

--- Answer: publish to where an answer is expected. Where none is, nothing is done.
---
--- ```lua
--- local bus = require "neap.bus"
--- local task = require "neap.task"
---
--- local here <close> = assert(bus.open "mem:")
--- local sub = here:subscribe "add"
--- task.background(function()
---   for message in sub:messages() do
---     local a, b = message.data:match "(%d+) (%d+)"
---     message:respond(("%d"):format(a + b))
---   end
--- end)
--- print(here:request("add", "3 4").data)  --> 7
--- ```
---@async
---@param data? string  default empty
---@param opts? { headers: table<string, string|string[]>? }
---@return true? ok
---@return neap.Error? err  of `publish`
function Message:respond(data, opts)
  check_self(self, Message, "respond")
  if not self.reply then
    return true
  end
  return self.bus:publish(self.reply, data or "", opts)
end

local function answer(self, verb, text, wait)
  local reply = self.reply
  if not reply or not find(reply, "^%$JS%.ACK%.") then
    return nil, error_object.new {
      code = "EOPNOTSUPP", op = verb, message = "nobody waits for an acknowledgement of this message",
    }
  elseif wait then
    local done, err = self.bus:request(reply, text)
    return done and true, err
  end
  return self.bus:publish(reply, text)
end

--- Say that it is done: of a message that `Consumer:fetch` gave. It is not delivered again.
---
--- ```lua
--- local bus = require "neap.bus"
---
--- local here <close> = assert(bus.open "mem:")
--- local sub = here:subscribe "x"
--- here:publish "x"
--- print(select(2, sub:recv():ack()).code)  --> EOPNOTSUPP
--- ```
---@async
---@param opts? { wait: boolean? }  wait: until the server has written it down
---@return true? ok
---@return neap.Error? err  EOPNOTSUPP: it is no message of JetStream; of `publish`, `request`
function Message:ack(opts)
  check_self(self, Message, "ack")
  if opts ~= nil and type(opts) ~= "table" then
    error("bad argument #1 to 'ack' (table expected, got " .. type(opts) .. ")", 2)
  end
  return answer(self, "ack", "+ACK", opts and opts.wait)
end

--- Say that it is not done: it is delivered again, to whoever fetches.
---
--- ```lua
--- local bus = require "neap.bus"
---
--- local here <close> = assert(bus.open "mem:")
--- local sub = here:subscribe "x"
--- here:publish "x"
--- print(select(2, sub:recv():nak()).code)  --> EOPNOTSUPP
--- ```
---@async
---@param seconds? number  but not before so long
---@return true? ok
---@return neap.Error? err  as of `ack`
function Message:nak(seconds)
  check_self(self, Message, "nak")
  if seconds ~= nil and (not mathtype(seconds) or not (seconds >= 0 and seconds < 1e9)) then
    error("bad argument #1 to 'nak' (seconds from 0 expected)", 2)
  end
  return answer(self, "nak", seconds and format('-NAK {"delay": %d}', seconds * 1e9 // 1) or "-NAK")
end

--- Say that it will never be done: it is not delivered again.
---
--- ```lua
--- local bus = require "neap.bus"
---
--- local here <close> = assert(bus.open "mem:")
--- local sub = here:subscribe "x"
--- here:publish "x"
--- print(select(2, sub:recv():term()).code)  --> EOPNOTSUPP
--- ```
---@async
---@return true? ok
---@return neap.Error? err  as of `ack`
function Message:term()
  check_self(self, Message, "term")
  return answer(self, "term", "+TERM")
end

--- Say that it takes longer: the time until it is delivered again begins anew.
---
--- ```lua
--- local bus = require "neap.bus"
---
--- local here <close> = assert(bus.open "mem:")
--- local sub = here:subscribe "x"
--- here:publish "x"
--- print(select(2, sub:recv():working()).code)  --> EOPNOTSUPP
--- ```
---@async
---@return true? ok
---@return neap.Error? err  as of `ack`
function Message:working()
  check_self(self, Message, "working")
  return answer(self, "working", "+WPI")
end

local message = { Message = Message }

--- Of what has arrived; `head` is the text of its headers. nil: that is malformed.
function message.new(bus, subject, reply, head, data)
  local self = setmetatable({ bus = bus, subject = subject, reply = reply, data = data }, Message)
  if head then
    self.headers, self.status, self.description = decode(head)
    if not self.headers then
      return nil
    end
  end
  return self
end

return message
