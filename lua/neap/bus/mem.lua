--- The carrier inside of one state: a hub by name, which knows all subscriptions.
---
--- What leads elsewhere (neap.bus.workers) enters subscriptions as well, with a function
--- `forward` in place of a queue.

local client = require "neap.bus.client"
local compile = require "neap.bus.subject".compile

local find, next, setmetatable = string.find, next, setmetatable

local NOBODY = "NATS/1.0 503\r\n\r\n"

local Hub = {}
Hub.__index = Hub

local function new_hub()
  return setmetatable({ exact = {}, wild = {}, turn = 0 }, Hub)
end

--- An entry of the tables: `forward(subject, reply, head, data)` is given the message.
function Hub:add(subject, queue, forward)
  local entry = { subject = subject, queue = queue, forward = forward, pattern = compile(subject) }
  if entry.pattern then
    self.wild[#self.wild + 1] = entry
  else
    local list = self.exact[subject] or {}
    self.exact[subject] = list
    list[#list + 1] = entry
  end
  return entry
end

local function remove(list, entry)
  for i = 1, #list do
    if list[i] == entry then
      table.remove(list, i)
      return
    end
  end
end

function Hub:remove(entry)
  if entry.pattern then
    return remove(self.wild, entry)
  end
  local list = self.exact[entry.subject]
  if list then
    remove(list, entry)
    if #list == 0 then
      self.exact[entry.subject] = nil
    end
  end
end

--- Those that a subject is for, in a list: of each queue group one.
function Hub:takers(subject)
  local found, groups = {}, nil
  local function take(entry)
    local queue = entry.queue
    if not queue then
      found[#found + 1] = entry
    else
      groups = groups or {}
      local group = groups[queue] or {}
      groups[queue] = group
      group[#group + 1] = entry
    end
  end
  local list = self.exact[subject]
  for i = 1, list and #list or 0 do
    take(list[i])
  end
  for i = 1, #self.wild do
    if find(subject, self.wild[i].pattern) then
      take(self.wild[i])
    end
  end
  if groups then
    self.turn = self.turn + 1
    for _, group in next, groups do
      found[#found + 1] = group[self.turn % #group + 1]
    end
  end
  return found
end

function Hub:publish(subject, reply, head, data)
  local found = self:takers(subject)
  for i = 1, #found do
    found[i].forward(subject, reply, head, data)
  end
  if #found == 0 and reply then
    return self:publish(reply, nil, NOBODY, "")
  end
  return true
end

--- What one bus has of a hub.
local Carrier = {}
Carrier.__index = Carrier

function Carrier:publish(...)
  return self.hub:publish(...)
end

function Carrier:subscribe(one)
  local bus = self.bus
  self.entries[one] = self.hub:add(one.subject, one.queue, function(subject, reply, head, data)
    client.deliver(bus, one, subject, reply, head, data)
  end)
end

function Carrier:unsubscribe(one)
  local entry = self.entries[one]
  if entry then
    self.entries[one] = nil
    self.hub:remove(entry)
  end
end

function Carrier.flush()
  return true
end

function Carrier:close()
  for one in next, self.entries do
    self:unsubscribe(one)
  end
end

local mem = { Hub = Hub, new_hub = new_hub, Carrier = Carrier }

local hubs = setmetatable({}, { __mode = "v" })

function mem.open(bus, name)
  local hub = hubs[name] or new_hub()
  hubs[name] = hub
  bus.carrier = setmetatable({ bus = bus, hub = hub, entries = {} }, Carrier)
  return bus
end

return mem
