--- JetStream, which keeps messages: streams of them, and consumers that take them out. All of it
--- are requests of NATS's.

local check_self = require "neap.class.core".check_self
local client = require "neap.bus.client"
local error_object = require "neap.error"
local is_subject = require "neap.bus.subject".is_subject
local json = require "neap.json"
local task = require "neap.task"
local time = require "neap.time"

local error, next, pcall, setmetatable, tonumber, type = error, next, pcall, setmetatable, tonumber, type
local find, format, gmatch = string.find, string.format, string.gmatch
local floor, max, mathtype, min, tointeger = math.floor, math.max, math.type, math.min, math.tointeger
local now, sleep, timeout = time.now, task.sleep, task.timeout

local IN_USE = 10058 -- a stream of this name, with another configuration

--- What NATS counts in ns, and we in seconds.
local DURATIONS = { ack_wait = true, max_age = true, duplicate_window = true, inactive_threshold = true }

--- Streams that keep what is published to their subjects, until it is old, too much, or done.
---@class neap.bus.JetStream
---@field private bus neap.Bus
---@field private prefix string
---@field private timeout number
local JetStream = {}
JetStream.__index = JetStream
JetStream.__name = "neap.bus.JetStream"

--- What takes messages out of a stream, and knows which are done. Any number of processes may
--- have the same one: each message goes to one of them.
---@class neap.bus.Consumer
---@field stream string
---@field name string
---@field private jetstream neap.bus.JetStream
local Consumer = {}
Consumer.__index = Consumer
Consumer.__name = "neap.bus.Consumer"

---@class neap.bus.JetStreamOptions
---@field domain string?  of a server at a leaf; default none
---@field timeout number?  seconds for each answer; default 5

---@class neap.bus.JetStreamPublishOptions: neap.bus.PublishOptions
---@field id string?  of the message: it is written down once, however often it is published, for as
--- long as the stream's `duplicate_window` says. With it, `publish` tries again until `timeout`
---@field timeout number?  seconds, for all of it; default 5
---@field expect_stream string?  refuse it unless it goes to this stream
---@field expect_seq integer?  or unless the stream's last message has this number
---@field expect_subject_seq integer?  or unless the subject's last one has
---@field expect_id string?  or unless the stream's last message has this id

local function failure(code, op, words)
  return error_object.new { code = code, op = op, message = words }
end

--- What the server says is wrong.
local function refusal(op, err)
  err = type(err) == "table" and err or {}
  return error_object.new {
    code = err.code == 404 and "ENOENT" or "EJETSTREAM", op = op, status = tointeger(err.code),
    number = tointeger(err.err_code), message = type(err.description) == "string" and err.description or "refused",
  }
end

--- A configuration as NATS wants it.
local function with_ns(config)
  local out = {}
  for name, value in next, config do
    out[name] = DURATIONS[name] and mathtype(value) and floor(value * 1e9) or value
  end
  return out
end

local function is_name(value)
  return is_subject(value) and not find(value, "[./\\]")
end

--- The answer to a request, as a table.
local function answered(op, answer, err)
  if not answer then
    if err.code == "ECONNREFUSED" then
      err = failure("ECONNREFUSED", op, "nobody keeps this: no JetStream here, or no stream with that subject")
    end
    return nil, err
  end
  local value = json.decode(answer.data)
  if type(value) ~= "table" then
    return nil, failure("EPROTO", op, "the answer is none")
  elseif value.error then
    return nil, refusal(op, value.error)
  end
  return value
end

--- An argument as JSON; what cannot be is told at the line of who called the public method.
local function encoded(value, n, name)
  local good, text = pcall(json.encode, value)
  if good then
    return text
  elseif type(text) ~= "string" or not find(text, "^encode: ") then
    error(text, 0)
  end
  error(format("bad argument #%d to '%s' (%s)", n, name, text), 3)
end

--- `body`: what `encoded` has made.
local function api(self, verb, body)
  return answered("jetstream", self.bus:request(self.prefix .. verb, body, { timeout = self.timeout }))
end

--- Ask for anything of JetStream's API, such as `STREAM.INFO.jobs`, `STREAM.PURGE.jobs`,
--- `CONSUMER.DELETE.jobs.workers`, as NATS describes it; durations are in ns there.
---
--- ```lua
--- local bus = require "neap.bus"
---
--- local here = bus.open "nats://127.0.0.1:1"
--- local jetstream = here and here:jetstream()
--- print(jetstream and jetstream:api "STREAM.NAMES".total)  --> nil
--- ```
---@async
---@param verb string  what stands behind `$JS.API.`
---@param body? table  as JSON
---@return table? answer
---@return neap.Error? err  ENOENT: no such stream, no such consumer; EJETSTREAM, with `status` and
--- `number`: what else NATS refuses; ECONNREFUSED: there is no JetStream; ETIMEDOUT; ...
function JetStream:api(verb, body)
  check_self(self, JetStream, "api")
  if not is_subject(verb) then
    error("bad argument #1 to 'api' (a subject expected)", 2)
  elseif body ~= nil and type(body) ~= "table" then
    error("bad argument #2 to 'api' (table expected, got " .. type(body) .. ")", 2)
  end
  return api(self, verb, body and encoded(body, 2, "api") or "")
end

--- Make a stream, or change it to this.
---
--- ```lua
--- local bus = require "neap.bus"
---
--- local here = bus.open "nats://127.0.0.1:1"
--- local jetstream = here and here:jetstream()
--- if jetstream then
---   assert(jetstream:stream {name = "jobs", subjects = {"jobs.>"}, retention = "workqueue"})
--- end
--- ```
---@async
---@param config table  as NATS has it: `name`, `subjects`, `retention` (`"limits"`,
--- `"interest"`, `"workqueue"`), `storage` (`"file"`, `"memory"`), `max_msgs`, `max_bytes`,
--- `num_replicas`, `discard` (`"old"`, `"new"`), ...; and in seconds `max_age`, `duplicate_window`
---@return table? info
---@return neap.Error? err  as of `api`
function JetStream:stream(config)
  check_self(self, JetStream, "stream")
  if type(config) ~= "table" or not is_name(config.name) then
    error("bad argument #1 to 'stream' (a table with 'name' expected)", 2)
  end
  local body = encoded(with_ns(config), 1, "stream")
  local info, err = api(self, "STREAM.CREATE." .. config.name, body)
  if not info and err.number == IN_USE then
    info, err = api(self, "STREAM.UPDATE." .. config.name, body)
  end
  return info, err
end

--- Make a consumer of a stream, from which messages are fetched, or find it. With `durable_name`
--- it stays when all have gone.
---
--- ```lua
--- local bus = require "neap.bus"
---
--- local here = bus.open "nats://127.0.0.1:1"
--- local jetstream = here and here:jetstream()
--- if jetstream then
---   local consumer = assert(jetstream:consumer("jobs", {durable_name = "workers", ack_wait = 30}))
---   for _, message in ipairs(assert(consumer:fetch(10))) do
---     message:ack()
---   end
--- end
--- ```
---@async
---@param stream string
---@param config? table  as NATS has it: `durable_name`, `filter_subject`, `deliver_policy`,
--- `max_deliver`, `max_ack_pending`, ...; and in seconds `ack_wait`: a message that is not
--- acknowledged in that time is delivered again; `inactive_threshold`
---@return neap.bus.Consumer? consumer
---@return neap.Error? err  as of `api`
function JetStream:consumer(stream, config)
  check_self(self, JetStream, "consumer")
  config = config or {}
  if not is_name(stream) then
    error("bad argument #1 to 'consumer' (a stream's name expected)", 2)
  elseif type(config) ~= "table" or config.durable_name ~= nil and not is_name(config.durable_name) then
    error("bad argument #2 to 'consumer' (a table expected, with a name without blanks and dots)", 2)
  end
  config = with_ns(config)
  config.ack_policy = config.ack_policy or "explicit"
  local durable = config.durable_name
  local body = encoded({ stream_name = stream, config = config }, 2, "consumer")
  local info, err = api(self, durable and format("CONSUMER.DURABLE.CREATE.%s.%s", stream, durable)
    or "CONSUMER.CREATE." .. stream, body)
  if not info then
    return nil, err
  elseif not is_name(info.name) then
    return nil, failure("EPROTO", "consumer", "the answer is none")
  end
  return setmetatable({ jetstream = self, stream = stream, name = info.name }, Consumer)
end

--- The headers by which a message is recognised, or refused.
local function with_expectations(opts)
  local out = {}
  for name, value in next, opts.headers or {} do
    out[name] = value
  end
  local function add(name, value)
    out[name] = value ~= nil and (mathtype(value) and format("%d", value) or value) or out[name]
  end
  add("Nats-Msg-Id", opts.id)
  add("Nats-Expected-Stream", opts.expect_stream)
  add("Nats-Expected-Last-Sequence", opts.expect_seq)
  add("Nats-Expected-Last-Subject-Sequence", opts.expect_subject_seq)
  add("Nats-Expected-Last-Msg-Id", opts.expect_id)
  return next(out) and out or nil
end

--- Publish a message, and wait until a stream has written it down.
---
--- ```lua
--- local bus = require "neap.bus"
---
--- local here = bus.open "nats://127.0.0.1:1"
--- local jetstream = here and here:jetstream()
--- if jetstream then
---   local ack = assert(jetstream:publish("jobs.mail", "to: all", {id = "mail 17"}))
---   print(ack.stream, ack.seq, ack.duplicate)
--- end
--- ```
---@async
---@param to string  the subject
---@param data? string  default empty
---@param opts? neap.bus.JetStreamPublishOptions
---@return { stream: string, seq: integer, duplicate: boolean? }? ack
---@return neap.Error? err  ECONNREFUSED: no stream has this subject; ETIMEDOUT: it may have been
--- written down, or not; EJETSTREAM: refused, such as by what was expected
function JetStream:publish(to, data, opts)
  check_self(self, JetStream, "publish")
  opts = opts or {}
  if type(opts) ~= "table" then
    error("bad argument #3 to 'publish' (a table of options expected, got " .. type(opts) .. ")", 2)
  end
  local seconds = opts.timeout or self.timeout
  if not mathtype(seconds) or not (seconds >= 0) then -- luacheck: ignore 581
    error("bad argument #3 to 'publish' (option 'timeout': seconds from 0 expected)", 2)
  end
  local late, pause = now() + seconds, 0.05
  local how = { headers = with_expectations(opts) }
  while true do
    local left = max(late - now(), 0)
    how.timeout = opts.id and min(left, 2) or left
    local answer, err = self.bus:request(to, data, how)
    if answer or not opts.id or err.code ~= "ETIMEDOUT" and err.code ~= "ECONNREFUSED" or now() + pause >= late then
      local ack
      ack, err = answered("publish", answer, err)
      if ack and not (type(ack.stream) == "string" and mathtype(ack.seq) == "integer") then
        return nil, failure("EPROTO", "publish", "the answer is no stream's")
      end
      return ack, err
    end
    sleep(pause)
    pause = min(pause * 2, 1)
  end
end

--- What a message of the server's own means: nil, to go on; true: that was all; or an error.
local function heed(got)
  local status = got.status
  if status == "100" then
    return nil
  elseif status == "404" or status == "408" then
    return true
  end
  return failure(status == "503" and "ECONNREFUSED" or "EJETSTREAM", "fetch",
    got.description or status == "503" and "there is no such consumer" or status)
end

--- What the subject of the answer tells of a message of a stream: `$JS.ACK.STREAM.CONSUMER.`, or
--- with a domain and an account before the stream, then how often, and its number.
local function number(got)
  local words = {}
  for word in gmatch(got.reply or "", "[^.]+") do
    words[#words + 1] = word
  end
  local at = #words == 9 and 5 or 7
  got.deliveries, got.seq = tointeger(tonumber(words[at])), tointeger(tonumber(words[at + 1]))
  return got
end

--- Take messages: as many as there are, and where there are none, wait for some. Each is to be
--- told of: `ack`, `nak`, `term`, `working`.
---
--- ```lua
--- local bus = require "neap.bus"
---
--- local here = bus.open "nats://127.0.0.1:1"
--- local jetstream = here and here:jetstream()
--- local consumer = jetstream and jetstream:consumer("jobs", {durable_name = "workers"})
--- for _, message in ipairs(consumer and consumer:fetch(10) or {}) do
---   print(message.subject, message.data)
---   message:ack()
--- end
--- ```
---@async
---@param n? integer  at most; default 1
---@param opts? { timeout: number? }  seconds to wait for the first; default 5
---@return neap.bus.Message[]? messages  none: none came in time
---@return neap.Error? err  ECONNREFUSED: there is no such consumer; EJETSTREAM: it was deleted, ...
function Consumer:fetch(n, opts)
  check_self(self, Consumer, "fetch")
  n = n or 1
  if opts ~= nil and type(opts) ~= "table" then
    error("bad argument #2 to 'fetch' (a table of options expected, got " .. type(opts) .. ")", 2)
  end
  local seconds = opts and opts.timeout or 5
  if mathtype(n) ~= "integer" or n < 1 or n > 100000 then
    error("bad argument #1 to 'fetch' (a count from 1 to 100000 expected)", 2)
  elseif not mathtype(seconds) or not (seconds >= 0 and seconds < 1e9) then
    error("bad argument #2 to 'fetch' (option 'timeout': seconds from 0 expected)", 2)
  end
  local bus = self.jetstream.bus
  if bus.closed then
    return nil, bus.failed or failure("EPIPE", "fetch", "the bus is closed")
  end
  local came, most = task.channel(n + 1), n
  local guard <close> = client.expect(bus, function(message)
    if #came <= most then
      came:send(message)
    end
  end)
  local verb = format("%sCONSUMER.MSG.NEXT.%s.%s", self.jetstream.prefix, self.stream, self.name)
  local list, late = {}, now() + seconds
  local ask = { batch = n, no_wait = true }
  while true do
    local ok, err = bus.carrier:publish(verb, guard.reply, nil, json.encode(ask))
    while ok and #list < n do
      -- Who waits there is told when the time is up; this is for a connection that is lost.
      local got = timeout(max(late - now(), 0) + 0.5, came.recv, came)
      local over = not got or got.status and heed(got)
      if over then
        err = over ~= true and over or nil
        break
      elseif not got.status then
        list[#list + 1] = number(got)
      end
    end
    if list[1] or error_object.is(err) or not ask.no_wait or now() >= late then
      return (list[1] or not error_object.is(err)) and list or nil, not list[1] and err or nil
    end
    ask = { batch = 1, expires = floor((late - now()) * 1e9) }
    n = 1
  end
end

local jetstream = {}

function jetstream.new(bus, opts)
  return setmetatable({
    bus = bus, prefix = opts.domain and format("$JS.%s.API.", opts.domain) or "$JS.API.", timeout = opts.timeout or 5,
  }, JetStream)
end

jetstream.JetStream, jetstream.Consumer = JetStream, Consumer

return jetstream
