--- permessage-deflate (RFC 7692): what both agree on, and messages made smaller, and whole
--- again.

local task = require "neap.task"
local valid = require "neap.websocket.core".valid

local ipairs, next, setmetatable, tonumber, tostring, type = ipairs, next, setmetatable, tonumber, tostring, type
local concat = table.concat
local find, gmatch, lower, match, sub = string.find, string.gmatch, string.lower, string.match, string.sub
local mathtype = math.type
local require = require

--- What ends each message, and is not sent.
local TAIL = "\0\0\xff\xff"

--- Bytes of a message that are made whole before others have their turns.
local PIECE = 256 * 1024

local deflate = {}

--- The parameters, in the order in which they are written.
local names = {
  "server_no_context_takeover", "client_no_context_takeover", "server_max_window_bits", "client_max_window_bits",
}
local is_flag = { server_no_context_takeover = true, client_no_context_takeover = true }
local is_bits = { server_max_window_bits = true, client_max_window_bits = true }

--- Is it what an option `deflate` can be?
function deflate.is_option(value)
  if type(value) == "boolean" then
    return true
  elseif type(value) ~= "table" then
    return false
  end
  for name, one in next, value do
    if is_flag[name] then
      if type(one) ~= "boolean" then
        return false
      end
    elseif mathtype(one) ~= "integer" or not (is_bits[name] and one >= 9 and one <= 15
      or name == "level" and one >= 0 and one <= 9) then
      return false
    end
  end
  return true
end

--- The parameters of an extension of that name, or nil: it is another one, or they are wrong.
local function parse(text)
  local found, first = {}, true
  for part in gmatch(text .. ";", "([^;]*);") do
    local name, value = match(part, "^[ \t]*([%w_-]+)[ \t]*=[ \t]*\"?(%w+)\"?[ \t]*$")
    if not name then
      name = match(part, "^[ \t]*([%w_-]+)[ \t]*$")
    end
    name = name and lower(name)
    if first then
      if name ~= "permessage-deflate" or value then
        return nil
      end
      first = false
    elseif is_flag[name] and not value and found[name] == nil then
      found[name] = true
    elseif is_bits[name] and found[name] == nil and (not value or find(value, "^[1-9]%d?$")) then
      local bits = value and tonumber(value) or true
      if bits ~= true and (bits < 8 or bits > 15) then
        return nil
      end
      found[name] = bits
    else
      return nil
    end
  end
  return found
end

local function print_parameters(parameters)
  local parts = { "permessage-deflate" }
  for _, name in ipairs(names) do
    local value = parameters[name]
    if value then
      parts[#parts + 1] = value == true and name or name .. "=" .. tostring(value)
    end
  end
  return concat(parts, "; ")
end

--- The smaller of two, each of which may be missing.
local function least(a, b)
  if not a or not b then
    return a or b
  end
  return a < b and a or b
end

--- What a client asks for.
function deflate.offer(wish)
  wish = wish == true and {} or wish
  local asked = {}
  for _, name in ipairs(names) do
    asked[name] = wish[name]
  end
  asked.client_max_window_bits = wish.client_max_window_bits or true
  return print_parameters(asked)
end

--- What a server says to offers, a list of texts: the first that it can take. nil: to none.
--- Returns the answer, and what it means.
function deflate.answer(offers, wish)
  wish = wish == true and {} or wish
  for _, text in ipairs(offers) do
    local offer = parse(text)
    if offer and offer.server_max_window_bits ~= true and (offer.server_max_window_bits or 15) > 8 then
      local theirs = offer.client_max_window_bits
      local agreed = {
        server_no_context_takeover = offer.server_no_context_takeover or wish.server_no_context_takeover,
        client_no_context_takeover = offer.client_no_context_takeover or wish.client_no_context_takeover,
        server_max_window_bits = least(offer.server_max_window_bits, wish.server_max_window_bits),
        client_max_window_bits = theirs and least(theirs ~= true and theirs or nil, wish.client_max_window_bits),
      }
      return print_parameters(agreed), agreed
    end
  end
end

--- What a server's answer means to a client that has offered this; nil: it is wrong.
function deflate.agree(text, wish)
  wish = wish == true and {} or wish
  local agreed = parse(text)
  if not agreed then
    return nil
  end
  local server, client = agreed.server_max_window_bits, agreed.client_max_window_bits
  if server == true or client == true or wish.server_no_context_takeover and not agreed.server_no_context_takeover
    or wish.server_max_window_bits and (server or 16) > wish.server_max_window_bits
    or client and client > (wish.client_max_window_bits or 15) then
    return nil
  end
  agreed.client_no_context_takeover = agreed.client_no_context_takeover or wish.client_no_context_takeover
  agreed.client_max_window_bits = client or wish.client_max_window_bits
  return agreed
end


-- Messages

--- What one connection has. What keeps no context has nothing between its messages.
local Coder = {}
local meta = { __index = Coder }

--- What was made smaller did not go out: the next message refers to nothing before it.
local undo_meta = { __close = function(undo)
  if undo.coder then
    undo.coder.compressor:reset()
  end
end }

local function shrink(compressor, data)
  local bytes = compressor:update(data) .. compressor:flush()
  return sub(bytes, 1, -5)
end

--- Call write(bytes) with the message made smaller; or with nothing when it is to be sent as
--- it is. Where messages refer to former ones they are written in the order in which they
--- were made smaller.
function Coder:send(data, write)
  if self.window == 8 or #data < 32 then
    return write(nil)
  elseif not self.keeps then
    local compressor <close> = self.zlib.compressor(self.writing)
    return write(shrink(compressor, data))
  end
  local _ <close> = self.turn:lock()
  if not self.compressor then
    self.compressor = self.zlib.compressor(self.writing)
  end
  local undo <close> = setmetatable({ coder = self }, undo_meta)
  local ok, err = write(shrink(self.compressor, data))
  if ok then
    undo.coder = nil
  end
  return ok, err
end

--- A message begins to be made whole: `receive` goes on with that.
function Coder:begin(kind, bytes)
  if not self.decompressor then
    self.decompressor = self.zlib.decompressor(self.reading)
  end
  self.kind, self.input, self.parts, self.size = kind, bytes .. TAIL, {}, 0
end

--- There is nothing more of it to come.
local function finish(self)
  local decompressor, kind, whole = self.decompressor, self.kind, concat(self.parts)
  self.kind, self.parts = nil, nil
  if not self.peer_keeps then
    decompressor:close()
    self.decompressor = nil
  elseif decompressor.done then
    decompressor:reset()
  end
  if kind == "text" and not valid(whole) then
    return "wrong", 1007, "a text that is no UTF-8"
  end
  return kind, whole
end

--- The message, as an event of the codec's; who is cancelled meanwhile calls again.
function Coder:receive(max)
  while self.parts do
    local text, err = self.decompressor:update(self.input, PIECE)
    self.input = ""
    if not text then
      return "wrong", 1007, "a message that cannot be inflated: " .. err.message
    end
    self.size = self.size + #text
    if self.size > max then
      return "wrong", 1009, "a message that is too long"
    end
    self.parts[#self.parts + 1] = text
    if not self.decompressor.more then
      return finish(self)
    end
    task.yield()
  end
  return true
end

--- Of what was agreed on.
function deflate.new(agreed, client, wish)
  local ours, theirs = "server", "client"
  if client then
    ours, theirs = theirs, ours
  end
  local window = agreed[ours .. "_max_window_bits"] or 15
  return setmetatable({
    zlib = require "neap.zlib", turn = task.mutex(), window = window,
    keeps = not agreed[ours .. "_no_context_takeover"], peer_keeps = not agreed[theirs .. "_no_context_takeover"],
    writing = {
      format = "deflate-raw", windowbits = window, level = type(wish) == "table" and wish.level or nil,
    },
    reading = { format = "deflate-raw" },
  }, meta)
end

return deflate
