-- What the prompt makes of an input: its values, its lines.

local Editor = require "neap.repl.editor"
local syntax = require "neap.repl.syntax"

--- What is in the editor behind lines that are typed each by itself.
local function typed(...)
  local editor = Editor.new {incomplete = syntax.is_incomplete, depth = syntax.depth, closes = syntax.closes}
  for _, bytes in ipairs {...} do
    editor:feed(bytes)
    while editor:next() do
    end
  end
  return editor.text, editor
end

describe("an input of statements and an expression", function()
  local function run(text)
    local env = setmetatable({}, {__index = _G})
    local f = assert(syntax.compile(text, "=[1]", env))
    return table.pack(f())
  end

  it("gives the expression's values", function()
    for text, expected in pairs {
      ["x = 1; x"] = {1, n = 1},
      ["local x = 1; x, x + 1"] = {1, 2, n = 2},
      ["local a <const> = 3; a * 2 -- c"] = {6, n = 1},
      ["x = {1; 2}; #x"] = {2, n = 1},
      ["x = 1; math.max(x, 4)"] = {4, n = 1},
      ["x = 0; for i = 1, 3 do x = x + i; end; x"] = {6, n = 1},
      ["x = 1\nx"] = {1, n = 1},
      ["x = 1; y = 2\nmath.max(x,\n  y)"] = {2, n = 1},
      ["local function f() return 5 end\nf() +\n1"] = {6, n = 1},
      ["x = 1;\n\nx"] = {1, n = 1},
      ["if true then return 1, 2 end; 3"] = {1, 2, n = 2},
      ["do return end\n3"] = {n = 0},
    } do
      assert.same(expected, run(text), text)
      assert.is_false(syntax.is_incomplete(text), text)
    end
  end)

  it("stays what it is where Lua reads it as statements", function()
    assert.same({n = 0}, run "x = 1; y = 2")
    assert.same({n = 0}, run "f = tostring\nx = f\n(1)")
    assert.same({"1", n = 1}, run "f = tostring\nx = f\n(1); x")
    assert.same({n = 0}, run "do x = 1; tostring(x) end")
    assert.is_nil((syntax.compile("x = 1; y z", "=[1]", {})))
    assert.is_nil((syntax.compile("x = 1; x;", "=[1]", {})))
    assert.is_true(syntax.is_incomplete "do x = 1; x")
  end)

  it("tells errors by the lines that were typed", function()
    local f = assert(syntax.compile("x = 1\nlocal y = 2;\nerror 'here'", "=[1]", {error = error}))
    local ok, err = pcall(f)
    assert.same({false, "[1]:3: here"}, {ok, err})
  end)
end)

describe("a further line", function()
  it("is as deep as what is open", function()
    for text, depth in pairs {
      ["x = 1"] = 0, ["for i = 1, 2 do"] = 1, ["f(function()"] = 1, ["f(function()\nif x then"] = 2,
      ["if x then\nelse"] = 1, ["t = {\n{"] = 2, ["t = {'{', -- {\n"] = 1, ["f(function()\nend)"] = 0,
      ["repeat\nuntil x"] = 0, [")\n]"] = 0,
    } do
      assert.equal(depth, syntax.depth(text), text)
    end
  end)

  it("is indented so as it begins, and less where it ends a block", function()
    assert.equal("for i = 1, 2 do\n  ", (typed("for i = 1, 2 do", "\r")))
    assert.equal("for i = 1, 2 do\n  if i then\n    f()\n  end\n  ",
      (typed("for i = 1, 2 do", "\r", "if i then", "\r", "f()", "\r", "end", "\r")))
    assert.equal("if a then\n  f()\nelse\n  ", (typed("if a then", "\r", "f()", "\r", "else", "\r")))
    assert.equal("f {\n  1,\n}", (typed("f {", "\r", "1,", "\r", "}", "\r")))
    assert.equal("do\n  endless()\n  ", (typed("do", "\r", "endless()", "\r")))
    assert.equal("do\n\n  ", (typed("do", "\r", "\r")))
    assert.equal("do\n end\n", (typed("do", "\r", "\127end", "\r")) .. "\n") -- theirs stays
    assert.equal("do\n  x", (typed("do", "\27\r", "x"))) -- Alt-Enter
  end)

  it("is as it comes where many come in one go", function()
    assert.equal("for i = 1, 2 do\n  f(i)\n  g(i)", (typed("for i = 1, 2 do\r  f(i)\r  g(i)")))
    assert.equal("do\n  f()\n", (typed("\27[200~do\n  f()\n\27[201~")))
  end)
end)
