-- Of the faults of a run that fails: which are needed? By halves, quarters and so on
-- (delta debugging), until each that is left out makes the run succeed.

local ipairs, max, min = ipairs, math.max, math.min
local concat, match = table.concat, string.match

--- Runs at most.
local MOST = 200

local function text_of(list)
  return #list > 0 and concat(list, ",") or "none"
end

local function numbers_of(result)
  local list = {}
  for _, report in ipairs(result.reports) do
    if report[1] == "fault" then
      list[#list + 1] = match(report[2], "^%d+")
    end
  end
  return list
end

--- Those of a list but from..to.
local function without(list, from, to)
  local rest = {}
  for i, number in ipairs(list) do
    if i < from or i > to then
      rest[#rest + 1] = number
    end
  end
  return rest
end

---@param try fun(keep: string): neap.sim.Result
---@param first neap.sim.Result  of all faults, which fails
---@return string keep  the numbers of those that are needed, with commas; or "none"
---@return neap.sim.Result
return function(try, first)
  local list, best = numbers_of(first), first
  local tries = 0
  local function fails(rest)
    tries = tries + 1
    local result = try(text_of(rest))
    if result.failed then
      list, best = rest, result
    end
    return result.failed
  end
  if #list == 0 or fails {} then
    return "none", best
  end
  local parts = 2
  while #list > 1 and tries < MOST do
    local size = max(1, #list // parts)
    local shorter = false
    local from = 1
    while from <= #list and tries < MOST do
      if #list > size and fails(without(list, from, from + size - 1)) then
        shorter = true
      else
        from = from + size
      end
    end
    if not shorter then
      if size == 1 then
        break
      end
      parts = min(#list, parts * 2)
    end
  end
  return text_of(list), best
end
