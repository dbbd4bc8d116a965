-- Runs of a world, as the process sees them that makes them: a simulation, driven in pieces, so
-- that its other tasks, and signals, have their turns between.

local around = require "neap.sim.around"
local core = require "neap.sim.core"
local errors = require "neap.error"
local sched = require "neap.task.core"

local assert, error, next, pairs, type = assert, error, next, pairs, type
local concat, format, mathtype = table.concat, string.format, math.type
local stdout = io.stdout

--- Events in a piece: some ms.
local PIECE = 2000

local runs = {}

local OPTIONS = {seed = true, args = true, limit = true, quiet = true, order = true, whole = true}

--- What a run has come to.
---@class neap.sim.Result
---@field seed integer
---@field failed string?  why
---@field time number  when it ended, seconds
---@field output string[]  what was printed
---@field reports string[][]  what the director has told: {kind, text}, ...
---@field hash integer  of all that has happened
---@field history neap.sim.History?  what it was, where it was to be kept

--- A run of `program` that has not begun.
function runs.open(program, seed, options)
  return assert(core.open(seed, program.module or program.name, program.code, program.args, program.env, {
    module = program.module ~= nil, keep = options.keep, stamp = options.stamp, limit = options.limit,
    history = options.history,
    fifo = options.order == "fifo", whole = options.whole,
  }))
end

--- One run of `program`: {kind, name, code, args}.  tell(text): what is printed, at once, or nil;
--- options.watch(messages): what has passed.
---@return neap.sim.Result
function runs.one(program, seed, options, tell)
  local run <close> = runs.open(program, seed, options)
  local output, watch = {}, options.watch
  local going
  if watch then
    run:watch()
  end
  repeat
    going = run:step(PIECE)
    local text = run:output()
    if text ~= "" then
      output[#output + 1] = text
      if tell then
        tell(text)
      end
    end
    if watch then
      watch(run:passages())
    end
    sched.yield()
  until not going
  local failed, time, hash = run:result()
  return {
    seed = seed, failed = failed, time = time, hash = hash, output = output, reports = run:reports(),
    history = options.history and run:history() or nil,
  }
end

--- What failed, in a line.
function runs.told(result)
  return format("seed 0x%x at +%.3fs: %s", result.seed, result.time, result.failed)
end

local function print_now(text)
  stdout:write(text)
  stdout:flush()
end

function runs.run(program, options)
  for name in pairs(options) do
    if not OPTIONS[name] then
      error(format("sim.run: there is no option '%s'", name), 3)
    end
  end
  local seed = options.seed or 1
  if mathtype(seed) ~= "integer" then
    error("sim.run: seed: a whole number expected", 3)
  end
  if options.order ~= nil and options.order ~= "fifo" then
    error('sim.run: order: "fifo" expected', 3)
  elseif options.whole ~= nil and type(options.whole) ~= "boolean" then
    error("sim.run: whole: true or false expected", 3)
  end
  local what = {name = program, args = options.args or {}}
  if type(program) == "function" then
    what.code, what.name = around(program, "sim.run", 3)
  elseif type(program) ~= "string" then
    error(format("sim.run: a script's path or a function expected, got %s", type(program)), 3)
  end
  if type(what.args) ~= "table" then
    error("sim.run: args: a list of strings expected", 3)
  end
  for at, argument in next, what.args do
    if mathtype(at) ~= "integer" or type(argument) ~= "string" then
      error("sim.run: args: a list of strings expected", 3)
    end
  end
  local result = runs.one(what, seed, {limit = options.limit, order = options.order, whole = options.whole},
    not options.quiet and print_now)
  if not result.failed then
    return true
  end
  local err = errors.new {code = "ESIM", op = "sim", message = runs.told(result)}
  err.output = concat(result.output)
  return nil, err
end

return runs
