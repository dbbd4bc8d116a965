-- The worlds of scripts/sim: each finds its bug, the same one again by the line that it prints,
-- and none in what is mended.

local neap = require "spec.support.child".neap
local process = require "neap.process"

local function run(...)
  return assert(process.run {neap, "sim", ...})
end

local function last_failure(result)
  return result.stderr:match "neap: (seed 0x%x+ at [^\n]*)\nneap: replay: [^\n]*\n$"
end

for _, case in ipairs {
  {"leases", "store has ended with status 1", "fault: %d+ skew [^\n]*\n"},
  {"members", "eventually: everybody knows everybody: not within 60 s: m%d knows of %d of %d",
    "fault: %d+ partition [^\n]*\n"},
  {"payments", "eventually: what was ordered is paid, once: not within 10 s: paid %d+ of %d+",
    "fault: %d+ %l+ [^\n]*\n"},
} do
  local name, failure, fault = table.unpack(case)
  local script = ("scripts/sim/%s.lua"):format(name)

  describe("the world of " .. name, function()
    it("finds what is wrong, needs few faults for that, and does so again", function()
      local found = run(script, "--seeds=10", "--shrink")
      assert.equal(1, found.code)
      local last = last_failure(found)
      assert.matches("^seed 0x%x+ at %+[%d.]+s: " .. failure .. "$", last)
      assert.matches(" faults, of which these are needed: [%d.:]+,?[%d.:]*,?[%d.:]*\n", found.stderr)
      local seed, keep = found.stderr:match "%-%-seed (0x%x+) %-%-keep (%S+) %-%-trace\n$"
      local again = run(script, "--seed=" .. seed, "--keep=" .. keep, "--trace")
      assert.equal(last, last_failure(again))
      assert.matches(fault, again.stdout)
    end)

    it("finds nothing wrong with what is mended", function()
      local result = run(script, "--seeds=6", "mended")
      assert.equal("", result.stderr)
      assert.equal("6 seeds, 0 failed\n", result.stdout)
    end)
  end)
end
