--- Subjects: words with dots between them. In a pattern `*` stands for one word, and `>` at
--- the end for one or more.

local type, byte, find, gmatch, gsub, sub = type, string.byte, string.find, string.gmatch, string.gsub, string.sub

local LONGEST = 1024 -- bytes: two of them are to fit a line of NATS's
local DOT = byte "."

local subject = {}

local function is_words(text)
  return type(text) == "string" and text ~= "" and #text <= LONGEST and not find(text, "[%s%c]")
    and not find(text, "..", 1, true) and byte(text) ~= DOT and byte(text, -1) ~= DOT
end

--- May it be published to?
function subject.is_subject(text)
  return is_words(text) and not find(text, "[*>]")
end

--- May it be subscribed to?
function subject.is_pattern(text)
  if not is_words(text) then
    return false
  end
  local ended = false
  for word in gmatch(text, "[^.]+") do
    if ended or #word > 1 and find(word, "[*>]") then
      return false
    end
    ended = word == ">"
  end
  return true
end

--- The pattern of Lua's that it is; nil where it has no wildcard.
function subject.compile(text)
  if not find(text, "[*>]") then
    return nil
  end
  local pattern = gsub(gsub(text, "[^%w*>\x80-\xff]", "%%%0"), "%*", "[^.]+")
  if sub(pattern, -1) == ">" then
    pattern = sub(pattern, 1, -2) .. ".+"
  end
  return "^" .. pattern .. "$"
end

return subject
