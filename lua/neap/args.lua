--- The arguments of a program: options, operands and subcommands, with help and completion,
--- all from one description.
---
--- ```lua
--- local args = require "neap.args"
---
--- local given = args.parse({[0] = "proxy.lua", "-v", "--port=80", "tcp://db:5432"}, {
---   about = "Forwards connections.",
---   {"-p, --port=PORT", "where to listen", type = "integer", min = 1, max = 65535, default = 7000},
---   {"-v, --verbose", "say more"},
---   {"TARGET", "whom to connect to"},
---   {"[NAME...]", "who may come; default: everybody"},
--- })
--- print(given.port, given.verbose, given.target, #given.name)  --> 80 true tcp://db:5432 0
--- ```
---
--- A program gives its own `arg`. What each entry is, its first word says, as the help shows
--- it: `-p`, `--port=PORT`, or both behind each other; of what stands without a dash `TARGET`,
--- `[TARGET]` where it may be left out, `FILE...` for one or more, `[FILE...]` for any number.
---
--- Words are read as GNU's programs read theirs: `-vp80`, `-p 80`, `--port 80`, `--port=80`;
--- options and operands in any order; `--` ends the options, and `-` alone is none. The last
--- of two counts, unless the option is `many`. A word such as `-5` is a number, unless there
--- are options that are digits. Options are not abbreviated.
---
--- `-h` and `--help` print the help and end the program, `--version` does where there is a
--- `version`, and `--completions=bash` prints what a shell completes the command by:
--- `eval "$(proxy --completions=bash)"` in `~/.bashrc`. What is wrong is told on stderr, with
--- the usage, and ends the program with the status 2.

local host = require "neap.host"

local error, ipairs, next, pcall, select = error, ipairs, next, pcall, select
local tonumber, tostring, type = tonumber, tostring, type
local find, format, gmatch, gsub = string.find, string.format, string.gmatch, string.gsub
local lower, match, rep, sub = string.lower, string.match, string.rep, string.sub
local concat, insert, move, sort = table.concat, table.insert, table.move, table.sort
local mathtype, huge = math.type, math.huge
local exit, stderr, stdout = os.exit, io.stderr, io.stdout

--- Columns of the help, and those before what is said of an option.
local WIDTH, COLUMN = 79, 26

---@class neap.args
local args = {}

--- An option or operand.
---@class neap.args.Entry
---@field [1] string  what it is: `"-p, --port=PORT"`, `"-v"`, `"FILE"`, `"[FILE...]"`
---@field [2] string?  what the help says
---@field key string?  its name in the result; default: the long name, else the letter, or the
--- operand in lower case, with `_` for `-`
---@field type ("string"|"integer"|"number"|fun(text: string): any, string?)?  what the value becomes; default
--- `"string"`. A function returns it, or nil and why not, or raises, as `endpoint.parse` does
---@field min number?  the least number
---@field max number?
---@field choices string[]?  all values that there are
---@field default any?  where it is not given; shown in the help
---@field required boolean?  of an option: there is no doing without it
---@field many boolean?  of an option with a value: all that are given, a list
---@field count boolean?  of one without: how often it was given, `-vvv`

--- What a program takes: the entries, in the order of the help, and about the whole:
---@class neap.args.Spec
---@field [integer] neap.args.Entry
---@field name string?  of the program; default: the last part of `arg[0]`. Of a subcommand,
--- its word
---@field about string?  a line or more for the help
---@field more string?  what the help ends with
---@field version string?  makes `--version`
---@field check (fun(given: table): string?)?  what is wrong with all of it together, or nil
---@field commands neap.args.Spec[]?  subcommands, one of which has to be given; there are no
--- operands then. Its options follow it; those of the program may, too

-- Descriptions

local ENTRY = {[1] = "string", [2] = "string", key = "string", min = "number", max = "number",
  choices = "table", default = "any", required = "boolean", many = "boolean", count = "boolean", type = "any"}
local SPEC = {name = "string", about = "string", more = "string", version = "string", commands = "table",
  check = "function"}
local TYPES = {string = true, integer = true, number = true}

local function bad(message, ...)
  error("args: " .. format(message, ...), 0)
end

local function check_fields(what, fields, known)
  for name, value in next, fields do
    local kind = known[name]
    if not kind then
      bad("%s: unknown field '%s'", what, tostring(name))
    elseif kind ~= "any" and type(value) ~= kind then
      bad("%s: %s: a %s expected, got %s", what, name, kind, type(value))
    end
  end
end

local function key_of(text)
  return (gsub(lower(text), "%W", "_"))
end

--- "-p, --port=PORT": its names and its value.
local function read_option(one, text)
  for word in gmatch(text .. ", ", "(.-), ") do
    local name, value = match(word, "^(%-%-?[%w][%w-]*)[= ](%S+)$")
    name = name or match(word, "^%-%-?[%w][%w-]*$")
    if not name or not find(name, "^%-%-") and #name ~= 2 then
      bad("'%s': '-x', '--name' or '-x, --name' expected, with =VALUE behind it or not", text)
    end
    one.value = value or one.value
    one[#one + 1] = name
  end
  local last = one[#one]
  one.key = one.key or key_of(match(last, "^%-+(.*)$"))
  one.label = text
end

--- "[FILE...]"
local function read_operand(one, text)
  local inner = match(text, "^%[(.*)%]$")
  local name, dots = match(inner or text, "^([%w][%w_-]*)(%.?%.?%.?)$")
  if not name or dots ~= "" and dots ~= "..." then
    bad("'%s': a name such as FILE, [FILE], FILE... or [FILE...] expected", text)
  end
  one.operand, one.optional, one.many = name, inner ~= nil, dots ~= ""
  one.key = one.key or key_of(name)
  one.label = text
end

local function check_entry(entry, one)
  local text = one.label
  if not one.operand and not one.value and (entry.type or entry.many or entry.choices or entry.required) then
    bad("'%s': %s needs a value: '%s=VALUE'", text, entry.type and "type" or entry.many and "many"
      or entry.choices and "choices" or "required", text)
  elseif entry.count and (one.value or one.operand) then
    bad("'%s': count is for options without a value", text)
  elseif one.operand and (entry.required ~= nil or entry.many ~= nil) then
    bad("'%s': whether it is required, and how many, its name says", text)
  elseif entry.type ~= nil and not TYPES[entry.type] and type(entry.type) ~= "function" then
    bad("'%s': type: \"string\", \"integer\", \"number\" or a function expected", text)
  elseif (entry.min or entry.max) and entry.type ~= "integer" and entry.type ~= "number" then
    bad("'%s': min and max are for numbers: type = \"integer\"", text)
  end
  for _, choice in ipairs(entry.choices or {}) do
    if type(choice) ~= "string" then
      bad("'%s': choices: strings expected", text)
    end
  end
end

local function read_entry(entry)
  if type(entry) ~= "table" or type(entry[1]) ~= "string" then
    bad "an entry such as {\"-p, --port=PORT\", \"where to listen\"} expected"
  end
  check_fields("'" .. entry[1] .. "'", entry, ENTRY)
  local one = {entry = entry, key = entry.key, help = entry[2], many = entry.many}
  if find(entry[1], "^%-") then
    read_option(one, entry[1])
  else
    read_operand(one, entry[1])
  end
  check_entry(entry, one)
  return one
end

local function add_option(command, one)
  for _, name in ipairs(one) do
    if command.names[name] then
      bad("'%s' is there twice", name)
    end
    command.names[name] = one
  end
  command.options[#command.options + 1] = one
end

--- Options that neap.args brings, where their names are free.
local function add_own(command, spec, above)
  local own = {{"-h", "--help", key = "help", help = "show this", own = "help"}}
  if spec.version then
    own[2] = {"--version", key = "version", help = "show the version", own = "version"}
  end
  if not above then
    own[#own + 1] = {"--completions", key = "completions", value = "SHELL", own = "completions",
      entry = {choices = {"bash"}}, hidden = true}
  end
  for _, one in ipairs(own) do
    local free = {own = one.own, key = one.key, help = one.help, value = one.value, hidden = one.hidden,
      entry = one.entry or {}}
    for _, name in ipairs(one) do
      free[#free + 1] = not command.names[name] and name or nil
    end
    free.label = concat(free, ", ")
    if #free > 0 then
      add_option(command, free)
    end
  end
end

local read_spec

local function add_commands(command, spec)
  for _, below in ipairs(spec.commands or {}) do
    if type(below) ~= "table" or type(below.name) ~= "string" or not find(below.name, "^%w[%w_-]*$") then
      bad "a command needs a name, of letters and digits"
    elseif command.commands[below.name] then
      bad("'%s' is there twice", below.name)
    end
    local one = read_spec(below, command, below.name)
    command.commands[below.name] = one
    command.commands[#command.commands + 1] = one
  end
  if #command.commands > 0 and #command.operands > 0 then
    bad("'%s': there are commands, which take the operands", command.operands[1].label)
  end
end

--- What a description says, in a form for reading and printing.
function read_spec(spec, above, name)
  if type(spec) ~= "table" then
    bad("a description expected, a table, got %s", type(spec))
  end
  local fields = {}
  for field, value in next, spec do
    if mathtype(field) ~= "integer" then
      fields[field] = value
    end
  end
  check_fields("the description", fields, SPEC)
  local command = {spec = spec, name = name, above = above, options = {}, names = {}, operands = {}, commands = {},
    title = above and above.title .. " " .. name or name}
  local keys = {}
  for _, entry in ipairs(spec) do
    local one = read_entry(entry)
    if keys[one.key] then
      bad("'%s': '%s' has the same key: give it another, by `key`", one.label, keys[one.key])
    end
    keys[one.key] = one.label
    if one.operand then
      local before = command.operands[#command.operands]
      if before and (before.many or before.optional and not one.optional) then
        bad("'%s': nothing can follow '%s'", one.label, before.label)
      end
      command.operands[#command.operands + 1] = one
    else
      add_option(command, one)
    end
  end
  add_own(command, spec, above)
  add_commands(command, spec)
  return command
end

-- Words

local function fail(command, message, ...)
  error({message = format(message, ...), command = command}, 0)
end

--- "one, two or three"
local function list_of(words)
  if #words < 2 then
    return words[1] or ""
  end
  return concat(words, ", ", 1, #words - 1) .. " or " .. words[#words]
end

local function meant(written, names)
  local near = host.nearest(written, names)
  return near and format("; is it %s?", near) or ""
end

local function bounds(entry)
  if entry.min and entry.max then
    return format(" from %s to %s", entry.min, entry.max)
  end
  return entry.min and format(" of at least %s", entry.min) or entry.max and format(" of at most %s", entry.max) or ""
end

local function number_of(command, what, entry, text)
  local n = find(text, "^[+-]?[%d.]") and not find(text, "[xX]") and tonumber(text)
  if n and entry.type == "integer" then
    n = mathtype(n) == "integer" and n or nil
  end
  if not n or n - n ~= 0 or n < (entry.min or -huge) or n > (entry.max or huge) then
    fail(command, "%s: a %snumber%s expected, got '%s'", what, entry.type == "integer" and "whole " or "",
      bounds(entry), text)
  end
  return n
end

local function checked(command, what, entry, text)
  local kind = entry.type
  if entry.choices then
    for _, choice in ipairs(entry.choices) do
      if text == choice then
        return text
      end
    end
    fail(command, "%s: %s expected, got '%s'%s", what, list_of(entry.choices), text, meant(text, entry.choices))
  elseif type(kind) == "function" then
    local ok, value, why = pcall(kind, text)
    if not ok or value == nil then
      local message = tostring(not ok and value or why or format("not '%s'", text))
      fail(command, "%s: %s", what, match(message, "bad argument #%d+ to '[^']*' %((.*)%)$") or message)
    end
    return value
  elseif kind == "integer" or kind == "number" then
    return number_of(command, what, entry, text)
  end
  return text
end

local function put(given, one, value)
  if one.many then
    given[one.key] = given[one.key] or {}
    insert(given[one.key], value)
  elseif one.entry.count then
    given[one.key] = (given[one.key] or 0) + 1
  else
    given[one.key] = value
  end
end

--- The option of this name, of the command or of one above it.
local function option_of(command, name)
  local names, at = {}, command
  while at do
    if at.names[name] then
      return at.names[name]
    end
    for known, one in next, at.names do
      names[#names + 1] = not one.hidden and find(known, "^%-%-") and known or nil
    end
    at = at.above
  end
  sort(names)
  fail(command, "there is no option '%s'%s", name, meant(name, names))
end

--- An option was found: take its value, if it has one; the index of the next word.
local function take(state, name, value, i)
  local one = option_of(state.command, name)
  if not one.value then
    if value then
      fail(state.command, "%s takes no value", name)
    end
    put(state.given, one, true)
    state.asked = state.asked or one.own
    return i
  end
  if not value then
    value = state.words[i]
    i = i + 1
    if value == nil then
      fail(state.command, "%s: a value expected, %s", name, one.value)
    end
  end
  put(state.given, one, checked(state.command, name, one.entry, value))
  state.asked = state.asked or one.own
  return i
end

--- "-vp80"
local function take_letters(state, word, i)
  local at = 2
  while at <= #word do
    local name = "-" .. sub(word, at, at)
    local one = option_of(state.command, name)
    at = at + 1
    if one.value and at <= #word then
      return take(state, name, sub(word, at), i)
    end
    i = take(state, name, nil, i)
  end
  return i
end

local function has_digits(command)
  for name in next, command.names do
    if find(name, "^%-%d") then
      return true
    end
  end
  return command.above and has_digits(command.above) or false
end

local function is_option(state, word)
  return not state.ended and find(word, "^%-.")
    and not (find(word, "^%-%.?%d") and tonumber(word) and not has_digits(state.command))
end

local function take_operand(state, word)
  local command = state.command
  if #command.commands > 0 then
    local below = command.commands[word]
    if type(below) ~= "table" then
      local names = {}
      for i, one in ipairs(command.commands) do
        names[i] = one.name
      end
      fail(command, "there is no command '%s'%s", word, meant(word, names))
    end
    state.command = below
    insert(state.path, word)
    return
  end
  local one = command.operands[state.operand]
  if not one then
    fail(command, "'%s' is one word too many", word)
  end
  put(state.given, one, checked(command, one.operand, one.entry, word))
  if not one.many then
    state.operand = state.operand + 1
  end
end

--- What was not given.
local function complete(command, given)
  if command.above then
    complete(command.above, given)
  end
  local function default(one)
    local entry = one.entry
    if given[one.key] ~= nil or one.own then
      return
    elseif entry.default ~= nil then
      given[one.key] = entry.default
    elseif one.many then
      given[one.key] = {}
    elseif not one.operand and not one.value then
      given[one.key] = entry.count and 0 or false
    end
  end
  for _, one in ipairs(command.options) do
    if one.entry.required and given[one.key] == nil then
      fail(command, "%s is missing", one[#one])
    end
    default(one)
  end
  for _, one in ipairs(command.operands) do
    if not one.optional and given[one.key] == nil then
      fail(command, "%s is missing", one.operand)
    end
    default(one)
  end
end

--- Why it is refused, by the command or those above it.
local function check(command, given)
  local check_all = command.spec.check
  local why = command.above and check(command.above, given) or check_all and check_all(given)
  return why and tostring(why) or nil
end

local function read(command, words)
  local state = {command = command, words = words, given = {}, path = {}, operand = 1}
  local i = 1
  while words[i] ~= nil and not state.asked do
    local word = words[i]
    i = i + 1
    if type(word) ~= "string" then
      bad("words expected, strings, got a %s", type(word))
    elseif word == "--" and not state.ended then
      state.ended = true
    elseif not is_option(state, word) then
      take_operand(state, word)
    elseif sub(word, 2, 2) ~= "-" then
      i = take_letters(state, word, i)
    else
      local name, value = match(word, "^(%-%-[^=]+)=(.*)$")
      i = take(state, name or word, value, i)
    end
  end
  if not state.asked then
    if #state.command.commands > 0 then
      fail(state.command, "a command is missing")
    end
    complete(state.command, state.given)
    local why = check(state.command, state.given)
    if why then
      fail(state.command, "%s", why)
    end
    state.given.command = state.path[1] and concat(state.path, " ") or state.given.command
  end
  return state.given, state
end

-- Help

--- Words in lines of a width, behind so many columns.
local function filled(text, indent)
  local lines, line = {}, ""
  for word in gmatch(text, "%S+") do
    if line ~= "" and indent + #line + 1 + #word > WIDTH then
      lines[#lines + 1] = line
      line = ""
    end
    line = line == "" and word or line .. " " .. word
  end
  lines[#lines + 1] = line
  return concat(lines, "\n" .. rep(" ", indent))
end

local function entry_line(label, help)
  local head = "  " .. label
  if help == "" then
    return head .. "\n"
  elseif #head + 2 > COLUMN then
    return head .. "\n" .. rep(" ", COLUMN) .. filled(help, COLUMN) .. "\n"
  end
  return head .. rep(" ", COLUMN - #head) .. filled(help, COLUMN) .. "\n"
end

local function help_of(one)
  local entry, notes = one.entry, {}
  if entry.choices and not one.own then
    notes[#notes + 1] = list_of(entry.choices)
  end
  if entry.default ~= nil and type(entry.default) ~= "table" then
    notes[#notes + 1] = "default " .. tostring(entry.default)
  end
  local text = one.help or ""
  return text .. (#notes > 0 and format("%s(%s)", text ~= "" and " " or "", concat(notes, "; ")) or "")
end

local function in_usage(one)
  local word = one[1] .. (one.value and (find(one[1], "^%-%-") and "=" or " ") .. one.value or "")
  return format(one.entry.required and "%s" or "[%s]", word) .. (one.many and "..." or "")
end

--- Without "usage: ".
local function usage_of(command)
  local words = {}
  local function add(at, all)
    for _, one in ipairs(at.options) do
      if not one.own and (all or one.entry.required) then
        words[#words + 1] = in_usage(one)
      end
    end
  end
  add(command, true)
  if #concat(words, " ") > 50 then
    words = {"[OPTION...]"}
    add(command, false)
  end
  for _, one in ipairs(command.operands) do
    words[#words + 1] = one.label
  end
  if #command.commands > 0 then
    words[#words + 1] = "COMMAND ..."
  end
  return command.title .. (#words > 0 and " " or "") .. concat(words, " ")
end

local function help_text(command)
  local spec = command.spec
  local out = {"usage: ", usage_of(command), "\n"}
  local function add(...)
    move({...}, 1, select("#", ...), #out + 1, out)
  end
  if spec.about then
    add("\n", spec.about, find(spec.about, "\n$") and "" or "\n")
  end
  local function section(list, label, help)
    for i, one in ipairs(list) do
      if not one.hidden then
        add(i == 1 and "\n" or "", entry_line(label(one), help(one)))
      end
    end
  end
  section(command.commands, function(one)
    return one.name
  end, function(one)
    return match(one.spec.about or "", "^[^\n]*")
  end)
  section(command.operands, function(one)
    return one.operand
  end, help_of)
  section(command.options, function(one)
    return (find(one[1], "^%-%-") and "    " or "") .. one.label
  end, help_of)
  if spec.more then
    add("\n", spec.more, find(spec.more, "\n$") and "" or "\n")
  end
  return concat(out)
end

-- Completion

--- Words that need no quotes in a shell.
local function plain_words(words)
  local list = {}
  for _, word in ipairs(words) do
    list[#list + 1] = find(word, "^[%w_.:@%%+,/=-]+$") and word or nil
  end
  return concat(list, " ")
end

local function each_command(command, path, f)
  f(command, path)
  for _, below in ipairs(command.commands) do
    each_command(below, path .. "/" .. below.name, f)
  end
end

--- What may come next: commands, the first operand's choices, options.
local function completion_words(command)
  local words, seen = {}, {}
  local function add(word, known)
    if not seen[known] then
      words[#words + 1] = word
      seen[known] = true
    end
  end
  for _, one in ipairs(command.commands) do
    add(one.name, one.name)
  end
  for _, choice in ipairs(command.operands[1] and command.operands[1].entry.choices or {}) do
    add(choice, choice)
  end
  local at = command
  while at do
    for _, one in ipairs(at.options) do
      for _, name in ipairs(one.hidden and {} or one) do
        add(name .. (one.value and find(name, "^%-%-") and "=" or ""), name)
      end
    end
    at = at.above
  end
  return words
end

--- The patterns of case for the names of an option, in a command and those below.
local function names_pattern(one, path)
  local patterns = {}
  for _, name in ipairs(one) do
    patterns[#patterns + 1] = format("%s:%s|%s/*:%s", path, name, path, name)
  end
  return concat(patterns, "|")
end

local function bash_of(command)
  local values, steps, words = {}, {}, {}
  each_command(command, "", function(at, path)
    for _, below in ipairs(at.commands) do
      steps[#steps + 1] = format("%s:%s", path, below.name)
    end
    for _, one in ipairs(at.options) do
      if one.value then
        values[#values + 1] = format("    %s) words='%s' values=1 ;;\n", names_pattern(one, path),
          plain_words(one.entry.choices or {}))
      end
    end
    words[#words + 1] = format("    '%s') words='%s' ;;\n", path, plain_words(completion_words(at)))
  end)
  local name = "_" .. gsub(command.name, "%W", "_")
  return format([=[
%s() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} path= words= values= word
  if [[ $cur == = ]]; then
    cur=
  elif [[ $prev == = ]]; then
    prev=${COMP_WORDS[COMP_CWORD-2]}
  fi
  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case $path:$word in
    %s) path=$path/$word ;;
    esac
  done
  case $path:$prev in
%s  esac
  if [[ ! $values ]]; then
    case $path in
%s    esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
  [[ ${COMPREPLY[0]} == *= ]] && compopt -o nospace
  return 0
}
complete -o default -F %s %s
]=], name, #steps > 0 and concat(steps, "|") or "/", concat(values), concat(words), name,
    plain_words {command.name})
end

-- What scripts call

local function describe(spec, words)
  local name = type(spec) == "table" and spec.name
    or type(words) == "table" and match(tostring(words[0] or ""), "([^/]+)/*$") or "program"
  return read_spec(spec, nil, name)
end

--- Call f, whose mistakes are those of the script that called the module's function.
local function for_caller(f, ...)
  local ok, result, more = pcall(f, ...)
  if not ok and type(result) ~= "table" then
    error(result, 3)
  end
  return ok, result, more
end

--- The usage line and what is told of each option, as `--help` prints it.
---
--- ```lua
--- local args = require "neap.args"
---
--- io.write(args.help {
---   name = "tail", about = "Shows the end of files.",
---   {"-n, --lines=N", "so many lines", type = "integer", default = 10},
---   {"[FILE...]", "default: standard input"},
--- })
--- --> usage: tail [-n N] [FILE...]
--- --> Shows the end of files.
--- --> FILE default: standard input
--- --> -n, --lines=N so many lines (default 10)
--- --> -h, --help show this
--- ```
---@param spec neap.args.Spec  raises for one that is wrong
---@param command? string  of this subcommand
---@return string
function args.help(spec, command)
  if command ~= nil and type(command) ~= "string" then
    error(format("args.help: a subcommand's name expected, got %s", type(command)), 2)
  end
  local _, whole = for_caller(describe, spec)
  for word in gmatch(command or "", "%S+") do
    whole = whole.commands[word] or error(format("args: there is no command '%s'", word), 2)
  end
  return help_text(whole)
end

--- Read words, and return what is wrong with them. Nothing is printed, and `--help` is no
--- more than `given.help`.
---
--- ```lua
--- local args = require "neap.args"
---
--- local spec = {
---   name = "sv",
---   {"-q, --quiet", "say nothing"},
---   commands = {
---     {name = "start", about = "Starts a service.", {"NAME"}},
---     {name = "signal", about = "Sends a signal.", {"-s, --signal=SIGNAL", choices = {"HUP", "TERM"}}, {"NAME"}},
---   },
--- }
--- local given = args.read({"signal", "-qs", "HUP", "web"}, spec)
--- print(given.command, given.signal, given.name, given.quiet)  --> signal HUP web true
--- print(args.read({"sgnal"}, spec))  --> nil there is no command 'sgnal'; is it signal?
--- ```
---@param words string[]
---@param spec neap.args.Spec  raises for one that is wrong
---@return table? given  by the keys of the entries; `command` is the subcommand's name. What
--- was not given is its default, else false for options without a value, an empty list for
--- what may be many, and nil
---@return string? why  one line
function args.read(words, spec)
  if type(words) ~= "table" then
    error(format("args.read: a list of words expected, got %s", type(words)), 2)
  end
  local _, command = for_caller(describe, spec, words)
  local ok, given = for_caller(read, command, words)
  if not ok then
    return nil, given.message
  end
  return given
end

local function answer(asked, given, command, whole)
  if asked == "help" then
    stdout:write(help_text(command))
  elseif asked == "version" then
    stdout:write(whole.name, " ", command.spec.version or whole.spec.version, "\n")
  elseif asked == "completions" and given.completions == "bash" then
    stdout:write(bash_of(whole))
  end
  stdout:flush()
  exit(0, true)
end

--- Read the program's words; end it, with the status 2, where they are wrong, and with 0
--- where they asked for help.
---
--- ```lua
--- local args = require "neap.args"
---
--- local given = args.parse({"--name=x"}, {{"-n, --name=NAME"}, {"-v", count = true}})
--- print(given.name, given.v)  --> x 0
--- ```
---@param words string[]  `arg`
---@param spec neap.args.Spec  raises for one that is wrong
---@return table given  as of `args.read`
function args.parse(words, spec)
  if type(words) ~= "table" then
    error(format("args.parse: a list of words expected, arg, got %s", type(words)), 2)
  end
  local _, command = for_caller(describe, spec, words)
  local ok, given, state = for_caller(read, command, words)
  if not ok then
    stderr:write(command.name, ": ", host.harmless((gsub(given.message, "[\n\t]", " "))), "\nusage: ",
      usage_of(given.command), "\n")
    exit(2, true)
  elseif state.asked then
    answer(state.asked, given, state.command, command)
  end
  return given
end

--- What a shell completes the command by.
---
--- ```lua
--- local args = require "neap.args"
---
--- local text = args.completions({name = "tail", {"-n, --lines=N"}, {"FILE"}}, "bash")
--- print(text:match "complete [^\n]*")  --> complete -o default -F _tail tail
--- ```
---@param spec neap.args.Spec
---@param shell? "bash"
---@return string
function args.completions(spec, shell)
  if shell ~= nil and shell ~= "bash" then
    error("args.completions: bash expected", 2)
  end
  local _, command = for_caller(describe, spec)
  return bash_of(command)
end

return args
