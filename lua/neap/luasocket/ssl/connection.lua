--- `require "ssl.core"`: LuaSec's connections, on neap's streams with TLS.
---
--- An object has a socket that it took over, which may still be connecting, until its
--- handshake begins; then the socket's stream is one with TLS, and the object's. Whoever
--- waits for one in a handshake (select) gets on with that.

local core = require "neap.tls.core"
local contexts = require "neap.luasocket.ssl.context"
local object = require "neap.luasocket.object"
local stream = require "neap.luasocket.stream"
local time = require "neap.time"
local transfer = require "neap.luasocket.transfer"
local words = require "neap.luasocket.words"

local error, getmetatable, next, pairs = error, getmetatable, next, pairs
local setmetatable, tonumber, type = setmetatable, tonumber, type
local format, gmatch, match = string.format, string.gmatch, string.match
local limit, start_of, text_of = object.limit, object.start, words.of
local now, quiet = time.now, require "neap.net.core".quiet
local piecewise = contexts.piecewise

local connection = {SOCKET_INVALID = -1}
local methods = {}
local Connection

--- Raise at the line of a method's caller if it is called on something else.
local function check(self, name)
  if getmetatable(self) ~= Connection then
    error(format("bad argument #1 to '%s' (SSL:Connection expected, got %s)", name,
      self == nil and "no value" or type(self)), 3)
  end
end

local function opened(self)
  if self.state == "open" then
    return self.stream
  end
  return nil, "closed"
end

--- Which context, for the name that the client calls, and which protocols. False: none.
local function choose(self, called)
  local other = self.names and called and self.names[called]
  if self.strict and self.names and called and not other then
    core.choose(self.stream, nil, true)
    return
  end
  local context = other or self.context
  local offered = context.choose_protocols and piecewise.offered(self.stream)
  local protocols = offered and context.choose_protocols(offered)
  if type(protocols) == "string" then
    piecewise.prefer(self.stream, protocols)
  end
  core.choose(self.stream, other and other.raw or nil)
end

--- Get on with the handshake, for so long.
---@return true? done
---@return string? text
local function shake(self, seconds)
  local upper = self.stream
  upper:settimeout(seconds)
  local done, err = core.handshake(upper, "handshake")
  while done == false do
    choose(self, err)
    done, err = core.handshake(upper, "handshake")
  end
  if seconds == 0 then
    quiet(upper) -- for loops that neap knows nothing of
  end
  if done then
    self.state, self.wants = "open", "nothing"
    object.apply_limit(self)
    return true
  end
  local text = text_of(err)
  if text == "timeout" then
    self.wants, text = "read", "wantread"
  end
  return nil, text
end

--- The socket is connected, and speaks TLS from now on.
local function begin(self)
  local lower = self.lower
  if not lower then
    return nil, "Bad file descriptor"
  end
  lower.block, lower.total = self.block, self.total
  local open, text = stream.opened(lower)
  if not open then
    if text == "timeout" then
      self.wants, text = "write", "wantwrite"
    end
    return nil, text
  end
  local fd = open.fd -- a stream with TLS tells none
  local done, err = core.over(open, self.context.raw, self.context.mode == "server", self.name)
  if not done then
    return nil, text_of(err)
  end
  self.stream, self.state, self.fd = open, "shaking", fd
  return true
end

function methods.dohandshake(self)
  check(self, "dohandshake")
  if self.state == "open" then
    return true
  elseif self.state == "closed" then
    return false, "closed"
  end
  local start = start_of(self)
  local done, text = true, nil
  if self.state == "new" then
    done, text = begin(self)
  end
  if done then
    done, text = shake(self, limit(self, start))
  end
  if not done then
    return false, text
  end
  return true
end

--- Of a client: whom it calls. Of a server: which contexts, by what it is called; and whether
--- it refuses other names.
function methods.sni(self, names, strict)
  check(self, "sni")
  if self.context.mode == "client" then
    self.name = object.text(names, 1, "sni")
    return
  elseif type(names) ~= "table" then
    object.bad(1, "sni", format("table expected, got %s", type(names)))
  end
  for name, context in pairs(names) do
    if type(name) ~= "string" or not contexts.is(context) then
      object.bad(1, "sni", "a table of contexts by name expected")
    end
  end
  self.names, self.strict = names, strict and true or false
end

function methods.getsniname(self)
  check(self, "getsniname")
  local facts = opened(self) and piecewise.facts(self.stream)
  return facts and facts.called or self.name
end

function methods.receive(self, pattern, part)
  check(self, "receive")
  return transfer.receive(self, opened, pattern, part)
end

function methods.send(self, data, from, to)
  check(self, "send")
  return transfer.send(self, opened, data, from, to)
end

function methods.getstats(self)
  check(self, "getstats")
  return transfer.getstats(self)
end

function methods.setstats(self, received, sent, age)
  check(self, "setstats")
  return transfer.setstats(self, received, sent, age)
end

methods.settimeout = object.settimeout

function methods.dirty(self)
  check(self, "dirty")
  return self.state == "open" and (self.stream.unread or 0) > 0
end

function methods.want(self)
  check(self, "want")
  return self.wants
end

--- Whose loop is another's needs it for as long as the connection is: what has none to take
--- out of a set of descriptors stays in it.
function methods.getfd(self)
  check(self, "getfd")
  local lower = self.lower
  local fd = lower and (self.fd or lower:getfd()) or -1
  if fd >= 0 then
    object.by_fd[fd] = self
  end
  return fd
end

function methods.close(self)
  check(self, "close")
  local lower, upper = self.lower, self.stream
  self.state, self.lower, self.stream = "closed", nil, nil
  if upper then
    upper:close()
  end
  if lower then
    lower:close()
  end
end

--- Certificates of a connection that is open, the peer's or its own.
local function certificates(self, own)
  local list = opened(self) and piecewise.certificates(self.stream, own)
  if not list then
    return nil, "closed"
  end
  return list
end

local function certificate(self, n, own)
  local list, text = certificates(self, own)
  n = n == nil and 1 or tonumber(n) or 0
  if not list then
    return nil, text
  elseif n < 1 then
    return nil, "invalid certificate index"
  end
  return list[n]
end

function methods.getpeercertificate(self, n)
  check(self, "getpeercertificate")
  return certificate(self, n, false)
end

function methods.getlocalcertificate(self, n)
  check(self, "getlocalcertificate")
  return certificate(self, n, true)
end

function methods.getpeerchain(self)
  check(self, "getpeerchain")
  return certificates(self, false)
end

function methods.getlocalchain(self)
  check(self, "getlocalchain")
  return certificates(self, true)
end

--- Of those that were noted: lists of reasons by their places in the chain, from 1 on.
local function noted(lines)
  local all = {}
  for depth, reason in gmatch(lines, "(%d+) ([^\n]*)\n") do
    local place = depth + 1 | 0
    local list = all[place] or {}
    all[place] = list
    list[#list + 1] = reason
  end
  return all
end

function methods.getpeerverification(self)
  check(self, "getpeerverification")
  local facts = opened(self) and piecewise.facts(self.stream)
  if not facts then
    return false, "closed"
  elseif facts.refusal then
    return false, facts.noted and match(facts.noted, "^%d+ ") and noted(facts.noted) or facts.refusal
  end
  return true
end

--- Methods that tell one of the facts.
for name, field in next, {getfinished = "finished", getpeerfinished = "peer_finished"} do
  methods[name] = function(self)
    check(self, name)
    local facts = opened(self) and piecewise.facts(self.stream)
    if not facts then
      return nil, "closed"
    end
    return facts[field]
  end
end

function methods.getalpn(self)
  check(self, "getalpn")
  local facts = opened(self) and piecewise.facts(self.stream)
  return facts and facts.alpn or nil
end

function methods.exportkeyingmaterial(self, label, size, context)
  check(self, "exportkeyingmaterial")
  if not opened(self) then
    return nil, "closed"
  end
  local bytes = piecewise.material(self.stream, label, size, context)
  if not bytes then
    return nil, "error exporting keying material"
  end
  return bytes
end

--- What OpenSSL says of the cipher; its bits, those that count and all; the protocol.
function connection.info(self)
  check(self, "info")
  local facts = opened(self) and piecewise.facts(self.stream)
  if not facts then
    return
  end
  return facts.cipher, facts.bits, facts.strength, facts.version
end

--- There is none.
function connection.compression(self)
  check(self, "compression")
  if not opened(self) then
    return nil, "closed"
  end
  return nil
end

--- `info(field?)`
function methods.info(self, field)
  check(self, "info")
  local cipher, bits, strength, version = connection.info(self)
  if not cipher then
    return nil, "closed"
  end
  local about = {bits = bits, algbits = strength, protocol = version, export = false}
  about.cipher, about.key, about.authentication, about.encryption, about.mac =
    match(cipher, "^(%S+)%s+%S+%s+Kx=(%S+)%s+Au=(%S+)%s+Enc=(%S+)%s+Mac=(%S+)")
  if field then
    return about[field]
  end
  return about
end

--- For select.
local waiting = {}

function waiting.is_open(self)
  return self.stream or self.lower
end

function waiting.await(self, what, seconds)
  if self.state == "new" then
    return getmetatable(self.lower).await(self.lower, what, seconds)
  elseif self.state == "shaking" then
    local _, text = shake(self, seconds)
    return text ~= "wantread" and what or nil
  end
  local ready, err = self.stream:wait(what, seconds)
  return ready or err.code ~= "ETIMEDOUT" and what or nil
end

Connection = object.class("ssl", "SSL:Connection", methods, waiting)
Connection.__close = methods.close

function Connection.__tostring(self)
  return format("SSL connection: %p%s", self, self.state == "closed" and " (closed)" or "")
end

--- A connection that has no socket yet.
function connection.create(context)
  contexts.check(context, "create")
  if not context.mode then
    return nil, "invalid mode"
  end
  return setmetatable({
    context = context, state = "new", wants = "nothing", block = -1, total = -1, received = 0,
    sent = 0, born = now(),
  }, Connection)
end

--- It takes over a socket of LuaSocket's; nil: that has no connection.
local function take(self, socket)
  self.lower = stream.moved(socket)
  return self.lower
end

--- All connections have that method from now on.
function connection.setmethod(name, method)
  Connection.__index[name] = method
end

function connection.copyright()
  return "LuaSec's API on neap's sockets"
end

return {core = connection, take = take}
