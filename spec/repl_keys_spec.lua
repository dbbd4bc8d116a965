-- Keys as terminals send them, and what each does.

local Editor = require "neap.repl.editor"
local keys = require "neap.repl.keys"

--- Type bytes, in pieces, into an editor that has these entries behind it.
local function typed(pieces, entries)
  local editor = Editor.new {entries = entries}
  local event
  for _, bytes in ipairs(type(pieces) == "table" and pieces or {pieces}) do
    editor:feed(bytes)
    repeat
      event = editor:next()
    until not event
    if bytes == "" then
      editor:settle()
      editor:next()
    end
  end
  return editor
end

local function text(...)
  return typed(...).text
end

describe("a terminal that", function()
  for name, bytes in pairs {
    ["is Linux's console, with F1"] = "\27[[A",
    ["is Linux's console, with F5"] = "\27[[E",
    ["is an xterm, with F1 and F12"] = "\27OP\27[24~",
    ["answers an OSC, ended by BEL"] = "\27]11;rgb:0000/ffff/0000\7",
    ["answers an OSC, ended by ST"] = "\27]52;c;Zm9v\27\\",
    ["answers a DCS"] = "\27P1$r0m\27\\",
    ["answers an APC, a PM, a SOS"] = "\27_Gi=31;OK\27\\\27^a\27\\\27Xb\27\\",
    ["tells where the cursor is"] = "\27[24;80R",
    ["tells what it is"] = "\27[?64;1;9c\27[>41;390;0c",
    ["tells its modes"] = "\27[?2026;2$y",
    ["tells of its focus"] = "\27[I\27[O",
    ["presses what has no meaning with Alt"] = "\27q",
    ["presses what has no meaning behind ^X"] = "\24q\24\1",
  } do
    it(name .. " types nothing", function()
      assert.equal("ab", text("a" .. bytes .. "b"))
      local pieces = {"a"}
      for byte in (bytes .. "b"):gmatch "." do
        pieces[#pieces + 1] = byte
      end
      assert.equal("ab", text(pieces))
    end)
  end

  it("does not end what it answers is left by the next control", function()
    assert.equal("ab", text "a\27]11;rgb\8\127ab")
    assert.equal("b", text {"\27]", ("x"):rep(5000), "b"})
    assert.is_false(typed("\27]11"):is_waiting())
  end)

  for name, bytes in pairs {
    ["is an rxvt, with Alt"] = "\27\27[D",
    ["is an rxvt, with Ctrl"] = "\27Od",
    ["is an xterm, with Alt"] = "\27[1;3D",
    ["is an xterm, with Ctrl"] = "\27[1;5D",
    ["has Alt"] = "\27b",
  } do
    it(name .. " goes by words", function()
      assert.equal("one Xtwo", text("one two" .. bytes .. "X"))
      local forward = bytes:gsub("D$", "C"):gsub("d$", "c"):gsub("b$", "f")
      assert.equal("oneX two", text("one two\1" .. forward .. "X"))
    end)
  end

  it("is an rxvt has Ctrl-Delete and Shift-Delete", function()
    assert.equal("", text "one\1\27[3^")
    assert.equal("Xone", text {"one\1", "\27[3$", "", "X"})
  end)
end)

describe("ESC", function()
  it("makes the next key one with Alt", function()
    assert.equal("one Xtwo", text {"one two", "\27", "", "bX"})
    assert.equal("one", text {"one two", "\27", "", "\127\8"})
    assert.equal("ab", text {"a", "\27", "", "q", "b"})
  end)

  it("is taken back by another one", function()
    assert.equal("ab", text {"a", "\27", "", "\27", "", "b"})
  end)

  it("before a paste lets it be one", function()
    for _, pieces in ipairs {{"\27\27[200~a\rb\27[201~"}, {"\27", "", "\27[200~a\rb\27[201~"}} do
      assert.equal("a\nb", text(pieces))
    end
  end)
end)

describe("what was killed", function()
  it("comes back in turn by Alt-y", function()
    local killed = "one\21two\21three\21"
    assert.equal("three", text(killed .. "\25"))
    assert.equal("two", text(killed .. "\25\27y"))
    assert.equal("one", text(killed .. "\25\27y\27y"))
    assert.equal("three", text(killed .. "\25\27y\27y\27y"))
    assert.equal("x two y", text(killed .. "x  y\2\2\25\27y"))
  end)

  it("does so only behind Ctrl-Y", function()
    assert.equal("x", text "one\21two\21x\27y")
    assert.equal("twox", text "one\21two\21\25x\27y\27y")
    assert.equal("", text "\25\27y")
  end)

  it("is the last few texts only", function()
    local editor = typed(("a\21b\2\4"):rep(50))
    assert(#editor.killed <= 20)
  end)
end)

describe("Alt-.", function()
  for entry, argument in pairs {
    ["f(a, g(b, c))"] = "g(b, c)",
    ["f(a)"] = "a",
    ["print('a, b')"] = "'a, b'",
    ["require 'neap.http'"] = "'neap.http'",
    ["f {1, {2}}"] = "{1, {2}}",
    ["f()"] = "f()",
    ["x = 5"] = "5",
    ["t[1]"] = "t[1]",
    [":load a/b.lua"] = "a/b.lua",
    ["task.sleep(1, 2) &"] = "2",
    ["f(')') -- (x)"] = "')'",
    ["a ) b"] = "b",
  } do
    it("puts in the last argument of " .. entry, function()
      assert.equal("x " .. argument, text("x \27.", {entry}))
    end)
  end

  it("goes back, and stays at the first", function()
    local entries = {"f(1)", "f(2)", "f(3)"}
    assert.equal("3", text("\27.", entries))
    assert.equal("2", text("\27.\27.", entries))
    assert.equal("1", text("\27.\27.\27.\27.", entries))
    assert.equal("33", text("\27.\5\27.", entries))
    assert.equal("", text("\27.", {}))
  end)
end)

describe("a search", function()
  local entries = {"a one", "b two", "c one", "d two"}

  it("goes on forward by ^S", function()
    assert.equal("a one", text("\18one\18", entries))
    assert.equal("c one", text("\18one\18\19", entries))
    assert.equal("a one", text("\18one\18\19\18", entries))
    assert.equal("d two", text("\27[A\27[A\27[A\19two\19", entries))
  end)

  it("that finds nothing forward stays where it is", function()
    local editor = typed("\18two\19", entries)
    assert.equal("d two", editor.text)
    assert.is_true(editor.search.failing)
    assert.equal("", text("\19two", entries))
  end)
end)

it("asks for another editor by ^X ^E", function()
  for _, pieces in ipairs {{"a\24\5"}, {"a\24", "", "\5"}} do
    local editor = Editor.new {}
    local seen
    for _, bytes in ipairs(pieces) do
      editor:feed(bytes)
      seen = editor:next()
    end
    assert.equal("edit", seen)
    assert.equal("a", editor.text)
  end
end)

it("takes texts that are no UTF-8, with U+FFFD for what is wrong", function()
  local editor = Editor.new {}
  editor:set("a\xE9b", 3)
  assert.equal("a\u{FFFD}b", editor.text)
  assert.equal(5, editor.cursor)
  assert.equal("a\nb\tc", keys.clean "a\r\nb\tc\27\0")
end)
