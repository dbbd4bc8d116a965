--- The carrier over NATS: a connection that comes back.
---
--- One task, `run`, connects, reads and delivers; it is the only one that changes the state. Who
--- publishes writes to the stream while it is `up`, else to `away`, a list that goes out behind
--- the next handshake before the state is up again; so the order of each task's messages stays.

local backoff = require "neap.backoff"
local chance = require "neap.chance"
local client = require "neap.bus.client"
local credentials = require "neap.bus.credentials"
local error_object = require "neap.error"
local json = require "neap.json"
local net = require "neap.net"
local servers = require "neap.bus.servers"
local subscription = require "neap.bus.subscription"
local task = require "neap.task"

local ipairs, next, setmetatable, type = ipairs, next, setmetatable, type
local find, format, lower, match, sub = string.find, string.format, string.lower, string.match, string.sub
local concat, remove = table.concat, table.remove
local tointeger = math.tointeger
local tonumber = tonumber
local background, event, future, sleep, timeout = task.background, task.event, task.future, task.sleep, task.timeout
local deliver = client.deliver

local LINE = 4096 -- bytes of a line, as NATS has it
local INFO = 65536 -- but of this one, which may tell of many servers

local Carrier = {}
Carrier.__index = Carrier
Carrier.is_nats = true

local function failure(code, words)
  return error_object.new { code = code, op = "nats", message = words }
end

--- Closes what is not taken out.
local guard_meta = { __close = function(guard)
  if guard[1] then
    guard[1]:close()
  end
end }


-- The handshake

local function read_info(stream)
  local line, err = stream:readuntil("\r\n", INFO, { strict = true })
  if not line then
    return nil, err or failure("ENODATA", "the server has closed the connection")
  end
  local text = match(line, "^INFO (.*)$")
  local info = text and json.decode(text)
  if type(info) ~= "table" then
    return nil, failure("EPROTO", "the server does not speak NATS")
  end
  return info
end

--- TLS, if the server or we want it.
local function encrypt(self, server, stream, info)
  local how = self.opts.tls
  if not how and not server.tls and not info.tls_required then
    return true
  elseif not info.tls_required and not info.tls_available then
    return nil, failure("EPROTO", "the server does not speak TLS")
  end
  local options = { server_name = server.name }
  if type(how) == "userdata" then
    options.context = how
  else
    for name, value in next, how or {} do
      options[name] = value
    end
  end
  return stream:starttls(options)
end

local function hello(self, server, info)
  local opts = self.opts
  local to = {
    verbose = false, pedantic = false, tls_required = server.tls or opts.tls ~= nil, lang = "neap",
    version = "1", protocol = 1, headers = true, no_responders = true, echo = opts.echo ~= false,
    name = opts.name,
  }
  local ok, err = credentials.fill(to, server, opts, type(info.nonce) == "string" and info.nonce)
  if not ok then
    return nil, err
  end
  return "CONNECT " .. json.encode(to) .. "\r\nPING\r\n"
end

local function refusal(words)
  local text = lower(words)
  local code = (find(text, "authori", 1, true) or find(text, "authentication", 1, true)
    or find(text, "permission", 1, true)) and "EACCES" or "EPROTO"
  return failure(code, "the server said: " .. words)
end

--- The words of a -ERR line, without what a terminal would heed.
local function words_of(line)
  return (string.gsub(match(line, "^%-ERR%s*'?(.-)'?$") or line, "%c", "?"))
end

--- Until the server has taken us: the stream and its INFO.
local function shake_hands(self, server)
  local stream, info, ok, err
  stream, err = net.connect(server.endpoint)
  if not stream then
    return nil, err
  end
  local guard <close> = setmetatable({ stream }, guard_meta)
  info, err = read_info(stream)
  if not info then
    return nil, err
  end
  ok, err = encrypt(self, server, stream, info)
  if ok then
    ok, err = hello(self, server, info)
  end
  if ok then
    ok, err = stream:write(ok)
  end
  while ok do
    local line
    line, err = stream:readuntil("\r\n", INFO, { strict = true })
    if not line then
      return nil, err or failure("ENODATA", "the server has closed the connection")
    elseif line == "PONG" then
      guard[1] = nil
      return stream, info
    elseif find(line, "^%-ERR") then
      return nil, refusal(words_of(line))
    elseif line ~= "+OK" and line ~= "PING" and not find(line, "^INFO ") then
      return nil, failure("EPROTO", "the server does not speak NATS")
    end
  end
  return nil, err
end

local function connect(self, server)
  local seconds = self.opts.timeout or 5
  local stream, info = timeout(seconds, shake_hands, self, server)
  if not stream then
    local err = info
    if err.op == "timeout" then
      err = failure("ETIMEDOUT", format("no handshake with %s within %g s", server.key, seconds))
    end
    err.endpoint = err.endpoint or server.key
    server.refused = err.code == "EACCES" and server.refused + 1 or 0
    return nil, err
  end
  server.refused = 0
  return stream, info
end


-- The state

--- What a server tells of itself, at first and later.
local function heed(self, info)
  self.info = info
  local most = tointeger(info.max_payload)
  self.max_payload = most and most > 0 and most or 1 << 20
  if type(info.connect_urls) == "table" then
    servers.learn(self.servers, self.server, info.connect_urls)
  end
  if info.ldm and not self.lame then
    self.lame = true
    self.bus.tell("lame", self.server.key)
  end
end

--- Write down that we are connected; subscriptions first, then what has waited.
local function come_up(self, server, stream, info)
  self.server, self.stream, self.lame, self.unanswered, self.pongs = server, stream, false, 0, {}
  heed(self, info)
  local lines = {}
  for id, one in next, self.subs do
    if not one.draining then
      lines[#lines + 1] = self:sub_line(id, one)
    end
  end
  local ok, err = true, nil
  if #lines > 0 then
    ok, err = stream:write(concat(lines))
  end
  while ok and self.away[1] do
    local list = self.away
    self.away, self.kept = {}, 0
    ok, err = stream:write(concat(list))
    if not ok and (err.accepted or 0) == 0 then
      -- Nothing of it went out: it stays first.
      for _, text in ipairs(self.away) do
        list[#list + 1] = text
      end
      self.away, self.kept = list, #concat(list)
    end
    self.room:set()
  end
  if ok then
    self.up = true
    self.is_up:set()
  end
  return ok, err
end

--- Without the stream; who waits for a pong gets none.
local function let_go(self)
  if self.stream then
    self.stream:close()
    self.stream = false
  end
  for _, waiting in ipairs(self.pongs) do
    if waiting then
      waiting:set(false)
    end
  end
  self.pongs = {}
end

--- The connection is lost.
local function go_down(self, err)
  self.up = false
  self.is_up:clear()
  let_go(self)
  self.bus.tell("lost", err)
end

--- One round through the servers, from the first; the last error.
local function try_all(self)
  local err
  for _ = 1, #self.servers do
    local server = self.servers[1]
    local stream, info = connect(self, server)
    if stream then
      local guard <close> = setmetatable({ stream }, guard_meta)
      local ok
      ok, err = come_up(self, server, stream, info)
      if ok then
        guard[1] = nil
        return true
      end
      self.stream = false
    else
      err = info
    end
    servers.last(self.servers, server)
    if server.refused >= 2 then
      return nil, err, true
    end
  end
  return nil, err
end

--- Until there is a connection again; or nil and why we give up.
local function come_back(self)
  local most = self.opts.reconnect
  if most == false then
    return nil
  end
  local ok, err = backoff(function()
    return try_all(self)
  end, type(most) == "number" and most or nil, self.opts.pause or 5)
  if ok then
    self.bus.tell("connected", self.server.key)
  end
  return ok, err
end


-- Reading

--- Nobody waits for the answer to a ping: of several the last is enough.
local function put_pong(self)
  if not self.ponging then
    self.ponging = background(function()
      local _ <close> = setmetatable({}, { __close = function()
        self.ponging = false
      end })
      if self.stream then
        self.stream:write "PONG\r\n"
      end
    end)
  end
end

--- The server has refused something: a subscription, or all of us.
local function heed_error(self, line)
  local words = words_of(line)
  local err = refusal(words)
  self.bus.tell("error", err)
  local pattern = match(words, '^Permissions Violation for Subscription to "([^"]*)"')
  for id, one in next, pattern and self.subs or {} do
    if one.subject == pattern then
      self.subs[id], self.bus.subs[one] = nil, nil
      subscription.finish(one, err)
    end
  end
  if err.code == "EACCES" and not find(words, "^Permissions") then
    self.server.refused = self.server.refused + 1
    self.refused = err
  end
end

local function take_pong(self)
  self.unanswered = 0
  local waiting = remove(self.pongs, 1)
  if waiting then
    waiting:set(true)
  end
end

--- What is no message. true, or nil and an error.
local function heed_line(self, line)
  local verb = match(line, "^([%-+]?%u+)")
  if verb == "PING" then
    put_pong(self)
  elseif verb == "PONG" then
    take_pong(self)
  elseif verb == "INFO" then
    local info = json.decode(sub(line, 6))
    if type(info) ~= "table" then
      return nil, failure("EPROTO", "an INFO that is none")
    end
    heed(self, info)
  elseif verb == "-ERR" then
    heed_error(self, line)
  elseif verb ~= "+OK" then
    return nil, failure("EPROTO", "a line that is no NATS")
  end
  return true
end

--- A message's bytes, or nil and an error.
local function read_payload(self, stream, size)
  size = tointeger(tonumber(size))
  if not size or size > self.most then
    return nil, failure("EMSGSIZE", "a message is longer than " .. self.most .. " bytes")
  end
  local data, err = stream:readexactly(size)
  if data and stream:readexactly(2) ~= "\r\n" then
    return nil, failure("EPROTO", "a message does not end where it is to")
  end
  return data, err
end

--- Read and deliver, until the connection is lost: why.
local function read_all(self)
  local stream, subs, bus = self.stream, self.subs, self.bus
  while not bus.closed do
    local line, err = stream:readuntil("\r\n", INFO, { strict = true })
    if not line then
      return err
    end
    local to, id, reply, size = match(line, "^MSG ([^ ]+) (%d+) ?([^ ]*) (%d+)$")
    local head_size
    if not to then
      to, id, reply, head_size, size = match(line, "^HMSG ([^ ]+) (%d+) ?([^ ]*) (%d+) (%d+)$")
    end
    if to then
      if #line > LINE then
        return failure("EMSGSIZE", "a line is longer than 4096 bytes")
      end
      local data, head
      data, err = read_payload(self, stream, size)
      if not data then
        return err
      elseif head_size then
        local n = tonumber(head_size)
        if n > #data then
          return failure("EPROTO", "headers are longer than their message")
        end
        head, data = sub(data, 1, n), sub(data, n + 1)
      end
      local one = subs[id]
      if one and not deliver(bus, one, to, reply ~= "" and reply or nil, head, data) then
        return failure("EPROTO", "malformed headers")
      end
    else
      local ok
      ok, err = heed_line(self, line)
      if not ok then
        return err
      end
    end
  end
end

--- All of it, until it is closed.
local function run(self)
  local _ <close> = setmetatable({}, { __close = function()
    client.finish(self.bus, self.failed)
    self:close()
  end })
  repeat
    local err = read_all(self) or failure("ENODATA", "the server has closed the connection")
    if self.bus.closed then
      return
    end
    local why = self.refused or err
    self.refused = nil
    go_down(self, why)
    servers.last(self.servers, self.server)
    local ok, last = come_back(self)
    self.failed = not ok and (last or why) or nil
  until not ok
end

--- Ask whether the server is there.
local function ask(self, seconds)
  while true do
    sleep(seconds)
    if self.up then
      local stream = self.stream
      self.unanswered = self.unanswered + 1
      if self.unanswered > 2 then
        stream:reset()
      else
        self.pongs[#self.pongs + 1] = false
        timeout(seconds, stream.write, stream, "PING\r\n")
      end
    end
  end
end


-- What a bus asks for

--- Keep it until there is a connection.
local function keep(self, text)
  local most = self.opts.pending or 8 << 20
  while not self.up and self.kept > 0 and self.kept + #text > most do
    if self.opts.full == "error" then
      return nil, error_object.new {
        code = "ENOBUFS", op = "publish", message = "too much waits for a connection",
      }
    end
    self.room:clear()
    self.room:wait()
    if self.bus.closed then
      return nil, self.bus.failed or error_object.new { code = "EPIPE", op = "publish", message = "the bus is closed" }
    end
  end
  if self.up then
    return self.stream:write(text)
  end
  self.away[#self.away + 1] = text
  self.kept = self.kept + #text
  return true
end

function Carrier:publish(to, reply, head, data)
  local size = #data + (head and #head or 0)
  if size > self.max_payload then
    return nil, error_object.new {
      code = "EMSGSIZE", op = "publish", message = format("the server takes %d bytes at most", self.max_payload),
    }
  end
  if self.up and not head then
    local stream = self.stream
    local ok, err
    if reply then
      ok, err = stream:write("PUB ", to, " ", reply, " ", size, "\r\n", data, "\r\n")
    else
      ok, err = stream:write("PUB ", to, " ", size, "\r\n", data, "\r\n")
    end
    if ok then
      return true
    elseif (err.accepted or 0) > 0 then
      return true -- it has begun to go out: as good as sent, and perhaps lost
    end
  end
  local text
  reply = reply and reply .. " " or ""
  if head then
    text = format("HPUB %s %s%d %d\r\n%s%s\r\n", to, reply, #head, size, head, data)
  else
    text = format("PUB %s %s%d\r\n%s\r\n", to, reply, size, data)
  end
  repeat
    local ok, err = keep(self, text)
    if ok then
      return true
    elseif err.code ~= "EPIPE" and err.code ~= "ECONNRESET" and err.code ~= "EBADF" or self.bus.closed then
      return nil, err
    end
    -- The stream is broken, and its reader is about to learn of it.
    if self.up then
      sleep(0.001)
    end
  until false
end

function Carrier.sub_line(_, id, one)
  local line = format("SUB %s %s%s\r\n", one.subject, one.queue and one.queue .. " " or "", id)
  if one.max then
    line = line .. format("UNSUB %s %d\r\n", id, one.max - one.count)
  end
  return line
end

--- Write a line that the next connection would not need.
local function put(self, line)
  if self.up then
    self.stream:write(line)
  end
end

function Carrier:subscribe(one)
  self.last_id = self.last_id + 1
  local id = format("%d", self.last_id)
  self.subs[id], one.id = one, id
  put(self, self:sub_line(id, one))
end

--- Take no more; `draining`: but what comes until then.
function Carrier:unsubscribe(one, draining)
  local id = one.id
  if id and self.subs[id] then
    if not one.draining and one.count ~= one.max then
      put(self, format("UNSUB %s\r\n", id))
    end
    one.draining = draining
    if not draining then
      self.subs[id] = nil
    end
  end
end

--- Until the server has all that was written before. Tries again when the connection is lost.
function Carrier:flush()
  while true do
    self.is_up:wait()
    if self.bus.closed then
      return nil, self.bus.failed or error_object.new { code = "EPIPE", op = "flush", message = "the bus is closed" }
    end
    local waiting = future()
    self.pongs[#self.pongs + 1] = waiting
    if self.stream:write "PING\r\n" then
      if waiting:wait() then
        return true
      end
    else
      sleep(0.001)
    end
  end
end

function Carrier:close()
  self.up = false
  self.is_up:set()
  self.room:set()
  let_go(self)
  self.away, self.kept = {}, 0
  for _, one in ipairs { "runner", "asker" } do
    if self[one] then
      self[one]:cancel()
    end
  end
end

local nats = {}

function nats.open(bus, endpoint, opts)
  local list, err = servers.parse(endpoint)
  if not list then
    return nil, err
  end
  for i = #list, 2, -1 do -- so that not all clients ask the first one
    local at = chance(i)
    list[i], list[at] = list[at], list[i]
  end
  local self = setmetatable({
    bus = bus, opts = opts, servers = list, subs = {}, last_id = 0, up = false, is_up = event(), room = event(),
    stream = false, pongs = {}, away = {}, kept = 0, unanswered = 0, most = opts.max or 64 << 20,
    max_payload = 1 << 20, ponging = false, lame = false,
  }, Carrier)
  bus.carrier = self
  local ok
  ok, err = try_all(self)
  if not ok then
    return nil, err
  end
  self.runner = background(run, self)
  self.asker = background(ask, self, opts.ping or 30)
  return bus
end

return nats
