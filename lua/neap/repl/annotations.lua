--- The annotations of the library, read: what the reference is written from, and
--- what the prompt tells of a name.
---
--- It reads them as they are written in lua/neap, not all that the Lua language
--- server reads: text first, then tags; two spaces between a type and what is
--- said about it; the lines behind a tag go on with it. Examples are fenced blocks
--- in the text.

---@class neap.repl.annotations
local annotations = {}

--- The pages. The header of the first file that has one begins the page, and
--- functions come in the order of the files.
local pages = {
  {name = "net", "meta/net.lua", "net.lua", "meta/options.lua"},
  {name = "datagram", "meta/datagram.lua"},
  {name = "tls", "tls.lua", "meta/tls.lua"},
  {name = "task", "meta/task.lua", "task.lua"},
  {name = "error", "meta/error.lua"},
  {name = "time", "meta/time.lua"},
  {name = "fs", "fs.lua", "fs/watch.lua", "meta/fs.lua"},
  {name = "signal", "meta/signal.lua"},
  {name = "process", "meta/process.lua", "process.lua"},
  {name = "worker", "worker.lua", "meta/worker.lua"},
  {name = "stdio", "meta/stdio.lua"},
  {name = "log", "log.lua"},
  {name = "metrics", "metrics.lua"},
  {name = "args", "args.lua"},
  {name = "crypto", "meta/crypto.lua"},
  {name = "http", "http.lua", "http/request.lua", "http/response.lua",
    "http/form.lua", "http/cookies.lua", "http/client.lua", "http/exchange.lua", "http/events.lua",
    "http/router.lua", "http/body.lua", "http/headers.lua"},
  {name = "websocket", "websocket.lua", "websocket/connection.lua"},
  {name = "bus", "bus.lua", "bus/client.lua", "bus/subscription.lua", "bus/message.lua",
    "bus/jetstream.lua"},
  {name = "redis", "redis.lua", "redis/client.lua", "redis/script.lua"},
  {name = "json", "meta/json.lua", "json.lua"},
  {name = "zlib", "meta/zlib.lua"},
  {name = "url", "url.lua"},
  {name = "dns", "dns.lua"},
  {name = "address", "meta/address.lua"},
  {name = "endpoint", "meta/endpoint.lua"},
  {name = "prefix", "prefix.lua", "prefix/sets.lua"},
  {name = "packet", "packet.lua", "packet/core.lua", "packet/link.lua", "packet/ip.lua",
    "packet/icmp.lua", "packet/transport.lua", "packet/sctp.lua", "packet/tunnel.lua",
    "packet/dns.lua", "packet/filter.lua"},
  {name = "pcap", "pcap.lua"},
  {name = "trace", "trace.lua", "meta/trace.lua"},
  {name = "sim", "sim.lua", "sim/hosts.lua", "sim/messages.lua"},
  {name = "inspect", "inspect.lua"},
  {name = "luasocket", "luasocket.lua"},
  {name = "repl", "repl.lua"},
}

--- The blocks of `---` lines in a text, each with the line of code behind it.
local function blocks(text, path)
  local found = {}
  local block
  local number = 0
  for line in string.gmatch(text .. "\n", "(.-)\n") do
    number = number + 1
    if string.find(line, "^%-%-%-") then
      block = block or {path = path, first = number}
      block[#block + 1] = string.match(line, "^%-%-%- ?(.*)")
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
  local type, description = string.match(text, "^(.-)  +(.*)$")
  return type or text, description
end

--- Split "type name", where the type may have blanks of its own.
local function split_name(text)
  local type, name = string.match(text, "^(.*[^,:|%s]) ([%w_]+)$")
  if not type then
    type, name = string.match(text, "^(.*[^,:|%s]) (%.%.%.)$")
  end
  return type or text, name
end

local tags = {}

function tags.class(item, text)
  text = string.gsub(text, "^%(exact%) ", "")
  item.class, item.parent = string.match(text, "^([%w_.]+):? ?(.*)$")
end

function tags.field(item, text)
  local access, rest = string.match(text, "^(private) (.*)$")
  local name, definition = string.match(rest or text, "^(%b[]) (.*)$")
  if not name then
    name, definition = string.match(rest or text, "^(%S+) (.*)$")
  end
  local field = {name = name, private = access ~= nil}
  field.type, field.text = split(definition)
  item.fields[#item.fields + 1] = field
  return field
end

function tags.param(item, text)
  local name, definition = string.match(text, "^(%S+) (.*)$")
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
  item.alias, item.type = string.match(text, "^(%S+) (.*)$")
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
    local tag, rest = string.match(line, "^@(%w+) ?(.*)$")
    if tag then
      local handler = tags[tag] or error(string.format("%s:%d: unknown tag @%s",
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

local function add_function(class, item, line, separator, name, arguments)
  item.name, item.separator, item.arguments, item.line = name, separator, {}, line
  for argument in string.gmatch(arguments, "[%w_.]+") do
    item.arguments[#item.arguments + 1] = argument
  end
  class.functions[#class.functions + 1] = item
end

--- Add what a file says to a page.
local function add_file(page, text, path)
  local variables = {}
  for i, block in ipairs(blocks(text, path)) do
    local item = parse(block)
    local owner, separator, name, arguments =
      string.match(block.code, "^function ([%w_]+)([.:])([%w_]+)(%b())")
    if item.class then
      local variable = string.match(block.code, "^local ([%w_]+) =")
      local class = add_class(page, item)
      if variable then
        variables[variable] = class
      end
    elseif item.alias then
      page[#page + 1] = item
    elseif owner and variables[owner] and string.sub(name, 1, 2) ~= "__" then
      add_function(variables[owner], item, block.first + #block, separator, name, arguments)
    elseif i <= 2 and #item.text > 0 and not page.header and not string.find(block.code, "%S") then
      page.header = item
    end
  end
end

--- All pages: each a list of classes and aliases in their order, with its header
--- and its module, which is the first of the classes. Of each function `line` is
--- where it is defined.
---@param read fun(path: string): string  the text of a file, named as below lua/neap
---@param folder? string  put before the paths in what is returned
---@return table[] pages
function annotations.read(read, folder)
  local all = {}
  for i, entry in ipairs(pages) do
    local page = {name = entry.name, by_name = {}}
    for _, path in ipairs(entry) do
      add_file(page, read(path), (folder or "") .. path)
    end
    page.module = page.by_name["neap." .. entry.name]
    assert(not page.module or page.module == page[1], page.name .. ": the module comes first")
    all[i] = page
  end
  return all
end

--- How a function is written: stream:recv(max?), net.connect(endpoint, opts?).
---@param class table
---@param item table  one of its functions
---@return string
function annotations.signature(class, item)
  local optional = {}
  for _, param in ipairs(item.params) do
    local name = string.match(param.name, "^(.*)%?$")
    if name then
      optional[name] = true
    end
  end
  local arguments = {}
  for i, name in ipairs(item.arguments) do
    arguments[i] = optional[name] and name .. "?" or name
  end
  local owner = string.lower(string.match(class.name, "[^.]+$"))
  return string.format("%s%s%s(%s)", owner, item.separator, item.name, table.concat(arguments, ", "))
end

return annotations
