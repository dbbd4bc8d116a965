-- http.metrics: what middleware counts, and what is told of it.

local http = require "neap.http"
local metrics = require "neap.metrics"
local net = require "neap.net"
local task = require "neap.task"

--- The value of a series in a text.
local function value(text, series)
  return tonumber(text:match("\n" .. series:gsub("%p", "%%%0") .. " ([^\n]*)")) or 0
end

local SERIES = {
  'http_requests_total{method="GET",status="2xx"}', 'http_requests_total{method="GET",status="4xx"}',
  'http_requests_total{method="GET",status="5xx"}', 'http_requests_total{method="POST",status="2xx"}',
  "http_request_seconds_count", "http_received_bytes_total", "http_sent_bytes_total",
}

it("http.metrics counts what a router answers", function()
  local count, tell = http.metrics {buckets = {0.001, 1000}}
  local app = http.router():use(count)
  local running
  app:get("/text", function()
    running = value("\n" .. metrics.text(), "http_requests_running")
    return "12345"
  end)
  app:get("/reply", function()
    return http.response(200, {}, "123")
  end)
  app:get("/written", function(_, response)
    response:start(200)
    response:write("12", 3)
    response:write "4"
  end)
  app:get("/sent", function(_, response)
    response:send(200, {}, "123456")
  end)
  app:get("/broken", function()
    error "broken"
  end)
  app:post("/read", function(request)
    return request:read "a"
  end)
  app:get("/metrics", tell)

  local listener <close> = assert(net.listen "mem:metrics_spec")
  local server = task.spawn(http.serve, listener, app, {onerror = function() end})
  local client <close> = http.client {endpoint = "mem:metrics_spec"}
  local function get(path)
    return assert(assert(client:get("http://here" .. path)):read "a")
  end
  local function look()
    local values, text = {}, "\n" .. get "/metrics"
    for i, series in ipairs(SERIES) do
      values[i] = value(text, series)
    end
    return values, #text - 1
  end
  local before, size = look()
  for _, path in ipairs {"/text", "/reply", "/written", "/sent", "/broken", "/none"} do
    get(path)
  end
  assert.equal("1234567", assert(client:post("http://here/read", {body = "1234567"})):read "a")
  local differences = {}
  for i, after in ipairs((look())) do
    differences[i] = after - before[i]
  end
  assert.same({5, 1, 1, 1, 8, 7, 5 + 3 + 4 + 6 + #"no such page\n" + 7 + size}, differences)
  assert.equal(1, running)
  server:cancel()
  server:join()
end)

it("http.metrics says what is wrong with its options", function()
  local ok, err = pcall(http.metrics, {x = 1})
  assert.is_false(ok)
  assert.matches("http.metrics: unknown option 'x'", err, 1, true)
end)
