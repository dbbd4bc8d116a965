--- `neap test -j N`: files that run side by side, each in a process of its own.
---
--- The first process runs busted as ever, with its output and its summary, but for the
--- files themselves: each is run by another one (`--part`), whose busted writes its *events*
--- (a test begins, ends, fails) to a file. When the file has ended, and its turn has come,
--- what it printed is printed, and its events happen again here.

local process = require "neap.process"
local task = require "neap.task"

local error, ipairs, load, next, pcall, tostring, type = error, ipairs, load, next, pcall, tostring, type
local stdout, stderr, open = io.stdout, io.stderr, io.open
local format, match = string.format, string.match
local concat, pack, unpack = table.concat, table.pack, table.unpack
local mathtype = math.type
local theirs <const> = _G.os
local remove, tmpname = theirs.remove, theirs.tmpname

local parts = {}

--- Tables in tables of an event that are told.
local DEPTH = 4


-- Events as text: a call of `e` each

local function write_value(value, deep)
  local kind = type(value)
  if kind == "table" and deep < DEPTH then
    local fields = {}
    for key, field in next, value do
      if type(key) == "string" or mathtype(key) == "integer" then
        fields[#fields + 1] = format("[%q]=%s", key, write_value(field, deep + 1))
      end
    end
    return "{" .. concat(fields, ",") .. "}"
  elseif kind == "string" or kind == "number" or kind == "boolean" then
    return format("%q", value)
  end
  return "nil"
end

local function write_values(...)
  local values = pack(...)
  for i = 1, values.n do
    values[i] = write_value(values[i], 0)
  end
  return concat(values, ", ", 1, values.n)
end


-- The process that runs a file

local told = {file = true, describe = true, test = true, failure = true, error = true, pending = true}

--- What is told of an element; those that it is in are told before.
local function element_writer(busted, write)
  local known, count = {}, 0
  local function number_of(element)
    if not element or not element.descriptor or element.descriptor == "suite" then
      return 0
    elseif not known[element] then
      local parent = number_of(busted.context.parent(element))
      count = count + 1
      known[element] = count
      write("new", count, parent)
    end
    return known[element]
  end
  return function(element)
    local n = number_of(element)
    if n > 0 then
      write("set", n, {
        descriptor = element.descriptor, name = element.name, trace = element.trace,
        starttick = element.starttick, endtick = element.endtick, starttime = element.starttime,
        endtime = element.endtime, duration = element.duration, randomseed = element.randomseed,
      })
    end
    return n
  end
end

--- Have a busted write its events to a file: what is to be called at the end.
---@param busted table
---@param path string
function parts.record(busted, path)
  local file = open(path, "w")
  if not file then
    error("--part: cannot write to " .. path, 0)
  end
  local function write(...)
    file:write("e(", write_values(...), ")\n")
  end
  local number = element_writer(busted, write)
  local publish = busted.publish
  function busted.publish(channel, element, parent, ...)
    if told[channel[1]] and channel[2] ~= "output" and channel[2] ~= "helper" then
      number(parent)
      write("event", channel, number(element), ...)
      file:flush()
    end
    return publish(channel, element, parent, ...)
  end
  return function(counts)
    write("counts", counts or {})
    file:close()
  end
end


-- The process that asks

--- Run one file in a process of its own: what it printed, its events, how it ended.
local function run(self, name)
  local path = tmpname()
  local command = {self.program, "test", "--part=" .. path .. ":" .. name, unpack(self.args)}
  command.stdin, command.cwd = "null", self.folder
  local ok, result, err = pcall(process.run, command)
  local file = open(path)
  local events = file and file:read "a" or ""
  if file then
    file:close()
  end
  remove(path)
  if not ok then
    error(result, 0)
  end
  return {result = result, err = err, events = events}
end

--- Run the files in their order, so many at a time.
local function start(self, elements)
  local places = task.semaphore(self.jobs)
  for _, element in ipairs(elements) do
    local done = task.future()
    self.runs[element] = done
    task.spawn(function()
      local _ <close> = places:acquire()
      done:set(run(self, element.name))
    end).name = element.name
  end
end

--- What has happened there happens here.
local function replay(self, element, events)
  local busted = self.busted
  local elements, over = {[0] = busted.context.parent(element)}, false
  local calls = {}

  function calls.new(n, parent)
    if parent == 0 then
      elements[n] = element
      return
    end
    elements[n] = {attributes = {}}
    busted.context.push(elements[parent])
    busted.context.attach(elements[n])
    busted.context.pop()
  end

  function calls.set(n, fields)
    for key, value in next, fields do
      elements[n][key] = value
    end
  end

  function calls.event(channel, n, ...)
    over = over or channel[1] == "file" and channel[2] == "end"
    busted.publish(channel, elements[n], busted.context.parent(elements[n]), ...)
  end

  function calls.counts(counts)
    self.counts[#self.counts + 1] = counts
  end

  local code = load(events, "=events", "t", {e = function(call, ...)
    return calls[call](...)
  end})
  if code then
    code()
  end
  return over
end

--- What a file's turn is.
local function turn(self, element)
  if not self.runs[element] then
    local list, found = {}, false
    for _, other in ipairs(self.busted.context.children(self.busted.context.parent(element))) do
      found = found or other == element
      if found and other.descriptor == "file" then
        list[#list + 1] = other
      end
    end
    start(self, list)
  end
  local done = self.runs[element]:wait()
  self.runs[element] = nil
  local result = done.result or {}
  stdout:write(result.stdout or "")
  stdout:flush()
  stderr:write(result.stderr or "")
  if not replay(self, element, done.events) then
    local why = result.signal or result.code and "status " .. result.code or tostring(done.err)
    self.busted.publish({"error", "file"}, element, self.busted.context.parent(element),
      format("%s: its process has ended with %s before its tests had", element.name, why),
      {short_src = element.name, currentline = 0, traceback = ""})
  end
end

--- Those that run files for a busted: `file` is what executes one.
---@param busted table
---@param options {jobs: integer, program: string, folder: string, args: string[]}
function parts.pool(busted, options)
  local self = {
    busted = busted, jobs = options.jobs, program = options.program, args = options.args,
    folder = options.folder, runs = {}, counts = {},
  }
  function self.file(element)
    turn(self, element)
  end
  return self
end

--- The events file and the name of the file to run, of `--part`.
---@param text string
function parts.split(text)
  return match(text, "^(.-):(.*)$")
end

return parts
