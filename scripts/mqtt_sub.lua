-- usage: neap mqtt_sub.lua [OPTION...] ENDPOINT TOPIC...
--
-- Subscribes to topics of a broker by MQTT 3.1.1, and prints topic and payload of each
-- message, until Ctrl-C or, with -n, for so many. With -q 1 the broker sends again what it
-- was not told has come. At tls:// its certificate is looked at. --help tells the options.
--
--   neap mqtt_sub.lua tcp://test.mosquitto.org:1883 'sensors/+/temperature' 'doors/#'

local args = require "neap.args"
local net = require "neap.net"
local stdio = require "neap.stdio"
local task = require "neap.task"

local LONGEST = 1 << 20 -- bytes of a packet
local CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE = 0x10, 0x20, 0x30, 0x40, 0x82
local SUBACK, PINGREQ, PINGRESP, DISCONNECT = 0x90, 0xc0, 0xd0, 0xe0

local given = args.parse(arg, {
  name = "neap mqtt_sub.lua",
  {"-q, --qos=QOS", "0: at most once; 1: at least once", type = "integer", min = 0, max = 1, default = 0},
  {"-u, --user=USER", "to log in as"},
  {"-P, --password=PASSWORD", "and its password"},
  {"-k, --keepalive=SECONDS", "how long to be silent", type = "integer", min = 1, max = 65535, default = 60},
  {"-n, --count=COUNT", "how many messages to wait for", type = "integer", min = 1},
  {"--ca=FILE", "certificates to trust"},
  {"--insecure", "trust anybody"},
  {"ENDPOINT", "the broker's", type = require "neap.endpoint".print},
  {"TOPIC...", "+ is any level of it, # all that follow"},
})

local function stop(message)
  io.stderr:write("mqtt_sub: ", tostring(message), "\n")
  os.exit(1)
end

local function check(value, err)
  return value or stop(err or "the broker has ended")
end

local broker <close> = check(net.connect(given.endpoint, {timeout = 10,
  tls = given.endpoint:find "^tls" and {ca = given.ca, verify = not given.insecure} or nil}))
broker:settimeout(given.keepalive * 1.5)

local function text(s)
  return s and string.pack(">s2", s) or ""
end

-- Lengths are in groups of seven bits, the lowest first; all but the last have the eighth set.
local function send(kind, body)
  local length, n = "", #body
  repeat
    length, n = length .. string.char(n > 127 and n & 127 | 128 or n), n >> 7
  until n == 0
  check(broker:write(string.char(kind), length, body))
end

local function receive_body()
  local length, shift = 0, 0
  repeat
    local byte = check(broker:unpack "B")
    length, shift = length | (byte & 127) << shift, shift + 7
  until byte < 128 or shift == 28
  return length <= LONGEST and check(broker:readexactly(length)) or stop "too long a packet"
end

local function show(kind, body)
  local qos = kind >> 1 & 3
  local good, topic, id, at = pcall(string.unpack, qos == 0 and ">s2" or ">s2I2", body)
  if not good or qos > given.qos then
    stop "a malformed message"
  end
  check(stdio.stdout:write((topic .. " " .. body:sub(at or id)):gsub("%c", "?") .. "\n"))
  return qos == 0 or send(PUBACK, string.pack(">I2", id))
end

local flags = 2 | (given.user and 0x80 or 0) | (given.password and 0x40 or 0)
send(CONNECT, text "MQTT" .. string.pack(">BBI2", 4, flags, given.keepalive) .. text "" .. text(given.user)
  .. text(given.password))
for i, topic in ipairs(given.topic) do
  send(SUBSCRIBE, string.pack(">I2s2B", i, topic, given.qos))
end
task.background(function()
  while true do
    task.sleep(given.keepalive / 2)
    send(PINGREQ, "")
  end
end)
local left = given.count or math.huge
while left > 0 do
  local kind = check(broker:unpack "B")
  local known = kind & 0xf0 == PUBLISH or kind == CONNACK or kind == SUBACK or kind == PINGRESP
  local body = known and receive_body() or stop "this is no broker"
  if kind & 0xf0 == PUBLISH then
    show(kind, body)
    left = left - 1
  elseif kind == CONNACK and body ~= "\0\0" or kind == SUBACK and body:byte(3) == 0x80 then
    stop(("refused, with %d"):format(body:byte(-1) or -1))
  end
end
send(DISCONNECT, "")
