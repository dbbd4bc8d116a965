-- The clients of a soak (spec/soak/main.lua). What to do comes as a line of JSON on stdin, and each
-- second a line goes to stdout; "stop" ends them, in order.
--
-- Each of so many tasks lives one life after the other: it connects somehow, says something now and
-- then, and closes. A victim may also reset.

local host = require "neap.host"
local http = require "neap.http"
local json = require "neap.json"
local net = require "neap.net"
local stdio = require "neap.stdio"
local task = require "neap.task"
local tls = require "neap.tls"
local websocket = require "neap.websocket"

local folder = arg[0]:match "^(.*)/[^/]*$" or "."
package.path = folder .. "/?.lua;" .. package.path
local measure = require "measure"

local given = json.decode(assert(stdio.stdin:read "l"))
local at = given.endpoints
math.randomseed(given.seed)

local LATE = 60 -- seconds for an answer, on a machine that is busy
local EXCHANGES = 3 -- of a life, on average
local LARGEST = 100000

local stopped = task.event()
local errors, connects, operations, open, lost = {}, 0, 0, 0, 0

local bytes = {}
for i = 1, 2 * LARGEST do
  bytes[i] = string.char(math.random(0, 255))
end
bytes = table.concat(bytes)

-- Mostly short, seldom long.
local function some()
  local n = math.random() < 0.01 and math.random(LARGEST) or math.floor(2 ^ (math.random() * 11))
  local first = math.random(LARGEST)
  return bytes:sub(first, first + n - 1)
end

local function pause(seconds)
  return task.timeout(-seconds * math.log(1 - math.random()), stopped.wait, stopped)
end

local function near(port)
  return ("127.0.0.%d:%d"):format(math.random(1, 20), port)
end

-- Nothing comes, and nothing that comes later is lost.
local function hurry(stream)
  local data, err = task.timeout(math.random() * 0.005, stream.recv, stream)
  assert(data == nil and err.code == "ETIMEDOUT", "bytes that nobody has sent")
end

local function drop(stream)
  local reader = task.spawn(stream.recv, stream)
  task.yield()
  reader:cancel()
  reader:join()
end

local function talk(stream)
  local way = math.random()
  if way < 0.05 then
    hurry(stream)
  elseif way < 0.1 then
    drop(stream)
  end
  local text = some()
  local writer = #text > 10000 and task.spawn(stream.write, stream, text)
  if not writer then
    assert(stream:write(text))
  end
  local got, err = task.timeout(LATE, stream.readexactly, stream, #text)
  if writer then
    writer:join()
  end
  assert(got, err)
  assert(got == text, "other bytes")
end

-- The other side says that it has ended, too.
local function part(stream)
  if math.random() < 0.3 then
    assert(stream:shutdown())
    local rest, err = task.timeout(LATE, stream.read, stream, "a")
    assert(rest == "", err or "bytes that nobody has sent")
  end
end

local function stream_kind(connect)
  return {connect = connect, talk = talk, part = part}
end

local safe = assert(tls.context {ca = given.cert})
local kinds = {
  tcp = stream_kind(function()
    return net.connect("tcp://" .. near(at.tcp))
  end),
  unix = stream_kind(function()
    return net.connect(at.unix)
  end),
  relay = stream_kind(function()
    return net.connect("tcp://" .. near(at.relay))
  end),
  tls = stream_kind(function()
    return net.connect("tls://127.0.0.1:" .. at.tls, {context = safe})
  end),
  named = stream_kind(function()
    return net.connect(("tcp4://n%d.soak.test:%d"):format(math.random(2000), at.tcp), {resolver = "dns"})
  end),
  http = {
    connect = function()
      return http.client {base = "http://" .. near(at.http), timeout = LATE, pool = {idle = 600}}
    end,
    talk = function(client)
      local text = some()
      local response = assert(client:post("/", {body = text}))
      assert(assert(response:read "a") == text, "other bytes")
    end,
  },
  websocket = {
    connect = function()
      return websocket.connect("ws://" .. near(at.http) .. "/ws")
    end,
    talk = function(ws)
      local text = some()
      assert(ws:send(text, "binary"))
      local got, err = task.timeout(LATE, ws.recv, ws)
      assert(got, err)
      assert(got == text, "other bytes")
    end,
  },
  udp = { -- which may lose some, where the machine is busy
    connect = function()
      return net.connect(at.udp)
    end,
    talk = function(socket)
      local text = some():sub(1, 1000)
      assert(socket:send(text))
      local got = task.timeout(1, socket.recv, socket)
      lost = lost + (got and 0 or 1)
    end,
  },
}

local shares = {tcp = 36, unix = 20, tls = 10, http = 10, websocket = 8, relay = 5, named = 4, udp = 7}
local draw = {}
for kind, share in pairs(shares) do
  for _ = 1, share do
    draw[#draw + 1] = kind
  end
end
table.sort(draw)

local function live(kind)
  local connection <close> = assert(kind.connect())
  connects = connects + 1
  repeat
    kind.talk(connection)
    operations = operations + 1
    pause(given.connections / given.rate / EXCHANGES)
  until stopped.is_set or math.random() < 1 / EXCHANGES
  if given.victims and math.random() < 0.5 and kind.part then
    connection:reset()
  elseif kind.part then
    kind.part(connection)
  end
end

local function lives()
  pause(given.connections / given.rate / 2)
  while not stopped.is_set do
    local name = draw[math.random(#draw)]
    open = open + 1
    local ok, err = pcall(live, kinds[name])
    open = open - 1
    if not ok then
      errors[#errors + 1] = name .. ": " .. tostring(err):gsub(":%d%d+", ":PORT"):gsub("127%.0%.0%.%d+", "IP")
      pause(0.1)
    end
  end
end

local function tell(left)
  assert(stdio.stdout:write(json.encode {
    connects = connects, operations = operations, open = open, lost = lost, left = left,
    errors = json.array(errors),
  }, "\n"))
  assert(stdio.stdout:flush())
  errors = {}
end

tell() -- what is opened at the first use is no leak
local before = host.stats()
local all = task.spawn(task.scope, function(scope)
  for _ = 1, given.connections do
    scope:spawn(lives)
  end
end)
local teller = task.spawn(function()
  while true do
    task.sleep(1)
    tell()
  end
end)
repeat
  local line = stdio.stdin:read "l"
until not line or line == "stop"
stopped:set()
all:join()
teller:cancel()
teller:join()
local left
for _ = 1, 300 do
  collectgarbage()
  left = measure.more(before, host.stats())
  if not left then
    break
  end
  task.sleep(0.01)
end
tell(left)
