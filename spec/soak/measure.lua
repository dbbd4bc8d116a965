--- What a long run is measured by: memory by the slope of its course, timers by how late they
--- come, and what a process has.

local task = require "neap.task"
local time = require "neap.time"

local measure = {}

local PAGE = 4096 / 1e6 -- MB

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end

--- By least squares: the slope of y over x, and its standard error.
---@param x number[]
---@param y number[]
---@return number slope
---@return number err
function measure.slope(x, y)
  local n, mean_x, mean_y = #x, 0, 0
  for i = 1, n do
    mean_x, mean_y = mean_x + x[i] / n, mean_y + y[i] / n
  end
  local xx, xy = 0, 0
  for i = 1, n do
    xx = xx + (x[i] - mean_x) ^ 2
    xy = xy + (x[i] - mean_x) * (y[i] - mean_y)
  end
  local slope, squares = xy / xx, 0
  for i = 1, n do
    squares = squares + (y[i] - mean_y - slope * (x[i] - mean_x)) ^ 2
  end
  return slope, (squares / (n - 2) / xx) ^ 0.5
end

--- What there is more of: host.stats() of two times.
function measure.more(before, now)
  local left = {}
  for kind, count in pairs(now) do
    local extra = math.type(count) == "integer" and count - (before[kind] or 0) or 0
    if extra > 0 then
      left[#left + 1] = ("%s +%d"):format(kind, extra)
    end
  end
  table.sort(left)
  return #left > 0 and table.concat(left, ", ") or nil
end


-- Memory: the mean of each window, as the collector's course is that of a saw.

local Memory = {}
Memory.__index = Memory

local WINDOWS = 6 -- fewer say nothing
local WARM, WARM_MOST = 1 / 2, 900 -- of the run, and seconds, that are not looked at: an allocator takes its time

--- Of this process.
function measure.memory()
  return setmetatable({times = {}, resident = {}, heap = {}, n = 0, sum_rss = 0, sum_lua = 0}, Memory)
end

function Memory:sample()
  self.n = self.n + 1
  self.sum_rss = self.sum_rss + tonumber(read "/proc/self/statm":match "^%d+ (%d+)") * PAGE
  self.sum_lua = self.sum_lua + collectgarbage "count" * 1024 / 1e6
end

--- A window is over, so many seconds after the beginning.
function Memory:window(seconds)
  local i = #self.times + 1
  self.rss, self.lua = self.sum_rss / self.n, self.sum_lua / self.n
  self.times[i], self.resident[i], self.heap[i] = seconds / 60, self.rss, self.lua
  self.n, self.sum_rss, self.sum_lua = 0, 0, 0
end

--- MB a minute behind the warm-up, or nil where there are too few windows. `grows` is what it grows at
--- least: two standard errors are the benefit of the doubt, which a longer run makes small.
function Memory:slopes()
  local first = math.min(self.times[#self.times] * WARM, WARM_MOST / 60)
  local x, y, z = {}, {}, {}
  for i, minutes in ipairs(self.times) do
    if minutes > first then
      x[#x + 1], y[#y + 1], z[#z + 1] = minutes, self.resident[i], self.heap[i]
    end
  end
  if #x < WINDOWS then
    return nil
  end
  local rss, rss_err = measure.slope(x, y)
  local lua, lua_err = measure.slope(x, z)
  return {
    grows = math.max(rss - 2 * rss_err, lua - 2 * lua_err),
    text = ("%+.3f MB/min (+- %.3f) resident, %+.3f (+- %.3f) of Lua, over %.1f min; %.1f MB at the end"):format(
      rss, 2 * rss_err, lua, 2 * lua_err, x[#x] - x[1], y[#y]),
  }
end


-- Timers: how much later than asked for a sleep ends. On a machine with nothing to spare the
-- process waits for its turn, which is the machine's doing (schedstat).

local Timers = {}
Timers.__index = Timers

local EACH, CLASS, CLASSES = 0.01, 0.0001, 20000
local BUSY = 0.05 -- this share of the time without a processor: then that is taken off

local function waited()
  local text = io.open "/proc/self/schedstat"
  local ns = text and text:read "a":match "^%d+ (%d+)" or 0
  if text then
    text:close()
  end
  return ns / 1e9
end

local function add(histogram, seconds)
  local class = math.min(math.floor(seconds / CLASS), CLASSES)
  histogram[class] = (histogram[class] or 0) + 1
  histogram.n = histogram.n + 1
end

-- In ms.
local function percentile(histogram, share)
  local sum = 0
  for class = 0, CLASSES do
    sum = sum + (histogram[class] or 0)
    if sum >= share * histogram.n then
      return (class + 1) * CLASS * 1000
    end
  end
  return 0
end

local function sample(self)
  local before = waited()
  while true do
    local due = time.now() + EACH
    task.sleep(EACH)
    local late, now = time.now() - due, waited()
    add(self.all, late)
    add(self.own, math.max(0, late - (now - before)))
    add(self.recent, late)
    self.worst = math.max(self.worst, late)
    before = now
  end
end

function measure.timers()
  local self = setmetatable({all = {n = 0}, own = {n = 0}, recent = {n = 0}, worst = 0}, Timers)
  self.began, self.waited = time.now(), waited()
  self.task = task.spawn(sample, self)
  return self
end

--- Of what came since the last call.
function Timers:window()
  local text = ("p50 %.1f, p99 %.1f ms"):format(percentile(self.recent, 0.5), percentile(self.recent, 0.99))
  self.recent = {n = 0}
  return text
end

--- `judged` is what there is to be judged by: p99 in ms.
function Timers:stop()
  self.task:cancel()
  self.task:join()
  local share = (waited() - self.waited) / (time.now() - self.began)
  local all, own = percentile(self.all, 0.99), percentile(self.own, 0.99)
  return {
    judged = share > BUSY and own or all,
    text = ("p99 %.1f ms late, %.1f at most; without the machine's share p99 %.1f; "
      .. "%.0f %% of the time there was no processor"):format(all, self.worst * 1000, own, share * 100),
  }
end

return measure
