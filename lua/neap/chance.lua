--- Chance, of the world that the program runs in: so that many clients do not do the same at
--- the same time.

local random = require "neap.crypto".random

local unpack = string.unpack

--- A number from 0 to below 1; or an integer from 1 to n.
---@param n integer?
---@return number
return function(n)
  local bits = unpack(">I4", random(4))
  if n then
    return bits % n + 1
  end
  return bits / (1 << 32)
end
