-- Many seeds: one after the other, or in several processes, each of which runs each n-th.

local json = require "neap.json"
local process = require "neap.process"
local sched = require "neap.task.core"
local stdio = require "neap.stdio"
local task = require "neap.task"

local assert, ipairs, pairs, tonumber, tostring = assert, ipairs, pairs, tonumber, tostring
local concat, move, sort = table.concat, table.move, table.sort
local format, gmatch, sub = string.format, string.gmatch, string.sub
local pack, unpack = string.pack, string.unpack
local stdout = io.stdout

--- The status when a seed has failed; and the most bytes of what one has printed that a part
--- tells.
local FAILED, TOLD = 1, 1 << 20

local batch = {}

--- Where two runs of one seed part: the first event that differs, or the first line.
function batch.difference(one, other)
  local here, there = one.history:differs(other.history)
  if here then
    return format("%s; then %s", here, there)
  end
  local next_line = gmatch(concat(one.output), "[^\n]*\n?")
  for second in gmatch(concat(other.output), "[^\n]*\n?") do
    local line = next_line() or ""
    if line ~= second then
      return format("%q, then %q", line, second)
    end
  end
  return "the same was printed, and what differs is behind the first two million events"
end

--- What was wanted of all seeds, and whether it was seen.
local function note_reports(seen, reports)
  for _, report in ipairs(reports) do
    if report[1] == "wanted" then
      seen[report[2]] = seen[report[2]] or false
    elseif report[1] == "sometimes" then
      seen[report[2]] = true
    end
  end
end

--- One more result; go on?
local function take(state, result)
  state.done = state.done + 1
  note_reports(state.seen, result.reports)
  if result.failed then
    state.failures = state.failures + 1
    if state.failures == 1 then
      stdout:write(concat(result.output))
    end
    state.how.told(result)
  end
  return not result.failed or state.how.keep_going
end

local function conclude(state)
  local lacking = {}
  for name, seen in pairs(state.seen) do
    if not seen then
      lacking[#lacking + 1] = name
    end
  end
  sort(lacking)
  if state.failures == 0 then
    for _, name in ipairs(lacking) do
      state.how.tell("sometimes: %s: in none of the seeds", name)
    end
  end
  stdout:write(format("%d seeds, %d failed\n", state.done, state.failures))
  stdout:flush()
  return (state.failures > 0 or #lacking > 0) and FAILED or 0
end

local function one_by_one(state, first, last, one)
  for seed = first, last do
    if not take(state, one(seed)) then
      return
    end
    sched.yield()
  end
end

--- The results that a part tells, each as it comes.
local function listen(state, command)
  local part <close> = assert(process.spawn(command))
  while true do
    local head = part.stdout:readexactly(4)
    local text = head and part.stdout:readexactly((unpack("<I4", head)))
    if not text then
      local status = part:wait()
      if status ~= 0 then
        state.how.tell("a process of --jobs has ended with status %s", tostring(status))
        state.broken = true
      end
      return
    end
    if not take(state, json.decode(text)) then
      state.stop:set()
    end
  end
end

local function in_parts(state, first, last)
  state.stop = task.event()
  task.race {
    function()
      state.stop:wait()
    end,
    function()
      local parts = {}
      for i = 1, state.how.jobs do
        local words = {state.how.program, "sim", format("--part=%d,%d,%d", first + i - 1, last, state.how.jobs)}
        move(state.how.words, 1, #state.how.words, 4, words)
        words.stdout, words.cwd = "pipe", state.how.cwd
        parts[i] = function()
          listen(state, words)
        end
      end
      task.all(parts)
    end,
  }
end

--- Run the seeds: one(seed) gives a result. how: {tell, told(result), keep_going, jobs, program,
--- words: of the command line, cwd: where that was}.
---@return integer status
function batch.run(first, last, one, how)
  local state = {done = 0, failures = 0, seen = {}, how = how}
  if how.jobs > 1 then
    in_parts(state, first, last)
  else
    one_by_one(state, first, last, one)
  end
  local status = conclude(state)
  return state.broken and FAILED or status
end

--- Be such a part, of which `which` says: first, last, step.
function batch.part(which, one)
  local numbers = {}
  for word in gmatch(which, "%d+") do
    numbers[#numbers + 1] = tonumber(word)
  end
  for seed = numbers[1], numbers[2], numbers[3] do
    local result = one(seed)
    result.history = nil
    result.output = {result.failed and sub(concat(result.output), -TOLD) or ""}
    if not stdio.stdout:write(pack("<s4", json.encode(result))) then
      return FAILED
    end
  end
  return 0
end

return batch
