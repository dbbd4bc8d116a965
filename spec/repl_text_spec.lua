local text_of = require "neap.repl.text"

describe("text", function()
  it("escapes what moves the cursor, hides, or turns the direction", function()
    assert.equal("a\\n\\x1b[2Jb\\\"", text_of.escaped 'a\n\27[2Jb"')
    assert.equal("\\u{202e}\\u{9b}\\u{feff}\\u{2066}", text_of.escaped "\u{202e}\u{9b}\u{feff}\u{2066}")
    assert.equal("grün 日本", text_of.escaped "grün 日本")
  end)

  it("is cut between characters", function()
    local all = "aü日😀"
    for n = 0, #all do
      local head = text_of.head(all, n)
      assert.is_true(#head <= n)
      if n > 0 then
        assert.is_not_nil(utf8.len(head), n)
      end
    end
    assert.equal(all, text_of.head(all, 100))
  end)

  it("is told from bytes", function()
    for _, yes in ipairs {"", "abc\n\t", "ü", "\27[1m"} do
      assert.is_true(text_of.is(yes))
    end
    for _, no in ipairs {"\0", "\xff", "a\1b", "\xc3"} do
      assert.is_false(text_of.is(no))
    end
  end)

  it("makes names short, and one line", function()
    assert.equal("a\\nb", text_of.name "a\nb")
    assert.equal(("x"):rep(60) .. "...", text_of.name(("x"):rep(100)))
    assert.equal("?", text_of.name "\0")
  end)
end)
