-- Sockets that are closed here while somebody else has a copy of the descriptor:
-- the kernel goes on to tell of them. Nobody may be told, and nothing may spin.

local child = require "spec.support.child"

--- What begins each script: copies() keeps a copy of each stream or listener,
--- where neap does not look for it: on its way over a unix socket.
local COPIES = [[
  local near, far = net.socketpair()
  local function copies(list) assert(near:sendfd("x", list)) end
  local function pair()
    local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
    local client = assert(net.connect(listener.endpoint))
    return client, assert(listener:accept())
  end
  -- What is read is in the epoll.
  local function read_one(client, server)
    client:write "1"
    assert(server:read(1) == "1")
  end
  local function exchange()
    local client, server = net.socketpair()
    read_one(client, server)
    read_one(server, client)
    client:write "unread"
    server:close()
    client:close()
  end
  -- The loop rests, and serves others.
  local function check()
    local before = os.clock()
    task.sleep(0.15)
    print(os.clock() - before < 0.05 and "rests" or "spins")
    exchange()
  end
]]

--- Run it: its output, the epolls that it made in all, and the descriptors that
--- it took out of one.
local function run(script)
  local result = child.strace({"-e", "trace=epoll_create1,epoll_ctl"}, COPIES .. script)
  assert.equal("", result.stderr)
  assert.equal(0, result.code)
  local made, removed = 0, 0
  for _, call in ipairs(result.calls) do
    made = made + (call:find "^epoll_create1" and 1 or 0)
    removed = removed + (call:find "EPOLL_CTL_DEL" and 1 or 0)
  end
  return result.stdout, made, removed
end

--- libuv's and the loop's.
local AT_START = 2

describe("a socket that lives on elsewhere", function()
  it("is taken out of the epoll by closing it, where nobody has a copy", function()
    local out, made, removed = run [[
      for i = 1, 10 do exchange() end
      check()
    ]]
    assert.equal("rests\n", out)
    assert.equal(AT_START, made)
    assert.is_true(removed <= 1) -- what hears signals, at the end
  end)

  it("is not told of when its peer writes, ends or resets", function()
    for _, act in ipairs {"client:write 'more'", "client:shutdown()", "client:reset()"} do
      local out, made = run([[
        local client, server = pair()
        read_one(client, server)
        copies {server}
        server:close()
      ]] .. act .. [[
        check()
      ]])
      assert.equal("rests\n", out, act)
      assert.equal(AT_START + 1, made, act)
    end
  end)

  it("is not told of to the one that has its number next", function()
    local out = run [[
      local client, server = pair()
      read_one(client, server)
      copies {server}
      local number = server.fd
      server:close()
      local heirs, heir = {}
      repeat
        local a, b = pair()
        heirs[#heirs + 1] = a
        heirs[#heirs + 1] = b
        heir = a.fd == number and a or b.fd == number and b
      until heir
      local reader = task.spawn(function() return heir:read(1) end)
      client:write "not for you"
      client:reset()
      check()
      print(reader.status)
      for _, each in ipairs(heirs) do each:write "2" end
      print(reader:join())
    ]]
    assert.equal("rests\nwaiting\n2\n", out)
  end)

  it("is watched again when it comes back, by its number or another", function()
    for _, keep in ipairs {"", "local taken = assert(io.open '/dev/null')"} do
      local out = run([[
        local plugs = {}
        local client, server = pair()
        read_one(client, server)
        copies {server}
        local number = server.fd
        repeat -- no lower number is free
          local a, b = net.socketpair()
          plugs[#plugs + 1] = {a, b}
        until a.fd > number
        server:close()
      ]] .. keep .. [[
        local _, fds = far:recvfd()
        local again = assert(net.connect("fd:" .. fds[1]:take()))
        print(again.fd == number)
        local reader = task.spawn(function() return again:read "a" end)
        client:write "more"
        task.sleep(0.01)
        client:shutdown()
        print(reader:join())
        check()
      ]])
      assert.equal(tostring(keep == "") .. "\nmore\nrests\n", out)
    end
  end)

  it("may be a listener or a message socket", function()
    local out, made = run [[
      local listener = assert(net.listen "tcp://127.0.0.1:0")
      local acceptor = task.spawn(function() return listener:accept() end)
      local socket = assert(net.bind "udp://127.0.0.1:0")
      local receiver = task.spawn(function() return socket:recv() end)
      task.sleep(0.01)
      copies {listener, socket}
      local endpoint, address = listener.endpoint, socket.localaddr
      listener:close()
      socket:close()
      print(select(2, acceptor:join()).code, select(2, receiver:join()).code)
      local client = assert(net.connect(endpoint)) -- the kernel's backlog takes it
      assert(net.bind "udp://127.0.0.1:0"):send("x", address)
      check()
    ]]
    assert.equal("ECANCELED ECANCELED\nrests\n", (out:gsub("\t", " ")))
    assert.is_true(made <= AT_START + 2)
  end)

  it("costs a fresh epoll once, however many there are", function()
    local out, made, removed = run [[
      local peers, list = {}, {}
      for i = 1, 300 do
        local client, server = pair()
        read_one(client, server)
        peers[i], list[i] = client, server
      end
      for i = 1, 300, 100 do
        copies(table.move(list, i, i + 99, 1, {}))
      end
      -- Events of one batch for those that another of its tasks closes.
      for i = 1, 300 do
        task.spawn(function()
          list[i]:read(1)
          for j = 1, 300 do list[j]:close() end
        end)
      end
      task.sleep(0)
      for i = 1, 300 do peers[i]:write "more" end
      task.sleep(0.05)
      for i = 1, 300 do peers[i]:write "and more" end
      check()
      -- From now on the loop is careful.
      for i = 1, 10 do
        local client, server = pair()
        read_one(client, server)
        copies {server}
        server:close()
        client:write "more"
        task.sleep(0)
      end
      check()
    ]]
    assert.equal("rests\nrests\n", out)
    assert.equal(AT_START + 1, made)
    assert.is_true(removed >= 10)
  end)

  it("goes unheard while there is no descriptor for a fresh epoll", function()
    local p <close> = child.start('ulimit -n 40; exec "$@"', COPIES .. [[
      local client, server = pair()
      local a, b = pair()
      read_one(client, server)
      copies {server}
      server:close()
      local files = {}
      for i = 1, 100 do files[i] = io.open "/dev/null" end
      assert(#files < 40)
      client:write "more"
      for i = 1, 100 do
        read_one(a, b)
        task.sleep(0)
      end
      for _, file in ipairs(files) do file:close() end
      check()
    ]])
    assert.equal("rests\n", p.stdout:read "a")
    assert.equal(0, (p:wait()))
  end)

  it("may be a child's input", function()
    local out = run [[
      local process = require "neap.process"
      for i = 1, 3 do
        local client, server = pair()
        read_one(client, server)
        local p = assert(process.spawn {"cat", stdin = server, stdout = "pipe"})
        server:close()
        client:write "for the child"
        task.sleep(0.01)
        client:shutdown()
        print(p.stdout:read "a")
        p:wait()
      end
      check()
    ]]
    assert.equal(("for the child\n"):rep(3) .. "rests\n", out)
  end)

  it("may be held by children that other threads start at any time", function()
    local out = run [[
      local worker = require "neap.worker"
      local children = task.spawn(worker.run, function()
        for i = 1, 30 do
          os.execute "true"
          require("neap.process").run {"true"}
        end
      end)
      task.yield()
      while children.status == "waiting" do
        for i = 1, 20 do exchange() end
        task.yield()
      end
      check()
    ]]
    assert.equal("rests\n", out)
  end)
end)
