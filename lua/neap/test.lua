--- busted inside neap: what `neap test [busted's arguments]` runs.
---
--- A spec is busted's as everyone knows it (`describe`, `it`, `assert`, every
--- option and output of its command line), and its functions run in a task: an
--- `it` may do all that a script may. The default path is `spec`, a file
--- `.busted` is read, and each `it`, `before_each`, `setup`, ... has a limit of
--- 10 seconds, after which it is cancelled and counts as an error. A task that fails
--- meanwhile in the program's scope (task.spawn) fails the test, and no other. The
--- environment variable NEAP_TEST_LIMIT sets another number of seconds.
---
--- busted itself is a package of its own (Debian: lua-busted) and unchanged.

local task = require "neap.task"

local trial = require "neap.prompt.core".trial

local getinfo = debug.getinfo

---@class neap.test
local test = {}

--- Functions of busted that hold others, each with a limit of its own.
local holders = {file = true, describe = true, insulate = true, expose = true}

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

--- Tell of an error at the spec's own line, where it was raised by a function of
--- neap that is written in Lua.
local function pass_over_ours(busted)
  local get_trace = busted.getTrace

  function busted.getTrace(element, level, message)
    level = level or 3
    local info = getinfo(level, "S")
    while info and (info.what == "C" or string.find(info.source, "^=neap%.")) do
      level = level + 1
      info = getinfo(level, "S")
    end
    return get_trace(element, level, message)
  end
end

--- Make busted's core cancel what takes longer than `limit` seconds, or has spawned
--- a task that failed: that is the test's failure, and not the end of all.
local function set_limit(busted, limit, now)
  local safe, rewrite = busted.safe, busted.rewriteMessage
  local deadline

  function busted.safe(descriptor, run, element)
    local whole = run ~= element.run and descriptor ~= "finally"
    if whole or holders[descriptor] then
      return safe(descriptor, run, element)
    end
    local results
    deadline = now() + limit
    task.timeout(limit, function()
      results = table.pack(safe(descriptor, function(...)
        return trial(run, ...)
      end, element))
    end)
    deadline = nil
    if not pcall(task.yield) then -- a signal has come: neither could any other run
      busted.skipAll = true
    end
    return table.unpack(results, 1, results.n)
  end

  -- The cancellation arrives here, as the error of the line that waited.
  function busted.rewriteMessage(element, message, trace)
    if deadline and now() >= deadline then
      message = string.format("not done after %g s: %s", limit, tostring(message))
    end
    return rewrite(element, message, trace)
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

--- Run busted with the arguments of its command line. Once a process.
---@param args string[]
---@return integer status  of the process: 0 when every test passed
function test.main(args)
  local there, runner = pcall(require, "busted.runner")
  if not there then
    io.stderr:write("neap test: busted for Lua 5.4 is missing (Debian: lua-busted)\n", runner, "\n")
    return 1
  end

  local system = require "system"
  system.sleep = task.sleep
  local core = require "busted.core"
  local limit = tonumber(os.getenv "NEAP_TEST_LIMIT") or 10
  package.loaded["busted.core"] = function()
    local busted = core()
    keep_modules(busted)
    pass_over_ours(busted)
    set_limit(busted, limit, system.monotime)
    return busted
  end

  local os <const> = _G.os -- theirs
  local old_exit, old_arg = os.exit, rawget(_G, "arg")
  os.exit = exit
  rawset(_G, "arg", {[-1] = executable(old_arg), [0] = "neap test", table.unpack(args)})
  -- busted asks who called it: a chunk of this name, and not by a tail call.
  local start = assert(load("local run = ... run {standalone = false}", "@neap test"))
  local ok, err = xpcall(start, function(err)
    return getmetatable(err) == Exit and err or debug.traceback(tostring(err), 2)
  end, runner)
  os.exit = old_exit
  rawset(_G, "arg", old_arg)
  package.loaded["busted.core"] = core

  task.yield() -- the signal has the last word
  if ok then
    return 0
  elseif getmetatable(err) == Exit then
    return err.code
  end
  error(err, 0)
end

return test
