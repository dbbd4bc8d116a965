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
  ["\18"] = "search", ["\19"] = "search_forward", ["\20"] = "swap", ["\21"] = "kill_back",
  ["\23"] = "kill_blank_word", ["\25"] = "yank", ["\31"] = "undo", ["\127"] = "backspace",
  ["\24\5"] = "edit_elsewhere",
  -- ESC and a character; ESC [ or ESC O, parameters, and a letter
  ["\27b"] = "word_left", ["\27f"] = "word_right", ["\27d"] = "kill_word_right",
  ["\27\127"] = "kill_word_left", ["\27\8"] = "kill_word_left", ["\27\13"] = "newline",
  ["\27\10"] = "newline", ["\27."] = "last_argument", ["\27y"] = "yank_other",
  ["A"] = "up", ["B"] = "down", ["C"] = "right", ["D"] = "left", ["H"] = "home", ["F"] = "end",
  ["1~"] = "home", ["7~"] = "home", ["4~"] = "end", ["8~"] = "end", ["3~"] = "delete",
  ["1;5C"] = "word_right", ["1;5D"] = "word_left", ["1;3C"] = "word_right", ["1;3D"] = "word_left",
  ["3;5~"] = "kill_word_right",
  -- rxvt's, with Ctrl and with Alt
  ["c"] = "word_right", ["d"] = "word_left", ["3^"] = "kill_word_right",
  ["\27\27[C"] = "word_right", ["\27\27[D"] = "word_left", ["\27\27OC"] = "word_right",
  ["\27\27OD"] = "word_left",
}

--- Keys that begin one of two.
local leads = {["\27"] = true, ["\24"] = true}

--- Longest answer of a terminal.
local ANSWER = 4096

--- The length of a character by its first byte; nil for one that begins none.
local function length_of(byte)
  return byte < 0x80 and 1 or byte >= 0xC2 and byte < 0xE0 and 2 or byte >= 0xE0 and byte < 0xF0 and 3
    or byte >= 0xF0 and byte < 0xF5 and 4 or nil
end

--- What a terminal answers, or tells of itself: OSC, DCS, APC, PM or SOS, up to BEL or
--- ESC \. A control ends it, too: then somebody types.
local function take_answer(bytes)
  local stop = find(bytes, "[%z\1-\31\127]", 3)
  if not stop then
    return #bytes > ANSWER and bytes or nil
  end
  local last = string.match(bytes, "^\7()", stop) or string.match(bytes, "^\27\\()", stop)
  if last then
    return sub(bytes, 1, last - 1)
  elseif sub(bytes, stop) ~= "\27" then
    return sub(bytes, 1, stop - 1)
  end
end

--- ESC [ or ESC O, parameters and a letter, from `at` on: its end. Linux has ESC [ [ A.
local function sequence_end(bytes, at)
  return string.match(bytes, "^%[%[.()", at)
    or not find(bytes, "^%[%[", at) and string.match(bytes, "^[%[O][0-?]*[ -/]*[@-~]()", at)
end

--- A key that begins with ESC: its bytes, or nil if it is not whole yet.
local function take_escape(bytes, settled)
  local stop = sequence_end(bytes, 2)
  local alt = not stop and find(bytes, "^\27\27") and sequence_end(bytes, 3)
  if stop then
    return sub(bytes, 1, stop - 1)
  elseif alt then
    local key = sub(bytes, 1, alt - 1)
    return key ~= "\27" .. keys.PASTE_BEGIN and key or "\27"
  elseif find(bytes, "^\27[%]P_^X]") and not (settled and #bytes == 2) then
    return take_answer(bytes)
  elseif find(bytes, "^\27\27?$") or find(bytes, "^\27\27?[%[O]%[?[0-?]*[ -/]*$") and #bytes < 64 then
    return settled and bytes or nil
  end
  return string.match(bytes, "^\27" .. width.char) or sub(bytes, 1, 2)
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
  elseif first == "\24" then
    key = string.match(bytes, "^\24[^\27][\x80-\xBF]*") or first
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
---@param text string
---@return string
function keys.clean(text)
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
  return keys.clean(sub(bytes, 1, stop - 1)), sub(bytes, stop + #PASTE_END)
end

--- Is it the beginning of an answer, which may be long in coming?
---@param bytes string
---@return boolean
function keys.is_answer(bytes)
  return find(bytes, "^\27[%]P_^X].") ~= nil
end

--- Does the key mean something together with the next one?
---@param key string
---@return boolean
function keys.is_lead(key)
  return leads[key] or false
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
