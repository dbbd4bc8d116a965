--- A long text, a window of the terminal at a time. It knows no terminal: it is asked for
--- the next rows, and what a key means.

local width = require "neap.repl.width"

local find, format, gmatch, match, sub = string.find, string.format, string.gmatch, string.match, string.sub
local concat, max, min = table.concat, math.max, math.min

---@class neap.repl.Pager
---@field private lines string[]  those that were not shown, from `at` on
---@field private at integer
---@field total integer
local Pager = {}
Pager.__index = Pager

--- A colour, or another character.
local function step(line, at)
  local sequence = match(line, "^\27%[[%d;]*m", at)
  if sequence then
    return sequence, 0
  end
  local char = match(line, "^" .. width.char, at) or sub(line, at, at)
  return char, char == "\t" and 8 or width.of(char)
end

--- Rows that a line takes: one at least.
local function rows_of(line, columns)
  if #line <= columns and not find(line, "\t", 1, true) then
    return 1
  end
  local rows, used, at = 1, 0, 1
  while at <= #line do
    local char, n = step(line, at)
    if used + n > columns then
      rows, used = rows + 1, 0
    end
    used, at = used + n, at + #char
  end
  return rows
end

--- The part of a line that takes so many rows, and the rest.
local function cut(line, columns, rows)
  local used, at = 0, 1
  while at <= #line do
    local char, n = step(line, at)
    if used + n > columns then
      rows, used = rows - 1, 0
      if rows == 0 then
        return sub(line, 1, at - 1), sub(line, at)
      end
    end
    used, at = used + n, at + #char
  end
  return line
end

--- Begin with a text; nil if a window of this size shows all of it, and a prompt.
---@param text string
---@param columns integer
---@param rows integer
---@return neap.repl.Pager?
function Pager.new(text, columns, rows)
  local lines, needed = {}, 0
  for line in gmatch(match(text, "^(.-)\n?$") .. "\n", "([^\n]*)\n") do
    lines[#lines + 1] = line
    needed = needed + (needed < rows and rows_of(line, columns) or 0)
  end
  if needed < rows then
    return nil
  end
  return setmetatable({lines = lines, at = 1, total = #lines}, Pager)
end

--- The next rows. A line that does not fit into them goes on with the next ones.
---@param columns integer
---@param rows integer
---@return string text
function Pager:take(columns, rows)
  local out = {}
  while rows > 0 and self.at <= #self.lines do
    local line = self.lines[self.at]
    local needed = rows_of(line, columns)
    if needed > rows then
      out[#out + 1], self.lines[self.at] = cut(line, columns, rows)
    else
      out[#out + 1] = line
      self.at = self.at + 1
    end
    rows = rows - needed
  end
  return concat(out, "\n") .. "\n"
end

--- Is all shown?
---@return boolean
function Pager:is_done()
  return self.at > #self.lines
end

--- What stands below.
---@return string
function Pager:status()
  return format("(%d of %d lines; space: more, q: no more)", min(self.at - 1, self.total), self.total)
end

local KEYS = {
  [" "] = "page", ["f"] = "page", ["\6"] = "page", ["\27[6~"] = "page",
  ["\r"] = "line", ["\n"] = "line", ["j"] = "line", ["\27[B"] = "line", ["\27OB"] = "line",
  ["G"] = "all", ["q"] = "end", ["Q"] = "end", ["\4"] = "end", ["\27"] = "end",
}

--- What is typed: rows to show next, in a window of so many, and what is left of the keys;
--- 0 rows for the end. A key that is none of the pager's ends it, and is for the prompt.
---@param bytes string
---@param rows integer
---@return integer rows
---@return string rest
function Pager.key(bytes, rows)
  local key = match(bytes, "^\27[%[O][%d;]*[@-~]") or sub(bytes, 1, 1)
  local meant = KEYS[key]
  local rest = meant and sub(bytes, #key + 1) or bytes
  if meant == "page" then
    return max(1, rows - 1), rest
  elseif meant == "line" then
    return 1, rest
  elseif meant == "all" then
    return math.maxinteger, rest
  end
  return 0, rest
end

return Pager
