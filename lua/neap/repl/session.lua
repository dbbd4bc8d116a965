--- A session: where inputs run. It has no terminal; a front end sends it messages
--- (neap.repl.wire) over a stream, and is sent what to print.
---
--- Every input is a task. The session's variables (`local` at the prompt, `_`,
--- the short names) are fields of its environment, behind which the globals are;
--- what an input assigns without `local` is a global, as everywhere.
---
--- To it:   hello {columns, colour}, input {text}, interrupt, complete {id, text, cursor},
---          preview {id, text}, size {columns}, leave, look {tasks, sockets: ids}, enough
--- From it: welcome {pid, script}, print {text, fresh, page: it may be long}, ready {failed: an input has},
---          running {seconds, what}, completion {id, ...}, preview {id, text}, figures,
---          rows {tasks, sockets}, bye {left: it was asked to}

local core = require "neap.prompt.core"
local commands = require "neap.repl.commands"
local connections = require "neap.repl.core"
local host = require "neap.host"
local inspecting = require "neap.repl.show"
local preview = require "neap.repl.preview"
local syntax = require "neap.repl.syntax"
local task = require "neap.task"
local wire = require "neap.repl.wire"

local xpcall = xpcall
local pack, unpack, concat, format = table.pack, table.unpack, table.concat, string.format

--- It is told twice in a second that an input runs: looked at more often, of what it
--- computes in its thread's own time, for others have the processor, too.
local TOLD, LOOK = 0.4, 0.25

local SHORT = {"net", "task", "time", "signal", "process", "stdio"}

---@class neap.repl.Session
---@field env table  what inputs see
---@field jobs neap.repl.Job[]  those that have not ended
---@field columns integer
---@field colour boolean
---@field asks boolean?  leaving ends what runs: that is asked for once
---@field help function?  the one that inputs have by that name
---@field inputs string[]  what was run, for `:save`
---@field commands table<string, neap.repl.Command>?  its own, before those of all
local Session = {}
Session.__index = Session

---@class neap.repl.Job
---@field id integer
---@field text string
---@field task neap.Task
---@field began number
---@field background boolean
---@field names string[]?  what it declares
---@field tells boolean?  ^C is the session's: the job tells what it has

--- Variables of the session, before the globals.
local function environment()
  local declared = {}
  local env = setmetatable({}, {
    __index = _G,
    __newindex = function(env, name, value)
      if declared[name] then
        rawset(env, name, value)
      else
        _G[name] = value
      end
    end,
  })
  return env, declared
end

---@class neap.repl.SessionOptions
---@field stream neap.Stream  to the front end
---@field remote boolean?  the front end is another process's: what inputs print goes there
---@field now fun(): number

---@param options neap.repl.SessionOptions
---@return neap.repl.Session
function Session.new(options)
  local self = setmetatable({
    stream = options.stream,
    remote = options.remote,
    now = options.now,
    jobs = {},
    inputs = {},
    count = 0,
    columns = 80,
    colour = false,
    outbox = task.channel(64),
    busy = task.event(),
  }, Session)
  self.env, self.declared = environment()
  for _, name in ipairs(SHORT) do
    local ok, module = pcall(require, "neap." .. name)
    if ok then
      rawset(self.env, name, module)
    end
  end
  if options.remote then
    self:redirect()
  end
  commands.install(self)
  return self
end

--- What an attached prompt prints is for its own terminal.
function Session:redirect()
  local function say(...)
    local parts = pack(...)
    for i = 1, parts.n do
      parts[i] = tostring(parts[i])
    end
    self:print(concat(parts, "\t") .. "\n")
  end
  rawset(self.env, "print", say)
  local theirs = rawget(_G, "io") -- whole, as `io` in here is not
  theirs = type(theirs) == "table" and theirs or {}
  rawset(self.env, "io", setmetatable({
    write = function(...)
      self:print(concat({...}))
      return theirs.stdout
    end,
  }, {__index = theirs, __newindex = theirs}))
end

--- Give a name a value that only this session sees.
function Session:set(name, value)
  self.declared[name] = true
  rawset(self.env, name, value)
end

--
-- To the front end. Messages leave in their order, by one task; when the front end
-- does not take them, the session waits, and what it was told to print with it.
--

function Session:send(message)
  if message.kind == "ready" then
    message.failed = self.failed
  end
  if not self.closed then
    self.outbox:send(message)
  end
end

--- Print; `fresh`: on a line of its own. Whatever is in the text, colours are all that
--- it does to the terminal.
---@param text string
---@param fresh? boolean
---@param page? boolean  it may be long: a window of it at a time
function Session:print(text, fresh, page)
  if text == "" then
    return
  end
  self:send {kind = "print", text = host.harmless(text, true), fresh = fresh, page = page}
end

function Session:say(...)
  self:print(format(...) .. "\n")
end

local function writer(self)
  for message in self.outbox:each() do
    if not wire.send(self.stream, message) then
      self.closed = true
      self.stream:close()
      return
    end
  end
end

--
-- Running
--

local function is_ours(source)
  return string.find(source, "^=neap%.") ~= nil
end

--- The frames of the input's own code, as debug.traceback writes them.
local function traceback()
  local lines = {}
  local level = 3
  while true do
    local info = debug.getinfo(level, "Slnf")
    if not info or info.func == xpcall then
      break
    end
    local is_error = info.what == "C" and (info.name == "error" or info.name == "assert")
    if not is_ours(info.source) and not (is_error and #lines == 0) then
      local where = info.currentline > 0 and format("%s:%d:", info.short_src, info.currentline)
        or info.short_src .. ":"
      local what = info.what == "main" and "the input"
        or info.name and format("%s '%s'", info.namewhat ~= "" and info.namewhat or "function", info.name)
        or format("a function of line %d", info.linedefined)
      lines[#lines + 1] = format("  %s in %s", where, what)
      if #lines > 20 then
        lines[#lines + 1] = "  ..."
        break
      end
    end
    level = level + 1
  end
  return lines
end

--- One frame says no more than the message does.
local function handler(err)
  local lines = traceback()
  return {error = err, trace = #lines > 1 and concat(lines, "\n") or nil}
end

local function find_job(self, id)
  for i, job in ipairs(self.jobs) do
    if job.id == id then
      return job, i
    end
  end
end

Session.find = find_job

local function results_of(self, results)
  for i = 1, math.max(results.n, self.results or 0) do
    self:set("_" .. i, results[i])
  end
  self.results = results.n
  self:set("_", results[1])
end

--- What a job gave, as text.
local function render(self, job, ok, results)
  if not ok then
    local failure = results[1]
    local head = job.background and format("[%d] failed: ", job.id) or ""
    return head .. inspecting.failure(failure.error, failure.trace, self.columns, self.colour)
  end
  local text = inspecting.results(results, self.columns, self.colour)
  if job.background then
    return format("[%d] done%s\n", job.id, text ~= "" and ": " .. string.gsub(text, "\n$", "") or "")
  end
  return text
end

--- The visitor's death ends its job, also one that never waits.
local function guard(self, job)
  local fd = self.stream.fd
  if not fd then
    return
  end
  local _, err = connections.guard(fd, job ~= nil)
  if job and err and err.code == "EPIPE" then
    core.preempt(job.task)
  end
end

--- The job of the foreground, or none: the prompt may come.
local function foreground(self, job)
  self.front = job
  if job then
    self.busy:set()
  else
    self.busy:clear()
  end
  if self.remote then
    guard(self, job)
  else
    core.foreground(job and not job.tells and job.task or nil)
    core.look(job and LOOK)
  end
end

--- What Lua raises.
local NO_MEMORY = "not enough memory"

local function keep_results(self, job, ok, results)
  if not ok then
    self:set("_err", results[1].error)
    self.failed = true
    if results[1].error == NO_MEMORY then -- what fills it: else each later input fails, too
      for _, name in ipairs(job.names or {}) do
        self:set(name, nil)
      end
    end
  elseif job.keep then
    results_of(self, results)
  end
end

--- A job has ended; without a text, for it was cancelled.
local function ended(self, job, ok, results, text)
  local _, at = find_job(self, job.id)
  table.remove(self.jobs, at)
  if self.after then
    self.after()
  end
  if text then
    keep_results(self, job, ok, results)
    self:print(text, true, not job.background)
  else
    self:say(job.background and "[%d] cancelled" or "\ncancelled", job.id)
  end
  if self.front == job then
    foreground(self, nil)
    self:send {kind = "ready"}
  end
end

local function keep(ok, ...)
  core.spend(true)
  return ok, pack(...)
end

--- Its own code has no memory that is kept for the prompt.
local function attempt(f)
  core.spend(false)
  return f()
end

--- The body of a job. What it gives is made text in here, for that may take long
--- (an error's __tostring is the user's code); it is told by another task, for this
--- one may be cancelled.
local function body(self, job, f)
  local ok, results, text
  local _ <close> = setmetatable({}, {__close = function()
    core.spend(true)
    core.daemon(ended, self, job, ok, results, text)
  end})
  if self.before then
    self.before()
  end
  ok, results = keep(xpcall(attempt, handler, f))
  if not ok and type(results[1]) ~= "table" then -- a lack of memory, for which Lua calls no handler
    results[1] = {error = results[1]}
  end
  task.yield() -- what it has begun is under way when it is shown
  text = render(self, job, ok, results)
end

--- Run a function as a job.
---@param text string  what it is called
---@param f function
---@param options? {background: boolean?, keep: boolean?, tells: boolean?, names: string[]?}
---@return neap.repl.Job
function Session:run(text, f, options)
  options = options or {}
  self.count = self.count + 1
  local job = {
    id = self.count, text = text, began = self.now(), keep = options.keep,
    background = options.background or false, tells = options.tells,
    names = options.names,
  }
  job.task = core.daemon(body, self, job, f)
  job.task.name = format("input %d", job.id)
  self.jobs[#self.jobs + 1] = job
  if job.background then
    self:say("[%d] runs in the background", job.id)
    self:send {kind = "ready"}
  else
    foreground(self, job)
  end
  return job
end

--- Make a function of an input; or tell what is wrong with it.
---@param text string
---@return function?
---@return string[]? names  that it declares
function Session:compile(text)
  local f, names = syntax.compile(text, format("=[%d]", self.count + 1), self.env)
  if not f then
    self:set("_err", names)
    self.failed = true
    self:print(inspecting.failure(names, nil, self.columns, self.colour))
    return nil
  end
  for _, name in ipairs(names) do
    self.declared[name] = true
  end
  return f, names
end

--- Run a text.
---@param text string
---@param background? boolean
function Session:evaluate(text, background)
  local f, names = self:compile(text)
  if f then
    self:run(text, f, {background = background, keep = true, names = names})
  else
    self.count = self.count + 1
    self:send {kind = "ready"}
  end
end

--- How many sockets listen.
local function listeners()
  local n = 0
  for _, row in ipairs(host.sockets(1000)) do
    n = n + (row.state == "listening" and 1 or 0)
  end
  return n
end

local function count(n, what)
  return n > 0 and format("%d %s%s", n, what, n == 1 and "" or "s") or nil
end

--- Leave; what would end with it is told first, once.
local function leave(self)
  local jobs = self.asks and count(#self.jobs, "job")
  local open = self.asks and count(listeners(), "listener")
  if (jobs or open) and not self.asked then
    self.asked = true
    self:say("%s: leaving once more ends %s", jobs and open and jobs .. " and " .. open or jobs or open,
      #self.jobs + listeners() == 1 and "it" or "them")
    return self:send {kind = "ready"}
  end
  self:send {kind = "bye", left = true}
end

--- What is done at a word alone that is no variable.
local words = {exit = leave, quit = leave}

function words.help(self)
  commands.run(self, "help", "")
end

--- Is it no variable, or the prompt's own `help`?
local function is_free(self, name)
  local value = rawget(self.env, name)
  return rawget(_G, name) == nil and (value == nil and not self.declared[name] or name == "help" and value == self.help)
end

local function input(self, text)
  self.inputs[#self.inputs + 1] = text
  local word = string.match(text, "^%s*(%a+)%s*$")
  if words[word] and is_free(self, word) then
    return words[word](self)
  end
  self.asked = false
  local name, rest = string.match(text, "^%s*:(%a*)%s*(.-)%s*$")
  if name then
    return commands.run(self, name, rest)
  end
  local code, background = syntax.background(text)
  if string.find(code, "%S") then
    self:evaluate(code, background)
  else
    self:send {kind = "ready"}
  end
end

--- Wait for a background job.
function Session:bring(job)
  job.background = false
  foreground(self, job)
end

--
-- Messages
--

local handlers = {}

function handlers.hello(self, message)
  self.columns = tonumber(message.columns) or 80
  self.colour = message.colour == true
  if self.before then
    self.before()
  end
  self:send {kind = "ready"}
end

handlers.size = function(self, message)
  self.columns = tonumber(message.columns) or self.columns
end

function handlers.input(self, message)
  input(self, tostring(message.text))
end

handlers.leave = leave

--- A profile that is being made is to end, and tells what it has.
function handlers.enough(self)
  if self.enough then
    self.enough:set()
    self.enough = nil
  end
end

--- ^C: what tells what it has is asked for it first.
function handlers.interrupt(self)
  if self.enough then
    self:print "\n" -- behind what the terminal shows of ^C
    handlers.enough(self)
  elseif self.front then
    core.preempt(self.front.task)
  end
end

--- What `neap top` shows: figures, or some rows.
function handlers.look(self, message)
  self.figures = self.figures or require "neap.repl.figures".open()
  self:send(self.figures:answer(message))
end

--- The names of commands that begin so.
local function complete_command(self, text, cursor)
  local word = string.match(text, "^%s*(:%a*)$")
  if not word or cursor <= #text then
    return nil
  end
  local candidates = {}
  for _, name in ipairs(commands.names(self)) do
    if string.sub(name, 1, #word) == word then
      candidates[#candidates + 1] = {text = name, kind = "command", doc = commands.about(self, name)}
    end
  end
  local common = candidates[1] and candidates[1].text or word
  for _, c in ipairs(candidates) do
    while string.sub(c.text, 1, #common) ~= common do
      common = string.sub(common, 1, -2)
    end
  end
  return {first = #text - #word + 1, candidates = candidates, common = common}
end

function handlers.complete(self, message)
  local found = complete_command(self, message.text, message.cursor)
  local ok, complete = pcall(require, "neap.repl.complete")
  if ok and not found then
    ok, found = pcall(complete, message.text, message.cursor, self.env)
  end
  found = ok and found or {first = message.cursor, candidates = {}, common = ""}
  self:send {
    kind = "completion", id = message.id, first = found.first, common = found.common,
    candidates = {unpack(found.candidates, 1, math.min(#found.candidates, 200))},
    total = #found.candidates + (found.more or 0),
  }
end

function handlers.preview(self, message)
  local ok, text = pcall(preview.of, message.text, self.env)
  if ok and text then
    self:send {kind = "preview", id = message.id, text = text}
  end
end

--- A child may have the terminal, and a screen of its own there.
local A_CHILD = "wait for a child"

--- Tell the front end how long the input has been running.
local function ticker(self)
  local told = 0
  while true do
    self.busy:wait()
    task.sleep(LOOK)
    local job, now = self.front, self.now()
    local what = job and inspecting.waiting(job.task)
    if job and what ~= A_CHILD and now - job.began > TOLD and now - told > TOLD then
      told = now
      self:send {kind = "running", seconds = now - job.began, what = what}
    end
    if job and not self.remote then
      core.look(LOOK)
    end
  end
end

--- A mistake of ours: tell it, and go on.
local function fail(self, message, err)
  if type(err) == "table" and err.code == "ECANCELED" then
    error(err, 0)
  end
  self:print("neap: the prompt has failed: " .. tostring(err) .. "\n", true)
  if message.kind == "input" and not self.front then
    self:send {kind = "ready"}
  end
end

--- Serve the front end until it leaves. What runs in the foreground then is
--- cancelled; background jobs go on. A visitor's trace ends, too.
---@async
function Session:serve()
  core.spend(true)
  core.reserve(true)
  local _ <close> = setmetatable({}, {__close = function()
    core.reserve(false)
    if self.figures then
      self.figures:close()
    end
    if self.remote and self.tracer then
      self.tracer:stop()
    end
  end})
  task.scope(function(scope)
    scope:spawn(writer, self).name = "prompt output"
    scope:spawn(ticker, self).name = "prompt clock"
    while true do
      local message = wire.receive(self.stream)
      local handle = message and handlers[message.kind]
      if not handle then
        break
      end
      local ok, err = pcall(handle, self, message)
      if not ok then
        fail(self, message, err)
      end
    end
    self.closed = true
    self.outbox:close()
    self.enough = nil
    handlers.interrupt(self)
    scope:cancel()
  end)
end

return Session
