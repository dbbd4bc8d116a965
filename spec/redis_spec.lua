-- neap.redis: what no server may send, and what becomes of commands when connections are lost.
-- With redis-server: redis_server_spec.

local errors = require "neap.error"
local net = require "neap.net"
local redis = require "neap.redis"
local resp = require "neap.redis.resp"
local support = require "spec.support.redis"
local task = require "neap.task"

--- A stream that gives these bytes, and what reads values of it.
local function reader_of(bytes, max)
  local a, b = net.socketpair()
  task.spawn(function()
    a:write(bytes)
    a:close()
  end)
  return resp.reader(b, max or 1 << 20), b
end

--- What is read of bytes: a value, or the code of the error; whether it is a push.
local function read(bytes, max)
  local reader, stream = reader_of(bytes, max)
  local value, err, pushed = resp.read(reader)
  stream:close()
  if value == nil then
    return err.code
  end
  return value, pushed
end

describe("an answer of Redis", function()
  local values = {
    ["+OK\r\n"] = "OK", [":-7\r\n"] = -7, [":9223372036854775807\r\n"] = math.maxinteger,
    ["$3\r\na\r\n\r\n"] = "a\r\n", ["$0\r\n\r\n"] = "", ["$-1\r\n"] = redis.null, ["*-1\r\n"] = redis.null,
    ["_\r\n"] = redis.null, ["#t\r\n"] = true, ["#f\r\n"] = false, [",1.5\r\n"] = 1.5, [",10\r\n"] = 10.0,
    [",inf\r\n"] = math.huge, [",-inf\r\n"] = -math.huge, [",1e3\r\n"] = 1000.0,
    ["(3492890328409238509324850943850943825024385\r\n"] = "3492890328409238509324850943850943825024385",
    ["=8\r\ntxt:some\r\n"] = "some", ["*0\r\n"] = {}, ["*2\r\n:1\r\n*1\r\n_\r\n"] = {1, {redis.null}},
    ["%2\r\n+a\r\n:1\r\n:2\r\n#f\r\n"] = {a = 1, [2] = false}, ["~2\r\n+a\r\n+b\r\n"] = {"a", "b"},
    ["|1\r\n+ttl\r\n:3\r\n+value\r\n"] = "value", ["*1\r\n|1\r\n+ttl\r\n:3\r\n+value\r\n"] = {"value"},
  }

  it("is a value of each kind", function()
    for bytes, value in pairs(values) do
      local got, pushed = read(bytes)
      assert.same({value, math.type(value), false}, {got, math.type(got), pushed})
    end
    local nan = read ",nan\r\n"
    assert.is_true(nan ~= nan)
    assert.same({{"message", "a"}, true}, {read ">2\r\n+message\r\n+a\r\n"})
  end)

  it("may be an error, whose code it says", function()
    for bytes, want in pairs {
      ["-WRONGTYPE no list\r\n"] = {"WRONGTYPE", "no list"}, ["-ERR bad\r\n"] = {"ERR", "bad"},
      ["!10\r\nSYNTAX a b\r\n"] = {"SYNTAX", "a b"}, ["-what is it\r\n"] = {"ERR", "what is it"},
      ["-\r\n"] = {"ERR", ""}, ["-A\27[1m b\r\n"] = {"ERR", "A?[1m b"},
    } do
      local err = read(bytes)
      assert.is_true(errors.is(err))
      assert.same(want, {err.code, err.message})
    end
  end)

  it("is cut nowhere", function()
    for bytes in pairs(values) do
      for n = 0, #bytes - 1 do
        local code = read(bytes:sub(1, n))
        assert.is_true(code == "ENODATA" or code == "ECONNRESET", bytes .. " at " .. n)
      end
    end
  end)

  it("that is none is refused", function()
    for _, bytes in ipairs {
      "\r\n", "HTTP/1.1 200 OK\r\n", ":\r\n", ":1.5\r\n", ":0x10\r\n", ": 1\r\n", ":9223372036854775808\r\n",
      "_1\r\n",
      "#\r\n", "#true\r\n", ",\r\n", ",0x1\r\n", ",1,5\r\n", "(\r\n", "(1.5\r\n", "$\r\n", "$-2\r\n", "$1\r\nabc",
      "$?\r\n", "*?\r\n", "*-2\r\n", "=3\r\nabc\r\n", "*1\r\n>1\r\n+x\r\n", ">-1\r\n", "%1\r\n,nan\r\n+x\r\n",
      "%-2\r\n", "!-1\r\n",
    } do
      assert.equal("EPROTO", read(bytes), bytes)
    end
  end)

  it("is neither too deep nor too long, whatever it says it is", function()
    assert.equal("EMSGSIZE", read(("*1\r\n"):rep(33) .. ":1\r\n"))
    assert.equal("EMSGSIZE", read(("%1\r\n:1\r\n"):rep(33) .. ":1\r\n"))
    assert.equal("EMSGSIZE", read(("|1\r\n"):rep(33) .. ":1\r\n"))
    assert.equal("table", type(read(("*1\r\n"):rep(32) .. ":1\r\n")))
    for _, bytes in ipairs {"$4294967296\r\n", "*2147483647\r\n", "%9223372036854775807\r\n", "$1001\r\n",
      "*100\r\n",
      "+" .. ("x"):rep(2000) .. "\r\n", ("|0\r\n"):rep(100),
      "*4\r\n" .. ("$300\r\n" .. ("x"):rep(300) .. "\r\n"):rep(4)} do
      assert.equal("EMSGSIZE", read(bytes, 1000))
    end
    assert.equal("EMSGSIZE", read("+" .. ("x"):rep(70000), 1 << 20))
  end)
end)

describe("a client of Redis", function()
  --- A server that greets, and else says what f(command, ...) gives.
  local function fake(f)
    return support.fake(function(command, ...)
      if command[1] == "HELLO" then
        return "%0\r\n"
      end
      return f(command, ...)
    end)
  end

  it("sends what many tasks ask at once, and gives each its answer", function()
    local at_once, most = 0, 0
    local where, _ <close> = fake(function(command, stream)
      at_once = at_once + 1
      most = math.max(most, at_once)
      task.background(function()
        at_once = 0
      end)
      stream:write("$", #command[2], "\r\n", command[2], "\r\n")
    end)
    local client <close> = assert(redis.connect(where))
    task.scope(function(scope)
      for i = 1, 50 do
        scope:spawn(function()
          assert.equal(tostring(i), client:call("ECHO", i))
        end)
      end
    end)
    assert.is_true(most > 10)
    local words = {}
    for i, word in ipairs(assert(client:pipeline {{"ECHO", 1}, {"ECHO", 2.5}, {"echo", "x\r\n"}})) do
      words[i] = word
    end
    assert.same({"1", "2.5", "x\r\n"}, words)
    assert.same({}, client:pipeline {})
  end)

  it("drops the answer that nobody waits for", function()
    local go = task.event()
    local where, _ <close> = fake(function(command)
      if command[1] == "SLOW" then
        go:wait()
      end
      return "+" .. command[2] .. "\r\n"
    end)
    local client <close> = assert(redis.connect(where))
    assert.equal("ETIMEDOUT", select(2, task.timeout(0.01, client.call, client, "SLOW", "one")).code)
    local cancelled = task.spawn(client.call, client, "QUICK", "two")
    task.yield()
    cancelled:cancel()
    cancelled:join()
    go:set()
    assert.equal("three", client:call("QUICK", "three"))
  end)

  it("asks again only for what cannot have been done, unless it is told to", function()
    local done
    local function server()
      done = {}
      return fake(function(command, stream, n)
        done[#done + 1] = command[2]
        if n == 1 then
          stream:close()
          return
        end
        return "+" .. command[2] .. n .. "\r\n"
      end)
    end
    local where, one <close> = server()
    local events = {}
    local client <close> = assert(redis.connect(where, {pause = 0.001, onevent = function(name)
      events[#events + 1] = name
    end}))
    local value, err = client:call("INCR", "a")
    assert.same({nil, "ECONNRESET"}, {value, err.code})
    assert.same({"b2", {"a", "b"}, {"lost", "connected"}}, {client:call("INCR", "b"), done, events})

    local there, two <close> = server()
    local other <close> = assert(redis.connect(there, {pause = 0.001, again = true}))
    assert.same({"a2", {"a", "a"}}, {other:call("INCR", "a"), done})
    assert.is_not_nil(one and two)
  end)

  it("ends, where it is not to connect again", function()
    local where, _ <close> = fake(function(_, stream)
      stream:close()
    end)
    local client <close> = assert(redis.connect(where, {reconnect = false}))
    assert.equal("ECONNRESET", select(2, client:call "PING").code)
    task.yield()
    assert.equal("ECONNRESET", select(2, client:call "PING").code)
    assert.is_true(client.closed)
    assert.same({nil, "ECONNRESET"}, {select(2, client:session()) and nil, select(2, client:subscribe "x").code})
  end)

  it("leaves a server that does not speak as it should, and tells", function()
    for text, code in pairs {["HTTP/1.1 400\r\n"] = "EPROTO", ["*99999999\r\n"] = "EMSGSIZE"} do
      local where, _ <close> = fake(function(_, _, n)
        return n == 1 and text or "+fine\r\n"
      end)
      local client <close> = assert(redis.connect(where, {pause = 0.001, again = true, max = 1000}))
      assert.equal(code, select(2, client:call "PING").code)
      assert.equal("fine", client:call "PING")
    end
    local where, _ <close> = fake(function()
      return "+one\r\n+more than was asked\r\n"
    end)
    local lost = task.future()
    local client <close> = assert(redis.connect(where, {onevent = function(name, err)
      if name == "lost" then
        lost:set(err.code)
      end
    end}))
    assert.same({"one", "EPROTO"}, {client:call "PING", lost:wait()})
  end)

  it("speaks RESP2 where a server has no other", function()
    local heard = {}
    local where, _ <close> = support.fake(function(command)
      heard[#heard + 1] = table.concat(command, " ")
      return command[1] == "HELLO" and "-ERR unknown command 'HELLO'\r\n" or "+OK\r\n"
    end)
    local client <close> = assert(redis.connect(where, {user = "me", password = "secret", db = 3, client_name = "c"}))
    assert.same({2, {"HELLO 3 AUTH me secret", "AUTH me secret", "CLIENT SETNAME c", "SELECT 3"}},
      {client.version, heard})
    local code = select(2, redis.connect(where, {protocol = 3})).code
    assert.equal("ERR", code)
  end)

  it("is not let in without the password", function()
    local where, _ <close> = support.fake(function()
      return "-WRONGPASS invalid\r\n"
    end)
    assert.equal("WRONGPASS", select(2, redis.connect(where, {password = "x"})).code)
  end)

  it("notices a server that is silent", function()
    local where, _ <close> = fake(function(_, _, n)
      return n > 1 and "+there\r\n" or nil
    end)
    local client <close> = assert(redis.connect(where, {ping = 0.02, pause = 0.001}))
    local value, err = client:call "GET"
    assert.is_nil(value)
    assert.is_not_nil(err)
    assert.equal("there", client:call "GET")
  end)

  it("gives up a server that does not greet", function()
    local where, _ <close> = support.fake(function() end)
    assert.equal("ETIMEDOUT", select(2, redis.connect(where, {timeout = 0.02})).code)
  end)

  it("lets a command wait while too much waits already", function()
    local where, _ <close> = fake(function(_, stream, n)
      if n == 1 then
        stream:close()
      end
      return "+OK\r\n"
    end)
    local client <close> = assert(redis.connect(where, {pending = 1000, pause = 0.001}))
    client:call "PING" -- and the connection is lost
    local list = {}
    for i = 1, 20 do
      list[i] = task.spawn(client.call, client, "SET", "k", ("x"):rep(400))
    end
    for i = 1, 20 do
      assert.equal("OK", list[i]:join())
    end
  end)

  it("raises a mistake where it was made", function()
    local where, _ <close> = fake(function()
      return "+OK\r\n"
    end)
    local client <close> = assert(redis.connect(where))
    local function raises(words, f, ...)
      local line = debug.getinfo(2, "l").currentline
      local ok, message = pcall(f, ...)
      assert.is_false(ok)
      assert.matches(":" .. line .. ": .*" .. words, message)
    end
    raises("name expected, got nil", function() client:call() end)
    raises("#3 to 'call'.*got table", function() client:call("SET", "a", {}) end)
    raises("use Client:session", function() client:call("watch", "a") end)
    raises("use Client:subscribe", function() client:call("SUBSCRIBE", "a") end)
    raises("a list of commands", function() client:pipeline "x" end)
    raises("command 1: a list of words", function() client:pipeline {"x"} end)
    raises("command 2, word 2.*got boolean", function() client:multi {{"PING"}, {"ECHO", true}} end)
    raises("BLPOP waits", function() client:pipeline {{"BLPOP", "a", 0}} end)
    raises("a channel or a list", function() client:subscribe(1) end)
    raises("unknown option 'x'", function() client:subscribe("a", {x = 1}) end)
    raises("option 'kind'", function() client:subscribe("a", {kind = 1}) end)
    raises("a URL, or options", function() return (redis.connect(1)) end)
    raises("unknown option 'x'", function() return (redis.connect(where, {x = 1})) end)
    raises("option 'db'", function() return (redis.connect {url = where, db = "x"}) end)
    raises("string expected", function() return (redis.script(1)) end)
    raises("a client of Redis", function() return (redis.script "return 1":run(1, {})) end)
  end)

  it("is told where by a URL", function()
    for _, where in ipairs {"http://x", "redis://", "redis://x/y", "redis://x/1/2", "redis://x?a", "redis://me@x",
      "x y", ""} do
      assert.equal("EBADMSG", select(2, redis.connect(where)).code, where)
    end
  end)
end)

describe("a subscription at Redis", function()
  local function confirm(command)
    local list = {}
    for i = 2, #command do
      list[#list + 1] = (">3\r\n+%s\r\n$%d\r\n%s\r\n:%d\r\n"):format(command[1]:lower(), #command[i], command[i], i - 1)
    end
    return table.concat(list)
  end

  local function message(channel, data)
    return (">3\r\n+message\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n"):format(#channel, channel, #data, data)
  end

  it("comes back with the connection, and other answers keep their places", function()
    local where, _ <close> = support.fake(function(command, stream, n)
      if command[1] == "HELLO" then
        return "%0\r\n"
      elseif command[1] == "SUBSCRIBE" then
        return message("a", "before") .. confirm(command) .. message("a", "hello " .. n)
      elseif command[1] == "BREAK" then
        stream:close()
      end
      return message("a", "between") .. "+OK\r\n"
    end)
    local client <close> = assert(redis.connect(where, {pause = 0.001}))
    local sub = assert(client:subscribe {"a", "b"})
    assert.equal("OK", client:call "PING")
    client:call "BREAK"
    assert.equal("OK", client:call "PING")
    local list = {}
    for _ = 1, 6 do
      list[#list + 1] = sub:recv().data
    end
    assert.same({"before", "hello 1", "between", "before", "hello 2", "between"}, list)
    client:close()
    assert.same({n = 1}, table.pack(sub:recv()))
  end)

  it("drops what nobody takes, and counts", function()
    local where, _ <close> = support.fake(function(command)
      if command[1] == "HELLO" then
        return "%0\r\n"
      elseif command[1] == "SUBSCRIBE" then
        return confirm(command)
      end
      return message("a", "x"):rep(10) .. "+OK\r\n"
    end)
    local slow = 0
    local client <close> = assert(redis.connect(where, {onevent = function(name)
      slow = slow + (name == "slow" and 1 or 0)
    end}))
    local sub = assert(client:subscribe("a", {pending = 3}))
    assert.equal("OK", client:call "PING")
    assert.same({7, 1}, {sub.dropped, slow})
  end)

  it("may be refused", function()
    local where, _ <close> = support.fake(function(command)
      return command[1] == "HELLO" and "%0\r\n" or "-NOPERM no\r\n"
    end)
    local client <close> = assert(redis.connect(where))
    assert.equal("NOPERM", select(2, client:subscribe {"a", "b"}).code)
    assert.equal("NOPERM", select(2, client:call "PING").code)
  end)
end)
