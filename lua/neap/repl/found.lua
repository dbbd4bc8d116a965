--- Candidates for a completion, as they are found: those that begin with the word,
--- the first of them in order, and what all have in common.

local smallest = require "neap.repl.smallest"

local ipairs, next, setmetatable, type = ipairs, next, setmetatable, type
local byte, find, gmatch, sub = string.byte, string.find, string.gmatch, string.sub

---@class neap.repl.found
---@field word string
---@field common string?  of all that were added
---@field private names neap.repl.smallest
---@field private looked integer
---@field private of table<string, table>  what is remembered of a candidate
local Found = {}
Found.__index = Found

--- Most candidates listed.
local LISTED = 200
Found.LISTED = LISTED

--- Keys looked at, in all tables of a completion.
local LOOKED = 300000

local KEYWORDS = {}
for word in gmatch([[and break do else elseif end false for function goto if in local nil not or
    repeat return then true until while]], "%a+") do
  KEYWORDS[word] = true
end

Found.KEYWORDS = KEYWORDS

---@param word string
---@return neap.repl.found
function Found.new(word)
  return setmetatable({word = word, names = smallest.new(LISTED), looked = 0, of = {}}, Found)
end

--- How far two strings agree.
local function agreed(a, b)
  local n = #a < #b and #a or #b
  for i = 1, n do
    if byte(a, i) ~= byte(b, i) then
      return sub(a, 1, i - 1)
    end
  end
  return sub(a, 1, n)
end

--- A candidate, if it begins with the word.
---@param name string
---@param about? table  fields of the candidate
function Found:add(name, about)
  if sub(name, 1, #self.word) ~= self.word then
    return
  end
  self.names:add(name)
  self.common = self.common and agreed(self.common, name) or name
  self.of[name] = self.of[name] or about
end

--- Metamethods are shown to who asks for them.
local function is_name(key, word)
  return find(key, "^[%a_][%w_]*$") and not KEYWORDS[key]
    and (word ~= "" or not find(key, "^__"))
end

--- Add the keys of a raw table that are names; functions only, perhaps. This loop
--- is what takes the time in a large table, so it calls little.
---@param from table
---@param functions boolean
function Found:keys(from, functions)
  local word, n = self.word, #self.word
  local common, last = self.common, self.names.last
  local looked, count = self.looked, 0
  for key, value in next, from do
    looked = looked + 1
    if looked > LOOKED then
      break
    end
    if type(key) == "string" and not (functions and type(value) ~= "function") then
      if common and last and key >= last and (common == "" or sub(key, 1, #common) == common) then
        count = count + 1
      elseif (n == 0 or sub(key, 1, n) == word) and is_name(key, word) then
        common = common and agreed(common, key) or key
        self.names:add(key)
        last = self.names.last
      end
    end
  end
  self.common, self.looked = common, looked
  self.names.count = self.names.count + count
end

---@param first integer  where the word begins
---@param describe? fun(candidate: neap.repl.complete.Candidate)  says more of it
---@return neap.repl.complete.Result
function Found:result(first, describe)
  local candidates, before = {}, nil
  local list = self.names:list()
  local total = self.names.count
  for _, name in ipairs(list) do
    if name == before then
      total = total - 1
    else
      local candidate = {text = name, kind = "name"}
      for key, value in next, self.of[name] or {} do
        candidate[key] = value
      end
      if describe then
        describe(candidate)
      end
      candidates[#candidates + 1] = candidate
    end
    before = name
  end
  return {
    first = first, candidates = candidates, common = self.common or self.word,
    more = total > #candidates and total - #candidates or 0,
  }
end

return Found
