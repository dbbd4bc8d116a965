--- Runs a list of cases, and prints what each has observed, a line each: by the kernel
--- and by the simulation the same lines (spec/sim_conformance_spec.lua).

local task = require "neap.task"

local cases = {}

local function show(value)
  if type(value) == "string" and #value > 400 then
    return ("%d bytes"):format(#value)
  elseif type(value) == "string" then
    return ("%q"):format(value)
  elseif type(value) == "table" and value.code then
    return value.code .. "/" .. tostring(value.op)
  end
  return tostring(value)
end

local function line(name, ok, ...)
  local out = {}
  for i = 1, select("#", ...) do
    out[i] = show((select(i, ...)))
  end
  print(name .. ": " .. (ok and "" or "raised ") .. table.concat(out, " "))
end

--- What a call has returned, in one text.
---@param ... any
---@return string
function cases.said(...)
  local out = {}
  for i = 1, select("#", ...) do
    out[i] = show((select(i, ...)))
  end
  return table.concat(out, ",")
end

--- The code that a call has failed by.
function cases.code(value, err)
  return value and "none" or err.code
end

--- A socket whose waits do not last for ever.
function cases.keep(socket, err)
  return assert(socket, err):settimeout(5)
end

--- A list of cases; what adds one for each of some kinds, whose names have blanks between
--- them; and what adds one alone.
---@return table list, function case, function alone
function cases.new()
  local list = {}
  return list, function(name, kinds, f)
    for kind in kinds:gmatch "%S+" do
      list[#list + 1] = {("%s (%s)"):format(name, kind), f, kind}
    end
  end, function(name, f)
    list[#list + 1] = {name, f}
  end
end

--- A variable to close that closes these.
function cases.closing(...)
  local all = {...}
  return setmetatable({}, {__close = function()
    for _, one in ipairs(all) do
      one:close()
    end
  end})
end

--- Run them in turn; only those whose names have `only` in them.
---@param list {[1]: string, [2]: function}[]
---@param only? string
function cases.run(list, only)
  for _, case in ipairs(list) do
    local name, f = case[1], case[2]
    if not only or name:find(only, 1, true) then
      line(name, pcall(task.timeout, 400, f, case[3]))
    end
  end
end

return cases
