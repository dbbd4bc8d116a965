--- The first values of many in order, without keeping the many.

local sort, move = table.sort, table.move

---@class neap.repl.smallest
---@field count integer  how many were added
---@field private limit integer
---@field private kept any[]  the first `limit` in order, and as many others at most
---@field last any  what is not less than this one is not among the first
local Smallest = {}
Smallest.__index = Smallest

--- Begin with nothing. The values must compare with `<`.
---@param limit integer  how many to keep, at least 1
---@return neap.repl.smallest
function Smallest.new(limit)
  return setmetatable({limit = limit, kept = {}, count = 0}, Smallest)
end

local function cut(self)
  local kept = self.kept
  sort(kept)
  self.kept = move(kept, 1, self.limit < #kept and self.limit or #kept, 1, {})
  self.last = self.kept[self.limit]
end

---@param value string|number
function Smallest:add(value)
  self.count = self.count + 1
  local last = self.last
  if last and value >= last then
    return
  end
  local kept = self.kept
  kept[#kept + 1] = value
  if #kept >= 2 * self.limit then
    cut(self)
  end
end

--- The first ones, in order.
---@return any[]
function Smallest:list()
  cut(self)
  return self.kept
end

return Smallest
