--- The connections of a client: made, to servers and through proxies, and kept for the next
--- request to the same origin.

local authority = require "neap.http.authority"
local core = require "neap.http.core"
local error_object = require "neap.error"
local message = require "neap.http.message"
local socket = require "neap.host".socket
local net = require "neap.net"
local speaks = require "neap.net.core".speaks
local task = require "neap.task"
local time = require "neap.time"

local next, require, setmetatable, tostring = next, require, setmetatable, tostring
local format, gsub = string.format, string.gsub
local huge = math.huge
local concat, remove = table.concat, table.remove
local background, sleep, timeout, now = task.background, task.sleep, task.timeout, time.now

local connections = {}

--- By what connections are the same: who is at their other end.
local function key_of(target)
  local url, proxy = target.url, target.proxy
  if proxy and url.scheme == "http" then
    return tostring(proxy)
  end
  return concat({ target.endpoint or "", proxy and tostring(proxy) or "", url.scheme, authority.whole(url) }, " ")
end


-- Making them

--- Our bytes to a proxy, so that it connects us; nil and an error when it does not.
local function ask_proxy(stream, target)
  local proxy, where = target.proxy, authority.whole(target.url)
  local parser = core.parser "response"
  local user = proxy.userinfo and connections.basic(proxy:credentials())
  local ok, err = stream:write("CONNECT ", where, " HTTP/1.1\r\nhost: ", where, "\r\n",
    user and "proxy-authorization: " .. user .. "\r\n" or "", "\r\n")
  local head, status, words
  if ok then
    head, status, words = message.answer(parser, stream, true)
  end
  if head and head.status >= 200 and head.status < 300 then
    return true
  elseif ok and not words and error_object.is(status) then
    err = status
  end
  return nil, error_object.new {
    code = err and err.code or "ECONNREFUSED", op = "request", status = head and head.status,
    message = head and format("the proxy does not connect: %d %s", head.status, head.reason or "")
      or "the proxy does not connect: " .. (words or err and err.message or "it closed the connection"),
  }
end

--- Credentials as the scheme Basic has them (RFC 7617).
function connections.basic(user, password)
  return "Basic " .. require "neap.crypto".tobase64((user or "") .. ":" .. (password or ""))
end

--- The options of TLS to whom a URL names; nil and an error.
local function tls_of(client, url)
  local context, err = client.context()
  return context and { context = context, server_name = (gsub(url.host, "%%.*", "")) }, err
end

--- A stream there, encrypted if the scheme says so.
local function open_plain(client, url, endpoint, seconds)
  local secure = url.scheme == "https"
  local how, err
  if secure then
    how, err = tls_of(client, url)
  end
  if secure and not how then
    return nil, err
  end
  return net.connect(endpoint, { timeout = seconds, tls = how, public_only = client.opts.public_only })
end

--- A stream to the server through a proxy, which knows nothing of what is said.
local function open_tunnel(client, target)
  local stream, err = open_plain(client, target.proxy, "tcp://" .. authority.whole(target.proxy))
  if not stream then
    return nil, err
  end
  local _ <close> = setmetatable({}, { __close = function()
    if stream then
      stream:reset()
    end
  end })
  local ok, how
  ok, err = ask_proxy(stream, target)
  if ok then
    how, err = tls_of(client, target.url)
  end
  if how then
    ok, err = stream:starttls(how)
  end
  if not ok or not how then
    return nil, err
  end
  local good = stream
  stream = nil
  return good
end

--- A stream to the server, encrypted if its scheme is.
local function open(client, target, seconds)
  local url, proxy = target.url, target.proxy
  if target.endpoint then
    return open_plain(client, url, target.endpoint, seconds)
  elseif not proxy then
    return open_plain(client, url, "tcp://" .. authority.whole(url), seconds)
  elseif url.scheme == "http" then
    return open_plain(client, proxy, "tcp://" .. authority.whole(proxy), seconds)
  end
  local stream, err = timeout(seconds, open_tunnel, client, target)
  if not stream and err.op == "timeout" then
    err = error_object.new { code = "ETIMEDOUT", op = "request",
      message = format("no connection through the proxy within %g seconds", seconds) }
  end
  return stream, err
end

--- A new connection to the target: `url`, `proxy`, `endpoint`.
function connections.connect(client, target)
  local stream, err = open(client, target, target.connect)
  if not stream then
    return nil, err
  end
  speaks(stream, "http")
  return { stream = stream, key = key_of(target) }
end


-- Keeping them

local function close(connection)
  connection.stream:close()
end

local pools = setmetatable({}, { __mode = "k" })

--- Those that wait for a request: by origin a list, the oldest first.
function connections.pool(seconds, each, most)
  local pool = { idle = {}, count = 0, seconds = seconds, each = each, most = most }
  pools[pool] = true
  return pool
end

--- The numbers of the streams that wait in any of them, as keys.
function connections.idle()
  local found = {}
  for pool in next, pools do
    for _, list in next, pool.idle do
      for i = 1, #list do
        local _, id = socket(list[i].stream)
        found[id] = true
      end
    end
  end
  return found
end

local function forget(pool, key, list, i)
  local connection = remove(list, i)
  pool.count = pool.count - 1
  if #list == 0 then
    pool.idle[key] = nil
  end
  return connection
end

--- The oldest of all.
local function oldest(pool)
  local found, since = nil, huge
  for key, list in next, pool.idle do
    if list[1].since < since then
      found, since = key, list[1].since
    end
  end
  return found, since
end

--- Close what nobody asked for in time; it runs while there is anything.
local function sweep(pool)
  while pool.count > 0 do
    local key, since = oldest(pool)
    local left = since + pool.seconds - now()
    if left <= 0 then
      close(forget(pool, key, pool.idle[key], 1))
    else
      sleep(left)
    end
  end
  pool.sweeping = nil
end

--- Closes what is not taken out, also when its task is cancelled.
local guard_meta = { __close = function(guard)
  if guard[1] then
    close(guard[1])
  end
end }

--- One that nobody has closed, or nil: the newest first.
function connections.take(pool, target)
  local key = key_of(target)
  while true do
    local list = pool.idle[key]
    if not list then
      return nil
    end
    local connection = forget(pool, key, list, #list)
    local guard <close> = setmetatable({ connection }, guard_meta)
    local ready, err = connection.stream:wait("r", 0)
    if not ready and err.code == "ETIMEDOUT" and now() - connection.since < pool.seconds then
      guard[1], connection.reused = nil, true
      return connection
    end
  end
end

--- Keep it for the next request.
function connections.keep(pool, connection)
  if pool.closed or pool.seconds <= 0 then
    return close(connection)
  end
  local key = connection.key
  local list = pool.idle[key] or {}
  pool.idle[key] = list
  connection.since = now()
  list[#list + 1] = connection
  pool.count = pool.count + 1
  if #list > pool.each then
    close(forget(pool, key, list, 1))
  elseif pool.count > pool.most then
    key = oldest(pool)
    close(forget(pool, key, pool.idle[key], 1))
  end
  if not pool.sweeping then
    pool.sweeping = background(sweep, pool)
  end
end

--- Close all that wait, and keep none from now on.
function connections.close(pool)
  pool.closed = true
  if pool.sweeping then
    pool.sweeping:cancel()
  end
  for _, list in next, pool.idle do
    for i = 1, #list do
      close(list[i])
    end
  end
  pool.idle, pool.count = {}, 0
end

return connections
