--- What the annotations say of what is no name of Lua's: codes of errors, schemes of
--- endpoints, and words that several classes have a member of.

local annotations = require "neap.repl.annotations"
local host = require "neap.host"
local known = require "neap.repl.known"
local names = require "neap.repl.names"
local prose = require "neap.repl.prose"

local ipairs, next = ipairs, next
local concat, move, sort = table.concat, table.move, table.sort
local find, format, gmatch, gsub, match, sub = string.find, string.format, string.gmatch, string.gsub, string.match,
  string.sub

---@class neap.repl.topics
local topics = {}

--- Of a page's tables, the row that begins with a word in quotes, and the first one.
local function row_of(page, word)
  local header = known.read().headers[page]
  local rows = header and prose.rows(header.text) or {}
  for _, cells in ipairs(rows) do
    if find(" " .. cells[1] .. " ", "`" .. word .. "`", 1, true) then
      return cells
    end
  end
end

--- What is said of a code in a text such as "EBADF: it is closed; EMFILE".
local function said_of(text, code)
  for part in gmatch(text .. ";", "%s*(.-);%f[%s%z]") do
    if find(part, "%f[%w_]" .. code .. "%f[^%w_]") then
      return match(part, "^" .. code .. ":? (.+)$")
    end
  end
end

--- A member as it is written, without its arguments.
local function written(class, member)
  return names.short(class.name) .. (member.separator or ".") .. member.name
end

--- All functions, in the order of their names.
local function functions()
  local list = {}
  for _, class in next, known.read().classes do
    for _, item in ipairs(class.functions) do
      list[#list + 1] = {written(class, item), item}
    end
  end
  sort(list, function(a, b)
    return a[1] < b[1]
  end)
  return list
end

--- What gives an error of this code, and when.
local function givers(code)
  local plain, lines = {}, {}
  for _, entry in ipairs(functions()) do
    for _, result in ipairs(entry[2].returns) do
      local text = result.text or ""
      if find(text, "%f[%w_]" .. code .. "%f[^%w_]") then
        local said = said_of(text, code)
        if said then
          lines[#lines + 1] = prose.filled(format("%s: %s", entry[1], said), "    ")
        else
          plain[#plain + 1] = entry[1]
        end
        break
      end
    end
  end
  if #plain > 0 then
    lines[#lines + 1] = prose.filled(concat(plain, ", "), "    ")
  end
  return lines
end

--- A code of errors: what it says, and what gives it.
---@param code string
---@return string?
function topics.code(code)
  if not find(code, "^E[%u%d_]+$") then
    return nil
  end
  local words = host.words(code)
  local row = row_of("error", code) or row_of("tls", code)
  local lines = givers(code)
  if not words and not row and #lines == 0 then
    return nil
  end
  local out = {words and format("%s: %s", code, words) or code}
  out[2] = row and prose.filled(row[2], "  ")
  out[#out + 1] = #lines > 0 and "  given, among others, by" or nil
  move(lines, 1, #lines, #out + 1, out)
  return concat(out, "\n")
end

--- A scheme of endpoints: how one is written, and what it is for.
---@param scheme string
---@return string?
function topics.scheme(scheme)
  local row = row_of("endpoint", scheme)
  if not row then
    return nil
  end
  local out = {(gsub(row[2], "`(.-)`", scheme .. "%1"))}
  out[2] = prose.filled(row[3], "  ")
  out[3] = "  (see :doc neap.endpoint)"
  return concat(out, "\n")
end

---@class neap.repl.topics.Bearer
---@field class table
---@field member table

--- The members of this name that the classes have.
---@param word string
---@return neap.repl.topics.Bearer[]
function topics.bearers(word)
  local found = {}
  for _, class in next, known.read().classes do
    local member = class.by_name[word]
    if member and sub(class.name, 1, 10) ~= "neap.repl." then
      found[#found + 1] = {class = class, member = member}
    end
  end
  sort(found, function(a, b)
    return a.class.name < b.class.name
  end)
  return found
end

--- A line for each.
---@param word string
---@param bearers neap.repl.topics.Bearer[]
---@return string
function topics.list(word, bearers)
  local out = {word}
  for _, each in ipairs(bearers) do
    local class, member = each.class, each.member
    local text = member.returns and prose.paragraph(member.text) or member.text
    local head = member.returns and annotations.signature(class, member)
      or format("%s.%s: %s", names.short(class.name), member.name, member.type)
    local short = #class.functions == 0 and gsub(class.name, "^neap%.", "") .. sub(head, #names.short(class.name) + 1)
    out[#out + 1] = prose.filled(short or head, "  ")
    out[#out + 1] = text and prose.filled(prose.sentence(text), "    ")
  end
  return concat(out, "\n")
end

return topics
