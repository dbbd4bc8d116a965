--- `neap top`: the tasks that compute, and the sockets that move bytes, of a process that
--- runs; each second anew.

local attach = require "neap.repl.attach"
local bytes_of = require "neap.repl.heap".bytes
local core = require "neap.repl.core"
local drawing = require "neap.repl.drawing"
local harmless = require "neap.host".harmless
local signal = require "neap.signal"
local stdio = require "neap.stdio"
local task = require "neap.task"
local time = require "neap.time"
local width = require "neap.repl.width"
local wire = require "neap.repl.wire"

local ipairs, next, open, setmetatable = ipairs, next, io.open, setmetatable
local tonumber, tostring = tonumber, tostring
local find, format, gsub, match, rep = string.find, string.format, string.gsub, string.match, string.rep
local concat, max, min, sort = table.concat, math.max, math.min, table.sort
local unpack_bytes = string.unpack

local top = {}

--- From one look to the next.
local SECOND = 1

--- Of a table that is printed once, rows of each kind.
local ROWS = 40

--- Of the first tasks or sockets, so many may be a visitor's own, which are not shown.
local OWN = 8

local ENTER, LEAVE = "\27[?1049h\27[?25l", "\r\n\27[?25h\27[?1049l" -- a terminal without other screens scrolls

--
-- What a place says
--

local function ask(place, message)
  wire.send(place.stream, message)
  for answer in wire.receive, place.stream do
    if answer.kind == "figures" or answer.kind == "rows" then
      return answer
    end
  end
end

--- Look at a place: false, it has ended.
local function look(place)
  local now = ask(place, {kind = "look"})
  if now then
    now.at = time.now()
    place.before, place.now = place.now, now
  end
  return now ~= nil
end

local function tasks_of(figures)
  local found, at = {}, 1
  while at <= #figures.tasks do
    local id, ticks, behind = unpack_bytes("=I4I8", figures.tasks, at)
    found[id], at = ticks, behind
  end
  return found
end

local function sockets_of(figures)
  local found, at = {}, 1
  while at <= #figures.sockets do
    local id, received, sent, behind = unpack_bytes("=I4I8I8", figures.sockets, at)
    found[id], at = {received, sent}, behind
  end
  return found
end

--- What the tasks of a place cost since the look before: rows of {place, id, cost}.
local function add_tasks(rows, place)
  local before, now = place.before, place.now
  local ticks = max(now.now - before.now, 1)
  local then_, each = tasks_of(before), tasks_of(now)
  for id, spent in next, each do
    local share = (spent - (then_[id] or 0)) / ticks
    if share > 0 then
      rows[#rows + 1] = {place = place, id = id, share = share}
    end
  end
  local ended = now.ended - before.ended
  for id, spent in next, then_ do
    if not each[id] then
      ended = ended - spent -- what it had before
    end
  end
  if ended > 0 then
    rows[#rows + 1] = {place = place, id = 0, share = ended / ticks}
  end
end

local function add_sockets(rows, place)
  local before, now = place.before, place.now
  local seconds = max(now.at - before.at, 0.001)
  local then_ = sockets_of(before)
  for id, moved in next, sockets_of(now) do
    local old = then_[id] or {0, 0}
    rows[#rows + 1] = {
      place = place, id = id, received = (moved[1] - old[1]) / seconds, sent = (moved[2] - old[2]) / seconds,
      total = moved[1] + moved[2],
    }
  end
end

--
-- What the system says of the process
--

local function about(pid, name)
  local file <close> = open(format("/proc/%d/%s", pid, name), "rb")
  return file and file:read "a" or ""
end

--- Its processor time in seconds, and its memory in bytes.
local function process_of(pid)
  local user, system = match(about(pid, "stat"), "^.*%) %S+ %S+ %S+ %S+ %S+ %S+ %S+ %S+ %S+ %S+ %S+ (%d+) (%d+)")
  local kib = match(about(pid, "status"), "\nVmRSS:%s+(%d+)")
  return user and (tonumber(user) + tonumber(system)) / 100, kib and tonumber(kib) * 1024
end

--
-- Drawing
--

--- Ways to sort, by key: what, title for the line of keys, and which of two is first.
local SORTS = {
  c = {"tasks", "cpu", function(a) return a.share end},
  n = {"tasks", "newest", function(a) return a.id end},
  b = {"sockets", "bytes", function(a) return a.received + a.sent end},
  r = {"sockets", "received", function(a) return a.received end},
  s = {"sockets", "sent", function(a) return a.sent end},
  t = {"sockets", "total", function(a) return a.total end},
}

local KEYS = "q quits; tasks by c cpu, n newest; sockets by b bytes, r received, s sent, t total"

local function sorted(rows, key)
  local value = SORTS[key][3]
  sort(rows, function(a, b)
    local x, y = value(a), value(b)
    if x ~= y then
      return x > y
    end
    return a.id > b.id or a.id == b.id and a.place.id > b.place.id
  end)
  return rows
end

--- Ask for the cells of the first rows. Who answers may be any program: so nothing of it
--- gets to the terminal as it is.
local function fill(view, kind, rows, most)
  local ids = {}
  for i = 1, min(most, #rows) do
    local place = rows[i].place
    ids[place] = ids[place] or {}
    ids[place][#ids[place] + 1] = rows[i].id
  end
  for _, place in ipairs(view.places) do
    local answer = ids[place] and ask(place, {kind = "look", [kind] = ids[place]})
    place.cells = answer and answer[kind] or {}
    for _, cells in next, place.cells do
      for i, text in ipairs(cells) do
        cells[i] = harmless((gsub(tostring(text), "%c", " ")))
      end
    end
  end
end

--- A table: titles that begin with > are of numbers.
local function add_table(lines, titles, rows)
  local widths = {}
  for i, title in ipairs(titles) do
    widths[i] = #gsub(title, ">", "")
    for _, row in ipairs(rows) do
      widths[i] = max(widths[i], width.text(row[i]))
    end
  end
  local function add(row)
    local cells = {}
    for i, text in ipairs(row) do
      local right = find(titles[i], "^>")
      text = row == titles and gsub(text, "^>", "") or text
      local pad = rep(" ", widths[i] - width.text(text))
      cells[i] = right and pad .. text or text .. pad
    end
    lines[#lines + 1] = (gsub(concat(cells, "  "), " +$", ""))
  end
  add(titles)
  for _, row in ipairs(rows) do
    add(row)
  end
end

local function id_of(view, row)
  local id = row.id == 0 and "-" or format("%d", row.id)
  return #view.places > 1 and format("%d/%s", row.place.id, id) or id
end

local function task_lines(view, lines, most)
  local rows = {}
  for _, place in ipairs(view.places) do
    add_tasks(rows, place)
  end
  sorted(rows, view.by.tasks)
  fill(view, "tasks", rows, most + OWN)
  local shown = {}
  for i = 1, min(most + OWN, #rows) do
    local row = rows[i]
    local cells = row.place.cells[row.id] or {row.id == 0 and "(tasks that have ended)" or "(has ended)", "", "", ""}
    shown[#shown + 1] = #cells > 0 and #shown < most
      and {format("%.1f", 100 * row.share), id_of(view, row), cells[1], cells[2], cells[3], cells[4]} or nil
  end
  add_table(lines, {">CPU%", ">ID", "TASK", "STATE", "WAITS FOR", "SPAWNED AT"}, shown)
end

local function socket_lines(view, lines, most)
  local rows = {}
  for _, place in ipairs(view.places) do
    add_sockets(rows, place)
  end
  sorted(rows, view.by.sockets)
  fill(view, "sockets", rows, most + OWN)
  local shown = {}
  for i = 1, min(most + OWN, #rows) do
    local row = rows[i]
    local cells = row.place.cells[row.id] or {"", "closed", "", "", ""}
    shown[#shown + 1] = #cells > 0 and #shown < most and {
      bytes_of(row.received), bytes_of(row.sent), id_of(view, row), cells[1], cells[2], cells[3], cells[4], cells[5],
    } or nil
  end
  add_table(lines, {">IN/s", ">OUT/s", ">ID", "KIND", "STATE", "LOCAL", "REMOTE", "TASKS"}, shown)
end

--- The lines above the tables, of all places together.
local function head(view)
  local sum = {tasks = 0, sockets = 0, received = 0, sent = 0, turns = 0, busy = 0, lag = 0, lua = 0, limit = 0}
  for _, place in ipairs(view.places) do
    local before, now = place.before, place.now
    local seconds = max(now.at - before.at, 0.001)
    sum.tasks = sum.tasks + now.stats.tasks
    sum.sockets = sum.sockets + now.stats.streams + now.stats.listeners + now.stats.datagrams
    sum.received = sum.received + (now.traffic.received - before.traffic.received) / seconds
    sum.sent = sum.sent + (now.traffic.sent - before.traffic.sent) / seconds
    sum.lua = sum.lua + now.lua
    sum.limit = sum.limit + (now.stats.memory_limit or 0)
    if now.load then
      sum.turns = sum.turns + (now.load.turns - before.load.turns) / seconds
      sum.busy = sum.busy + (now.load.busy - before.load.busy) / seconds
      sum.lag = max(sum.lag, now.load.longest)
    end
  end
  local spent, memory = view.spent, view.memory
  return {
    format("process %d, %s%s", view.pid, harmless(view.script),
      #view.places > 1 and format(", %d workers", #view.places - 1) or ""),
    format("cpu %s   memory %s, of Lua %s%s   loop busy %.1f%%, lag %.1f ms, %.0f turns/s",
      spent and format("%.1f%%", max(spent, 0)) or "?", memory and bytes_of(memory) or "?", bytes_of(sum.lua),
      sum.limit > 0 and " of " .. bytes_of(sum.limit) or "", 100 * sum.busy, 1000 * sum.lag, sum.turns),
    format("tasks %d   sockets %d   in %s/s   out %s/s", sum.tasks, sum.sockets, bytes_of(sum.received),
      bytes_of(sum.sent)),
    "",
  }
end

--- The lines of a window of so many rows, nil: a table that is printed.
local function lines_of(view, rows, columns)
  local lines = head(view)
  local room = rows and max(rows - #lines - 4, 2)
  local most = room and max(room // 2, 1) or ROWS
  task_lines(view, lines, most)
  lines[#lines + 1] = ""
  socket_lines(view, lines, room and max(room - (#lines - 6), 1) or ROWS)
  if rows then
    lines = {table.unpack(lines, 1, rows - 1)}
    lines[#lines + 1] = KEYS
    for i, line in ipairs(lines) do
      lines[i] = drawing.cut(line, columns)
    end
  end
  return lines
end

--- Look at all places, and at the process.
local function look_at_all(view)
  for i = #view.places, 1, -1 do
    if not look(view.places[i]) then
      table.remove(view.places, i)
    elseif not view.places[i].before then -- of a worker that is new
      view.places[i].before = view.places[i].now
    end
  end
  local cpu, memory = process_of(view.pid)
  local now = time.now()
  view.spent = cpu and view.cpu and 100 * (cpu - view.cpu) / max(now - view.looked_at, 0.001)
  view.cpu, view.looked_at, view.memory = cpu, now, memory
  return #view.places > 0
end

local function draw(view)
  local columns, rows = core.size()
  columns, rows = columns and columns > 0 and columns or 80, rows and rows > 0 and rows or 24
  io.stdout:write("\27[H", concat(lines_of(view, rows, columns), "\27[K\r\n"), "\27[K\27[J")
  io.stdout:flush()
end

--
-- Keys
--

local QUITS = {q = true, Q = true, ["\3"] = true, ["\4"] = true, SIGINT = true, SIGHUP = true, SIGTERM = true}

--- What ends it does so at once: the process may be one that does not answer.
local function tell(scope, events, event)
  if QUITS[event] then
    scope:cancel()
  end
  events:send(event)
end

--- Keys that are one character; of others, as F2, the last one is none.
local function read_keys(scope, events)
  local bytes = stdio.stdin:recv()
  while bytes do
    for key in string.gmatch((gsub(bytes, "\27[%[O][0-?]*[ -/]*[@-~]", "")), ".") do
      tell(scope, events, key)
    end
    bytes = stdio.stdin:recv()
  end
  scope:cancel()
end

local function read_signals(scope, events)
  for name in signal.each("SIGINT", "SIGWINCH", "SIGCONT", "SIGHUP", "SIGTERM") do
    tell(scope, events, name)
  end
end

local function handle(view, event)
  local key = SORTS[event]
  if key then
    view.by[key[1]] = event
  elseif event == "SIGCONT" then
    core.mode "keys"
    io.stdout:write(ENTER)
  end
end

--- Show it until the process has ended.
local function follow(view, events)
  local next_look = time.now() + SECOND
  repeat
    draw(view)
    local event = task.timeout(max(next_look - time.now(), 0), events.recv, events)
    if event then
      handle(view, event)
    else
      next_look = time.now() + SECOND
    end
  until not event and not look_at_all(view)
end

--- Show it, and look again each second, until a key ends it or the process has.
local function watch(view)
  local events = task.channel(16)
  local ended = false
  core.mode "keys"
  io.stdout:write(ENTER)
  local _ <close> = setmetatable({}, {__close = function()
    io.stdout:write(LEAVE)
    io.stdout:flush()
    core.mode "found"
  end})
  task.scope(function(scope)
    scope:spawn(read_keys, scope, events)
    scope:spawn(read_signals, scope, events)
    scope:spawn(function()
      follow(view, events)
      ended = true
      scope:cancel()
    end)
  end)
  return ended
end

local function misused()
  io.stderr:write "usage: neap top [--once] PID[/WORKER]|PATH\n"
  os.exit(2)
end

--- Connect to the main thread and to each worker; to one place only where it is named.
local function visit(where)
  local stream, pid, welcome = attach.reach("top", where)
  local view = {
    pid = pid, script = welcome.script or "neap", places = {{id = 0, stream = stream}},
    by = {tasks = "c", sockets = "b"},
  }
  if find(where, "/", 1, true) then
    return view
  end
  local ids = welcome.workers or {}
  sort(ids)
  for _, id in ipairs(ids) do
    view.places[#view.places + 1] = {id = id, stream = (attach.reach("top", format("%d/%d", pid, id)))}
  end
  return view
end

--- `neap top`
---@async
function top.top(...)
  local where, once
  for _, word in ipairs {...} do
    if word == "--once" then
      once = true
    elseif where or find(word, "^%-") then
      misused()
    else
      where = word
    end
  end
  if not where then
    misused()
  end
  local view = visit(where)
  for _, place in ipairs(view.places) do
    wire.send(place.stream, {kind = "hello", columns = 100})
  end
  look_at_all(view)
  local shows = not once and core.is_terminal(0) and core.is_terminal(1)
  task.sleep(shows and SECOND / 4 or SECOND)
  local ended = not look_at_all(view)
  if not ended and shows then
    ended = watch(view)
  elseif not ended then
    io.stdout:write(concat(lines_of(view), "\n"), "\n")
  end
  if ended then
    attach.fail("process %d has ended", view.pid)
  end
end

return top
