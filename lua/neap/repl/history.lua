--- What was typed, kept from one prompt to the next: an entry a line of the file,
--- blocks of several lines as one.

local core = require "neap.repl.core"

---@class neap.repl.history
local history = {}

local LIMIT = 512 * 1024 -- bytes of the file; it may grow to twice that
local ENTRIES = 5000
local ENTRY = 64 * 1024 -- a longer one is not kept

local function encode(text)
  return (text:gsub("[\\\n]", {["\\"] = "\\\\", ["\n"] = "\\n"}))
end

local function decode(line)
  return (line:gsub("\\(.)", {["\\"] = "\\", n = "\n"}))
end

--- Where it is: `$XDG_STATE_HOME/neap/history`, or below `~/.local/state`.
---@return string? path
local function place()
  local state = os.getenv "XDG_STATE_HOME"
  if not state or state:sub(1, 1) ~= "/" then
    local home = os.getenv "HOME"
    if not home or home == "" then
      return nil
    end
    state = home .. "/.local/state"
  end
  return state .. "/neap"
end

local function load_entries(path)
  local entries = {}
  local file = io.open(path, "rb")
  if file then
    for line in file:lines() do
      entries[#entries + 1] = decode(line)
    end
    file:close()
  end
  local n = #entries
  if n > ENTRIES then
    entries = table.move(entries, n - ENTRIES + 1, n, 1, {})
  end
  return entries
end

---@class neap.repl.History
---@field entries string[]  the oldest first
---@field private path string?
local History = {}
History.__index = History

--- The history of this user.
---@return neap.repl.History
function history.open()
  local folder = place()
  local self = setmetatable({entries = {}}, History)
  if folder and core.folder(folder) then
    self.path = folder .. "/history"
    self.entries = load_entries(self.path)
  end
  return self
end

--- Add an entry, unless it is the same as the last one. One that begins with a
--- space is not kept.
---@param text string
function History:add(text)
  if text == self.entries[#self.entries] or not text:find "^%S" or #text > ENTRY then
    return
  end
  self.entries[#self.entries + 1] = text
  if self.path then
    core.append(self.path, encode(text) .. "\n", LIMIT)
  end
end

return history
