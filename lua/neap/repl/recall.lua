--- Inputs of before, in an editor: one after the other, and by what they have in them.

local find, sub = string.find, string.sub

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

--- The nearest entry at or before `from` that has the text in it.
local function seek(self, from)
  local s = self.search
  for at = math.min(from, #self.entries), 1, -1 do
    local found = find(self.entries[at], s.text, 1, true)
    if found then
      s.at, s.failing = at, false
      self.text, self.cursor = self.entries[at], found
      return
    end
  end
  s.failing = s.text ~= ""
end

--- Begin to search; the next one, where that has begun.
function recall.search(self)
  local s = self.search
  if not s then
    self.search = {text = "", at = #self.entries + 1, draft = self.text, cursor = self.cursor}
  elseif s.text == "" and self.sought then
    s.text = self.sought
    seek(self, #self.entries)
  else
    local shown = self.text
    local from = s.at
    repeat
      from = from - 1
      seek(self, from)
    until s.failing or from < 1 or self.text ~= shown
  end
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
    seek(self, s.failing and s.at or math.min(s.at, #self.entries))
  end
end

return recall
