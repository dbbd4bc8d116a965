--- The client's end: what to connect to, and the handshake.

local authority = require "neap.http.authority"
local check_self = require "neap.class.core".check_self
local connection = require "neap.websocket.connection"
local crypto = require "neap.crypto"
local deflate = require "neap.websocket.deflate"
local error_object = require "neap.error"
local handshake = require "neap.websocket.handshake"
local http = require "neap.http.core"
local message = require "neap.http.message"
local net = require "neap.net"
local options = require "neap.options"
local task = require "neap.task"
local url = require "neap.url"

local error, ipairs, next, pcall, setmetatable, type = error, ipairs, next, pcall, setmetatable, type
local find, format, lower, match, sub =
  string.find, string.format, string.lower, string.match, string.sub
local concat = table.concat

local known = {
  protocols = { handshake.is_protocols, "a list of names" },
  headers = options.table,
  origin = { function(value)
    return type(value) == "string" and http.value(value)
  end, "a string" },
  tls = options.tls, timeout = options.seconds,
  stream = { function(value)
    return (pcall(check_self, value, "neap.Stream", "connect"))
  end, "a stream" },
}
for name, what in next, connection.known do
  known[name] = what
end

--- What the handshake says itself.
local ours = {
  host = true, upgrade = true, connection = true, ["content-length"] = true, ["transfer-encoding"] = true,
}

local function bad(code, words, fields)
  fields = fields or {}
  fields.code, fields.op, fields.message = code, "websocket", words
  return nil, error_object.new(fields)
end

--- Where to connect to, and what to ask for: {endpoint, host, target}; or nil and an error.
local function place(address)
  local path, target = match(address, "^ws%+unix:([^:]+):(.*)$")
  if not path then
    path = match(address, "^ws%+unix:([^:]+)$")
  end
  if path then
    target = target ~= nil and target ~= "" and target or "/"
    if sub(target, 1, 1) ~= "/" or find(target, "[^\x21-\x7e]") or find(target, "#", 1, true) then
      return bad("EBADMSG", "ws+unix:/path/of/socket:/path expected")
    end
    return { endpoint = "unix:" .. path, host = "localhost", target = target }
  end
  local parsed, err = url.parse(address)
  if not parsed then
    return nil, err
  elseif parsed.scheme ~= "ws" and parsed.scheme ~= "wss" then
    return bad("EBADMSG", "ws://, wss:// or ws+unix: expected")
  elseif parsed.userinfo or parsed.fragment then
    return bad("EBADMSG", "no name, password or fragment expected")
  end
  local secure = parsed.scheme == "wss"
  return {
    endpoint = (secure and "tls://" or "tcp://") .. authority.whole(parsed),
    host = authority.host(parsed),
    target = (parsed.path ~= "" and parsed.path or "/") .. (parsed.query and "?" .. parsed.query or ""),
    secure = secure,
  }
end

local function request_text(where, opts, key, level)
  local list = message.fields(opts.headers or {}, level + 1)
  for i = 1, #list, 2 do
    if ours[lower(list[i])] or find(lower(list[i]), "^sec%-websocket%-") then
      error(format("header '%s' is the handshake's", list[i]), level + 1)
    end
  end
  return concat {
    "GET ", where.target, " HTTP/1.1\r\nhost: ", where.host,
    "\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\nsec-websocket-key: ", key, "\r\n",
    opts.protocols and "sec-websocket-protocol: " .. concat(opts.protocols, ", ") .. "\r\n" or "",
    opts.deflate and "sec-websocket-extensions: " .. deflate.offer(opts.deflate) .. "\r\n" or "",
    opts.origin and "origin: " .. opts.origin .. "\r\n" or "",
    message.lines(list), "\r\n",
  }
end

--- What the server's extensions mean: none, or what we have asked for; or false.
local function check_extensions(head, opts)
  local words = handshake.words(head, "sec-websocket-extensions")
  if #words == 0 then
    return nil
  end
  return #words == 1 and opts.deflate and deflate.agree(words[1], opts.deflate) or false
end

--- The subprotocol that was agreed on, or false; or nil and an error.
local function check_answer(head, opts, key)
  if head.status ~= 101 then
    return bad("EPROTO", format("the server answered %d %s", head.status, head.reason), { status = head.status })
  elseif not handshake.has(head, "upgrade", "websocket") or not handshake.has(head, "connection", "upgrade") then
    return bad("EPROTO", "the server has changed to something else")
  elseif head:get "sec-websocket-accept" ~= handshake.accept(key) then
    return bad("EPROTO", "the server did not answer our key")
  elseif check_extensions(head, opts) == false then
    return bad("EPROTO", "the server uses an extension that was not asked for")
  end
  local protocols = handshake.words(head, "sec-websocket-protocol")
  if #protocols == 0 then
    return false
  end
  for _, name in ipairs(opts.protocols or {}) do
    if #protocols == 1 and protocols[1] == name then
      return name
    end
  end
  return bad("EPROTO", "the server has chosen a protocol that was not asked for")
end

--- What ends the stream, unless it is taken out.
local guard_meta = { __close = function(guard)
  if guard.stream then
    guard.stream:close()
  end
end }

local function shake_hands(where, opts, key, text)
  local guard <close> = setmetatable({ stream = opts.stream }, guard_meta)
  local ok, status, words, err
  if not guard.stream then
    guard.stream, err = net.connect(where.endpoint, where.secure and { tls = opts.tls or {} } or nil)
    if not guard.stream then
      return nil, err
    end
  end
  local stream = guard.stream
  ok, err = stream:write(text)
  if not ok then
    return nil, err
  end
  local head
  head, status, words = message.answer(http.parser "response", stream)
  if words then
    return bad("EPROTO", words)
  elseif not head then
    return nil, status or error_object.new {
      code = "ENODATA", op = "websocket", message = "the server answered nothing",
    }
  end
  local protocol
  protocol, err = check_answer(head, opts, key)
  if protocol == nil then
    return nil, err
  end
  guard.stream = nil
  return connection.new(stream, true, opts, protocol or nil, check_extensions(head, opts))
end

local client = {}

function client.connect(address, opts)
  if type(address) ~= "string" then
    error("bad argument #1 to 'connect' (string expected, got " .. type(address) .. ")", 3)
  end
  opts = options.check("websocket.connect", opts, known, 3)
  local where, err = place(address)
  if not where then
    return nil, err
  end
  local key = crypto.tobase64(crypto.random(16))
  local text = request_text(where, opts, key, 3)
  local ws
  ws, err = task.timeout(opts.timeout or 30, shake_hands, where, opts, key, text)
  if not ws and err.op == "timeout" then
    return bad("ETIMEDOUT", "the handshake took too long")
  end
  return ws, err
end

return client
