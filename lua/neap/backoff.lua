--- Trying again: what many clients that have lost the same server do not do all at once.

local chance = require "neap.chance"
local sleep = require "neap.task".sleep

local huge, min = math.huge, math.min

--- Call try() until it gives true: at once (or nearly), then after pauses that become twice as
--- long each time, up to `last` seconds. nil and its error when it has failed `most` times (nil:
--- for ever), or has given a third value, true: it is never going to be better.
---@async
---@param try fun(): true?, neap.Error?, true?
---@param most integer?
---@param last number  seconds
---@return true? ok
---@return neap.Error? err
return function(try, most, last)
  local rounds, pause = 0, min(0.1, last)
  sleep(pause * chance())
  while true do
    local ok, err, never = try()
    if ok then
      return true
    end
    rounds = rounds + 1
    if never or rounds >= (most or huge) then
      return nil, err
    end
    sleep(pause * (0.5 + chance() / 2))
    pause = min(pause * 2, last)
  end
end
