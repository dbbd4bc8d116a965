-- Of the faults of a run that fails: which are needed, and for how long? By halves, quarters and
-- so on (delta debugging), until each that is left out makes the run succeed; then each lasts half
-- as long, again and again; and as shorter ones may need others no more, all from the beginning.

local ipairs, tonumber = ipairs, tonumber
local floor, max, min = math.floor, math.max, math.min
local concat, format, match = table.concat, string.format, string.match

--- Runs at most.
local MOST = 200

--- A fault lasts no shorter than this, seconds; and is halved so often at most.
local LEAST, HALVINGS = 0.01, 6

--- Faults as --keep has them: 4 as it is, 7:0.5 for half a second.
local function text_of(list)
  local words = {}
  for i, fault in ipairs(list) do
    words[i] = fault.lasts and format("%s:%g", fault.number, fault.lasts) or fault.number
  end
  return #words > 0 and concat(words, ",") or "none"
end

local function faults_of(result)
  local list = {}
  for _, report in ipairs(result.reports) do
    if report[1] == "fault" then
      list[#list + 1] = {number = match(report[2], "^%d+"), whole = tonumber(match(report[2], "for ([%d.]+) s$"))}
    end
  end
  return list
end

--- Those of a list but from..to.
local function without(list, from, to)
  local rest = {}
  for i, fault in ipairs(list) do
    if i < from or i > to then
      rest[#rest + 1] = fault
    end
  end
  return rest
end

--- Fewer.
local function reduce(state)
  local parts = 2
  while #state.list > 1 and state.tries < MOST do
    local size = max(1, #state.list // parts)
    local fewer = false
    local from = 1
    while from <= #state.list and state.tries < MOST do
      if #state.list > size and state.fails(without(state.list, from, from + size - 1)) then
        fewer = true
      else
        from = from + size
      end
    end
    if not fewer then
      if size == 1 then
        break
      end
      parts = min(#state.list, parts * 2)
    end
  end
end

--- Shorter: has any become so?
local function shorten(state)
  local shorter = false
  for i, fault in ipairs(state.list) do
    local lasts = fault.lasts or fault.whole
    for _ = 1, HALVINGS do
      lasts = floor(lasts * 500) / 1000
      if lasts < LEAST or state.tries >= MOST then
        break
      end
      local list = without(state.list, 0, 0)
      list[i] = {number = fault.number, whole = fault.whole, lasts = lasts}
      if not state.fails(list) then
        break
      end
      shorter = true
    end
  end
  return shorter
end

---@param try fun(keep: string): neap.sim.Result
---@param first neap.sim.Result  of all faults, which fails
---@return string keep  those that are needed, as --keep takes them; or "none"
---@return neap.sim.Result
return function(try, first)
  local state = {list = faults_of(first), tries = 0}
  local best = first
  function state.fails(rest)
    state.tries = state.tries + 1
    local result = try(text_of(rest))
    if result.failed then
      state.list, best = rest, result
    end
    return result.failed
  end
  if #state.list == 0 or state.fails {} then
    return "none", best
  end
  local before
  repeat
    before = #state.list
    reduce(state)
  until not shorten(state) or #state.list == before
  return text_of(state.list), best
end
