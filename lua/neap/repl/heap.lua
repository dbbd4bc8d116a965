--- The heap by type: how many strings, tables, functions there are, userdata of each
--- class, and about how many bytes they take.

local census = require "neap.census.core"
local task = require "neap.task"
local text_of = require "neap.repl.text"

local collectgarbage, ipairs = collectgarbage, ipairs
local format, rep = string.format, string.rep
local concat, sort = table.concat, table.sort

---@class neap.repl.heap
local heap = {}

--- Values that are looked into before others have their turn: some tenths of a
--- millisecond.
local STEP = 500

--- A number of bytes as people say it.
---@param n number
---@return string
function heap.bytes(n)
  for _, unit in ipairs {"B", "KiB", "MiB"} do
    if n < 1024 then
      return unit == "B" and format("%d B", n // 1) or format("%.1f %s", n, unit)
    end
    n = n / 1024
  end
  return format("%.1f GiB", n)
end

--- What there is, as a list; tasks go on meanwhile.
---@async
---@return string
function heap.text()
  local found
  do
    local counting <close> = census.new()
    while counting:step(STEP) do
      task.yield()
    end
    found = counting:result()
  end
  local all, objects = 0, 0
  local rows = {}
  for _, row in ipairs(found) do
    if row.count > 0 then
      rows[#rows + 1] = row
      all, objects = all + row.bytes, objects + row.count
    end
  end
  sort(rows, function(a, b)
    return a.bytes > b.bytes or a.bytes == b.bytes and a.name < b.name
  end)
  local lines = {format("%-24s  %10s  %10s", "TYPE", "COUNT", "SIZE")}
  local function add(name, count, bytes)
    name = text_of.escaped(name)
    local pad = #name < 24 and rep(" ", 24 - #name) or ""
    lines[#lines + 1] = format("%s%s  %10s  %10s", name, pad, count, heap.bytes(bytes))
  end
  for _, row in ipairs(rows) do
    add(row.name, row.count, row.bytes)
  end
  add("what can be reached", objects, all)
  add("all of Lua's memory", "", collectgarbage "count" * 1024)
  return concat(lines, "\n") .. "\n"
end

return heap
