--- A neap in a real terminal, which tmux keeps: type, look at the screen, change
--- its size.

local child = require "spec.support.child"
local process = require "neap.process"
local task = require "neap.task"
local time = require "neap.time"

local screen = {}

--- How long something may take to appear.
local PATIENCE = child.sanitized and 40 or 15

---@class spec.Screen
local Screen = {}
Screen.__index = Screen

local serial = 0

local function tmux(self, ...)
  return assert(process.run {"tmux", "-L", self.socket, "-f", "/dev/null", ...})
end

--- Is there a tmux?
function screen.is_there()
  local result = process.run {"tmux", "-V"}
  return result ~= nil and result.code == 0
end

local function quoted(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

--- Start neap with these arguments in a terminal of 80 x 24. When it has ended,
--- the screen says "(ended with 0)".
---@param arguments? string[]
---@param options? {env: table<string, string>, columns: integer?, shell: string?}
---@return spec.Screen
function screen.open(arguments, options)
  options = options or {}
  serial = serial + 1
  local self = setmetatable({
    socket = ("neap-spec-%d-%d"):format(process.pid, serial),
    home = os.tmpname(),
  }, Screen)
  os.remove(self.home)
  local words = {"env", "HOME=" .. self.home, "XDG_STATE_HOME=" .. self.home,
    "ASAN_OPTIONS=detect_leaks=0", "NO_COLOR=1"}
  for name, value in pairs(options.env or {}) do
    words[#words + 1] = name .. "=" .. quoted(value)
  end
  words[#words + 1] = options.program or quoted(child.neap)
  for _, word in ipairs(arguments or {}) do
    words[#words + 1] = quoted(word)
  end
  -- A shell of its own that lives on behind ^C: some die of it as what they run does, and
  -- leave tmux unaware of that now and then.
  local shell = options.shell or "trap : INT; %s; echo \"(ended with $?)\"; exec sleep 1000"
  local command = shell:format(table.concat(words, " "))
  local result = tmux(self, "new-session", "-d", "-x", tostring(options.columns or 80),
    "-y", tostring(options.rows or 24), command,
    ";", "set", "-g", "remain-on-exit", "on", ";", "set", "-g", "status", "off")
  assert(result.code == 0, result.stderr)
  return self
end

--- Type text as it is.
function Screen:type(text)
  tmux(self, "send-keys", "-l", "--", text)
end

--- Press keys, by tmux's names.
function Screen:press(...)
  tmux(self, "send-keys", ...)
end

--- Type a line.
function Screen:enter(text)
  tmux(self, "send-keys", "-l", "--", text, ";", "send-keys", "Enter")
end

--- Bytes as they are.
function Screen:bytes(bytes)
  local words = {}
  for c in bytes:gmatch "." do
    words[#words + 1] = ("%02x"):format(c:byte())
  end
  tmux(self, "send-keys", "-H", table.unpack(words))
end

--- Paste, bracketed if neap asked for that.
function Screen:paste(text)
  local path = os.tmpname()
  local file <close> = assert(io.open(path, "w"))
  file:write(text)
  file:close()
  tmux(self, "load-buffer", path, ";", "paste-buffer", "-p")
  os.remove(path)
end

--- Change the size, and wait until neap can know it: tmux tells what is inside a little
--- later, if it has changed just before.
function Screen:resize(columns, rows)
  rows = rows or 24
  tmux(self, "resize-window", "-x", tostring(columns), "-y", tostring(rows))
  self.tty = self.tty or tmux(self, "display-message", "-p", "#{pane_tty}").stdout:match "%S+"
  local began = time.now()
  while assert(process.run {"stty", "-F", self.tty, "size"}).stdout ~= ("%d %d\n"):format(rows, columns) do
    assert(time.now() - began < PATIENCE, "the size is not told")
    task.sleep(0.01)
  end
end

--- What is on the screen, without what is empty at its end.
function Screen:text()
  local out = tmux(self, "capture-pane", "-p").stdout
  return (out:gsub("%s+$", ""))
end

--- All that was printed since it began, lines whole.
function Screen:all()
  return (tmux(self, "capture-pane", "-p", "-J", "-S", "-").stdout:gsub("%s+\n", "\n"))
end

--- Wait until the screen's text ends so; returns it, and the seconds waited.
function Screen:expect(ending)
  local began = time.now()
  while true do
    local text = self:text()
    if text:sub(-#ending) == ending then
      return text, time.now() - began
    elseif time.now() - began > PATIENCE then
      error(("expected the screen to end with:\n%s\nbut it is:\n%s"):format(ending, text), 2)
    end
    task.sleep(0.01)
  end
end

--- Empty the screen, but for the prompt.
function Screen:clear()
  self:press "C-l"
  for _ = 1, PATIENCE * 100 do
    if self:text() == "neap>" then
      return
    end
    task.sleep(0.01)
  end
  error("the screen is not empty: " .. self:text(), 2)
end

--- Wait until it shows this somewhere.
function Screen:find(what)
  local began = time.now()
  while true do
    local text = self:all()
    if text:find(what, 1, true) then
      return text
    elseif time.now() - began > PATIENCE then
      error(("expected to find:\n%s\nbut the screen is:\n%s"):format(what, text), 2)
    end
    task.sleep(0.01)
  end
end

--- Type a line, and wait for what it prints and the next prompt; returns what it
--- printed.
function Screen:run(text)
  serial = serial + 1
  self:enter(text)
  local _, took = self:expect "neap>"
  return took
end

function Screen:close()
  tmux(self, "kill-server")
  process.run {"rm", "-rf", self.home}
end

Screen.__close = Screen.close

--- A prompt, which is ready; pending where there is no terminal for it.
function screen.prompt(options)
  if not screen.is_there() then
    pending "tmux is not installed"
  end
  local s = screen.open(nil, options)
  s:expect "neap>"
  return s
end

return screen
