-- Methods that are written in Lua, called with a wrong self, as by `.` instead of `:`.

local crypto = require "neap.crypto"
local fs = require "neap.fs"
local http = require "neap.http"
local lfs = require "lfs"
local log = require "neap.log"
local metrics = require "neap.metrics"
local net = require "neap.net"
local packet = require "neap.packet"
local pcap = require "neap.pcap"
local prefix = require "neap.prefix"
local task = require "neap.task"
local tls = require "neap.tls"
local url = require "neap.url"
local websocket = require "neap.websocket.connection"

--- What may cost no more: of a self that cannot be indexed, and is not nil, it tells at a
--- line of its own.
local HOT = {
  ["Channel:send"] = true, ["Channel:recv"] = true, ["Channel:receiving"] = true, ["Channel:sending"] = true,
  ["Event:wait"] = true, ["Event:waiting"] = true, ["Future:set"] = true, ["Future:wait"] = true,
  ["Future:waiting"] = true, ["Counter:inc"] = true, ["Histogram:observe"] = true,
  ["Counter:labels"] = true, ["Gauge:labels"] = true, ["Histogram:labels"] = true,
}

--- Call f(path, class, verb) for each method of the public classes in a folder's files.
local function each_method(folder, f)
  for name in lfs.dir(folder) do
    local path = folder .. "/" .. name
    if name:find "%.lua$" then
      local file <close> = assert(io.open(path))
      local text = file:read "a"
      for class, verb in text:gmatch "\nfunction (%u%w*):(%l[%w_]*)%(" do
        if text:find("@class neap%.[%w.]*%f[%w]" .. class .. "\n") and not path:find "serving" then
          f(path, class, verb)
        end
      end
    elseif not name:find "^%." and name ~= "meta" and name ~= "repl"
      and lfs.attributes(path, "mode") == "directory" then
      each_method(path, f)
    end
  end
end

local call = assert(load("local f, self = ...\nlocal result = f(self, 1, 1)\nreturn result", "=caller"))

--- A request that a server has got, its answer, what a client got, and events.
local function message()
  local listener <close> = assert(net.listen "mem:self_http")
  local request, response, events
  local server = task.spawn(http.serve, listener, function(...)
    request, response = ...
    if request.path == "/events" then
      events = response:events()
      return
    end
    return ""
  end)
  local client <close> = http.client {endpoint = "mem:self_http"}
  assert(client:get "http://self/events"):read "a"
  local answered = assert(client:get "http://self/")
  server:cancel()
  server:join()
  return request, response, answered, events
end

describe("a method in Lua", function()
  local objects, ends

  before_each(function()
    log.setup {to = function() end, level = "debug"}
    local a, b = net.socketpair()
    local cert, key = tls.selfsigned {names = {"localhost"}}
    local file = io.tmpfile()
    local semaphore = task.semaphore(1)
    objects = {
      Channel = task.channel(), Semaphore = semaphore, Permit = semaphore:acquire(), Mutex = task.mutex(),
      Event = task.event(), Future = task.future(), Url = assert(url.parse "http://a/"),
      Form = assert(url.formdecode "a=1"), Prefix = assert(prefix.parse "10.0.0.0/8"),
      Writer = assert(pcap.writer(file)), Packet = packet.ip {dst = "10.0.0.1"}, Filter = packet.filter "ip",
      Logger = log.with {},
      Set = prefix.set(),
