-- What the prompt shows below a text before it is run.

local linear = require "spec.support.linear"
local preview = require "neap.repl.preview"
local screen = require "spec.support.screen"
local task = require "neap.task"

describe("a preview", function()
  local env = setmetatable({a = {b = {"x", "y"}, n = 3, ["two words"] = 2}, s = "text", n = 7, f = print, no = false,
    d = setmetatable({own = 1}, {__index = {inherited = 2}})}, {__index = _G})

  it("is what an expression would give", function()
    for text, expected in pairs {
      ["n"] = "7", ["= n"] = "7", ["1 + 2 * 3"] = "7", ["(1 + 2) * 3"] = "9",
      ["2 ^ 3 ^ 2"] = "512.0", ["-2 ^ 2"] = "-4.0",
      ["n // 2 % 2"] = "1", ["1 << 4 | 1"] = "17", ["~0"] = "-1", ["- n - -1"] = "-6", ["0x10 + 1e1"] = "26.0",
      ["'a' .. 'b' .. 1"] = '"ab1"', ["'a'..1"] = '"a1"',
      ["a.b[1]"] = '"x"', ["a['two words'] + 1"] = "3", ["#a.b"] = "2", ["#s"] = "4",
      ["a.n == 3 and 'yes' or 'no'"] = '"yes"', ["not n"] = "false", ["no"] = "false", ["1 < 2"] = "true",
      ["a == a"] = "true", ["a ~= a.b"] = "true", ["d.inherited"] = "2", ["a.b"] = '{"x", "y"}',
      ["f"] = "function print", ["s == 'tcp://x:1' -- so"] = "false", ["math.pi > 3"] = "true",
      ["s.rep"] = "function string.rep",
    } do
      assert.equal(expected, preview.of(text, env), text)
    end
  end)

  it("is none of what is written, is nil, or is no expression", function()
    for _, text in ipairs {"", "1", "'x'", "nil", "true", "-1", "nosuch", "a.nosuch", "x = 1", "a.", "a[", "(n", "1 +",
      ":ps", "return n", "n n", "a.b.c.d", "1 // 0", "1 .. {}", "n + s", "a < a", ("n + "):rep(100) .. "n",
      "n\n+ 1", "a.b = 1", "{n}", "...", "'", "a:b", "1 & 1.5"} do
      assert.is_nil(preview.of(text, env), text)
    end
  end)

  it("calls nothing", function()
    local calls = 0
    local function called()
      calls = calls + 1
      return calls
    end
    local meta = {__len = called, __eq = called, __lt = called, __add = called, __concat = called, __call = called,
      __index = called, __unm = called, __bnot = called, __tostring = called, __name = called, __pairs = called}
    local scope = setmetatable({t = setmetatable({}, meta), u = setmetatable({}, meta), f = called,
      g = coroutine.wrap(called)}, {__index = called})
    for _, text in ipairs {"#t", "t == u", "t ~= u",
      "t < u", "t + 1", "1 + t", "t .. 't'", "t()", "t.x", "t['x']", "-t",
      "~t", "f()", "f 'x'", "f{}", "t:f()", "g()", "nosuch", "f() + 1", "('x'):rep(3)", "t.x == 1", "#t.x"} do
      assert.is_nil(preview.of(text, scope), text)
    end
    assert.is_string(preview.of("t", scope))
    assert.equal(0, calls)
  end)

  it("is short, and takes no long time", function()
    local big = {}
    for i = 1, 100000 do
      big[i] = i
    end
    local scope = {big = big, long = ("x"):rep(9000), lines = "a\nb", esc = "\27[2J"}
    assert.equal("a table of more than 1000 entries", preview.of("big", scope))
    assert.is_nil(preview.of("long .. long", scope))
    assert(#preview.of("long", scope) <= 1000)
    assert.equal('"a\\nb"', preview.of("lines", scope))
    assert.equal('"\\x1b[2J"', preview.of("esc", scope))
    linear(function(n)
      preview.of("x" .. (" "):rep(n) .. "y", scope)
    end, 3000)
  end)
end)

describe("the prompt", function()
  local function prompt(options)
    if not screen.is_there() then
      pending "tmux is not installed"
    end
    local s = screen.open(nil, options)
    s:expect "neap>"
    return s
  end

  it("shows a preview below the text, and leaves none of it", function()
    local s <close> = prompt()
    s:enter "x = 20"
    s:expect "neap> x = 20\nneap>"
    s:type "x * 2"
    s:expect "neap> x * 2\n40"
    s:type " + y"
    s:expect "neap> x * 2 + y"
    s:press("BSpace", "2")
    s:expect "neap> x * 2 + 2\n42"
    s:press "Enter"
    s:expect "neap> x * 2 + 2\n42\nneap>"
    s:type "x + 1"
    s:expect "neap> x + 1\n21"
    s:press "C-c"
    s:expect "neap> x + 1^C\nneap>"
  end)

  it("shows none with NEAP_PREVIEW=0", function()
    local s <close> = prompt {env = {NEAP_PREVIEW = "0"}}
    s:type "1 + 2"
    s:expect "neap> 1 + 2"
    task.sleep(0.2)
    s:expect "neap> 1 + 2"
  end)
end)
