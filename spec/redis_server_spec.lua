-- neap.redis with redis-server.

local folder = require "spec.support.folder"
local redis = require "neap.redis"
local support = require "spec.support.redis"
local task = require "neap.task"
local tls = require "neap.tls"

before_each(folder.make)
after_each(folder.remove)

describe("a client at redis-server", function()
  it("has all kinds of answers, transactions, scripts, and commands that wait", function()
    support.need()
    local server <close> = support.start {"--enable-debug-command", "yes"}
    for version = 2, 3 do
      local client <close> = assert(redis.connect(server.url, {protocol = version}))
      assert.equal(version, client.version)
      client:call "FLUSHALL"
      assert.same({"OK", "\0\r\n"}, {client:call("SET", "k", "\0\r\n"), client:call("GET", "k")})
      assert.same({n = 1}, table.pack(client:call("GET", "none")))
      assert.equal("WRONGTYPE", select(2, client:call("LPUSH", "k", 1)).code)
      local answers, err = client:pipeline {{"INCR", "n"}, {"INCR", "k"}, {"GET", "none"}}
      assert.same({1, "ERR", redis.null, "ERR"}, {answers[1], answers[2].code, answers[3], err.code})
      assert.same({2, 3}, (client:multi {{"INCR", "n"}, {"INCR", "n"}}))
      assert.equal("ERR", select(2, client:multi {{"INCR", "n"}, {"NO-SUCH"}}).code)
      assert.equal("3", client:call("GET", "n"))

      local script = redis.script "return {KEYS[1], ARGV[1], redis.call('INCR', 'runs')}"
      client:call("SCRIPT", "FLUSH")
      for i = 1, 2 do
        assert.same({"key", "5", i}, script:run(client, {"key"}, 5))
      end

      local waiting = task.spawn(client.call, client, "BLPOP", "queue", 0)
      repeat -- until it waits, the others being served meanwhile
        task.yield()
      until client:call("INFO", "clients"):find "blocked_clients:1"
      client:call("RPUSH", "queue", "job")
      assert.same({"queue", "job"}, waiting:join())
      waiting = task.spawn(client.call, client, "BLPOP", "queue", 0)
      repeat
        task.yield()
      until client:call("INFO", "clients"):find "blocked_clients:1"
      waiting:cancel()
      repeat
        task.yield()
      until client:call("INFO", "clients"):find "blocked_clients:0"

      local one <close> = assert(client:session())
      local two <close> = assert(client:session())
      one:call("WATCH", "n")
      two:call("INCR", "n")
      assert.same({n = 1}, table.pack(one:multi {{"SET", "n", 0}}))
      assert.same({"OK"}, (one:multi {{"SET", "n", 0}}))
      one:call("SELECT", 1)
      assert.same({nil, "0"}, {one:call("GET", "n"), client:call("GET", "n")})
    end
    local client <close> = assert(redis.connect(server.url .. "/2"))
    for kind, want in pairs {string = "Hello World", integer = 12345, double = 3.141, null = redis.null,
      array = {0, 1, 2}, set = {0, 1, 2}, map = {[0] = false, true, false}, ["true"] = true,
      bignum = "1234567999999999999999999999999999999", ["false"] = false, verbatim = "This is a verbatim\nstring",
      attrib = "Some real reply following the attribute"} do
      local got = client:pipeline {{"DEBUG", "PROTOCOL", kind}}[1]
      assert.same(want, got)
    end
    assert.same("db=2", client:call("CLIENT", "INFO"):match "db=2")
  end)

  it("subscribes, to patterns and to shards, too, and again when the server is back", function()
    support.need()
    local server <close> = support.start()
    for version = 2, 3 do
      local client <close> = assert(redis.connect(server.url, {protocol = version, pause = 0.02}))
      local sub, pattern = assert(client:subscribe {"a", "b"}), assert(client:subscribe("a*", {kind = "pattern"}))
      local shard = assert(client:subscribe("s", {kind = "sharded"}))
      local function heard(data)
        client:call("PUBLISH", "a", data)
        client:call("SPUBLISH", "s", data)
        local one, two, three = sub:recv(), pattern:recv(), shard:recv()
        assert.same({"a", data, "a", data, "a*", "s", data}, {one.channel, one.data, two.channel, two.data, two.pattern,
          three.channel, three.data})
      end
      heard "one"
      server:kill()
      server:start()
      repeat
        local there = client:call("PUBSUB", "NUMSUB", "a")
      until there and (there[2] or there.a) == 1 and client:call("PUBSUB", "NUMPAT") == 1
        and client:call("PUBSUB", "SHARDNUMSUB", "s")[2] == 1
      heard "two"
      client:call("PUBLISH", "a", "last")
      assert.is_true(sub:drain())
      assert.same({"last", nil}, {sub:recv().data, sub:recv()})
      pattern:unsubscribe()
      shard:unsubscribe()
      repeat
        task.yield()
      until client:call("PUBSUB", "NUMPAT") == 0
      assert.same({"a", 0}, client:call("PUBSUB", "NUMSUB", "a"))
    end
  end)

  it("goes by TLS and by a unix socket", function()
    support.need()
    local cert, key = tls.selfsigned {names = {"127.0.0.1"}}
    local port, path = support.port(), folder.path .. "/redis.sock"
    local server <close> = support.start {"--tls-port", tostring(port), "--tls-auth-clients", "no",
      "--unixsocket", path, "--tls-cert-file", folder.write("cert.pem", cert),
      "--tls-key-file", folder.write("key.pem", key)}
    local where = "rediss://127.0.0.1:" .. port
    local by_tls <close> = assert(redis.connect(where .. "/3", {tls = {ca = cert}, pause = 0.02, timeout = 60}))
    local by_path <close> = assert(redis.connect("unix:" .. path, {db = 3}))
    assert.equal("OK", by_tls:call("SET", "k", ("v"):rep(100000)))
    assert.equal(100000, #by_path:call("GET", "k"))
    local sub = assert(by_tls:subscribe "a")
    by_path:call("PUBLISH", "a", "x")
    assert.equal("x", sub:recv().data)
    assert.matches("^ETLS", select(2, redis.connect(where, {timeout = 60})).code)
    server:kill()
    server:start()
    for _, client in ipairs {by_tls, by_path} do
      repeat
        local answer = client:call "PING"
      until answer == "PONG"
    end
  end)

  it("says who it is", function()
    support.need()
    local server <close> = support.start {"--requirepass", "se:cr@t"}
    local client <close> = assert(redis.connect("redis://:se%3acr%40t@127.0.0.1:" .. server.port,
      {client_name = "shop"}))
    assert.equal("shop", client:call("CLIENT", "GETNAME"))
    assert.equal("WRONGPASS", select(2, redis.connect(server.url, {password = "x"})).code)
    local none <close> = redis.connect(server.url, {protocol = 2})
    assert.equal("NOAUTH", select(2, none:call("GET", "x")).code)
    local older <close> = assert(redis.connect(server.url, {protocol = 2, password = "se:cr@t"}))
    assert.equal("PONG", older:call "PING")
  end)
end)
