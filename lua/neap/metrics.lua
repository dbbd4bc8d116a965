--- Numbers that tell how a program does, for Prometheus and what reads its text format.
---
--- ```lua
--- local metrics = require "neap.metrics"
---
--- local requests = metrics.counter("requests_total", "Requests, by result.", {"result"})
--- local took = metrics.histogram("request_seconds", "How long they took.", {buckets = {0.1, 1}})
---
--- requests:labels("ok"):inc()
--- took:observe(0.25)
--- print(metrics.text():match "requests_total{.-\n")  --> requests_total{result="ok"} 1
--- ```
---
--- A metric is made once, where a program begins, and asked for by no name later. Counting
--- is an addition, so do it in any loop; a `labels(...)` that is used often is kept in a local.
---
--- Beside a program's own, the text tells of the process (`process_cpu_seconds_total`,
--- `process_resident_memory_bytes`, `process_open_fds`, `process_max_fds`,
--- `process_start_time_seconds`), and of neap:
---
--- | metric | |
--- | --- | --- |
--- | `neap_tasks` | tasks that have not ended |
--- | `neap_sockets{kind}` | open streams, listeners and message sockets (datagram) |
--- | `neap_accepted_total` | connections that listeners had |
--- | `neap_received_bytes_total`, `neap_sent_bytes_total` | what the kernel moved for sockets, pipes and files |
--- | `neap_loop_turns_total` | waits for the world |
--- | `neap_loop_busy_seconds_total` | between them; by its rate, the loop's share of a processor |
--- | `neap_loop_lag_seconds` | the longest of these times since the last text: so long others waited |
--- | `neap_lua_memory_bytes` | of Lua's values |
--- | `neap_lua_memory_limit_bytes` | so much they may have, where `neap --memory=SIZE` says so |
--- | `neap_log_lines_total{level}`, `neap_log_lost_total` | of neap.log, where that is used |
---
--- Under `neap -w N` a text is of all workers that have loaded neap.metrics, whichever is
--- asked: counters, histograms and gauges are summed, `neap_loop_lag_seconds` is the greatest,
--- and what is the process's is told once.

local host = require "neap.host"
local json = require "neap.log.json"
local prompt = require "neap.prompt.core"
local sched = require "neap.task.core"
local time = require "neap.time"
local worker = require "neap.worker"

local collectgarbage, error, ipairs, next, pcall = collectgarbage, error, ipairs, next, pcall
local select, setmetatable, tonumber, type = select, setmetatable, tonumber, type
local find, format, gsub, match = string.find, string.format, string.gsub, string.match
local concat, sort, move, unpack = table.concat, table.sort, table.move, table.unpack
local pack, rep = string.pack, string.rep
local mathtype, huge = math.type, math.huge
local clock, open, package = os.clock, io.open, package

--- Seconds in which another worker answers.
local PATIENCE = 1

--- Combinations of labels of one metric.
local SERIES = 10000

local BUCKETS = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}

---@class neap.metrics
---@field content_type string  of the text, for HTTP
local metrics = {content_type = "text/plain; version=0.0.4; charset=utf-8"}

--- name -> family: {name, help, kind, names = labels, class, merge, series = {}, by = {}}. A
--- metric is one of its series, or, where it has labels, itself no series.
local families = {}

--- Metrics that count: looking here costs less than to ask for a metatable. What is called
--- most often asks for less, a field, of NOBODY in place of nil.
local counting, NOBODY = {}, {}

--- Tell the caller of a method what is wrong with its self.
local function misused(self, verb)
  local family = type(self) == "table" and self.family
  if not family then
    error(format("%s: a metric expected: metric:%s(...)", verb, verb), 3)
  end
  error(format("%s: it has labels: metric:labels(%s):%s(...)", family.name, concat(family.names, ", "),
    verb), 3)
end

--- What metrics of all kinds do. The methods call these by tail calls, which leave no level.
local function labels(self, ...)
  local family = (self or NOBODY).family
  if not family then
    misused(self, "labels")
  end
  local names = family.names
  if self.values or #names == 0 then
    error(format("%s: it has no labels", family.name), 2)
  elseif select("#", ...) ~= #names then
    error(format("%s: labels %s expected", family.name, concat(names, ", ")), 2)
  end
  local at, one = family.by, nil
  for i = 1, #names do
    local value = select(i, ...)
    one = at[value]
    if not one then
      return family:add(...)
    end
    at = one
  end
  return one
end

local function check_number(family, verb, n)
  if type(n) ~= "number" or n ~= n then
    error(format("%s: %s: a number expected, got %s", family.name, verb, type(n) == "number" and "NaN" or type(n)), 3)
  end
end

--- What only grows: requests, bytes, errors.
---@class neap.Counter
---@field private value number?
---@field private family table
local Counter = {}
Counter.__index = Counter
Counter.__name = "neap.Counter"

--- Add to it.
---
--- ```lua
--- local metrics = require "neap.metrics"
---
--- local sent = metrics.counter("sent_total", "What was sent.")
--- sent:inc()
--- sent:inc(2.5)
--- print(metrics.text():match "\nsent_total [^\n]*")  --> sent_total 3.5
--- ```
---@param n? number  at least 0; default 1
function Counter:inc(n)
  local value = (self or NOBODY).value
  if not value then
    misused(self, "inc")
  elseif n == nil then -- most often: no call more
    self.value = value + 1
    return
  end
  check_number(self.family, "inc", n)
  if n < 0 then
    error(format("%s: a counter only grows: a gauge does not", self.family.name), 2)
  end
  self.value = value + n
end

--- The counter of these values of its labels.
---
--- ```lua
--- local metrics = require "neap.metrics"
---
--- local answers = metrics.counter("answers_total", "Answers.", {"method", "code"})
--- answers:labels("GET", 200):inc()
--- print(metrics.text():match "answers_total{.-\n")  --> answers_total{method="GET",code="200"} 1
--- ```
---@param ... string|number|boolean  one for each label. Of more than 10,000 combinations the
--- others are counted together, as `overflow`
---@return neap.Counter
function Counter:labels(...)
  return labels(self, ...)
end

--- What goes up and down: connections, the length of a queue.
---@class neap.Gauge
---@field private value number?
---@field private family table
local Gauge = {}
Gauge.__index = Gauge
Gauge.__name = "neap.Gauge"

--- Set it.
---
--- ```lua
--- local metrics = require "neap.metrics"
---
--- metrics.gauge("queue", "What waits."):set(7)
--- print(metrics.text():match "\nqueue [^\n]*")  --> queue 7
--- ```
---@param n number
function Gauge:set(n)
  if not counting[self] then
    misused(self, "set")
  end
  check_number(self.family, "set", n)
  self.value = n
end

--- Add to it.
---
--- ```lua
--- local metrics = require "neap.metrics"
---
--- local clients = metrics.gauge("clients", "Who is connected.")
--- clients:inc()
--- clients:inc(2)
--- clients:dec()
--- print(metrics.text():match "\nclients [^\n]*")  --> clients 2
--- ```
---@param n? number  default 1
function Gauge:inc(n)
  if not counting[self] then
    misused(self, "inc")
  elseif n ~= nil then
    check_number(self.family, "inc", n)
  end
  self.value = self.value + (n or 1)
end

--- Take from it.
---
--- ```lua
--- local metrics = require "neap.metrics"
---
--- local free = metrics.gauge("free_places", "Places.")
--- free:set(10)
--- free:dec()
--- print(metrics.text():match "\nfree_places [^\n]*")  --> free_places 9
--- ```
---@param n? number  default 1
function Gauge:dec(n)
  if not counting[self] then
    misused(self, "dec")
  elseif n ~= nil then
    check_number(self.family, "dec", n)
  end
  self.value = self.value - (n or 1)
end

--- Ask a function whenever the text is made. What it raises, or returns besides a number,
--- is NaN there.
---
--- ```lua
--- local metrics = require "neap.metrics"
---
--- local jobs = {"a", "b"}
--- metrics.gauge("jobs", "What is to be done."):follow(function()
---   return #jobs
--- end)
--- print(metrics.text():match "\njobs [^\n]*")  --> jobs 2
--- ```
---@param f fun(): number
function Gauge:follow(f)
  if not counting[self] then
    misused(self, "follow")
  elseif type(f) ~= "function" then
    error(format("%s: follow: a function expected, got %s", self.family.name, type(f)), 2)
  end
  self.ask = f
end

--- The gauge of these values of its labels.
---
--- ```lua
--- local metrics = require "neap.metrics"
---
--- local rooms = metrics.gauge("rooms", "Who is there.", {"room"})
--- rooms:labels("kitchen"):set(3)
--- print(metrics.text():match "rooms{.-\n")  --> rooms{room="kitchen"} 3
--- ```
---@param ... string|number|boolean  as of a counter
---@return neap.Gauge
function Gauge:labels(...)
  return labels(self, ...)
end

--- How often something was how large: times, sizes.
---@class neap.Histogram
---@field private counts integer[]  of each bucket alone; the last has no bound
---@field private sum number
---@field private value integer?  how many there were
---@field private family table
local Histogram = {}
Histogram.__index = Histogram
Histogram.__name = "neap.Histogram"

--- Count a value.
---
--- ```lua
--- local metrics = require "neap.metrics"
---
--- local size = metrics.histogram("size_bytes", "Of messages.", {buckets = {100, 1000}})
--- size:observe(512)
--- print(metrics.text():match 'size_bytes_bucket{le="1000".-\n')  --> size_bytes_bucket{le="1000"} 1
--- ```
---@param n number
function Histogram:observe(n)
  local value = (self or NOBODY).value
  if not value then
    misused(self, "observe")
  end
  check_number(self.family, "observe", n)
  local bounds, counts = self.family.buckets, self.counts
  local i = 1
  while bounds[i] and n > bounds[i] do
    i = i + 1
  end
  counts[i] = counts[i] + 1
  self.sum = self.sum + n
  self.value = value + 1
end

local function now_until(self, began, ...)
  self:observe(time.now() - began)
  return ...
end

--- Call a function, and count how many seconds it took, also where it raises.
---
--- ```lua
--- local metrics = require "neap.metrics"
--- local task = require "neap.task"
---
--- local took = metrics.histogram("nap_seconds", "Naps.")
--- print(took:time(function(text)
---   task.sleep(0.01)
---   return text
--- end, "rested"))  --> rested
--- print(metrics.text():match "nap_seconds_count [^\n]*")  --> nap_seconds_count 1
--- ```
---@async
---@param f fun(...): any
---@param ... any  its arguments
---@return any ...  its results
function Histogram:time(f, ...)
  if not counting[self] then
    misused(self, "time")
  elseif type(f) ~= "function" then
    error(format("%s: time: a function expected, got %s", self.family.name, type(f)), 2)
  end
  local began = time.now()
  local _ <close> = setmetatable({}, {__close = function(_, err)
    if err ~= nil then
      now_until(self, began)
    end
  end})
  return now_until(self, began, f(...))
end

--- The histogram of these values of its labels.
---
--- ```lua
--- local metrics = require "neap.metrics"
---
--- local took = metrics.histogram("query_seconds", "Queries.", {labels = {"table"}, buckets = {1}})
--- took:labels("users"):observe(0.5)
--- print(metrics.text():match "query_seconds_sum{.-\n")  --> query_seconds_sum{table="users"} 0.5
--- ```
---@param ... string|number|boolean  as of a counter
---@return neap.Histogram
function Histogram:labels(...)
  return labels(self, ...)
end

-- Families

local Family = {}
Family.__index = Family

local function new_series(family, values)
  local one = setmetatable({family = family, values = values, value = 0}, family.class)
  if family.buckets then
    one.sum, one.counts = 0, {}
    for i = 1, #family.buckets + 1 do
      one.counts[i] = 0
    end
  end
  family.series[#family.series + 1] = one
  counting[one] = true
  return one
end

--- What a label's value is in the text, by which its series is known, too.
local function label_text(family, value)
  local kind = type(value)
  if kind == "string" then
    return json.utf8(value)
  elseif kind == "number" or kind == "boolean" then
    return json.plain(value)
  end
  error(format("%s: labels: strings expected, got a %s", family.name, kind), 3)
end

--- Find t under a value from now on, and under its text. Of strings that had to be mended
--- any number have the same text, so they are not kept.
local function put(at, value, text, t)
  at[text] = t
  if value == value and type(value) ~= "string" then
    at[value] = t
  end
  return t
end

--- The series that is known by these texts.
local function find_series(family, values)
  local one = family.by
  for i = 1, #values do
    one = one and one[values[i]]
  end
  return one
end

--- What counts for all combinations for which there is no room.
local function overflow_of(family)
  if not family.overflow then
    local values = {}
    for i = 1, #family.names do
      values[i] = "overflow"
    end
    family.overflow = find_series(family, values) or new_series(family, values)
  end
  return family.overflow
end

--- The series of these values, made if it is not there. It is known by their texts.
function Family:add(...)
  local values, n = {}, #self.names
  for i = 1, n do
    values[i] = label_text(self, (select(i, ...)))
  end
  local one = find_series(self, values)
  if not one and #self.series >= SERIES then
    return overflow_of(self)
  end
  local at = self.by
  for i = 1, n - 1 do
    at = put(at, (select(i, ...)), values[i], at[values[i]] or {})
  end
  return put(at, (select(n, ...)), values[n], one or new_series(self, values))
end

local function check_labels(name, names)
  if type(names) ~= "table" then
    error(format("%s: labels: a list of names expected, got %s", name, type(names)), 3)
  end
  local seen = {le = name}
  for i, label in ipairs(names) do
    if type(label) ~= "string" or not find(label, "^[%a_][%w_]*$") or find(label, "^__") then
      error(format("%s: label %d: a name of letters, digits and _ expected", name, i), 3)
    elseif seen[label] then
      error(format("%s: label '%s': %s", name, label,
        label == "le" and "the buckets have it" or "it is there twice"), 3)
    end
    seen[label] = true
  end
  return move(names, 1, #names, 1, {})
end

local function check_buckets(name, buckets)
  if type(buckets) ~= "table" or #buckets == 0 then
    error(format("%s: buckets: a list of numbers expected", name), 3)
  end
  for i, bound in ipairs(buckets) do
    if type(bound) ~= "number" or bound - bound ~= 0 or i > 1 and bound <= buckets[i - 1] then
      error(format("%s: buckets: numbers, each above the one before it, expected", name), 3)
    end
  end
  return move(buckets, 1, #buckets, 1, {})
end

local function same(a, b)
  if #a ~= #b then
    return false
  end
  for i = 1, #a do
    if a[i] ~= b[i] then
      return false
    end
  end
  return true
end

--- Called by tail calls, which leave no level.
local function create(kind, class, name, help, names, buckets)
  if type(name) ~= "string" or not find(name, "^[%a_:][%w_:]*$") then
    error(format("%s: a name of letters, digits, _ and : expected", kind), 2)
  elseif type(help) ~= "string" then
    error(format("%s: what it is expected, a string, got %s", name, type(help)), 2)
  elseif find(name, "^neap_") or find(name, "^process_") then
    error(format("%s: such names are neap's own", name), 2)
  end
  names = check_labels(name, names or {})
  buckets = kind == "histogram" and check_buckets(name, buckets or BUCKETS) or nil
  local known = families[name]
  if known then
    if known.kind ~= kind or not same(known.names, names) or buckets and not same(known.buckets, buckets) then
      error(format("%s: there is a %s of that name, with other labels or buckets", name, known.kind), 2)
    end
    return known.metric
  end
  local family = setmetatable({
    name = name, help = help, kind = kind, class = class, names = names, buckets = buckets, series = {}, by = {},
  }, Family)
  families[name] = family
  family.metric = #names == 0 and new_series(family, {}) or setmetatable({family = family}, class)
  return family.metric
end

--- A counter. Whoever makes one again, with the same labels, gets the same.
---
--- ```lua
--- local metrics = require "neap.metrics"
---
--- metrics.counter("errors_total", "What went wrong."):inc()
--- print(metrics.text():match "# HELP errors_total.*\nerrors_total [^\n]*")
--- --> # HELP errors_total What went wrong.
--- --> # TYPE errors_total counter
--- --> errors_total 1
--- ```
---@param name string  by custom it ends in `_total`; raises for one that Prometheus does not
--- allow
---@param help string  what it is
---@param names? string[]  of labels
---@return neap.Counter
function metrics.counter(name, help, names)
  return create("counter", Counter, name, help, names)
end

--- A gauge.
---
--- ```lua
--- local metrics = require "neap.metrics"
---
--- metrics.gauge("temperature_celsius", "Of the room."):set(21.5)
--- print(metrics.text():match "\ntemperature_celsius [^\n]*")  --> temperature_celsius 21.5
--- ```
---@param name string
---@param help string
---@param names? string[]  of labels
---@return neap.Gauge
function metrics.gauge(name, help, names)
  return create("gauge", Gauge, name, help, names)
end

---@class neap.metrics.HistogramOptions
---@field buckets number[]?  their upper bounds, ascending; default 0.005 to 10, for seconds
---@field labels string[]?

--- A histogram.
---
--- ```lua
--- local metrics = require "neap.metrics"
---
--- local wait = metrics.histogram("wait_seconds", "Waiting.", {buckets = {0.5, 1}})
--- wait:observe(0.7)
--- print(metrics.text():match "wait_seconds_bucket.*wait_seconds_count [^\n]*")
--- --> wait_seconds_bucket{le="0.5"} 0
--- --> wait_seconds_bucket{le="1"} 1
--- --> wait_seconds_bucket{le="+Inf"} 1
--- --> wait_seconds_sum 0.7
--- --> wait_seconds_count 1
--- ```
---@param name string
---@param help string
---@param options? neap.metrics.HistogramOptions
---@return neap.Histogram
function metrics.histogram(name, help, options)
  if options ~= nil and type(options) ~= "table" then
    error(format("metrics.histogram: options expected, a table, got %s", type(options)), 2)
  end
  for option in next, options or {} do
    if option ~= "buckets" and option ~= "labels" then
      error(format("metrics.histogram: unknown option '%s'", json.plain(option)), 2)
    end
  end
  return create("histogram", Histogram, name, help, options and options.labels, options and options.buckets)
end

-- Snapshots: families as plain tables, which can be sent to another worker. A series is
-- {values = {}, value =, sum =, counts =}.

local function number_of(ask)
  local ok, n = pcall(ask)
  return ok and type(n) == "number" and n or 0 / 0
end

local function snapshot_of(family)
  local copy = {
    name = family.name, help = family.help, kind = family.kind, names = family.names, buckets = family.buckets,
    series = {},
  }
  for i, one in ipairs(family.series) do
    copy.series[i] = {
      values = one.values, value = one.ask and number_of(one.ask) or one.value, sum = one.sum,
      counts = one.counts and move(one.counts, 1, #one.counts, 1, {}),
    }
  end
  return copy
end

--- Add a family of the runtime's own: each row has the labels' values and a number, or is
--- a number.
local function own(all, merge, kind, name, help, names, rows)
  local family = {name = name, help = help, kind = kind, names = names, merge = merge, series = {}}
  for i, row in ipairs(rows) do
    family.series[i] = type(row) == "table" and {values = {row[1]}, value = row[2]} or {values = {}, value = row}
  end
  all[name] = #family.series > 0 and family or nil
end

local function read_file(path)
  local file = open(path)
  local text = file and file:read "a"
  if file then
    file:close()
  end
  return text or ""
end

--- Seconds since 1970 at which the process began.
local function start_time()
  local fields = match(read_file "/proc/self/stat", "^.*%) (.*)$")
  local ticks = fields and tonumber(match(fields, "^" .. rep("%S+ ", 19) .. "(%d+)"))
  local up = tonumber(match(read_file "/proc/uptime", "^%S+"))
  return ticks and up and time.wall() - (up - ticks / 100)
end

local began -- once it was asked for

local function add_process(all)
  local resident = tonumber(match(read_file "/proc/self/status", "VmRSS:%s*(%d+) kB"))
  local limit = match(read_file "/proc/self/limits", "Max open files +(%w+)")
  local open_fds = host.stats().descriptors
  began = began or start_time()
  own(all, "once", "counter", "process_cpu_seconds_total", "Processor time.", {}, {clock()})
  own(all, "once", "gauge", "process_resident_memory_bytes", "Memory in use.", {},
    {resident and resident * 1024})
  own(all, "once", "gauge", "process_open_fds", "Open descriptors.", {}, {open_fds >= 0 and open_fds or nil})
  own(all, "once", "gauge", "process_max_fds", "As many there may be.", {},
    {limit == "unlimited" and huge or tonumber(limit)})
  own(all, "once", "gauge", "process_start_time_seconds", "When it began, since 1970.", {}, {began})
end

local function add_log(all)
  local log = package.loaded["neap.log"]
  if not log then
    return
  end
  local counts = log.counts()
  own(all, "sum", "counter", "neap_log_lines_total", "Lines of the log.", {"level"}, {
    {"debug", counts.debug}, {"error", counts.error}, {"info", counts.info}, {"warn", counts.warn},
  })
  own(all, "sum", "counter", "neap_log_lost_total", "Lines of the log that were lost.", {}, {counts.lost})
end

local function add_runtime(all)
  local stats, traffic, load = host.stats(), host.traffic(), host.load()
  own(all, "sum", "gauge", "neap_tasks", "Tasks that have not ended.", {}, {stats.tasks})
  own(all, "sum", "gauge", "neap_sockets", "Open sockets.", {"kind"},
    {{"datagram", stats.datagrams}, {"listener", stats.listeners}, {"stream", stats.streams}})
  own(all, "sum", "counter", "neap_accepted_total", "Connections of listeners.", {}, {traffic.accepted})
  own(all, "sum", "counter", "neap_received_bytes_total", "Bytes from the kernel.", {}, {traffic.received})
  own(all, "sum", "counter", "neap_sent_bytes_total", "Bytes to the kernel.", {}, {traffic.sent})
  own(all, "sum", "gauge", "neap_lua_memory_bytes", "Memory of Lua's values.", {},
    {collectgarbage "count" * 1024 // 1 | 0})
  if stats.memory_limit then
    own(all, "sum", "gauge", "neap_lua_memory_limit_bytes", "So much they may have.", {}, {stats.memory_limit})
  end
  if load then
    own(all, "sum", "counter", "neap_loop_turns_total", "Waits for the world.", {}, {load.turns})
    own(all, "sum", "counter", "neap_loop_busy_seconds_total", "Time between them.", {}, {load.busy})
    own(all, "max", "gauge", "neap_loop_lag_seconds", "The longest of these since the last text.", {}, {load.longest})
  end
end

local function snapshot()
  local all = {}
  for name, family in next, families do
    all[name] = snapshot_of(family)
  end
  add_runtime(all)
  add_process(all)
  add_log(all)
  return all
end

-- Several workers

--- What identifies a series in its family.
local function key_of(one)
  return pack(rep("s", #one.values), unpack(one.values))
end

local function merge_series(to, one, how)
  if how == "max" then
    to.value = one.value > to.value and one.value or to.value
    return
  end
  to.value = to.value + one.value
  to.sum = to.sum and to.sum + one.sum
  for i = 1, to.counts and #to.counts or 0 do
    to.counts[i] = to.counts[i] + one.counts[i]
  end
end

local function merge_family(to, family)
  local by = {}
  for _, one in ipairs(to.series) do
    by[key_of(one)] = one
  end
  for _, one in ipairs(family.series) do
    local known = by[key_of(one)]
    if known then
      merge_series(known, one, family.merge)
    else
      to.series[#to.series + 1] = one
    end
  end
end

--- Add what another worker has. What has the same name, and is something else, is left out.
local function merge(all, more)
  for name, family in next, more do
    local to = all[name]
    if not to then
      all[name] = family
    elseif family.merge ~= "once" and to.kind == family.kind and same(to.names, family.names)
      and same(to.buckets or {}, family.buckets or {}) then
      merge_family(to, family)
    end
  end
end

local function channel_of(id)
  return worker.channel("neap.metrics " .. id)
end

--- A worker's answers to the others, and its mark, which is there as long as this is.
local function answer(mark)
  for reply in channel_of(worker.id):each() do
    pcall(function() reply:send(snapshot()) end)
  end
  mark:close()
end

--- A channel with a value, while a worker is there that has loaded this.
local function mark_of(id)
  return worker.channel("neap.metrics at " .. id)
end

local function is_there(id)
  return #mark_of(id) > 0
end

local function gather(all)
  local replies, asked = worker.channel(), 0
  for id = 1, worker.count do
    if id ~= worker.id and is_there(id) then
      asked = asked + (channel_of(id):try_send(replies) and 1 or 0) -- full: it reads none
    end
  end
  sched.timeout(PATIENCE, function()
    for _ = 1, asked do
      merge(all, replies:recv())
    end
  end)
end

if worker.count > 0 then
  local mark = mark_of(worker.id)
  mark:try_send(true)
  prompt.daemon(answer, mark).name = "metrics"
end

-- Text

local ESCAPES = {["\\"] = "\\\\", ["\n"] = "\\n", ['"'] = '\\"'}

local function number_text(n)
  if mathtype(n) == "integer" then
    return format("%d", n)
  elseif n ~= n then
    return "NaN"
  elseif n == huge or n == -huge then
    return n > 0 and "+Inf" or "-Inf"
  end
  local text = format("%.15g", n)
  if tonumber(text) ~= n then
    text = format("%.17g", n)
  end
  return (gsub(text, ",", ".")) -- of some locales
end

--- {a="x",le="1"}
local function labels_text(names, values, le)
  local parts = {}
  for i, name in ipairs(names) do
    parts[i] = format('%s="%s"', name, gsub(values[i], '[\\\n"]', ESCAPES))
  end
  if le then
    parts[#parts + 1] = format('le="%s"', le)
  end
  return #parts > 0 and "{" .. concat(parts, ",") .. "}" or ""
end

local function add_series(out, family, one)
  local name, names = family.name, family.names
  local plain = labels_text(names, one.values)
  if family.kind ~= "histogram" then
    out[#out + 1] = format("%s%s %s\n", name, plain, number_text(one.value))
    return
  end
  local count = 0
  for i, n in ipairs(one.counts) do
    count = count + n
    out[#out + 1] = format("%s_bucket%s %d\n", name,
      labels_text(names, one.values, number_text(family.buckets[i] or huge)), count)
  end
  out[#out + 1] = format("%s_sum%s %s\n", name, plain, number_text(one.sum))
  out[#out + 1] = format("%s_count%s %d\n", name, plain, one.value)
end

local function render(all)
  local names, out = {}, {}
  for name in next, all do
    names[#names + 1] = name
  end
  sort(names)
  for _, name in ipairs(names) do
    local family = all[name]
    out[#out + 1] = format("# HELP %s %s\n# TYPE %s %s\n", name,
      gsub(json.utf8(family.help), "[\\\n]", ESCAPES), name, family.kind)
    for _, one in ipairs(family.series) do
      add_series(out, family, one)
    end
  end
  return concat(out)
end

--- All metrics, in the text format of Prometheus (0.0.4). In a worker of `-w N` it asks the
--- others, and waits for them, a second at most; what one does not say by then is missing.
---
--- ```lua
--- local metrics = require "neap.metrics"
--- local net = require "neap.net"
---
--- local listener = assert(net.listen "tcp://127.0.0.1:0")
--- print(metrics.text():match '\nneap_sockets{kind="listener"} %d+')  --> neap_sockets{kind="listener"} 1
--- listener:close()
--- ```
---@async
---@return string
function metrics.text()
  local all = snapshot()
  if worker.count > 1 then
    gather(all)
  end
  return render(all)
end

return metrics
