-- usage: neap bench/services.lua [all|quiet|line|counter|histogram [count]]    a line of the log, a metric
--
--   neap bench/services.lua 2>/dev/null

local log = require "neap.log"
local metrics = require "neap.metrics"
local time = require "neap.time"

local services = {}

--- A line below the level.
function services.quiet(count)
  local debug = log.debug
  for _ = 1, count do
    debug "nothing"
  end
end

--- A line with three fields, to stderr.
function services.line(count)
  for i = 1, count do
    log.info("answered", {peer = "192.0.2.7:1234", bytes = i, took = 0.25})
  end
end

function services.counter(count)
  local counter = metrics.counter("bench_total", "Rounds.")
  for _ = 1, count do
    counter:inc()
  end
end

function services.histogram(count)
  local histogram = metrics.histogram("bench_seconds", "Rounds.", {labels = {"code"}})
  for _ = 1, count do
    histogram:labels(200):observe(0.02)
  end
end

local which, count = arg[1] or "all", tonumber(arg[2] or 100000)
for _, name in ipairs(which == "all" and {"quiet", "line", "counter", "histogram"} or {which}) do
  local start = time.now()
  services[name](2 * count) -- as the rounds of bench/cost/measure.lua are two
  print(("%s: %.1f ns"):format(name, (time.now() - start) / count / 2 * 1e9))
end
