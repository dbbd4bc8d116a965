--- `require "ssl"`: LuaSec's API on neap's TLS, as `require "socket"` is LuaSocket's.

local connections = require "neap.luasocket.ssl.connection"
local contexts = require "neap.luasocket.ssl.context"
local object = require "neap.luasocket.object"

local connection, context, config = connections.core, contexts.context, contexts.config
local error, format, ipairs, type = error, string.format, ipairs, type
local byte, char, concat, sub = string.byte, string.char, table.concat, string.sub
local unpack = table.unpack

--- A list of protocols as the extension of TLS has it (RFC 7301).
local function packed(list)
  local parts = {}
  for i, name in ipairs(list) do
    if type(name) ~= "string" then
      return nil
    elseif name == "" or #name > 255 then
      return nil, format("invalid ALPN name (%s)", name == "" and "empty string" or "length > 255")
    end
    parts[i] = char(#name) .. name
  end
  if #parts == 0 then
    return nil, "invalid ALPN list (empty)"
  end
  return concat(parts)
end

local function unpacked(text)
  local list, at = {}, 1
  while at < #text do
    local size = byte(text, at)
    list[#list + 1] = sub(text, at + 1, at + size)
    at = at + size + 1
  end
  return list
end

--- One option, or a list of them.
local function apply(set, ctx, value)
  if value == nil or value == false then
    return true
  elseif type(value) == "table" then
    return set(ctx, unpack(value))
  end
  return set(ctx, value)
end

local function load_pair(ctx, pair)
  local ok, text = true, nil
  if pair.key then
    local kind = type(pair.password)
    if pair.password and kind ~= "function" and kind ~= "string" then
      return nil, "invalid password type"
    end
    ok, text = context.loadkey(ctx, pair.key, pair.password)
  end
  if ok and pair.certificate then
    ok, text = context.loadcert(ctx, pair.certificate)
    if ok and pair.key and not context.checkkey(ctx) then
      return nil, "private key does not match public key"
    end
  end
  return ok, text
end

--- Protocols of a client, or of a server, where a function may choose by the client's.
local function set_alpn(ctx, mode, alpn)
  if mode == "server" and type(alpn) == "function" then
    return context.setalpncb(ctx, function(theirs)
      local list = alpn(unpacked(theirs))
      list = type(list) == "string" and {list} or list
      return type(list) == "table" and packed(list) or nil
    end)
  elseif mode == "client" and type(alpn) == "string" then
    alpn = {alpn}
  end
  if type(alpn) ~= "table" then
    return nil, "invalid ALPN parameter"
  end
  local list, text = packed(alpn)
  if not list then
    return nil, text
  end
  return context.setalpn(ctx, list)
end

--- What a context is made of, in the order in which it is done: the parameter, and how.
local steps = {
  {"ciphers", context.setcipher},
  {"ciphersuites", context.setciphersuites},
  {"verify", function(ctx, value) return apply(context.setverify, ctx, value) end},
  {"options", function(ctx, value) return apply(context.setoptions, ctx, value) end},
  {"depth", context.setdepth},
  {"dhparam", function(ctx, value)
    if type(value) ~= "function" then
      return nil, "invalid DH parameter type"
    end
    context.setdhparam(ctx, value)
    return true
  end},
  {"curveslist", context.setcurveslist},
  {"verifyext", function(ctx, value) return apply(context.setverifyext, ctx, value) end},
}

local ssl = {
  _VERSION = "1.2.0",
  _COPYRIGHT = connection.copyright(),
  config = config,
  loadcertificate = contexts.piecewise.x509,
}

--- Raise at the line of who calls the function of that name.
local function check_parameters(n, name, cfg)
  if type(cfg) ~= "table" then
    error(format("bad argument #%d to '%s' (a table of parameters expected, got %s)", n, name, type(cfg)), 3)
  elseif type(cfg.protocol) ~= "string" or type(cfg.mode) ~= "string" then
    error(format("bad argument #%d to '%s' (parameter '%s': a string expected)", n, name,
      type(cfg.protocol) ~= "string" and "protocol" or "mode"), 3)
  end
end

local function make(cfg)
  local ctx, text = context.create(cfg.protocol)
  local ok = ctx
  if ok then
    ok, text = context.setmode(ctx, cfg.mode)
  end
  for _, pair in ipairs(cfg.certificates or {cfg}) do
    if ok then
      ok, text = load_pair(ctx, pair)
    end
  end
  if ok and (cfg.cafile or cfg.capath) then
    ok, text = context.locations(ctx, cfg.cafile, cfg.capath)
  end
  for _, step in ipairs(steps) do
    if ok and cfg[step[1]] then
      ok, text = step[2](ctx, cfg[step[1]])
    end
  end
  if ok and cfg.curve and not cfg.curveslist then
    ok, text = context.setcurve(ctx, cfg.curve)
  end
  if ok and cfg.alpn then
    ok, text = set_alpn(ctx, cfg.mode, cfg.alpn)
  end
  if not ok then
    return nil, text
  end
  return ctx
end

--- A context; nil, and why not.
---@param cfg table  LuaSec's parameters
function ssl.newcontext(cfg)
  check_parameters(1, "newcontext", cfg)
  return make(cfg)
end

--- A connection with TLS, over a socket of LuaSocket's, which has it no more; its handshake
--- is to be done.
---@param socket table
---@param cfg table  parameters, or a context
function ssl.wrap(socket, cfg)
  local ctx, text = cfg, nil
  if not contexts.is(cfg) then
    check_parameters(2, "wrap", cfg)
    ctx, text = make(cfg)
  end
  if not ctx then
    return nil, text
  end
  local one
  one, text = connection.create(ctx)
  if not one then
    return nil, text
  elseif not connections.take(one, socket) then
    object.bad(1, "wrap", "a connected socket expected")
  end
  return one
end

--- The modules by their names.
local modules = {
  ["ssl"] = ssl, ["ssl.core"] = connection, ["ssl.context"] = context, ["ssl.config"] = config,
  ["ssl.x509"] = {load = contexts.piecewise.x509},
}

return modules
