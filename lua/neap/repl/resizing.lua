--- Where the prompt stands when the screen has got another size.
---
--- Some terminals then wrap anew what had wrapped (tmux, VTE), some leave the rows as they
--- are (xterm). It is seen by the column where the cursor is, which the terminal is asked
--- for. If that is neither, the screen has another size already, of which neap is yet to
--- be told (tmux tells of many a little later). What has left the screen, as the prompt is
--- taller, may come back when the screen grows: so those rows are remembered, unless
--- something was printed meanwhile.

local drawing = require "neap.repl.drawing"

local getenv = os.getenv
local min, move = math.min, table.move

---@class neap.repl.Resizing
---@field asked integer  how often it was asked
---@field private outrun boolean  the last answer was of another size
local Resizing = {}
Resizing.__index = Resizing

---@param console table  which counts what it prints
---@return neap.repl.Resizing
function Resizing.new(console)
  return setmetatable({
    console = console, asked = 0, left = 0, outrun = false,
    rewraps = getenv "TMUX" ~= nil or not getenv "XTERM_VERSION", -- what is taken to be so
  }, Resizing)
end

--- The rows of two blocks, one above the other.
local function below(above, shape)
  local n = #above.widths
  return {
    column = shape.column,
    widths = move(shape.widths, 1, #shape.widths, n + 1, move(above.widths, 1, n, 1, {})),
    wraps = move(shape.wraps, 1, #shape.wraps, n + 1, move(above.wraps, 1, n, 1, {})),
  }
end

--- Its first rows. What is erased below them is no continuation any more.
local function head(shape, n)
  local wraps = move(shape.wraps, 1, n, 1, {})
  wraps[n] = false
  return {widths = move(shape.widths, 1, n, 1, {}), wraps = wraps}
end

--- The prompt was drawn.
---@param shape neap.repl.Shape
function Resizing:drawn(shape)
  local printed = self.console:printed()
  if self.gone and self.printed ~= printed then
    self.gone = nil
  end
  self.printed = printed
  self.shape = self.gone and below(self.gone, shape) or shape
end

--- Another prompt: what stood there before is no matter.
function Resizing:forget()
  self.gone, self.kept, self.left, self.outrun = nil, nil, 0, false
end

--- Is it to be answered, this question or any?
---@param number? integer
---@return boolean
function Resizing:is_asking(number)
  return (self.left > 0 or self.outrun) and (not number or number == self.asked)
end

local function likely(self)
  return self.rewraps and self.rewrapped or self.kept
end

--- The terminal is asked. What hides the prompt as long as it does not answer.
---@param columns integer
---@return string hide
function Resizing:ask(columns)
  if not self:is_asking() then
    self.kept = {column = self.shape.column, widths = self.shape.widths, wraps = self.shape.wraps}
    self.before = self.console:printed()
  end
  self.kept.column = min(self.kept.column, columns - 1)
  self.rewrapped = drawing.rewrapped(self.shape, columns)
  self.asked, self.left, self.outrun = self.asked + 1, self.left + 1, false
  return drawing.hiding(#likely(self).widths - 1)
end

--- The cursor is there, both from 0; or nobody knows. What hides the prompt, once all
--- questions are answered; nil if it was drawn anew meanwhile, around
--- what was printed.
---@param row? integer
---@param column? integer
---@return string? hide
function Resizing:answer(row, column)
  self.left = row and self.left - 1 or 0
  local kept, rewrapped = self.kept.column, self.rewrapped.column
  local drawn = self.console:printed() ~= self.before
  self.outrun = row ~= nil and self.left == 0 and not drawn and column ~= kept and column ~= rewrapped
  if self:is_asking() or drawn then
    return nil
  end
  if kept ~= rewrapped and (column == kept or column == rewrapped) then
    self.rewraps = column == rewrapped
  end
  local shape = likely(self)
  local up_by = #shape.widths - 1
  local gone = row and up_by > row and up_by - row or 0
  self.gone = gone > 0 and head(shape, gone) or nil
  return drawing.hiding(up_by - gone)
end

return Resizing
