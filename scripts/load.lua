-- usage: neap load.lua [-r RATE] [-d SECONDS] [-c COUNT] URL
--
-- Asks for a URL so many times a second, whether the answers come or not, and tells how
-- long they took: counted from when a request was due, so that a server which stops for a
-- second shows it.

local args = require "neap.args"
local http = require "neap.http"
local task = require "neap.task"
local time = require "neap.time"
local url = require "neap.url"

local given = args.parse(arg, {
  about = "Measures how long a server's answers take, at a rate that does not depend on them.",
  {"-r, --rate=RATE", "requests a second", type = "number", min = 0.01, default = 100},
  {"-d, --duration=SECONDS", "for how long", type = "number", min = 0.01, default = 5},
  {"-c, --connections=COUNT", "at once, at most; more requests wait", type = "integer", min = 1, default = 100},
  {"URL", "what to ask for: http:// or https://", type = url.parse},
})

local client <close> = http.client {
  pool = {origin = given.connections, all = given.connections}, timeout = 30, redirects = 0,
}
local slots = task.semaphore(given.connections)
local times, statuses, bytes = {}, {}, 0

local function note(what)
  statuses[what] = (statuses[what] or 0) + 1
end

local function ask(due)
  local permit <close> = slots:acquire()
  local _ = permit
  local response, err = client:get(given.url)
  if response then
    for piece in response:chunks() do
      bytes = bytes + #piece
    end
    note(response.status)
  else
    note(err.code)
  end
  times[#times + 1] = time.now() - due
end

local began = time.now()
task.scope(function(scope)
  for i = 0, math.floor(given.rate * given.duration) - 1 do
    local due = began + i / given.rate
    local left = due - time.now()
    if left > 0 then
      task.sleep(left)
    end
    scope:spawn(ask, due)
  end
end)
local took = time.now() - began

table.sort(times)
local function at(share)
  return times[math.max(1, math.ceil(share * #times))] * 1000
end

print(("%d requests in %.2f s: %.1f/s, %.2f MB"):format(#times, took, #times / took, bytes / 1e6))
local kinds = {}
for what, count in pairs(statuses) do
  kinds[#kinds + 1] = what .. ": " .. count
end
table.sort(kinds)
print(table.concat(kinds, ", "))
for _, share in ipairs {0.5, 0.9, 0.99, 0.999, 1} do
  print(("%6.1f %%  %9.3f ms"):format(share * 100, at(share)))
end
