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
---@field protocol string|integer  "udp", "icmp", "icmpv6", or the number that IP has for it
---@field src string  addresses of IP
---@field dst string
---@field src_port integer?  of UDP
---@field dst_port integer?
---@field bytes string  what UDP or else IP carries; a rule may set them
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
local Rule = {}
Rule.__index = Rule
Rule.__name = "neap.sim.Rule"

messages.Rule = Rule

local rules = {}
local decider

--- What the rules say: core.decide's arguments.
local function decide(message)
  for _, rule in ipairs {unpack(rules)} do
    local verdict = rule.f(message)
    if type(verdict) == "number" and verdict >= 0 and verdict < 1e9 then
      return "delay", verdict
    elseif verdict == "drop" or verdict == "duplicate" then
      return verdict
    elseif verdict ~= nil then
      error(format("sim.rule: a rule returns nothing, \"drop\", \"duplicate\" or seconds, and not %s",
        type(verdict) == "string" and format("%q", verdict) or type(verdict)), 0)
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
    end
    core.decide(verdict, seconds, message.bytes ~= bytes and message.bytes or nil)
  end
end

function messages.rule(f)
  local rule = setmetatable({f = f}, Rule)
  insert(rules, rule)
  core.rules(true)
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
  if #rules == 0 then
    core.rules(false)
  end
end

return messages
