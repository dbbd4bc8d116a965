-- Scripts observe the same by the kernel and by the simulation: what each of the cases of
-- spec/sim_conformance/ has printed.

local child = require "spec.support.child"
local folder = require "spec.support.folder"
local process = require "neap.process"

-- Two seeds: other segments, other ports, another order of tasks.
local SEEDS = {1, 2}

local function lines(text)
  local out = {}
  for line in text:gmatch "[^\n]+" do
    out[#out + 1] = line
  end
  return out
end

--- What a command prints, which is to say nothing else.
local function printed(command)
  local result = assert(process.run(command))
  if result.stderr:find "^unshare:" then
    pending "no network namespaces here"
  end
  assert.equal("", result.stderr)
  assert.equal(0, result.code)
  return lines(result.stdout)
end

--- A network of its own, where raw IP is sent, and whoever likes may ping.
local ISOLATED = [[
  ip link set lo up
  echo 0 65535 > /proc/sys/net/ipv4/ping_group_range
  exec "$0" "$@"
]]

--- The same by the kernel, which `before` neap has, and by the simulation.
local function compare(name, before, least)
  local path = ("spec/sim_conformance/%s.lua"):format(name)
  local command = {table.unpack(before)}
  table.move({child.neap, path, folder.path}, 1, 3, #command + 1, command)
  local real = printed(command)
  assert.is_true(#real >= least)
  for _, seed in ipairs(SEEDS) do
    assert.same(real, printed {child.neap, "sim", "--seed=" .. seed, path, folder.path})
  end
end

describe("a script on simulated sockets", function()
  before_each(folder.make)
  after_each(folder.remove)

  it("observes of streams what it does on the kernel's", function()
    compare("streams", {}, 180)
  end)

  it("observes of messages what it does on the kernel's", function()
    compare("messages", {}, 50)
  end)

  it("observes of ping sockets and raw IP what it does on the kernel's", function()
    compare("packets", {"unshare", "-n", "sh", "-c", ISOLATED}, 5)
  end)
end)
