--- What an editor shows on a screen of some size: its prompt, the text in colours, the
--- cursor, and what stands below.

local harmless = require "neap.host".harmless
local syntax = require "neap.repl.syntax"
local width = require "neap.repl.width"

local find, sub, format = string.find, string.sub, string.format

local drawing = {}

--- Longer texts are shown in part, and without colours.
local PLAIN = 16 * 1024

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
  return setmetatable({columns = columns, used = 0, row = {}, cells = {}, rows = {}, wraps = {}, widths = {}}, Rows)
end

function Rows:finish(wraps)
  self.rows[#self.rows + 1] = table.concat(self.row)
  self.wraps[#self.rows], self.widths[#self.rows] = wraps, self.cells
  self.row, self.cells, self.used = {}, {}, 0
end

--- Add something that takes n columns.
function Rows:add(text, n)
  if self.used + n > self.columns then
    self:finish(true)
  end
  self.row[#self.row + 1] = text
  self.used = self.used + n
  local cells = self.cells
  local plain = #text == n -- characters of one column each
  for _ = 1, plain and n or 1 do
    cells[#cells + 1] = plain and 1 or n
  end
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

--- Cut a line without controls to the screen's width.
---@param line string
---@param columns integer
---@return string
function drawing.cut(line, columns)
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
    parts[#parts + 1] = drawing.cut(line, columns)
    parts[#parts + 1] = self.colour and "\27[0m" or ""
  end
  return table.concat(parts)
end
--- What stands on a screen of this size: the text that hides it, with the cursor
--- where `show` leaves it; and the one that shows it, from the beginning of a row.
--- `last` shows it with the cursor at its end, without what stands below it.
---@param self neap.repl.Editor
---@param columns integer
---@param rows integer
---@return string hide
---@return string show
---@return string last
---@return neap.repl.Shape shape
function drawing.block(self, columns, rows)
  columns, rows = math.max(columns, 2), math.max(rows, 2)
  local out, row, column = draw(self, columns, rows)
  local footer = self.footer
  local room = rows - 1
  local height = math.max(1, room - #footer)
  local first, last = crop(out, row, height)
  footer = table.move(footer, 1, room - (last - first + 1), 1, {})
  local up_by = row - first
  local hide = drawing.hiding(up_by)
  local text = join(self, out, first, last, footer, columns)
  local back = last - row + #footer
  local show = text .. (back > 0 and format("\27[%dA", back) or "") .. "\r"
    .. (column > 0 and format("\27[%dC", column) or "")
  local shape = {
    column = column,
    widths = table.move(out.widths, first, row, 1, {}), wraps = table.move(out.wraps, first, row, 1, {}),
  }
  return hide, show, join(self, out, first, last, {}, columns), shape
end

--- What is in the cursor's row, and below. Where all of a screen is erased at once, tmux
--- keeps what stood there among what one scrolls back to: so the first column is erased
--- for itself.
local ERASE = "\27[K\27[C\27[J\r"

--- What hides a block whose cursor is so many rows below its first one.
---@param up_by integer
---@return string
function drawing.hiding(up_by)
  return (up_by > 0 and format("\r\27[%dA", up_by) or "\r") .. ERASE
end

--- The rows of a block down to the cursor's, for when the screen changes.
---@class neap.repl.Shape
---@field column integer  of the cursor
---@field widths integer[][]  of the characters of each row
---@field wraps boolean[]  does a row go on in the next one?

--- The rows of a block on a terminal that has so many columns now, and has wrapped anew
--- what had wrapped.
---@param shape neap.repl.Shape
---@param columns integer
---@return neap.repl.Shape
function drawing.rewrapped(shape, columns)
  local out = new_rows(columns)
  local last = #shape.widths
  for i, widths in ipairs(shape.widths) do
    local before = 0
    for _, n in ipairs(widths) do
      if i == last and before >= shape.column then
        break
      end
      out:add("", n)
      before = before + n
    end
    if i < last and not shape.wraps[i] then
      out:finish(false)
    end
  end
  if out.used >= columns then
    out:finish(true)
  end
  local column = out.used
  out:finish(false)
  return {widths = out.widths, wraps = out.wraps, column = column}
end

return drawing
