-- neap.bus over NATS: who we are, connections that are lost, and what no server may send.
-- What is true of every bus: bus_spec.

local bus = require "neap.bus"
local credentials = require "neap.bus.credentials"
local crypto = require "neap.crypto"
local folder = require "spec.support.folder"
local json = require "neap.json"
local nats = require "spec.support.nats"
local net = require "neap.net"
local task = require "neap.task"
local tls = require "neap.tls"

before_each(folder.make)
after_each(folder.remove)

--- Wait until it is true.
local function until_true(f)
  repeat
    task.sleep(0.005)
  until f()
end

--- A server that says what it is told to: f(stream) behind the handshake of each client.
local function fake(f, info)
  local listener = assert(net.listen "tcp://127.0.0.1:0")
  local server = task.spawn(listener.serve, listener, function(stream)
    stream:write("INFO ", json.encode(info or {max_payload = 1000}), "\r\n")
    stream:readuntil "\r\n"
    stream:readuntil "\r\n"
    stream:write "PONG\r\n"
    f(stream)
  end)
  return "nats://127.0.0.1:" .. listener.port, setmetatable({}, {__close = function()
    listener:close()
    server:cancel()
    server:join()
  end})
end

describe("a client of NATS", function()
  it("says who it is: password, token, nkey", function()
    nats.need()
    local seed = credentials.seed("U", crypto.random(32))
    local _, public = credentials.key(seed)
    local one <close> = nats.start 'authorization { user: me, password: "se:cr@t" }'
    local two <close> = nats.start 'authorization { token: "abc" }'
    local three <close> = nats.start(('authorization { users: [{nkey: %s}] }'):format(public))
    local function try(server, opts, info)
      local here, err = bus.open("nats://" .. (info and info .. "@" or "") .. "127.0.0.1:" .. server.port, opts)
      if here then
        here:close()
      end
      return here and "in" or err.code
    end
    assert.same({"in", "in", "EACCES", "EACCES"}, {try(one, {user = "me", password = "se:cr@t"}),
      try(one, nil, "me:se%3acr%40t"), try(one, {user = "me", password = "x"}), try(one)})
    assert.same({"in", "in", "EACCES"}, {try(two, {token = "abc"}), try(two, nil, "abc"), try(two, {token = "x"})})
    assert.same({"in", "EACCES", "EKEY"}, {try(three, {nkey = seed}),
      try(three, {nkey = credentials.seed("U", crypto.random(32))}), try(three, {nkey = seed:sub(1, -2) .. "7"})})
  end)

  it("says who it is by a file of credentials", function()
    nats.need()
    local keys = {}
    for _, kind in ipairs {"O", "A", "U"} do
      local key, public = credentials.key(credentials.seed(kind, crypto.random(32)))
      keys[kind] = {key = key, public = public}
    end
    local seed = credentials.seed("U", crypto.random(32))
    keys.U.key, keys.U.public = credentials.key(seed)
    local function jwt(issuer, subject, claims)
      local function part(value)
        return crypto.tobase64(json.encode(value), {url = true})
      end
      local text = part {typ = "JWT", alg = "ed25519-nkey"} .. "."
        .. part {jti = "x", iat = 1600000000, iss = keys[issuer].public, sub = keys[subject].public,
          name = subject, nats = claims}
      return text .. "." .. crypto.tobase64(keys[issuer].key:sign(text), {url = true})
    end
    local limits = {wildcards = true}
    for _, name in ipairs {"subs", "conn", "leaf", "imports", "exports", "data", "payload"} do
      limits[name] = -1
    end
    local server <close> = nats.start(("operator: %s\nresolver: MEMORY\nresolver_preload: { %s: %s }"):format(
      jwt("O", "O", {type = "operator", version = 2}), keys.A.public,
      jwt("O", "A", {type = "account", version = 2, limits = limits})))
    local user = jwt("A", "U", {type = "user", version = 2, subs = -1, data = -1, payload = -1})
    local path = folder.write("me.creds", ([[
-----BEGIN NATS USER JWT-----
%s
------END NATS USER JWT------

************************* IMPORTANT *************************

-----BEGIN USER NKEY SEED-----
%s
------END USER NKEY SEED------
]]):format(user, seed))
    local here <close> = assert(bus.open(server.url, {creds = path}))
    local sub = here:subscribe "x"
    here:publish("x", "in")
    assert.equal("in", sub:recv().data)
    assert.equal("EACCES", select(2, bus.open(server.url)).code)
    assert.equal("EKEY", select(2, bus.open(server.url, {creds = folder.write("none", "x")})).code)
    assert.equal("ENOENT", select(2, bus.open(server.url, {creds = "/nowhere"})).code)
  end)

  it("speaks TLS where the server asks for it, and verifies", function()
    nats.need()
    local cert, key = tls.selfsigned {names = {"127.0.0.1"}}
    local server <close> = nats.start(("tls { cert_file: %q, key_file: %q }"):format(
      folder.write("cert.pem", cert), folder.write("key.pem", key)))
    local here <close> = assert(bus.open(server.url, {tls = {ca = cert}}))
    assert(here:flush())
    local there <close> = assert(bus.open("tls://127.0.0.1:" .. server.port, {tls = assert(tls.context {ca = cert})}))
    assert(there:flush())
    assert(select(2, bus.open(server.url)).code:find "^ETLS")
    local plain <close> = nats.start()
    assert.equal("EPROTO", select(2, bus.open(plain.url, {tls = {ca = cert}})).code)
  end)

  it("is told what it may not, and goes on", function()
    nats.need()
    local server <close> = nats.start [[authorization { users: [
      {user: me, password: x, permissions: {publish: "ok.>", subscribe: ["ok.>", "_INBOX.>"]}}] }]]
    local told = {}
    local here <close> = assert(bus.open(server.url, {user = "me", password = "x", onevent = function(name, what)
      told[#told + 1] = name .. " " .. what.code
    end}))
    local sub, good = here:subscribe "secret", here:subscribe "ok.x"
    assert.equal("EACCES", select(2, sub:recv()).code)
    here:publish "secret"
    here:publish "ok.x"
    assert.equal("ok.x", good:recv().subject)
    assert.same({"error EACCES", "error EACCES"}, told)
    local _, err = here:publish("ok.x", ("x"):rep(1 << 20) .. "x")
    assert.equal("EMSGSIZE", err.code)
  end)
end)

describe("a lost connection", function()
  it("comes back: subscriptions are made anew, and what was published goes out in order", function()
    nats.need()
    local server <close> = nats.start()
    local told = {}
    local here <close> = assert(bus.open(server.url, {onevent = function(name)
      told[#told + 1] = name
    end}))
    local sub, few = here:subscribe "n", here:subscribe("n", {max = 3})
    here:publish("n", "0")
    sub:recv()
    few:recv()
    server:kill()
    until_true(function() return told[1] == "lost" end)
    for i = 1, 10 do
      assert(here:publish("n", tostring(i)))
    end
    local flushed = task.spawn(here.flush, here)
    server:start()
    for i = 1, 10 do
      assert.equal(tostring(i), sub:recv().data)
    end
    assert.same({"1", "2"}, {few:recv().data, few:recv().data})
    assert.is_nil(few:recv())
    assert.is_true(flushed:join())
    assert.same({"lost", "connected"}, told)
  end)

  it("keeps so much and no more: who publishes waits, or is told", function()
    local times = 0
    local ready = task.event()
    local listening, guard = fake(function(stream)
      times = times + 1
      if times == 1 then
        return
      end
      ready:set()
      for _ in stream:chunks() do end -- luacheck: ignore 542
    end)
    local _ <close> = guard
    local lost = task.event()
    local here <close> = assert(bus.open(listening, {pending = 100, pause = 0.01, onevent = function(name)
      if name == "lost" then lost:set() end
    end}))
    lost:wait()
    local publisher = task.spawn(function()
      for _ = 1, 50 do
        assert(here:publish("n", "0123456789"))
      end
      return "done"
    end)
    assert.equal("done", publisher:join())
    assert.is_true(ready.is_set)

    local other, other_guard = fake(function() end)
    local last = task.event()
    local there <close> = assert(bus.open(other, {pending = 100, full = "error", onevent = function(name)
      if name == "lost" then last:set() end
    end}))
    last:wait()
    getmetatable(other_guard).__close()
    local err
    repeat
      local ok, why = there:publish("n", "0123456789")
      err = why
    until not ok
    assert.equal("ENOBUFS", err.code)
  end)

  it("is given up where that is asked for", function()
    local url, guard = fake(function() end)
    local _ <close> = guard
    local here <close> = assert(bus.open(url, {reconnect = false}))
    local sub = here:subscribe "n"
    assert.equal("ENODATA", select(2, sub:recv()).code)
    assert.is_true(here.closed)
    assert.equal("ENODATA", select(2, here:publish "n").code)
  end)

  it("goes to another server of the cluster, also one that was only told of", function()
    nats.need()
    local routes = {nats.port(), nats.port()}
    local function config(i)
      return ("cluster { name: c, listen: 127.0.0.1:%d, routes: [nats://127.0.0.1:%d] }"):format(
        routes[i], routes[3 - i])
    end
    local one <close> = nats.start(config(1))
    local two <close> = nats.start(config(2))
    local where
    local here <close> = assert(bus.open(one.url, {pause = 0.1, onevent = function(name, what)
      where = name == "connected" and what or where
    end}))
    local there <close> = assert(bus.open(two.url))
    local sub = here:subscribe "n"
    until_true(function() -- the route is made
      assert(here:flush())
      return there:request("n", "", {timeout = 0.001}) or sub.count > 0
    end)
    until_true(function() return #here.carrier.servers > 1 end)
    one:kill()
    until_true(function() return where end)
    assert.equal("127.0.0.1:" .. two.port, where)
    local last = here:subscribe "last"
    assert(here:flush())
    there:publish("last", "here")
    assert.equal("here", last:recv().data)
  end)

  it("is found out where the server says nothing any more", function()
    local url, guard = fake(function(stream)
      for _ in stream:chunks() do end -- luacheck: ignore 542
    end)
    local _ <close> = guard
    local lost = task.event()
    local here <close> = assert(bus.open(url, {ping = 0.02, onevent = function(name)
      if name == "lost" then lost:set() end
    end}))
    lost:wait()
    here:close()
  end)

  it("is expected of a server that is about to end", function()
    local url, guard = fake(function(stream)
      stream:write 'INFO {"ldm":true,"connect_urls":["127.0.0.1:1","[::1]:2","a b",7]}\r\nPING\r\n'
      for _ in stream:chunks() do end -- luacheck: ignore 542
    end)
    local _ <close> = guard
    local lame = task.event()
    local here <close> = assert(bus.open(url, {onevent = function(name)
      if name == "lame" then lame:set() end
    end}))
    lame:wait()
    local known = {}
    for i, server in ipairs(here.carrier.servers) do
      known[i] = server.key
    end
    table.sort(known)
    assert.same({"127.0.0.1:1", url:sub(8), "[::1]:2"}, known)
  end)
end)

describe("what a server must not send", function()
  local function ends(text, code)
    local url, guard = fake(function(stream)
      stream:readuntil "\r\n"
      stream:write(text)
      for _ in stream:chunks() do end -- luacheck: ignore 542
    end)
    local _ <close> = guard
    local here <close> = assert(bus.open(url, {reconnect = false, max = 1000}))
    local sub = here:subscribe "n"
    local message, err
    repeat
      message, err = sub:recv()
    until not message
    assert.equal(code, err and err.code, text:sub(1, 60))
  end

  it("ends the connection", function()
    ends("what?\r\n", "EPROTO")
    ends("MSG n 1\r\n", "EPROTO")
    ends("MSG n 1 5\r\n1234567\r\n", "EPROTO")
    ends("MSG n 1 1001\r\n", "EMSGSIZE")
    ends("MSG n 1 99999999999999999999\r\n", "EMSGSIZE")
    ends("MSG " .. ("n"):rep(5000) .. " 1 1\r\nx\r\n", "EMSGSIZE")
    ends(("x"):rep(70000), "EMSGSIZE")
    ends("INFO {\r\n", "EPROTO")
    ends("INFO 1\r\n", "EPROTO")
    ends("HMSG n 1 20 10\r\n0123456789\r\n", "EPROTO")
    ends("HMSG n 1 10 10\r\n0123456789\r\n", "EPROTO")
    ends("HMSG n 1 15 15\r\nNATS/1.0\r\nx\r\n\r\n\r\n", "EPROTO")
    ends("-ERR 'Stale Connection'\r\nx\r\n", "EPROTO")
  end)

  it("or is passed over", function()
    local url, guard = fake(function(stream)
      stream:readuntil "\r\n"
      stream:write("+OK\r\nPONG\r\nMSG n 77 1\r\nx\r\nINFO {}\r\n-ERR \27[31m\r\nPING\r\n",
        "HMSG n 1 r 19 21\r\nNATS/1.0\r\na:  b\r\n\r\nhi\r\n")
      for _ in stream:chunks() do end -- luacheck: ignore 542
    end)
    local _ <close> = guard
    local err
    local here <close> = assert(bus.open(url, {onevent = function(_, what)
      err = err or what
    end}))
    local message = here:subscribe "n":recv()
    assert.same({"hi", "r", {a = "b"}}, {message.data, message.reply, message.headers})
    assert.equal("nats: the server said: ?[31m (EPROTO)", tostring(err))
  end)
end)
