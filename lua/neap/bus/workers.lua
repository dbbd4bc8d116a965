--- The carrier between workers: a hub in each state (neap.bus.mem), and channels between them.
---
--- Who takes part, and what each has subscribed to, stands in a table that lies in a named
--- channel, and belongs to whoever has filled another one, the lock. Behind a change each other
--- *member* is poked, reads the table, and enters into its own hub what the others have, as
--- entries that forward to their inboxes. Subscribing waits for none of that, so many changes are
--- one; `flush` does, and for the answers of all.

local client = require "neap.bus.client"
local crypto = require "neap.crypto"
local error_object = require "neap.error"
local mem = require "neap.bus.mem"
local task = require "neap.task"
local worker = require "neap.worker"

local find, next, setmetatable = string.find, next, setmetatable
local background, current, event, future = task.background, task.current, task.event, task.future
local select, shield = task.select, task.shield
local channel = worker.channel

local INBOX = 4096 -- messages that wait for a member

--- What a state has of a place: its hub, and what it knows of the others.
local Member = {}
Member.__index = Member

local members = setmetatable({}, { __mode = "v" })

local function poke_others(self, all)
  for id, other in next, all do
    if id ~= self.id then
      other.poke:try_send(true)
    end
  end
end

--- Change the table that all share, or read it: f(table) says whether it was changed.
local function with_table(self, f)
  return shield(function()
    local lock, place = self.lock, self.place
    lock:send(true)
    local all = place:try_recv() or {}
    local changed = f(all)
    if next(all) then
      place:send(all)
    end
    lock:recv()
    if changed then
      poke_others(self, all)
    end
  end)
end

--- One that does not answer any more: its state has ended.
local function bury(self, id)
  local other = self.others[id]
  if other then
    self.others[id] = nil
    if other.waiting then
      other.waiting:set(false)
    end
    for _, entry in next, other.entries do
      self.hub:remove(entry)
    end
    self.gone[id] = true
    self.dirty:set()
  end
end

local function forward_to(self, id, other, sub)
  return function(subject, reply, head, data)
    if not other.inbox:send { sub = sub, subject = subject, reply = reply, head = head, data = data } then
      bury(self, id)
    end
  end
end

--- Know of another what the table says, and no more.
local function learn(self, id, told)
  local other = self.others[id]
  if not other then
    other = { inbox = told.inbox, poke = told.poke, entries = {} }
    self.others[id] = other
  end
  for sub, entry in next, other.entries do
    if not told.subs[sub] then
      other.entries[sub] = nil
      self.hub:remove(entry)
    end
  end
  for sub, one in next, told.subs do
    if not other.entries[sub] then
      other.entries[sub] = self.hub:add(one[1], one[2], forward_to(self, id, other, sub))
    end
  end
end

local function read_table(self)
  local all
  with_table(self, function(now)
    all = now
    return false
  end)
  for id, told in next, all do
    if id ~= self.id and not self.gone[id] then
      learn(self, id, told)
    end
  end
  for id, other in next, self.others do
    if not all[id] or other.inbox.closed then
      bury(self, id)
    end
  end
end

--- Tell the others what we have, whenever it has changed.
local function publish_changes(self)
  while true do
    self.dirty:wait()
    self.dirty:clear()
    with_table(self, function(all)
      for id in next, self.gone do
        all[id] = nil
      end
      self.gone = {}
      local subs = {}
      for number, one in next, self.subs do
        if not one.leaving then
          subs[number] = { one.subject, one.queue }
        end
      end
      all[self.id] = not self.closed and { inbox = self.inbox, poke = self.poke, subs = subs } or nil
      return true
    end)
    read_table(self)
    if not self.dirty.is_set then
      self.told:set()
    end
  end
end

--- What another has sent.
local function take(self, item)
  if item.data then
    local one = self.subs[item.sub]
    if one then
      client.deliver(one.bus, one, item.subject, item.reply, item.head, item.data)
    end
  elseif item.ask then
    local other = self.others[item.from]
    local answer = { answer = item.ask }
    if other and not other.inbox:try_send(answer) then -- not here: it may wait for us, too
      background(other.inbox.send, other.inbox, answer)
    end
  elseif item.answer and self.asked[item.answer] then
    self.asked[item.answer]:set(true)
  end
end

--- Take part no more. At the end of the state there is no task, which might wait for the
--- table: the others see that the inbox is closed.
local function leave(self)
  if not self.closed then
    members[self.name] = nil
    self.closed = true
    self.inbox:close()
    self.reader:cancel()
    self.teller:cancel()
    if current() then
      with_table(self, function(all)
        all[self.id] = nil
        return true
      end)
    else
      poke_others(self, self.others)
    end
  end
end

local function read_inbox(self)
  local _ <close> = setmetatable({}, { __close = function()
    leave(self)
  end })
  while true do
    local which, item = select(self.poke:receiving(), self.inbox:receiving())
    if which == 1 then
      read_table(self)
    elseif item == nil then
      return
    else
      take(self, item)
    end
  end
end

--- Until all others know what we have, and have taken what we sent.
local function flush(self)
  while self.dirty.is_set or not self.told.is_set do
    self.told:clear()
    self.told:wait()
  end
  for id, other in next, self.others do
    self.count = self.count + 1
    local number = self.count
    local waiting = future()
    self.asked[number] = waiting
    local _ <close> = setmetatable({}, { __close = function()
      self.asked[number] = nil
    end })
    if not other.inbox:send { ask = number, from = self.id } then
      bury(self, id)
    else
      other.waiting = waiting
      waiting:wait()
    end
  end
end

local function join(name)
  local self = setmetatable({
    name = name, id = crypto.tohex(crypto.random(8)), hub = mem.new_hub(), others = {}, gone = {}, subs = {},
    asked = {}, count = 0, users = 0, dirty = event(), told = event(), closed = false,
    lock = channel("neap.bus.lock:" .. name, 1), place = channel("neap.bus:" .. name, 1),
    inbox = channel(nil, INBOX), poke = channel(nil, 1),
  }, Member)
  members[name] = self
  self.reader = background(read_inbox, self)
  self.teller = background(publish_changes, self)
  self.dirty:set()
  return self
end

--- The state has ended, and nobody has closed anything: who sends here is to learn of it.
function Member:__gc()
  if not self.closed then
    self.inbox:close()
  end
end

--- What one bus has of it.
local Carrier = {}
Carrier.__index = Carrier

function Carrier:publish(...)
  return self.member.hub:publish(...)
end

function Carrier:subscribe(one)
  local member = self.member
  member.count = member.count + 1
  one.id = member.count
  member.subs[one.id] = one
  member.dirty:set()
  self.own:subscribe(one)
end

--- Take no more; `draining`: but what is on its way.
function Carrier:unsubscribe(one, draining)
  local member = self.member
  if member.subs[one.id] then
    self.own:unsubscribe(one)
    if draining then
      one.leaving = true
    else
      member.subs[one.id] = nil
    end
    member.dirty:set()
  end
end

function Carrier:flush()
  flush(self.member)
  return true
end

function Carrier:close()
  local member = self.member
  for id, one in next, member.subs do
    if one.bus == self.own.bus then
      self.own:unsubscribe(one)
      member.subs[id] = nil
    end
  end
  member.dirty:set()
  member.users = member.users - 1
  if member.users == 0 then
    leave(member)
  end
end

local workers = {}

function workers.open(bus, name)
  if #name > 200 or find(name, "\0", 1, true) then
    return nil, error_object.new { code = "EBADMSG", op = "bus", message = "worker:name expected" }
  end
  local member = members[name] or join(name)
  member.users = member.users + 1
  local own = setmetatable({ bus = bus, hub = member.hub, entries = {} }, mem.Carrier)
  bus.carrier = setmetatable({ member = member, own = own }, Carrier)
  return bus
end

return workers
