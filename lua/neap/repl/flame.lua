--- Flame graphs: a profile as a picture. Each function is a bar as wide as what it weighs,
--- with all that it calls; what it calls is above it.

local harmless = require "neap.host".harmless

local ipairs, next, tonumber = ipairs, next, tonumber
local byte, format, gmatch, gsub, sub = string.byte, string.format, string.gmatch, string.gsub, string.sub
local concat, sort = table.concat, table.sort
local offset, length = utf8.offset, utf8.len

---@class neap.repl.flame
local flame = {}

local WIDTH, ROW, EDGE, TOP = 1200, 17, 10, 40

--- What is narrower is left out; and of a character, in pixels.
local NARROW, CHARACTER = 0.4, 6.7

local ESCAPES = {["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;"}

local function escaped(text)
  return (gsub(harmless(text), '[&<>"]', ESCAPES))
end

--- A function's bar: how much it weighs, and those of what it calls, by name.
local function bar(name)
  return {name = name, weight = 0, above = {}}
end

local function tree(text)
  local root = bar "all"
  for stack, weight in gmatch(text, "([^\n]+) (%d+)\n") do
    local n, at = tonumber(weight), root
    root.weight = root.weight + n
    for name in gmatch(stack, "[^;]+") do
      local child = at.above[name] or bar(name)
      at.above[name] = child
      child.weight = child.weight + n
      at = child
    end
  end
  return root
end

--- Always the same one for a name: warm; of a task blue.
local function colour(name)
  local n = 0
  for i = 1, #name do
    n = (n * 31 + byte(name, i)) % 10007
  end
  if sub(name, 1, 5) == "task " or sub(name, 1, 1) == "(" or name == "main" or name == "all" then
    return format("rgb(%d,%d,230)", 140 + n % 40, 185 + n // 40 % 35)
  end
  return format("rgb(%d,%d,%d)", 215 + n % 40, 95 + n // 40 % 120, 40 + n % 30)
end

local function cut(text, pixels)
  local room = pixels // CHARACTER
  local n = length(text)
  if not n or room < 3 then
    return ""
  end
  return n <= room and text or sub(text, 1, offset(text, room - 1) - 1) .. ".."
end

--- Bars side by side in the order of their names, so that two pictures can be compared.
local function sorted(above)
  local names = {}
  for name in next, above do
    names[#names + 1] = name
  end
  sort(names)
  return names
end

---@class neap.repl.flame.Options
---@field title string
---@field unit string  what the weights count

--- A picture of a profile, as neap.repl.profile has it.
---@param text string
---@param options neap.repl.flame.Options
---@return string
function flame.svg(text, options)
  local root = tree(text)
  local bars, deepest = {}, 0
  local scale = (WIDTH - 2 * EDGE) / (root.weight > 0 and root.weight or 1)
  local function place(one, x, depth)
    local width = one.weight * scale
    if width < NARROW or depth > 500 then
      return
    end
    bars[#bars + 1] = {one, x, depth, width}
    deepest = depth > deepest and depth or deepest
    for _, name in ipairs(sorted(one.above)) do
      local child = one.above[name]
      place(child, x, depth + 1)
      x = x + child.weight * scale
    end
  end
  place(root, EDGE, 0)
  local height = TOP + (deepest + 1) * ROW + EDGE
  local out = {
    format('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" '
      .. 'font-family="monospace" font-size="11">', WIDTH, height, WIDTH, height),
    format('<rect width="%d" height="%d" fill="#fffdf8"/>', WIDTH, height),
    format('<text x="%d" y="24" font-size="16" text-anchor="middle">%s</text>', WIDTH // 2,
      escaped(options.title)),
  }
  for _, row in ipairs(bars) do
    local one, x, depth, width = row[1], row[2], row[3], row[4]
    local y = height - EDGE - (depth + 1) * ROW
    local share = root.weight > 0 and 100 * one.weight / root.weight or 0
    out[#out + 1] = format('<g><title>%s (%d %s, %.1f%%)</title><rect x="%.1f" y="%d" width="%.1f" height="%d" '
      .. 'fill="%s" rx="1"/><text x="%.1f" y="%d">%s</text></g>',
      escaped(one.name), one.weight, options.unit, share, x, y, width - 0.3 > 0.1 and width - 0.3 or 0.1, ROW - 1,
      colour(one.name), x + 3, y + 12, escaped(cut(harmless(one.name), width - 6)))
  end
  out[#out + 1] = "</svg>\n"
  return concat(out, "\n")
end

return flame
