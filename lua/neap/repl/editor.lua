--- The line editor: bytes in; a line, or something to do, and what is to stand on
--- the screen out.
---
--- It knows no terminal and never waits. `feed` it what was typed, ask it for the
--- `next` event, and print its `block`: that is the prompt with the text, drawn
--- from the cursor's first row, so that it can be hidden and drawn anew around
--- whatever else is printed.
---
--- Of what it is made: `keys` makes keys of the bytes, `editing` changes the text,
--- `recall` finds former inputs, `drawing` makes the block. Here is what each key does.

local drawing = require "neap.repl.drawing"
local editing = require "neap.repl.editing"
local keys = require "neap.repl.keys"
local recall = require "neap.repl.recall"
local width = require "neap.repl.width"

local find, sub = string.find, string.sub

--- What a block's lines begin with.
local INDENT = "  "

---@class neap.repl.Editor
---@field text string
---@field cursor integer
---@field footer string[]  lines below the text, without controls
local Editor = {}
Editor.__index = Editor

---@class neap.repl.EditorOptions
---@field entries string[]?  the history, the oldest first; read only
---@field incomplete? fun(text: string): boolean  does it need more lines?
---@field depth? fun(text: string): integer  how far a line behind the text is indented
---@field closes? fun(line: string): boolean  is a line less so, by its beginning?
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
    depth = options.depth,
    closes = options.closes,
    prompt = options.prompt or "> ",
    more = options.more or ". ",
    colour = options.colour or false,
    pending = "",
    killed = {},
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
  self.search, self.lead = nil, nil
  self.footer = {}
end

--- An empty text, and nothing typed ahead.
function Editor:clear()
  self.pending, self.pasting, self.settled = "", nil, false
  self:reset()
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
  return not self.pasting and self.pending ~= "" and not keys.is_answer(self.pending)
end

--- Nothing follows: what is pending is complete.
function Editor:settle()
  self.settled = true
end

--- Put text where the cursor is.
---@param text string
function Editor:insert(text)
  editing.replace(self, self.cursor, self.cursor - 1, text, "type")
end

--- Replace the text.
---@param text string  as it comes: wrong bytes become U+FFFD
---@param cursor? integer  default: at its end
function Editor:set(text, cursor)
  editing.remember(self, "set")
  if not utf8.len(text) then
    local head = width.valid(sub(text, 1, (cursor or #text + 1) - 1))
    text, cursor = head .. width.valid(sub(text, cursor or #text + 1)), #head + 1
  end
  self.text, self.cursor = text, cursor or #text + 1
end

local function up(self)
  local start = editing.line_start(self, self.cursor)
  if start == 1 or self.prefix then
    return recall.walk(self, -1)
  end
  self.cursor = editing.at_column(self, editing.line_start(self, start - 1), editing.column_of(self))
end

local function down(self)
  local last = editing.line_end(self, self.cursor)
  if last > #self.text or self.prefix then
    return recall.walk(self, 1)
  end
  self.cursor = editing.at_column(self, last + 1, editing.column_of(self))
end

--
-- Commands, by key. Those that return something return an event.
--

local commands = {}

function commands.home(self)
  self.cursor = editing.line_start(self, self.cursor)
end

commands["end"] = function(self)
  self.cursor = editing.line_end(self, self.cursor)
end

function commands.left(self)
  self.cursor = editing.step(self, editing.before)
end

function commands.right(self)
  self.cursor = editing.step(self, editing.after)
end

function commands.word_left(self)
  self.cursor = editing.word_left(self)
end

function commands.word_right(self)
  self.cursor = editing.word_right(self)
end

function commands.backspace(self)
  local at = editing.before(self.text, self.cursor)
  if at < self.cursor then
    editing.replace(self, at, self.cursor - 1, "")
  end
end

function commands.delete(self)
  local at = editing.step(self, editing.after)
  if at > self.cursor then
    editing.replace(self, self.cursor, at - 1, "")
  end
end

function commands.delete_or_leave(self)
  if self.text == "" then
    return "eof"
  end
  commands.delete(self)
end

function commands.kill_line(self)
  local last = editing.line_end(self, self.cursor)
  editing.kill(self, self.cursor, last == self.cursor and last <= #self.text and last or last - 1)
end

function commands.kill_back(self)
  editing.kill(self, editing.line_start(self, self.cursor), self.cursor - 1)
end

function commands.kill_blank_word(self)
  local head = sub(self.text, 1, self.cursor - 1)
  editing.kill(self, #head - #string.match(head, "%S*%s*$") + 1, self.cursor - 1)
end

function commands.kill_word_left(self)
  editing.kill(self, editing.word_left(self), self.cursor - 1)
end

function commands.kill_word_right(self)
  editing.kill(self, self.cursor, editing.word_right(self) - 1)
end

--- What was killed last.
function commands.yank(self)
  editing.yank(self, #self.killed)
end

--- In the place of what was yanked, what was killed before it.
function commands.yank_other(self)
  if self.yanked then
    editing.yank(self, self.yanked - 1, true)
  end
end

function commands.last_argument(self)
  recall.last_argument(self, self.last == "last_argument")
end

function commands.swap(self)
  local at = self.cursor > #self.text and editing.before(self.text, self.cursor) or self.cursor
  local first = editing.before(self.text, at)
  if first < at then
    local last = editing.after(self.text, at) - 1
    editing.replace(self, first, last, sub(self.text, at, last) .. sub(self.text, first, at - 1))
  end
end

function commands.undo(self)
  local last = table.remove(self.undo)
  if last then
    self.text, self.cursor = last[1], last[2]
    self.at, self.prefix = nil, nil
  end
end

commands.up, commands.down = up, down

function commands.search(self)
  recall.search(self, -1)
end

function commands.search_forward(self)
  recall.search(self, 1)
end

function commands.previous(self)
  recall.walk(self, -1)
end

function commands.next(self)
  recall.walk(self, 1)
end

--- A new line, as deep as what is open. Not within what comes in one go: that brings its
--- own blanks.
function commands.newline(self)
  local deep = self.pending == "" and self.depth and self.depth(sub(self.text, 1, self.cursor - 1)) or 0
  self:insert("\n" .. string.rep(INDENT, deep))
end

--- Before the cursor leaves its line: one that ends a block is as deep as the block, and
--- one of blanks only is empty.
local function tidy(self)
  local start, last = editing.line_start(self, self.cursor), editing.line_end(self, self.cursor)
  local line = sub(self.text, start, last - 1)
  local blanks = string.match(line, "^ *")
  if start == 1 or not self.depth or #blanks ~= #INDENT * self.depth(sub(self.text, 1, start - 1)) then
    return
  elseif line == blanks then
    editing.replace(self, start, last - 1, "")
  elseif #blanks > 0 and self.closes(line) then
    local at = self.cursor - #INDENT
    editing.replace(self, start, start + #INDENT - 1, "")
    self.cursor = at > start and at or start
  end
end

function commands.enter(self)
  tidy(self)
  if self.incomplete(self.text) then
    self.cursor = #self.text + 1
    commands.newline(self)
  else
    return "line"
  end
end

function commands.tab(self)
  local start = editing.line_start(self, self.cursor)
  if not find(sub(self.text, start, self.cursor - 1), "%S") then
    self:insert "  "
  else
    return "complete"
  end
end

function commands.clear()
  return "clear"
end

--- In an editor that is a program of its own.
function commands.edit_elsewhere()
  return "edit"
end

function commands.none() end

--- A key while searching: nil if it ends the search and is to be seen to.
local function search_key(self, key)
  if keys.is_text(key) then
    recall.search_text(self, self.search.text .. key)
  elseif key == "\127" or key == "\8" then
    local text = self.search.text
    recall.search_text(self, sub(text, 1, editing.before(text, #text + 1) - 1))
  elseif key == "\18" or key == "\19" then
    recall.search(self, key == "\18" and -1 or 1)
  elseif key == "\7" or key == "\27" then
    recall.cancel_search(self)
  else
    recall.end_search(self)
    return true
  end
end

--- `lead`: the key before it, if that is one of two.
local function press(self, key, lead)
  self.footer = {}
  if self.search and not search_key(self, key) then
    return
  end
  local name = keys.command(key)
  local event
  if key == keys.PASTE_BEGIN then
    self.pasting = 1
  elseif keys.is_text(key) then
    self:insert(key)
  elseif keys.is_lead(key) then
    self.lead = key ~= lead and key or nil
    return
  else
    event = commands[name or "none"](self)
    if name ~= "up" and name ~= "down" and name ~= "previous" and name ~= "next" then
      self.prefix = nil
    end
    self.doing = name == nil and self.doing or name
  end
  if name ~= "yank" and name ~= "yank_other" then
    self.yanked = nil
  end
  self.last, self.last_was_kill, self.kills = name, self.kills, false
  return event
end

--- Inside a bracketed paste: take it whole.
local function take_paste(self)
  local text, rest = keys.take_paste(self.pending, self.pasting)
  if not text then
    self.pasting = rest
    return false
  end
  self.pending, self.pasting = rest, nil
  recall.end_search(self)
  editing.replace(self, self.cursor, self.cursor - 1, text)
  return true
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
      if self.lead and find(self.pending, "^[^\27]") then
        self.pending, self.lead = self.lead .. self.pending, nil
      end
      local key, left = keys.take(self.pending, self.settled)
      if not key then
        self.settled = false
        return nil
      end
      local lead = self.lead
      self.pending, self.lead = left, nil
      local event = press(self, key, lead)
      if event then
        return event
      end
    end
  end
end

Editor.block = drawing.block

return Editor
