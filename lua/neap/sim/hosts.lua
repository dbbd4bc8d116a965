-- The hosts and clients of a world, as its director sees them.

local around = require "neap.sim.around"
local check_self = require "neap.class.core".check_self
local core = require "neap.sim.core"
local sched = require "neap.task.core"

local error, ipairs, pairs, setmetatable, type = error, ipairs, pairs, setmetatable, type
local find, format = string.find, string.format
local mathtype = math.type

--- Seconds before a program that has ended is begun anew; and of a run with hosts.
local PAUSE, LIMIT = 1, 3600

local hosts = {
  all = {},     -- in their order
  clients = {}, -- Hosts and Tasks
  by = nil,     -- what calls functions that are programs: see neap.sim.around
}

local by_name = {}

--- A host of the world. It runs one program, in a state of its own: nothing but the network,
--- and files to read, connects it with others.
---@class neap.sim.Host
---@field name string  by which others find it
---@field address string  its IPv4 address, "10.0.0.1"
---@field private id integer
---@field private program string[]
---@field private restarts boolean
local Host = {}
Host.__index = Host
Host.__name = "neap.sim.Host"

function Host:__tostring()
  return format("%s (%s)", self.name, self.address)
end

--- What the host is at: "running", "paused", "ended" (its program has), "stopped" or
--- "crashed".
---
--- ```lua
--- local sim = require "neap.sim"
---
--- assert(sim.run(function()
---   local sim = require "neap.sim"
---   local host = sim.host("host", function()
---     require "neap.task".sleep(1)
---   end)
---   print(host:state())  --> running
---   host:wait()
---   print(host:state())  --> ended 0
--- end))
--- ```
---@return string state
---@return integer? status  of a program that has ended
function Host:state()
  check_self(self, Host, "state")
  return core.state(self.id)
end

--- Wait until its program has ended, or was ended.
---
--- ```lua
--- local sim = require "neap.sim"
---
--- assert(sim.run(function()
---   local sim = require "neap.sim"
---   local host = sim.host("host", function()
---     require "neap.task".sleep(3600)
---   end)
---   print(host:wait(), sim.now() // 1)  --> 0 3600.0
--- end))
--- ```
---@async
---@return integer? status  nil: it has crashed
function Host:wait()
  check_self(self, Host, "wait")
  return core.wait(self.id)
end

local function begin(self)
  core.start(self.id, self.program.name, self.program.code, self.program.args, self.program.env)
end

--- Let it lose its state at once, as by a power failure: nothing is closed, no finalizer
--- runs. Others learn of it when they wait in vain.
---
--- ```lua
--- local sim = require "neap.sim"
---
--- assert(sim.run(function()
---   local sim = require "neap.sim"
---   local task = require "neap.task"
---
---   local host = sim.host("host", function()
---     print "begun"
---     require "neap.task".sleep(1e6)
---     print "never"
---   end)
---   task.sleep(5)
---   host:crash()
---   print(host:state())
---   host:restart()
---   task.sleep(5)
---   host:stop()
---   print(host:state())
--- end))
--- --> host: begun
--- --> crashed
--- --> host: begun
--- --> stopped -15
--- ```
function Host:crash()
  check_self(self, Host, "crash")
  core.crash(self.id, true)
end

--- Let it lose its state as by SIGKILL: the program is gone, but not the machine, which
--- resets its connections and refuses others.
---
--- ```lua
--- local sim = require "neap.sim"
---
--- assert(sim.run(function()
---   local net = require "neap.net"
---   local sim = require "neap.sim"
---
---   local host = sim.host("host", function()
---     local net = require "neap.net"
---     assert(net.listen "tcp://*:7000"):serve(function(stream)
---       stream:read()
---     end)
---   end)
---   require "neap.task".sleep(1)
---   local stream <close> = assert(net.connect "tcp://host:7000")
---   host:kill()
---   print(select(2, stream:read()).code)  --> ECONNRESET
--- end))
--- ```
function Host:kill()
  check_self(self, Host, "kill")
  core.crash(self.id)
end

--- End its program as SIGTERM does: in order, and draining. Waits for that.
---
--- ```lua
--- local sim = require "neap.sim"
---
--- assert(sim.run(function()
---   local sim = require "neap.sim"
---   local host = sim.host("host", function()
---     local goodbye <close> = setmetatable({}, {__close = function()
---       print "goodbye"  --> host: goodbye
---     end})
---     require "neap.task".sleep(3600)
---   end)
---   require "neap.task".sleep(1)
---   host:stop()
--- end))
--- ```
---@async
function Host:stop()
  check_self(self, Host, "stop")
  core.stop(self.id)
  core.wait(self.id)
end

--- Let it do nothing, until `resume`; what is sent to it waits, as its clocks go on.
---
--- ```lua
--- local sim = require "neap.sim"
---
--- assert(sim.run(function()
---   local sim = require "neap.sim"
---   local host = sim.host("host", function()
---     require "neap.task".sleep(1)
---     print(os.time() - 946684800)  --> host: 11
---   end)
---   host:pause()
---   sim.at(10, function()
---     host:resume()
---   end)
--- end))
--- ```
function Host:pause()
  check_self(self, Host, "pause")
  core.pause(self.id)
end

--- Let it go on.
---
--- ```lua
--- local sim = require "neap.sim"
---
--- assert(sim.run(function()
---   local sim = require "neap.sim"
---   local host = sim.host("host", function() end)
---   host:pause()
---   print(host:state())  --> paused
---   host:resume()
--- end))
--- ```
function Host:resume()
  check_self(self, Host, "resume")
  core.resume(self.id)
end

--- Begin its program anew, in a new state; one that runs crashes before.
---
--- ```lua
--- local sim = require "neap.sim"
---
--- assert(sim.run(function()
---   local sim = require "neap.sim"
---   local host = sim.host("host", function()
---     print "begun"
---     require "neap.task".sleep(5)
---   end)
---   host:restart()
---   --> host: begun
--- end))
--- ```
function Host:restart()
  check_self(self, Host, "restart")
  local state = core.state(self.id)
  if state == "running" or state == "paused" then
    core.crash(self.id)
  end
  begin(self)
end

local SKEW, DRIFT = "seconds, less than 1e9 either way,", "parts per million, less than a million either way,"

local function is_skew(seconds)
  return type(seconds) == "number" and seconds > -1e9 and seconds < 1e9
end

local function is_drift(drift)
  return type(drift) == "number" and drift > -1e6 and drift < 1e6
end

--- Move its wall clock, and let its clocks run faster or slower.
---
--- ```lua
--- local sim = require "neap.sim"
---
--- assert(sim.run(function()
---   local sim = require "neap.sim"
---   local host = sim.host("host", function()
---     require "neap.task".sleep(100)
---     print(os.time() - 946684800)  --> host: 70
---   end)
---   host:skew(-30)
--- end))
--- ```
---@param seconds number  by which the wall clock steps; may be below 0
---@param drift? number  parts per million by which both clocks run fast from now on
function Host:skew(seconds, drift)
  check_self(self, Host, "skew")
  local expected = not is_skew(seconds) and SKEW or drift ~= nil and not is_drift(drift) and DRIFT
  if expected then
    error(format("skew: %s expected", expected), 2)
  end
  core.skew(self.id, seconds, drift)
end

hosts.Host = Host

-- Hosts

local function check_options(options, verb, level)
  if options ~= nil and type(options) ~= "table" then
    error(format("sim.%s: options expected, got %s", verb, type(options)), level + 1)
  end
  options = options or {}
  for name in pairs(options) do
    if not (name == "args" or name == "env" or name == "skew" or name == "drift" or name == "restart") then
      error(format("sim.%s: there is no option '%s'", verb, name), level + 1)
    end
  end
  return options
end

local function check_strings(options, name, is_key, expected, verb, level)
  local strings, n = options[name], 0
  local good = strings == nil or type(strings) == "table"
  for key, value in pairs(good and strings or {}) do
    good = good and is_key(key) and type(value) == "string"
    n = n + 1
  end
  if not good or name == "args" and strings and n ~= #strings then
    error(format("sim.%s: %s: %s expected", verb, name, expected), level + 1)
  end
end

--- What a script or function is to core.start.
local function program_of(program, options, verb, level)
  check_strings(options, "args", mathtype, "a list of strings", verb, level + 1)
  check_strings(options, "env", function(key)
    return type(key) == "string"
  end, "strings by their names", verb, level + 1)
  local name, code = program, nil
  if type(program) == "function" then
    code, name = around(program, "sim." .. verb, level + 1, hosts.by)
  elseif type(program) ~= "string" then
    error(format("sim.%s: a script's path or a function expected, got %s", verb, type(program)), level + 1)
  end
  return {name = name, code = code, args = options.args or {}, env = options.env}
end

--- A program that has ended by itself.
local function watch(self)
  while true do
    local status = core.wait(self.id)
    local state = core.state(self.id)
    if state ~= "ended" then
      while core.state(self.id) == state do
        core.change()
      end
    elseif self.restarts then
      sched.sleep(PAUSE)
      if core.state(self.id) == "ended" then
        begin(self)
      end
    elseif status ~= 0 then
      local told = core.told(self.id)
      core.fail(format("%s has ended with status %d%s", self.name, status, told and ": " .. told or ""))
    else
      core.change()
    end
  end
end

function hosts.new(name, program, options, verb, level)
  if type(name) ~= "string" or not find(name, "^[%w][%w.-]*$") or #name > 63 then
    error(format("sim.%s: a name of letters, digits, - and . expected", verb), level + 1)
  elseif by_name[name] or name == "director" then
    error(format("sim.%s: there is a host '%s' already", verb, name), level + 1)
  end
  options = check_options(options, verb, level + 1)
  for option, is_good in pairs {skew = is_skew, drift = is_drift} do
    if options[option] ~= nil and not is_good(options[option]) then
      error(format("sim.%s: %s: %s expected", verb, option, option == "skew" and SKEW or DRIFT), level + 1)
    end
  end
  program = program_of(program, options, verb, level + 1)
  local self = {name = name, program = program, restarts = options.restart or false}
  self.id, self.address = core.node(name)
  setmetatable(self, Host)
  if options.skew or options.drift then
    core.skew(self.id, options.skew or 0, options.drift)
  end
  if #hosts.all == 0 and not hosts.limited then
    hosts.limit(LIMIT)
  end
  hosts.all[#hosts.all + 1] = self
  by_name[name] = self
  begin(self)
  sched.background(watch, self).name = "watch of " .. name
  return self
end

function hosts.named(name)
  return by_name[name]
end

-- The limit

local limiter, over

local function unlimited()
  if limiter then
    limiter:cancel()
    core.set_limit()
  end
end

--- Until then the clients have time, or until nothing will ever happen.
function hosts.limit(seconds)
  hosts.limited = true
  unlimited()
  limiter = sched.background(function()
    core.set_limit(seconds)
    local idle = core.limited()
    if #hosts.clients > 0 or #hosts.all == 0 then
      if idle then
        core.deadlock()
      end
      core.fail(format("the limit, %g s, is reached", seconds), true)
    end
    over = true
    core.wake()
  end)
  limiter.name = "limit"
end

-- Clients

function hosts.client(name, program, options)
  if type(program) == "string" then
    hosts.clients[#hosts.clients + 1] = hosts.new(name, program, options, "client", 3)
    return
  elseif type(program) ~= "function" then
    error(format("sim.client: a script's path or a function expected, got %s", type(program)), 3)
  elseif options ~= nil then
    error("sim.client: options are of scripts", 3)
  end
  local client = sched.spawn(program)
  client.name = name
  hosts.clients[#hosts.clients + 1] = {wait = function()
    client:join()
  end}
end

local function all_have_ended()
  for _, host in ipairs(hosts.all) do
    local state = core.state(host.id)
    if state ~= "ended" and state ~= "stopped" then
      return false
    end
  end
  return true
end

--- Wait for the clients; without any, for the hosts, or the limit.
function hosts.finish()
  for _, client in ipairs(hosts.clients) do
    client:wait()
  end
  while #hosts.clients == 0 and not over and not all_have_ended() do
    core.change()
  end
  unlimited()
end

--- The director, as a host among others.
local director = {name = "director", id = 0}

--- Those hosts and the director.
function hosts.everybody(targets)
  local list = {director}
  for i, host in ipairs(targets) do
    list[i + 1] = host
  end
  return list
end

--- Those named: a name, a Host, or a list of such; nil: everybody.
function hosts.those(which, verb, level)
  if which == "director" then
    return {director}
  elseif type(which) == "string" then
    return {by_name[which] or error(format("sim.%s: there is no host '%s'", verb, which), level + 1)}
  elseif type(which) ~= "table" then
    error(format("sim.%s: a host, its name, or a list of them expected, got %s", verb, type(which)), level + 1)
  elseif which.id and by_name[which.name] == which then
    return {which}
  end
  local list = {}
  for i, one in ipairs(which) do
    list[i] = hosts.those(one, verb, level + 1)[1]
  end
  return list
end

--- What went wrong is mended: all run, and everybody reaches everybody.
function hosts.calm()
  core.heal()
  for _, host in ipairs(hosts.all) do
    local state = core.state(host.id)
    if state == "paused" then
      core.resume(host.id)
    elseif state == "crashed" then
      begin(host)
    end
  end
end

return hosts
