--- `neap build`: an executable that carries a script, the modules that it requires, and
--- files that it reads.
---
--- It is a copy of neap with the files behind it (runtime/host/carried.h), so that it
--- depends on what neap does, and on the C modules that the script requires. What is
--- required is found by reading the sources: a name that is computed can't be.

local args = require "neap.args"
local fs = require "neap.fs"
local host = require "neap.host"
local syntax = require "neap.repl.syntax"

local ipairs, load, tostring = ipairs, load, tostring
local assert, concat, select, tonumber = assert, table.concat, select, tonumber
local find, format, gsub, match, sub = string.find, string.format, string.gsub, string.match, string.sub
local pack, unpack = string.pack, string.unpack
local searchpath, path, cpath = package.searchpath, package.path, package.cpath
local stderr, exit = io.stderr, os.exit
local harmless = host.harmless

--- What `runtime/host/carried.c` has; in two pieces, for it is looked for in the file that
--- this is in, too.
local MARK = format("neap carries %s program: ", "a")
local END = "neap ends here.\n"

--- Most bytes of a file.
local MAX = 1 << 31

local function say(text, ...)
  stderr:write("neap build: ", harmless(format(text, ...)), "\n")
end

--- Ends it.
local function fail(text, ...)
  say(text, ...)
  exit(1)
end

--- Without `.` and `//`; nil if it leads out of the folder that it is in.
local function plain(name)
  if find(name, "^/") or find("/" .. name .. "/", "/../", 1, true) then
    return nil
  end
  return (gsub(gsub(gsub("/" .. name .. "/", "/[./]*/", "/"), "^/", ""), "/$", ""))
end

local function line_of(text, at)
  return select(2, gsub(sub(text, 1, at - 1), "\n", "")) + 1
end

--- The value of a literal.
local function value(literal)
  local f = load("return " .. literal, "=literal", "t", {})
  return f and f()
end


---@class neap.build.Builder
---@field folder string  where the script is
---@field files table<string, string>  their bytes by their paths
---@field order string[]  their paths, in the order in which they are carried
---@field said table<string, boolean>
---@field seen table<string, boolean>  modules, by their names
---@field builtin table<string, boolean>


--- Tell something once.
local function tell(self, text, ...)
  local line = format(text, ...)
  if not self.said[line] then
    self.said[line] = true
    say("%s", line)
  end
end

local function add(self, name, bytes)
  if self.files[name] and self.files[name] ~= bytes then
    fail("two files are to be %s", name)
  elseif not self.files[name] then
    self.files[name] = bytes
    self.order[#self.order + 1] = name
  end
end

local follow

--- A script or module, and what it requires.
local function add_source(self, name, from)
  local text, err = fs.read(from, {max = MAX})
  if not text then
    fail("%s", tostring(err))
  end
  text = gsub(text, "^\xef\xbb\xbf", "")
  text = gsub(text, "^#[^\n]*", "")
  local f, message = load(text, "@" .. from, "t")
  if not f then
    fail("%s", message)
  end
  add(self, name, text)
  follow(self, text, from)
end

--- Find a module by its name; `where`: the place that requires it.
local function add_module(self, name, where)
  if self.seen[name] then
    return
  end
  self.seen[name] = true
  if host.source(name) or self.builtin[name] then
    return
  end
  local form = gsub(name, "%.", "/")
  local from = searchpath(name, format("%s/?.lua;%s/?/init.lua;%s", self.folder, self.folder, path))
  local c = not from and (searchpath(name, self.folder .. "/?.so;" .. cpath)
    or searchpath(match(name, "^[^.]*"), self.folder .. "/?.so;" .. cpath))
  if from then
    add_source(self, form .. (find(from, "/init%.lua$") and "/init.lua" or ".lua"), from)
  elseif c then
    tell(self, "%s: the C module %s (%s) is not carried: it may stand next to the executable", where, name, c)
  else
    tell(self, "%s: the module %s is not found", where, name)
  end
end

--- Names of the standard library are no modules to be found.
local standard = {}
for name in string.gmatch("_G coroutine debug io math os package string table utf8", "%S+") do
  standard[name] = true
end

--- What a source requires: `require "name"`, `require("name")`, `pcall(require, "name")`.
function follow(self, text, from)
  local tokens, n = {}, 0
  for kind, first, last in syntax.tokens(text) do
    if kind ~= "comment" then
      n = n + 1
      tokens[n] = {kind = kind, text = sub(text, first, last), at = first}
    end
  end
  local function is(i, word)
    return tokens[i] and tokens[i].text == word
  end
  for i = 1, n do
    local token, before = tokens[i], tokens[i - 1]
    local own = not before or before.text ~= "." and before.text ~= ":" and before.text ~= "function"
    if token.kind == "name" and token.text == "require" and own then
      local at = (is(i + 1, "(") or is(i + 1, ",")) and i + 2 or i + 1
      local where = format("%s:%d", from, line_of(text, token.at))
      local literal = tokens[at] and tokens[at].kind == "string" and value(tokens[at].text)
      local whole = at == i + 1 or is(at + 1, ")") or is(at + 1, ",")
      if literal and whole then
        if not standard[literal] then
          add_module(self, literal, where)
        end
      elseif is(i + 1, "(") or is(i + 1, ",") then
        tell(self, "%s: what is required here is computed, and not followed (--include)", where)
      end
    end
  end
end

--- A file, or all those below a folder, by their paths from the script's folder.
local function add_included(self, given)
  local name = given
  if self.folder ~= "." then
    local before = self.folder .. "/"
    name = sub(given, 1, #before) == before and sub(given, #before + 1) or nil
  end
  name = name and plain(name)
  if not name then
    fail("--include=%s: it is not below the script's folder, %s", given, self.folder)
  end
  local stat, err = fs.stat(given)
  if not stat then
    fail("--include: %s", tostring(err))
  elseif stat.type ~= "directory" then
    return add(self, name, assert(fs.read(given, {max = MAX})))
  end
  local list, failed = fs.list(given)
  if not list then
    fail("--include: %s", tostring(failed))
  end
  for _, entry in ipairs(list) do
    add_included(self, gsub(given, "/+$", "") .. "/" .. entry)
  end
end

--- The bytes of an executable without what it carries, and where its mark is.
local function base(from)
  local bytes, err = fs.read(from, {max = MAX})
  if not bytes then
    fail("%s", tostring(err))
  end
  local _, last = find(bytes, MARK, 1, true)
  if not find(bytes, "^\x7fELF") or not last or find(bytes, MARK, last, true) then
    fail("%s is no neap that can carry a program", from)
  end
  local at = unpack("<I8", bytes, last + 1)
  return at == 0 and bytes or sub(bytes, 1, at), last
end

--- The words before `build` on the command line, and those behind it.
local function split(word, ...)
  if word == "build" then
    return "", {[0] = "neap build", ...}
  end
  local options, rest = split(...)
  return word .. "\0" .. options, rest
end

--- What the executable carries.
local function all_bytes(self, options)
  local parts = {pack("<s8s8", "", options)}
  for _, name in ipairs(self.order) do
    parts[#parts + 1] = pack("<s8s8", name, self.files[name])
  end
  parts[#parts + 1] = END
  return concat(parts)
end

---@async
return function(...)
  local options, words = split(...)
  local given = args.parse(words, {
    about = "Make an executable of a script, the modules that it requires, and neap.",
    {"-o, --output=FILE", "what to write; default: the script's name without .lua"},
    {"--include=PATH", "carry this file, or folder, too", many = true},
    {"--base=FILE", "the neap to take; default: this one"},
    {"SCRIPT", "the program"},
  })
  local script = given.script
  local folder, name = match(script, "^(.*)/([^/]+)$")
  folder, name = folder or ".", name or script
  local output = given.output or match(name, "^(.+)%.lua$")
  if not output then
    fail("-o FILE is expected: %s does not end in .lua", name)
  end
  local builder = {folder = folder, files = {}, order = {}, said = {}, seen = {}, builtin = {}}
  for _, module in ipairs(host.modules()) do
    builder.builtin[module] = true
  end
  add_source(builder, name, script)
  for _, include in ipairs(given.include or {}) do
    add_included(builder, include)
  end
  local bytes, mark = base(given.base or "/proc/self/exe")
  local carries = all_bytes(builder, options)
  local whole = concat {sub(bytes, 1, mark), pack("<I8I8", #bytes, #carries),
    sub(bytes, mark + 17), carries}
  local ok, err = fs.write(output, whole, {mode = tonumber("755", 8), sync = false})
  if not ok then
    fail("%s", tostring(err))
  end
end
