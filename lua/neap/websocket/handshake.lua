--- What both ends of the handshake know (RFC 6455 §4).

local core = require "neap.websocket.core"
local crypto = require "neap.crypto"
local http = require "neap.http.core"
local trim = require "neap.http.message".trim

local ipairs, type = ipairs, type
local gmatch, lower = string.gmatch, string.lower
local sha1, is_token, tobase64 = core.sha1, http.token, crypto.tobase64

local handshake = {}

--- What a server answers to a key: a proof that it has understood.
function handshake.accept(key)
  return tobase64(sha1(key .. "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
end

--- The words between commas of all fields of that name in a head, as they are written.
function handshake.words(head, name)
  local found, fields = {}, head:all()
  for i = 1, #fields, 2 do
    if lower(fields[i]) == name then
      for word in gmatch(fields[i + 1], "[^,]+") do
        found[#found + 1] = trim(word)
      end
    end
  end
  return found
end

--- Is that word there, in any case?
function handshake.has(head, name, wanted)
  for _, word in ipairs(handshake.words(head, name)) do
    if lower(word) == wanted then
      return true
    end
  end
  return false
end

--- A list of subprotocols: tokens, each once.
function handshake.is_protocols(value)
  if type(value) ~= "table" then
    return false
  end
  local seen = {}
  for _, name in ipairs(value) do
    if type(name) ~= "string" or not is_token(name) or seen[name] then
      return false
    end
    seen[name] = true
  end
  return #value > 0
end

return handshake
