-- The prompt on a screen that gets another size.

local rows = require "spec.support.rows"
local screen = require "spec.support.screen"

local TEXT = "local text = '" .. ("0123456789"):rep(12) .. "'"

--- A text as it stands behind the prompt on so many columns.
local function wrapped(text, columns)
  local lines, line, used = {}, {}, 0
  for char in ("neap> " .. text):gmatch(utf8.charpattern) do
    local n = #char > 2 and 2 or 1
    if used + n > columns then
      lines[#lines + 1] = table.concat(line)
      line, used = {}, 0
    end
    line[#line + 1] = char
    used = used + n
  end
  lines[#lines + 1] = table.concat(line)
  return table.concat(lines, "\n")
end

describe("a terminal that keeps its rows", function()
  it("shows the text once, and what stood above, as it shrinks and widens", function()
    local s <close> = rows.open(80, 24)
    s:expect "neap>"
    s:type "1\r"
    s:expect "neap> 1\n1\nneap>"
    s:type(TEXT)
    for _, columns in ipairs {80, 50, 49, 40, 41, 100, 160, 140, 80} do
      s:resize(columns, 24)
      s:expect("neap> 1\n1\n" .. wrapped(TEXT, columns))
    end
  end)

  it("is asked, and may be silent", function()
    local s <close> = rows.open(80, 24)
    s:expect "neap>"
    s.is_silent = true
    s:type(TEXT)
    s:expect(wrapped(TEXT, 80))
    s:resize(90, 24)
    s:type "x"
    s:expect(wrapped(TEXT .. "x", 90))
    assert.equal(1, s.asked)
  end)

  it("keeps what is typed meanwhile", function()
    local s <close> = rows.open(80, 24)
    s:expect "neap>"
    for columns = 79, 60, -1 do
      s:resize(columns, 24)
      s:type "\u{4E2D}a"
    end
    s:expect(wrapped(("\u{4E2D}a"):rep(20), 60))
  end)

  it("may say where the cursor is at a size that it tells of later", function()
    local s <close> = rows.open(80, 24)
    s:expect "neap>"
    s:type "1\r"
    s:expect "neap> 1\n1\nneap>"
    s:type "'0123456789'"
    s:expect "neap> 1\n1\nneap> '0123456789'"
    s:tell(7, 4)
    s:expect_asked(1)
    s:type "x"
    s:tell(80, 24)
    s:expect "neap> 1\n1\nneap> '0123456789'x"
  end)

  it("may be very small, and flat", function()
    local s <close> = rows.open(80, 24)
    s:expect "neap>"
    s:type "'0123456789'"
    s:resize(7, 4)
    s:expect "neap> '\n0123456\n789'"
    s:resize(200, 5)
    s:expect "neap> '0123456789'"
    s:type "\r"
    s:expect "neap> '0123456789'\n\"0123456789\"\nneap>"
  end)
end)

describe("a terminal that wraps anew", function()
  local function prompt()
    if not screen.is_there() then
      pending "tmux is not installed"
    end
    local s = screen.open()
    s:expect "neap>"
    return s
  end

  local function expect(s, text, size)
    if size[2] > 6 then
      s:expect(wrapped(text, size[1]))
    elseif size[2] == 5 then
      s:expect("1\n" .. wrapped(text, size[1]))
    else
      s:expect(text:sub(-2))
    end
  end

  for name, text in pairs {plain = TEXT, wide = "'" .. ("漢字"):rep(15) .. "é'"} do
    it("shows a text once, and leaves no copies: " .. name, function()
      local s <close> = prompt()
      s:enter "1"
      s:expect "\nneap> 1\n1\nneap>"
      s:type(text)
      for _, size in ipairs {{50, 24}, {13, 24}, {160, 24}, {20, 6}, {200, 5}, {7, 4}, {200, 5}, {80, 24}} do
        s:resize(size[1], size[2])
        s:type "x" -- it waits until the cursor is found
        expect(s, text .. "x", size)
        s:press "BSpace"
        expect(s, text, size)
      end
      assert.matches("^neap [^\n]+\nneap> 1\n1\nneap> [^\n]+\n*$", s:all())
    end)
  end

  it("has none of them where one scrolls back to, when the screen is emptied", function()
    local s <close> = prompt()
    s:type "copied"
    s:expect "neap> copied"
    for _ = 1, 3 do
      s:press "C-l"
      s:press "x"
      s:find "copiedx"
      s:press "BSpace"
      s:expect "neap> copied"
    end
    local _, n = s:all():gsub("neap>", "")
    assert.equal(1, n)
  end)
end)
