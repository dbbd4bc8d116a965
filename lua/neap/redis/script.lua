--- Scripts that run in the server.

local check_self = require "neap.class.core".check_self
local crypto = require "neap.crypto"

local error, setmetatable, type = error, setmetatable, type
local format = string.format
local move, pack, unpack = table.move, table.pack, table.unpack

--- A script, which is sent to a server once, and called by its digest from then on.
---@class neap.redis.Script
---@field text string
---@field sha1 string
local Script = {}
Script.__index = Script
Script.__name = "neap.redis.Script"

--- Run it at a server (EVALSHA, and EVAL where that does not know it).
---
--- ```lua
--- local redis = require "neap.redis"
---
--- local script = redis.script "return redis.call('INCRBY', KEYS[1], ARGV[1])"
--- print(script.sha1)  --> 8cd00688c05c46bde4a2e60658ef20a2e5c0b248
--- local client = redis.connect("redis://127.0.0.1:1", {timeout = 1})
--- print(client and script:run(client, {"counter"}, 5))  --> nil
--- ```
---@async
---@param client neap.redis.Client
---@param keys string[]  its KEYS
---@param ... string|number  its ARGV
---@return any value
---@return neap.Error? err  as of `Client:call`
function Script:run(client, keys, ...)
  check_self(self, Script, "run")
  if type(client) ~= "table" or type(client.call) ~= "function" then
    error(format("bad argument #1 to 'run' (a client of Redis expected, got %s)", type(client)), 2)
  elseif type(keys) ~= "table" then
    error(format("bad argument #2 to 'run' (a list of keys expected, got %s)", type(keys)), 2)
  end
  local words = { self.sha1, #keys, unpack(keys) }
  for i = 3, #keys + 2 do
    local kind = type(words[i])
    if kind ~= "string" and kind ~= "number" then
      error(format("bad argument #2 to 'run' (a list of keys expected, got %s in it)", kind), 2)
    end
  end
  local given = pack(...)
  for i = 1, given.n do
    local kind = type(given[i])
    if kind ~= "string" and kind ~= "number" then
      error(format("bad argument #%d to 'run' (string or number expected, got %s)", i + 2, kind), 2)
    end
  end
  move(given, 1, given.n, #words + 1, words)
  local value, err = client:call("EVALSHA", unpack(words))
  if err and err.code == "NOSCRIPT" then
    words[1] = self.text
    value, err = client:call("EVAL", unpack(words))
  end
  return value, err
end

return {
  Script = Script,
  new = function(text)
    return setmetatable({ text = text, sha1 = crypto.tohex(crypto.digest("sha1", text)) }, Script)
  end,
}
