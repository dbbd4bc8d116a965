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
    assert.matches('of a message a rule returns nothing, "drop", "duplicate" or seconds, and not "loose"', printed)
    _, _, printed = run(function()
      local net, sim = require "neap.net", require "neap.sim"
      sim.host("there", function() require "neap.task".sleep(10) end)
      sim.rule(function() return -1 end)
      assert(net.connect "udp://there:7"):send "x"
      require "neap.task".sleep(5)
    end)
    assert.matches('or seconds, and not %-1\n', printed)
    _, _, printed = run(function()
      local sim = require "neap.sim"
      for _, options in ipairs {1, {stream = true}, {streams = 1}} do
        local _, why = pcall(sim.rule, print, options)
        print(why)
      end
      error "over"
    end)
    assert.matches("sim.rule: options expected, got number\nsim.rule: there is no option 'stream'\n"
      .. "sim.rule: streams: true or false expected\n", printed)
  end)
end)

describe("a rule about streams", function()
  --- A server that answers what it was sent, and a client that says what it has seen.
  local function world(words)
    local net = require "neap.net"
    local sim = require "neap.sim"
    local task = require "neap.task"
    sim.link {latency = 0.001}
    sim.host("server", function()
      assert(require "neap.net".listen "tcp://*:7000"):serve(function(stream)
        local text = stream:read "a"
        stream:write(text and text:upper() or "")
      end)
    end)
    task.sleep(0.01)
    for word in words:gmatch "%S+" do
      local began = sim.now()
      local stream, err = net.connect("tcp4://server:7000", {timeout = 100})
      local answer
      if stream then
        assert(stream:set {user_timeout = 60})
        stream:write(word)
        stream:shutdown()
        answer, err = stream:read "a"
        stream:close()
      end
      print(("%s %s %.1f"):format(word, answer or err.code, sim.now() - began))
    end
    error "over"
  end

  it("is asked about what opens, carries, ends and resets, and may drop, delay and cut that", function()
    local _, err, printed = run(function()
      local sim = require "neap.sim"
      local seen, lost = {}, {}
      sim.rule(function(message)
        assert(message.protocol == "tcp" and message.from ~= message.to)
        local tcp = message:packet().tcp
        assert(tcp.dst_port == message.dst_port and tcp.src_port == message.src_port)
        local what = message.bytes ~= "" and message.bytes or tcp.flags
        seen[#seen + 1] = what
        if what == "once" and not lost[1] then
          lost[1] = true
          return "drop"
        elseif what == "SYN" and not lost[2] and sim.now() > 2 then
          lost[2] = true
          return "drop"
        elseif what == "FIN ACK" and not lost[3] and sim.now() > 4 then
          lost[3] = true
          return "drop"
        end
        return ({late = 5, cut = "cut", never = "drop"})[what]
      end, {streams = true})
      sim.at(62, function()
        print(table.concat(seen, ", "))
      end)
      world "plain once late cut never"
    end, {whole = true})
    assert.matches("^plain PLAIN 0.0\nonce ONCE 0.2\nlate LATE 5.2\ncut ECONNRESET 1.0\n"
      .. "SYN, SYN ACK, plain, FIN ACK, PLAIN, FIN ACK, SYN, SYN ACK, once, once, FIN ACK, ONCE, FIN ACK, "
      .. "SYN, SYN ACK, late, FIN ACK, LATE, FIN ACK, FIN ACK, SYN, SYN, SYN ACK, cut, SYN, SYN ACK, "
      .. ("never, "):rep(8) .. "never\nnever ETIMEDOUT 60.2\n", printed, tostring(err))
  end)

  it("gets the bytes whole and in order, however they are cut, lost and late; and is the same again", function()
    local function one()
      local _, err, printed = run(function()
        local net = require "neap.net"
        local sim = require "neap.sim"
        local lost = 0
        sim.host("sink", function()
          assert(require "neap.net".listen "tcp://*:7000"):serve(function(stream)
            local text = stream:read "a"
            stream:write(#text .. " " .. (text == ("0123456789"):rep(20000) and "whole" or "not"))
          end)
        end)
        require "neap.task".sleep(0.01)
        local rule = sim.rule(function()
          local draw = sim.random(10)
          lost = lost + (draw == 1 and 1 or 0)
          return draw == 1 and "drop" or draw == 2 and sim.random(100) / 1000 or nil
        end, {streams = true})
        for number = 1, 3 do
          local stream <close> = assert(net.connect "tcp://sink:7000")
          for _ = 1, 20 do
            stream:write(("0123456789"):rep(1000))
          end
          stream:shutdown()
          if number == 3 then
            rule:remove()
          end
          print(stream:read "a")
        end
        print(lost > 3, sim.now())
        error "over"
      end)
      return printed .. err.message
    end
    local first = one()
    assert.matches("^200000 whole\n200000 whole\n200000 whole\ntrue\t", first)
    assert.equal(first, one())
  end)
end)
