--- Messages between workers: what arrives is what was sent, of values of every kind.
---
--- An input says which values are made: a byte each, and what it needs behind it.

local errors = require "neap.error"
local json = require "neap.json"
local worker = require "neap.worker"
local reader_of = require "spec.support.taken"

local DEPTH <const> = 180 -- of tables in a message, at most
local DEEPER <const> = 200

local value_of

local function fill(table, take, ended, depth)
  for _ = 1, take(1):byte() % 8 do
    local key = value_of(take, ended, depth + 1)
    local value = value_of(take, ended, depth + 1)
    if key ~= nil and key == key then
      table[key] = value
    end
  end
  return table
end

local makers = {
  function() return nil end,
  function() return true end,
  function() return false end,
  function(take) return (("<i8"):unpack(take(8))) end,
  function(take) return (("<d"):unpack(take(8))) end,
  function(take) return take(take(1):byte()) end,
  function() return json.null end,
  function() return worker.channel() end,
  function(take, ended, depth) return fill({}, take, ended, depth) end,
  function(take, ended, depth)
    local list = {}
    for i = 1, take(1):byte() % 8 do
      list[i] = value_of(take, ended, depth + 1)
    end
    return json.array(list)
  end,
  function(take, ended, depth)
    return fill(errors.new {code = "EIO", message = take(3)}, take, ended, depth)
  end,
  function(take) -- in itself, or as deep as that
    local inner = {}
    for _ = 1, take(1):byte() % DEEPER do
      inner = {inner}
    end
    return inner
  end,
  function()
    local own = {}
    own[1] = own
    return own
  end,
  function() return print end,
  function() return setmetatable({}, {}) end,
}

function value_of(take, ended, depth)
  if ended() or depth > DEEPER then
    return nil
  end
  return makers[1 + take(1):byte() % #makers](take, ended, depth)
end

local function is_plain(value)
  return getmetatable(value) == nil or errors.is(value) or json.isarray(value)
end

--- May it be sent?
local function may_be(value, depth)
  if type(value) ~= "table" then
    return type(value) ~= "function"
  elseif depth == DEPTH or not is_plain(value) then
    return false
  end
  for key, field in next, value do
    if not may_be(key, depth + 1) or not may_be(field, depth + 1) then
      return false
    end
  end
  return true
end

--- All of a value, in an order.
local function show(value)
  if type(value) == "string" then
    return ("%q"):format(value)
  elseif type(value) ~= "table" then
    return ("%s %s"):format(math.type(value), value)
  end
  local fields = {}
  for key, field in next, value do
    fields[#fields + 1] = show(key) .. "=" .. show(field)
  end
  table.sort(fields)
  local kind = errors.is(value) and "error" or json.isarray(value) and "array" or "table"
  return ("%s{%s}"):format(kind, table.concat(fields, ","))
end

local function check(bytes)
  local take, ended = reader_of(bytes)
  local channel, sent = worker.channel(), {}
  while not ended() and #sent < 32 do
    local value = value_of(take, ended, 0) or false -- nil is how it ends
    local may = may_be(value, 0)
    local good, err = pcall(channel.send, channel, value)
    assert(good == may, err)
    if good then
      sent[#sent + 1] = show(value)
    else
      assert(err:find "cannot be sent to another worker" or err:find "at most %d+ tables", err)
    end
  end
  assert(#channel == #sent, "another count")
  for _, text in ipairs(sent) do
    local copy = channel:recv()
    assert(show(copy) == text, "another value")
  end
end

local seeds = {}
for kind = 0, #makers - 1 do
  local one = string.char(kind, 4)
  seeds[#seeds + 1] = one .. "\3\1\2\3\4\5\6\7\8"
  seeds[#seeds + 1] = "\8\2\5\1k" .. one .. "\3\1\2\3\4\5\6\7\8" .. one
  seeds[#seeds + 1] = "\9\3" .. one:rep(3) .. "\10\1EIO\5\1k" .. one
end
for _, depth in ipairs {178, 179, 180, 199} do
  seeds[#seeds + 1] = string.char(11, depth) .. "\9\1\11" .. string.char(depth)
end

return {check = check, seeds = seeds, lines = true}
