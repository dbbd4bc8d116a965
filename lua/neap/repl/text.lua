--- Text that cannot harm a terminal, made of what a script or a peer gave.

local harmless = require "neap.host".harmless

local byte, find, format, gsub, sub = string.byte, string.find, string.format, string.gsub, string.sub
local length = utf8.len

---@class neap.repl.text
local text_of = {}

--- Longest name.
local NAME = 60
text_of.NAME = NAME

local SHORT_ESCAPES = {["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t", ["\\"] = "\\\\",
  ['"'] = '\\"'}

--- An escape for one byte.
---@param c string
---@return string
function text_of.byte(c)
  return SHORT_ESCAPES[c] or format("\\x%02x", byte(c))
end

--- Escape what would move the cursor, hide, or turn the direction, and what is no
--- UTF-8; and what would end a string in quotes.
---@param text string
---@return string
function text_of.escaped(text)
  return harmless((gsub(text, '[\n\r\t\\"]', SHORT_ESCAPES)))
end

--- The first bytes, without a part of a character at their end.
---@param text string
---@param n integer
---@return string
function text_of.head(text, n)
  if #text <= n then
    return text
  end
  local cut = sub(text, 1, n)
  local _, bad = length(cut)
  return bad and bad > n - 3 and bad > 1 and sub(cut, 1, bad - 1) or cut
end

--- Is it UTF-8 without control characters that no text has?
---@param text string
---@return boolean
function text_of.is(text)
  return length(text) ~= nil and not find(text, "[\0-\6\14-\26\28-\31]")
end

--- A name that the script gave, short and in one line.
---@param name string
---@return string
function text_of.name(name)
  local shown = text_of.head(name, NAME)
  return text_of.is(shown) and text_of.escaped(shown) .. (#name > NAME and "..." or "") or "?"
end

return text_of
