local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"
local time = require "neap.time"
local aside = require "spec.support.aside"
local child = require "spec.support.child"
local code_of = require "spec.support.code_of"

--- Where to listen, by the kinds that there are.
local endpoints = {tcp = "tcp://127.0.0.1:0", unix = "unix:@", mem = "mem:listener_spec"}

local function has_strace()
  return os.execute "strace -V >/dev/null 2>&1"
end

for _, kind in ipairs {"tcp", "unix", "mem"} do
  describe(("a listener (%s)"):format(kind), function()
    local listener

    before_each(function()
      listener = assert(net.listen(endpoints[kind]))
    end)

    after_each(function()
      listener:close()
    end)

    local function connect()
      return assert(net.connect(listener.endpoint))
    end

    it("accepts connections in their order", function()
      local clients = {}
      for i = 1, 5 do
        clients[i] = connect()
        clients[i]:write(i)
      end
      for i = 1, 5 do
        local stream <close> = assert(listener:accept())
        assert.equal(tostring(i), stream:recv())
        clients[i]:close()
      end
    end)

    it("gives each connection to one of several that wait", function()
      local got = {}
      local acceptors = {}
      for i = 1, 3 do
        acceptors[i] = aside(function()
          local stream <close> = assert(listener:accept())
          got[i] = stream:recv()
        end)
      end
      task.yield()
      for i = 1, 3 do
        local client <close> = connect()
        client:write(i)
      end
      for i = 1, 3 do
        acceptors[i]:join()
      end
      table.sort(got)
      assert.same({"1", "2", "3"}, got)
    end)

    it("I1: loses no connection to a timeout or a cancelled accept", function()
      local stream, err = task.timeout(0.002, listener.accept, listener)
      assert.is_nil(stream)
      assert.equal("ETIMEDOUT", err.code)
      local acceptor = aside(listener.accept, listener)
      task.yield()
      local client <close> = connect()
      client:write "still here"
      acceptor:cancel()
      local had, accepted = pcall(acceptor.join, acceptor)
      if not had then
        assert.equal("ECANCELED", accepted.code)
        accepted = assert(task.timeout(1, listener.accept, listener))
      end
      assert.equal("still here", accepted:recv())
      accepted:close()
    end)

    it("A6: wakes all who wait when it is closed", function()
      local codes = {}
      local acceptors = {}
      for i = 1, 3 do
        acceptors[i] = aside(function()
          codes[i] = code_of(listener:accept())
        end)
      end
      task.yield()
      local where = listener.endpoint
      listener:close()
      task.yield()
      assert.same({"ECANCELED", "ECANCELED", "ECANCELED"}, codes)
      local again <close> = assert(net.listen(where))
      assert.equal(where, again.endpoint)
      for i = 1, 3 do
        acceptors[i]:join()
      end
    end)

    it("B9: may be closed twice, and says EBADF afterwards", function()
      assert.is_true(listener:close())
      assert.is_true(listener:close())
      for _ = 1, 2 do
        assert.equal("EBADF", code_of(listener:accept()))
        assert.equal("EBADF", code_of(listener:set {rcvbuf = 8192}))
        assert.equal("EBADF", code_of(listener:get "rcvbuf"))
      end
      assert.is_nil(listener.address)
      assert.is_nil(listener.port)
      assert.is_nil(listener.fd)
      assert.is_nil(listener.endpoint)
      assert.matches("^listener %d+ %(closed%)$", tostring(listener))
      listener:serve(error)
      for _ in listener:accepts() do
        error "not reached"
      end
    end)

    it("B9: closes with its <close> variable, and when nothing refers to it", function()
      local where = listener.endpoint
      do
        local closing <close> = listener
        assert.equal(where, closing.endpoint)
      end
      assert(net.listen(where))
      collectgarbage()
      collectgarbage()
      listener = assert(net.listen(where))
    end)

    it("ends who is connected but not accepted when it is closed", function()
      local client <close> = connect()
      task.sleep(0.001)
      listener:close()
      task.sleep(0.001)
      local bytes, err = client:recv()
      assert.is_nil(bytes)
      assert.is_true(err == nil or err.code == "ECONNRESET", tostring(err))
    end)

    it("A11: says EADDRINUSE at once", function()
      local second, err = net.listen(listener.endpoint)
      assert.is_nil(second)
      assert.equal("EADDRINUSE", err.code)
      assert.equal("listen", err.op)
      assert.equal(listener.endpoint, err.endpoint)
    end)

    it("has the fields of what it is", function()
      assert.matches("^" .. kind .. ":", listener.endpoint)
      assert.matches("^listener %d+ %(" .. kind .. ":", tostring(listener))
      assert.equal(kind ~= "mem", listener.address ~= nil)
      assert.equal(kind ~= "mem", listener.fd ~= nil)
      assert.equal(kind == "tcp", listener.port ~= nil)
      assert.is_false((pcall(function() return listener.nosuch end)))
    end)

    it("O5: '.' for ':' raises, naming what was expected", function()
      for _, name in ipairs {"accept", "close", "set", "get"} do
        for _, self in ipairs {1, "x", {}, io.stderr} do
          local ok, message = pcall(listener[name], self)
          assert.is_false(ok)
          assert.matches("neap%.Listener expected", message)
        end
      end
    end)

    describe("accepts", function()
      it("iterates over connections until it is closed", function()
        local seen = 0
        local server = aside(function()
          for stream in listener:accepts() do
            stream:write "hello"
            stream:close()
            seen = seen + 1
          end
        end)
        for _ = 1, 20 do
          local client <close> = connect()
          assert.equal("hello", client:read "a")
        end
        listener:close()
        server:join()
        assert.equal(20, seen)
      end)
    end)

    describe("serve", function()
      it("runs a task for each connection, and closes it", function()
        local streams = {}
        local server = aside(listener.serve, listener, function(stream)
          streams[#streams + 1] = stream
          for line in stream:lines "L" do
            stream:write(line:upper())
          end
        end)
        local clients = {}
        for i = 1, 10 do
          clients[i] = connect()
        end
        for i, client in ipairs(clients) do
          client:write("line ", i, "\n")
        end
        for i, client in ipairs(clients) do
          assert.equal("LINE " .. i, client:read "l")
          client:shutdown()
          assert.is_nil(client:read "l")
          client:close()
        end
        listener:close()
        server:join()
        assert.equal(10, #streams)
        for _, stream in ipairs(streams) do
          assert.equal("EBADF", code_of(stream:recv()))
        end
      end)

      it("sends what the handler wrote last", function()
        local server = aside(listener.serve, listener, function(stream)
          stream:write(("x"):rep(300000), "end")
        end)
        local client <close> = connect()
        assert.equal("end", client:read "a":sub(-3))
        listener:close()
        server:join()
      end)

      it("returns when it is closed and its connections have ended", function()
        local ended = false
        local server = aside(function()
          listener:serve(function(stream)
            assert.equal("x", stream:read(1))
            ended = true
          end)
          return ended
        end)
        local client <close> = connect()
        task.sleep(0.002)
        listener:close()
        task.sleep(0.002)
        assert.equal("waiting", server.status)
        client:write "x"
        assert.is_true(server:join())
      end)

      it("cancels its connections with its task", function()
        local closed = 0
        local server = aside(listener.serve, listener, function(stream)
          local guard <close> = setmetatable({}, {__close = function() -- luacheck: ignore 211
            closed = closed + 1
          end})
          stream:recv()
        end)
        local clients = {connect(), connect(), connect()}
        task.sleep(0.002)
        server:cancel "enough"
        local ok, err = pcall(server.join, server)
        assert.is_false(ok)
        assert.equal("ECANCELED", err.code)
        assert.equal(3, closed)
        for _, client in ipairs(clients) do
          assert.is_nil(client:recv())
          client:close()
        end
        local another <close> = connect()
        listener:accept():close() -- it is open still
        assert.is_nil(another:recv())
      end)

      it("serves max connections at once, the others after them", function()
        local live, most, served = 0, 0, 0
        local server = aside(listener.serve, listener, function(stream)
          live = live + 1
          most = math.max(most, live)
          stream:read(1)
          live = live - 1
          served = served + 1
        end, {max = 3})
        local clients = {}
        for i = 1, 10 do
          clients[i] = connect()
          task.sleep(0.001)
        end
        assert.equal(3, live)
        for _, client in ipairs(clients) do
          client:write "x"
        end
        for _, client in ipairs(clients) do
          assert.is_nil(client:recv())
          client:close()
        end
        listener:close()
        server:join()
        assert.equal(3, most)
        assert.equal(10, served)
      end)

      it("lets connections go on for drain seconds after its end", function()
        local outcome, begun = {}, 0
        local server = aside(listener.serve, listener, function(stream)
          local name = stream:read "l"
          begun = begun + 1
          local ok, err = pcall(stream.read, stream, "l")
          outcome[name] = ok or err.code
        end, {drain = 0.2})
        local quick, slow = connect(), connect()
        quick:write "quick\n"
        slow:write "slow\n"
        repeat
          task.sleep(0.001)
        until begun == 2
        listener:close()
        quick:write "more\n"
        local before = time.now()
        server:join()
        local took = time.now() - before
        assert.same({quick = true, slow = "ECANCELED"}, outcome)
        assert.is_true(took > 0.12 and took < 4, took)
        quick:close()
        slow:close()
      end)

      it("ends at drain even while max keeps others out", function()
        local server = aside(listener.serve, listener, function(stream)
          stream:recv()
        end, {max = 1, drain = 0.01})
        local client <close> = connect()
        task.sleep(0.002)
        listener:close()
        assert.is_true(task.timeout(1, function()
          server:join()
          return true
        end))
        assert.is_nil(client:recv())
      end)

      it("raises for wrong options", function()
        for _, options in ipairs {
          {max = 0}, {max = -1}, {max = 1.5}, {max = "x"}, {drain = -1}, {drain = "x"},
          {drain = 0 / 0},
          {mx = 1},
        } do
          local ok, message = pcall(listener.serve, listener, print, options)
          assert.is_false(ok)
          assert.matches("serve: ", message)
        end
        assert.is_false(pcall(listener.serve, listener))
        assert.is_false(pcall(listener.serve, listener, "no function"))
      end)
    end)
  end)
end

describe("a listener", function()
  it("A12: gets a hundred ports of their own in a hundred tasks", function()
    local ports, listeners = {}, {}
    local functions = {}
    for i = 1, 100 do
      functions[i] = function()
        local listener = assert(net.listen "tcp://127.0.0.1:0")
        task.yield()
        assert.equal(listener.port, listener.address.port)
        assert.equal("tcp://127.0.0.1:" .. listener.port, listener.endpoint)
        assert.is_nil(ports[listener.port])
        ports[listener.port] = true
        listeners[i] = listener
      end
    end
    task.all(functions)
    for _, listener in ipairs(listeners) do
      listener:close()
    end
  end)

  it("A11: says EADDRNOTAVAIL at once for an address that is not ours", function()
    local listener, err = net.listen "tcp://192.0.2.1:0"
    assert.is_nil(listener)
    assert.equal("EADDRNOTAVAIL", err.code)
    assert.equal("tcp://192.0.2.1:0", err.endpoint)
  end)

  it("A11: can be had again at once after connections were closed", function()
    local listener = assert(net.listen "tcp://127.0.0.1:0")
    local where = listener.endpoint
    for _ = 1, 3 do
      local client = assert(net.connect(where))
      local server = assert(listener:accept())
      server:close() -- first: its port stays in TIME_WAIT
      client:close()
    end
    listener:close()
    assert(net.listen(where)):close()
  end)

  it("A8: outlives a peer that resets before it is accepted", function()
    local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
    local hasty = assert(net.connect(listener.endpoint))
    hasty:reset()
    local client <close> = assert(net.connect(listener.endpoint))
    client:write "good"
    local first <close> = assert(listener:accept())
    local bytes, err = first:recv()
    if bytes == nil then
      assert.equal("ECONNRESET", err.code)
      local second <close> = assert(listener:accept())
      bytes = second:recv()
    end
    assert.equal("good", bytes)
  end)

  it("A9: outlives a flood that its backlog cannot hold", function()
    local listener <close> = assert(net.listen("tcp://127.0.0.1:0", {backlog = 5}))
    local served, late = 0, 0
    local timer = aside(function()
      local last = time.now()
      for _ in time.every(0.005) do
        local now = time.now()
        late = math.max(late, now - last - 0.005)
        last = now
      end
    end)
    local function ask()
      local client <close> = assert(net.connect(listener.endpoint))
      client:write "?"
      assert.equal("!", client:recv())
      served = served + 1
    end
    local server
    task.scope(function(scope)
      for _ = 1, 100 do
        scope:spawn(ask)
      end
      task.sleep(0.3)
      server = aside(listener.serve, listener, function(stream)
        stream:recv()
        stream:write "!"
      end)
      task.sleep(1.3)
      while served <= 6 do task.sleep(0.05) end -- more than the kernel kept
      scope:cancel()
    end)
    timer:cancel()
    assert.is_true(late < 0.9, late) -- a second: the kernel's pause before it asks again
    served = 0
    task.timeout(5, ask)
    assert.equal(1, served)
    listener:close()
    server:join()
  end)

  it("takes its options before it listens", function()
    local options = {rcvbuf = 65536, reuseport = true}
    local listener <close> = assert(net.listen("tcp://127.0.0.1:0", options))
    assert.is_true(listener:get "reuseport")
    assert.equal(131072, listener:get "rcvbuf")
    assert.equal(listener, listener:set {rcvbuf = 32768})
    assert.equal(65536, listener:get "rcvbuf")
    local second <close> = assert(net.listen(listener.endpoint, {reuseport = true}))
    assert.equal(listener.port, second.port)
  end)

  it("O1: raises for wrong options and endpoints", function()
    for _, case in ipairs {
      {"tcp://127.0.0.1:0", {backlog = -1}}, {"tcp://127.0.0.1:0", {backlog = 2 ^ 31}},
      {"tcp://127.0.0.1:0", {backlog = "many"}}, {"tcp://127.0.0.1:0", {backlg = 1}},
      {"unix:@", {mode = 512}}, {"unix:@", {mode = "rw"}}, {"unix:@", {unlink_stale = 1}},
      {"tcp://127.0.0.1:0", 5}, {"tcp://127.0.0.1", {}}, {"udp://127.0.0.1:0"}, {"nosuch:x"}, {""},
      {},
      {42}, {"tcp://127.0.0.1:70000"},
    } do
      local ok, message = pcall(net.listen, case[1], case[2])
      assert.is_false(ok, case[1])
      assert.is_string(message)
    end
    net.listen("tcp://127.0.0.1:0", {backlog = 0}):close()
    net.listen("tcp://127.0.0.1:0", {backlog = 2 ^ 31 - 1}):close()
  end)

  it("O1: any argument of its methods and of net's functions raises or is taken", function()
    local cyclic = {}
    cyclic[1] = cyclic
    local closed = net.socketpair "mem"
    closed:close()
    local values = {
      n = 25, nil, true, 0, -1, 1, 2 ^ 31, 2 ^ 53, math.maxinteger, math.mininteger, 0 / 0,
      math.huge, 1.5,
      "", "\0", "a\0b", "1", "tcp://127.0.0.1:0", ("x"):rep(1 << 20), {}, cyclic, print,
      coroutine.create(print), io.stdout, closed,
      setmetatable({}, {__index = error, __pairs = error, __len = error}),
    }
    local listener = assert(net.listen "unix:@")
    local function try(f, ...)
      local ok, result, second = pcall(task.timeout, 0.0005, f, ...)
      if not ok then
        assert.is_string(result)
      elseif type(result) == "userdata" then
        result:close()
        if type(second) == "userdata" then
          second:close()
        end
      end
    end
    for _, name in ipairs {"accept", "accepts", "serve", "set", "get", "close"} do
      for i = 1, values.n do
        try(listener[name], listener, values[i])
        try(listener[name], listener, print, values[i])
        try(listener[name], values[i])
      end
      listener:close()
      listener = assert(net.listen "unix:@")
    end
    listener:close()
    for _, name in ipairs {
      "listen", "connect", "resolve", "address", "service", "socketpair", "relay",
    } do
      for i = 1, values.n do
        try(net[name], values[i])
        try(net[name], "tcp://127.0.0.1:0", values[i])
        try(net[name], "localhost", values[i])
        try(net[name], values[i], values[i], values[i])
      end
    end
  end)

  it("is adopted by a child that finds it among its descriptors", function()
    local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
    local p <close> = assert(process.spawn {
      child.neap, "-e", [[
        local listener = assert(net.listen "fd:0")
        print(listener.port)
        local stream = listener:accept()
        stream:write("from ", tostring(stream.localaddr))
        stream:close()
      ]], stdin = listener, stdout = "pipe",
    })
    local port = p.stdout:read "n"
    assert.equal(listener.port, port)
    listener:close()
    local client <close> = assert(net.connect("tcp://127.0.0.1:" .. port))
    assert.equal("from 127.0.0.1:" .. port, client:read "a")
    assert.equal(0, (p:wait()))
  end)

  it("fd: says what a descriptor is not", function()
    assert.equal("EBADF", code_of(net.listen "fd:987"))
    local ours, theirs = net.socketpair()
    assert.equal("EBUSY", code_of(net.listen("fd:" .. ours.fd)))
    ours:sendfd("a copy", {ours})
    local _, fds = theirs:recvfd()
    local copy = fds[1]:take()
    assert.equal("EINVAL", code_of(net.listen("fd:" .. copy)))
    assert(net.connect("fd:" .. copy)):close()
    ours:close()
    theirs:close()
  end)
end)

describe("mem: listeners", function()
  it("refuse a name that nobody listens at", function()
    local stream, err = net.connect "mem:nobody"
    assert.is_nil(stream)
    assert.equal("ECONNREFUSED", err.code)
    assert.equal("mem:nobody", err.endpoint)
  end)

  it("say EAGAIN when their backlog is full", function()
    local listener <close> = assert(net.listen("mem:full", {backlog = 2}))
    local first <close> = assert(net.connect "mem:full")
    local second <close> = assert(net.connect "mem:full")
    local third, err = net.connect "mem:full"
    assert.is_nil(third)
    assert.equal("EAGAIN", err.code)
    listener:accept():close()
    assert(net.connect "mem:full"):close()
    assert.is_nil(first:recv())
    second:reset()
  end)

  it("hold what a client wrote before it was accepted", function()
    local listener <close> = assert(net.listen "mem:early")
    local client = assert(net.connect "mem:early")
    client:write(("x"):rep(100000))
    client:close()
    local stream <close> = assert(listener:accept())
    assert.equal(100000, #stream:read "a")
  end)
end)

describe("a handler's error", function()
  it("J5: is reported with its traceback, and ends its connection only", function()
    local result = child.run [[
      local listener = net.listen "tcp://127.0.0.1:0"
      local server = task.spawn(listener.serve, listener, function(stream)
        local line = stream:read "l"
        if line == "fail" then
          local function deep() error "on purpose" end
          deep()
        end
        stream:write "good\n"
      end)
      local bad, good = net.connect(listener.endpoint), net.connect(listener.endpoint)
      bad:write "fail\n"
      print(bad:read "a")
      good:write "work\n"
      print(good:read "a")
      listener:close()
      server:join()
      print "done"
    ]]
    assert.equal("\ngood\n\ndone\n", result.stdout)
    assert.equal(0, result.code)
    local _, reports = result.stderr:gsub("on purpose", "")
    assert.equal(1, reports)
    assert.matches("in local 'deep'", result.stderr)
    assert.matches("stack traceback:", result.stderr)
  end)

  it("J5: of every kind leaves the server up", function()
    local result = child.run [[
      local errors = {"text", 42, {}, setmetatable({}, {__tostring = error}), false,
        io.stdout, print, coroutine.create(print)}
      local listener = net.listen "unix:@"
      local n = 0
      local server = task.spawn(listener.serve, listener, function(stream)
        n = n + 1
        error(errors[n])
      end)
      for i = 1, #errors + 1 do
        local stream = net.connect(listener.endpoint)
        assert(stream:recv() == nil)
      end
      listener:close()
      server:join()
      print(n)
    ]]
    assert.equal("9\n", result.stdout)
    assert.equal(0, result.code)
  end)
end)

describe("a lack of descriptors", function()
  local server = [[
    io.stdout:setvbuf "no"
    local listener = net.listen("tcp://127.0.0.1:0", {backlog = 1000})
    print(listener.port)
    listener:serve(function(stream)
      for line in stream:lines "L" do
        stream:write(line)
      end
    end)
  ]]

  it("D1: neither stops nor spins a server, which recovers", function()
    local p <close> = child.start('ulimit -n 64; exec "$@"', server, "pipe")
    local port = p.stdout:read "n"
    local report = {}
    local reader = aside(function()
      for line in p.stderr:lines() do
        report[#report + 1] = line
      end
    end)
    local clients = {}
    for i = 1, 200 do
      clients[i] = assert(net.connect("tcp://127.0.0.1:" .. port))
      clients[i]:write(i, "\n")
    end
    local function served()
      local n = 0
      for i, client in pairs(clients) do
        client:settimeout(0.2)
        local line, err = client:read "l"
        if not line then
          assert.equal("ETIMEDOUT", err.code)
          return n
        end
        assert.equal(tostring(i), line)
        n = n + 1
      end
      return n
    end
    local first = served()
    assert.is_true(first >= 40 and first < 64, first)
    assert.matches("EMFILE", report[1])
    local before, lines = child.cpu(p.pid), #report
    task.sleep(1)
    assert.is_true(child.cpu(p.pid) - before <= 0.05)
    assert.is_true(#report - lines <= 5, #report)
    clients[1]:write "still there\n" -- those that were accepted
    assert.equal("still there", clients[1]:read "l")
    for i = 1, first do
      clients[i]:close()
      clients[i] = nil
    end
    local freed = time.now()
    clients[first + 1]:settimeout(3)
    assert.equal(tostring(first + 1), clients[first + 1]:read "l")
    assert.is_true(time.now() - freed < 1.2)
    clients[first + 1]:close()
    clients[first + 1] = nil
    for i, client in pairs(clients) do
      client:close()
      clients[i] = nil
    end
    p:kill()
    reader:join()
    assert.equal(143, (p:wait()))
  end)

  it("D4: is an error of what needs one, and no more", function()
    local p <close> = child.start('ulimit -n 24; exec "$@"', [[
      local host = require "neap.host"
      local listener = net.listen "tcp://127.0.0.1:0"
      local port = listener.port
      net.resolve "localhost"
      local hold = {}
      repeat
        local a, b = net.socketpair()
        hold[#hold + 1] = a
        hold[#hold + 1] = a and b
      until not a
      while true do
        local file = io.open "/dev/null"
        if not file then break end
        hold[#hold + 1] = file
      end
      local codes = {}
      local function try(name, f, ...)
        local before = host.stats()
        local result, err = f(...)
        codes[#codes + 1] = name .. "=" .. (err and err.code or tostring(result))
      end
      try("connect", net.connect, "tcp://127.0.0.1:" .. port)
      try("listen", net.listen, "tcp://127.0.0.1:0")
      try("unix", net.listen, "unix:@")
      try("pair", net.socketpair)
      try("spawn", process.spawn, {"true", stdout = "pipe"})
      for _, it in ipairs(hold) do it:close() end
      task.sleep(0.01)
      try("again", function()
        local client = net.connect("tcp://127.0.0.1:" .. port)
        return listener:accept() ~= nil and client ~= nil and process.run {"true"}.code == 0
      end)
      print(table.concat(codes, " "))
    ]])
    assert.equal(
      "connect=EMFILE listen=EMFILE unix=EMFILE pair=EMFILE spawn=EMFILE again=true\n",
      p.stdout:read "a"
    )
    assert.equal(0, (p:wait()))
  end)

  local script = [[
    local listener = net.listen "tcp://127.0.0.1:0"
    local server = task.spawn(listener.serve, listener, function(stream)
      stream:write "served"
    end)
    for i = 1, 3 do
      local client = net.connect(listener.endpoint)
      io.write(client:read "a", " ")
      client:close()
    end
    listener:close()
    server:join()
  ]]

  for _, name in ipairs {"EMFILE", "ENFILE", "ENOMEM", "ENOBUFS", "EPERM"} do
    it(("D3: %s of accept4 is reported and waited out"):format(name), function()
      if not has_strace() then
        return pending "strace is not there"
      end
      local result = child.strace({
        "-e", "trace=accept4", "-e", ("inject=accept4:error=%s:when=1..3"):format(name),
      }, script)
      assert.equal("served served served ", result.stdout)
      assert.equal(0, result.code)
      local _, reports = result.stderr:gsub("accept tcp://[^\n]*%(" .. name .. "%)\n", "")
      assert.equal(3, reports, result.stderr)
      assert.is_true(#result.calls < 20, #result.calls)
    end)
  end

  for _, name in ipairs {"ECONNABORTED", "EPROTO", "EINTR", "EAGAIN", "EHOSTUNREACH"} do
    it(("D3: %s of accept4 concerns nobody"):format(name), function()
      if not has_strace() then
        return pending "strace is not there"
      end
      local result = child.strace({
        "-e", "trace=accept4", "-e", ("inject=accept4:error=%s:when=1..3"):format(name),
      }, script)
      assert.same({"served served served ", "", 0}, {result.stdout, result.stderr, result.code})
      assert.is_true(#result.calls < 20, #result.calls)
    end)
  end
end)
