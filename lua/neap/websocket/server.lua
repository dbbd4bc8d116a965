--- The server's end of the handshake: of a request that an HTTP server has got.

local connection = require "neap.websocket.connection"
local deflate = require "neap.websocket.deflate"
local error_object = require "neap.error"
local fail = require "neap.http.request".fail
local handshake = require "neap.websocket.handshake"
local options = require "neap.options"

local error, ipairs, next, type = error, ipairs, next, type
local find, format, gsub, lower, match = string.find, string.format, string.gsub, string.lower, string.match

local known = {
  protocols = { function(value)
    return type(value) == "function" or handshake.is_protocols(value)
  end, "a function, or a list of names" },
  origin = { function(value)
    return type(value) == "function" or type(value) == "table"
  end, "a function, or a list of origins" },
}
for name, what in next, connection.known do
  known[name] = what
end

--- Without what a browser leaves out.
local function plain_host(scheme, host)
  return gsub(host, scheme == "https" and ":443$" or ":80$", "", 1)
end

--- May a page of that origin talk to us? Without a list those may that we have served.
local function is_welcome(opts, request, origin)
  local allowed = opts.origin
  if type(allowed) == "function" then
    return allowed(origin, request)
  elseif allowed then
    for _, one in ipairs(allowed) do
      if one == "*" or origin and lower(one) == lower(origin) then
        return true
      end
    end
    return false
  elseif not origin then
    return true
  end
  local scheme, host = match(lower(origin), "^(https?)://(.+)$")
  return host ~= nil and plain_host(scheme, host) == plain_host(scheme, lower(request:header "host" or ""))
end

--- One of what the client offers.
local function choose(opts, request, offered)
  local ours = opts.protocols
  if type(ours) == "function" then
    local name = ours(offered, request)
    for _, one in ipairs(offered) do
      if one == name then
        return name
      end
    end
    if name ~= nil then
      error(format("websocket: option 'protocols': one of what is offered expected, or nil, got %s", name), 0)
    end
    return nil
  end
  for _, name in ipairs(ours or {}) do
    for _, one in ipairs(offered) do
      if one == name then
        return name
      end
    end
  end
end

--- Why it is no handshake, or none of ours: a status, words, and a field.
local function refusal(head)
  if head.method ~= "GET" or head.version ~= "1.1" or not handshake.has(head, "connection", "upgrade")
    or not handshake.has(head, "upgrade", "websocket") then
    return 426, "a WebSocket handshake expected", { upgrade = "websocket" }
  end
  local version = handshake.words(head, "sec-websocket-version")
  if #version ~= 1 or version[1] ~= "13" then
    return 426, "WebSocket version 13 expected", { upgrade = "websocket", ["sec-websocket-version"] = "13" }
  end
  local keys = handshake.words(head, "sec-websocket-key")
  if #keys ~= 1 or not find(keys[1], "^[A-Za-z0-9+/]+==$") or #keys[1] ~= 24 then
    return 400, "a Sec-WebSocket-Key of 16 bytes expected"
  elseif #handshake.words(head, "sec-websocket-protocol") > 0
    and not handshake.is_protocols(handshake.words(head, "sec-websocket-protocol")) then
    return 400, "subprotocols that are none"
  end
end

local function refuse(request, status, words, fields)
  local err = error_object.new { code = "EPROTO", op = "websocket", message = words, status = status }
  fail(request, status, err)
  request.response:send(status, fields, words .. "\n")
  return nil, err
end

local server = {}

function server.accept(request, opts)
  opts = options.check("websocket", opts, known, 3)
  local head, response = request.head, request.response
  if response.status then
    error("this request is answered already", 3)
  end
  local status, words, fields = refusal(head)
  if status then
    return refuse(request, status, words, fields)
  elseif not is_welcome(opts, request, request:header "origin") then
    return refuse(request, 403, "this origin is not welcome")
  end
  local protocol = choose(opts, request, handshake.words(head, "sec-websocket-protocol"))
  local answer, agreed
  if opts.deflate then
    answer, agreed = deflate.answer(handshake.words(head, "sec-websocket-extensions"), opts.deflate)
  end
  local stream, err = response:upgrade {
    upgrade = "websocket",
    ["sec-websocket-accept"] = handshake.accept(head:get "sec-websocket-key"),
    ["sec-websocket-protocol"] = protocol, ["sec-websocket-extensions"] = answer,
  }
  if not stream then
    return nil, err
  end
  stream:settimeout(nil)
  local ws = connection.new(stream, false, opts, protocol, agreed)
  response.websocket = ws
  return ws
end

return server
