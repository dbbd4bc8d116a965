--- What was typed, kept from one prompt to the next: an entry a line of the file,
--- blocks of several lines as one.

local core = require "neap.repl.core"
local width = require "neap.repl.width"

---@class neap.repl.history
local history = {}

local LIMIT = 512 * 1024 -- bytes of the file; it may grow to twice that
local ENTRIES = 5000
local ENTRY = 64 * 1024 -- a longer one is not kept

local function encode(text)
  return (string.gsub(text, "[\\\n]", {["\\"] = "\\\\", ["\n"] = "\\n"}))
end

local function decode(line)
  return (string.gsub(line, "\\(.)", {["\\"] = "\\", n = "\n"}))
end

--- Where it is: `$XDG_STATE_HOME/neap`, or `~/.local/state/neap`. What there must be
--- already is the home; of a state folder elsewhere, the one that it is in.
---@return string? base
---@return string? below
local function place()
  local home, state = os.getenv "HOME", os.getenv "XDG_STATE_HOME"
  home = home and string.find(home, "^/") and home
  if not state or not string.find(state, "^/") then
    return home, ".local/state/neap"
  elseif home and string.sub(state, 1, #home + 1) == home .. "/" then
    return home, string.sub(state, #home + 2) .. "/neap"
  end
  local base, name = string.match(state, "^(.*)/([^/]+)/*$")
  return base and base .. "/", name and name .. "/neap"
end

--- The entries of the file's end, as far as it is read.
local function load_entries(path)
  local text, err = core.tail(path, 2 * LIMIT)
  if not text then
    return {}, err.code ~= "ENOENT" and err or nil
  end
  local entries = {}
  local whole = #text < 2 * LIMIT and 1 or (string.find(text, "\n", 1, true) or #text) + 1
  for line in string.gmatch(string.sub(text, whole), "[^\n]+") do
    if #line <= ENTRY then
      entries[#entries + 1] = width.valid(decode(line)) -- others may write there
    end
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
---@return neap.Error? err  why there is a file, but none that is used
function history.open()
  local self = setmetatable({entries = {}}, History)
  local base, below = place()
  local folder = base and core.folder(base, below)
  if not folder then
    return self
  end
  local path = folder .. "/history"
  local entries, err = load_entries(path)
  self.entries = entries
  self.path = not err and path or nil
  return self, err
end

--- Add an entry, unless it is the same as the last one. One that begins with a
--- space is not kept.
---@param text string
function History:add(text)
  if text == self.entries[#self.entries] or not string.find(text, "^%S") or #text > ENTRY then
    return
  end
  self.entries[#self.entries + 1] = text
  if self.path then
    core.append(self.path, encode(text) .. "\n", LIMIT)
  end
end

return history
