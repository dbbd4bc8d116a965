-- scripts/soak, for some seconds: what it is for takes it half an hour.

local child = require "spec.support.child"
local folder = require "spec.support.folder"
local process = require "neap.process"

package.path = "spec/soak/?.lua;" .. package.path
local measure = require "measure"

setup(folder.make)
teardown(folder.remove)

local function soak(...)
  local env = process.env()
  env.NEAP_SOAK = folder.path
  env.NEAP_RESOLV_CONF = folder.path .. "/resolv.conf"
  return assert(process.run {child.neap, "spec/soak/main.lua", env = env, ...})
end

describe("a soak", function()
  it("leaves nothing behind, and fails nowhere but where peers die", function()
    local result = soak("2", "--connections=40", "--rate=30", "--victims=20", "--late=2000")
    assert.equal("", result.stderr)
    assert.matches("\nsoak: ok\n$", result.stdout)
    assert.equal(0, result.code)
  end)

  it("finds what is broken", function()
    local result = soak("1", "--connections=2", "--rate=2", "--victims=0", "--break=descriptors",
      "--break=tasks", "--break=errors", "--break=timers")
    assert.equal(1, result.code)
    assert.matches("FAILED: left behind: descriptors %+1, tasks %+1\n", result.stdout)
    assert.matches("FAILED: 1 errors:\n *1 x on purpose\n", result.stdout)
    assert.matches("FAILED: timers are late", result.stdout)
  end)
end)

describe("memory", function()
  local function grown(by, noise)
    local memory = measure.memory()
    for i = 1, 60 do
      memory.n, memory.sum_rss, memory.sum_lua = 1, 100 + by * i / 6 + noise * (i % 2), 10
      memory:window(10 * i)
    end
    return memory:slopes()
  end

  it("grows by its slope, in MB a minute, and is given the benefit of the doubt", function()
    assert.is_true(math.abs(grown(0.5, 0).grows - 0.5) < 1e-6)
    assert.is_true(grown(0.5, 0.1).grows > 0.4)
    assert.is_true(grown(0.05, 0.1).grows < 0.1)
    assert.is_true(grown(0.2, 20).grows < 0.1)
  end)

  it("is not judged by a short run", function()
    local memory = measure.memory()
    for i = 1, 5 do
      memory:sample()
      memory:window(10 * i)
    end
    assert.is_nil(memory:slopes())
  end)
end)
