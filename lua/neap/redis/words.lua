--- Commands of Redis that are not like the others.

local gmatch, upper = string.gmatch, string.upper
local type = type

local words = {}

local function set(text)
  local all = {}
  for word in gmatch(text, "%S+") do
    all[word] = true
  end
  return all
end

words.set = set

local BLOCKING = set "BLPOP BRPOP BRPOPLPUSH BLMOVE BLMPOP BZPOPMIN BZPOPMAX BZMPOP WAIT WAITAOF"
local READING = set "XREAD XREADGROUP"

--- Does it make its connection wait?
---@param verb string  in capitals
function words.is_blocking(verb, command, n)
  if BLOCKING[verb] then
    return true
  end
  for i = 2, READING[verb] and n or 0 do
    local word = type(command[i]) == "string" and upper(command[i])
    if word == "BLOCK" then
      return true
    elseif word == "STREAMS" then
      return false
    end
  end
  return false
end

--- Why it cannot go over a connection that others use, too: what to call instead.
words.alone = {
  MULTI = "Client:multi", EXEC = "Client:multi", DISCARD = "Client:multi", WATCH = "Client:session",
  UNWATCH = "Client:session", SELECT = "Client:session", AUTH = "redis.connect", READONLY = "Client:session",
  READWRITE = "Client:session", ASKING = "Client:session",
}

--- Why it can never be called.
words.never = {
  SUBSCRIBE = "Client:subscribe", PSUBSCRIBE = "Client:subscribe", SSUBSCRIBE = "Client:subscribe",
  UNSUBSCRIBE = "Subscription:unsubscribe", PUNSUBSCRIBE = "Subscription:unsubscribe",
  SUNSUBSCRIBE = "Subscription:unsubscribe", HELLO = "redis.connect", RESET = "Client:close", QUIT = "Client:close",
  MONITOR = "a stream", SYNC = "a stream", PSYNC = "a stream",
}

return words
