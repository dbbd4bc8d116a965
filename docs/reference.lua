--- The reference: a page a module, made of the annotations in lua/neap.
---
---     build/neap docs/reference.lua            writes docs/reference/*.md
---     build/neap docs/reference.lua --check    exits with 1 when a page differs
---
--- What an annotation may be, and which files make a page, says
--- lua/neap/repl/annotations.lua. spec/reference_spec.lua compares the annotations
--- with the running library, and runs the examples.

local annotations = require "neap.repl.annotations"

local reference = {}

local function read(path)
  local file <close> = assert(io.open(path, "r"))
  return file:read "a"
end

--- The examples in the text of an item, each with its file and first line.
local function examples(item)
  local found = {}
  local lines
  for i, line in ipairs(item.text) do
    if line == "```lua" then
      lines = {path = item.path, first = item.first + i}
    elseif line == "```" and lines then
      lines.code = table.concat(lines, "\n")
      found[#found + 1] = lines
      lines = nil
    elseif lines then
      lines[#lines + 1] = line
    end
  end
  return found
end

--- All pages, of the annotations below a folder.
function reference.read(root)
  local folder = root .. "/lua/neap/"
  return annotations.read(function(path)
    return read(folder .. path)
  end, folder)
end

--- Everything with an example: what it is called, and its examples.
function reference.examples(all)
  local found = {}
  local function add(name, item, is_function)
    local list = item.path and examples(item) or {}
    if is_function or #list > 0 then
      found[#found + 1] = {name = name, examples = list}
    end
  end
  for _, page in ipairs(all) do
    if page.header then
      add(page.name, page.header)
    end
    for _, class in ipairs(page) do
      add(class.name or class.alias, class)
      for _, item in ipairs(class.functions or {}) do
        add(class.name .. item.separator .. item.name, item, true)
      end
    end
  end
  return found
end

-- Writing pages

local WIDTH = 80

--- Fill a list item's text into lines.
local function bullet(text)
  local lines, line = {}, "-"
  for word in text:gmatch "%S+" do
    if #line + 1 + #word > WIDTH and line ~= "-" then
      lines[#lines + 1] = line
      line = " "
    end
    line = line .. " " .. word
  end
  lines[#lines + 1] = line
  return table.concat(lines, "\n")
end

--- The headings of a page, and their anchors as GitHub makes them.
local function set_headings(page)
  local seen = {}
  local function set(thing, heading)
    local anchor = heading:lower():gsub("[^%w%s_-]", ""):gsub("%s", "-")
    local times = seen[anchor] or 0
    seen[anchor] = times + 1
    thing.heading = heading
    thing.anchor = times > 0 and ("%s-%d"):format(anchor, times) or anchor
  end
  for _, class in ipairs(page) do
    set(class, class.name or class.alias)
    for _, item in ipairs(class.functions or {}) do
      set(item, annotations.signature(class, item))
    end
  end
end

--- A type, which links to the first class in it.
local function linked(type, links)
  for name in type:gmatch "neap[%w_.]+" do
    if links[name] then
      return ("[`%s`](%s)"):format(type, links[name])
    end
  end
  return ("`%s`"):format(type)
end

local function described(prefix, name, thing, links)
  local text = prefix .. (name and ("`%s` "):format(name) or "") .. linked(thing.type, links)
  if thing.text then
    text = text .. ": " .. thing.text
  end
  return bullet(text)
end

local function add_text(out, lines)
  if #lines > 0 then
    out[#out + 1] = table.concat(lines, "\n")
  end
end

local function add_list(out, list)
  if #list > 0 then
    out[#out + 1] = table.concat(list, "\n")
  end
end

local function add_fields(out, class, links)
  local list = {}
  for _, field in ipairs(class.fields) do
    if not field.private then
      list[#list + 1] = described("", field.name, field, links)
    end
  end
  if class.parent then
    out[#out + 1] = ("The fields of %s, and:"):format(linked(class.parent, links))
  elseif #list > 0 and #class.functions > 0 then
    out[#out + 1] = "Fields:"
  end
  add_list(out, list)
end

local function add_functions(out, class, links, level)
  for _, item in ipairs(class.functions) do
    out[#out + 1] = level .. item.heading
    add_text(out, item.text)
    local list = {}
    for _, param in ipairs(item.params) do
      list[#list + 1] = described("", param.name, param, links)
    end
    for _, result in ipairs(item.returns) do
      list[#list + 1] = described("returns ", result.name, result, links)
    end
    if item.async then
      list[#list + 1] = "- may suspend"
    end
    add_list(out, list)
  end
end

--- Links to the classes of a long page and their functions, a line a class.
local function contents(page)
  local list = {}
  for _, class in ipairs(page) do
    local links = {}
    for i, item in ipairs(class.functions or {}) do
      links[i] = ("[%s](#%s)"):format(item.name, item.anchor)
    end
    list[#list + 1] = ("- [%s](#%s)%s%s"):format(class.heading, class.anchor,
      #links > 0 and ": " or "", table.concat(links, ", "))
  end
  return #list > 1 and table.concat(list, "\n") or nil
end

local function write_page(page, links)
  local main = page.module or page[1]
  local out = {"<!-- Made by docs/reference.lua from the annotations in lua/neap. -->"}
  out[#out + 1] = "# " .. main.heading
  if page.header then
    add_text(out, page.header.text)
  end
  out[#out + 1] = contents(page)
  for _, class in ipairs(page) do
    if class ~= main then
      out[#out + 1] = "## " .. class.heading
    end
    add_text(out, class.text)
    if class.alias then
      out[#out + 1] = linked(class.type, links)
    else
      add_fields(out, class, links)
      add_functions(out, class, links, class == main and "## " or "### ")
    end
  end
  return table.concat(out, "\n\n") .. "\n"
end

--- The pages as text, by their path.
function reference.pages(all)
  local links = {}
  for _, page in ipairs(all) do
    set_headings(page)
    for _, class in ipairs(page) do
      links[class.heading] = ("%s.md#%s"):format(page.name, class.anchor)
    end
  end
  local texts = {}
  for i, page in ipairs(all) do
    texts[i] = {path = ("docs/reference/%s.md"):format(page.name), text = write_page(page, links)}
  end
  return texts
end

local function main(option)
  if option and option ~= "--check" then
    io.stderr:write "usage: neap docs/reference.lua [--check]\n"
    os.exit(2)
  end
  local root = arg[0]:match "^(.*)/docs/[^/]*$" or "."
  local same = true
  for _, page in ipairs(reference.pages(reference.read(root))) do
    local path = root .. "/" .. page.path
    if not option then
      local file <close> = assert(io.open(path, "w"))
      assert(file:write(page.text))
    else
      local ok, text = pcall(read, path)
      if not ok or text ~= page.text then
        print(page.path .. " differs: neap docs/reference.lua writes it anew")
        same = false
      end
    end
  end
  os.exit(same)
end

if ... ~= "docs.reference" then -- which is its name for require
  main(...)
end

return reference
