--- A connection to a server that comes back, and that many tasks share.
---
--- Three tasks have it. `run` connects, reads, and gives each answer to the *entry* that waits for
--- it: the first one of `sent`. `write_all` takes what is in `out`, all of it at once, writes it,
--- and moves it to `sent`; so bytes and entries are in the same order, whoever is cancelled. `watch`
--- asks now and then whether the server is there. An entry is one command or several in a row.

local backoff = require "neap.backoff"
local net = require "neap.net"
local resp = require "neap.redis.resp"
local subscription = require "neap.bus.subscription"
local task = require "neap.task"

local ipairs, next, select, setmetatable, type = ipairs, next, select, setmetatable, type
local format = string.format
local concat, unpack = table.concat, table.unpack
local background, event, future, sleep, timeout = task.background, task.event, task.future, task.sleep, task.timeout
local deliver, finish = subscription.deliver, subscription.finish
local encode, failure, is_error, read = resp.encode, resp.failure, resp.is_error, resp.read

local ENTRY = 64 -- bytes that a command counts for, beside its own

local Link = {}
Link.__index = Link

local link = { Link = Link }

--- Closes what is not taken out.
local guard_meta = { __close = function(guard)
  if guard[1] then
    guard[1]:close()
  end
end }


-- Entries

local Entry = {}
Entry.__index = Entry

--- Nobody waits any more: it does not go out, or its answer is dropped.
function Entry:__close()
  if not self.done then
    self.cancelled = true
  end
end

--- Commands that wait for n answers; `again`: they may be done twice.
local function new_entry(text, n, again)
  return setmetatable({
    text = text, n = n, got = 0, results = {}, again = again, sent = false, done = false, cancelled = false,
    err = false, kind = false, restores = false, future = future(),
  }, Entry)
end

local function end_entry(entry, err)
  entry.err = err
  entry.done = true
  entry.future:set()
end


-- The handshake

--- Ask over a stream that nobody else uses.
local function ask_now(stream, reader, ...)
  local ok, err = stream:write((encode({ ... }, select("#", ...))))
  local pushed = true
  while ok and pushed do
    ok, err, pushed = read(reader)
    if is_error(ok) then
      return nil, ok, true
    end
  end
  return ok, err
end

link.ask_now = ask_now

--- RESP3 where the server speaks it; the version.
local function greet(opts, stream, reader)
  local words = { "HELLO", "3" }
  if opts.password then
    words[3], words[4], words[5] = "AUTH", opts.user or "default", opts.password
  end
  if opts.protocol ~= 2 then
    local ok, err, answered = ask_now(stream, reader, unpack(words))
    if ok then
      return 3
    elseif not answered or opts.protocol == 3 or err.code ~= "ERR" and err.code ~= "NOPROTO" then
      return nil, err
    end
  end
  if opts.password then
    local ok, err
    if opts.user then
      ok, err = ask_now(stream, reader, "AUTH", opts.user, opts.password)
    else
      ok, err = ask_now(stream, reader, "AUTH", opts.password)
    end
    if not ok then
      return nil, err
    end
  end
  return 2
end

--- What is asked of each new connection, behind HELLO: {words...}.
local function requests_of(opts)
  local list = {}
  if opts.client_name then
    list[#list + 1] = { "CLIENT", "SETNAME", opts.client_name }
  end
  if opts.db and opts.db ~= 0 then
    list[#list + 1] = { "SELECT", opts.db }
  end
  return list
end

--- A stream to a server that has let us in, what reads its answers, and the version.
function link.greet(server, opts, check)
  local stream, err = net.connect(server.endpoint)
  if not stream then
    return nil, err
  end
  local guard <close> = setmetatable({ stream }, guard_meta)
  if server.tls then
    local options = { server_name = server.name }
    if type(opts.tls) == "userdata" then
      options.context = opts.tls
    else
      for name, value in next, opts.tls or {} do
        options[name] = value
      end
    end
    local ok
    ok, err = stream:starttls(options)
    if not ok then
      return nil, err
    end
  end
  local reader = resp.reader(stream, opts.max or 512 << 20)
  local version
  version, err = greet(opts, stream, reader)
  if not version then
    return nil, err
  end
  for _, words in ipairs(requests_of(opts)) do
    local ok
    ok, err = ask_now(stream, reader, unpack(words))
    if not ok then
      return nil, err
    end
  end
  if check then
    local ok
    ok, err = check(function(...)
      return ask_now(stream, reader, ...)
    end)
    if not ok then
      return nil, err
    end
  end
  guard[1] = nil
  return stream, reader, version
end

--- Does any subscription, but this one, still want what comes?
function link.is_wanted(set, but)
  for one in next, set do
    if one ~= but and not one.left then
      return true
    end
  end
  return false
end

--- Connect once; then the link is up. true, or nil, an error, and whether it is no use to try on.
local function connect(self)
  local seconds = self.opts.timeout or 5
  local stream, reader, version
  local server
  local err = timeout(seconds, function()
    local why
    server, why = self.find()
    if server then
      stream, reader, version = link.greet(server, self.opts, self.check)
      why = reader
    end
    return not stream and why or nil
  end)
  if not stream then
    err = err or failure("ETIMEDOUT", format("no handshake within %g s", seconds))
    err.endpoint = err.endpoint or server and server.endpoint
    return nil, err, err.code == "WRONGPASS" or err.code == "NOAUTH"
  end
  self.server, self.stream, self.reader, self.version = server, stream, reader, version
  -- Subscriptions come first, then what has waited.
  local list = {}
  for verb, names in next, self.subs do
    local words = { verb }
    for name, set in next, names do
      if link.is_wanted(set) then
        words[#words + 1] = name
      end
    end
    if words[2] then
      local entry = new_entry(encode(words, #words), #words - 1, false)
      entry.kind, entry.restores = verb, true
      list[#list + 1] = entry
    end
  end
  for _, entry in ipairs(self.out) do
    list[#list + 1] = entry
  end
  self.out, self.up, self.heard = list, true, self.heard + 1
  self.work:set()
  return true
end


-- Reading

local pushes = { message = 2, pmessage = 3, smessage = 2 }
local confirms = {
  subscribe = "SUBSCRIBE", psubscribe = "PSUBSCRIBE", ssubscribe = "SSUBSCRIBE",
  unsubscribe = "UNSUBSCRIBE", punsubscribe = "PUNSUBSCRIBE", sunsubscribe = "SUNSUBSCRIBE",
}

local verbs = { message = "SUBSCRIBE", pmessage = "PSUBSCRIBE", smessage = "SSUBSCRIBE" }

--- An answer has come for the first entry that waits for one.
local function take_answer(self, value)
  local first = self.first
  local entry = self.sent[first]
  if not entry then
    return nil, failure("EPROTO", "an answer that nobody has asked for")
  end
  local got = entry.got + 1
  entry.got = got
  entry.results[got] = value
  if got == entry.n or entry.kind and is_error(value) then
    self.sent[first] = nil
    self.first = first + 1
    end_entry(entry, false)
    if entry.restores and is_error(value) then
      self.tell("error", value)
    end
  end
  return true
end

--- A message, or the server has heard of a subscription. May wait.
local function take_push(self, list)
  local kind = list[1]
  local at = pushes[kind]
  if at then
    local data, channel = list[at + 1], list[at]
    if type(data) ~= "string" or type(channel) ~= "string" then
      return nil, failure("EPROTO", "a message that is none")
    end
    local set = self.subs[verbs[kind]][list[2]]
    local message = { channel = channel, data = data, pattern = kind == "pmessage" and list[2] or nil }
    local all, n = {}, 0
    for one in next, set or {} do
      n = n + 1
      all[n] = one
    end
    for i = 1, n do
      deliver(all[i], message)
    end
    return true
  end
  local entry = self.sent[self.first]
  if confirms[kind] then
    if entry and entry.kind == confirms[kind] then
      return take_answer(self, list)
    end
    return true -- of its own accord: a slot has moved
  end
  self.tell("push", list)
  return true
end

--- Read until the connection is lost: why.
local function read_all(self)
  local reader = self.reader
  while not self.closed do
    local value, err, pushed = read(reader)
    if value == nil then
      return err
    end
    self.heard = self.heard + 1
    if not pushed and self.version == 2 and self.feeds and type(value) == "table" then
      pushed = pushes[value[1]] or confirms[value[1]]
    end
    local ok
    if pushed then
      ok, err = take_push(self, value)
    else
      ok, err = take_answer(self, value)
    end
    if not ok then
      return err
    end
  end
end

--- The connection is lost. What may have been done ends by this error; the rest waits for the
--- next one.
local function go_down(self, err)
  self.up = false
  self.stream:close()
  while self.writing do
    self.idle:clear()
    self.idle:wait()
  end
  local mine = (err.code == "EPROTO" or err.code == "EMSGSIZE") and self.sent[self.first]
  local list = {}
  for i = self.first, self.last do
    local entry = self.sent[i]
    if entry ~= mine and not entry.cancelled and not entry.restores and (entry.again or not entry.sent) then
      entry.got, entry.results, entry.sent = 0, {}, false
      list[#list + 1] = entry
    else
      end_entry(entry, err)
    end
  end
  for _, entry in ipairs(self.out) do
    list[#list + 1] = entry
  end
  self.sent, self.first, self.last, self.out = {}, 1, 0, list
  self.tell("lost", err)
end

--- All of it, until it is closed.
local function run(self)
  local _ <close> = setmetatable({}, { __close = function()
    self:close()
  end })
  repeat
    local err = read_all(self)
    if self.closed then
      return
    end
    go_down(self, err)
    local ok, last = false, err
    local most = self.opts.reconnect
    if most ~= false then
      ok, last = backoff(function()
        return connect(self)
      end, type(most) == "number" and most or nil, self.opts.pause or 5)
    end
    if ok then
      self.tell("connected", self.server.endpoint)
    else
      self.failed = last
    end
  until not ok
end


-- Writing

--- Move what waits to `sent`, and its bytes to the stream.
local function write_waiting(self)
  local list, texts, sent, last = self.out, {}, self.sent, self.last
  local from = last + 1
  for i = 1, #list do
    local entry = list[i]
    if not entry.cancelled then
      last = last + 1
      sent[last] = entry
      entry.sent = true
      texts[#texts + 1] = entry.text
    end
  end
  self.out, self.size, self.last = {}, 0, last
  self.room:set()
  if not texts[1] then
    return
  end
  self.writing = true
  local ok, err = self.stream:write(concat(texts))
  if not ok and err.accepted == 0 then -- and the reader is about to learn of it
    for i = from, last do
      if sent[i] then
        sent[i].sent = false
      end
    end
    self.stream:close()
  end
  self.writing = false
  self.idle:set()
end

local function write_all(self)
  while true do
    self.work:wait()
    self.work:clear()
    if self.up then
      write_waiting(self)
    end
  end
end

--- Is the server there? One that has said nothing for long is asked; and left, if it is silent.
local function watch(self, seconds)
  local asked
  while true do
    local heard = self.heard
    sleep(seconds)
    if self.up and self.heard == heard then
      if asked == heard then
        self.stream:reset()
      else
        asked = heard
        local entry = new_entry("*1\r\n$4\r\nPING\r\n", 1, false)
        self:put(entry)
      end
    end
  end
end


-- What a client asks for

function Link:put(entry)
  local list = self.out
  list[#list + 1] = entry
  self.size = self.size + #entry.text + ENTRY
  self.work:set()
end

--- Forget those for which nobody waits any more.
local function compact(self)
  local list, size = {}, 0
  for _, entry in ipairs(self.out) do
    if not entry.cancelled then
      list[#list + 1] = entry
      size = size + #entry.text + ENTRY
    end
  end
  self.out, self.size = list, size
end

function Link:is_closed()
  return nil, self.failed or failure("EPIPE", "the client is closed"), true
end

--- Ask, and wait for n answers: a list, in which nulls and errors are objects. `kind`: of a
--- SUBSCRIBE and the like, which pushes answer. Else nil, an error, and true if nothing was sent.
---@async
function Link:ask(text, n, again, kind)
  while self.size > 0 and self.size + #text > self.most and not self.closed do
    compact(self)
    if self.size > 0 and self.size + #text > self.most then
      self.room:clear()
      self.room:wait()
    end
  end
  if self.closed then
    return self:is_closed()
  end
  local entry <close> = new_entry(text, n, again or self.opts.again)
  entry.kind = kind or false
  self:put(entry)
  entry.future:wait()
  if entry.err then
    return nil, entry.err, not entry.sent
  end
  return entry.results
end

--- Ask for what nobody waits for.
function Link:tell_server(verb, names)
  if not self.closed and self.up then
    local entry = new_entry(encode({ verb, unpack(names) }, #names + 1), #names, false)
    entry.kind = verb
    self:put(entry)
  end
end

function Link:close()
  if self.closed then
    return
  end
  self.closed, self.up = true, false
  local _, err = self:is_closed()
  if self.stream then
    self.stream:close()
  end
  for i = self.first, self.last do
    end_entry(self.sent[i], err)
  end
  for _, entry in ipairs(self.out) do
    end_entry(entry, err)
  end
  self.sent, self.first, self.last, self.out, self.size = {}, 1, 0, {}, 0
  self.room:set()
  for _, names in next, self.subs do
    for _, set in next, names do
      for one in next, set do
        finish(one, self.failed or nil)
      end
    end
  end
  self.subs = { SUBSCRIBE = {}, PSUBSCRIBE = {}, SSUBSCRIBE = {} }
  for _, one in ipairs { "runner", "writer", "watcher" } do
    if self[one] then
      self[one]:cancel()
    end
  end
end

--- A link that is up. `find()` gives the server to connect to, {endpoint, tls, name}; `check(ask)`,
--- if given, says whether it is the right one.
---@async
function link.open(find_server, opts, tell, check)
  local self = setmetatable({
    find = find_server, opts = opts, tell = tell, check = check, out = {}, size = 0, most = opts.pending or 8 << 20,
    sent = {}, first = 1, last = 0, up = false, closed = false, failed = false, writing = false, heard = 0,
    work = event(), room = event(), idle = event(), version = 0, feeds = false,
    subs = { SUBSCRIBE = {}, PSUBSCRIBE = {}, SSUBSCRIBE = {} },
  }, Link)
  local ok, err = connect(self)
  if not ok then
    return nil, err
  end
  self.runner = background(run, self)
  self.writer = background(write_all, self)
  self.watcher = background(watch, self, opts.ping or 30)
  return self
end

return link
