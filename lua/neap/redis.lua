--- A client of Redis, and of what speaks its protocol (Valkey, KeyDB, Dragonfly): RESP3, or RESP2
--- where a server has no other.
---
--- ```lua
--- local redis = require "neap.redis"
---
--- local function greet(client)
---   assert(client:call("SET", "greeting", "hello", "EX", 60))
---   print(client:call("GET", "greeting")) -- hello
---   print(client:call("HGETALL", "nobody")) -- an empty table
---   local value, err = client:call("INCR", "greeting")
---   print(value, err.code, err.message) -- nil ERR value is not an integer or out of range
--- end
---
--- local client = redis.connect "redis://127.0.0.1:1" -- where none is
--- print(client and greet(client))  --> nil
--- ```
---
--- One client is enough for all tasks of a program: their commands share a connection, without
--- waiting for each other.

local error, next, require, type = error, next, require, type
local format = string.format
local mathtype = math.type

---@class neap.redis
---@field null lightuserdata  what null is in a list and in a table: `json.null`
local redis = { null = require "neap.json".null }

--- Of `redis.connect`.
---@class neap.redis.Options
---@field url string?  where the server is, if it is not the first argument
---@field user string?
---@field password string?
---@field db integer?  the number of the database
---@field client_name string?  what the server calls this client in its lists
---@field tls (neap.tls.Context|neap.tls.StartOptions)?  of `rediss://`
---@field timeout number?  seconds for each attempt to connect; default 5
---@field reconnect boolean|integer|nil  what to do when the connection is lost: connect again, at
--- once and then after ever longer pauses, for ever (true, the default) or so many times; or end
--- (false)
---@field pause number?  seconds between two attempts: at first 0.1, then twice as much each time
--- until this, and some of it by chance; default 5
---@field ping number?  seconds of silence after which the server is asked whether it is there; after
--- as many more the connection is lost; default 30
---@field pending integer?  bytes of commands that wait to go out; who asks for more waits; default
--- 8 MiB
---@field again boolean?  ask again for what was on its way when the connection was lost, though it
--- may have been done
---@field max integer?  bytes of an answer that is taken; default 512 MiB
---@field protocol (2|3)?  the one to speak; default 3, and 2 if the server has no other
---@field onevent (fun(name: string, what: any))?  told what happens: `"lost"`, the error;
--- `"connected"`, the endpoint, when it is again; `"slow"`, a subscription; `"push"`, what the server
--- sends of its own accord; `"error"`, a subscription that could not be made again. It is not to wait

local function is_text(value)
  return type(value) == "string"
end

local function is_seconds(value)
  return mathtype(value) and value > 0 and value < 1e9
end

local function is_bytes(value)
  return mathtype(value) == "integer" and value >= 1 and value < 1 << 31
end

local TEXT, SECONDS, BYTES = { is_text, "a text" }, { is_seconds, "seconds above 0" },
  { is_bytes, "a count of bytes from 1" }

local checks = {
  url = TEXT, user = TEXT, password = TEXT, client_name = TEXT,
  timeout = SECONDS, pause = SECONDS, ping = SECONDS, pending = BYTES, max = BYTES,
  db = { function(value)
    return mathtype(value) == "integer" and value >= 0 and value < 1 << 31
  end, "a number from 0" },
  tls = { function(value)
    return type(value) == "table" or type(value) == "userdata"
  end, "a context, or a table of options" },
  reconnect = { function(value)
    return type(value) == "boolean" or mathtype(value) == "integer" and value >= 1
  end, "a boolean, or a count from 1" },
  again = { function(value)
    return type(value) == "boolean"
  end, "a boolean" },
  protocol = { function(value)
    return value == 2 or value == 3
  end, "2 or 3" },
  onevent = { function(value)
    return type(value) == "function"
  end, "a function" },
}

--- A copy of what was given, which is right.
local function check(opts, n)
  local copy = {}
  for name, value in next, opts do
    if not checks[name] then
      error(format("bad argument #%d to 'connect' (unknown option '%s')", n, name), 3)
    elseif not checks[name][1](value) then
      error(format("bad argument #%d to 'connect' (option '%s': %s expected)", n, name, checks[name][2]), 3)
    end
    copy[name] = value
  end
  return copy
end

--- Connect to a server.
---
--- | where | |
--- | --- | --- |
--- | `redis://user:password@host:6379/0` | over TCP; all but the host may be left out |
--- | `rediss://host` | over TLS |
--- | `unix:/run/redis.sock` | within this machine |
---
--- ```lua
--- local redis = require "neap.redis"
---
--- local client, err = redis.connect("redis://127.0.0.1:1/0", {client_name = "shop", timeout = 1})
--- print(client, err.code)  --> nil ECONNREFUSED
--- ```
---@async
---@param where string|neap.redis.Options  a URL, or options that have it
---@param opts? neap.redis.Options
---@return neap.redis.Client? client
---@return neap.Error? err  EBADMSG: no such URL; WRONGPASS, NOAUTH and others as the server says;
--- EPROTO: it does not speak Redis' protocol; ETIMEDOUT; what `net.connect` fails with
function redis.connect(where, opts)
  local n = 2
  if type(where) == "table" and opts == nil then
    opts, where, n = where, where.url, 1
  end
  if type(opts) ~= "table" and opts ~= nil then
    error("bad argument #2 to 'connect' (a table of options expected, got " .. type(opts) .. ")", 2)
  end
  opts = check(opts or {}, n)
  if type(where) ~= "string" then
    error("bad argument #1 to 'connect' (a URL, or options with one, expected, got " .. type(where) .. ")", 2)
  end
  local server, about = require "neap.redis.place".parse(where)
  if not server then
    return nil, about
  end
  for name, value in next, about do
    if opts[name] == nil then
      opts[name] = value
    end
  end
  local client, err = require "neap.redis.client".open(function()
    return server
  end, opts)
  return client, err
end

--- A script for the server to run; see `Script:run`.
---
--- ```lua
--- local redis = require "neap.redis"
---
--- print(redis.script "return 1".sha1)  --> e0e1f9fabfc9d4800c877a703b823ac0578ff8db
--- ```
---@param text string  Lua, as Redis has it
---@return neap.redis.Script
function redis.script(text)
  if type(text) ~= "string" then
    error("bad argument #1 to 'script' (string expected, got " .. type(text) .. ")", 2)
  end
  return require "neap.redis.script".new(text)
end

return redis
