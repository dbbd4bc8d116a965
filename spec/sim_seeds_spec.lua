-- Seeds: bugs that they find, and that each is the same again. scripts/check-sim does this at full
-- size.

local child = require "spec.support.child"
local process = require "neap.process"
local runs = require "neap.sim.runs"
local worlds = require "neap.sim"

-- What simulates a whole world many times over is for a build that is fast.
local SEEDS = child.sanitized and 3 or 50

-- From that seed on each is sought, for some seeds: what neap does moves them.
local bugs = {
  connect_timeout = 1, double_close = 8, half_close = 1, lease = 1, lost_ack = 2, old_datagram = 1,
  one_read = 3, pairs_order = 1, queue = 1, retry = 1,
}

for name, first in pairs(child.sanitized and {} or bugs) do
  describe("the bug of " .. name, function()
    it("is found, and its mended twin fails in none of the seeds", function()
      local script = ("spec/sim_bugs/%s.lua"):format(name)
      local seed = first
      while worlds.run(script, {seed = seed, quiet = true}) do
        seed = seed + 1
        assert(seed < first + 40, "it is not found")
      end
      for n = first, seed do
        assert(worlds.run(script, {args = {"mended"}, seed = n, quiet = true}))
      end
    end)
  end)
end

describe("a seed", function()
  for first = 1, SEEDS, 10 do
    local last = math.min(first + 9, SEEDS)
    it(("from %d to %d is the same again"):format(first, last), function()
      local before
      for seed = first, last do
        local one = runs.one({name = "spec/sim_world.lua", args = {}}, seed, {})
        local again = runs.one({name = "spec/sim_world.lua", args = {}}, seed, {})
        assert.is_nil(one.failed)
        assert.equal(one.hash, again.hash)
        assert.same(one.output, again.output)
        assert.not_equal(before, one.hash)
        before = one.hash
      end
    end)
  end

  -- An arena hides what is read or written behind its time.
  it("runs with libc's allocator, too", function()
    local env = process.env()
    env.NEAP_SIM_ALLOC = "libc"
    local result = assert(process.run {child.neap, "sim", "spec/sim_world.lua", "--seeds=3", env = env})
    assert.equal("", result.stderr)
    assert.equal("3 seeds, 0 failed\n", result.stdout)
  end)
end)
