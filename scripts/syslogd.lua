-- usage: neap syslogd.lua [ENDPOINT...]
--
-- Receives log messages (RFC 3164) at unix datagram sockets and over UDP, and
-- prints them; without an endpoint, at unixgram:/tmp/log.sock and
-- udp://127.0.0.1:5514. Of a local message it knows the sending process.
--
--   logger -u /tmp/log.sock -t app hello
--   logger -n 127.0.0.1 -P 5514 -d hello

local net = require "neap.net"
local task = require "neap.task"

local severities = {[0] = "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"}
local facilities = {[0] = "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news",
  "uucp", "cron", "authpriv", "ftp"}

-- <13>Jan  1 12:00:00 app: text. What lacks a priority, 0 to 191, is a user's notice.
local function parse(message)
  local priority, text = message:match "^<(%d%d?%d?)>(.*)$"
  priority = tonumber(priority or 13)
  if priority > 191 then
    priority, text = 13, message
  end
  local facility = priority >> 3
  return facilities[facility] or "local" .. facility - 16, severities[priority & 7],
    (text or message):gsub("[\n%z]+$", "")
end

-- Bytes that could play tricks on a terminal are shown.
local function printable(text)
  return (text:gsub("%c", function(c)
    return c == "\t" and c or ("\\x%02x"):format(c:byte())
  end))
end

local function log(socket)
  for message, from, info in socket:messages() do
    local facility, severity, text = parse(message)
    local sender = info and ("pid %d uid %d"):format(info.pid, info.uid) or tostring(from)
    print(("%s %s.%s [%s] %s"):format(os.date "%H:%M:%S", facility, severity, sender,
      printable(text)))
    io.stdout:flush()
  end
end

local endpoints = #arg > 0 and arg or {"unixgram:/tmp/log.sock", "udp://127.0.0.1:5514"}
task.scope(function(scope)
  for _, endpoint in ipairs(endpoints) do
    local options = endpoint:find "^unixgram:" and {passcred = true, unlink_stale = true} or nil
    local good, socket, err = pcall(net.bind, endpoint, options)
    if not good then
      io.stderr:write(socket, "\n", io.lines(arg[0])():sub(4), "\n")
      os.exit(2)
    end
    assert(socket, err)
    scope:spawn(log, socket)
    print("listening at " .. socket.endpoint)
  end
  io.stdout:flush()
end)
