--- Where a cluster has a key: its slot, by a CRC16 (XMODEM) of it, or of what is between { and }.

local words = require "neap.redis.words"

local byte, find, sub = string.byte, string.find, string.sub
local tointeger, tonumber, type = math.tointeger, tonumber, type
local tostring, upper = tostring, string.upper

local TABLE = {}
for i = 0, 255 do
  local crc = i << 8
  for _ = 1, 8 do
    crc = (crc << 1 ~ (crc & 0x8000 ~= 0 and 0x1021 or 0)) & 0xffff
  end
  TABLE[i] = crc
end

local keys = {}

function keys.slot(key)
  local open = find(key, "{", 1, true)
  local close = open and find(key, "}", open + 1, true)
  if close and close > open + 1 then
    key = sub(key, open + 1, close - 1)
  end
  local crc = 0
  for i = 1, #key do
    crc = (crc << 8 & 0xffff) ~ TABLE[crc >> 8 ~ byte(key, i)]
  end
  return crc & 16383
end

local NONE = words.set [[PING ECHO INFO CLUSTER CONFIG CLIENT COMMAND SCRIPT FUNCTION DBSIZE FLUSHALL FLUSHDB TIME
  KEYS SCAN RANDOMKEY PUBLISH PUBSUB ROLE WAIT WAITAOF LASTSAVE SAVE BGSAVE BGREWRITEAOF SLOWLOG LATENCY ACL MODULE
  SHUTDOWN SWAPDB REPLICAOF FAILOVER]]
local THIRD = words.set "LMPOP ZMPOP SINTERCARD ZUNION ZINTER ZDIFF ZINTERCARD BITOP OBJECT MEMORY XINFO XGROUP DEBUG"
local COUNTED = words.set "EVAL EVALSHA EVAL_RO EVALSHA_RO FCALL FCALL_RO BLMPOP BZMPOP"
local STREAMS = words.set "XREAD XREADGROUP"

--- The first key of a command; nil if it has none.
function keys.of(verb, command)
  local at = 2
  if NONE[verb] then
    return nil
  elseif THIRD[verb] then
    at = 3
  elseif COUNTED[verb] then
    at = tointeger(tonumber(command[3])) == 0 and 0 or 4
  elseif STREAMS[verb] then
    while command[at] and not (type(command[at]) == "string" and upper(command[at]) == "STREAMS") do
      at = at + 1
    end
    at = at + 1
  end
  local key = command[at]
  return key and tostring(key)
end

return keys
