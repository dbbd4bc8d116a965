--- Server-sent events (the living standard of HTML, "Server-sent events"): an answer that goes on,
--- in which a client is told what happens.

local check_self = require "neap.class.core".check_self
local error_object = require "neap.error"
local headers = require "neap.http.headers"
local message = require "neap.http.message"
local options = require "neap.options"
local task = require "neap.task"

local error, next, setmetatable, tostring, type = error, next, setmetatable, tostring, type
local find, format, gmatch, gsub = string.find, string.format, string.gmatch, string.gsub
local concat = table.concat
local mathtype = math.type
local background, current, draining, idle, sleep = task.background, task.current, task.draining, task.idle, task.sleep

--- An answer of events (`response:events`), until the handler returns, or its client is gone.
---@class neap.http.Events
---@field private response neap.http.Response
---@field private quiet boolean  nothing was sent since the watcher has looked
local Events = {}
local meta = { __index = Events, __name = "neap.http.Events" }

local known = { data = true, event = true, id = true, retry = true }

local function check_line(name, value, level)
  local text = mathtype(value) == "integer" and tostring(value) or value
  if type(text) ~= "string" or find(text, "[\r\n\0]") then
    error(format("an event's %s: a text of one line expected", name), level + 1)
  end
  return format("%s: %s\n", name, text)
end

--- An event as it is sent.
local function text_of(event, level)
  if type(event) ~= "table" then
    event = { data = event }
  end
  for name in next, event do
    if not known[name] then
      error(format("an event has no '%s': data, event, id or retry expected", tostring(name)), level + 1)
    end
  end
  local parts = {}
  if event.event ~= nil then
    parts[1] = check_line("event", event.event, level + 1)
  end
  if event.id ~= nil then
    parts[#parts + 1] = check_line("id", event.id, level + 1)
  end
  if event.retry ~= nil then
    if mathtype(event.retry) ~= "integer" or event.retry < 0 then
      error("an event's retry: milliseconds, a whole number, expected", level + 1)
    end
    parts[#parts + 1] = format("retry: %d\n", event.retry)
  end
  local data = type(event.data) == "number" and tostring(event.data) or event.data
  if type(data) == "string" then
    data = gsub(data, "\r\n?", "\n")
    for line in gmatch(data .. "\n", "(.-)\n") do
      parts[#parts + 1] = "data: " .. line .. "\n"
    end
  elseif data ~= nil or #parts == 0 then
    error("an event's data: a string expected, got " .. type(data), level + 1)
  end
  parts[#parts + 1] = "\n"
  return concat(parts)
end

--- Send an event: a text, which may have several lines; or `data` with the name of its kind
--- (`event`), an `id`, which the client tells when it connects again (`last-event-id`), and after
--- how many milliseconds it does (`retry`). Waits when the client is slow.
---
--- ```lua
--- local http = require "neap.http"
--- local net = require "neap.net"
--- local task = require "neap.task"
---
--- local listener = assert(net.listen "mem:send")
--- local server = task.spawn(http.serve, listener, function(request, response)
---   local events = response:events()
---   events:send "one\ntwo"
---   events:send {event = "price", data = 7, id = 1}
--- end)
--- local client <close> = assert(net.connect "mem:send")
--- client:write "GET / HTTP/1.0\r\n\r\n"
--- client:readuntil "\r\n\r\n"
--- print(client:read("l", "l"))  --> data: one data: two
--- print(select(2, client:read("l", "l", "l", "l")))  --> event: price id: 1 data: 7
--- server:cancel()
--- ```
---@async
---@param event string|{ data?: string|number, event?: string, id?: string|integer, retry?: integer }
---@return neap.http.Events? events  itself; nil and an error when the client is gone
---@return neap.Error? err
function Events:send(event)
  check_self(self, meta, "send")
  local text = text_of(event, 2)
  if self.response.silent then
    return nil, error_object.new { code = "EPIPE", op = "send", message = "HEAD is answered without a body" }
  end
  self.quiet = false
  local ok, err = self.response:write(text)
  if not ok then
    return nil, err
  end
  return self
end

--- What the client does, which is to say nothing, for so long. False: it is gone, or the
--- program drains. And is there something that it says?
local function listens(stream, seconds)
  local ready, err = idle(stream.wait, stream, "r", seconds)
  if ready then
    return stream:peek(1) ~= nil, true
  end
  return err.code == "ETIMEDOUT", false
end

--- Beside the handler: says something now and then, and ends the handler when nobody listens.
local function watch(self, handler, seconds)
  local response = self.response
  local stream = response.request.stream
  local here, talks = true, false
  while here do
    self.quiet = true
    if talks then -- it asks for more already, and its end is not seen behind that
      idle(sleep, seconds)
      here = not draining()
    else
      here, talks = listens(stream, seconds)
    end
    if here and self.quiet and not response.done then
      here = response:write ":\n\n" ~= nil
    end
  end
  response.gone = true
  handler:cancel(draining() and "the server ends" or "the client is gone")
end

local events = { Events = Events }

local known_options = { keepalive = options.seconds, headers = options.any }

--- Called by a tail call, which leaves no level.
function events.new(response, opts)
  local o = options.check("events", opts or {}, known_options, 2)
  local list = headers.of(message.fields(headers.new(o.headers, 2), 2))
  list:set("content-type", "text/event-stream")
  if not list["cache-control"] then
    list:set("cache-control", "no-cache")
  end
  local ok, err = response:start(200, list)
  if not ok then
    return nil, err
  end
  local self = setmetatable({ response = response, quiet = true }, meta)
  response.watcher = background(watch, self, current(), o.keepalive or 15)
  response.watcher.name = "events"
  return self
end

return events
