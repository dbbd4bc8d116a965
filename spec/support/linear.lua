--- Is what something costs as much more as there is of it?

local assert = require "luassert"

local function cost_of(f, n)
  local began = os.clock()
  f(n)
  return os.clock() - began
end

--- Call f(n) and f(8 * n): the second does 8 times what the first does, and not 64 times. n is such
--- that the second takes a second where it does.
---@param f fun(n: integer)
---@param n integer
return function(f, n)
  f(n)
  local once, eight = cost_of(f, n), cost_of(f, 8 * n)
  assert.is_true(eight < 30 * once + 0.02, ("%.1f times as much for 8 times of it"):format(eight / once))
end
