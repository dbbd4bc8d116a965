--- What a client does with its links: commands, transactions, subscriptions.

local check_self = require "neap.class.core".check_self
local feed = require "neap.redis.feed"
local keys = require "neap.redis.keys"
local link = require "neap.redis.link"
local options = require "neap.options"
local resp = require "neap.redis.resp"
local task = require "neap.task"
local words_of = require "neap.redis.words"

local error, ipairs, next, select, setmetatable, type = error, ipairs, next, select, setmetatable, type
local format, upper = string.format, string.upper
local concat, min, remove = table.concat, math.min, table.remove
local alone, is_blocking, never = words_of.alone, words_of.is_blocking, words_of.never
local encode, is_error = resp.encode, resp.is_error

local NULL = resp.null
local SPARE = 8 -- connections for commands that wait, which are kept

--- A client of Redis, that any number of tasks may use at once. `<close>` closes it.
---
--- What tasks ask for at the same time goes over one connection, without waiting for the answers in
--- between. Who stops waiting for an answer (`task.timeout`, `Task:cancel`) disturbs nobody: a
--- command that is not on its way yet stays at home, and else its answer is dropped.
---
--- A lost connection is made again, and meanwhile commands wait for it. One that was on its way when
--- the connection was lost may have been done or not, and fails with the error of the connection; with
--- the option `again` it is asked for once more instead.
---
--- An answer is a value of Lua: a text, an integer, a double (float), a boolean, a list of an array
--- or a set, a table of a map; a text of a big number or a verbatim string. Null is nil, and
--- `redis.null` in a list or a table.
---@class neap.redis.Client
---@field closed boolean
---@field version integer  of the protocol: 3, or 2 where the server has no other
---@field private link table
local Client = {}
Client.__name = "neap.redis.Client"

local client = { Client = Client }

local fields = {
  closed = function(self)
    return self.link.closed
  end,
  version = function(self)
    return self.link.version
  end,
}

function Client.__index(self, name)
  local field = fields[name]
  if field then
    return field(self)
  end
  return Client[name]
end

local function bad(verb, n, level, text, ...)
  error(format("bad argument #%d to '%s' (" .. text .. ")", n, verb, ...), level + 1)
end

--- Its bytes, and the verb in capitals. Raises for what is none; `at`: where it stands among others.
local function check_command(self, caller, level, command, n, at)
  local verb = command[1]
  if type(verb) ~= "string" or verb == "" then
    bad(caller, 1, level + 1, "%sa name expected, got %s", at and format("command %d: ", at) or "", type(verb))
  end
  verb = upper(verb)
  local instead = never[verb] or not self.own and alone[verb]
  if instead then
    bad(caller, 1, level + 1, "%s: use %s", verb, instead)
  end
  local text, wrong = encode(command, n)
  if not text then
    local got = type(command[wrong])
    if at then
      bad(caller, 1, level + 1, "command %d, word %d: string or number expected, got %s", at, wrong, got)
    end
    bad(caller, wrong, level + 1, "string or number expected, got %s", got)
  end
  return text, verb
end

--- One value for who has called.
local function result(value)
  if value == NULL then
    return nil
  elseif type(value) == "table" and is_error(value) then
    return nil, value
  end
  return value
end

local spare_meta = { __close = function(spare)
  local self, one = spare.client, spare.link
  if one then
    if spare.done and not one.closed and not self.link.closed and #self.spares < SPARE then
      self.spares[#self.spares + 1] = one
    else
      self.busy[one] = nil
      one:close()
    end
  end
end }

--- Ask a node of a cluster over a connection that is only for this.
local function ask_place(self)
  return function(where, text, n, seconds)
    local limit = min(self.opts.timeout or 5, seconds)
    local one, err = client.open_link(self, { reconnect = false, again = false, timeout = limit }, where)
    if not one then
      return nil, err, true
    end
    self.busy[one] = true
    local _ <close> = setmetatable({ client = self, link = one, done = false }, spare_meta)
    return one:ask(text, n, false)
  end
end

--- The slot of a command of a cluster; nil: any node will do.
local function slot_of(self, verb, command)
  local key = self.cluster and keys.of(verb, command)
  return key and keys.slot(key) or nil
end

--- Ask over a connection that nobody else uses meanwhile.
local function ask_alone(self, text)
  local spare <close> = setmetatable({ client = self, link = false, done = false }, spare_meta)
  local one, err
  repeat
    one = remove(self.spares)
  until not one or not one.closed
  if not one then
    if self.link.closed then
      return self.link:is_closed()
    end
    one, err = client.open_link(self, { reconnect = false })
    if not one then
      return nil, err
    elseif self.link.closed then
      one:close()
      return self.link:is_closed()
    end
    self.busy[one] = true
  end
  spare.link = one
  local results
  results, err = one:ask(text, 1, false)
  spare.done = results ~= nil
  return results, err
end

--- Ask Redis for something, and wait for the answer.
---
--- Commands that wait for something themselves, such as `BLPOP` and `XREAD BLOCK`, go over
--- connections of their own. Those that change what a connection is, such as `SELECT` and `WATCH`,
--- raise an error: see `session`.
---
--- ```lua
--- local redis = require "neap.redis"
---
--- local function count_visit(client, page)
---   return client:call("INCR", "visits:" .. page)
--- end
---
--- local client, err = redis.connect("redis://127.0.0.1:1", {timeout = 1})
--- print(client and count_visit(client, "home"), err.code)  --> nil ECONNREFUSED
--- ```
---@async
---@param command string
---@param ... string|number
---@return any value  nil: null, or an error
---@return neap.Error? err  its `code` is the first word of what Redis says: WRONGTYPE, NOAUTH, ...,
--- and ERR where it is general; else why the connection was lost (ECONNRESET, ETIMEDOUT, ...) before
--- there was an answer, and EMSGSIZE or EPROTO of an answer that cannot be; EPIPE: the client is closed
function Client:call(command, ...)
  check_self(self, Client, "call")
  local n = select("#", ...) + 1
  local words = { command, ... }
  local text, verb = check_command(self, "call", 2, words, n)
  local results, err
  local waits = not self.own and is_blocking(verb, words, n)
  local slot = slot_of(self, verb, words)
  if slot then
    results, err = self.cluster:ask(slot, text, 1, waits and ask_place(self))
  elseif waits then
    results, err = ask_alone(self, text)
  else
    results, err = self.link:ask(text, 1)
  end
  if not results then
    return nil, err
  end
  return result(results[1])
end

local function check_commands(self, caller, commands)
  if type(commands) ~= "table" then
    bad(caller, 1, 3, "a list of commands expected, got %s", type(commands))
  end
  local texts, slots = {}, {}
  for i, command in ipairs(commands) do
    if type(command) ~= "table" then
      bad(caller, 1, 3, "command %d: a list of words expected, got %s", i, type(command))
    end
    local text, verb = check_command(self, caller, 3, command, #command, i)
    if not self.own and is_blocking(verb, command, #command) then
      bad(caller, 1, 3, "command %d: %s waits: use Client:call", i, verb)
    end
    texts[i], slots[i] = text, slot_of(self, verb, command) or false
  end
  return texts, slots
end

local function first_error(list)
  for i = 1, #list do
    if type(list[i]) == "table" and is_error(list[i]) then
      return list[i]
    end
  end
end

--- Ask each node of a cluster for its part, at once.
local function ask_nodes(self, texts, slots)
  local parts, list, results = {}, {}, {}
  for i = 1, #texts do
    local node = slots[i] and self.cluster:node_of(slots[i])
    local part = parts[node]
    if not part then
      part = { node = node, texts = {}, at = {} }
      parts[node], list[#list + 1] = part, part
    end
    part.texts[#part.texts + 1], part.at[#part.at + 1] = texts[i], i
  end
  task.scope(function(scope)
    for _, part in ipairs(list) do
      scope:spawn(function()
        local one, got, err = self.link, nil, nil
        if part.node then
          one, err = self.cluster:link_to(part.node)
        end
        if one then
          got, err = one:ask(concat(part.texts), #part.texts)
        end
        for i, at in ipairs(part.at) do
          results[at] = err or got[i]
        end
      end)
    end
  end)
  for i = 1, #texts do
    if slots[i] and self.cluster:leads(results[i]) then
      local got, err = self.cluster:ask(slots[i], texts[i], 1)
      results[i] = got and got[1] or err
    end
  end
  return results
end

--- Ask for many things at once: all go out before the first answer is waited for. Others may come
--- in between at the server; see `multi`.
---
--- ```lua
--- local redis = require "neap.redis"
---
--- local function both(client)
---   local answers = assert(client:pipeline {{"SET", "a", 1}, {"INCR", "a"}})
---   return answers[1], answers[2] -- OK 2
--- end
---
--- local client = redis.connect("redis://127.0.0.1:1", {timeout = 1})
--- print(client and both(client))  --> nil
--- ```
---@async
---@param commands (string|number)[][]
---@return any[]? answers  in their order: null is `redis.null`, and an error is an error object; nil
--- when not all are known, for the connection was lost
---@return neap.Error? err  the first error among them, or why there are none
function Client:pipeline(commands)
  check_self(self, Client, "pipeline")
  local texts, slots = check_commands(self, "pipeline", commands)
  if not texts[1] then
    return {}
  end
  local results, err
  if self.cluster then
    results = ask_nodes(self, texts, slots)
  else
    results, err = self.link:ask(concat(texts), #texts)
  end
  if not results then
    return nil, err
  end
  return results, first_error(results)
end

local MULTI, EXEC = encode({ "MULTI" }, 1), encode({ "EXEC" }, 1)

--- Ask for many things that are done one behind the other with nothing of others in between (MULTI,
--- EXEC); or none of them, if Redis refuses one when it comes. What fails when it is done is an error
--- object among the answers, and the others are done all the same.
---
--- ```lua
--- local redis = require "neap.redis"
---
--- local function pay(client, from, to, sum)
---   return client:multi {{"DECRBY", from, sum}, {"INCRBY", to, sum}}
--- end
---
--- local client = redis.connect("redis://127.0.0.1:1", {timeout = 1})
--- print(client and pay(client, "ann", "bob", 5))  --> nil
--- ```
---@async
---@param commands (string|number)[][]
---@return any[]? answers  as of `pipeline`; nil without an error: what a session watches has changed
---@return neap.Error? err  the first error among them, or why nothing was done
function Client:multi(commands)
  check_self(self, Client, "multi")
  local texts, slots = check_commands(self, "multi", commands)
  if not texts[1] then
    return {}
  end
  local n = #texts + 2
  local text = MULTI .. concat(texts) .. EXEC
  local results, err
  if slots[1] then
    results, err = self.cluster:ask(slots[1], text, n)
  else
    results, err = self.link:ask(text, n)
  end
  if not results then
    return nil, err
  end
  local answers = results[n]
  if answers == NULL then
    return nil
  elseif type(answers) ~= "table" or is_error(answers) then
    return nil, first_error(results) or resp.failure("EPROTO", "no list behind EXEC")
  end
  return answers, first_error(answers)
end

--- A client with a connection of its own, which is not made again when it is lost: for `WATCH`,
--- `SELECT`, and all that is about a connection.
---
--- ```lua
--- local redis = require "neap.redis"
---
--- local function double(client, key)
---   local session <close> = assert(client:session())
---   repeat
---     session:call("WATCH", key)
---     local value = session:call("GET", key)
---     local done, err = session:multi {{"SET", key, 2 * value}}
---   until done or err
--- end
---
--- local client = redis.connect("redis://127.0.0.1:1", {timeout = 1})
--- print(client and double(client, "n"))  --> nil
--- ```
---@async
---@param key? string  of a cluster: one of those that it is about, for they are on one node
---@return neap.redis.Client? session
---@return neap.Error? err  of `redis.connect`
function Client:session(key)
  check_self(self, Client, "session")
  if self.link.closed then
    return self.link:is_closed()
  end
  if key ~= nil and type(key) ~= "string" then
    bad("session", 1, 2, "string expected, got %s", type(key))
  end
  local find = self.find
  if key and self.cluster then
    local one, err = self.cluster:link_to(self.cluster:node_of(keys.slot(key)))
    if not one then
      return nil, err
    end
    find = one.find
  end
  return client.open(find, self.opts, self.check, true)
end

local of_subscription = {
  kind = { function(value)
    return value == "pattern" or value == "sharded"
  end, "'pattern' or 'sharded'" },
  max = options.size, pending = options.size, bytes = options.size, full = options.full,
}

--- Subscribe to channels. It is made anew when the connection was lost; what was published meanwhile
--- is gone.
---
--- ```lua
--- local redis = require "neap.redis"
---
--- local function listen(client)
---   local sub <close> = assert(client:subscribe("news.*", {kind = "pattern"}))
---   for message in sub:messages() do
---     print(message.channel, message.data)
---   end
--- end
---
--- local client = redis.connect("redis://127.0.0.1:1", {timeout = 1})
--- print(client and listen(client))  --> nil
--- ```
---@async
---@param channels string|string[]
---@param opts? neap.redis.SubscribeOptions
---@return neap.bus.Subscription? subscription  gives a `neap.redis.Message` for each
---@return neap.Error? err  as of `call`
function Client:subscribe(channels, opts)
  check_self(self, Client, "subscribe")
  local names = type(channels) == "string" and { channels } or channels
  if type(names) ~= "table" or #names == 0 then
    bad("subscribe", 1, 2, "a channel or a list of channels expected, got %s", type(channels))
  end
  for i = 1, #names do
    if type(names[i]) ~= "string" then
      bad("subscribe", 1, 2, "channel %d: string expected, got %s", i, type(names[i]))
    end
  end
  return feed.subscribe(self, names, options.check("subscribe", opts or {}, of_subscription, 2))
end

---@class neap.redis.SubscribeOptions
---@field kind "pattern"|"sharded"|nil  `channels` are patterns with `*`, `?` and `[abc]`; or sharded
--- channels, of Redis 7; those of a cluster are had from a client of their node only
---@field max integer?  end it behind so many messages
---@field pending integer?  messages that wait in its queue; default 65536
---@field bytes integer?  bytes that wait in it; default 64 MiB
---@field full "drop"|"wait"|nil  what happens when its queue is full: messages are dropped and
--- counted (the default), or nothing more is read from the connection, also no answers

--- What was published.
---@class neap.redis.Message
---@field channel string
---@field data string
---@field pattern string?  by which it was subscribed to

--- End it: who waits for an answer gets EPIPE, and subscriptions end.
---
--- ```lua
--- local redis = require "neap.redis"
---
--- local client = redis.connect("redis://127.0.0.1:1", {timeout = 1})
--- if client then
---   client:close()
---   print(client.closed) -- true
--- end
--- ```
function Client:close()
  check_self(self, Client, "close")
  self.link:close()
  if self.cluster then
    self.cluster:close()
  end
  for one in next, self.busy do
    one:close()
  end
  self.busy, self.spares = {}, {}
  if self.feed then
    feed.close(self.feed)
  end
end

Client.__close = Client.close

--- Another connection to where the client's leads; `more`: options that are different.
function client.open_link(self, more, where)
  local opts = setmetatable(more, { __index = self.opts })
  return link.open(where and function()
    return where
  end or self.find, opts, more.tell or function() end, self.check)
end

--- A client of a server that `find` finds; `own`: with a connection that is not made again.
---@async
function client.open(find, opts, check, own, cluster)
  local self = setmetatable({
    find = find, opts = opts, check = check, own = own or false, tell = opts.onevent or function() end,
    link = false, spares = {}, busy = {}, feed = false,
    cluster = cluster or false,
  }, Client)
  local one, err
  if own then
    one, err = client.open_link(self, { reconnect = false, again = false })
  else
    one, err = link.open(find, opts, self.tell, check)
  end
  if not one then
    return nil, err
  end
  self.link = one
  return self
end

return client
