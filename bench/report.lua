-- usage: neap bench/report.lua [FILE]    the table of a result of bench/run; of docs/performance.json also docs/
--
-- FILE is what bench/run wrote. Its chart goes beside it, as FILE with .svg. For
-- docs/performance.json the tables between the markers of docs/performance.md
-- are made anew, too: so every figure there is the file's.

local json = require "neap.json"

local path = arg[1] or "docs/performance.json"
local file = assert(io.open(path))
local result = json.decode(file:read "a")
file:close()

local BASE = "epoll"

local function peer_of(row, id)
  for _, peer in ipairs(row.peers) do
    if peer.id == id then
      return peer
    end
  end
end

--- The peers that have a figure, in their order.
local function columns(rows)
  local seen, list = {}, {}
  for _, row in ipairs(rows) do
    for _, peer in ipairs(row.peers) do
      if not seen[peer.id] then
        seen[peer.id] = true
        list[#list + 1] = peer
      end
    end
  end
  return list
end

local function thousands(value)
  local text = ("%.0f"):format(value)
  repeat
    local n
    text, n = text:gsub("^(%d+)(%d%d%d)", "%1,%2")
  until n == 0
  return text
end

local function amount(value, unit)
  if unit == "bytes/s" then
    return ("%.0f MB/s"):format(value / 1e6)
  elseif unit == "ms" then
    return ("%.1f ms"):format(value)
  end
  return thousands(value) .. (unit:find "/" and "/s" or " " .. (unit == "bytes" and "B" or unit))
end

--- Which peers one table shows: what has a ratio to the server in C, or what
--- has none.
local function table_of(rows, ids, cell)
  local lines = {"| work | " .. table.concat(ids.names, " | ") .. " |",
    "| --- |" .. (" --- |"):rep(#ids)}
  for _, row in ipairs(rows) do
    local cells = {row.title}
    for _, id in ipairs(ids) do
      local peer = peer_of(row, id)
      cells[#cells + 1] = peer and cell(row, peer) or ""
    end
    lines[#lines + 1] = "| " .. table.concat(cells, " | ") .. " |"
  end
  return table.concat(lines, "\n")
end

local function chosen(rows)
  local ids = {names = {}}
  for _, peer in ipairs(columns(rows)) do
    for _, row in ipairs(rows) do
      if peer_of(row, peer.id) then
        ids[#ids + 1] = peer.id
        ids.names[#ids.names + 1] = peer.name
        break
      end
    end
  end
  return ids
end

local function is_rate(row)
  return not row.less
end

local rates, others, safe, http, sent, beside, curves = {}, {}, {}, {}, {}, {}, {}
local by_base = {llhttp = http, openssl = safe, nginx_http = sent}
for _, row in ipairs(result.rows) do
  local list = by_base[row.base] or row.id == "files" and beside or is_rate(row) and rates or others
  if row.curve then
    curves[row.curve] = curves[row.curve] or {}
    list = curves[row.curve]
  end
  list[#list + 1] = row
end

local function ratios(name)
  return table_of(rates, chosen(rates), function(row, peer)
    local value = peer[name] and ("%.2f"):format(peer[name]) or ""
    if name == "ratio" and peer.id == BASE then
      value = "1 (" .. amount(peer.value, row.unit) .. ")"
    end
    return peer.kind == "neap" and "**" .. value .. "**" or value
  end)
end

local function amounts()
  return table_of(others, chosen(others), function(row, peer)
    local value = amount(peer.value, row.unit)
    return peer.kind == "neap" and "**" .. value .. "**" or value
  end)
end

--- Of what has a yardstick of its own: processor time as in `cpu`, with what the yardstick takes; and memory.
local function cpu_cell(row, peer)
  local value, plain = "", ""
  if row.less then
    value, plain = ("%.2f"):format(1 / peer.ratio), amount(peer.value, row.unit)
  elseif peer.cpu_ratio then
    value, plain = ("%.2f"):format(peer.cpu_ratio), ("%.1f µs"):format(peer.cpu / 1000)
  end
  if peer.id == row.base or row.less then
    value = ("%s (%s)"):format(value, plain)
  end
  return peer.kind == "neap" and "**" .. value .. "**" or value
end

--- nil: nothing of it was measured.
local function with_yardstick(list)
  return list[1] and table_of(list, chosen(list), cpu_cell)
    .. ("\n\nMeasured on %s, %s."):format(list[1].date, list[1].machine)
end

--- Times beside something else, and without that.
local function with_alone(list)
  return list[1] and table_of(list, chosen(list), function(_, peer)
    local value = ("%.0f µs (%.0f)"):format(peer.value, peer.alone)
    return peer.kind == "neap" and "**" .. value .. "**" or value
  end) .. ("\n\nMeasured on %s, %s."):format(list[1].date, list[1].machine)
end

--- A curve as a table: a column a point, a line a quantity.
local function curve(name, head, lines)
  local points = curves[name] or {}
  local out = {"| " .. head .. " |", "| --- |"}
  for _, row in ipairs(points) do
    out[1] = out[1] .. " " .. thousands(row.x) .. " |"
    out[2] = out[2] .. " --- |"
  end
  for _, line in ipairs(lines) do
    local text = "| " .. line.name .. " |"
    for _, row in ipairs(points) do
      local peer = peer_of(row, line.id)
      local value = peer and peer[line.field]
      text = text .. " " .. (value and line.format(value) or "") .. " |"
    end
    out[#out + 1] = text
  end
  return table.concat(out, "\n")
end

local function microseconds(ns)
  return ("%.1f"):format(ns / 1000)
end

local function costs(name, head)
  return curve(name, head, {
    {name = "C, epoll: µs of processor a message", id = BASE, field = "cpu", format = microseconds},
    {name = "**neap**", id = "neap", field = "cpu", format = microseconds},
  })
end

local machine = result.machine
local sections = {
  machine = ("%s, %d cores, Linux %s, %s; measured on %s."):format(
    machine.cpu, machine.cores, machine.kernel, machine.system, result.date),
  ratios = ratios "ratio",
  cpu = ratios "cpu_ratio",
  amounts = amounts(),
  tls = with_yardstick(safe),
  http = with_yardstick(http),
  sendfile = with_yardstick(sent),
  beside = with_alone(beside),
  connections = costs("connections", "connections, 64 B"),
  size = costs("size", "bytes a message, 16 connections"),
  tasks = curve("tasks", "tasks asleep", {
    {name = "bytes a task", id = "neap", field = "value", format = thousands},
  }),
}


-- The chart: a dot for each peer on a line a row, 1 being the server in C

local RIGHT, TOP, STEP = 30, 64, 38

-- As wide as the longest title is, by the widths of usual fonts.
local LEFT = 0
for _, row in ipairs(rates) do
  LEFT = math.max(LEFT, 30 + 7 * utf8.len(row.title) // 1)
end
local WIDTH = LEFT + 570

local MOST = 1.25
local colours = {
  libuv = "#7f8c9b", neap = "#c2410c", busy = "#f59e0b", luajit = "#2563eb", luv = "#60a5fa",
  cqueues = "#7c3aed", luasocket = "#c4b5fd", go = "#0891b2", node = "#16a34a", uvloop = "#ca8a04",
  asyncio = "#a16207", erlang = "#be185d", nginx = "#374151",
}

local function x_of(ratio)
  return LEFT + (WIDTH - LEFT - RIGHT) * math.min(ratio, MOST) / MOST
end

local function text(x, y, words, style)
  return ('<text x="%.0f" y="%.0f" %s>%s</text>'):format(x, y, style or "", words)
end

local function legend(out, ids)
  local x, y = 16, TOP + STEP * #rates + 40
  for i, id in ipairs(ids) do
    if id ~= BASE then
      local width = 26 + 7 * #ids.names[i]
      if x + width > WIDTH then
        x, y = 16, y + 20
      end
      out[#out + 1] = ('<circle cx="%d" cy="%d" r="5" fill="%s"/>'):format(x + 5, y - 4, colours[id])
      out[#out + 1] = text(x + 15, y, ids.names[i])
      x = x + width
    end
  end
  return y + 20
end

local function chart()
  local out = {}
  local bottom = TOP + STEP * #rates
  for tenth = 0, 12, 2 do
    local x = x_of(tenth / 10)
    out[#out + 1] = ('<line x1="%.0f" y1="%d" x2="%.0f" y2="%d" stroke="%s"/>'):format(
      x, TOP - 14, x, bottom - 10, tenth == 10 and "#1f2937" or "#e5e7eb")
    out[#out + 1] = text(x, TOP - 20, ("%.1f"):format(tenth / 10), 'text-anchor="middle"')
  end
  for i, row in ipairs(rates) do
    local y = TOP + STEP * (i - 1) + 6
    out[#out + 1] = text(LEFT - 12, y + 4, row.title, 'text-anchor="end"')
    for pass = 1, 2 do -- neap lies on top
      for _, peer in ipairs(row.peers) do
        local ours = peer.kind == "neap"
        if peer.ratio and peer.id ~= BASE and ours == (pass == 2) then
          out[#out + 1] = ('<circle cx="%.1f" cy="%d" r="%d" fill="%s"><title>%s: %.2f</title></circle>')
            :format(x_of(peer.ratio), y, ours and 8 or 5, colours[peer.id], peer.name, peer.ratio)
          if ours then
            local label = peer.ratio > MOST and "%.2f &#8594;" or "%.2f"
            out[#out + 1] = text(x_of(peer.ratio), y - 11, label:format(peer.ratio),
              'text-anchor="middle" font-weight="bold" font-size="11"')
          end
        end
      end
    end
  end
  local height = legend(out, chosen(rates))
  return ([[
<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d"
 font-family="sans-serif" font-size="12" fill="#1f2937">
<rect width="100%%" height="100%%" fill="#ffffff"/>
%s
%s
</svg>
]]):format(WIDTH, height, WIDTH, height,
    text(16, 24, "Speed, a hand-written epoll server in C being 1", 'font-size="15" font-weight="bold"'),
    table.concat(out, "\n"))
end

local function write(name, content)
  local out <close> = assert(io.open(name, "w"))
  out:write(content)
end

write((path:gsub("%.json$", "") .. ".svg"), chart())

if path == "docs/performance.json" then
  local page <close> = assert(io.open "docs/performance.md")
  local content = page:read "a"
  for name, section in pairs(sections) do
    local open, close = "<!-- " .. name .. " -->\n", "\n<!-- end -->"
    local from = select(2, content:find(open, 1, true))
    local to = from and content:find(close, from, true)
    if to then
      content = content:sub(1, from) .. section .. content:sub(to)
    end
  end
  write("docs/performance.md", content)
end

print(sections.machine)
print()
print(sections.ratios)
print()
if #others > 0 then
  print(sections.amounts)
end
for name, list in pairs {tls = safe, http = http, sendfile = sent, beside = beside} do
  if #list > 0 then
    print()
    print(sections[name])
  end
end
for _, name in ipairs {"connections", "size", "tasks"} do
  if curves[name] then
    print()
    print(sections[name])
  end
end
