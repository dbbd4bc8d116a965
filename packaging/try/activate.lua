-- What systemd does with the unit neap@service, as far as it can be done without systemd: its
-- ExecStart, with a socket for what it says, a watchdog, ExecReload, and SIGTERM.

local fs = require "neap.fs"
local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"

local unit = assert(fs.read "/usr/lib/systemd/system/neap@.service" or fs.read "/lib/systemd/system/neap@.service")
local line = unit:match "\nExecStart=([^\n]+)":gsub("%%i", "service")
  :gsub("%$NEAP_OPTIONS", (unit:match 'NEAP_OPTIONS=([^"\n]+)"'))
local command = {}
for word in line:gmatch "%S+" do
  command[#command + 1] = word
end
local socket <close> = assert(net.bind "unixgram:/tmp/neap-notify")
command.env = process.env()
command.env.NOTIFY_SOCKET, command.env.WATCHDOG_USEC = "/tmp/neap-notify", "200000"
local service <close> = assert(process.spawn(command))

local function await(what)
  assert(task.timeout(20, function()
    repeat
      local text = assert(socket:recv())
    until text:find(what, 1, true)
    return true
  end))
  print("service: " .. what)
end

local function ask()
  local stream <close> = assert(net.connect "tcp://127.0.0.1:7001")
  assert(stream:read "l" == "served")
end

await "READY=1"
await "WATCHDOG=1"
ask()
service:kill "SIGHUP"
await "RELOADING=1"
await "READY=1"
ask()
service:kill "SIGTERM"
await "STOPPING=1"
local code, by = service:wait()
assert(code == 0 or by == "SIGTERM", code)
os.remove "/tmp/neap-notify"
