-- Messages in flight, and the rules about them.

local check_self = require "neap.class.core".check_self
local core = require "neap.sim.core"
local sched = require "neap.task.core"

local error, ipairs, require, setmetatable, type = error, ipairs, require, setmetatable, type
local format = string.format
local insert, remove, unpack = table.insert, table.remove, table.unpack

local messages = {}

--- A message that has left one host, and is on its way to another.
---@class neap.sim.Message
---@field from string  the host's name
---@field to string
---@field protocol string|integer  "udp", "icmp", "icmpv6", "tcp", or the number that IP has for it
---@field src string  addresses of IP
---@field dst string
---@field src_port integer?  of UDP and TCP
---@field dst_port integer?
---@field bytes string  what UDP, TCP or else IP carries; a rule may set them, but not those of a stream
local Message = {}
Message.__index = Message
Message.__name = "neap.sim.Message"

--- The message as a packet, from IP on, taken apart by `neap.packet`.
---
--- ```lua
--- local sim = require "neap.sim"
---
--- assert(sim.run(function()
---   local net = require "neap.net"
---   local sim = require "neap.sim"
---
---   sim.host("names", function()
---     require "neap.task".sleep(60)
---   end)
---   sim.rule(function(message)
---     print(message:packet().dns.question[1].name)  --> example.org
---   end)
---   local packet = require "neap.packet"
---   local query = packet.dns {id = 7, question = {{name = "example.org", type = "A"}}}
---   assert(net.connect "udp://names:53"):send(query:bytes())
---   require "neap.task".sleep(1)
--- end))
--- ```
---@return neap.Packet
function Message:packet()
  check_self(self, Message, "packet")
  return require "neap.packet".dissect(require "neap.sim.packets".bytes(self))
end

messages.Message = Message

-- Rules

--- A function that decides about messages.
---@class neap.sim.Rule
---@field private f fun(message: neap.sim.Message): any
---@field private streams boolean?  it is asked about segments of streams, too
local Rule = {}
Rule.__index = Rule
Rule.__name = "neap.sim.Rule"

messages.Rule = Rule

local rules = {}
local decider

--- The verdict that streams know, and messages do not; and the other way round.
local OWN = {[true] = "cut", [false] = "duplicate"}

--- What the rules say: core.decide's arguments.
local function decide(message)
  local of_stream = message.protocol == "tcp"
  for _, rule in ipairs {unpack(rules)} do
    local verdict
    if rule.streams or not of_stream then
      verdict = rule.f(message)
    end
    if type(verdict) == "number" and verdict >= 0 and verdict < 1e9 then
      return "delay", verdict
    elseif verdict == "drop" or verdict == OWN[of_stream] then
      return verdict
    elseif verdict ~= nil then
      error(format("sim.rule: of a %s a rule returns nothing, \"drop\", \"%s\" or seconds, and not %s",
        of_stream and "stream" or "message", OWN[of_stream],
        type(verdict) == "string" and format("%q", verdict)
        or type(verdict) == "number" and verdict or type(verdict)), 0)
    end
  end
  return "pass"
end

local function decide_all()
  while true do
    local message = setmetatable(core.undecided(), Message)
    local bytes = message.bytes
    local verdict, seconds = decide(message)
    if type(message.bytes) ~= "string" then
      error(format("sim.rule: a message's bytes are a string, and not %s", type(message.bytes)), 0)
    elseif message.protocol == "tcp" and message.bytes ~= bytes then
      error("sim.rule: the bytes of a stream stay as they are", 0)
    end
    core.decide(verdict, seconds, message.bytes ~= bytes and message.bytes or nil)
  end
end

--- What is to be asked about.
local function tell()
  local streams = false
  for _, rule in ipairs(rules) do
    streams = streams or rule.streams
  end
  core.rules(#rules > 0, streams)
end

function messages.rule(f, streams)
  local rule = setmetatable({f = f, streams = streams}, Rule)
  insert(rules, rule)
  tell()
  decider = decider or sched.background(decide_all)
  return rule
end

--- Do not ask it any more. Messages take their way as if it had never been.
---
--- ```lua
--- local sim = require "neap.sim"
---
--- assert(sim.run(function()
---   local sim = require "neap.sim"
---   local rule = sim.rule(function()
---     return "drop"
---   end)
---   rule:remove()
--- end))
--- ```
function Rule:remove()
  check_self(self, Rule, "remove")
  for i, rule in ipairs(rules) do
    if rule == self then
      remove(rules, i)
      break
    end
  end
  tell()
end

return messages
