--- The commands of the prompt: `:name argument`.

local core = require "neap.prompt.core"
local host = require "neap.host"
local show = require "neap.repl.show"
local syntax = require "neap.repl.syntax"
local task = require "neap.task"
local tracers = require "neap.trace.core"

local harmless = host.harmless
local format, concat = string.format, table.concat

local commands = {}

--- How long a profile is, where that is not said; and bytes that are allocated from one
--- sample to the next.
local SECONDS, HEAP_STEP = 10, 16 * 1024

---@class neap.repl.Command
---@field argument string?  what it takes, for `:help`
---@field text string  what it does, for `:help`
---@field run fun(session: neap.repl.Session, rest: string): boolean?  true: it has begun
--- a job, which tells when the prompt may come

---@type table<string, neap.repl.Command>
local all = {}

--- A module that may not be there, and what it gives as text.
local function text_of(module, name, ...)
  local ok, lists = pcall(require, module)
  local f = ok and (name and lists[name] or lists)
  if not f then
    return format("%s is not there\n", module)
  end
  local good, text = pcall(f, ...)
  return good and text or format("error: %s\n", text)
end

local function with_newline(text)
  return string.find(text, "\n$") and text or text .. "\n"
end

all.help = {
  text = "this list",
  run = function(session)
    session:print(commands.help(session), false, true)
  end,
}

all.jobs = {
  text = "inputs that are still running",
  run = function(session)
    for _, job in ipairs(session.jobs) do
      local first = string.match(job.text, "^[^\n]*")
      session:say("[%d]  %6.1f s  %s", job.id, session.now() - job.began, first)
    end
  end,
}

--- The job that is meant: a number, or the newest one.
local function job_of(session, rest)
  local id = tonumber(string.match(rest, "^%[?(%d+)%]?$"))
  local job = id and session:find(id) or rest == "" and session.jobs[#session.jobs]
  if not job then
    session:say("there is no such job; :jobs lists them")
  end
  return job
end

all.fg = {
  argument = "[N]",
  text = "wait for a job, as if it had not been in the background",
  run = function(session, rest)
    local job = job_of(session, rest)
    if job then
      session:bring(job)
      return true
    end
  end,
}

all.kill = {
  argument = "[N]",
  text = "cancel a job",
  run = function(session, rest)
    local job = job_of(session, rest)
    if job then
      core.preempt(job.task)
    end
  end,
}

--- The task that is meant.
local function task_of(session, rest)
  local id = math.tointeger(tonumber(string.match(rest, "^%d+$")))
  local found = id and task.get(id)
  if not found then
    session.failed = true
    session:say("there is no such task; :ps lists them")
  end
  return found
end

all.cancel = {
  argument = "ID",
  text = "cancel a task, also one that computes",
  run = function(session, rest)
    local found = task_of(session, rest)
    if not found then
      return
    elseif host.task(found).status == "computing" then
      core.preempt(found)
    else
      found:cancel()
    end
  end,
}

all.bt = {
  argument = "[ID]",
  text = "where a task is: its stack; or each task's",
  run = function(session, rest)
    if rest == "" then
      return session:print(with_newline(text_of("neap.repl.lists", "stacks")), false, true)
    end
    local found = task_of(session, rest)
    if found then
      session:print(with_newline(host.stack(found)))
    end
  end,
}

all.bg = {
  argument = "CODE",
  text = "run code in the background (as does a & behind it)",
  run = function(session, rest)
    if rest == "" then
      session:say("code is expected behind :bg")
      return
    end
    session:evaluate(syntax.background(rest), true)
    return true
  end,
}

local function run_code(session, code, wrap)
  local f = session:compile(code)
  if not f then
    return false
  end
  session:run(code, wrap(f), {keep = true})
  return true
end

all.time = {
  argument = "CODE",
  text = "run code, and tell how long it took",
  run = function(session, rest)
    return run_code(session, rest, function(f)
      return function()
        local clock, began = os.clock(), session.now()
        local _ <close> = setmetatable({}, {__close = function()
          session:say("%.6f s, of which %.6f s of processor time", session.now() - began, os.clock() - clock)
        end})
        return f()
      end
    end)
  end,
}

local function dump(bytes)
  local lines = {}
  for at = 1, #bytes, 16 do
    local part = string.sub(bytes, at, at + 15)
    local hex = string.gsub(part, ".", function(c)
      return format("%02x ", string.byte(c))
    end)
    lines[#lines + 1] = format("%08x  %-49s %s\n", at - 1, string.sub(hex, 1, 24) .. " " .. string.sub(hex, 25),
      (string.gsub(part, "[^ -~]", ".")))
    if #lines == 256 and at + 16 <= #bytes then
      lines[#lines + 1] = format("(%d bytes more)\n", #bytes - at - 15)
      break
    end
  end
  return concat(lines)
end

all.hex = {
  argument = "CODE",
  text = "the bytes of a string",
  run = function(session, rest)
    return run_code(session, rest, function(f)
      return function()
        local value = f()
        session:print(dump(type(value) == "string" and value or tostring(value)), false, true)
      end
    end)
  end,
}

all.load = {
  argument = "FILE",
  text = "run a file of Lua: statements, no bare expressions; its globals stay",
  run = function(session, rest)
    local f, err = loadfile(rest, "t", session.env)
    if not f then
      session:print(show.failure(err, nil, session.columns, session.colour))
      return
    end
    session:run(":load " .. rest, f, {keep = true})
    return true
  end,
}

all.reload = {
  argument = "MODULE",
  text = "load a module anew; what has the old one keeps it",
  run = function(session, rest)
    session:run(":reload " .. rest, function()
      local old = package.loaded[rest]
      package.loaded[rest] = nil
      local ok, module = pcall(require, rest)
      if not ok then
        package.loaded[rest] = old
        error(module, 0)
      end
      for name, value in pairs(session.env) do
        if value == old and old ~= nil and old ~= true then
          session.env[name] = module
        end
      end
      return module
    end, {keep = true})
    return true
  end,
}

all.save = {
  argument = "FILE",
  text = "write this session's inputs to a file, as typed: also what :load cannot read",
  run = function(session, rest)
    local file, err = io.open(rest, "w")
    if not file then
      session:print(show.failure(err, nil, session.columns, session.colour))
      return
    end
    local n = 0
    for _, text in ipairs(session.inputs) do
      if not string.find(text, "^%s*:") then
        file:write(text, "\n")
        n = n + 1
      end
    end
    local ok, why = file:close()
    session:print(ok and format("%d inputs are in %s\n", n, rest)
      or show.failure(why, nil, session.columns, session.colour))
  end,
}

all.doc = {
  argument = "NAME",
  text = "what a function does",
  run = function(session, rest)
    session:print(with_newline(commands.doc(session, rest)), false, true)
  end,
}

all.ps = {
  text = "all tasks, and what they wait for",
  run = function(session)
    session:print(with_newline(text_of("neap.repl.lists", "ps", {columns = session.columns})), false, true)
  end,
}

all.socks = {
  text = "all sockets",
  run = function(session)
    session:print(with_newline(text_of("neap.repl.lists", "socks", {columns = session.columns})), false, true)
  end,
}

--- Look for some seconds: a number, and perhaps "folded", which leaves the text as
--- flame graphs are made of it.
local function measure(session, name, rest, bytes)
  local seconds, folded = string.match(rest, "^([%d.]*)%s*(%a*)$")
  local n = seconds == "" and SECONDS or tonumber(seconds or "")
  if not n or n <= 0 or n > 86400 or folded ~= "" and folded ~= "folded" then
    session:say("seconds are expected behind :%s, and perhaps folded", name)
    session.failed = true
    return
  end
  local profile = require "neap.repl.profile"
  session:run(format(":%s %s", name, rest), function()
    session.enough = task.event()
    local _ <close> = setmetatable({}, {__close = function()
      session.enough = nil
    end})
    local text = profile.run(n, bytes, session.enough)
    session:print(folded ~= "" and text or profile.table(text, bytes and "bytes" or "samples"))
  end, {tells = true})
  return true
end

all.profile = {
  argument = "[SECONDS]",
  text = "where processor time goes, from now on for 10 s, so many, or until ^C",
  run = function(session, rest)
    return measure(session, "profile", rest)
  end,
}

all.heap = {
  argument = "[SECONDS]",
  text = "Lua's values by type; or where memory is allocated, for so many seconds",
  run = function(session, rest)
    if rest ~= "" then
      return measure(session, "heap", rest, HEAP_STEP)
    end
    session:run(":heap", function()
      session:print(require "neap.repl.heap".text())
    end)
    return true
  end,
}

all.trace = {
  argument = "[on|off|FILE]",
  text = "show what sockets do, or write it to a file.pcapng; alone: the traces that run",
  run = function(session, rest)
    commands.trace(session, rest)
  end,
}

--- Those of a session: its own are before the others.
local function of(session)
  return session.commands and setmetatable(session.commands, {__index = all}) or all
end

local function names_of(session)
  local names = {}
  for name in pairs(all) do
    names[#names + 1] = name
  end
  for name in pairs(session.commands or {}) do
    names[#names + 1] = not all[name] and name or nil
  end
  table.sort(names)
  return names
end

--- The text of `:help`.
---@param session neap.repl.Session
---@return string
function commands.help(session)
  local names, known = names_of(session), of(session)
  local lines = {
    "An input is Lua; an expression prints its values. It runs as a task: ^C ends it,",
    "and a & behind it lets it run in the background. _ and _1, _2, ... are the last",
    "results, _err the last error. ^D, exit and quit leave. Commands:",
  }
  for _, name in ipairs(names) do
    local head = ":" .. name .. (known[name].argument and " " .. known[name].argument or "")
    lines[#lines + 1] = format("  %-15s %s", head, known[name].text)
  end
  return concat(lines, "\n") .. "\n"
end

--- What is known of a name or a value.
---@param session neap.repl.Session
---@param what any
---@return string
function commands.doc(session, what)
  local ok, doc = pcall(require, "neap.repl.doc")
  local good, text = false, nil
  if ok then
    good, text = pcall(type(doc) == "table" and doc.doc or doc, what, session.env)
  end
  return good and text or format("nothing is known of %s", tostring(what))
end

--- A trace that runs, in a line.
local function about_trace(row)
  local to = row.path and "to " .. harmless(row.path) or row.prompt and "to stderr" or "for a script or a prompt"
  return format("%d  %s %s, %d events%s", row.id, row.form, to, row.count,
    row.dropped > 0 and format(", %d of them dropped", row.dropped) or "")
end

local function list_traces(session)
  local running = tracers.list()
  for _, row in ipairs(running) do
    session:say("%s", about_trace(row))
  end
  if #running == 0 then
    session:say("no trace runs")
  end
end

local function has_trace(session)
  return session.tracer ~= nil and not session.tracer.stopped
end

--- End a trace: that of a number; else this session's own, or the only one.
local function end_trace(session, which)
  local running = tracers.list()
  local done, err
  if which == "" and has_trace(session) then
    done, err = session.tracer:stop()
  elseif which == "" and #running > 1 then
    session.failed = true
    return session:say "there are several: :trace lists them, :trace off N ends one"
  else
    local id = which == "" and running[1] and running[1].id or math.tointeger(tonumber(which))
    done, err = tracers.stop(id or 0)
  end
  if err then
    session:print(show.failure(err, nil, session.columns, session.colour))
  elseif not done then
    session.failed = session.failed or which ~= ""
    return session:say(which == "" and "no trace runs" or "there is no such trace; :trace lists them")
  end
  session:say "the trace is off"
end

function commands.trace(session, rest)
  local word, filter = string.match(rest, "^(%S*)%s*(.-)$")
  if word == "" then
    return list_traces(session)
  elseif word == "off" then
    return end_trace(session, filter)
  elseif has_trace(session) then
    end_trace(session, "")
  end
  local trace = require "neap.trace"
  local opts = {}
  if string.find(word, "%.pcapng$") then
    opts.to = word
  else
    filter = word == "on" and filter or rest
    if session.remote then
      opts.format, opts.colour = "text", session.colour
      function opts.to(lines)
        session:print(with_newline(lines))
      end
    end
  end
  opts.filter = filter ~= "" and filter or nil
  local good, tracer, err = pcall(trace.start, opts)
  if good and tracer then
    session.tracer = tracer
    session:say("the trace is on; :trace off ends it")
  else
    session.failed = true
    session:print(show.failure(good and err or tracer, nil, session.columns, session.colour))
  end
end

--- Let inputs call `help(f)`.
---@param session neap.repl.Session
function commands.install(session)
  function session.help(...)
    local text = select("#", ...) == 0 and commands.help(session) or commands.doc(session, (...))
    session:print(with_newline(text), false, true)
  end
  if rawget(_G, "help") == nil then
    rawset(session.env, "help", session.help)
  end
end

--- The names of all commands, for completion.
---@param session neap.repl.Session
---@return string[]
function commands.names(session)
  local names = names_of(session)
  for i, name in ipairs(names) do
    names[i] = ":" .. name
  end
  return names
end

--- What a command does, in a line.
---@param session neap.repl.Session
---@param name string  as `commands.names` has it
---@return string
function commands.about(session, name)
  return of(session)[string.sub(name, 2)].text
end

--- Run a command; a beginning of its name that fits no other will do.
---@param session neap.repl.Session
---@param name string
---@param rest string
function commands.run(session, name, rest)
  local known = of(session)
  local found = known[name]
  if not found then
    for _, full in ipairs(names_of(session)) do
      if string.sub(full, 1, #name) == name and name ~= "" then
        found = not found and known[full] or nil
        if not found then
          break
        end
      end
    end
  end
  if not found then
    session.failed = true
    session:say("there is no command :%s; :help lists them", name)
  end
  if not found or not found.run(session, rest) then
    session:send {kind = "ready"}
  end
end

return commands
