local found = require "neap.repl.found"

local function texts(result)
  local list = {}
  for i, candidate in ipairs(result.candidates) do
    list[i] = candidate.text
  end
  return list
end

describe("what is found", function()
  it("begins with the word, in order, each once", function()
    local f = found.new "ab"
    for _, name in ipairs {"abz", "b", "aba", "abz", "a"} do
      f:add(name, {kind = name})
    end
    f:keys({abc = 1, aba = 2, b = 3, ["ab c"] = 4, [1] = 5, ["ab"] = 6}, false)
    local result = f:result(7)
    assert.same({"ab", "aba", "abc", "abz"}, texts(result))
    assert.same({7, "ab", 0}, {result.first, result.common, result.more})
    assert.equal("aba", result.candidates[2].kind)
  end)

  it("is of functions only, where asked for", function()
    local f = found.new ""
    f:keys({f = print, x = 1, __index = print, ["end"] = print}, true)
    assert.same({"f"}, texts(f:result(1)))
    f = found.new "__"
    f:keys({__index = print}, true)
    assert.same({"__index"}, texts(f:result(1)))
  end)

  it("is bounded, and has in common what all have", function()
    local f = found.new ""
    local t = {}
    for i = 1, 1000 do
      t[("k%04d"):format(i)] = i
    end
    f:keys(t, false)
    local result = f:result(1, function(candidate)
      candidate.doc = candidate.text
    end)
    assert.equal(found.LISTED, #result.candidates)
    assert.equal(1000 - found.LISTED, result.more)
    assert.same({"k", "k0001", "k0001"}, {result.common, result.candidates[1].text,
      result.candidates[1].doc})
    f = found.new "x"
    f:keys(t, false)
    assert.same({"x", 0}, {f:result(1).common, f:result(1).more})
  end)
end)
