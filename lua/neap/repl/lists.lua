--- The lists of the prompt: what runs, and what is open.

local characters = require "neap.repl.width"
local host = require "neap.host"
local processes = require "neap.process.core"
local text_of = require "neap.repl.text"

local ipairs, tostring = ipairs, tostring
local find, format, gmatch, gsub = string.find, string.format, string.gmatch, string.gsub
local rep, sub = string.rep, string.sub
local concat, sort, length = table.concat, table.sort, utf8.len
local huge, min = math.huge, math.min
local cell = text_of.name

---@class neap.repl.lists
local lists = {}

---@class neap.repl.lists.Options
---@field rows integer?  most lines; default 1000
---@field columns integer?  of the window, in which cells are cut to fit

local ROWS = 1000

local function columns_of(text)
  return length(text) and characters.text(text) or #text
end

--- A column of text is made no narrower than this.
local NARROW = 9

--- The text in so many columns.
local function cut(text, columns)
  if columns_of(text) <= columns then
    return text
  end
  local at, left = 1, columns - 2
  for char in gmatch(text, characters.char) do
    left = left - characters.of(char)
    if left < 0 then
      break
    end
    at = at + #char
  end
  return sub(text, 1, at - 1) .. ".."
end

--- Make the widest columns of text narrower, until a line fits. Where that is not enough,
--- the last columns are left out: how many there are.
local function fit(widths, right, columns)
  local total, least, count = -2, -2, 0
  for i, width in ipairs(widths) do
    local narrow = right[i] and width or min(width, NARROW)
    if i > 1 and least + narrow + 2 > columns then
      break
    end
    least, total, count = least + narrow + 2, total + width + 2, i
  end
  while total > columns do
    local widest
    for i = 1, count do
      if not right[i] and widths[i] > NARROW and (not widest or widths[i] > widths[widest]) then
        widest = i
      end
    end
    if not widest then
      break
    end
    widths[widest] = widths[widest] - 1
    total = total - 1
  end
  return count
end

--- Lines of cells under each other; a title that begins with > is of numbers.
local function table_text(titles, rows, columns)
  local widths, right = {}, {}
  for i, title in ipairs(titles) do
    right[i] = find(title, "^>") ~= nil
    titles[i] = gsub(title, "^>", "")
    widths[i] = #titles[i]
  end
  for _, row in ipairs(rows) do
    for i in ipairs(titles) do
      local width = columns_of(row[i])
      widths[i] = width > widths[i] and width or widths[i]
    end
  end
  local count = fit(widths, right, columns or huge)
  local lines = {}
  local function add(row)
    local cells = {}
    for i = 1, count do
      local text = cut(row[i], widths[i])
      local pad = rep(" ", widths[i] - columns_of(text))
      cells[i] = right[i] and pad .. text or text .. pad
    end
    lines[#lines + 1] = gsub(concat(cells, "  "), " +$", "")
  end
  add(titles)
  for _, row in ipairs(rows) do
    add(row)
  end
  return lines
end

local function finish(lines, left, what)
  if left > 0 then
    lines[#lines + 1] = format("... and %d more %s", left, what)
  end
  return concat(lines, "\n")
end

local function by_id(a, b)
  return (a.id or 0) < (b.id or 0)
end

local VERBS = {
  stream = {readers = "reads", writers = "writes", turns = "writes", relays = "relays"},
  listener = {readers = "accepts"},
  datagram = {readers = "receives", writers = "sends"},
}

local ROLES = {"readers", "writers", "turns", "relays"}

-- Tasks

--- What each task waits on: its id -> the name of a socket or task.
local function awaited_things(tasks)
  local things = host.awaited()
  for _, row in ipairs(tasks) do
    for _, id in ipairs(row.joiners or {}) do
      things[id] = format("task %d", row.id)
    end
  end
  return things
end

--- A length of time as people say it.
local function seconds(n)
  if n < 60 then
    return format("%.1f s", n)
  elseif n < 3600 then
    return format("%d:%02d", n // 60, n // 1 % 60)
  end
  return format("%d:%02d:%02d", n // 3600, n // 60 % 60, n // 1 % 60)
end

local function waits_for(row, thing)
  if not row.op then
    return ""
  end
  local on = thing and " on " .. thing or ""
  local limit = row.limit and format(", %s left", seconds(row.limit)) or ""
  return cell(row.op) .. on .. limit
end

--- Tasks of the prompt itself.
local hidden = setmetatable({}, {__mode = "k"})

--- Leave a task, and those that it waits for, out of `ps`.
---@param t neap.Task
---@return neap.Task t
function lists.hide(t)
  hidden[t] = true
  return t
end

--- Those that are not hidden; and how many are.
local function visible(tasks)
  local of, shown, left = {}, {}, 0
  for _, row in ipairs(tasks) do
    of[row.id] = row
  end
  for _, row in ipairs(tasks) do
    local at = row
    while at and not hidden[at.task] do
      at = of[at.parent]
    end
    if at then
      left = left + 1
    else
      shown[#shown + 1] = row
    end
  end
  return shown, left
end

--- The tasks in the order of the tree, each with how deep it is.
local function in_tree(tasks)
  local known, children = {}, {}
  for _, row in ipairs(tasks) do
    known[row.id] = true
  end
  for _, row in ipairs(tasks) do
    local parent = known[row.parent] and row.parent or 0
    children[parent] = children[parent] or {}
    children[parent][#children[parent] + 1] = row
  end
  local ordered = {}
  local stack = {{children[0] or {}, 1}}
  while #stack > 0 do
    local top = stack[#stack]
    local row = top[1][top[2]]
    top[2] = top[2] + 1
    if not row then
      stack[#stack] = nil
    else
      row.level = #stack - 1
      ordered[#ordered + 1] = row
      stack[#stack + 1] = {children[row.id] or {}, 1}
    end
  end
  return ordered
end

--- The children: what they are, since when, and who waits for them. One that was told to
--- end is "ending" until nothing of its group is left.
local function children_text(columns)
  local rows = {}
  for i, row in ipairs(processes.children()) do
    local waiters = row.waiters or {}
    rows[i] = {
      format("%d", row.pid), cell(row.command), row.status, row.group and "own" or "ours", seconds(row.age),
      #waiters > 0 and format("task %d waits", waiters[1]) or "",
    }
  end
  if #rows == 0 then
    return ""
  end
  return "\n\n" .. concat(table_text({">PID", "CHILD", "STATE", "GROUP", ">AGE", "TASKS"}, rows, columns), "\n")
end

--- The tasks, each below the one that waits for it: what it is called, what it
--- waits for, where and how long already, and where it was spawned; and the children. A
--- `&` is behind the state of those that the program does not wait for. What the prompt
--- itself needs is left out, here and of `socks`.
---@param opts? neap.repl.lists.Options
---@return string
function lists.ps(opts)
  local columns = opts and opts.columns
  local tasks, left = visible(host.tasks(opts and opts.rows or ROWS))
  sort(tasks, by_id)
  local things = awaited_things(tasks)
  local rows = {}
  for i, row in ipairs(in_tree(tasks)) do
    local deep = row.level < 20 and row.level or 20
    rows[i] = {
      format("%d", row.id), rep("  ", deep) .. cell(row.name or "task"),
      row.background and row.status .. " &" or row.status,
      waits_for(row, things[row.id]), row.since and seconds(row.since) or "",
      text_of.escaped(row.place or ""), text_of.escaped(row.site or ""),
    }
  end
  local lines = table_text({">ID", "TASK", "STATE", "WAITS FOR", ">SINCE", "AT", "SPAWNED AT"}, rows,
    columns)
  return finish(lines, host.stats().tasks - left - #rows, "tasks") .. children_text(columns)
end

--- What a task does, in a few words.
local function doing(row, thing)
  local age = row.since and format(", for %s", seconds(row.since)) or ""
  if row.op then
    return format("%s: %s%s", row.status, waits_for(row, thing), age)
  end
  return row.status .. age
end

--- The stacks of the tasks, each below what it does.
---@param opts? neap.repl.lists.Options
---@return string
function lists.stacks(opts)
  local tasks, left = visible(host.tasks(opts and opts.rows or ROWS))
  sort(tasks, by_id)
  local things = awaited_things(tasks)
  local lines = {}
  for _, row in ipairs(tasks) do
    lines[#lines + 1] = format("task %d %s %s", row.id, cell(row.name or "task"), doing(row, things[row.id]))
    lines[#lines + 1] = gsub(host.stack(row.task) or "", "^stack traceback:\n", "")
  end
  return finish(lines, host.stats().tasks - left - #tasks, "tasks")
end

-- Sockets

local function tasks_of(row, owner)
  local words = {}
  if owner then
    words[1] = format("task %d serves", owner)
  end
  for _, role in ipairs(ROLES) do
    local list = row[role]
    if list then
      words[#words + 1] = format("task %d %s%s", list[1],
        row.state == "connecting" and "connects" or VERBS[row.kind][role],
        #list > 1 and format(" and %d more", #list - 1) or "")
    end
  end
  return concat(words, ", ")
end

local function count(n)
  return n and format("%d", n) or "-"
end

local function ends_of(row)
  local from, to = row.localaddr and tostring(row.localaddr), row.remoteaddr and tostring(row.remoteaddr)
  if not from and not to and row.endpoint then
    from = row.endpoint
  end
  return cell(from ~= "" and from or "*"), cell(to ~= "" and to or "*")
end

--- Its protocol; of TLS version and cipher, too; and what is spoken by it.
local function kind_of(row)
  local kind = row.protocol or row.kind
  kind = row.layer and kind .. " " .. row.layer or kind
  return row.speaks and kind .. ", " .. row.speaks or kind
end

--- The sockets: state, bytes that wait in neap on their way in and out (the
--- kernel's queues are what ss(8) shows), bytes that went in and out, addresses,
--- descriptor, and who serves or waits. Of a listener IN counts connections.
---@param opts? neap.repl.lists.Options
---@return string
function lists.socks(opts)
  local sockets = host.sockets(opts and opts.rows or ROWS)
  sort(sockets, by_id)
  local owner = host.serving()
  local rows, left = {}, 0
  for _, row in ipairs(sockets) do
    local from, to = ends_of(row)
    left = left + (row.hidden and 1 or 0)
    rows[#rows + 1] = not row.hidden and {
      count(row.id), cell(kind_of(row)), row.state,
      count(row.queued_in), count(row.queued_out),
      count(row.received or row.accepted), count(row.sent),
      from, to, count(row.fd), tasks_of(row, row.box and owner[row.box]),
    } or nil
  end
  local lines = table_text({">ID", "KIND", "STATE", ">Q-IN", ">Q-OUT", ">IN", ">OUT", "LOCAL",
    "REMOTE", ">FD", "TASKS"}, rows, opts and opts.columns)
  local open = host.stats()
  return finish(lines, open.listeners + open.datagrams + open.streams - left - #rows, "sockets")
end

-- For `neap top`, which shows some of them

local function set_of(ids)
  local wanted = {}
  for _, id in ipairs(ids) do
    wanted[id] = true
  end
  return wanted
end

--- Those of some tasks that are hidden, or below one that is: a set of ids.
local function hidden_of(found)
  local of, wanted = {}, found
  while #wanted > 0 do
    local parents = {}
    for _, row in ipairs(wanted) do
      of[row.id] = row
    end
    for _, row in ipairs(wanted) do
      if row.parent and not of[row.parent] then
        parents[#parents + 1] = row.parent
      end
    end
    wanted = #parents > 0 and host.tasks(nil, set_of(parents)) or {}
  end
  local set = {}
  for _, row in ipairs(found) do
    local at = row
    while at and not hidden[at.task] do
      at = of[at.parent]
    end
    set[row.id] = at ~= nil
  end
  return set
end

--- Cells of some tasks: id -> name, state, what it waits for, where it was spawned; of
--- the prompt's own there are none.
---@param ids integer[]
---@return table<integer, string[]>
function lists.task_cells(ids)
  local found = host.tasks(nil, set_of(ids))
  local things, left = awaited_things(found), hidden_of(found)
  local rows = {}
  for _, row in ipairs(found) do
    rows[row.id] = left[row.id] and {} or {
      cell(row.name or "task"), row.status, waits_for(row, things[row.id]), text_of.escaped(row.site or ""),
    }
  end
  return rows
end

--- Cells of some sockets: id -> kind, state, local and remote address, tasks; of the
--- prompt's own there are none.
---@param ids integer[]
---@return table<integer, string[]>
function lists.socket_cells(ids)
  local owner = host.serving()
  local rows = {}
  for _, row in ipairs(host.sockets(nil, set_of(ids))) do
    local from, to = ends_of(row)
    rows[row.id] = row.hidden and {}
      or {cell(kind_of(row)), row.state, from, to, tasks_of(row, row.box and owner[row.box])}
  end
  return rows
end

return lists
