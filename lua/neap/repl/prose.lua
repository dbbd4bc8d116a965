--- What annotations say, in parts and filled into lines.

local ipairs = ipairs
local find, gmatch, gsub, match, concat = string.find, string.gmatch, string.gsub, string.match, table.concat

---@class neap.repl.prose
local prose = {}

--- Columns of a line.
local WIDTH = 78

--- The first paragraph of a text in lines.
---@param text string[]
---@return string
function prose.paragraph(text)
  local words = {}
  for _, line in ipairs(text) do
    if line == "" or find(line, "^```") or find(line, "^%- ") then
      if #words > 0 then
        break
      end
    else
      words[#words + 1] = line
    end
  end
  return concat(words, " ")
end

---@param text string
---@return string
function prose.sentence(text)
  text = gsub(text, "%s+", " ")
  return match(text, "^(.-[.:]) %u") or match(text, "^(.-);") or text
end

--- Fill text into lines that begin with `indent`.
---@param text string
---@param indent string
---@return string
function prose.filled(text, indent)
  local lines, line = {}, nil
  for word in gmatch(text, "%S+") do
    if line and #line + 1 + #word > WIDTH then
      lines[#lines + 1] = line
      line = nil
    end
    line = line and line .. " " .. word or indent .. word
  end
  lines[#lines + 1] = line
  return concat(lines, "\n")
end

--- The rows of the tables in a text: their cells.
---@param text string[]
---@return string[][]
function prose.rows(text)
  local rows = {}
  for _, line in ipairs(text) do
    local inside = match(line, "^|%s*(.-)%s*|$")
    if inside and not find(inside, "^%-%-") then
      local cells = {}
      for cell in gmatch(inside .. "|", "%s*(.-)%s*|") do
        cells[#cells + 1] = cell
      end
      rows[#rows + 1] = cells
    end
  end
  return rows
end

return prose
