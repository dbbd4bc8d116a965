--- Tests in homes: what `neap test` does around busted's functions.
---
--- A *home* is what tasks and sockets belong to (`runtime/sched/trial.c`). One is the
--- whole run's; one each file's and `describe`'s, for what these and their `setup` make;
--- one is opened around each `it`, for what `before_each` makes; and one in it, for the
--- test itself. They end with what they are of, and all that is still in them; a test that
--- leaves anything in its own one has failed.

local core = require "neap.test.core"
local error_object = require "neap.error"
local host = require "neap.host"
local harmless = host.harmless
local inspect_name = require "neap.repl.text".name
local task = require "neap.task"

local error, getmetatable, ipairs, pcall = error, getmetatable, ipairs, pcall
local rawequal, setmetatable, tostring, type = rawequal, setmetatable, tostring, type
local collectgarbage, rawget, xpcall = collectgarbage, rawget, xpcall
local getinfo, debug_traceback, stderr = debug.getinfo, debug.traceback, io.stderr
local find, format, gmatch, tointeger = string.find, string.format, string.gmatch, math.tointeger
local concat, insert, pack, unpack = table.concat, table.insert, table.pack, table.unpack
local loaded = package.loaded

local trials = {}

--- Lines about what is left, or waits.
local TOLD = 20

--- Seconds in which what a test has ended may go, and what is told to end.
local GOES, ENDS = 1, 1

--- An error that has its place in its text, or none.
local Note = {__name = "neap.test.note"}

function Note:__tostring()
  return self.text
end


-- What there is, as text

local function wait_text(row, awaited)
  return row.op and format(" waits for %s%s%s", row.op, awaited[row.id] and " of " .. awaited[row.id] or "",
    row.place and " at " .. row.place or "") or " is " .. row.status
end

local function task_text(row, awaited)
  local name = row.name and format(' "%s"', inspect_name(row.name)) or ""
  local text = format("task %d%s", row.id, name)
  if row.site then
    text = text .. " spawned at " .. row.site
  end
  return text .. (row.site and "," or "") .. wait_text(row, awaited)
end

local function socket_text(row)
  local _, site = core.born(row.id)
  local text = format("%s %d", row.kind, row.id)
  if row.endpoint then
    text = format("%s (%s)", text, inspect_name(row.endpoint))
  end
  return site and text .. " opened at " .. site or text
end

local function lines_text(lines)
  if #lines > TOLD then
    lines[TOLD + 1] = format("... %d more", #lines - TOLD)
  end
  return "\n  " .. concat(lines, "\n  ", 1, #lines <= TOLD and #lines or TOLD + 1)
end

--- What is alive in a home, but for connections that a client keeps: a list of sockets,
--- and lines.
local function rest(home)
  local lines, sockets = {}, {}
  if home.scope.live > 0 then
    local awaited, own = host.awaited(), task.current().id
    for _, row in ipairs(host.tasks()) do
      if row.home == home.number and row.id ~= own then
        lines[#lines + 1] = task_text(row, awaited)
      end
    end
  end
  if #host.sockets(1) > 0 then
    local connections = loaded["neap.http.connections"]
    local idle = connections and connections.idle() or {}
    for _, row in ipairs(host.sockets()) do
      if row.id and row.id > home.number and core.born(row.id) == home.number and not idle[row.id] then
        sockets[#sockets + 1] = row.id
        lines[#lines + 1] = socket_text(row)
      end
    end
  end
  return sockets, lines
end


-- Homes

local function open(lasting)
  local scope = core.open(lasting)
  return {scope = scope, number = core.number(scope)}
end

--- Did all go that was to? What has been told to end needs some turns of the loop, and
--- what the test has forgotten the collector.
local function leaks(home)
  local pause = 0
  local waited = 0
  repeat
    local _, lines = rest(home)
    if #lines == 0 then
      return
    end
    if pause > 0 then
      collectgarbage()
    end
    if not pcall(task.sleep, pause) then
      return
    end
    waited = waited + pause
    pause = pause == 0 and 0.001 or pause * 2
  until waited > GOES
  local _, lines = rest(home)
  return #lines > 0 and lines_text(lines) or nil
end

local function wait_for(scope)
  pcall(task.timeout, ENDS, scope.wait, scope)
end

--- End what is in it: tasks first, which may say goodbye.
local function close(home)
  local scope = home.scope
  if scope.live > 0 then
    scope:cancel()
    pcall(task.yield)
  end
  for _, id in ipairs((rest(home))) do
    host.reset(id)
  end
  if scope.live > 0 then
    wait_for(scope)
  end
  core.close(scope)
end


-- Failures of tasks, which end the trial

--- Those that nobody has told yet.
local failures = {}

local function take_failures()
  for _, failure in ipairs(core.failures() or {}) do
    failures[#failures + 1] = failure
    if error_object.is(failure.error) then
      failure.error.traceback = failure.trace
    end
  end
  return failures
end

local function failure_of(err)
  for _, failure in ipairs(take_failures()) do
    if rawequal(failure.error, err) then
      return failure
    end
  end
end

local function text_of(err)
  local ok, text = pcall(tostring, err)
  return ok and text or format("(error object is a %s value)", type(err))
end

--- The others, behind the one that is told.
local function more_text(told)
  local lines = {}
  for _, failure in ipairs(take_failures()) do
    if failure ~= told then
      lines[#lines + 1] = format("\nand: %s\n%s", text_of(failure.error), failure.trace)
    end
  end
  failures = {}
  return concat(lines)
end


-- Time

local now
local limit
local deadline, late

--- Where a script's code runs that has been interrupted.
local function place()
  local level = 3 -- behind trials.preempt
  local info = getinfo(level, "Sl")
  while info and (info.currentline < 0 or find(info.source, "^=") or find(info.source, "/busted/[%w_]+%.lua$")) do
    level = level + 1
    info = getinfo(level, "Sl")
  end
  return info and format("%s:%d", info.short_src, info.currentline)
end

--- What all tasks of the test wait for, and where the one that does not wait is.
local function waits(at)
  local lines, awaited = {}, host.awaited()
  for _, row in ipairs(host.tasks()) do
    if at and row.status == "running" then
      row.status = "at " .. at
    end
    if row.id == trials.tester then
      insert(lines, 1, "the test" .. wait_text(row, awaited))
    elseif row.home and row.id ~= trials.watch then
      lines[#lines + 1] = task_text(row, awaited)
    end
  end
  return lines_text(lines)
end

--- The time is up: first the test is ended, and if it goes on that is told.
local function expire(at)
  if late then
    stderr:write("neap test: a test does not end, though it was told to", waits(at), "\n")
    deadline = nil
    return
  end
  late = setmetatable({text = format("not done after %g s", limit) .. waits(at)}, Note)
  deadline = deadline + ENDS + limit
  core.limit(deadline - now(), trials.preempt)
  core.blame(late)
end

--- Called in a task that does not wait, so that the one below does not run.
function trials.preempt()
  if deadline then
    expire(place())
  end
end

--- One task for all tests: whoever begins later has a later deadline.
local function watch()
  trials.watch = task.current().id
  while true do
    local left = deadline and deadline - now() or limit
    if left > 0 then
      task.sleep(left)
    else
      expire()
    end
  end
end


-- Tests in another state

--- What has gone wrong there: its text, where, and the traceback.
local Told = {__name = "neap.test.told"}

function Told:__tostring()
  return self.text
end

--- Of an error's traceback: where luassert, or else whoever raised it, was called; and was it
--- an assertion that failed?
local function read_trace(trace)
  local failed = false
  for source, line in gmatch(trace, "\n\t([^\n:]+):(%d+): in ") do
    if find(source, "luassert[/\\]") then
      failed = true
    elseif not find(source, "^neap%.") and not find(source, "^lua/neap/") then
      return failed, source, tointeger(line)
    end
  end
  return failed
end

--- Call a function as that of an `it`, in a home of its own. Nothing, or what went wrong:
--- {error, text, trace, failed (an assertion), source, line}.
function trials.one(f, ...)
  local home = open()
  local trace
  local ok, err = xpcall(core.trial, function(err)
    trace = debug_traceback("", 2)
    return err
  end, f, ...)
  local left = ok and leaks(home)
  close(home)
  local failure = failure_of(err) or take_failures()[1]
  if ok and not left and not failure then
    return
  end
  local told = {text = left and "leaves behind:" .. left, trace = ""}
  if not left then
    told.error = failure and failure.error or err
    told.text = text_of(told.error)
    told.trace = failure and "\n" .. failure.trace or trace or ""
  end
  told.failed, told.source, told.line = read_trace(told.trace)
  return told
end

--- The element that runs, and busted; nil: no test runs.
local tester, running

--- Fail the test that runs by what has gone wrong elsewhere.
function trials.raise(told)
  setmetatable(told, Told)
  if running and told.failed then
    tester.fail(told, 0)
  end
  error(told, 0)
end

--- It is to be run another time, for this reason.
function trials.postpone(why)
  if running then
    tester.pending(why)
  end
end

--- Its file, and its name with those of what it is in; nil: no test runs.
function trials.running()
  if not running then
    return
  end
  local name = running.name
  local parent = tester.context.parent(running)
  while parent and parent.descriptor ~= "file" do
    name = parent.name and parent.name .. " " .. name or name
    parent = tester.context.parent(parent)
  end
  return parent and parent.name or "?", name
end


-- busted

--- Where the element was written, with a traceback.
local function place_of(element, traceback)
  local at = element.trace or {}
  return {
    short_src = at.short_src or tostring(element.name or "?"), currentline = at.currentline or 0,
    source = at.source or "", what = "Lua", traceback = traceback or "",
  }
end

--- Tell of an error at the spec's own line, where it was raised by a function of
--- neap that is written in Lua; of a task's, where that raised it.
local function set_traces(busted)
  local get_trace, rewrite = busted.getTrace, busted.rewriteMessage

  function busted.getTrace(element, level, message)
    local failure = failure_of(message)
    if failure then
      local trace = place_of(element, "\n" .. failure.trace)
      trace.message = message
      return trace
    end
    local told = type(message) == "table" and rawget(message, "message") or message
    if getmetatable(told) == Told then
      local trace = place_of(element, told.trace)
      trace.short_src, trace.currentline = told.source or trace.short_src, told.line or trace.currentline
      trace.message = message
      return trace
    end
    level = level or 3
    local info = getinfo(level, "S")
    while info and (info.what == "C" or find(info.source, "^=neap%.")) do
      level = level + 1
      info = getinfo(level, "S")
    end
    if not info or info.source == "@neap test" or getmetatable(message) == Note and message ~= late then
      return place_of(element)
    end
    return get_trace(element, level, message)
  end

  function busted.rewriteMessage(element, message, trace)
    local failure = failure_of(message)
    return harmless(rewrite(element, message, trace) .. more_text(failure), true)
  end
end

--- Each function of a spec is a trial: it ends when its time is up, or a task of the test
--- has failed. `finally` comes behind its `it`, and belongs to it.
local function set_trials(busted, round)
  local safe = busted.safe

  function busted.safe(descriptor, run, element)
    if run ~= element.run and descriptor ~= "finally" then
      return safe(descriptor, run, element)
    end
    if descriptor == "it" then
      round.own = open()
    end
    late, deadline, running = nil, now() + limit, element
    core.limit(limit, trials.preempt)
    local results = pack(safe(descriptor, function(...)
      return core.trial(run, ...)
    end, element))
    deadline, running = nil, nil
    core.limit()
    if not pcall(task.yield) then -- a signal has come: neither could any other run
      busted.skipAll = true
    end
    return unpack(results, 1, results.n)
  end

  --- Whether it has passed is known behind its after_each.
  local publish = busted.safe_publish
  function busted.safe_publish(descriptor, channel, element, ...)
    if round.own and channel[1] == "test" and channel[2] == "end" then
      round.ends = pack(descriptor, channel, element, ...)
      return true
    end
    return publish(descriptor, channel, element, ...)
  end

  --- An error of the element, behind its functions.
  function round.fail(element, err)
    safe(element.descriptor, function()
      error(err, 0)
    end, element)
  end

  function round.publish()
    local args = round.ends
    round.ends = nil
    if args then
      publish(unpack(args, 1, args.n))
    end
  end
end

--- What a home has left behind, as an error; nil.
local function trouble(home, element)
  local left = element and leaks(home)
  close(home)
  local failure = take_failures()[1]
  if left then
    local at = place_of(element)
    return setmetatable({text = format("%s:%d: leaves behind:%s", at.short_src, at.currentline, left)}, Note)
  end
  return failure and failure.error, failure ~= nil
end

--- Around a file or `describe`, and all that is in it.
local function holder(executor, round, lasting)
  return function(element)
    local home = open(lasting)
    executor(element)
    local err, any = trouble(home)
    if any then
      round.fail(element, err)
    end
  end
end

--- Around an `it` with what comes before and behind it.
local function around(executor, round)
  return function(element)
    local fixtures = open()
    round.own, round.ends = nil, nil
    executor(element)
    local own, passed = round.own, round.ends and round.ends[5] == "success"
    if own then
      local err, any = trouble(own, passed and element)
      if passed and (err or any) then
        round.ends[5] = "error"
        round.fail(element, err)
      end
    end
    local err, any = trouble(fixtures)
    if any and round.ends and round.ends[5] == "success" then
      round.ends[5] = "error"
      round.fail(element, err)
    end
    round.own = nil
    failures = {}
    round.publish()
  end
end

--- Change a busted that nothing has been registered with yet.
function trials.set(busted, seconds, clock)
  local round = {}
  tester = busted
  limit, now = seconds, clock
  set_traces(busted)
  set_trials(busted, round)
  local register = busted.register
  function busted.register(descriptor, executor, ...)
    if type(executor) == "function" and descriptor == "it" then
      executor = around(executor, round)
    elseif type(executor) == "function" and (descriptor == "file" or descriptor == "describe") then
      executor = holder(executor, round, descriptor == "file")
    end
    return register(descriptor, executor, ...)
  end
end

--- Call a function in which tests run.
function trials.run(f, ...)
  local home = open(true)
  trials.tester = task.current().id
  task.background(watch).name = "neap test"
  local results = pack(pcall(f, ...))
  close(home)
  if not results[1] then
    error(results[2], 0)
  end
  return unpack(results, 2, results.n)
end

return trials
