--- Metrics of a router: middleware that counts, and a handler that tells.

local metrics = require "neap.metrics"
local new_response = require "neap.http.response".response
local options = require "neap.options"
local time = require "neap.time"

local error, pcall, setmetatable, type = error, pcall, setmetatable, type
local mathtype = math.type
local now = time.now

--- One request, until its handler has returned, or failed.
local Running = {}

--- Status and bytes of what it has come to.
local function outcome(self, err)
  local response, result = self.response, self.result
  local status, done = response.status, response.done
  local count = response.count or mathtype(done) == "integer" and done or 0
  if status or err then
    return status or 500, count
  elseif type(result) == "string" then
    return 200, #result
  elseif type(result) == "table" then
    return result.status or 500, type(result.body) == "string" and #result.body or 0
  end
  return 500, 0
end

function Running.__close(self, err)
  local all, request = self.all, self.request
  local status, count = outcome(self, err)
  all.running:dec()
  all.requests:labels(request.method, status // 100 .. "xx"):inc()
  all.seconds:observe(now() - self.began)
  all.received:inc(request.count)
  all.sent:inc(count)
end

local function tell()
  return new_response(200, { ["content-type"] = metrics.content_type }, metrics.text())
end

local measures = {}

local known = { buckets = options.table }

function measures.new(opts)
  local o = options.check("http.metrics", opts or {}, known, 2)
  local good, seconds = pcall(metrics.histogram, "http_request_seconds", "Until a handler has answered.",
    { buckets = o.buckets })
  if not good then -- told without a place: its caller is pcall
    error(seconds, 2)
  end
  local all = {
    requests = metrics.counter("http_requests_total", "Requests, by method and class of status.",
      { "method", "status" }),
    seconds = seconds,
    running = metrics.gauge("http_requests_running", "Requests whose handlers go on."),
    received = metrics.counter("http_received_bytes_total", "What was read of the bodies of requests."),
    sent = metrics.counter("http_sent_bytes_total", "Bodies of answers."),
  }
  local function count(request, response, next)
    local one <close> = setmetatable({ all = all, request = request, response = response, began = now() }, Running)
    all.running:inc()
    local result = next()
    one.result = result
    return result
  end
  return count, tell
end

return measures
