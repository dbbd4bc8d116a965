-- Tests in a simulated world (sim.test), as `neap test` sees them: a world for each seed, and
-- what the director has told (neap.sim.trial) as the test's own failure.

local around = require "neap.sim.around"
local runs = require "neap.sim.runs"
local trials = require "neap.test.trials"

local error, pairs, pcall, tostring, type = error, pairs, pcall, tostring, type
local concat, format, gsub, match = table.concat, string.format, string.gsub, string.match
local mathtype, sub, tointeger, tonumber = math.type, string.sub, math.tointeger, tonumber
local stdout = io.stdout

--- Seconds of a world; and bytes of what it has printed that a failure tells.
local LIMIT, TOLD = 24 * 3600, 4096

local tests = {}

local OPTIONS = {
  seed = "a whole number",
  seeds = "a whole number above 0",
  hosts = "programs by their names",
  limit = "seconds",
  order = '"fifo"',
  whole = "true or false",
}

local function is_good(name, value)
  if name == "hosts" then
    return type(value) == "table"
  elseif name == "limit" then
    return type(value) == "number" and value > 0
  elseif name == "whole" then
    return type(value) == "boolean"
  elseif name == "order" then
    return value == "fifo"
  end
  return mathtype(value) == "integer" and (name == "seed" or value > 0)
end

local function check(options, level)
  for name, value in pairs(options) do
    local option = OPTIONS[name]
    if not option then
      error(format("sim.test: there is no option '%s'", tostring(name)), level + 1)
    elseif not is_good(name, value) then
      error(format("sim.test: %s: %s expected", name, option), level + 1)
    end
  end
  if options.seed and options.seeds then
    error("sim.test: one seed, or so many, expected", level + 1)
  end
end

--- A word of a command line, for a shell.
local function quoted(word)
  return "'" .. gsub(word, "'", "'\\''") .. "'"
end

--- The command that runs the test once more, from that seed.
local function replay(seed)
  local path, name = trials.running()
  if not path then
    return ""
  end
  return format("\nreplay: neap test --sim-seed=0x%x --filter=%s %s", seed,
    quoted("^" .. gsub(name, "[%^%$%(%)%%%.%[%]%*%+%-%?]", "%%%0") .. "$"), path)
end

--- The end of what was printed.
local function printed(result)
  local text = gsub(concat(result.output), "\n$", "")
  if text == "" then
    return ""
  elseif #text > TOLD then
    text = "..." .. match(sub(text, -TOLD), "\n.*") or sub(text, -TOLD)
  end
  return "\nprinted:\n  " .. gsub(text, "\n", "\n  ")
end

local function fail(result)
  local told = {text = result.failed, trace = ""}
  for _, report in pairs(result.reports) do
    local kind, text = report[1], report[2]
    if kind == "failure" or kind == "error" then
      told.text, told.failed = text, kind == "failure"
    elseif kind == "trace" then
      told.trace = text
    elseif kind == "place" then
      told.source, told.line = match(text, "^(.*):(%d+)$")
      told.line = tointeger(tonumber(told.line))
    end
  end
  told.text = format("%s\nseed 0x%x at +%.3fs%s%s", told.text, result.seed, result.time, replay(result.seed),
    printed(result))
  trials.raise(told)
end

--- Why the test is pending, if it is.
local function reason(result)
  for _, report in pairs(result.reports) do
    if report[1] == "pending" then
      return report[2]
    end
  end
end

--- What an `it` is given.
function tests.new(f, options, level)
  check(options, level + 1)
  return function()
    local ok, code, name = pcall(around, f, "sim.test", nil, "neap.sim.trial", options.hosts or {})
    if not ok then
      trials.raise {text = code, trace = ""}
    end
    local program = {name = name, code = code, args = {}}
    local first, last = options.seed or 1, options.seed or options.seeds or 1
    if trials.seeds then
      first, last = trials.seeds[1], trials.seeds[2]
    end
    for seed = first, last do
      local result = runs.one(program, seed, {
        limit = options.limit or LIMIT, order = options.order, whole = options.whole,
      })
      if result.failed then
        fail(result)
      end
      stdout:write(concat(result.output))
      local why = reason(result)
      if why then
        trials.postpone(why)
        return
      end
    end
  end
end

return tests
