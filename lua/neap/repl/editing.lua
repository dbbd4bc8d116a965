--- A text with a cursor in it, and what changes it: the steps, the words, the lines;
--- killing and undoing.
---
--- The text may have several lines; it is valid UTF-8, and the cursor a byte
--- position, 1 to #text + 1, at a character's beginning. What it is done to is an
--- editor (`neap.repl.editor`).

local width = require "neap.repl.width"

local find, sub = string.find, string.sub

local editing = {}

--- Where the character before a place begins.
function editing.before(text, at)
  return at > 1 and utf8.offset(text, -1, at) or 1
end

--- Where the character at a place ends.
function editing.after(text, at)
  return at <= #text and utf8.offset(text, 2, at) or at
end

--- Zero-width characters go with the one that they follow.
function editing.step(self, move)
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

--- Keep the text for `undo`, once for what is typed in one go.
function editing.remember(self, kind)
  local last = self.undo[#self.undo]
  if kind ~= "type" or self.doing ~= "type" or not last then
    self.undo[#self.undo + 1] = {self.text, self.cursor}
    if #self.undo > 200 then
      table.remove(self.undo, 1)
    end
  end
  self.doing = kind
end

--- Put a text in the place of that from `first` to `last`. It is no entry of the history
--- any more.
function editing.replace(self, first, last, text, kind)
  editing.remember(self, kind or "edit")
  self.text = sub(self.text, 1, first - 1) .. text .. sub(self.text, last + 1)
  self.cursor = first + #text
  self.at, self.prefix = nil, nil
end

--- Texts that are kept when they are killed.
local KILLED = 20

--- Take out the text from `first` to `last`, for `yank`; what is killed in one go stays
--- together.
function editing.kill(self, first, last)
  if first > last then
    return
  end
  local text = sub(self.text, first, last)
  local killed = self.killed
  if self.last_was_kill then
    local before = table.remove(killed)
    text = first < self.cursor and text .. before or before .. text
  end
  killed[#killed + 1] = text
  if #killed > KILLED then
    table.remove(killed, 1)
  end
  self.kills = true
  editing.replace(self, first, last, "")
end

--- Put in a text behind the cursor, which is moved; `again`: in the place of the one
--- before.
function editing.put(self, text, again)
  local first = again and self.put_at or self.cursor
  editing.replace(self, first, self.cursor - 1, text)
  self.put_at = first
end

--- Put in one of the texts that were killed, by its number; below 1 it goes on at the
--- last.
function editing.yank(self, n, again)
  self.yanked = n < 1 and #self.killed or n
  editing.put(self, self.killed[self.yanked] or "", again)
end

--- Where the line of a place begins.
function editing.line_start(self, at)
  local start = at
  while start > 1 and sub(self.text, start - 1, start - 1) ~= "\n" do
    start = start - 1
  end
  return start
end

--- The position of the newline, or behind the text.
function editing.line_end(self, at)
  return find(self.text, "\n", at, true) or #self.text + 1
end

--- Where the word before the cursor begins.
function editing.word_left(self)
  local head = sub(self.text, 1, self.cursor - 1)
  return #head - #string.match(head, "[%w_\x80-\xFF]*[^%w_\x80-\xFF]*$") + 1
end

--- Where the word behind the cursor ends.
function editing.word_right(self)
  local _, last = find(self.text, "^[^%w_\x80-\xFF]*[%w_\x80-\xFF]*", self.cursor)
  return last + 1
end

--- The column of the cursor in its line.
function editing.column_of(self)
  return width.text(string.gsub(sub(self.text, editing.line_start(self, self.cursor), self.cursor - 1), "%c", " "))
end

--- The place in the line that begins at `start` nearest to a column.
function editing.at_column(self, start, column)
  local at, last = start, editing.line_end(self, start)
  while at < last and column > 0 do
    local char = string.match(self.text, "^" .. width.char, at)
    column = column - width.of(char)
    at = at + #char
  end
  return at
end

return editing
