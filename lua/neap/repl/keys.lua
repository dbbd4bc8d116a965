--- Keys out of the bytes that a terminal sends, and what each is called.

local width = require "neap.repl.width"

local find, sub = string.find, string.sub

local keys = {}

--- What a terminal puts around what is pasted.
keys.PASTE_BEGIN = "\27[200~"
local PASTE_END = "\27[201~"

--- What the editor does at a key (its `commands`).
local names = {
  ["\1"] = "home", ["\2"] = "left", ["\4"] = "delete_or_leave", ["\5"] = "end", ["\6"] = "right",
  ["\8"] = "backspace", ["\9"] = "tab", ["\10"] = "enter", ["\11"] = "kill_line",
  ["\12"] = "clear", ["\13"] = "enter", ["\14"] = "next", ["\16"] = "previous",
  ["\18"] = "search", ["\20"] = "swap", ["\21"] = "kill_back", ["\23"] = "kill_blank_word",
  ["\25"] = "yank", ["\31"] = "undo", ["\127"] = "backspace",
  -- ESC and a character; ESC [ or ESC O, parameters, and a letter
  ["\27b"] = "word_left", ["\27f"] = "word_right", ["\27d"] = "kill_word_right",
  ["\27\127"] = "kill_word_left", ["\27\8"] = "kill_word_left", ["\27\13"] = "newline",
  ["\27\10"] = "newline",
  ["A"] = "up", ["B"] = "down", ["C"] = "right", ["D"] = "left", ["H"] = "home", ["F"] = "end",
  ["1~"] = "home", ["7~"] = "home", ["4~"] = "end", ["8~"] = "end", ["3~"] = "delete",
  ["1;5C"] = "word_right", ["1;5D"] = "word_left", ["1;3C"] = "word_right", ["1;3D"] = "word_left",
  ["3;5~"] = "kill_word_right",
}

--- The length of a character by its first byte; nil for one that begins none.
local function length_of(byte)
  return byte < 0x80 and 1 or byte >= 0xC2 and byte < 0xE0 and 2 or byte >= 0xE0 and byte < 0xF0 and 3
    or byte >= 0xF0 and byte < 0xF5 and 4 or nil
end

--- A key that begins with ESC: its bytes, or nil if it is not whole yet.
local function take_escape(bytes, settled)
  local sequence = string.match(bytes, "^\27[%[O][0-9;?<>=]*[@-~]")
  if sequence then
    return sequence
  elseif find(bytes, "^\27[%[O]?[0-9;?<>=]*$") and #bytes < 64 then
    return settled and bytes or nil
  end
  local char = string.match(bytes, "^\27(" .. width.char .. ")")
  return char and "\27" .. char or "\27"
end

--- Printable text at the beginning of the bytes, as much as there is, and how many
--- bytes it was if that is another number.
local function take_text(bytes, settled)
  local run = string.match(bytes, "^[ -~]+")
  if run then
    return run
  end
  local n = length_of(string.byte(bytes))
  if not n then
    return "\u{FFFD}", 1
  elseif #bytes < n and not settled and not find(bytes, "[^\x80-\xFF]") then
    return nil
  end
  local char = sub(bytes, 1, n)
  if utf8.len(char) == 1 then
    return char
  end
  return "\u{FFFD}", 1
end

--- Take the first key off the bytes: the key, and the rest; nil if it is not whole yet.
---@param bytes string
---@param settled boolean?  nothing follows soon: what is there is whole
---@return string? key
---@return string? rest
function keys.take(bytes, settled)
  local first = sub(bytes, 1, 1)
  if first == "" then
    return nil
  end
  local key, n
  if first == "\27" then
    key = take_escape(bytes, settled)
  elseif first < " " or first == "\127" then
    key = first
  else
    key, n = take_text(bytes, settled)
  end
  if key then
    return key, sub(bytes, (n or #key) + 1)
  end
end

--- What a paste may bring: newlines and tabs, no other controls.
local function clean(text)
  text = string.gsub(string.gsub(text, "\r\n?", "\n"), "[%z\1-\8\11-\31\127]", "")
  return width.valid(text)
end

--- Inside a bracketed paste: its text and the rest, once its end is there; until then nil,
--- and from where to look for it the next time.
---@param bytes string
---@param from integer
---@return string? text
---@return string|integer rest
function keys.take_paste(bytes, from)
  local stop = find(bytes, PASTE_END, from, true)
  if not stop then
    return nil, math.max(1, #bytes - #PASTE_END)
  end
  return clean(sub(bytes, 1, stop - 1)), sub(bytes, stop + #PASTE_END)
end

--- What to do at a key.
---@param key string
---@return string? command
function keys.command(key)
  return names[key] or names[string.match(key, "^\27[%[O](.*)$")]
end

--- Is it text, to be put where the cursor is?
---@param key string
---@return boolean
function keys.is_text(key)
  return key >= " " and key ~= "\127" and sub(key, 1, 1) ~= "\27"
end

return keys
