--- A text in the user's own editor, a program that has the terminal meanwhile.

local keys = require "neap.repl.keys"
local process = require "neap.process"

local getenv, open, remove, tmpname = os.getenv, io.open, os.remove, os.tmpname
local gsub = string.gsub

---@class neap.repl.elsewhere
local elsewhere = {}

--- As a command of the shell: `$VISUAL`, `$EDITOR`, else vi.
local function command()
  for _, name in ipairs {"VISUAL", "EDITOR"} do
    local value = getenv(name)
    if value and value ~= "" then
      return value
    end
  end
  return "vi"
end

--- What the text has become; nil if the editor failed. A ^C is for the editor, not for
--- the shell around it.
---@async
---@param text string
---@return string?
function elsewhere.edit(text)
  local path = tmpname()
  local _ <close> = setmetatable({}, {__close = function()
    remove(path)
  end})
  local file <close> = open(path, "r+")
  if not file or not file:write(text, "\n") or not file:flush() then
    return nil
  end
  local editor = process.spawn {"sh", "-c", "trap : INT; " .. command() .. ' "$1"', "sh", path, stdin = "inherit"}
  local code = editor and editor:wait()
  local edited <close> = code == 0 and open(path, "rb") or nil
  return edited and keys.clean((gsub(edited:read "a", "\n$", "")))
end

return elsewhere
