-- Rules: what a world's director decides about messages in flight.

local worlds = require "neap.sim"

local function run(f, options)
  options = options or {}
  options.quiet = true
  local ok, err = worlds.run(f, options)
  return ok, err, err and err.output
end

describe("a rule", function()
  it("lets messages pass, be lost, late, twice, or other ones", function()
    local _, err, printed = run(function()
      local net = require "neap.net"
      local sim = require "neap.sim"
      local task = require "neap.task"
      sim.link {latency = 0.001}
      local socket = assert(net.bind "udp://*:7000")
      sim.host("sender", function()
        local sending = assert(require "neap.net".connect "udp://director:7000")
        for word in ("pass drop late twice other all"):gmatch "%S+" do
          sending:send(word)
          require "neap.task".sleep(0.1)
        end
        require "neap.task".sleep(10)
      end)
      local first = sim.rule(function(message)
        local m = message
        assert(m.from == "sender" and m.to == "director" and m.protocol == "udp" and m.dst == "10.0.0.1"
          and m.src == "10.0.0.2" and m.dst_port == 7000 and m.src_port > 1023)
        assert(m:packet().udp.dst_port == 7000 and m:packet().raw.data == m.bytes)
        if m.bytes == "other" then
          m.bytes = "an" .. m.bytes
        elseif m.bytes == "drop" then
          return "drop"
        end
        return ({late = 5, twice = "duplicate"})[m.bytes]
      end)
      local asked = {}
      sim.rule(function(message)
        asked[#asked + 1] = message.bytes
      end)
      sim.at(0.45, function()
        first:remove()
        first:remove()
      end)
      task.timeout(9, function()
        while true do
          local message = socket:recv()
          print(("%.1f %s"):format(sim.now(), message))
        end
      end)
      print(table.concat(asked, " "))
      error "over"
    end)
    assert.matches("^0.0 pass\n0.3 twice\n0.3 twice\n0.4 another\n0.5 all\n5.2 late\npass another all\n",
      printed, tostring(err))
  end)

  it("is the same in each run, and none changes nothing", function()
    local function world()
      local net = require "neap.net"
      local sim = require "neap.sim"
      if arg[1] then
        sim.rule(function()
          return sim.random(2) == 1 and "drop" or sim.random(10) / 1000
        end):remove()
      end
      if arg[2] then
        sim.rule(function()
          return sim.random(2) == 1 and "drop" or sim.random(10) / 1000
        end)
      end
      local socket = assert(net.bind "udp://*:7000")
      sim.host("sender", function()
        local sending = assert(require "neap.net".connect "udp://director:7000")
        for i = 1, 20 do
          sending:send(tostring(i))
        end
        require "neap.task".sleep(10)
      end)
      require "neap.task".timeout(9, function()
        while true do
          local message = socket:recv()
          print(sim.now(), message)
        end
      end)
      os.exit(3)
    end
    local function printed(...)
      return (select(3, run(world, {args = {...}})))
    end
    local none, some = printed(), printed("removed", "set")
    assert.equal(none, printed "removed")
    assert.equal(some, printed("removed", "set"))
    assert.not_equal(none, some)
    assert.matches("%d\n", some)
  end)

  it("is told what it may not return, and that it is a function", function()
    local _, _, printed = run(function()
      local net = require "neap.net"
      local sim = require "neap.sim"
      assert(not pcall(sim.rule))
      sim.host("there", function()
        require "neap.task".sleep(10)
      end)
      sim.rule(function()
        return "loose"
      end)
      assert(net.connect "udp://there:7"):send "x"
      require "neap.task".sleep(5)
    end)
    assert.matches('a rule returns nothing, "drop", "duplicate" or seconds, and not "loose"', printed)
  end)
end)
