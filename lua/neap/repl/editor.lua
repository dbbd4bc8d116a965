--- The line editor: bytes in; a line, or something to do, and what is to stand on
--- the screen out.
---
--- It knows no terminal and never waits. `feed` it what was typed, ask it for the
--- `next` event, and print its `block`: that is the prompt with the text, drawn
--- from the cursor's first row, so that it can be hidden and drawn anew around
--- whatever else is printed.
---
--- The text may have several lines; it is valid UTF-8, and the cursor a byte
--- position, 1 to #text + 1, at a character's beginning.

local harmless = require "neap.host".harmless
local syntax = require "neap.repl.syntax"
local width = require "neap.repl.width"

local find, sub, format = string.find, string.sub, string.format

---@class neap.repl.Editor
---@field text string
---@field cursor integer
---@field footer string[]  lines below the text, without controls
local Editor = {}
Editor.__index = Editor

local PASTE_END = "\27[201~"

--- Longer texts are shown in part, and without colours.
local PLAIN = 16 * 1024

---@class neap.repl.EditorOptions
---@field entries string[]?  the history, the oldest first; read only
---@field incomplete? fun(text: string): boolean  does it need more lines?
---@field prompt string?
---@field more string?  the prompt of further lines
---@field colour boolean?

---@param options neap.repl.EditorOptions
---@return neap.repl.Editor
function Editor.new(options)
  local self = {
    entries = options.entries or {},
    incomplete = options.incomplete or function()
      return false
    end,
    prompt = options.prompt or "> ",
    more = options.more or ". ",
    colour = options.colour or false,
    pending = "",
    killed = "",
    footer = {},
  }
  setmetatable(self, Editor)
  self:reset()
  return self
end

--- An empty text; what was typed ahead stays.
function Editor:reset()
  self.text, self.cursor = "", 1
  self.undo = {}
  self.at = nil -- the place in the history
  self.draft, self.prefix = nil, nil
  self.search = nil
  self.footer = {}
end

--- What was typed.
---@param bytes string
function Editor:feed(bytes)
  self.pending = self.pending .. bytes
end

--- Is the last byte an ESC that may begin a sequence? If nothing follows soon,
--- call `settle`.
---@return boolean
function Editor:is_waiting()
  return not self.pasting and self.pending ~= ""
end

--- Nothing follows: what is pending is complete.
function Editor:settle()
  self.settled = true
end

--
-- Changing the text
--

local function before(text, at)
  return at > 1 and utf8.offset(text, -1, at) or 1
end

local function after(text, at)
  return at <= #text and utf8.offset(text, 2, at) or at
end

--- Zero-width characters go with the one that they follow.
local function step(self, move)
  local at = move(self.text, self.cursor)
  while at > 1 and at <= #self.text do
    local char = string.match(self.text, "^" .. width.char, at)
    if #char == 1 or width.of(char) > 0 then
      break
    end
    at = move(self.text, at)
  end
  return at
end

local function remember(self, kind)
  local last = self.undo[#self.undo]
  if kind ~= "type" or self.doing ~= "type" or not last then
    self.undo[#self.undo + 1] = {self.text, self.cursor}
    if #self.undo > 200 then
      table.remove(self.undo, 1)
    end
  end
  self.doing = kind
end

local function replace(self, first, last, text, kind)
  remember(self, kind or "edit")
  self.text = sub(self.text, 1, first - 1) .. text .. sub(self.text, last + 1)
  self.cursor = first + #text
  self.at, self.prefix = nil, nil
end

--- Put text where the cursor is.
---@param text string
function Editor:insert(text)
  replace(self, self.cursor, self.cursor - 1, text, "type")
end

--- Replace the text.
---@param text string
---@param cursor? integer  default: at its end
function Editor:set(text, cursor)
  remember(self, "set")
  self.text, self.cursor = text, cursor or #text + 1
end

local function kill(self, first, last)
  if first > last then
    return
  end
  local text = sub(self.text, first, last)
  if self.last_was_kill then
    text = first < self.cursor and text .. self.killed or self.killed .. text
  end
  self.killed, self.kills = text, true
  replace(self, first, last, "")
end

local function line_start(self, at)
  local start = at
  while start > 1 and sub(self.text, start - 1, start - 1) ~= "\n" do
    start = start - 1
  end
  return start
end

--- The position of the newline, or behind the text.
local function line_end(self, at)
  return find(self.text, "\n", at, true) or #self.text + 1
end

local function word_left(self)
  local head = sub(self.text, 1, self.cursor - 1)
  return #head - #string.match(head, "[%w_\x80-\xFF]*[^%w_\x80-\xFF]*$") + 1
end

local function word_right(self)
  local _, last = find(self.text, "^[^%w_\x80-\xFF]*[%w_\x80-\xFF]*", self.cursor)
  return last + 1
end

--
-- The history
--

--- Go to an entry, or back to the draft.
local function show_entry(self, at)
  self.text = at and self.entries[at] or self.draft
  self.cursor = #self.text + 1
  self.at = at
end

--- The next entry in a direction that begins as the text up to the cursor did
--- when the way began.
local function walk(self, by)
  if not self.prefix then
    self.draft = self.text
    self.prefix = sub(self.text, 1, self.cursor - 1)
    self.at = nil
  end
  local at = self.at or #self.entries + 1
  repeat
    at = at + by
    local entry = self.entries[at]
    if entry and entry ~= self.text and sub(entry, 1, #self.prefix) == self.prefix then
      return show_entry(self, at)
    end
  until not entry
  if by > 0 then
    show_entry(self, nil)
    self.prefix = nil
  end
end

local function column_of(self)
  return width.text(string.gsub(sub(self.text, line_start(self, self.cursor), self.cursor - 1), "%c", " "))
end

--- The place in the line that begins at `start` nearest to a column.
local function at_column(self, start, column)
  local at, last = start, line_end(self, start)
  while at < last and column > 0 do
    local char = string.match(self.text, "^" .. width.char, at)
    column = column - width.of(char)
    at = at + #char
  end
  return at
end

local function up(self)
  local start = line_start(self, self.cursor)
  if start == 1 or self.prefix then
    return walk(self, -1)
  end
  self.cursor = at_column(self, line_start(self, start - 1), column_of(self))
end

local function down(self)
  local last = line_end(self, self.cursor)
  if last > #self.text or self.prefix then
    return walk(self, 1)
  end
  self.cursor = at_column(self, last + 1, column_of(self))
end

--
-- Incremental search
--

--- The nearest entry at or before `from` that has the text in it.
local function seek(self, from)
  local s = self.search
  for at = math.min(from, #self.entries), 1, -1 do
    local found = find(self.entries[at], s.text, 1, true)
    if found then
      s.at, s.failing = at, false
      self.text, self.cursor = self.entries[at], found
      return
    end
  end
  s.failing = s.text ~= ""
end

local function begin_search(self)
  local s = self.search
  if not s then
    self.search = {text = "", at = #self.entries + 1, draft = self.text, cursor = self.cursor}
  elseif s.text == "" and self.sought then
    s.text = self.sought
    seek(self, #self.entries)
  else
    local shown = self.text
    local from = s.at
    repeat
      from = from - 1
      seek(self, from)
    until s.failing or from < 1 or self.text ~= shown
  end
end

local function end_search(self)
  if self.search then
    self.sought = self.search.text
    self.search = nil
  end
end

local function cancel_search(self)
  local s = self.search
  if s then
    self.text, self.cursor = s.draft, s.cursor
    end_search(self)
  end
end

local function search_text(self, text)
  local s = self.search
  s.text = text
  if text == "" then
    s.failing = false
    self.text, self.cursor = s.draft, s.cursor
  else
    seek(self, s.failing and s.at or math.min(s.at, #self.entries))
  end
end

--
-- Commands, by key. Those that return something return an event.
--

local commands = {}

function commands.home(self)
  self.cursor = line_start(self, self.cursor)
end

commands["end"] = function(self)
  self.cursor = line_end(self, self.cursor)
end

function commands.left(self)
  self.cursor = step(self, before)
end

function commands.right(self)
  self.cursor = step(self, after)
end

function commands.word_left(self)
  self.cursor = word_left(self)
end

function commands.word_right(self)
  self.cursor = word_right(self)
end

function commands.backspace(self)
  local at = before(self.text, self.cursor)
  if at < self.cursor then
    replace(self, at, self.cursor - 1, "")
  end
end

function commands.delete(self)
  local at = step(self, after)
  if at > self.cursor then
    replace(self, self.cursor, at - 1, "")
  end
end

function commands.delete_or_leave(self)
  if self.text == "" then
    return "eof"
  end
  commands.delete(self)
end

function commands.kill_line(self)
  local last = line_end(self, self.cursor)
  kill(self, self.cursor, last == self.cursor and last <= #self.text and last or last - 1)
end

function commands.kill_back(self)
  kill(self, line_start(self, self.cursor), self.cursor - 1)
end

function commands.kill_blank_word(self)
  local head = sub(self.text, 1, self.cursor - 1)
  kill(self, #head - #string.match(head, "%S*%s*$") + 1, self.cursor - 1)
end

function commands.kill_word_left(self)
  kill(self, word_left(self), self.cursor - 1)
end

function commands.kill_word_right(self)
  kill(self, self.cursor, word_right(self) - 1)
end

function commands.yank(self)
  replace(self, self.cursor, self.cursor - 1, self.killed)
end

function commands.swap(self)
  local at = self.cursor > #self.text and before(self.text, self.cursor) or self.cursor
  local first = before(self.text, at)
  if first < at then
    local last = after(self.text, at) - 1
    replace(self, first, last, sub(self.text, at, last) .. sub(self.text, first, at - 1))
  end
end

function commands.undo(self)
  local last = table.remove(self.undo)
  if last then
    self.text, self.cursor = last[1], last[2]
    self.at, self.prefix = nil, nil
  end
end

commands.up, commands.down, commands.search = up, down, begin_search

function commands.previous(self)
  walk(self, -1)
end

function commands.next(self)
  walk(self, 1)
end

function commands.newline(self)
  self:insert "\n"
end

function commands.enter(self)
  if self.incomplete(self.text) then
    self.cursor = #self.text + 1
    self:insert "\n"
  else
    return "line"
  end
end

function commands.tab(self)
  local start = line_start(self, self.cursor)
  if not find(sub(self.text, start, self.cursor - 1), "%S") then
    self:insert "  "
  else
    return "complete"
  end
end

function commands.clear()
  return "clear"
end

function commands.none() end

local keys = {
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

--
-- Keys out of bytes
--

--- The length of a character by its first byte; nil for one that begins none.
local function length_of(byte)
  return byte < 0x80 and 1 or byte >= 0xC2 and byte < 0xE0 and 2 or byte >= 0xE0 and byte < 0xF0 and 3
    or byte >= 0xF0 and byte < 0xF5 and 4 or nil
end

--- Take the first key off `pending`: its bytes, or nil if it is not whole yet.
local function take_escape(self, bytes)
  local sequence = string.match(bytes, "^\27[%[O][0-9;?<>=]*[@-~]")
  if sequence then
    return sequence
  elseif find(bytes, "^\27[%[O]?[0-9;?<>=]*$") and #bytes < 64 then
    return self.settled and bytes or nil
  end
  local char = string.match(bytes, "^\27(" .. width.char .. ")")
  return char and "\27" .. char or "\27"
end

--- Printable text at the beginning of the bytes, as much as there is.
local function take_text(self, bytes)
  local run = string.match(bytes, "^[ -~]+")
  if run then
    return run
  end
  local n = length_of(string.byte(bytes))
  if not n then
    return "\u{FFFD}", 1
  elseif #bytes < n and not self.settled and not find(bytes, "[^\x80-\xFF]") then
    return nil
  end
  local char = sub(bytes, 1, n)
  if utf8.len(char) == 1 then
    return char
  end
  return "\u{FFFD}", 1
end

local function take_key(self)
  local bytes = self.pending
  local first = sub(bytes, 1, 1)
  if first == "" then
    return nil
  end
  local key, n
  if first == "\27" then
    key = take_escape(self, bytes)
  elseif first < " " or first == "\127" then
    key = first
  else
    key, n = take_text(self, bytes)
  end
  if key then
    self.pending = sub(bytes, (n or #key) + 1)
  end
  return key
end

--- What a paste may bring: newlines and tabs, no other controls.
local function clean(text)
  text = string.gsub(string.gsub(text, "\r\n?", "\n"), "[%z\1-\8\11-\31\127]", "")
  return width.valid(text)
end

--- Inside a bracketed paste: take it whole.
local function take_paste(self)
  local stop = find(self.pending, PASTE_END, self.pasting, true)
  if not stop then
    self.pasting = math.max(1, #self.pending - #PASTE_END)
    return false
  end
  local text = clean(sub(self.pending, 1, stop - 1))
  self.pending = sub(self.pending, stop + #PASTE_END)
  self.pasting = nil
  end_search(self)
  replace(self, self.cursor, self.cursor - 1, text)
  return true
end

local function command_of(key)
  return keys[key] or keys[string.match(key, "^\27[%[O](.*)$")]
end

local function is_text(key)
  return key >= " " and key ~= "\127" and sub(key, 1, 1) ~= "\27"
end

--- A key while searching: nil if it ends the search and is to be seen to.
local function search_key(self, key)
  if is_text(key) then
    search_text(self, self.search.text .. key)
  elseif key == "\127" or key == "\8" then
    local text = self.search.text
    search_text(self, sub(text, 1, before(text, #text + 1) - 1))
  elseif key == "\18" then
    begin_search(self)
  elseif key == "\7" or key == "\27" then
    cancel_search(self)
  else
    end_search(self)
    return true
  end
end

local function press(self, key)
  self.footer = {}
  if self.search and not search_key(self, key) then
    return
  end
  if key == "\27[200~" then
    self.pasting = 1
  elseif is_text(key) then
    self:insert(key)
  else
    local name = command_of(key)
    self.kills = false
    local event = commands[name or "none"](self)
    self.last_was_kill = self.kills
    if name ~= "up" and name ~= "down" and name ~= "previous" and name ~= "next" then
      self.prefix = nil
    end
    self.doing = name == nil and self.doing or name
    return event
  end
  self.last_was_kill = false
end

--- See to what was typed, up to the next event: `"line"` (the text is one to
--- run), `"eof"`, `"complete"`, `"clear"`; nil when nothing is left.
---@return string? event
function Editor:next()
  while true do
    if self.pasting then
      if not take_paste(self) then
        return nil
      end
    else
      local key = take_key(self)
      if not key then
        self.settled = false
        return nil
      end
      local event = press(self, key)
      if event then
        return event
      end
    end
  end
end

--
-- Drawing
--

local styles = {
  keyword = "\27[1m", string = "\27[32m", number = "\27[36m", comment = "\27[2m",
}

--- The style that begins at a byte of the text, and those that end: byte -> text.
local function style(text, colour)
  local at = {}
  if colour and #text < PLAIN and not find(text, "^%s*:") then
    for kind, first, last in syntax.tokens(text) do
      if styles[kind] then
        at[first] = (at[first] or "") .. styles[kind]
        at[last + 1] = "\27[0m"
      end
    end
  end
  return at
end

--- As much of a long text around the cursor as a screen can show.
local function part(text, cursor, columns, rows)
  local most = columns * rows
  if #text <= most then
    return text, cursor
  end
  local first = math.max(1, cursor - most // 2)
  local last = math.min(#text, first + most)
  first = utf8.offset(text, 0, first)
  last = last < #text and utf8.offset(text, 0, last) - 1 or last
  local head = first > 1 and "\u{2026}" or ""
  return head .. sub(text, first, last), cursor - first + 1 + #head
end

---@class neap.repl.Block
---@field rows string[]  what each row of the screen shows
---@field wraps boolean[]  does a row go on in the next one without a newline?
---@field row integer  where the cursor is
---@field column integer  from 0

local Rows = {}
Rows.__index = Rows

local function new_rows(columns)
  return setmetatable({columns = columns, used = 0, row = {}, rows = {}, wraps = {}}, Rows)
end

function Rows:finish(wraps)
  self.rows[#self.rows + 1] = table.concat(self.row)
  self.wraps[#self.rows] = wraps
  self.row, self.used = {}, 0
end

--- Add something that takes n columns.
function Rows:add(text, n)
  if self.used + n > self.columns then
    self:finish(true)
  end
  self.row[#self.row + 1] = text
  self.used = self.used + n
end

function Rows:add_text(text)
  for char in string.gmatch(text, width.char) do
    self:add(char, width.of(char))
  end
end

--- The cursor is here: at the beginning of the next row if this one is full.
function Rows:mark()
  if self.used >= self.columns then
    self.full = #self.rows + 1
    return #self.rows + 2, 0
  end
  return #self.rows + 1, self.used
end

local function shown(char)
  if char < " " then
    return char == "\t" and "  " or "^" .. string.char(string.byte(char) + 64)
  end
  local is_joiner = find(char, "^\xe2\x80[\x8b-\x8d]$")
  return char == "\127" and "^?" or is_joiner and char or harmless(char)
end

local function heading(self)
  local s = self.search
  if not s then
    return self.prompt
  end
  return format("(%s`%s') ", s.failing and "no " or "search ", s.text)
end

--- Draw the text: rows, with the cursor's place.
local function draw(self, columns, height)
  local out = new_rows(columns)
  local text, cursor = part(self.text, self.cursor, columns, height)
  local style_at = style(text, self.colour)
  local row, column
  local reset = self.colour and "\27[0m" or ""
  if self.colour then
    out.row[1] = "\27[1;34m"
  end
  out:add_text(heading(self))
  out.row[#out.row + 1] = reset
  local at = 1
  local on = ""
  for char in string.gmatch(text, width.char) do
    if style_at[at] then
      on = string.match(style_at[at], "\27%[[%d;]+m$")
      out.row[#out.row + 1] = style_at[at]
    end
    if at == cursor then
      row, column = out:mark()
    end
    if char == "\n" then
      out.row[#out.row + 1] = reset
      out:finish(false)
      out.row[1] = self.colour and "\27[2;34m" or ""
      out:add_text(self.more)
      out.row[#out.row + 1] = reset .. (on ~= reset and on or "")
    else
      local face = shown(char)
      out:add(face, face == char and width.of(char) or #face)
    end
    at = at + #char
  end
  out.row[#out.row + 1] = style_at[at] or ""
  if not row then
    row, column = out:mark()
  end
  out:finish(false)
  if row > #out.rows then -- the cursor stands behind a row that is full
    out.wraps[#out.rows] = true
    out:finish(false)
  end
  return out, row, column
end

--- At most `height` rows, the cursor's among them.
local function crop(out, row, height)
  local n = #out.rows
  if n <= height then
    return 1, n
  end
  local first = math.min(math.max(1, row - height // 2), n - height + 1)
  return first, first + height - 1
end

--- Cut a line of the footer to the screen's width.
local function cut(line, columns)
  if width.text(line) < columns then
    return line
  end
  local out, used = {}, 0
  for char in string.gmatch(line, width.char) do
    used = used + width.of(char)
    if used >= columns - 1 then
      break
    end
    out[#out + 1] = char
  end
  return table.concat(out) .. "\u{2026}"
end

local function join(self, out, first, last, footer, columns)
  local parts = {}
  for i = first, last do
    parts[#parts + 1] = out.rows[i]
    if i < last then
      -- A space and a return carry the cursor over the edge.
      parts[#parts + 1] = not out.wraps[i] and "\n" or out.rows[i + 1] == "" and " \r" or ""
    end
  end
  for _, line in ipairs(footer) do
    parts[#parts + 1] = self.colour and "\n\27[2m" or "\n"
    parts[#parts + 1] = cut(line, columns)
    parts[#parts + 1] = self.colour and "\27[0m" or ""
  end
  return table.concat(parts)
end

--- What stands on a screen of this size: the text that hides it, with the cursor
--- where `show` leaves it; and the one that shows it, from the beginning of a row.
--- `last` shows it with the cursor at its end, without what stands below it.
---@param columns integer
---@param rows integer
---@return string hide
---@return string show
---@return string last
function Editor:block(columns, rows)
  columns, rows = math.max(columns, 8), math.max(rows, 2)
  local out, row, column = draw(self, columns, rows)
  local footer = self.footer
  local room = rows - 1
  local height = math.max(1, room - #footer)
  local first, last = crop(out, row, height)
  footer = table.move(footer, 1, room - (last - first + 1), 1, {})
  local up_by = row - first
  local hide = (up_by > 0 and format("\r\27[%dA", up_by) or "\r") .. "\27[J"
  local text = join(self, out, first, last, footer, columns)
  local back = last - row + #footer
  local show = text .. (back > 0 and format("\27[%dA", back) or "") .. "\r"
    .. (column > 0 and format("\27[%dC", column) or "")
  return hide, show, join(self, out, first, last, {}, columns)
end

return Editor
