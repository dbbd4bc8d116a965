-- What `neap sim` tells of a run that failed.

local lfs = require "lfs"

local child = require "spec.support.child"
local folder = require "spec.support.folder"
local process = require "neap.process"
local worlds = require "neap.sim"

local write = folder.write

setup(folder.make)
teardown(folder.remove)

local function neap_sim(...)
  return assert(process.run {child.neap, "sim", cwd = folder.path, ...})
end

local function failure(f, options)
  options = options or {}
  options.quiet = true
  local ok, err = worlds.run(f, options)
  assert.is_nil(ok)
  return err.message, err.output
end

describe("a run that fails", function()
  it("says in its last line why, and where: the director's error, a host's, who waits", function()
    assert.matches("^seed 0x1 at %+0%.%d+s: spec/sim_tool_spec%.lua:%d+: boom$", failure(function()
      error "boom\nand more"
    end))
    assert.matches("ECONNREFUSED%) %(spec/sim_tool_spec%.lua:%d+%)$", failure(function()
      assert(require "neap.net".connect "tcp://127.0.0.1:7")
    end))
    assert.matches("^seed 0x1 at %+1%.%d+s: one has ended with status 1: spec/sim_tool_spec%.lua:%d+: boom$",
      failure(function()
        require "neap.sim".host("one", function()
          require "neap.task".sleep(1)
          error "boom"
        end)
      end))
    assert.matches('^seed 0x1 at %+0%.%d+s: deadlock: task 1 "main" waits for channel recv at '
      .. 'spec/sim_tool_spec%.lua:%d+$', failure(function()
        require "neap.task".channel():recv()
      end))
    assert.matches("^seed 0x1 at %+0%.%d+s: the run has failed, with status 7$", failure(function()
      os.exit(7)
    end))
  end)

  it("at its limit tells who waits", function()
    local why, printed = failure(function()
      local sim = require "neap.sim"
      sim.host("server", function()
        local listener = require "neap.net".listen "tcp://*:7000"
        local held = listener:accept()
        require "neap.task".sleep(1e6)
        held:close()
      end)
      sim.client("reader", function()
        local stream = assert(require "neap.net".connect "tcp://server:7000")
        stream:read()
      end)
    end, {limit = 20})
    assert.matches("the limit, 20 s, is reached$", why)
    assert.matches('director: these tasks wait:\n  task %d+ "reader"[^\n]* waits for read at '
      .. 'spec/sim_tool_spec%.lua:%d+\n', printed)
    assert.matches('server: these tasks wait:\nserver:   task 1 "main" waits for sleep at '
      .. 'spec/sim_tool_spec%.lua:%d+\n', printed)
  end)
end)

describe("neap sim --check", function()
  it("tells the first event that differs between two runs of a seed", function()
    write("outside.lua", [[
      local lfs = require "lfs"
      local sim = require "neap.sim"
      sim.host("one", function() require "neap.task".sleep(9) end)
      sim.at(2, function()
        if not lfs.mkdir "been_here" then
          require "neap.task".sleep(0.5)
        end
      end)
      sim.client("client", function() require "neap.task".sleep(5) end)]])
    local result = neap_sim("--check", "outside.lua")
    lfs.rmdir(folder.path .. "/been_here")
    assert.equal(1, result.code, result.stderr)
    assert.matches("^neap: seed 0x1 at %+5%.%d+s: a second run was another one: at %+[%d.]+s [^\n;]+; then at "
      .. "%+[%d.]+s [^\n]+\nneap: replay: neap sim outside%.lua %-%-seed 0x1 %-%-check %-%-trace\n$", result.stderr)
    assert.is_true(tonumber(result.stderr:match "another one: at %+([%d.]+)") >= 2)
    write("inside.lua", [[require "neap.sim".client("client", function() require "neap.task".sleep(5) end)]])
    assert.equal(0, neap_sim("--check", "inside.lua").code)
  end)
end)

describe("neap sim --pcap", function()
  it("writes what passes between hosts, whole and numbered, at the world's time", function()
    write("network.lua", [[
      local net = require "neap.net"
      local sim = require "neap.sim"
      local task = require "neap.task"
      sim.link {latency = 0.1}
      sim.host("server", function()
        local udp = assert(require "neap.net".bind "udp://*:7")
        require "neap.task".spawn(function()
          for message, from in udp:messages() do
            udp:send(message, from)
          end
        end)
        assert(require "neap.net".listen "tcp://*:8080"):serve(function(stream)
          for line in stream:lines() do
            stream:write(line:rep(4000), "\n")
          end
        end)
      end)
      sim.client("client", function()
        local udp = assert(net.connect "udp://server:7")
        udp:send "hello"
        udp:recv()
        assert(not net.connect "tcp://server:81")
        for _, kind in ipairs {"tcp", "tcp6"} do
          local stream <close> = assert(net.connect(kind .. "://server:8080"))
          stream:write("12345\n", "6789\n")
          assert(#stream:read() == 20000 and #stream:read() == 16000)
        end
        task.sleep(5)
      end)]])
    local result = neap_sim("--pcap=net.pcapng", "network.lua")
    assert.equal("", result.stderr)
    local packet = require "neap.packet"
    local streams, first = {}, nil
    for bytes, info in assert(require "neap.pcap".reader(folder.path .. "/net.pcapng")) do
      local p = packet.dissect(bytes, info.linktype)
      first = first or info.ns
      assert.equal("network", info.name)
      local ip = p.ip or p.ipv6
      if p.tcp then
        local key = ("%s %d %d"):format(ip.src, p.tcp.src_port, p.tcp.dst_port)
        local flow = streams[key] or {next = 0, bytes = 0}
        streams[key] = flow
        local data = p.raw and p.raw.data or ""
        assert.equal(flow.next, p.tcp.seq)
        flow.next = flow.next + #data + (p.tcp.flags:find "SYN" and 1 or 0) + (p.tcp.flags:find "FIN" and 1 or 0)
        flow.bytes = flow.bytes + #data
      end
    end
    assert.is_true(first >= 946684800000000000 and first < 946684801000000000)
    local sizes = {}
    for _, flow in pairs(streams) do
      sizes[#sizes + 1] = flow.bytes
    end
    table.sort(sizes)
    assert.same({0, 0, 0, 0, 11, 11, 36002, 36002}, sizes)
    if process.run({"sh", "-c", "command -v tshark"}).code == 0 then
      local complaints = assert(process.run {"tshark", "-n", "-r", folder.path .. "/net.pcapng", "-o",
        "tcp.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE", "-Y",
        "_ws.expert.severity >= warning && !tcp.flags.reset == 1"})
      assert.equal("", complaints.stdout)
    end
  end)

  it("is of one seed, and of a file that can be", function()
    write("empty.lua", "")
    local result = neap_sim("--pcap=x.pcapng", "--seeds=3", "empty.lua")
    assert.equal(2, result.code)
    assert.matches("%-%-pcap is of one run", result.stderr)
    assert.equal(2, neap_sim("--pcap=/nonexistent/x.pcapng", "empty.lua").code)
  end)
end)

describe("neap sim", function()
  it("leaves to the script what is behind it, from the first word on that is no option of its own", function()
    write("words.lua", [[
      print(...)
      assert(require "neap.sim".seed() ~= 3, "three")]])
    assert.equal("a\t--seed\t9\n", neap_sim("--seed=1", "words.lua", "a", "--seed", "9").stdout)
    assert.equal("--fast\t-n\n", neap_sim("words.lua", "--seed", "2", "--fast", "-n").stdout)
    local result = neap_sim("words.lua", "-kn", "3-4", "b", "--trace")
    assert.matches("neap: replay: neap sim words%.lua %-%-seed 0x3 %-%-trace b %-%-trace\n", result.stderr)
    assert.matches("^neap sim: [^\n]*%-%-fast", neap_sim("--fast", "words.lua").stderr)
    write("server.lua", [[print(...)]])
    assert.equal("server: --trace\nclient: \n", neap_sim("server.lua", "x", "--trace", "--", "server.lua").stdout
      :gsub("x\t", ""))
  end)

  it("goes by the folder of the world's file, wherever it is called, and to the same end", function()
    write("there.lua", [[
      local sim = require "neap.sim"
      local helper = require "helper"
      sim.host("one", "host.lua"):wait()
      print(arg[0], helper, collectgarbage "count", tostring {})
      error "over"]])
    write("helper.lua", [[return "helps"]])
    write("host.lua", [[print(arg[0], assert(io.open "there.lua"):read "l", collectgarbage "count")]])
    local within = neap_sim("there.lua")
    assert.matches("^one: host%.lua\t%s*local sim[^\n]*\nthere%.lua\thelps\t", within.stdout)
    local function outside(...)
      return assert(process.run {child.neap, "sim", ...})
    end
    local elsewhere = outside(folder.path .. "/there.lua")
    assert.equal(within.stdout, elsewhere.stdout)
    assert.equal(within.stderr:gsub("there%.lua %-%-seed", ""),
      elsewhere.stderr:gsub(folder.path:gsub("%p", "%%%0") .. "/there%.lua %-%-seed", ""))
    local parts = outside(folder.path .. "/there.lua", "-kj2", "--seeds=2")
    assert.matches("2 seeds, 2 failed\n$", parts.stdout, parts.stderr)
  end)

  it("lets tasks run in their order by --order=fifo, which is part of the replay", function()
    write("order.lua", [[
      local task = require "neap.task"
      local order = {}
      for i = 1, 9 do
        task.spawn(function() order[#order + 1] = i end)
      end
      require "neap.sim".client("client", function()
        task.sleep(1)
        error(table.concat(order), 0)
      end)]])
    local result = neap_sim("order.lua", "--order", "fifo")
    assert.matches(": 123456789 [^\n]*\nneap: replay: neap sim order%.lua %-%-seed 0x1 %-%-order fifo %-%-trace\n$",
      result.stderr)
    assert.not_matches("123456789", neap_sim("order.lua").stderr)
    assert.equal(2, neap_sim("--order=lifo", "order.lua").code)
  end)

  it("has no LuaSocket before the verb", function()
    local result = assert(process.run {child.neap, "--luasocket", "sim", "x.lua"})
    assert.equal(2, result.code)
    assert.matches("%-%-luasocket does not reach simulated hosts", result.stderr)
  end)
end)

describe("a simulated host", function()
  it("sees nothing of the kernel's, and not whom the machine asks for names", function()
    local _, printed = failure(function()
      local sim = require "neap.sim"
      sim.host("one", function()
        local fs = require "neap.fs"
        for _, path in ipairs {"/proc/self/stat", "/proc/self/exe", "/sys/kernel/uevent_seqnum", "/dev/urandom"} do
          for _, verb in ipairs {"read", "stat"} do
            local got, err = fs[verb](path)
            print(got == nil and err.code)
          end
        end
        print(select(3, io.open "/etc/resolv.conf") ~= nil, fs.stat "spec" ~= nil)
        print(select(2, require "neap.dns".query("a.example", "A")))
      end):wait()
      error "over"
    end)
    assert.matches("^" .. ("one: ENOSYS\n"):rep(8) .. "one: true\ttrue\none: [^\n]*127%.0%.0%.1:53", printed)
  end)
end)
