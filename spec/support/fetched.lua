--- Bodies in C that are used behind what may have closed them: what looks for them in the
--- text of functions, for spec/fetched_spec.lua.
---
--- It reads as a compiler would not: a statement at a time, in order, without knowing which
--- branch is taken. A block that returns is left as it was entered.

local code = require "spec.support.c_code"

local fetched = {}

--- Lua's functions that may collect garbage, and so run a finalizer, or that call Lua. Those
--- that turn a number into its text do so for numbers only; whoever gives none is no caller
--- of theirs here.
local running = {}
for name in ([[
  lua_pushstring lua_pushlstring lua_pushliteral lua_pushfstring lua_pushvfstring lua_newtable
  lua_createtable lua_newuserdatauv lua_newthread lua_concat lua_gc lua_call lua_callk lua_pcall
  lua_pcallk lua_len lua_compare lua_arith lua_gettable lua_settable lua_closeslot lua_load
  luaL_tolstring luaL_len luaL_newmetatable luaL_newlib luaL_newlibtable luaL_checklstring
  luaL_checkstring luaL_optlstring luaL_optstring luaL_callmeta luaL_traceback luaL_loadbufferx
  luaL_addlstring luaL_addstring luaL_addvalue luaL_pushresult luaL_prepbuffsize luaL_buffinitsize
  luaL_gsub luaL_requiref luaL_getsubtable luaL_where
]]):gmatch "%S+" do
  running[name] = true
end

--- These run it where they raise only, and then nobody goes on.
local raising = {traceback_error = true, wait_status = true, wait_to_take = true, wait_enter = true,
  wait_raise = true}

--- Its functions, as they stand.
local function functions(text)
  local found = {}
  for head, parameters, body in ("\n" .. text):gmatch "\n([%a_][^\n;{}#()=]-[%s*][%w_]+)(%b())%s*(%b{})" do
    found[#found + 1] = {name = head:match "[%w_]+$", static = head:find "^static" ~= nil,
      parameters = parameters, body = body}
  end
  return found
end

--- The names behind which a parenthesis opens, each with what is in it.
local function calls(text)
  local at = 1
  return function()
    local _, stop, name = text:find("%f[%w_]([%a_][%w_]*)%s*%f[(]", at)
    at = (stop or 0) + 1
    return name, stop and text:match("^%b()", stop + 1)
  end
end

--- What stands between the commas of `(...)`.
local function parts(text)
  local out, depth, from = {}, 0, 2
  for i = 2, #text - 1 do
    local c = text:sub(i, i)
    depth = depth + (c == "(" and 1 or c == ")" and -1 or 0)
    if c == "," and depth == 0 then
      out[#out + 1], from = text:sub(from, i - 1), i + 1
    end
  end
  out[#out + 1] = text:sub(from, -2)
  return out
end

--- The pieces of a body that end in `;`, `{` or `}`.
local function statements(body)
  local out, depth, from = {}, 0, 1
  for at, c in body:gmatch "()([(){};])" do
    depth = depth + (c == "(" and 1 or c == ")" and -1 or 0)
    if depth == 0 and c ~= ")" then
      out[#out + 1], from = body:sub(from, at), at + 1
    end
  end
  return out
end

--- What a name means in each file; and of each function what in it may run Lua.
local function read_all(texts)
  local global, files = {}, {}
  for path, text in pairs(texts) do
    local list = functions(code(text))
    files[path] = list
    for _, f in ipairs(list) do
      f.calls = {}
      for name in f.parameters:find "lua_State" and calls(f.body) or next, {} do
        f.calls[name] = true
      end
      list[f.name] = f
      global[f.name] = not f.static and f or global[f.name]
    end
  end
  local function runs(list, name)
    local f = list[name] or global[name]
    return not raising[name] and (f and f.runs or not f and running[name]) or false
  end
  local changed
  repeat
    changed = false
    for _, list in pairs(files) do
      for _, f in ipairs(list) do
        for name in pairs(f.runs and {} or f.calls) do
          if runs(list, name) then
            f.runs, changed = true, true
            break
          end
        end
      end
    end
  until not changed
  return files, global, runs
end

--- The functions in which a body of one of these types is written to, or given to who may do
--- so (its parameter is not const), behind a call that may run Lua and before it is fetched
--- again: "file function", in order; and how many functions have such a body in hand.
---@param texts table<string, string>  of C, by path
---@param types table<string, true>
---@return string[], integer
function fetched.offenders(texts, types)
  local files, global, runs = read_all(texts)
  local found, wrong, looked = {}, {}, 0

  local function used(list, text, name)
    local word = "%f[%w_]" .. name .. "%->[%w_.]*%s*"
    if text:find(word .. "[-+|&]?=[^=]") or text:find(word .. "%+%+") or text:find(word .. "%-%-") then
      return true
    end
    for callee, given in calls(text) do
      local f = list[callee] or global[callee]
      local parameters = f and parts(f.parameters) or {}
      for i, part in ipairs(given and parts(given) or {}) do
        if (part:match("^%s*" .. name .. "%s*$") or part:match("^%s*&" .. name .. "%->"))
          and not (parameters[i] or ""):find "const " then
          return true
        end
      end
    end
    return false
  end

  local function copied(ran)
    local copy = {}
    for name, has in pairs(ran) do
      copy[name] = has
    end
    return copy
  end

  local function look(path, list, f)
    local ran, outer, last, ended = {}, {}, {}, false
    for kind, name in f.parameters:gmatch "([%a_][%w_]*) %*%s*([%w_]+)" do
      if types[kind] then
        ran[name] = false
      end
    end
    for _, text in ipairs(statements(f.body)) do
      ran = text:find "^%s*else%f[^%w_]" and last or ran
      last = copied(ran)
      outer[#outer + 1] = text:find "{$" and last or nil
      local set = {}
      for name, has in pairs(ran) do
        if text:find("&" .. name .. "%s*[,)]") or text:find("%f[%w_]" .. name .. "%s*=[^=]") then
          set[name] = true
        elseif has and used(list, text, name) then
          wrong[path .. " " .. f.name] = true
        end
      end
      for kind, name in text:gmatch "%f[%w_]([%a_][%w_]*)%s+%*%s*([%w_]+)%s*[=;]" do
        set[name] = types[kind]
      end
      local returns = text:find "%f[%w_]return%f[^%w_]"
      for name in calls(returns and "" or text) do
        if runs(list, name) then
          for body in pairs(ran) do
            ran[body] = true
          end
        end
      end
      for name in pairs(set) do
        ran[name] = false
      end
      if text:find "}$" then
        local before = table.remove(outer)
        ran = ended and before or ran
      end
      ended = text:find "^%s*return" ~= nil
    end
    looked = looked + (next(ran) and 1 or 0)
  end

  for path, list in pairs(files) do
    for _, f in ipairs(list) do
      if f.parameters:find "lua_State" then
        look(path, list, f)
      end
    end
  end
  for name in pairs(wrong) do
    found[#found + 1] = name
  end
  table.sort(found)
  return found, looked
end

--- Where these functions are called: "file function", in order, but for functions that
--- have such a parameter, and where they are made.
---@param texts table<string, string>
---@param names table<string, true>
---@param parameter string  a pattern
---@return string[]
function fetched.callers(texts, names, parameter)
  local found = {}
  for path, text in pairs(texts) do
    for _, f in ipairs(functions(code(text))) do
      for name in calls(f.body) do
        if names[name] and not f.parameters:find(parameter) then
          found[#found + 1] = path .. " " .. f.name
        end
      end
    end
  end
  table.sort(found)
  return found
end

return fetched
