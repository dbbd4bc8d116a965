-- Many seeds: one after the other, or in several processes.

local process = require "neap.process"
local json = require "neap.json"
local sched = require "neap.task.core"
local task = require "neap.task"

local ipairs, pairs, tostring = ipairs, pairs, tostring
local concat, format, gmatch, sort = table.concat, string.format, string.gmatch, table.sort
local stderr, stdout = io.stderr, io.stdout

local FAILED = 1

local batch = {}

--- Where two runs of one seed part: the first line that differs.
function batch.difference(one, other)
  local next_line = gmatch(concat(other.output), "[^\n]*\n?")
  for line in gmatch(concat(one.output), "[^\n]*\n?") do
    local second = next_line() or ""
    if line ~= second then
      return format("%q, then %q", line, second)
    end
  end
  return format("the same output, but another trace, %s, then %s", one.hash, other.hash)
end

--- What all seeds have seen of what was wanted.
local function note_reports(seen, reports)
  for _, report in ipairs(reports) do
    if report[1] == "wanted" then
      seen[report[2]] = seen[report[2]] or false
    elseif report[1] == "sometimes" then
      seen[report[2]] = true
    end
  end
end

local function conclude(state, how)
  local lacking = {}
  for name, seen in pairs(state.seen) do
    if not seen then
      lacking[#lacking + 1] = name
    end
  end
  sort(lacking)
  for _, name in ipairs(state.failures == 0 and lacking or {}) do
    how.tell("sometimes: %s: in none of the seeds", name)
  end
  stderr:flush()
  stdout:write(format("%d seeds, %d failed\n", state.done, state.failures))
  stdout:flush()
  return (state.failures > 0 or #lacking > 0) and FAILED or 0
end

local function take(state, given, result, how)
  state.done = state.done + 1
  note_reports(state.seen, result.reports)
  if result.failed then
    state.failures = state.failures + 1
    if state.failures == 1 then
      stdout:write(concat(result.output))
    end
    how.told(given, result, given.keep)
  end
  return not result.failed or given.keep_going
end

--- One after the other.
function batch.run(given, first, last, one, how)
  local state = {done = 0, failures = 0, seen = {}}
  for seed = first, last do
    if not take(state, given, one(seed), how) then
      break
    end
    sched.yield()
  end
  return conclude(state, how)
end

batch.unused = {process, json, task, tostring}

return batch
