--- Profiles: where a program's processor time goes, or what it allocates.
---
--- A profile is a text, a line for each stack: its functions from the outermost on, with ;
--- between, a blank and its weight, which is what tools for flame graphs read.

local core = require "neap.profile.core"
local flame = require "neap.repl.flame"
local task = require "neap.task"

local error, ipairs, open, rawget, setmetatable = error, ipairs, io.open, rawget, setmetatable
local tonumber, type, _G = tonumber, type, _G
local find, format, gmatch, gsub = string.find, string.format, string.gmatch, string.gsub
local concat, sort = table.concat, table.sort

---@class neap.repl.profile
local profile = {}

local ROWS = 25

--- What ran, and was no Lua.
local OUTSIDE = "(neap)"

--- Look for so long.
---@async
---@param seconds number
---@param bytes integer?  by allocations, so many from one sample to the next
---@param enough neap.Event?  it is enough before that
---@return string text
function profile.run(seconds, bytes, enough)
  local ok, err = core.start(bytes)
  if not ok then
    error(err.code == "EBUSY" and "a profile is being made already" or err, 0)
  end
  local text, outside
  do
    local _ <close> = setmetatable({}, {__close = function()
      text, outside = core.stop()
    end})
    enough = enough or task.event()
    task.timeout(seconds, enough.wait, enough)
  end
  return outside > 0 and format("%s%s %d\n", text, OUTSIDE, outside) or text
end

--- Each stack of a profile: its functions, and its weight.
local function each(text)
  return gmatch(text, "([^\n]+) (%d+)\n")
end

--- The functions that weigh most, by themselves and with what they call.
---@param text string
---@param unit string
---@return string
function profile.table(text, unit)
  local own, total, all = {}, {}, 0
  for stack, weight in each(text) do
    local n, seen, last = tonumber(weight), {}, nil
    for name in gmatch(stack, "[^;]+") do
      if not seen[name] then
        total[name] = (total[name] or 0) + n
      end
      seen[name], last = true, name
    end
    own[last] = (own[last] or 0) + n
    all = all + n
  end
  local names = {}
  for name in next, total do
    names[#names + 1] = name
  end
  sort(names, function(a, b)
    local x, y = own[a] or 0, own[b] or 0
    if x ~= y then
      return x > y
    end
    return total[a] > total[b] or total[a] == total[b] and a < b
  end)
  local lines = {format("%7s  %7s  of %d %s", "SELF", "TOTAL", all, unit)}
  for i, name in ipairs(names) do
    if i > ROWS then
      lines[i + 1] = format("... and %d more functions", #names - ROWS)
      break
    end
    lines[i + 1] = format("%6.1f%%  %6.1f%%  %s", 100 * (own[name] or 0) / all, 100 * total[name] / all, name)
  end
  return concat(lines, "\n") .. "\n"
end

--- Write it: into a file whose name ends in .svg as a flame graph.
---@param path string
---@param text string
---@param title string
---@param unit string
---@return boolean? ok
---@return string? err
function profile.write(path, text, title, unit)
  if find(path, "%.svg$") then
    text = flame.svg(text, {title = title, unit = unit})
  end
  local file, err = open(path, "wb")
  if not file then
    return nil, err
  end
  local ok, why = file:write(text)
  local closed, late = file:close()
  if not ok or not closed then
    return nil, format("%s: %s", path, why or late)
  end
  return true
end

--- `neap --profile=FILE`: the program has ended. Called from C.
---@param path string
---@param text string
function profile.finish(path, text)
  local given = rawget(_G, "arg")
  local name = type(given) == "table" and rawget(given, 0)
  local title = "processor time of " .. gsub(type(name) == "string" and name or "neap", "^.*/", "")
  local ok, err = profile.write(path, text, title, "samples")
  if not ok then
    error(err, 0)
  end
end

return profile
