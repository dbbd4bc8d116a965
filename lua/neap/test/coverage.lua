--- Which lines have run: a report for people, and `lcov.info` for tools.
---
--- Lines are counted by C (`runtime/host/lines.c`). Those that could have run are read from
--- the bytecode of each file, as Lua writes it (`ldump.c`).

local core = require "neap.lines.core"

local ipairs, load, next, open = ipairs, load, next, io.open
local byte, find, format, gsub, unpack = string.byte, string.find, string.format, string.gsub,
  string.unpack
local dump, concat, insert, sort = string.dump, table.concat, table.insert, table.sort

local coverage = {}

--- Ranges of lines that a file's line of the report names.
local RANGES = 8


-- Lines with code

--- What bytecode has in its header, behind which the main function begins.
local HEADER <const> = 4 + 1 + 1 + 6 + 3 + 8 + 8 + 1

--- A size, and what is behind it.
local function size_at(code, at)
  local n = 0
  while true do
    local b = byte(code, at)
    at = at + 1
    n = n << 7 | b & 0x7f
    if b & 0x80 ~= 0 then
      return n, at
    end
  end
end

local function skip_size(code, at)
  while byte(code, at) & 0x80 == 0 do
    at = at + 1
  end
  return at + 1
end

local function skip_string(code, at)
  local n
  n, at = size_at(code, at)
  return n > 0 and at + n - 1 or at
end

--- So many bytes behind a constant's tag; strings, which say it themselves, are not here.
local CONSTANTS = {[0x13] = 8, [0x03] = 8, [0x00] = 0, [0x01] = 0, [0x11] = 0}

local ABSOLUTE <const> = -0x80

--- Note the lines of a function's instructions; those of its last one, which is the return
--- at its `end`, are no line of its own.
local function read_function(code, at, lines)
  local n, line, vararg
  line, at = size_at(code, skip_string(code, at))
  at = skip_size(code, at)
  vararg = byte(code, at + 1) ~= 0
  n, at = size_at(code, at + 3)
  at = at + 4 * n
  n, at = size_at(code, at)
  for _ = 1, n do
    local skip = CONSTANTS[byte(code, at)]
    at = skip and at + 1 + skip or skip_string(code, at + 1)
  end
  n, at = size_at(code, at)
  at = at + 3 * n
  n, at = size_at(code, at)
  for _ = 1, n do
    at = read_function(code, at, lines)
  end
  local count, deltas = size_at(code, at)
  local absolute = {}
  n, at = size_at(code, deltas + count)
  for _ = 1, n do
    local pc, where
    pc, at = size_at(code, at)
    where, at = size_at(code, at)
    absolute[pc] = where
  end
  for pc = 0, count - 2 do
    local delta = unpack("b", code, deltas + pc)
    line = delta == ABSOLUTE and absolute[pc] or line + delta
    if pc > 0 or not vararg then
      lines[line] = true
    end
  end
  n, at = size_at(code, at)
  for _ = 1, n do
    at = skip_size(code, skip_size(code, skip_string(code, at)))
  end
  n, at = size_at(code, at)
  for _ = 1, n do
    at = skip_string(code, at)
  end
  return at
end

--- The numbers of the lines with code, as keys; nil for what is no Lua.
---@param text string
---@return table<integer, boolean>?
function coverage.lines(text)
  local lines = {}
  local main = load(gsub(text, "^#[^\n]*", ""), "=", "t")
  if not main then
    return nil
  end
  read_function(dump(main), HEADER + 1, lines)
  return lines
end


-- Reports

--- The file as it is called here; nil for what is elsewhere, or is of the tests.
local function name_of(file, tests)
  local name = gsub(file, "^%./", "")
  if find(name, "^/") or find(name, "^%.%./") or tests[file] or tests[name]
    or find("/" .. name, "/specs?/") or find("/" .. name, "/tests?/") then
    return nil
  end
  return name
end

--- Add counts to others.
function coverage.add(all, counts)
  for file, hits in next, counts do
    local to = all[file] or {}
    all[file] = to
    for line, count in next, hits do
      to[line] = (to[line] or 0) + count
    end
  end
  return all
end

local function sorted(set)
  local list = {}
  for key in next, set do
    list[#list + 1] = key
  end
  sort(list)
  return list
end

--- "3-5, 9", of lines with code those that have not run; what lies between is nothing.
local function ranges(numbers, hits)
  local found = {}
  local last
  for _, line in ipairs(numbers) do
    if hits[line] then
      last = nil
    elseif last then
      last[2] = line
    else
      last = {line, line}
      found[#found + 1] = last
    end
  end
  for i, range in ipairs(found) do
    found[i] = range[1] == range[2] and format("%d", range[1]) or format("%d-%d", range[1], range[2])
  end
  local more = #found > RANGES and ", ..." or ""
  return concat(found, ", ", 1, #found < RANGES and #found or RANGES) .. more
end

local function percent(part, whole)
  return whole > 0 and part * 100 / whole or 100
end

--- Of counts the text of `lcov.info`, and the report.
---@param counts table<string, table<integer, integer>>
---@param tests table<string, boolean>  files of the tests
---@return string lcov, string report
function coverage.reports(counts, tests)
  local files = {}
  for file, hits in next, counts do
    local name = name_of(file, tests)
    if name then
      coverage.add(files, {[name] = hits})
    end
  end
  local lcov, report, all, ran = {}, {}, 0, 0
  for _, name in ipairs(sorted(files)) do
    local file <close> = open(name)
    local lines = file and coverage.lines(file:read "a")
    local hits = files[name]
    if lines then
      local numbers, hit = sorted(lines), 0
      lcov[#lcov + 1] = "TN:\nSF:" .. name
      for _, line in ipairs(numbers) do
        lcov[#lcov + 1] = format("DA:%d,%d", line, hits[line] or 0)
        hit = hit + (hits[line] and 1 or 0)
      end
      lcov[#lcov + 1] = format("LF:%d\nLH:%d\nend_of_record", #numbers, hit)
      report[#report + 1] = format("%5.1f %%  %s%s", percent(hit, #numbers), name,
        hit < #numbers and ", not: " .. ranges(numbers, hits) or "")
      all, ran = all + #numbers, ran + hit
    end
  end
  insert(report, 1, format("%5.1f %%  of %d lines in %d %s have run", percent(ran, all), all, #report,
    #report == 1 and "file" or "files"))
  return concat(lcov, "\n") .. (#lcov > 0 and "\n" or ""), concat(report, "\n") .. "\n"
end

coverage.start, coverage.counts = core.start, core.counts

return coverage
