--- What a process tells `neap top` of itself. It compares nothing and sorts nothing: an
--- answer has the counts of all tasks and sockets, in few bytes each, and the visitor then
--- asks for those that it shows.

local clocks = require "neap.clocks.core"
local host = require "neap.host"
local lists = require "neap.repl.lists"

local collectgarbage, ipairs, setmetatable, type = collectgarbage, ipairs, setmetatable, type
local integer = math.tointeger

---@class neap.repl.Figures
local Figures = {}
Figures.__index = Figures

--- Rows that may be asked for at once.
local MOST = 1000

local function ids_of(list)
  local ids = {}
  for i, id in ipairs(type(list) == "table" and list or {}) do
    ids[i] = integer(id)
    if i == MOST then
      break
    end
  end
  return ids
end

--- The answer to a message `look`.
---@param message {tasks: integer[]?, sockets: integer[]?}
---@return table message
function Figures:answer(message) -- luacheck: ignore self
  if message.tasks or message.sockets then
    return {
      kind = "rows", tasks = lists.task_cells(ids_of(message.tasks)),
      sockets = lists.socket_cells(ids_of(message.sockets)),
    }
  end
  local now, ended, tasks = clocks.read()
  return {
    kind = "figures", now = now, ended = ended, tasks = tasks, sockets = host.bytes(),
    stats = host.stats(), traffic = host.traffic(), load = host.load(true), lua = collectgarbage "count" * 1024,
  }
end

function Figures:close()
  if not self.closed then
    self.closed = true
    clocks.look(false)
  end
end

local figures = {}

--- From now on it is counted how long each task runs.
---@return neap.repl.Figures
function figures.open()
  clocks.look(true)
  return setmetatable({closed = false}, Figures)
end

return figures
