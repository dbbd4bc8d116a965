local smallest = require "neap.repl.smallest"

describe("smallest", function()
  it("keeps the first ones in order, whatever order they come in", function()
    math.randomseed(1)
    for _, n in ipairs {0, 1, 4, 5, 6, 9, 10, 11, 1000} do
      local all, kept = {}, smallest.new(5)
      for i = 1, n do
        all[i] = math.random(1, 2 * n)
        kept:add(all[i])
      end
      table.sort(all)
      assert.same(table.move(all, 1, math.min(5, n), 1, {}), kept:list())
      assert.equal(n, kept.count)
    end
  end)
end)
