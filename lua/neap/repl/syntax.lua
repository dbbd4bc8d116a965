--- What is typed at the prompt, as text: its tokens, whether it is complete, and
--- the function that it is made into.
---
--- A `local` outside any block would be forgotten with its input. So it is
--- rewritten to an assignment, and its name noted: the session keeps it among its
--- own variables, where later inputs, and functions of earlier ones, find it.
--- Those with an attribute (`<const>`, `<close>`) stay what they are, and end with
--- their input. No line is added or taken away.

---@class neap.repl.syntax
local syntax = {}

local find, sub, match, rep = string.find, string.sub, string.match, string.rep

local keywords = {}
for word in string.gmatch([[and break do else elseif end false for function goto if in local
    nil not or repeat return then true until while]], "%a+") do
  keywords[word] = true
end

--- The end of a long bracket that begins at `at`, or nil if none does; `open` if
--- it is not closed.
local function long_bracket(text, at)
  local level = match(text, "^%[(=*)%[", at)
  if not level then
    return nil
  end
  local _, last = find(text, "]" .. level .. "]", at + 2 + #level, true)
  return last or #text, not last
end

local function short_string(text, at)
  local quote = sub(text, at, at)
  local i = at + 1
  while true do
    local c = sub(text, i, i)
    if c == quote then
      return i
    elseif c == "" or c == "\n" then
      return i - 1
    end
    i = i + (c == "\\" and 2 or 1)
  end
end

local function comment(text, at)
  local last = long_bracket(text, at + 2)
  return last or (find(text, "\n", at, true) or #text + 1) - 1
end

local function number(text, at)
  local exponent = match(text, "^0[xX]", at) and "[pP]" or "[eE]"
  local i = at
  while true do
    local _, last = find(text, "^" .. exponent .. "[+-]", i)
    if last then
      i = last + 1
    elseif find(text, "^[%w_.]", i) then
      i = i + 1
    else
      return i - 1
    end
  end
end

--- The next token at or behind `at`: kind, first, last; nil at the end.
local function token(text, at)
  at = find(text, "%S", at)
  if not at then
    return nil
  end
  local c = sub(text, at, at)
  if find(c, "[%a_]") then
    local _, last = find(text, "^[%w_]+", at)
    return keywords[sub(text, at, last)] and "keyword" or "name", at, last
  elseif find(text, "^%.%.", at) then
    return "symbol", at, match(text, "^%.%.%.?()", at) - 1
  elseif find(text, "^%.?%d", at) then
    return "number", at, number(text, at)
  elseif find(text, "^%-%-", at) then
    return "comment", at, comment(text, at)
  elseif c == '"' or c == "'" then
    return "string", at, math.min(short_string(text, at), #text)
  end
  local last = c == "[" and long_bracket(text, at)
  if last then
    return "string", at, last
  end
  local _, stop = find(text, "^[=~<>]=", at)
  return "symbol", at, stop or at
end

--- Iterate over the tokens of a text: kind, first byte, last byte. Kinds are
--- `name`, `keyword`, `number`, `string`, `comment`, `symbol`; what is no Lua comes
--- as symbols.
---@param text string
---@return fun(): string?, integer, integer
function syntax.tokens(text)
  local at = 1
  return function()
    local kind, first, last = token(text, at)
    if kind then
      at = last + 1
    end
    return kind, first, last
  end
end

local opens = {["function"] = true, ["do"] = true, ["if"] = true, ["repeat"] = true}
local closes = {["end"] = true, ["until"] = true}

--- All tokens but comments, as {kind, first, last, text}.
local function list(text)
  local all = {}
  for kind, first, last in syntax.tokens(text) do
    if kind ~= "comment" then
      all[#all + 1] = {kind = kind, first = first, last = last, text = sub(text, first, last)}
    end
  end
  return all
end

--- The names behind the `local` at tokens[i], and the index of the last one; nil
--- where an attribute stands among them.
local function names_of(tokens, i)
  local names = {}
  repeat
    i = i + 1
    local t = tokens[i]
    if not t or t.kind ~= "name" then
      return nil
    end
    names[#names + 1] = t.text
    i = i + 1
  until not tokens[i] or tokens[i].text ~= ","
  if tokens[i] and tokens[i].text == "<" then
    return nil
  end
  return names, i - 1
end

--- Rewrite the locals outside blocks to assignments.
---@param text string
---@return string text
---@return string[] names  that it declares
function syntax.share(text)
  local tokens = list(text)
  local edits, declared = {}, {}
  local depth = 0
  for i, t in ipairs(tokens) do
    if t.kind == "keyword" then
      if t.text == "local" and depth == 0 then
        local following = tokens[i + 1]
        if following and following.text == "function" then
          declared[#declared + 1] = tokens[i + 2] and tokens[i + 2].text
          edits[#edits + 1] = {t.first, t.last, rep(" ", 5)}
        else
          local names, last = names_of(tokens, i)
          if names then
            table.move(names, 1, #names, #declared + 1, declared)
            edits[#edits + 1] = {t.first, t.last, rep(" ", 5)}
            local equals = tokens[last + 1]
            if not equals or equals.text ~= "=" then
              local at = tokens[last].last
              edits[#edits + 1] = {at + 1, at, " = nil"}
            end
          end
        end
      elseif opens[t.text] then
        depth = depth + 1
      elseif closes[t.text] then
        depth = depth - 1
      end
    end
  end
  local out, at = {}, 1
  for _, edit in ipairs(edits) do
    out[#out + 1] = sub(text, at, edit[1] - 1)
    out[#out + 1] = edit[3]
    at = edit[2] + 1
  end
  out[#out + 1] = sub(text, at)
  return table.concat(out), declared
end

local brackets = {["("] = 1, ["["] = 1, ["{"] = 1, [")"] = -1, ["]"] = -1, ["}"] = -1}

--- How a token changes the depth: 1 for one that opens a block or a bracket, -1 for one
--- that closes it, else 0.
local function turn(t)
  if t.kind == "keyword" then
    return opens[t.text] and 1 or closes[t.text] and -1 or 0
  end
  return t.kind == "symbol" and brackets[t.text] or 0
end

--- How deep a line is that would follow the text: the lines that open what is not closed
--- yet, however much each of them opens.
---@param text string
---@return integer
function syntax.depth(text)
  local open, line, at = {}, 1, 1
  for _, t in ipairs(list(text)) do
    local way = turn(t)
    if way == 1 then
      for _ in string.gmatch(sub(text, at, t.first - 1), "\n") do
        line = line + 1
      end
      at = t.first
      open[#open + 1] = line
    elseif way == -1 then
      open[#open] = nil
    end
  end
  local depth = 0
  for i, opened in ipairs(open) do
    depth = depth + (opened ~= open[i - 1] and 1 or 0)
  end
  return depth
end

--- Does the line begin with what ends a block, or a part of one?
---@param line string
---@return boolean
function syntax.closes(line)
  local word = match(line, "^%s*(%a+)%f[^%w_]")
  return word == "end" or word == "until" or word == "else" or word == "elseif"
    or find(line, "^%s*[%])}]") ~= nil
end

--- Texts of more bytes are not looked at for an expression behind statements.
local LONG = 64 * 1024

--- Line breaks at which such an expression is looked for.
local LINES = 20

--- The places outside blocks and brackets behind which an expression may stand: the last
--- `;`, and line breaks, the last one first.
local function places(text)
  local depth, last = 0, 0
  local semicolon, lines = nil, {}
  for _, t in ipairs(list(text)) do
    local gap = depth == 0 and find(sub(text, last + 1, t.first - 1), "\n", 1, true)
    if gap then
      lines[#lines + 1] = last + gap
    end
    depth = depth + turn(t)
    if t.text == ";" and depth == 0 then
      semicolon, lines = t.last, {}
    end
    last = t.last
  end
  return semicolon, lines
end

--- What stands before the values of an expression behind statements: these may have a
--- `return` of their own, and a tail call would forget its line.
local MARK <const> = "\0="

--- The text with a `return` at a place, if an expression is behind that.
local function returning_at(text, place)
  local back = sub(text, place + 1)
  local whole = string.format("%sreturn %q, %s", sub(text, 1, place), MARK, back)
  return find(back, "%S") and load("return " .. back, "=", "t", {}) and load(whole, "=", "t", {}) and whole
end

--- Statements, and an expression behind them: the text with a `return` there. A `;` is
--- between them, or a line break, unless the next line goes on with the one before it.
local function returning(text)
  if #text > LONG then
    return nil
  end
  local semicolon, lines = places(text)
  for i = #lines, math.max(1, #lines - LINES), -1 do
    local whole = returning_at(text, lines[i])
    if whole and (find(text, "^%s*[%a_]", lines[i] + 1) or not load(text, "=", "t", {})) then
      return whole
    end
  end
  return semicolon and returning_at(text, semicolon)
end

local function unmarked(...)
  if (...) == MARK then
    return select(2, ...)
  end
  return ...
end

--- Take a trailing `&` off.
---@param text string
---@return string text
---@return boolean background
function syntax.background(text)
  local front = match(text, "^(.*[^&%s])%s*&%s*$")
  return front or text, front ~= nil
end

local function expression(text)
  return match(text, "^%s*=(.*)$") or text
end

--- The function of an input: of an expression, also of one behind statements, it returns
--- the values.
---@param text string
---@param name string  of the chunk, for messages
---@param env table
---@return function?
---@return string|string[] err  or the names that it declares
function syntax.compile(text, name, env)
  local f, message = load("return " .. expression(text), name, "t", env)
  if f then
    return f, {}
  elseif expression(text) ~= text then
    return nil, message
  end
  local whole = returning(text)
  local shared, names = syntax.share(whole or text)
  f = load(shared, name, "t", env)
  if f and whole then
    return function()
      return unmarked(f())
    end, names
  elseif f then
    return f, names
  end
  -- The message is about what was typed.
  local _, err = load(text, name, "t", env)
  if err then
    return nil, err
  end
  return load(text, name, "t", env), {}
end

local function ends_early(text)
  local _, message = load(text, "=", "t", {})
  return message and find(message, "<eof>'?$") and not find(message, "unfinished string", 1, true) or false
end

--- Does the input need more lines? As Lua sees it: its error is at the end.
---@param text string
---@return boolean
function syntax.is_incomplete(text)
  local code = match(text, "^%s*:%a+%s(.*)$")
  if not code and find(text, "^%s*:") or not find(text, "%S") then
    return false
  elseif code and not find(text, "^%s*:[bth]") then
    return false -- only bg, time and hex are followed by code
  end
  text = syntax.background(code or text)
  if #text > 1000000 then
    return false
  end
  if load("return " .. expression(text), "=", "t", {}) then
    return false
  end
  return (ends_early(text) or ends_early("return " .. expression(text))) == true and not returning(text)
end

return syntax
