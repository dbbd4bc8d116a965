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

local options = require "neap.options"

local error, next, require, type = error, next, require, type
local mathtype = math.type

---@class neap.redis
---@field null lightuserdata  what null is in a list and in a table: `json.null`
local redis = { null = require "neap.json".null }

--- Of `redis.connect`.
---@class neap.redis.Options
---@field url string?  where the server is, if it is not the first argument
---@field sentinels string[]?  instead: `host:port` or URLs of sentinels, which are asked for the master
--- `name` whenever a connection is made
---@field name string?  the master's
---@field nodes string[]?  instead: `host:port` or URLs of some nodes of a cluster
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
---@field failover number?  seconds that a command which finds a node of a cluster gone waits for it, or
--- for the one that takes its place; default 3. A cluster needs its `cluster-node-timeout` for that,
--- 15 s where nobody has set it
---@field again boolean?  ask again for what was on its way when the connection was lost, though it
--- may have been done
---@field max integer?  bytes of an answer that is taken; default 512 MiB
---@field protocol (2|3)?  the one to speak; default 3, and 2 if the server has no other
---@field onevent (fun(name: string, what: any))?  told what happens: `"lost"`, the error;
--- `"connected"`, the endpoint, when it is again; `"slow"`, a subscription; `"push"`, what the server
--- sends of its own accord; `"error"`, a subscription that could not be made again. It is not to wait

local seconds, size, words = options.seconds, options.size, options.text
local texts = { function(value)
  return options.texts[1](value) and #value > 0
end, "a list of strings" }

local known = {
  sentinels = texts, nodes = texts, name = words, url = words, user = words, password = words, client_name = words,
  timeout = seconds, pause = seconds, ping = seconds, failover = seconds, pending = size, max = size, tls = options.tls,
  reconnect = options.times, again = options.flag, onevent = options.callable,
  db = { function(value)
    return mathtype(value) == "integer" and value >= 0 and value < 1 << 31
  end, "a number from 0" },
  protocol = { function(value)
    return value == 2 or value == 3
  end, "2 or 3" },
}

--- The places of a list, and what the first says beside; nil and an error.
local function places(list, port)
  local all, first = {}, nil
  for i = 1, #list do
    local server, about = require "neap.redis.place".parse(list[i], port)
    if not server then
      return nil, about
    end
    server.user, server.password = about.user, about.password
    all[i], first = server, first or about
  end
  return all, first
end

local function fill(opts, about)
  for name, value in next, about do
    if opts[name] == nil then
      opts[name] = value
    end
  end
end

local function open_sentinel(opts)
  local list, err = places(opts.sentinels, 26379)
  if not list then
    return nil, err
  end
  local sentinel = require "neap.redis.sentinel"
  return require "neap.redis.client".open(sentinel.finder(list, opts.name, opts), opts, sentinel.check)
end

local function open_cluster(opts)
  local list, about = places(opts.nodes)
  if not list then
    return nil, about
  end
  for i = 1, #list do
    if not list[i].host then
      error("redis.connect: option 'nodes': places with a host expected", 3)
    end
  end
  fill(opts, about)
  local cluster = require "neap.redis.cluster".new(list, opts)
  return require "neap.redis.client".open(cluster.find, opts, nil, false, cluster)
end

--- Connect to a server.
---
--- | where | |
--- | --- | --- |
--- | `redis://user:password@host:6379/0` | over TCP; all but the host may be left out |
--- | `rediss://host` | over TLS |
--- | `unix:/run/redis.sock` | within this machine |
--- | `{sentinels = {"host:26379"}, name = "shop"}` | the master that sentinels name |
--- | `{nodes = {"host:6379", "other:6379"}}` | a cluster, of which some nodes are named |
---
--- A command goes to the node of a cluster that has its key, and those of a pipeline to all at once;
--- where slots have moved it follows. The keys of one command, script or `multi` are of one slot:
--- those with the same `{text}` in them are. Commands without keys go to any node.
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
---@return neap.Error? err  EBADMSG: no such URL; ENOENT: no sentinel knows the name; WRONGPASS, NOAUTH
--- and others as the server says;
--- EPROTO: it does not speak Redis' protocol; ETIMEDOUT; what `net.connect` fails with
function redis.connect(where, opts)
  if type(where) == "table" and opts == nil then
    opts, where = where, where.url
  end
  opts = options.check("redis.connect", opts or {}, known, 2)
  if where == nil and opts.sentinels and opts.name or where == nil and opts.nodes then
    local client, err = (opts.nodes and open_cluster or open_sentinel)(opts)
    return client, err
  elseif type(where) ~= "string" then
    error("bad argument #1 to 'connect' (a URL, or options with one, expected, got " .. type(where) .. ")", 2)
  end
  local server, about = require "neap.redis.place".parse(where)
  if not server then
    return nil, about
  end
  fill(opts, about)
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
