--- busted inside neap: what `neap test [busted's arguments]` runs.
---
--- A spec is busted's as everyone knows it (`describe`, `it`, `assert`, every
--- option and output of its command line), and its functions run in a task: an
--- `it` may do all that a script may. The default path is `spec`, a file
--- `.busted` is read. What neap adds is in files of their own: tests in scopes, with a
--- limit of time (`trials`), files in processes (`parts`), and `coverage`.
---
--- busted itself is a package of its own (Debian: lua-busted) and unchanged.

local task = require "neap.task"
local trials = require "neap.test.trials"

---@class neap.test
local test = {}

--- What os.exit raises while busted runs: it must not end the process from
--- within a task, with nothing closed.
local Exit = {__name = "neap.test.exit"}

function Exit:__tostring()
  return string.format("os.exit(%s) was called in a test", self.code)
end

local function exit(code)
  local status = code == nil and true or code
  if status == true or status == false then
    status = status and 0 or 1
  end
  error(setmetatable({code = status}, Exit), 0)
end

--- busted restores package.loaded after each file, so that each loads its
--- modules anew. neap's own stay as they are: they share the host's state.
local function keep_modules(busted)
  local pop = busted.context.pop
  function busted.context.pop()
    local ours = {}
    for name, module in pairs(package.loaded) do
      if type(name) == "string" and string.find(name, "^neap%f[.\0]") then
        ours[name] = module
      end
    end
    pop()
    for name, module in pairs(ours) do
      package.loaded[name] = module
    end
  end
end

--- What neap was called as: a spec that starts another one looks below arg[0].
local function executable(arg)
  local least = 0
  while arg and arg[least - 1] do
    least = least - 1
  end
  return arg and arg[least]
end

-- The options that are not busted's

local function seconds(text)
  local value = tonumber(text)
  return value and value > 0 and value
end

local function count(text)
  local value = math.tointeger(tonumber(text))
  return value and value > 0 and value
end

local function text_of(text)
  return text
end

--- 7, 0x1f or 3-9.
local function seeds(text)
  local first, last = string.match(text or "", "^(%w+)%-(%w+)$")
  first, last = math.tointeger(tonumber(first or text)), math.tointeger(tonumber(last or text))
  return first and last and first <= last and {first, last}
end

local JOBS = {"jobs", count, "a number of files"}
local COVERAGE = {"coverage"}
local HELP = {"help"}

--- By its name what an option sets, how its value is read (nil: it has none), and what
--- that is.
local OPTIONS = {
  ["--timeout"] = {"timeout", seconds, "a number of seconds"},
  ["-j"] = JOBS, ["--jobs"] = JOBS,
  ["--sim-seed"] = {"seeds", seeds, "a seed, or the first and the last one,"},
  ["-c"] = COVERAGE, ["--coverage"] = COVERAGE,
  ["-h"] = HELP, ["--help"] = HELP,
  ["--part"] = {"part", text_of, "what the first process says"},
}

local USAGE = [[
options of neap test, before those of busted:
  --timeout=SECONDS  for each test, setup, ...: 10, or NEAP_TEST_LIMIT
  -j N, --jobs=N     so many files at a time, each in a process of its own
  --sim-seed=SEED    of tests in a simulated world: this one, or FIRST-LAST
  -c, --coverage     which lines have run: a report, and lcov.info

]]

--- Our options out of the arguments, and what is left for busted; nil and what is wrong.
local function take_options(args)
  local options, rest = {}, {}
  local i = 1
  while i <= #args do
    local name, value = string.match(args[i], "^(%-%-[%w-]+)=(.*)$")
    if string.find(args[i], "^%-j.") then
      name, value = "-j", string.sub(args[i], 3)
    end
    name = name or args[i]
    local option = OPTIONS[name]
    if not option then
      rest[#rest + 1] = args[i]
    elseif not option[2] then
      options[option[1]] = true
    else
      if not value then
        i = i + 1
        value = args[i]
      end
      options[option[1]] = option[2](value)
      if not options[option[1]] then
        return nil, string.format("%s: %s expected, got %s", name, option[3], value or "nothing")
      end
    end
    i = i + 1
  end
  return options, rest
end

--- Ours, and busted's, which for it is an error with a hint at --help.
local function usage()
  local cli = require "busted.modules.cli" {standalone = false}
  cli:set_name "neap test"
  local _, text = cli:parse {"--help"}
  text = string.gsub(string.gsub(text, "^neap test: error: ", ""), "; re%-run with %-%-help for usage%.$", "")
  return USAGE .. text .. "\n"
end

-- Parts of busted in the place of its own, for as long as it runs

local replaced = {}

local function replace(name, module)
  replaced[name] = replaced[name] or require(name)
  package.loaded[name] = module
end

local function put_back()
  for name, module in pairs(replaced) do
    package.loaded[name] = module
  end
end

local function nothing()
  return true
end

--- What runs the files in processes of their own (-j): no test runs here.
local function set_pool(busted, options)
  local pool = require "neap.test.parts".pool(busted, {
    jobs = options.jobs, program = executable(options.arg), args = options.rest,
    folder = require "lfs".currentdir(),
  })
  local register = busted.register
  function busted.register(descriptor, executor, ...)
    if type(executor) == "function" and descriptor == "file" then
      executor = pool.file
    end
    return register(descriptor, executor, ...)
  end
  replace("busted.modules.helper_loader", function()
    return nothing
  end)
  return pool
end

--- What runs one file, for such another: no output but events.
local function set_part(busted, options)
  local parts = require "neap.test.parts"
  local path, name = parts.split(options.part)
  replace("busted.modules.output_handler_loader", function()
    return nothing
  end)
  local loader = require "busted.modules.test_file_loader"
  replace("busted.modules.test_file_loader", function(...)
    local load_files = loader(...)
    return function(_, ...)
      return load_files({name}, ...)
    end
  end)
  local execute = require "busted.execute"
  replace("busted.execute", function(...)
    local run = execute(...)
    return function(_, ...)
      return run(1, ...)
    end
  end)
  return parts.record(busted, path)
end

--- Tell what has run, of this process and of those that it has started.
local function report(pool, tests)
  local coverage = require "neap.test.coverage"
  local all = coverage.add({}, coverage.counts())
  for _, counts in ipairs(pool and pool.counts or {}) do
    coverage.add(all, counts)
  end
  local lcov, text = coverage.reports(all, tests)
  local file, err = io.open("lcov.info", "w")
  if file then
    local ok, why = file:write(lcov)
    local closed, late = file:close()
    err = (not ok or not closed) and "lcov.info: " .. (why or late)
  end
  if err then
    io.stderr:write("neap test: ", err, "\n")
  end
  io.stdout:flush()
  io.stderr:write(text)
end

--- Run busted with the arguments of its command line. Once a process.
---@param args string[]
---@return integer status  of the process: 0 when every test passed
function test.main(args)
  local options, rest = take_options(args)
  if not options then
    io.stderr:write("neap test: ", rest, "\n")
    return 1
  end
  local there, runner = pcall(require, "busted.runner")
  if not there then
    io.stderr:write("neap test: busted for Lua 5.4 is missing (Debian: lua-busted)\n", runner, "\n")
    return 1
  end
  if options.help then
    io.stdout:write(usage())
    return 0
  end

  local os <const> = _G.os -- theirs
  local old_exit, old_arg = os.exit, rawget(_G, "arg")
  options.arg, options.rest = old_arg, args
  local system = require "system"
  system.sleep = task.sleep
  local core = require "busted.core"
  local limit = options.timeout or seconds(os.getenv "NEAP_TEST_LIMIT") or 10
  local made, pool, recorded
  trials.seeds = options.seeds
  local tests = {}
  replace("busted.core", function()
    local busted = core()
    if made then -- somebody wants what it exports
      return busted
    end
    made = true
    keep_modules(busted)
    if options.jobs and not options.part then
      pool = set_pool(busted, options)
    else
      trials.set(busted, limit, system.monotime)
    end
    if options.part then
      recorded = set_part(busted, options)
    end
    busted.subscribe({"register", "file"}, function(name)
      tests[name] = true
      return nil, true
    end)
    return busted
  end)
  if options.coverage and (options.part or not options.jobs) then
    require "neap.test.coverage".start()
  end
  os.exit = exit
  rawset(_G, "arg", {[-1] = executable(old_arg), [0] = "neap test", table.unpack(rest)})
  -- busted asks who called it: a chunk of this name, and not by a tail call.
  local start = assert(load("local run = ... run {standalone = false}", "@neap test"))
  local ok, err = trials.run(xpcall, start, function(err)
    return getmetatable(err) == Exit and err or debug.traceback(tostring(err), 2)
  end, runner)
  os.exit = old_exit
  rawset(_G, "arg", old_arg)
  put_back()
  if recorded then
    recorded(options.coverage and require "neap.test.coverage".counts())
  elseif options.coverage then
    report(pool, tests)
  end

  task.yield() -- the signal has the last word
  if ok then
    return 0
  elseif getmetatable(err) == Exit then
    return err.code
  end
  error(err, 0)
end

return test
