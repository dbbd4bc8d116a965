-- `neap sim -i`, in a terminal.

local child = require "spec.support.child"
local process = require "neap.process"
local screen = require "spec.support.screen"

local WORLD = [[
local net = require "neap.net"
local sim = require "neap.sim"
local task = require "neap.task"
sim.link {latency = 0.5}
sim.host("server", function()
  local socket = assert(require "neap.net".bind "udp://*:7")
  for message, from in socket:messages() do
    socket:send(message, from)
  end
end)
sim.client("client", function()
  local socket = assert(net.connect "udp://server:7")
  for i = 1, 3 do
    socket:send("hello " .. i)
    print(task.timeout(5, function() return (socket:recv()) end))
  end
end)]]

--- What an input prints.
local function typed(terminal, text)
  terminal:clear()
  terminal:enter(text)
  return (terminal:expect "neap>")
end

describe("neap sim -i", function()
  local path = os.tmpname()

  setup(function()
    local file <close> = assert(io.open(path, "w"))
    file:write(WORLD)
  end)

  teardown(function()
    os.remove(path)
  end)

  it("lets a world go on by events and seconds, shows what passes, and looks into its hosts", function()
    if not screen.is_there() then
      pending "tmux is not installed"
    end
    local terminal <close> = screen.open({"sim", "-i", "--seed=7", path}, {columns = 120})
    terminal:find "neap sim: seed 0x7, not begun"
    terminal:expect "neap>"
    assert.matches(":run takes seconds", typed(terminal, ":run soon"))
    assert.matches(":step takes a number of events", typed(terminal, ":step -1"))
    assert.matches("%+0%.000000s  seed 0x7 goes on\n", typed(terminal, ":step"))
    local printed = typed(terminal, ":run 1.2s")
    assert.matches("director > server: ip 10%.0%.0%.1 > 10%.0%.0%.2 / udp %d+ > 7 / raw 7 bytes, arrives at %+",
      printed)
    assert.matches("%+1%.200000s  seed 0x7 goes on\n", printed)
    assert.matches("ID +TASK +STATE .*main +waiting +recv on datagram", typed(terminal, ":ps server"))
    assert.matches("udp +open .*%[::%]:7", typed(terminal, ":netstat server"))
    typed(terminal, ":hold server")
    assert.matches("director > server: held\nserver > director: held\n", typed(terminal, ":links"))
    assert.not_matches("hello 2", typed(terminal, ":run 3s"))
    typed(terminal, ":release")
    assert.matches("hello 2\n", typed(terminal, ":run 2s"))
    assert.matches("there is no host 'nobody'", typed(terminal, ":partition nobody"))
    typed(terminal, ":partition server")
    assert.matches("director > server: cut\n", typed(terminal, ":links"))
    typed(terminal, ":heal")
    assert.not_matches("cut", typed(terminal, ":links"))
    typed(terminal, ":messages")
    printed = typed(terminal, ":run")
    assert.not_matches("udp", printed)
    assert.matches("seed 0x7 has ended\n", printed)
    terminal:enter ":help"
    terminal:find "  :netstat [HOST] the sockets of a host\n"
    terminal:press "q"
    terminal:expect "neap>"
    terminal:press "C-d"
    terminal:find "(ended with 0)"
  end)

  it("goes on until ^C, and its status is that of the run", function()
    if not screen.is_there() then
      pending "tmux is not installed"
    end
    local endless = os.tmpname()
    local file = assert(io.open(endless, "w"))
    file:write [[
      local sim = require "neap.sim"
      sim.limit(tonumber(arg[1]))
      sim.every(1, function() end)
      sim.client("client", function() require "neap.task".sleep(1e8) error "over" end)]]
    file:close()
    local terminal <close> = screen.open {"sim", "-i", endless, "1e8"}
    terminal:expect "neap>"
    terminal:enter ":run"
    terminal:find ":run\n"
    terminal:press "C-c"
    terminal:find "cancelled"
    terminal:expect "neap>"
    assert.matches("%+%d+%.%d+s  seed 0x1 goes on\n", typed(terminal, ":step"))
    terminal:press "C-d"
    terminal:find "(ended with 0)"
    local fails = assert(process.run {child.neap, "sim", "-i", endless, "100", input = ":run\n"})
    assert.equal(1, fails.code)
    assert.matches("seed 0x1 has failed: the limit, 100 s, is reached\n", fails.stdout)
    os.remove(endless)
  end)
end)
