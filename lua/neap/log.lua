--- A log: what happened, as a line that people and programs read.
---
--- ```lua
--- local log = require "neap.log"
---
--- log.setup {to = print} -- else to stderr
--- log.info("listening", {endpoint = "tcp://*:80", workers = 4})
--- --> time=20...Z level=info msg=listening endpoint=tcp://*:80 workers=4
--- local request = log.with {request = 17}
--- request:warn("slow", {took = 1.5})
--- --> time=20...Z level=warn msg=slow request=17 took=1.5
--- ```
---
--- A call neither waits nor raises, whatever it is given, and works wherever Lua runs, in
--- finalizers and `<close>`, too. A line is one write(2). Where whoever reads stderr has
--- stalled, lines wait, up to 256 KiB, and the program does not; what is beyond that is
--- lost, and counted: a line `lines of the log were lost` goes before the first one for which
--- there is room again. At the end of the program what waits has some seconds to go out.
---
--- Values may be of any type: what has a `__tostring` is that text, a table is JSON, and
--- what is a function is said to be one. Control characters, and others that could play
--- tricks on a terminal, are escaped. A string of more than 4 KiB is cut; a line of more
--- than 60 KiB has no fields, and none more than 200.
---
--- In a worker each line has the worker's number. Every worker, as every program, has
--- settings of its own.
---
--- Three forms: logfmt (`key=value`); JSON, an object on a line; and the fields of
--- systemd's journal, in which `journalctl REQUEST=17 -p warning` finds them. A service of
--- systemd whose stderr is the journal (JOURNAL_STREAM) speaks to that at once.

local core = require "neap.log.core"
local json = require "neap.log.json"
local prompt = require "neap.prompt.core"
local sched = require "neap.task.core"
local time = require "neap.time"
local worker_core = require "neap.worker.core"

local error, ipairs, next, pcall, setmetatable = error, ipairs, next, pcall, setmetatable
local tonumber, type = tonumber, type
local find, format, gsub, match, pack = string.find, string.format, string.gsub, string.match, string.pack
local sub, upper = string.sub, string.upper
local concat, sort = table.concat, table.sort
local mathtype, huge = math.type, math.huge
local getenv = os.getenv
local getmetatable, rawget = debug.getmetatable, rawget

local JOURNAL = "/run/systemd/journal/socket"

--- Bytes that wait; bytes of a line; seconds in which a journal without room must have
--- some; and before a log that failed is tried again.
local WAITING, LONGEST, PATIENCE, AGAIN = 256 * 1024, 60 * 1024, 1, 1

--- Fields of a line; keys of which a text is kept; and bytes of a value that is looked at
--- as it is.
local FIELDS, KEYS, SHORT = 200, 1000, 1000

--- Messages that are told apart when lines are limited.
local MESSAGES = 1000

local LEVELS = {"debug", "info", "warn", "error"}
local RANKS = {debug = 1, info = 2, warn = 3, error = 4, off = 5}
local PRIORITIES = {7, 6, 4, 3} -- syslog's

---@class neap.log
local log = {}

--- A log whose lines have fields of its own.
---@class neap.Logger
---@field private fields table  as they were given: key -> value
---@field private texts table  rendered, by the name of the form
local Logger = {}
Logger.__index = Logger
Logger.__name = "neap.Logger"

-- Forms. Each has field(key, value), a text; and line(...), which joins them.

local logfmt, object, journal = {}, {}, {}

local function quoted(text)
  if find(text, "^[]-~!#-<>-[]+$") then
    return text
  end
  return json.text(text)
end

local function is_data(value)
  local metatable = getmetatable(value)
  return type(value) == "table"
    and not (type(metatable) == "table" and rawget(metatable, "__tostring") ~= nil)
end

--- A value as a text that is not quoted yet.
local function text_of(value)
  return is_data(value) and json.encode(value) or json.plain(value)
end

local RESERVED = {time = "time_", level = "level_", msg = "msg_"}

local function name_of(key)
  local name = sub(gsub(json.plain(key), "[^%w_.-]", "_"), 1, 60)
  return RESERVED[name] or name ~= "" and name or "_"
end

--- What goes before a value, by the key: made once, for some keys.
local function prefixes(make)
  local count = 0
  return setmetatable({}, {__index = function(known, key)
    local text = make(key)
    if type(key) == "string" and count < KEYS then
      known[key] = text
      count = count + 1
    end
    return text
  end})
end

local logfmt_prefix = prefixes(function(key)
  return " " .. name_of(key) .. "="
end)

function logfmt.field(key, value)
  local kind = type(value)
  if kind == "string" and #value <= SHORT then
    return logfmt_prefix[key] .. quoted(value)
  elseif kind == "number" then
    return logfmt_prefix[key] .. json.plain(value)
  end
  return logfmt_prefix[key] .. quoted(text_of(value))
end

function logfmt.line(at, rank, message, fields)
  return format("time=%s level=%s msg=%s%s\n", at, LEVELS[rank], quoted(message), fields)
end

local object_prefix = prefixes(function(key)
  local name = json.plain(key)
  return "," .. json.text(RESERVED[name] or name) .. ":"
end)

function object.field(key, value)
  if type(value) == "string" and #value <= SHORT then
    return object_prefix[key] .. json.text(value)
  end
  return object_prefix[key] .. json.encode(value)
end

function object.line(at, rank, message, fields)
  return format('{"time":"%s","level":"%s","msg":%s%s}\n', at, LEVELS[rank], json.text(message), fields)
end

--- A field of the journal's protocol.
local function entry(name, value)
  if find(value, "\n", 1, true) then
    return name .. "\n" .. pack("<s8", value) .. "\n"
  end
  return name .. "=" .. value .. "\n"
end

local OWN = {MESSAGE = true, PRIORITY = true, SYSLOG_IDENTIFIER = true}

--- Two texts: the field, and what of it is in the message, for `journalctl` shows only
--- that.
function journal.field(key, value)
  local name = upper(gsub(name_of(key), "[^%w]", "_"))
  if OWN[name] or not find(name, "^%u") then
    name = "F_" .. name
  end
  return entry(name, text_of(value)), logfmt.field(key, value)
end

function journal.line(_, rank, message, fields, shown, name)
  return format("%sPRIORITY=%d\nSYSLOG_IDENTIFIER=%s\n%s", entry("MESSAGE", message .. shown),
    PRIORITIES[rank], name, fields)
end

local FORMS = {logfmt = logfmt, json = object, journal = journal}

local function by_text(a, b)
  return json.plain(a) < json.plain(b)
end

--- The fields in the order of their names: their text, and what the message has of it.
local function render(form, fields)
  local keys, n, mixed = {}, 0, false
  for key in next, fields do
    n = n + 1
    keys[n] = key
    mixed = mixed or type(key) ~= "string"
    if n == FIELDS then
      break
    end
  end
  if n == 0 then
    return "", ""
  elseif n > 1 then
    sort(keys, mixed and by_text or nil)
  end
  local parts, shown = {}, {}
  for i = 1, n do
    parts[i], shown[i] = form.field(keys[i], rawget(fields, keys[i]))
  end
  return concat(parts), concat(shown)
end

-- Settings

local least = RANKS.info -- the rank of the lowest level that is written
local form -- nil: chosen with the first line
local socket, to -- where lines go; `to` is a function
local journal_path
local identifier = "neap"
local counts = {debug = 0, info = 0, warn = 0, error = 0, lost = 0, suppressed = 0}
local limit -- lines of one message: {first =, thereafter =, period =}

local function new(fields)
  return setmetatable({fields = fields, texts = {}}, Logger)
end

local bare = new {}
local worker = worker_core.self()
local own = {worker = worker > 0 and worker or nil} -- fields of each line
local root = new(own) -- `setup` may give it more

-- Where lines go

local untold = 0 -- lines that were lost, of which no line tells yet
local broken -- when to try again; nil: it works

-- What the journal has no room for waits here. (What waits for stderr, waits in its stream.)
local queue = {first = 1, last = 0, bytes = 0}

local function is_stderr_journal()
  local device, inode = match(getenv "JOURNAL_STREAM" or "", "^(%d+):(%d+)$")
  device, inode = tonumber(device), tonumber(inode)
  return mathtype(device) == "integer" and mathtype(inode) == "integer"
    and core.is_stderr(device, inode)
end

--- Open what lines go to: nil where there is nothing. This may change the form, so it goes
--- before a line is made.
local function open()
  if not form then
    form = is_stderr_journal() and journal or logfmt
  end
  if form == journal then
    socket = core.journal(journal_path or JOURNAL)
    if socket or journal_path then
      return socket
    end
    form = logfmt
  end
  socket = core.stderr()
  return socket
end

local function lose(n)
  counts.lost = counts.lost + n
  untold = untold + n
end

local function is_usable()
  if not to and not socket and (not broken or time.now() >= broken) then
    broken = not open() and time.now() + AGAIN or nil
  end
  return to or socket
end

--- Give a line to the system: true; false where it has no room now; nil where it can't.
local function give(line, how)
  if not is_usable() or form ~= how then
    return nil
  end
  local took = core.write(socket, line, WAITING)
  if took == nil then
    socket:close()
    socket = nil
    broken = time.now() + AGAIN
  end
  return took
end

--- What waits is lost.
local function lose_queue()
  lose(queue.last - queue.first + 1)
  queue = {first = 1, last = 0, bytes = 0}
end

--- Wait until the journal has room for what waits, unless it takes nothing for long.
local function drain()
  local from = queue
  while from == queue and from.first <= from.last do
    local line = from[from.first]
    if not socket or not socket:settimeout(PATIENCE):send(line) then
      return from == queue and lose_queue()
    end
    from[from.first] = nil
    from.first = from.first + 1
    from.bytes = from.bytes - #line
  end
end

local function enqueue(line)
  if form ~= journal or queue.bytes + #line > WAITING then
    return lose(1)
  elseif queue.first > queue.last and not pcall(sched.spawn, sched.shield, drain) then
    return lose(1)
  end
  queue.last = queue.last + 1
  queue[queue.last] = line
  queue.bytes = queue.bytes + #line
end

local running = coroutine.running
local handing = setmetatable({}, {__mode = "k"}) -- coroutines in which `to` runs

--- Did `to` take it? What `to` logs itself would come back to it, and is lost.
local function hand(line)
  local co = running()
  if handing[co] then
    return false
  end
  handing[co] = true
  local ok = pcall(to, line)
  handing[co] = nil
  return ok
end

--- A line of a form. A value that sets another one each time has none.
local function put(line, how)
  if how ~= form then
    return lose(1)
  elseif to then
    return hand(line) or lose(1)
  elseif queue.first <= queue.last then
    return enqueue(line)
  end
  local took = give(line, how)
  if took == false then
    enqueue(line)
  elseif took == nil then
    lose(1)
  end
end

-- A line

local second, second_text = nil, nil

--- The date of a day since 1970-01-01, of the Gregorian calendar, whose years begin in
--- March here: so a leap day is the last of them.
local function date_text(day)
  day = day + 719468 -- since 0000-03-01
  local era, of_era = day // 146097, day % 146097
  local year = (of_era - of_era // 1460 + of_era // 36524 - of_era // 146096) // 365
  local of_year = of_era - (365 * year + year // 4 - year // 100)
  local month = (5 * of_year + 2) // 153
  year = year + 400 * era + (month >= 10 and 1 or 0)
  return format("%04d-%02d-%02d", year, month < 10 and month + 3 or month - 9,
    of_year - (153 * month + 2) // 5 + 1)
end

--- 2026-01-31T12:00:00.123Z
local function time_text()
  local now = time.wall()
  local whole = now // 1
  if whole ~= second then
    local n = whole | 0
    second, second_text = whole, format("%sT%02d:%02d:%02d", date_text(n // 86400), n // 3600 % 24,
      n // 60 % 60, n % 60)
  end
  return format("%s.%03dZ", second_text, (now - whole) * 1000 // 1 | 0)
end

--- Those of both; what is given with the line goes before what the log has.
local function joined(fields, more)
  local all = {}
  for key, value in next, fields do
    all[key] = value
  end
  for key, value in next, more do
    all[key] = value
  end
  return all
end

local function has_any(fields, more)
  for key in next, more do
    if fields[key] ~= nil then
      return true
    end
  end
  return false
end

--- The text of a log's own fields, made once for each form.
local function own_texts(how, logger)
  local texts = logger.texts[how]
  if not texts then
    texts = {render(how, logger.fields)}
    logger.texts[how] = texts
  end
  return texts[1], texts[2]
end

local function line_of(how, logger, rank, message, fields)
  local text, shown
  if fields == nil then
    text, shown = own_texts(how, logger)
  elseif has_any(logger.fields, fields) then
    text, shown = render(how, joined(logger.fields, fields))
  else
    text, shown = own_texts(how, logger)
    local more, more_shown = render(how, fields)
    text, shown = text .. more, shown .. more_shown
  end
  return how.line(time_text(), rank, message, text, shown, identifier)
end

--- The fields, whatever was given: an error object, or another value, is one.
local function fields_of(fields)
  if fields == nil or is_data(fields) then
    return fields
  end
  return {[type(fields) == "table" and "error" or "value"] = fields}
end

--- A line, and its form. A value's __tostring may set another one: then it is made again.
local function line_to_write(logger, rank, message, fields)
  local line, how
  for _ = 1, 2 do
    is_usable()
    how = form
    line = line_of(how, logger, rank, message, fields)
    if how == form then
      break
    end
  end
  return #line <= LONGEST and line or line_of(how, bare, rank, message, {cut = #line}), how
end

local function write(logger, rank, message, fields)
  put(line_to_write(logger, rank, message, fields))
end

--- Before the first line for which there is room again.
local function tell_lost()
  local n = untold
  local line, how = line_to_write(root, RANKS.warn, "lines of the log were lost", {lost = n})
  if how ~= form then
    return
  elseif to and hand(line) or not to and queue.first > queue.last and give(line, how) then
    untold = untold - n
  end
end

-- Lines of one message

local seen, seen_count, sweep_at = {}, 0, huge

--- Tell of what was suppressed in the periods that are over; or in all of them.
local function sweep(all)
  local now, over = time.now(), {}
  sweep_at = huge
  for key, entry_of in next, seen do
    if all or now >= entry_of.till then
      over[#over + 1] = entry_of
      seen[key] = nil
      seen_count = seen_count - 1
    elseif entry_of.till < sweep_at then
      sweep_at = entry_of.till
    end
  end
  for _, old in ipairs(over) do
    if old.suppressed > 0 then
      write(root, old.rank, old.message, {suppressed = old.suppressed})
    end
  end
end

local sweeper -- a task for which the program does not wait

--- At the end of the program, too.
local on_end = setmetatable({}, {__close = function()
  sweeper = nil
  sweep(true)
end})

local function sweep_later(period)
  local _ <close> = on_end
  sched.sleep(period)
end

--- May this line be written?
local function is_admitted(rank, message)
  local now, most = time.now(), limit -- `to` may set others
  local key = rank .. message
  if now >= sweep_at or seen_count >= MESSAGES and not seen[key] then
    sweep(now < sweep_at)
  end
  local it = seen[key]
  if not it then
    it = {rank = rank, message = message, count = 0, suppressed = 0, till = now + most.period}
    seen[key] = it
    seen_count = seen_count + 1
    sweep_at = it.till < sweep_at and it.till or sweep_at
  end
  it.count = it.count + 1
  if it.count <= most.first or most.thereafter > 0
    and (it.count - most.first) % most.thereafter == 0 then
    return true
  end
  it.suppressed = it.suppressed + 1
  counts.suppressed = counts.suppressed + 1
  if not sweeper then
    local _, task = pcall(prompt.daemon, sweep_later, most.period)
    sweeper = task
  end
  return false
end

local function emit(logger, rank, message, fields)
  if getmetatable(logger) ~= Logger then
    error(format("%s: a log expected: log.with(...):%s(message)", LEVELS[rank], LEVELS[rank]), 3)
  end
  message = type(message) == "string" and #message <= 4096 and message or text_of(message)
  if limit and not is_admitted(rank, message) then
    return
  end
  local name = LEVELS[rank]
  counts[name] = counts[name] + 1
  if untold > 0 then
    tell_lost()
  end
  write(logger, rank, message, fields_of(fields))
end

-- What scripts call

---@alias neap.log.Level "debug"|"info"|"warn"|"error"

--- What `log.setup` takes.
---@class neap.log.Options
---@field level (neap.log.Level|"off")?  the lowest that is written; default `"info"`
---@field format ("logfmt"|"json"|"journal")?  default: the journal's where stderr is that
--- (JOURNAL_STREAM), else logfmt
---@field to fun(line: string)?  called with each line, its newline included; default: stderr. What it
--- raises is counted as a line that was lost
---@field journal string?  the path of the journal's socket; it makes `format` `"journal"`.
--- Default `/run/systemd/journal/socket`, and stderr where there is none
---@field name string?  what the journal calls the program (`journalctl -t NAME`); default `"neap"`
---@field fields table?  that all lines have
---@field first integer?  limits lines of one message and level: of each `period` so many are
--- written, the others counted; a line with `suppressed` tells of them. Default: no limit
---@field thereafter integer?  of those beyond `first` each so manyth is written, too
---@field period number?  seconds; default 1

local OPTIONS = {level = "string", format = "string", to = "function", journal = "string",
  name = "string", fields = "table", first = "number", thereafter = "number", period = "number"}

local function check_number(options, name, least_value)
  local value = options[name]
  if value ~= nil and (name ~= "period" and mathtype(value) ~= "integer"
      or not (value >= least_value and value < huge)) then
    return format("option '%s': a%s number of at least %g expected", name,
      name ~= "period" and " whole" or "", least_value)
  end
end

--- What is wrong with the options, if anything is.
local function check(options)
  if type(options) ~= "table" then
    return format("options expected, a table, got %s", type(options))
  end
  for name, value in next, options do
    if not OPTIONS[name] then
      return format("unknown option '%s'", json.plain(name))
    elseif type(value) ~= OPTIONS[name] then
      return format("option '%s': a %s expected, got %s", name, OPTIONS[name], type(value))
    end
  end
  if options.level and not RANKS[options.level] then
    return format("option 'level': debug, info, warn, error or off expected, got '%s'", options.level)
  elseif options.format and not FORMS[options.format] then
    return format("option 'format': logfmt, json or journal expected, got '%s'", options.format)
  elseif options.journal and (options.to or (options.format or "journal") ~= "journal") then
    return "option 'journal': not with 'to', or another 'format'"
  elseif options.name and find(options.name, "[%c]") then
    return "option 'name': no control characters"
  elseif not options.first and (options.thereafter or options.period) then
    return "options 'thereafter' and 'period' go with 'first'"
  end
  return check_number(options, "first", 1) or check_number(options, "thereafter", 1)
    or check_number(options, "period", 0.001)
end

--- Settings of this program's, or this worker's, log; those before are forgotten. Raises
--- for what is wrong or unknown.
---
--- ```lua
--- local log = require "neap.log"
---
--- log.setup {to = io.write, level = "debug", format = "json", fields = {service = "mail"}}
--- log.debug("received", {bytes = 512, from = {"a", "b"}})
--- --> {"time":"20...Z","level":"debug","msg":"received","service":"mail","bytes":512,"from":["a","b"]}
---
--- log.setup {to = print, first = 2, period = 0.5}
--- for _ = 1, 5 do
---   log.warn "connection reset"
--- end
--- --> time=...Z level=warn msg="connection reset"
--- --> time=...Z level=warn msg="connection reset"
--- require "neap.task".sleep(0.6)
--- --> time=...Z level=warn msg="connection reset" suppressed=3
--- ```
---@param options neap.log.Options
function log.setup(options)
  local why = check(options)
  if why then
    error("log.setup: " .. why, 2)
  end
  if limit then
    sweep(true)
  end
  if sweeper then
    sweeper:cancel()
  end
  lose_queue()
  least = RANKS[options.level or "info"]
  form = FORMS[options.format or options.journal and "journal" or options.to and "logfmt"]
  to, journal_path, identifier = options.to, options.journal, options.name or "neap"
  root = new(joined(own, options.fields or {}))
  limit = options.first and {
    first = options.first, thereafter = options.thereafter or 0, period = options.period or 1,
  }
  if socket then
    socket:close()
  end
  socket, broken = nil, nil
end

--- Is this level written? For what costs much to find out.
---
--- ```lua
--- local log = require "neap.log"
---
--- print(log.enabled "debug", log.enabled "warn")  --> false true
--- ```
---@param level neap.log.Level
---@return boolean
function log.enabled(level)
  local rank = RANKS[level]
  if not rank or level == "off" then
    error("log.enabled: debug, info, warn or error expected", 2)
  end
  return rank >= least
end

--- Write a line of the level debug, what only who looks for a fault wants to know.
---
--- ```lua
--- local log = require "neap.log"
---
--- log.setup {to = print, level = "debug"}
--- log.debug("cache", {hits = 12, size = 100})  --> time=... level=debug msg=cache hits=12 size=100
--- ```
---@param message any  what happened, the same for each time that it happens
---@param fields? table  what was different this time, or an error
function log.debug(message, fields)
  if least <= 1 then
    emit(root, 1, message, fields)
  end
end

--- The same of the level info: what goes as it should.
---
--- ```lua
--- local log = require "neap.log"
---
--- log.setup {to = print}
--- log.info "started"  --> time=... level=info msg=started
--- ```
---@param message any
---@param fields? table
function log.info(message, fields)
  if least <= 2 then
    emit(root, 2, message, fields)
  end
end

--- The same of the level warn: what somebody should look at some day.
---
--- ```lua
--- local log = require "neap.log"
---
--- log.setup {to = print}
--- log.warn("queue is long", {waiting = 950, most = 1000})
--- --> time=... level=warn msg="queue is long" most=1000 waiting=950
--- ```
---@param message any
---@param fields? table
function log.warn(message, fields)
  if least <= 3 then
    emit(root, 3, message, fields)
  end
end

--- The same of the level error: what failed.
---
--- ```lua
--- local log = require "neap.log"
--- local net = require "neap.net"
---
--- log.setup {to = print}
--- local _, err = net.connect "mem:nobody"
--- log.error("no database", err)
--- --> time=... level=error msg="no database" error="connect mem:nobody: connection refused (ECONNREFUSED)"
--- ```
---@param message any
---@param fields? table
function log.error(message, fields)
  if least <= 4 then
    emit(root, 4, message, fields)
  end
end

--- Called by tail calls, which leave no level.
local function child_of(logger, fields)
  if getmetatable(logger) ~= Logger then
    error("with: a log expected: log.with(...):with(fields)", 2)
  elseif not is_data(fields) then
    error(format("log.with: fields expected, a table, got %s", type(fields)), 2)
  end
  return new(joined(logger.fields, fields))
end

--- A log whose lines have these fields, too.
---
--- ```lua
--- local log = require "neap.log"
---
--- log.setup {to = print}
--- local connection = log.with {peer = "192.0.2.7", id = 3}
--- connection:info "accepted"  --> time=... level=info msg=accepted id=3 peer=192.0.2.7
--- ```
---@param fields table
---@return neap.Logger
function log.with(fields)
  return child_of(root, fields)
end

--- How many lines were written, of each level; were lost; and were suppressed by a limit.
---
--- ```lua
--- local log = require "neap.log"
---
--- log.setup {to = function() end}
--- log.warn "disk is full"
--- print(log.counts().warn, log.counts().lost)  --> 1 0
--- ```
---@return table<string, integer>  by `debug`, `info`, `warn`, `error`, `lost`, `suppressed`
function log.counts()
  return joined(counts, {})
end

--- A log with more fields: those of this one, and these.
---
--- ```lua
--- local log = require "neap.log"
---
--- log.setup {to = print}
--- local request = log.with({peer = "192.0.2.7"}):with {path = "/"}
--- request:info "answered"  --> time=... level=info msg=answered path=/ peer=192.0.2.7
--- ```
---@param fields table
---@return neap.Logger
function Logger:with(fields)
  return child_of(self, fields)
end

--- As `log.debug`.
---
--- ```lua
--- local log = require "neap.log"
---
--- log.setup {to = print, level = "debug"}
--- log.with({id = 1}):debug "parsed"  --> time=... level=debug msg=parsed id=1
--- ```
---@param message any
---@param fields? table
function Logger:debug(message, fields)
  if least <= 1 then
    emit(self, 1, message, fields)
  end
end

--- As `log.info`.
---
--- ```lua
--- local log = require "neap.log"
---
--- log.setup {to = print}
--- log.with({id = 1}):info("done", {id = 2})  --> time=... level=info msg=done id=2
--- ```
---@param message any
---@param fields? table
function Logger:info(message, fields)
  if least <= 2 then
    emit(self, 2, message, fields)
  end
end

--- As `log.warn`.
---
--- ```lua
--- local log = require "neap.log"
---
--- log.setup {to = print}
--- log.with({id = 1}):warn "late"  --> time=... level=warn msg=late id=1
--- ```
---@param message any
---@param fields? table
function Logger:warn(message, fields)
  if least <= 3 then
    emit(self, 3, message, fields)
  end
end

--- As `log.error`.
---
--- ```lua
--- local log = require "neap.log"
---
--- log.setup {to = print}
--- log.with({id = 1}):error("failed", "out of luck")  --> time=... level=error msg=failed id=1 value="out of luck"
--- ```
---@param message any
---@param fields? table
function Logger:error(message, fields)
  if least <= 4 then
    emit(self, 4, message, fields)
  end
end

return log
