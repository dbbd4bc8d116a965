--- A cluster: which node has a slot, and a link to each node that is asked for something.
---
--- What a node says of slots (MOVED) is believed at once, and the map is read anew beside that. A
--- link that is lost is not made again, for its slots may be elsewhere now: who asks next connects.
--- A node that is gone has its time (`failover`) to come back, or to be replaced.

local chance = require "neap.chance"
local link = require "neap.redis.link"
local place = require "neap.redis.place"
local resp = require "neap.redis.resp"
local task = require "neap.task"
local time = require "neap.time"

local find, match = string.find, string.match
local insert, ipairs, next, setmetatable, type = table.insert, ipairs, next, setmetatable, type
local mathtype, max, min, remove = math.type, math.max, math.min, table.remove
local now = time.now
local tointeger, tonumber = math.tointeger, tonumber
local encode, is_error = resp.encode, resp.is_error

local HOPS = 16 -- of a command that is led elsewhere
local NODES = 1000 -- that are believed in
local ASKING = encode({ "ASKING" }, 1)

local Cluster = {}
Cluster.__index = Cluster

local cluster = {}

--- The node at a place; the one that is known, if it is.
local function node_of(self, host, port)
  local server = place.new(host, port, self.tls)
  local node = self.nodes[server.key]
  if not node then
    if #self.list >= NODES then
      return nil
    end
    node = { place = server, link = false, lock = task.mutex(), failed = 0, why = false }
    self.nodes[server.key] = node
    insert(self.list, node)
  end
  return node
end

--- What CLUSTER SLOTS says; `host`: of who says it, which may not know its own name.
local function learn(self, answer, host)
  for _, range in ipairs(type(answer) == "table" and answer or {}) do
    local from, to, about = range[1], range[2], range[3]
    local ok = mathtype(from) == "integer" and mathtype(to) == "integer" and from >= 0 and to < 16384
      and type(about) == "table" and mathtype(about[2]) == "integer" and about[2] > 0 and about[2] < 65536
    local name = ok and type(about[1]) == "string" and about[1] ~= "" and about[1] or host
    local node = ok and node_of(self, name, about[2])
    for slot = node and from or 0, node and to or -1 do
      self.slots[slot] = node
    end
  end
end

--- For the link that is for everything: any node, and the map from it.
function cluster.finder(self)
  return function()
    local last
    for _ = 1, #self.list do
      local node = self.list[1]
      insert(self.list, remove(self.list, 1)) -- others come first, the next time
      local stream, reader = task.timeout((self.opts.timeout or 5) / 2, link.greet, node.place, self.opts)
      if stream then
        local _ <close> = stream
        local answer, err = link.ask_now(stream, reader, "CLUSTER", "SLOTS")
        if answer then
          learn(self, answer, node.place.host)
          return node.place
        end
        reader = err
      end
      last = reader
    end
    return nil, last
  end
end

--- Read the map anew, beside what goes on; once at a time.
local function refresh(self)
  if not self.refreshing then
    self.refreshing = true
    task.background(function()
      local _ <close> = setmetatable({}, { __close = function()
        self.refreshing = false
      end })
      self.find()
    end)
  end
end

--- A link to a node, that is up; within so many seconds, if that is less than `timeout`. Who has
--- waited for another's attempt has its result.
local function link_to(self, node, seconds)
  local failed = node.failed
  local _ <close> = node.lock:lock()
  if node.failed ~= failed then
    return nil, node.why
  elseif not node.link or node.link.closed then
    local limit = self.opts.timeout or 5
    local opts = setmetatable({ reconnect = false, timeout = seconds and min(limit, seconds) or limit },
      { __index = self.opts })
    local one, err = link.open(function()
      return node.place
    end, opts, function() end)
    if one and self.closed then
      one:close()
    end
    node.link = one or false
    if not one then
      node.failed, node.why = node.failed + 1, err
    end
    return one, err
  end
  return node.link
end

--- Where an answer leads instead: the kind, and the node.
local function redirection(self, value)
  if type(value) ~= "table" or not is_error(value) then
    return nil
  end
  local code = value.code
  if code == "MOVED" or code == "ASK" then
    local slot, host, port = match(value.message, "^(%d+) %[?([^%s%]]*)%]?:(%d+)$")
    slot, port = tointeger(tonumber(slot)), tointeger(tonumber(port))
    if not slot or slot > 16383 or not port or port < 1 or port > 65535 or find(host, "[^%w.:_-]") then
      return nil
    end
    local known = self.slots[slot]
    local node = node_of(self, host ~= "" and host or known and known.place.host or self.list[1].place.host, port)
    if code == "MOVED" and node then
      self.slots[slot] = node
      refresh(self)
    end
    return node and code, node
  end
  return (code == "TRYAGAIN" or code == "CLUSTERDOWN") and code or nil
end

--- Ask whoever has a slot for n answers, and go where they lead; `alone`: a function that asks over
--- a connection of its own, f(node's place, text, n, seconds to connect).
---@async
function Cluster:ask(slot, text, n, alone)
  local node, asking, hops, pause = self.slots[slot], false, 0, 0.02
  local last, lost
  local till = now() + (self.opts.failover or 3)
  repeat
    if self.closed then
      return nil, resp.failure("EPIPE", "the client is closed")
    end
    node = node or self.list[1]
    local left = max(till - now(), 0.01)
    local results, err, unsent
    local prefix, more = asking and ASKING or "", asking and 1 or 0
    if alone then
      results, err, unsent = alone(node.place, prefix .. text, n + more, left)
    else
      local one
      one, err = link_to(self, node, left)
      unsent = not one
      if one then
        results, err, unsent = one:ask(prefix .. text, n + more)
      end
    end
    if not results then
      if not unsent and not self.opts.again then
        refresh(self)
        return nil, err
      end
      last, asking, lost = err, false, true
    else
      if asking then
        remove(results, 1)
      end
      local kind, other = redirection(self, results[1])
      if not kind and n > 2 then -- of MULTI, its first command
        kind, other = redirection(self, results[2])
      end
      if not kind then
        return results
      end
      asking = kind == "ASK"
      node, last, lost = other, results[n > 2 and 2 or 1], not other
      hops = hops + (other and 1 or 0)
    end
    if lost then
      refresh(self)
      pause = min(pause * 2, 0.5)
      task.sleep(max(min(pause * (0.5 + chance() / 2), till - now()), 0))
      node = self.slots[slot]
    end
  until hops == HOPS or lost and now() >= till
  return nil, last
end

--- Does an answer lead elsewhere?
function Cluster:leads(value)
  return redirection(self, value) ~= nil
end

--- Who has a slot now.
function Cluster:node_of(slot)
  return self.slots[slot] or self.list[1]
end

--- The link to a node.
function Cluster:link_to(node)
  local one, err = link_to(self, node)
  if not one then
    refresh(self)
  end
  return one, err
end

function Cluster:close()
  self.closed = true
  for _, node in next, self.nodes do
    if node.link then
      node.link:close()
    end
  end
end

--- The cluster that these places are some nodes of.
function cluster.new(places, opts)
  local self = setmetatable({
    opts = opts, tls = places[1].tls, nodes = {}, list = {}, slots = {}, refreshing = false, closed = false,
  }, Cluster)
  for _, one in ipairs(places) do
    node_of(self, one.host, one.port)
  end
  self.find = cluster.finder(self)
  return self
end

return cluster
