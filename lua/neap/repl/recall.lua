--- Inputs of before, in an editor: one after the other, by what they have in them, and
--- their last arguments.

local editing = require "neap.repl.editing"
local syntax = require "neap.repl.syntax"

local find, match, sub = string.find, string.match, string.sub

local recall = {}

--- Go to an entry, or back to the draft.
local function show_entry(self, at)
  self.text = at and self.entries[at] or self.draft
  self.cursor = #self.text + 1
  self.at = at
end

--- The next entry in a direction that begins as the text up to the cursor did
--- when the way began.
function recall.walk(self, by)
  if not self.prefix then
    self.draft = self.text
    self.prefix = sub(self.text, 1, self.cursor - 1)
    self.at = nil
  end
  local at = self.at or #self.entries + 1
  repeat
    at = at + by
    local entry = self.entries[at]
    if entry and entry ~= self.text and sub(entry, 1, #self.prefix) == self.prefix then
      return show_entry(self, at)
    end
  until not entry
  if by > 0 then
    show_entry(self, nil)
    self.prefix = nil
  end
end

--
-- Incremental search
--

--- The nearest entry from `from` on, in a direction, that has the text in it.
local function seek(self, from, by)
  local s = self.search
  local first, last = math.min(from, #self.entries), 1
  if by > 0 then
    first, last = from, #self.entries
  end
  for at = first, last, by do
    local found = find(self.entries[at], s.text, 1, true)
    if found then
      s.at, s.failing = at, false
      self.text, self.cursor = self.entries[at], found
      return
    end
  end
  s.failing = s.text ~= ""
end

--- Begin to search, back (-1) or forward (1); the next one, where that has begun.
function recall.search(self, by)
  local s = self.search
  if not s then
    self.search = {
      text = "", at = self.at or #self.entries + 1, by = by, draft = self.text, cursor = self.cursor,
    }
    return
  end
  s.by = by
  if s.text == "" and self.sought then
    s.text = self.sought
    return seek(self, s.at, by)
  end
  local shown = self.text
  local from = s.at
  repeat
    from = from + by
    seek(self, from, by)
  until s.failing or from < 1 or from > #self.entries or self.text ~= shown
end

--- Stay where the search has led.
function recall.end_search(self)
  if self.search then
    self.sought = self.search.text
    self.search = nil
  end
end

--- Go back to where it began.
function recall.cancel_search(self)
  local s = self.search
  if s then
    self.text, self.cursor = s.draft, s.cursor
    recall.end_search(self)
  end
end

--- Search for another text.
function recall.search_text(self, text)
  local s = self.search
  s.text = text
  if text == "" then
    s.failing = false
    self.text, self.cursor = s.draft, s.cursor
  else
    seek(self, s.at, s.by)
  end
end

--
-- The last argument
--

local OPENS, CLOSES = {["("] = true, ["["] = true, ["{"] = true}, {[")"] = true, ["]"] = true, ["}"] = true}

--- Where a text ends in the last argument of a call, or in a table or a string.
local function last_group(text)
  local groups, from, to = {}, nil, nil
  for kind, first, last in syntax.tokens(text) do
    local c = sub(text, first, last)
    local group = groups[#groups]
    if kind ~= "comment" then
      from = kind == "string" and first or nil
      to = last
    end
    if OPENS[c] then
      groups[#groups + 1] = {from = c == "(" and last + 1 or first, call = c == "("}
    elseif c == "," and group and group.call then
      group.from = last + 1
    elseif CLOSES[c] and group then
      groups[#groups] = nil
      from, to = c ~= "]" and group.from or nil, group.call and first - 1 or last
    end
  end
  return from, to
end

--- What an input gave to the call at its end; else its last word.
local function argument_of(text)
  local code = syntax.background(text)
  local word = match(code, "(%S+)%s*$")
  if find(code, "^%s*:") then
    return word
  end
  local from, to = last_group(code)
  local found = from and match(sub(code, from, to), "^%s*(.-)%s*$") or ""
  return found ~= "" and found or word
end

--- Put in the last argument of the last input; again: that of the one before it.
function recall.last_argument(self, again)
  local at = again and self.argument_at or #self.entries + 1
  for i = at - 1, 1, -1 do
    local text = argument_of(self.entries[i])
    if text then
      self.argument_at = i
      return editing.put(self, text, again)
    end
  end
end

return recall
