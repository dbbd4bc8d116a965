--- The reference: a page a module, made of the annotations in lua/neap.
---
---     build/neap docs/reference.lua            writes docs/reference/*.md
---     build/neap docs/reference.lua --check    exits with 1 when a page differs
---
--- It reads the annotations as they are written here, not all that the Lua
--- language server reads: text first, then tags; two spaces between a type and
--- what is said about it; the lines behind a tag go on with it. Examples are
--- fenced blocks in the text. spec/reference_spec.lua compares the annotations
--- with the running library, and runs the examples.

local reference = {}

--- The pages. The header of the first file that has one begins the page, and
--- functions come in the order of the files.
local pages = {
  {name = "net", "meta/net.lua", "net.lua", "meta/options.lua"},
  {name = "datagram", "meta/datagram.lua"},
  {name = "task", "meta/task.lua", "task.lua"},
  {name = "error", "meta/error.lua"},
  {name = "time", "meta/time.lua"},
  {name = "signal", "meta/signal.lua"},
  {name = "process", "meta/process.lua", "process.lua"},
  {name = "worker", "worker.lua", "meta/worker.lua"},
  {name = "stdio", "meta/stdio.lua"},
  {name = "address", "meta/address.lua"},
  {name = "endpoint", "meta/endpoint.lua"},
  {name = "prefix", "prefix.lua"},
  {name = "packet", "packet.lua", "packet/core.lua", "packet/link.lua", "packet/ip.lua",
    "packet/icmp.lua", "packet/transport.lua", "packet/dns.lua"},
  {name = "pcap", "pcap.lua"},
}

local function read(path)
  local file <close> = assert(io.open(path, "r"))
  return file:read "a"
end

-- Reading annotations

--- The blocks of `---` lines in a file, each with the line of code behind it.
local function blocks(path)
  local found = {}
  local block
  local number = 0
  for line in (read(path) .. "\n"):gmatch "(.-)\n" do
    number = number + 1
    if line:find "^%-%-%-" then
      block = block or {path = path, first = number}
      block[#block + 1] = line:match "^%-%-%- ?(.*)"
    elseif block then
      block.code = line
      found[#found + 1] = block
      block = nil
    end
  end
  return found
end

--- Split "type  description".
local function split(text)
  local type, description = text:match "^(.-)  +(.*)$"
  return type or text, description
end

--- Split "type name", where the type may have blanks of its own.
local function split_name(text)
  local type, name = text:match "^(.*[^,:|%s]) ([%w_]+)$"
  if not type then
    type, name = text:match "^(.*[^,:|%s]) (%.%.%.)$"
  end
  return type or text, name
end

local tags = {}

function tags.class(item, text)
  text = text:gsub("^%(exact%) ", "")
  item.class, item.parent = text:match "^([%w_.]+):? ?(.*)$"
end

function tags.field(item, text)
  local access, rest = text:match "^(private) (.*)$"
  local name, definition = (rest or text):match "^(%b[]) (.*)$"
  if not name then
    name, definition = (rest or text):match "^(%S+) (.*)$"
  end
  local field = {name = name, private = access ~= nil}
  field.type, field.text = split(definition)
  item.fields[#item.fields + 1] = field
  return field
end

function tags.param(item, text)
  local name, definition = text:match "^(%S+) (.*)$"
  local param = {name = name}
  param.type, param.text = split(definition)
  item.params[#item.params + 1] = param
  return param
end

tags["return"] = function(item, text)
  local result = {}
  local definition
  definition, result.text = split(text)
  result.type, result.name = split_name(definition)
  item.returns[#item.returns + 1] = result
  return result
end

function tags.alias(item, text)
  item.alias, item.type = text:match "^(%S+) (.*)$"
end

function tags.async(item)
  item.async = true
end

function tags.meta()
end

function tags.operator()
end

--- What a block says.
local function parse(block)
  local item = {path = block.path, first = block.first, fields = {}, params = {}, returns = {}}
  local text = {}
  local last
  for i, line in ipairs(block) do
    local tag, rest = line:match "^@(%w+) ?(.*)$"
    if tag then
      local handler = tags[tag] or error(("%s:%d: unknown tag @%s"):format(
        block.path, block.first + i - 1, tag))
      last = handler(item, rest) or {}
    elseif last then
      last.text = (last.text and last.text .. " " or "") .. line
    else
      text[#text + 1] = line
    end
  end
  while text[#text] == "" do
    text[#text] = nil
  end
  item.text = text
  return item
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

--- The class by this name on a page, made when it is first named.
local function class_of(page, name)
  local class = page.by_name[name]
  if not class then
    class = {name = name, page = page.name, text = {}, fields = {}, functions = {}}
    page.by_name[name] = class
    page[#page + 1] = class
  end
  return class
end

local function add_class(page, item)
  local class = class_of(page, item.class)
  if #class.text == 0 then
    class.text, class.path, class.first = item.text, item.path, item.first
  end
  class.parent = class.parent or item.parent ~= "" and item.parent or nil
  table.move(item.fields, 1, #item.fields, #class.fields + 1, class.fields)
  return class
end

local function add_function(class, item, separator, name, arguments)
  item.name, item.separator, item.arguments = name, separator, {}
  for argument in arguments:gmatch "[%w_.]+" do
    item.arguments[#item.arguments + 1] = argument
  end
  class.functions[#class.functions + 1] = item
end

--- Add what a file says to a page.
local function add_file(page, path)
  local variables = {}
  for i, block in ipairs(blocks(path)) do
    local item = parse(block)
    local owner, separator, name, arguments =
      block.code:match "^function ([%w_]+)([.:])([%w_]+)(%b())"
    if item.class then
      local variable = block.code:match "^local ([%w_]+) ="
      local class = add_class(page, item)
      if variable then
        variables[variable] = class
      end
    elseif item.alias then
      page[#page + 1] = item
    elseif owner and variables[owner] and name:sub(1, 2) ~= "__" then
      add_function(variables[owner], item, separator, name, arguments)
    elseif i <= 2 and #item.text > 0 and not page.header and not block.code:find "%S" then
      page.header = item
    end
  end
end

--- All pages: each a list of classes and aliases in their order, with its header
--- and its module, which is the first of the classes.
function reference.read(root)
  local all = {}
  for i, entry in ipairs(pages) do
    local page = {name = entry.name, by_name = {}}
    for _, path in ipairs(entry) do
      add_file(page, root .. "/lua/neap/" .. path)
    end
    page.module = page.by_name["neap." .. entry.name]
    assert(not page.module or page.module == page[1], page.name .. ": the module comes first")
    all[i] = page
  end
  return all
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

--- How a function is written: stream:recv(max?), net.connect(endpoint, opts?).
local function signature(class, item)
  local optional = {}
  for _, param in ipairs(item.params) do
    local name = param.name:match "^(.*)%?$"
    if name then
      optional[name] = true
    end
  end
  local arguments = {}
  for i, name in ipairs(item.arguments) do
    arguments[i] = optional[name] and name .. "?" or name
  end
  local owner = class.name:match "[^.]+$":lower()
  return ("%s%s%s(%s)"):format(owner, item.separator, item.name, table.concat(arguments, ", "))
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
      set(item, signature(class, item))
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
