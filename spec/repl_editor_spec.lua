-- What the prompt is made of, without a terminal: the editor, the syntax of inputs,
-- the messages.

local drawing = require "neap.repl.drawing"
local Editor = require "neap.repl.editor"
local net = require "neap.net"
local syntax = require "neap.repl.syntax"
local time = require "neap.time"
local width = require "neap.repl.width"
local wire = require "neap.repl.wire"

local ESC = "\27"

--- Type bytes; returns the events, with the text at each.
local function type_in(editor, bytes)
  editor:feed(bytes)
  local events = {}
  while true do
    local event = editor:next()
    if not event then
      return events
    end
    events[#events + 1] = event .. " " .. editor.text
    if event == "line" then
      editor:reset()
    end
  end
end

local function typed(bytes, options)
  local editor = Editor.new(options or {})
  type_in(editor, bytes)
  return editor
end

describe("the editor", function()
  it("takes lines, and what was typed ahead", function()
    local editor = Editor.new {}
    assert.same({"line one", "line two"}, type_in(editor, "one\rtwo\nthree"))
    assert.equal("three", editor.text)
    assert.same({"eof "}, type_in(Editor.new {}, "\4"))
  end)

  for name, case in pairs {
    ["moves and deletes"] = {"abc\1X\5Y\2\127Z", "XabZY"},
    ["kills and yanks"] = {"one two\23\25\25", "one twotwo"},
    ["kills words together"] = {"one two\23\23\25", "one two"},
    ["kills to the end"] = {"one two\1\11x", "x"},
    ["kills by words"] = {"one(two)" .. ESC .. "\127", "one("},
    ["moves by words"] = {"one two" .. ESC .. "b" .. ESC .. "[1;5DX", "Xone two"},
    ["swaps"] = {"ab\20", "ba"},
    ["knows the keys of terminals"] = {"abc" .. ESC .. "[D" .. ESC .. "OD" .. ESC .. "[3~" .. ESC .. "[HX", "Xac"},
    ["undoes"] = {"one\1\11\31", "one"},
    ["moves over whole characters"] = {"a\u{E9}\u{4E2D}\2\2X", "aX\u{E9}\u{4E2D}"},
    ["moves over marks with what they follow"] = {"ae\u{301}\2X", "aXe\u{301}"},
    ["shows wrong bytes as such"] = {"a\xFFb\xC3(", "a\u{FFFD}b\u{FFFD}("},
    ["ignores sequences that it does not know"] = {"a" .. ESC .. "[99;99zb" .. ESC .. "[?1;2cc", "abc"},
    ["indents by tab"] = {"\tx", "  x"},
  } do
    it(name, function()
      assert.equal(case[2], typed(case[1]).text)
    end)
  end

  it("waits for the rest of a key", function()
    local editor = Editor.new {}
    for byte in ("\u{4E2D}" .. ESC .. "[D" .. "x"):gmatch "." do
      type_in(editor, byte)
    end
    assert.equal("x\u{4E2D}", editor.text)
    type_in(editor, ESC)
    assert.is_true(editor:is_waiting())
    editor:settle()
    type_in(editor, "")
    assert.is_false(editor:is_waiting())
    type_in(editor, "qb") -- what it is with ESC has no meaning
    assert.equal("xb\u{4E2D}", editor.text)
  end)

  it("goes on with an input that is not complete", function()
    local editor = Editor.new {incomplete = syntax.is_incomplete}
    assert.same({"line for i = 1, 3 do\nprint(i)\nend"}, type_in(editor, "for i = 1, 3 do\rprint(i)\rend\r"))
    type_in(editor, "f(\r1\27[A2")
    assert.equal("f2(\n1", editor.text)
  end)

  it("takes a paste as it is, in pieces too", function()
    local editor = Editor.new {}
    local text = ESC .. "[200~a\r\nb\tc\0\1" .. ESC .. "[31m\xFF" .. ESC .. "[201~d"
    for i = 1, #text, 3 do
      assert.same({}, type_in(editor, text:sub(i, i + 2)))
    end
    assert.equal("a\nb\tc[31m\u{FFFD}d", editor.text)
  end)

  it("takes a paste of 1 MiB at once (S4)", function()
    local editor = Editor.new {colour = true}
    local began = time.now()
    type_in(editor, ESC .. "[200~" .. ("0123456789abcde\n"):rep(65536))
    type_in(editor, ESC .. "[201~")
    assert.equal(1 << 20, #editor.text)
    editor:block(80, 24)
    type_in(editor, "x")
    local hide, show = editor:block(80, 24)
    assert(#hide + #show < 10000)
    assert(time.now() - began < 5)
  end)

  it("finds earlier entries by their beginning", function()
    local editor = Editor.new {entries = {"net.a", "task.b", "net.c"}}
    local up, down = ESC .. "[A", ESC .. "[B"
    type_in(editor, "net" .. up)
    assert.equal("net.c", editor.text)
    type_in(editor, up)
    assert.equal("net.a", editor.text)
    type_in(editor, up .. down)
    assert.equal("net.c", editor.text)
    type_in(editor, down)
    assert.equal("net", editor.text)
    type_in(editor, "\21" .. up .. up)
    assert.equal("task.b", editor.text)
  end)

  it("searches entries while one types", function()
    local entries = {"net.listen()", "task.sleep(1)", "x = net.connect()"}
    local editor = Editor.new {entries = entries, prompt = "> "}
    type_in(editor, "abc\18net")
    assert.equal(entries[3], editor.text)
    assert.matches("search `net'", (select(2, editor:block(80, 24))))
    type_in(editor, "\18")
    assert.equal(entries[1], editor.text)
    type_in(editor, "\18")
    assert.matches("no `net'", (select(2, editor:block(80, 24))))
    type_in(editor, "\7")
    assert.equal("abc", editor.text)
    assert.same({"line task.sleep(1)"}, type_in(editor, "\18sle\r"))
  end)

  it("stays sane whatever bytes come (S4)", function()
    math.randomseed(7)
    local editor = Editor.new {entries = {"one", "t\u{E9}wo\nlines"}, colour = true,
      incomplete = syntax.is_incomplete}
    for _ = 1, 3000 do
      local bytes = {}
      for i = 1, math.random(12) do
        bytes[i] = math.random(4) == 1 and "\27[" or string.char(math.random(0, 255))
      end
      type_in(editor, table.concat(bytes))
      if math.random(5) == 1 then
        editor:settle()
      end
      assert(utf8.len(editor.text), "the text is not valid")
      assert(editor.cursor >= 1 and editor.cursor <= #editor.text + 1)
      assert(editor.cursor > #editor.text or editor.text:byte(editor.cursor) & 0xC0 ~= 0x80)
      local hide, show = editor:block(math.random(100), math.random(30))
      assert.is_string(hide)
      assert(utf8.len(show))
      if #editor.text > 500 then
        editor:reset()
      end
    end
  end)
end)

describe("the block on the screen", function()
  local function block(text, cursor, columns)
    local editor = Editor.new {prompt = "> ", more = ". "}
    editor:set(text, cursor)
    return editor:block(columns or 10, 24)
  end

  local HIDE = drawing.hiding(0)

  it("has the text behind the prompt", function()
    local hide, show, last = block("abc", 2)
    assert.equal(HIDE, hide)
    assert.equal("> abc\r\27[3C", show)
    assert.equal("> abc", last)
  end)

  it("counts the rows of what wraps", function()
    local hide, show = block("0123456789", 11)
    assert.equal("\r\27[1A" .. HIDE:sub(2), hide)
    assert.equal("> 0123456789\r\27[2C", show)
    assert.equal("> 01234567 \r\r", (select(2, block("01234567"))))
    assert.equal("> 中中中中中\r\27[2C", (select(2, block(("中"):rep(5)))))
    assert.equal(HIDE, (block("0123456789", 1)))
  end)

  it("has a prompt before each further line", function()
    local hide, show = block("ab\ncd", 2)
    assert.equal(HIDE, hide)
    assert.equal("> ab\n. cd\27[1A\r\27[3C", show)
  end)

  it("knows the width of characters", function()
    for char, n in pairs {a = 1, ["é"] = 1, ["中"] = 2, ["\u{301}"] = 0, ["😀"] = 2, ["…"] = 1, ["가"] = 2} do
      assert.equal(n, width.of(char))
    end
    assert.equal(5, width.text "a中é\u{301}x")
    assert.equal("a\u{FFFD}b", width.valid "a\xFFb")
  end)
end)

describe("an input", function()
  it("is incomplete where Lua says so", function()
    for _, text in ipairs {
      "for i = 1, 3 do", "for", "f(", "x =", "1 +", "function f()", "[[", "--[[ a",
      "return {", "if x then", "= 1 +", ":bg f(",
    } do
      assert.is_true(syntax.is_incomplete(text), text)
    end
    for _, text in ipairs {
      "", "x", "= x", "x = 1", "f()",
      ")", "'", "'a", "end", "f() &", ":ps", ":load x(", "x = 1 -- &", ":nonsense (",
    } do
      assert.is_false(syntax.is_incomplete(text), text)
    end
  end)

  it("runs in the background with a & behind it", function()
    assert.same({"f()", true}, {syntax.background "f() & "})
    assert.same({"a & b", false}, {syntax.background "a & b"})
  end)

  it("has its outermost locals made variables of the session", function()
    for text, expected in pairs {
      ["local x = 1"] = "      x = 1",
      ["local x, y"] = "      x, y = nil",
      ["local x local y = 2"] = "      x = nil       y = 2",
      ["local function f() local y = 1 end"] = "      function f() local y = 1 end",
      ["do local x = 1 end"] = "do local x = 1 end",
      ["local x <const> = 1"] = "local x <const> = 1",
      ["local x <const>, y = 1"] = "local x <const>, y = 1",
      ["if a then local x end local y = 'local z'"] = "if a then local x end       y = 'local z'",
      ["repeat local x until x\nlocal y = [[\nlocal z]]"] = "repeat local x until x\n      y = [[\nlocal z]]",
      ["while a do local x end; local y -- local z"] = "while a do local x end;       y = nil -- local z",
      ["f(function() local x end) local y = 0x1p-3"] = "f(function() local x end)       y = 0x1p-3",
      ["local s = 'a\\'local b' local t"] = "      s = 'a\\'local b'       t = nil",
    } do
      local shared = syntax.share(text)
      assert.equal(expected, shared)
    end
    assert.same({"a", "b", "f"}, (select(2, syntax.share "local a, b = 1 local function f() end")))
  end)

  it("keeps its lines", function()
    local env = setmetatable({}, {__index = _G})
    local f = assert(syntax.compile("local x = 1\nlocal y\nerror 'here'", "=[1]", env))
    assert.equal("[1]:3: here", (select(2, pcall(f))))
  end)
end)

describe("a message", function()
  it("arrives as it was sent", function()
    local a, b = net.socketpair "mem"
    local message = {kind = "x", n = 1, f = 0.5, yes = true, no = false, list = {"a", {b = "\0"}}}
    wire.send(a, message)
    assert.same(message, wire.receive(b))
    a:close()
    assert.is_nil(wire.receive(b))
    b:close()
  end)

  it("that is malformed ends the conversation", function()
    for _, bytes in ipairs {"\0\0\0\1x", "\255\255\255\255", "\0\0\0\5t\255\255\255\255", "\0\0\0\1n", "\0\0"} do
      local a, b = net.socketpair "mem"
      a:write(bytes)
      a:shutdown()
      assert.is_nil(wire.receive(b))
      a:close()
      b:close()
    end
  end)
end)
