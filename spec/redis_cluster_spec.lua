-- neap.redis with sentinels, and with a cluster.

local folder = require "spec.support.folder"
local keys = require "neap.redis.keys"
local net = require "neap.net"
local redis = require "neap.redis"
local resp = require "neap.redis.resp"
local support = require "spec.support.redis"
local task = require "neap.task"
local time = require "neap.time"

before_each(folder.make)
after_each(folder.remove)

--- Wait until it is true.
local function until_true(f)
  while not f() do
    task.sleep(0.01)
  end
end

describe("a client with sentinels", function()
  it("goes to the master, and to the next one", function()
    support.need()
    local one <close> = support.start()
    local two <close> = support.start {"--replicaof", "127.0.0.1 " .. one.port}
    local config = folder.write("sentinel.conf", ([[
sentinel monitor shop 127.0.0.1 %d 1
sentinel down-after-milliseconds shop 100
sentinel failover-timeout shop 1000
]]):format(one.port))
    local sentinel <close> = support.start({}, nil, {config, "--sentinel"})
    local where = "127.0.0.1:" .. sentinel.port
    assert.equal("ENOENT", select(2, redis.connect {sentinels = {where}, name = "none"}).code)
    local client <close> = assert(redis.connect {sentinels = {"127.0.0.1:1", where}, name = "shop", pause = 0.1})
    assert.equal("OK", client:call("SET", "k", "v"))
    assert.equal(1, client:call("WAIT", 1, 0))
    local asked <close> = assert(redis.connect(sentinel.url))
    until_true(function()
      return asked:call("SENTINEL", "REPLICAS", "shop")[1]
    end)
    one:kill()
    until_true(function()
      return client:call("SET", "k", "w")
    end)
    local there <close> = assert(redis.connect(two.url))
    assert.equal("w", there:call("GET", "k"))
  end)

  it("is told by one that the server is none", function()
    local master, _ <close> = support.fake(function(command)
      return command[1] == "ROLE" and "*1\r\n+slave\r\n" or "%0\r\n"
    end)
    local check = require "neap.redis.sentinel".check
    local err = select(2, require "neap.redis.client".open(function()
      return {endpoint = master}
    end, {}, check))
    assert.equal("READONLY", err.code)
  end)
end)

describe("a slot", function()
  it("is that of the key, or of what is in its braces", function()
    for key, slot in pairs {["123456789"] = 12739, foo = 12182, ["{user1000}.following"] = keys.slot "user1000",
      ["foo{}{bar}"] = 8363, ["foo{{bar}}zap"] = keys.slot "{bar", ["foo{bar}{zap}"] = keys.slot "bar", [""] = 0} do
      assert.equal(slot, keys.slot(key), key)
    end
  end)

  it("is of the first key of a command", function()
    for line, key in pairs {["GET a"] = "a", ["EVAL x 2 a b"] = "a", ["EVAL x 0"] = false, ["PING"] = false,
      ["XREAD COUNT 1 STREAMS a b 0 0"] = "a", ["ZINTER 2 a b"] = "a", ["BLMPOP 1 2 a b LEFT"] = "a",
      ["OBJECT ENCODING a"] = "a", ["XREAD"] = false} do
      local words = {}
      for word in line:gmatch "%S+" do
        words[#words + 1] = word
      end
      assert.equal(key, keys.of(words[1], words) or false, line)
    end
  end)
end)

describe("a client of a cluster", function()
  it("asks who has the key, also when it has moved, or its node is replaced", function()
    support.need()
    local nodes, all = {}, {}
    local _ <close> = setmetatable({}, {__close = function()
      for _, node in ipairs(nodes) do
        node:close()
      end
      for _, one in ipairs(all) do
        one:close()
      end
    end})
    local ids = {}
    for i = 1, 4 do -- the fourth is the third's replica
      nodes[i] = support.start {"--cluster-enabled", "yes", "--cluster-config-file", "nodes-" .. i .. ".conf",
        "--cluster-port", tostring(support.port()), "--cluster-node-timeout", "2000"}
      all[i] = assert(redis.connect(nodes[i].url))
      ids[i] = all[i]:call("CLUSTER", "MYID")
      if i < 4 then
        assert.equal("OK", all[i]:call("CLUSTER", "ADDSLOTSRANGE", (i - 1) * 5461, i == 3 and 16383 or i * 5461 - 1))
      end
      assert.equal("OK", all[i]:call("CONFIG", "SET", "cluster-require-full-coverage", "no"))
    end
    for i = 2, 4 do
      local bus = nodes[i].command
      for at, word in ipairs(bus) do
        if word == "--cluster-port" then
          assert.equal("OK", all[1]:call("CLUSTER", "MEET", "127.0.0.1", nodes[i].port, bus[at + 1]))
        end
      end
    end
    until_true(function()
      for i = 1, 4 do
        local info = all[i]:call("CLUSTER", "INFO")
        if not info:find "cluster_state:ok" or not info:find "cluster_slots_assigned:16384" then
          return false
        end
      end
      return all[4]:call("CLUSTER", "REPLICATE", ids[3])
    end)

    local client <close> = assert(redis.connect {nodes = {"127.0.0.1:" .. nodes[2].port}})
    local sets = {}
    for i = 1, 60 do
      sets[i] = {"SET", "key" .. i, i}
    end
    local answers, err = client:pipeline(sets)
    assert.same({60, nil}, {#answers, err})
    for i = 1, 60 do
      assert.equal(tostring(i), client:call("GET", "key" .. i))
    end
    for i = 1, 3 do
      assert.is_true(all[i]:call "DBSIZE" > 5)
    end
    assert.same({1, 2}, (client:multi {{"INCR", "{n}1"}, {"INCRBY", "{n}2", 2}}))
    assert.equal("CROSSSLOT", select(2, client:call("MGET", "a", "b")).code)
    assert.equal("k", redis.script "return KEYS[1]":run(client, {"k"}))
    local session <close> = assert(client:session "{n}1")
    session:call("WATCH", "{n}1")
    assert.same({2}, (session:multi {{"INCR", "{n}1"}}))
    local sub = assert(client:subscribe "news")
    until_true(function()
      return client:call("PUBLISH", "news", "x") and #sub.channel > 0
    end)
    assert.equal("x", sub:recv().data)

    -- foo, of slot 12182, moves from the third to the first.
    local slot = keys.slot "foo"
    client:call("SET", "foo", "here")
    all[1]:call("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[3])
    all[3]:call("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[1])
    assert.equal("here", client:call("GET", "foo"))
    assert.equal("OK", all[3]:call("MIGRATE", "127.0.0.1", nodes[1].port, "foo", 0, 5000))
    assert.equal("here", client:call("GET", "foo")) -- ASK
    assert.equal("here", client:pipeline {{"GET", "foo"}}[1])
    for i = 3, 1, -1 do
      all[i]:call("CLUSTER", "SETSLOT", slot, "NODE", ids[1])
    end
    assert.equal("here", client:call("GET", "foo")) -- MOVED
    assert.same({1, 2}, (client:multi {{"INCR", "{foo}1"}, {"INCRBY", "{foo}2", 2}}))
    local waiting = task.spawn(client.call, client, "BLPOP", "{foo}list", 0)
    task.yield()
    client:call("RPUSH", "{foo}list", "job")
    assert.same({"{foo}list", "job"}, waiting:join())

    -- The third dies, and the fourth takes its place.
    local far = 0
    repeat
      far = far + 1
    until keys.slot("far" .. far) > 10923
    until_true(function() -- the first knows of the fourth
      return client:call("SET", "far" .. far, "there") and all[3]:call("WAIT", 1, 100) == 1
        and all[1]:call("CLUSTER", "NODES"):find("slave " .. ids[3], 1, true)
    end)
    nodes[3]:kill()
    local patient <close> = assert(redis.connect {nodes = {"127.0.0.1:" .. nodes[1].port}, failover = 30})
    assert.equal("there", patient:call("GET", "far" .. far))
    until_true(function()
      return client:pipeline {{"GET", "far" .. far}}[1] == "there"
    end)
  end)

  it("waits for a node that is gone, but not for long", function()
    local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
    local gone = support.port()
    local server = task.spawn(listener.serve, listener, function(stream)
      for command in resp.read, resp.reader(stream, 1 << 20) do
        stream:write(command[1] == "HELLO" and "%0\r\n"
          or ("*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:%d\r\n"):format(gone))
      end
    end)
    local client <close> = assert(redis.connect {nodes = {"127.0.0.1:" .. listener.port}, failover = 0.1})
    local began = time.now()
    task.scope(function(scope)
      for i = 1, 20 do
        scope:spawn(function()
          assert.equal("ECONNREFUSED", select(2, client:call("GET", "x" .. i)).code)
        end)
      end
      scope:spawn(function()
        assert.equal("ECONNREFUSED", select(2, client:call("BLPOP", "x", 0)).code)
      end)
    end)
    assert.is_true(time.now() - began < 3)
    local answers, err = client:pipeline {{"GET", "x"}, {"GET", "y"}}
    assert.same({"ECONNREFUSED", "ECONNREFUSED"}, {answers[1].code, err.code})
    listener:close()
    server:cancel()
    server:join()
  end)

  it("ends when it is led in circles", function()
    local count = 0
    local listener = assert(net.listen "tcp://127.0.0.1:0")
    local server = task.spawn(listener.serve, listener, function(stream)
      for command in resp.read, resp.reader(stream, 1 << 20) do
        count = count + (command[1] == "GET" and 1 or 0)
        stream:write(command[1] == "HELLO" and "%0\r\n" or command[1] == "CLUSTER" and "*1\r\n*2\r\n:1\r\n+x\r\n"
          or "-MOVED 1 127.0.0.1:" .. listener.port .. "\r\n")
      end
    end)
    local client <close> = assert(redis.connect {nodes = {"127.0.0.1:" .. listener.port}})
    assert.equal("MOVED", select(2, client:call("GET", "x")).code)
    assert.equal(16, count)
    client:close()
    listener:close()
    server:cancel()
    server:join()
  end)
end)
