--- Subscriptions of a client. Their queues are those of a bus (neap.bus.subscription); what they
--- ask of a bus and of its carrier is here.

local link = require "neap.redis.link"
local resp = require "neap.redis.resp"
local subscription = require "neap.bus.subscription"

local next, setmetatable = next, setmetatable
local concat, unpack = table.concat, table.unpack

local PING = "*1\r\n$4\r\nPING\r\n"
local verbs = { pattern = "PSUBSCRIBE", sharded = "SSUBSCRIBE" }
local opposite = { SUBSCRIBE = "UNSUBSCRIBE", PSUBSCRIBE = "PUNSUBSCRIBE", SSUBSCRIBE = "SUNSUBSCRIBE" }

local Feed = {}
Feed.__index = Feed

local feed = {}

--- Take no more; `draining`: but what comes until then. Nobody else may want it.
function Feed:unsubscribe(one, draining)
  local names = self.link.subs[one.verb]
  local gone = {}
  for _, name in next, one.channels do
    local set = names[name]
    if set and set[one] then
      if not link.is_wanted(set, one) then
        gone[#gone + 1] = name
      end
      if not draining then
        set[one] = nil
        if next(set) == nil then
          names[name] = nil
        end
      end
    end
  end
  if gone[1] and not one.left then
    self.link:tell_server(opposite[one.verb], gone)
  end
  one.left = one.left or draining or false
end

--- Until all that was published before has come.
function Feed:flush()
  return self.link:ask(PING, 1, true)
end

--- The feed of a client: over its own link, where that can carry both.
local function feed_of(client)
  if client.feed and not client.feed.link.closed then
    return client.feed
  end
  local one = client.link
  if one.version == 2 and not one.closed then
    local err
    one, err = link.open(client.find, client.opts, client.tell, client.check)
    if not one then
      return nil, err
    elseif client.link.closed then
      one:close()
      return client.link:is_closed()
    end
    one.feeds = true
  end
  local self = setmetatable({ link = one, subs = {}, tell = client.tell }, Feed)
  self.carrier = self
  client.feed = self
  return self
end

--- Ends a subscription that was not made.
local guard_meta = { __close = function(guard)
  if guard[1] then
    guard[1]:unsubscribe()
  end
end }

---@async
function feed.subscribe(client, channels, opts)
  local self, err = feed_of(client)
  if not self then
    return nil, err
  elseif self.link.closed then
    return self.link:is_closed()
  end
  local verb = verbs[opts.kind] or "SUBSCRIBE"
  local one = subscription.new(self, concat(channels, " "), opts)
  one.verb, one.channels, one.left = verb, { unpack(channels) }, false
  self.subs[one] = true
  local names, list = self.link.subs[verb], { verb }
  for _, name in next, one.channels do
    names[name] = names[name] or {}
    if not names[name][one] then
      names[name][one] = true
      list[#list + 1] = name
    end
  end
  local guard <close> = setmetatable({ one }, guard_meta)
  local answers
  answers, err = self.link:ask(resp.encode(list, #list), #list - 1, true, verb)
  if not answers then
    return nil, err
  end
  local last = answers[#answers]
  if resp.is_error(last) then
    return nil, last
  end
  guard[1] = nil
  return one
end

function feed.close(self)
  self.link:close()
end

return feed
