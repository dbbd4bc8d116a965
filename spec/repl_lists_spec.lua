local host = require "neap.host"
local lists = require "neap.repl.lists"
local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"
local width = require "neap.repl.width"
local time = require "neap.time"

--- The line of a list that has this text in it.
local function line_of(list, text)
  for line in list:gmatch "[^\n]+" do
    if line:find(text, 1, true) then
      return line
    end
  end
  error(("no line with '%s' in\n%s"):format(text, list))
end

local function here()
  local info = debug.getinfo(2, "Sl")
  return ("%s:%d"):format(info.short_src, info.currentline)
end

describe("ps", function()
  it("tells name, state, what is waited for, how long, where, and the spawn site", function()
    task.sleep(0.001) -- waits are counted from the loop's last turn
    local site = here()
    local t = task.spawn(function() task.sleep(100) end)
    t.name = "sleeper"
    task.sleep(0.25)
    local line = line_of(lists.ps(), "sleeper")
    t:cancel()
    assert.matches("sleeper +waiting +sleep, 1:3%d left +0%.[2-9] s ", line)
    local next_line = site:gsub("%d+$", function(n) return n + 1 end)
    assert.is_not_nil(line:find(next_line .. "  " .. next_line, 1, true), line)
  end)

  it("tells which socket and which task is waited for", function()
    local a <close>, b = net.socketpair()
    local reader = task.spawn(function() return a:read "l" end)
    reader.name = "reader"
    local joiner = task.spawn(function() return reader:join() end)
    joiner.name = "joiner"
    task.yield()
    local list = lists.ps()
    b:write "x\n"
    joiner:join()
    local id = tostring(a):match "%d+"
    assert.matches("read on stream " .. id, line_of(list, "reader"))
    assert.matches("join on task " .. reader.id, line_of(list, "joiner"))
  end)

  it("shows the tree", function()
    local list
    local outer = task.spawn(function()
      task.scope(function(scope)
        scope:spawn(task.sleep, 100).name = "inner"
        task.yield()
        list = lists.ps()
        scope:cancel()
      end)
    end)
    outer.name = "outer"
    outer:join()
    local depth = line_of(list, "outer"):find "outer"
    assert.equal(depth + 2, line_of(list, "inner"):find "inner")
    assert.is_true(list:find "outer" < list:find "inner")
  end)

  it("is bounded", function()
    task.scope(function(scope)
      for _ = 1, 50 do
        scope:spawn(task.sleep, 100)
      end
      task.yield()
      local list = lists.ps {rows = 10}
      local _, lines = list:gsub("\n", "")
      assert.equal(11, lines)
      assert.matches("%.%.%. and %d+ more tasks$", list)
      scope:cancel()
    end)
  end)

  it("fits a window", function()
    local t = task.spawn(task.sleep, 100)
    t.name = ("ä"):rep(30)
    task.yield()
    for _, columns in ipairs {7, 20, 40, 80, 120, 140} do
      for line in lists.ps({columns = columns}):gmatch "[^\n]+" do
        assert(utf8.len(line) <= columns, line)
      end
    end
    assert.matches("ä%.%. ", line_of(lists.ps {columns = 78}, "ää"))
    assert.is_not_nil(line_of(lists.ps(), t.name))
    t.name = ("\u{6F22}"):rep(20) -- of two columns each
    assert.matches("\u{6F22}%.%. ", line_of(lists.ps {columns = 78}, "\u{6F22}"))
    local list = lists.ps()
    assert.equal(list:find "STATE" - 1, width.text(line_of(list, "\u{6F22}"):match "^(.-)waiting"))
    t:cancel()
  end)

  it("leaves out what is hidden, with all below", function()
    local list
    local outer = lists.hide(task.spawn(function()
      task.scope(function(scope)
        scope:spawn(task.sleep, 100).name = "inner"
        task.yield()
        list = lists.ps {rows = 1000}
        scope:cancel()
      end)
    end))
    outer.name = "outer"
    outer:join()
    assert.is_nil(list:find "outer")
    assert.is_nil(list:find "inner")
    assert.is_nil(list:find "more tasks")
  end)

  it("takes any name", function()
    local t = task.spawn(task.sleep, 100)
    t.name = "\27[2J\n" .. ("x"):rep(1000)
    local list = lists.ps()
    t:cancel()
    assert.is_nil(list:find "\27")
    assert.is_not_nil(line_of(list, "\\x1b[2J\\nxxx"))
    assert.is_true(#list < 5000)
  end)
end)

describe("socks", function()
  it("tells addresses, state, counts, descriptor, who serves and who waits", function()
    local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
    local server = task.spawn(function()
      listener:serve(function(s)
        s:read(100)
      end)
    end)
    local client <close> = assert(net.connect(listener.endpoint))
    client:write "hello"
    task.sleep(0.02)
    local list = lists.socks()
    local ours, theirs = tostring(client.localaddr), tostring(client.remoteaddr)
    assert.matches(("tcp +open +0 +0 +0 +5 +%s +%s +%d"):format(ours, theirs, client.fd), list)
    local line = line_of(list, theirs .. "  " .. ours)
    assert.matches("tcp +open +5 +0 +5 +0 ", line)
    assert.matches("task %d+ serves, task %d+ reads$", line)
    line = line_of(list, "listening")
    assert.matches(("tcp +listening +%%- +%%- +1 +%%- +%s +%%*"):format(theirs), line)
    assert.matches("task %d+ accepts$", line)
    client:close()
    listener:close()
    server:join()
  end)

  it("agrees with ss", function()
    local ok, ss = pcall(process.run, {"ss", "-tnxaH"})
    if not ok or not ss or ss.code ~= 0 then
      pending "ss (Debian: iproute2) is missing"
    end
    local path = os.tmpname()
    os.remove(path)
    local a <close> = assert(net.listen "tcp://127.0.0.1:0")
    local b <close> = assert(net.listen("unix:" .. path))
    local c <close> = assert(net.connect(a.endpoint))
    local d <close> = assert(a:accept())
    local text = assert(process.run {"ss", "-tnxaH"}).stdout
    local seen = 0
    for _, row in ipairs(host.sockets()) do
      local from, to = tostring(row.localaddr), tostring(row.remoteaddr)
      local pattern
      if row.kind == "listener" then
        pattern = "LISTEN%s+%d+%s+%d+%s+" .. from:gsub("%p", "%%%0")
      elseif row.protocol == "tcp" then
        pattern = "ESTAB%s+0%s+0%s+" .. from:gsub("%p", "%%%0") .. "%s+" .. to:gsub("%p", "%%%0")
      end
      if pattern and row.state ~= "closing" then
        assert(text:find(pattern), pattern)
        seen = seen + 1
      end
    end
    assert.is_true(seen >= 4)
    assert.is_not_nil(c and d and b)
  end)

  it("counts bytes of streams, messages, and relays", function()
    local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
    local a <close> = assert(net.connect(listener.endpoint))
    local b <close> = assert(listener:accept())
    local c <close> = assert(net.connect(listener.endpoint))
    local d <close> = assert(listener:accept())
    local relay = task.spawn(net.relay, b, c)
    local size = 3000000
    local writer = task.spawn(function()
      a:write(("x"):rep(size))
      a:shutdown()
    end)
    local n = 0
    for chunk in d:chunks() do
      n = n + #chunk
    end
    writer:join()
    d:close()
    assert.equal(size, n)
    local left, right = host.socket(b), host.socket(c)
    assert.equal(size, host.socket(a).sent)
    assert.equal(size, left.received)
    assert.equal(size, right.sent)
    a:close()
    relay:join()
    local u <close> = assert(net.bind "udp://127.0.0.1:0")
    local v <close> = assert(net.bind "udp://127.0.0.1:0")
    for _ = 1, 100 do
      u:send("hello", v.localaddr)
    end
    for _ = 1, 100 do
      v:recv()
    end
    local sent, got = host.socket(u), host.socket(v)
    assert.same({500, 100}, {sent.sent, sent.messages_out})
    assert.same({500, 100}, {got.received, got.messages_in})
  end)

  it("lists what is closed while it still sends, and forgets it then", function()
    local function closing()
      local n = 0
      for _, row in ipairs(host.sockets()) do
        n = n + (row.state == "closing" and 1 or 0)
      end
      return n
    end
    task.sleep(0.01) -- what the tests before have closed has met its peer's end
    local a, b = net.socketpair()
    assert.equal(0, closing())
    local writer = task.spawn(a.write, a, ("x"):rep(1000000))
    task.yield()
    a:close()
    assert.equal("ECANCELED", select(2, writer:join()).code)
    assert.matches("unix +closing +0 +%d+ ", lists.socks())
    assert.equal(1, closing())
    b:close()
    local start = time.now()
    while closing() > 0 and time.now() < start + 5 do
      task.sleep(0.005)
    end
    assert.equal(0, closing())
    assert.same({nil, tonumber(tostring(a):match "%d+")}, {host.socket(a)})
  end)

  it("is bounded", function()
    local all = {}
    for i = 1, 20 do
      all[2 * i - 1], all[2 * i] = net.socketpair()
    end
    assert.matches("%.%.%. and %d+ more sockets$", lists.socks {rows = 10})
    for _, s in ipairs(all) do
      s:close()
    end
  end)

  it("raises for a list of ids that is no table", function()
    for _, list in ipairs {host.tasks, host.sockets} do
      assert.error_matches(function() list(10, "ids") end, "table expected, got string")
    end
  end)

  it("raises for what is no socket", function()
    assert.error(function() host.socket(io.stdout) end)
    assert.error(function() host.task {} end)
  end)
end)

describe("host.list", function()
  it("lists a folder, and tells why not", function()
    local found = {}
    for _, name in ipairs(assert(host.list "spec")) do
      found[name] = true
    end
    assert.is_true(found["repl_lists_spec.lua"] and found["support/"])
    local list, err = host.list "/nosuch"
    assert.is_nil(list)
    assert.equal("ENOENT", err.code)
  end)
end)
