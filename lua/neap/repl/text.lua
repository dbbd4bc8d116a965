--- Text that cannot harm a terminal, made of what a script or a peer gave.

-- A script may replace the globals.
local byte, find, format, gsub, sub = string.byte, string.find, string.format, string.gsub, string.sub
local codepoint, length = utf8.codepoint, utf8.len

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

local function escape_point(c)
  return format("\\u{%x}", codepoint(c))
end

--- Escape what would move the cursor, hide, or turn the direction of the text.
---@param text string  UTF-8
---@return string
function text_of.escaped(text)
  text = gsub(text, '[%c\\"]', text_of.byte)
  if find(text, "[\x80-\xff]") then
    text = gsub(text, "\xc2[\x80-\x9f]", escape_point)
    text = gsub(text, "\xe2\x80[\x8b-\x8f\xa8-\xae]", escape_point)
    text = gsub(text, "\xe2\x81[\xa0-\xaf]", escape_point)
    text = gsub(text, "\xef\xbb\xbf", escape_point)
  end
  return text
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
