--- A neap at a terminal that leaves its rows as they are when its size changes, as xterm
--- does: as much of one as the prompt uses.

local child = require "spec.support.child"
local process = require "neap.process"
local task = require "neap.task"
local time = require "neap.time"
local width = require "neap.repl.width"

local PATIENCE = child.sanitized and 30 or 8

---@class spec.Rows
local Rows = {}
Rows.__index = Rows

local function blank(row, from)
  for i = from, #row do
    row[i] = nil
  end
end

--- Down; at the bottom all goes up.
local function feed_line(self)
  if self.y < self.rows then
    self.y = self.y + 1
  else
    table.remove(self.screen, 1)
    self.screen[self.rows] = {}
  end
end

local function put(self, char)
  local n = width.of(char)
  if self.x + n - 1 > self.columns then
    self.x = 1
    feed_line(self)
  end
  local row = self.screen[self.y]
  for i = #row + 1, self.x - 1 do
    row[i] = " "
  end
  row[self.x] = char
  if n == 2 then
    row[self.x + 1] = ""
  end
  self.x = self.x + n
end

local finals = {
  A = function(self, n) self.y = math.max(1, self.y - n) end,
  B = function(self, n) self.y = math.min(self.rows, self.y + n) end,
  C = function(self, n) self.x = math.min(self.columns, self.x + n) end,
  H = function(self) self.x, self.y = 1, 1 end,
  K = function(self) blank(self.screen[self.y], self.x) end,
  J = function(self)
    blank(self.screen[self.y], self.x)
    for y = self.y + 1, self.rows do
      self.screen[y] = {}
    end
  end,
  n = function(self)
    self.asked = self.asked + 1
    if not self.is_silent then
      self.p.pty:write(("\27[%d;%dR"):format(self.y, math.min(self.x, self.columns)))
    end
  end,
}

--- Take one thing off the bytes; nil if it is not whole.
local function take(self)
  local bytes = self.bytes
  local stop, n, final = bytes:match "^\27%[()%??(%d*)[%d;]*(%a)"
  if stop then
    local f = finals[final]
    if f and not bytes:find("^%?", stop) then
      f(self, tonumber(n) or 1)
    end
    return bytes:match "^\27%[%??[%d;]*%a(.*)$"
  elseif bytes:find "^\27" or bytes == "" then
    return nil
  elseif bytes:find "^\r" then
    self.x = 1
  elseif bytes:find "^\n" then
    feed_line(self)
  else
    local char = bytes:match("^" .. width.char)
    if not utf8.len(char) then
      return nil
    end
    put(self, char)
    return bytes:sub(#char + 1)
  end
  return bytes:sub(2)
end

local function read(self)
  while true do
    local more = self.p.pty:recv()
    if not more then
      return
    end
    self.bytes = self.bytes .. more
    repeat
      local left = take(self)
      self.bytes = left or self.bytes
    until not left
  end
end

--- Start neap in a terminal.
---@param columns integer
---@param rows integer
---@return spec.Rows
function Rows.open(columns, rows)
  local env = process.env()
  env.HOME, env.XDG_STATE_HOME, env.TERM, env.NO_COLOR = "/nonexistent", nil, "xterm", "1"
  env.TMUX, env.XTERM_VERSION = nil, nil
  local self = setmetatable({
    columns = columns, rows = rows, x = 1, y = 1, screen = {}, bytes = "", asked = 0,
    p = assert(process.spawn {child.neap, pty = {columns = columns, rows = rows}, env = env}),
  }, Rows)
  for y = 1, rows do
    self.screen[y] = {}
  end
  self.reader = task.spawn(read, self)
  return self
end

--- What is cut off at the right is lost; at the bottom all goes up.
---@param columns integer
---@param rows integer
function Rows:resize(columns, rows)
  self.columns, self.rows = columns, rows
  self.x = math.min(self.x, columns)
  while self.y > rows do
    table.remove(self.screen, 1)
    self.y = self.y - 1
  end
  for y = 1, math.max(rows, #self.screen) do
    self.screen[y] = y <= rows and (self.screen[y] or {}) or nil
    blank(self.screen[y] or {}, columns + 1)
  end
  self:tell(columns, rows)
end

--- Tell neap of a size, whatever the screen has.
---@param columns integer
---@param rows integer
function Rows:tell(columns, rows)
  self.p.pty:resize(rows, columns)
end

function Rows:type(text)
  self.p.pty:write(text)
end

function Rows:text()
  local lines = {}
  for y, row in ipairs(self.screen) do
    lines[y] = table.concat(row):gsub(" +$", "")
  end
  return (table.concat(lines, "\n"):gsub("\n+$", ""))
end

--- Wait until this is all that is on the screen, behind the first line.
---@param expected string
function Rows:expect(expected)
  local began = time.now()
  while self:text():gsub("^neap %d[^\n]*\n", "") ~= expected do
    if time.now() - began > PATIENCE then
      error(("expected:\n%s\nbut the screen is:\n%s"):format(expected, self:text()), 2)
    end
    task.sleep(0.01)
  end
end

--- Wait until it was asked so often where the cursor is.
function Rows:expect_asked(n)
  local began = time.now()
  while self.asked < n do
    assert(time.now() - began < PATIENCE, "nobody has asked")
    task.sleep(0.01)
  end
end

function Rows:close()
  self.p:close()
  self.reader:cancel()
end

Rows.__close = Rows.close

return Rows
