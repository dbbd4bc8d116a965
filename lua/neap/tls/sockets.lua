--- What neap.net does with endpoints and options that ask for TLS. Loaded when the first
--- is met.

local core = require "neap.tls.core"
local endpoints = require "neap.endpoint"
local net = require "neap.net"
require "neap.tls"

local error, pcall, next, rawget, setmetatable, type = error, pcall, next, rawget, setmetatable, type
local find, format, gsub, stderr = string.find, string.format, string.gsub, io.stderr

local sockets = {}

--- Options that are the stream's, and not the context's.
local of_stream = {context = true, server_name = true}
local of_starttls = {context = true, server_name = true, server = true}
local of_connect = {context = true, server_name = true, timeout = true, localaddr = true,
  mptcp = true, resolver = true, cache = true, public_only = true}
local of_listen = {context = true, backlog = true, mode = true, mptcp = true,
  unlink_stale = true, resolver = true, cache = true}

local function mistake(what, ...)
  error(format(what, ...), 0)
end

local function check_own(rest)
  if rest.context ~= nil and not core.is_context(rest.context) then
    mistake "option 'context': what tls.context() returns expected"
  elseif rest.server_name ~= nil and (type(rest.server_name) ~= "string" or rest.server_name == ""
      or #rest.server_name > 255 or find(rest.server_name, "\0", 1, true)) then
    mistake "option 'server_name': a host's name or address expected"
  end
end

local default

--- The context that options name, or that they make; or an error.
local function context_of(own, rest)
  local context = rest.context
  if context ~= nil and next(own) ~= nil then
    mistake("option '%s' is the context's, and there is one", (next(own)))
  elseif context ~= nil then
    return context
  elseif next(own) ~= nil then
    return core.make(own)
  end
  local err
  if not default then
    default, err = core.make {}
  end
  return default, err
end

local warned = false

--- Whoever verifies nobody is told so, once.
local function verifies(context)
  if core.given(context).verify ~= false then
    return true
  elseif not warned then
    warned = true
    stderr:write "neap: TLS: certificates are not verified (verify = false)\n"
  end
  return false
end

--- The endpoint below, the context's options, and the others: of `net.connect` and
--- `net.listen`.
local function taken_apart(endpoint, opts, others)
  local below = gsub(endpoint, "^tls", "tcp", 1)
  local given = rawget(opts, "tls")
  if given == nil then
    local own, rest = core.split(opts, others, true)
    return below, own, rest
  end
  local plain = {}
  for name, value in next, opts do
    if name ~= "tls" then
      plain[name] = value
    end
  end
  if core.is_context(given) then
    given = {context = given}
  elseif type(given) ~= "table" then
    mistake("option 'tls': a table of options or a context expected, got %s", type(given))
  end
  local own, rest = core.split(given, of_stream, false)
  for name, value in next, plain do
    rest[name] = value
  end
  return below, own, rest
end

--- What is left for the socket.
local function plain(rest)
  local options = {}
  for name, value in next, rest do
    if not of_starttls[name] then
      options[name] = value
    end
  end
  return options
end

local function renamed(err, endpoint)
  if type(err) == "table" then
    err.endpoint = endpoint
  end
  return nil, err
end

--- Whom the certificate is to name.
local function expected_of(context, name)
  if verifies(context) and name == nil then
    mistake "option 'server_name' expected: whom the server's certificate is to name"
  end
  return name and core.without_dot(name)
end

--- As `net.connect`, but for its timeout.
---@async
---@param endpoint string
---@param opts? table
function sockets.connect(endpoint, opts)
  local below, own, rest = taken_apart(endpoint, opts or {}, of_connect)
  check_own(rest)
  local context, err = context_of(own, rest)
  if not context then
    return nil, err
  end
  local host = endpoints.parse(below).host
  host = host and gsub(host, "%%.*$", "")
  local name = expected_of(context, rest.server_name or host)
  local stream
  stream, err = net.connect(below, plain(rest))
  if not stream then
    return renamed(err, endpoint)
  end
  local key = format("%s %s", below, name or "")
  core.over(stream, context, false, name, key, endpoint)
  return core.handshake(stream, "connect")
end

--- As `net.listen`.
---@async
---@param endpoint string
---@param opts? table
function sockets.listen(endpoint, opts)
  local below, own, rest = taken_apart(endpoint, opts or {}, of_listen)
  check_own(rest)
  local context, err = context_of(own, rest)
  if not context then
    return nil, err
  end
  local given = core.given(context)
  if not given.cert and not given.names then
    mistake "option 'cert' expected: the server's certificate"
  end
  local listener
  listener, err = net.listen(below, plain(rest))
  if not listener then
    return renamed(err, endpoint)
  end
  return core.cover(listener, context)
end

--- Ask the script which context is to be used, for the name that the client called.
local function choose(stream, name)
  local context = core.used(stream)
  local names = context and core.given(context).names
  if not names then
    core.choose(stream, nil)
    return
  end
  local ok, chosen = pcall(names, name, stream)
  local refuses = not ok or chosen == false
  if ok and chosen ~= nil and chosen ~= false and not core.is_context(chosen) then
    refuses, ok, chosen = true, false,
      format("tls: 'names' returned a %s: a context, nil or false expected", type(chosen))
  end
  core.choose(stream, not refuses and chosen or nil, refuses)
  if not ok then
    error(chosen, 0)
  end
end

--- Go on with a handshake that wants something from the script.
local function finish(stream, done, err)
  while done == false do
    choose(stream, err)
    done, err = core.handshake(stream, "handshake")
  end
  return done, err
end

--- As `stream:handshake`.
---@async
---@param stream neap.Stream
---@return neap.Stream? stream
---@return neap.Error? err
function sockets.handshake(stream)
  return finish(stream, core.handshake(stream, "handshake"))
end

--- As `stream:starttls`, but for the handshake.
---@param stream neap.Stream
---@param opts? table
---@return neap.Stream? stream
---@return neap.Error? err
function sockets.begin(stream, opts)
  core.used(stream) -- raises where it is none
  if core.is_context(opts) then
    opts = {context = opts}
  elseif opts ~= nil and type(opts) ~= "table" then
    mistake("a table of options expected, got %s", type(opts))
  end
  local own, rest = core.split(opts or {}, of_starttls, false)
  check_own(rest)
  local server, name = rest.server, rest.server_name
  if server ~= nil and type(server) ~= "boolean" then
    mistake "option 'server': true or false expected"
  end
  local context, err = context_of(own, rest)
  if not context then
    return nil, err
  end
  local given = core.given(context)
  if server and not given.cert and not given.names then
    mistake "option 'cert' expected: the server's certificate"
  elseif not server then
    local peer = stream.remoteaddr
    name = expected_of(context, name or peer and peer.ip)
  end
  return core.over(stream, context, server, name, name)
end

--- A handler of connections for `serve`, called behind their handshakes.
---@param handler fun(stream: neap.Stream)
---@param context? neap.tls.Context  of connections in which TLS has not begun
---@return fun(stream: neap.Stream)
function sockets.serving(handler, context)
  return function(stream)
    if context then
      core.over(stream, context, true)
    end
    local ok, err = core.handshake(stream, "handshake", true) -- here: one frame less for all that wait
    if ok == false then
      ok, err = finish(stream, ok, err)
    end
    if ok then
      return handler(stream)
    end
    error(err, 0)
  end
end

local Bare = { __close = function(self)
  core.bare(self.listener, false)
end }

--- Let a listener accept without TLS, for `serving` to begin it, until this is closed.
---@param listener neap.Listener
---@return { context: neap.tls.Context }
function sockets.bare(listener)
  return setmetatable({ listener = listener, context = core.bare(listener, true) }, Bare)
end

sockets.blamed, sockets.used = core.blamed, core.used

return sockets
