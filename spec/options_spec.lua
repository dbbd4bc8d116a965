local child = require "spec.support.child"
local net = require "neap.net"

--- A connected pair.
local function connected(endpoint, options)
  local listener <close> = assert(net.listen(endpoint))
  local stream = assert(net.connect(endpoint:match "^%w+://[^:]*:" .. listener.port, options))
  local other = assert(listener:accept())
  return stream, other
end

local function has_ipv6()
  local listener <close> = net.listen "tcp6://[::1]:0"
  return listener ~= nil
end

describe("socket options", function()
  local stream, other

  before_each(function()
    stream, other = connected "tcp4://127.0.0.1:0"
  end)

  after_each(function()
    stream:close()
    other:close()
  end)

  -- name, what is set, what is read back when that is another
  local round_trips = {
    {"nodelay", true}, {"nodelay", false},
    {"keepalive", true}, {"keepalive", false}, {"keepalive", 60, true},
    {"keepalive", {idle = 60, interval = 5, count = 3}, true}, {"keepalive", {}, true},
    {"keepalive_idle", 17}, {"keepalive_interval", 18}, {"keepalive_count", 19},
    {"linger", 5}, {"linger", 0}, {"linger", false},
    {"sndbuf", 20000, 40000}, -- the kernel doubles it, socket(7)
    {"rcvbuf", 20000, 40000},
    {"tos", 0x10}, {"ttl", 17}, {"ttl", 255}, {"priority", 3},
    {"cork", true}, {"cork", false}, {"quickack", true},
    {"user_timeout", 2}, {"user_timeout", 0.25}, {"user_timeout", 0},
    {"notsent_lowat", 16384},
    {"oobinline", true}, {"dontroute", true}, {"dontroute", false},
    {"linger", 3.0, 3}, {"ttl", 64.0, 64},
  }

  for _, row in ipairs(round_trips) do
    local name, value, expected = row[1], row[2], row[3]
    if expected == nil then
      expected = value
    end
    it(("G5 O7: %s can be set to %s"):format(name, type(value) == "table" and "a table" or value),
      function()
        local _, err = stream:set {[name] = value}
        assert.is_nil(err)
        local got = stream:get(name)
        assert.equal(expected, got)
        assert.equal(math.type(expected), math.type(got) == "float" and expected % 1 == 0
          and math.type(expected) or math.type(got))
      end)
  end

  it("sets the parts of keepalive together", function()
    stream:set {keepalive = {idle = 60, interval = 5, count = 3}}
    assert.same({true, 60, 5, 3}, {
      stream:get "keepalive", stream:get "keepalive_idle", stream:get "keepalive_interval",
      stream:get "keepalive_count",
    })
    stream:set {keepalive = 7}
    assert.equal(7, stream:get "keepalive_idle")
  end)

  it("sets several at once, and nothing for an empty table", function()
    local _, err = stream:set {nodelay = true, ttl = 9, sndbuf = 30000}
    assert.is_nil(err)
    assert.same({true, 9, 60000}, {stream:get "nodelay", stream:get "ttl", stream:get "sndbuf"})
    _, err = stream:set {}
    assert.is_nil(err)
  end)

  it("are asked for by name: error, acceptconn, congestion", function()
    assert.is_false(stream:get "error")
    assert.is_false(stream:get "acceptconn")
    local name = stream:get "congestion"
    assert.matches("^%l+", name)
    stream:set {congestion = name}
    assert.equal(name, stream:get "congestion")
    assert.equal("", stream:get "device")
    assert.is_true(stream:get "maxseg" >= 88)
  end)

  local inf, nan = math.huge, 0 / 0
  local mistakes = {
    {"O2", {nodealy = true}, "unknown option 'nodealy' %(did you mean 'nodelay'%?%)"},
    {"O2", {keepalvie = true}, "did you mean 'keepalive'"},
    {"O2", {NoDelay = true}, "did you mean 'nodelay'"},
    {"O2", {so_linger = 1}, "unknown option 'so_linger'%)"},
    {"O2", {nonsense = 1, also_nonsense = 1}, "unknown option 'also_nonsense'"},
    {"O2", {["nodelay\0"] = true}, "unknown option"},
    {"O2", {[""] = true}, "unknown option ''"},
    {"O2", {[("x"):rep(100000)] = true}, "unknown option 'xxx+%.%.%.'"},
    {"O2", {true}, "an option's name is a string, got a number"},
    {"O2", {[print] = true}, "an option's name is a string, got a function"},
    {"G5", {nodelay = 1}, "option 'nodelay': true or false expected, got 1"},
    {"G5", {nodelay = "true"}, "option 'nodelay': true or false expected, got string"},
    {"G5", {nodelay = {}}, "option 'nodelay': true or false expected, got table"},
    {"G5", {keepalive = 0}, "option 'keepalive': a whole number from 1 to 32767 s expected, got 0"},
    {"G5", {keepalive = -1}, "option 'keepalive'"},
    {"G5", {keepalive = 1.5}, "option 'keepalive'"},
    {"G5", {keepalive = "60"}, "true, false, seconds or {idle=, interval=, count=} expected"},
    {"G5", {keepalive = {idle = 0}}, "option 'keepalive_idle'"},
    {"G5", {keepalive = {idel = 60}}, "its fields are idle, interval"},
    {"G5", {keepalive = {60}}, "its fields are idle, interval"},
    {"G5", {keepalive = {count = 128}}, "from 1 to 127 expected, got 128"},
    {"G5", {linger = true}, "option 'linger': false or whole seconds expected, got true"},
    {"G5", {linger = -1}, "from 0 to 65535 s expected, got %-1"},
    {"G5", {linger = 0.5}, "a whole number"},
    {"G5", {sndbuf = 0}, "from 1 to 2147483647 bytes expected, got 0"},
    {"G5", {sndbuf = 1 << 31}, "from 1 to 2147483647 bytes"},
    {"G5", {sndbuf = "20000"}, "bytes expected, got string"},
    {"G5", {rcvbuf = nan}, "option 'rcvbuf'"},
    {"G5", {rcvbuf = inf}, "option 'rcvbuf'"},
    {"G5", {rcvbuf = -inf}, "option 'rcvbuf'"},
    {"G5", {rcvbuf = math.maxinteger}, "option 'rcvbuf'"},
    {"G5", {rcvbuf = math.mininteger}, "option 'rcvbuf'"},
    {"G5", {multicast_interface = 7}, "the name of an interface expected, got 7"},
    {"G5", {multicast_interface = "nosuch0"}, "no interface is named 'nosuch0'"},
    {"G5", {multicast_interface = "lo\0no"}, "no interface is named 'lo%?no'"},
    {"G5", {multicast_interface = "\2"}, "no interface is named '%?'"},
    {"G5", {ttl = 0}, "from 1 to 255 hops expected, got 0"},
    {"G5", {ttl = 256}, "option 'ttl'"},
    {"G5", {tos = 256}, "option 'tos'"},
    {"G5", {tos = 1.5}, "option 'tos'"},
    {"G5", {mark = -1}, "from 0 to 4294967295 expected"},
    {"G5", {user_timeout = -1}, "option 'user_timeout': a number from 0 to 2147483 s"},
    {"G5", {user_timeout = nan}, "option 'user_timeout'"},
    {"G5", {congestion = ""}, "a name of at most 15 bytes"},
    {"G5", {congestion = ("c"):rep(16)}, "a name of at most 15 bytes"},
    {"G5", {congestion = "re\0no"}, "a name of at most 15 bytes"},
    {"G5", {congestion = 5}, "a name of at most 15 bytes expected, got 5"},
    {"G5", {device = ("d"):rep(16)}, "a name of at most 15 bytes"},
    {"G5", {error = 0}, "option 'error' can only be asked for"},
    {"G5", {acceptconn = true}, "option 'acceptconn' can only be asked for"},
    {"G5", {reuseaddr = true}, "option 'reuseaddr' is given when the socket is made"},
    {"G5", {v6only = true}, "option 'v6only' is given when the socket is made"},
  }

  for _, row in ipairs(mistakes) do
    local id, options, message = table.unpack(row)
    it(("%s: raise %s"):format(id, message), function()
      assert.error_matches(function()
        stream:set(options)
      end, "bad argument #%d to '.*' %(.*" .. message)
    end)
  end

  it("O2: are taken from the table itself, without metamethods", function()
    local function throw()
      error "called"
    end
    local options = setmetatable({nodelay = true}, {
      __index = throw, __pairs = throw, __len = throw, __newindex = throw,
    })
    local _, err = stream:set(options)
    assert.is_nil(err)
    assert.is_true(stream:get "nodelay")
  end)

  it("O1: are in a table", function()
    for _, value in ipairs {true, 1, "nodelay", print, io.stdout} do
      assert.has_error(function()
        stream:set(value)
      end)
    end
  end)

  it("O1 O2: unknown ones cannot be asked for", function()
    assert.error_matches(function()
      stream:get "nodealy"
    end, "unknown option 'nodealy' %(did you mean 'nodelay'%?%)")
    for _, name in ipairs {"", "nodelay\0", ("x"):rep(100000)} do
      assert.error_matches(function()
        stream:get(name)
      end, "unknown option")
    end
    for _, name in ipairs {1, true, {}, print} do
      assert.has_error(function()
        stream:get(name)
      end)
    end
  end)

  it("O1: survive random names and values", function()
    local state = 99
    local function draw(n)
      state = (state * 6364136223846793005 + 1442695040888963407)
      return (state >> 33) % n + 1
    end
    local names = {
      "nodelay", "keepalive", "linger", "tos", "ttl", "cork", "user_timeout", "congestion", "error",
      "keepalive_idle", "", "x", "nodelay\0", "acceptconn", "reuseaddr", "oobinline", "priority",
    }
    local values = {
      true, false, 0, 1, -1, 1.5, 2 ^ 31, 2 ^ 53, math.maxinteger, nan, inf, "", "\0", "cubic", {},
      {idle = 1}, {idle = {}}, print, stream,
    }
    for _ = 1, 10 * child.many do
      local options = {}
      for _ = 1, draw(2) do
        options[names[draw(#names)]] = values[draw(#values)]
      end
      local ok, why = pcall(stream.set, stream, options)
      if not ok and not why:find "option" then
        error(why)
      end
    end
  end)

  it("G5: that the kernel refuses are returned errors", function()
    local _, err = stream:set {congestion = "nosuchone"}
    assert.equal("ENOENT", err.code)
    _, err = stream:set {device = "nosuchif"}
    assert.is_truthy(err.code == "ENODEV" or err.code == "EPERM", err)
  end)

  it("G5: of TCP are not a unix socket's", function()
    local a, b = net.socketpair()
    b:close()
    local _, err = a:set {nodelay = true}
    assert.equal("EOPNOTSUPP", err.code)
    _, err = a:set {sndbuf = 20000}
    assert.is_nil(err)
    assert.equal(40000, a:get "sndbuf")
    a:close()
  end)
end)

describe("options given to listen and connect", function()
  it("are set before the socket is bound or connected", function()
    local listener <close> = assert(net.listen("tcp4://127.0.0.1:0", {
      reuseport = true, defer_accept = 3, rcvbuf = 20000, nodelay = true,
    }))
    assert.is_true(listener:get "reuseport")
    assert.is_true(listener:get "acceptconn")
    assert.is_true(listener:get "defer_accept" >= 3)
    assert.equal(40000, listener:get "rcvbuf")
    local second <close> = assert(net.listen("tcp4://127.0.0.1:" .. listener.port,
      {reuseport = true}))
    assert.equal(listener.port, second.port)
  end)

  it("O2: raise for unknown ones, before anything is acquired", function()
    for _, open in ipairs {net.listen, net.connect} do
      assert.error_matches(function()
        open("tcp://127.0.0.1:0", {nodealy = true})
      end, "unknown option 'nodealy' %(did you mean 'nodelay'%?%)")
      assert.error_matches(function()
        open("tcp://127.0.0.1:0", {ttl = "64"})
      end, "option 'ttl'")
    end
    assert.error_matches(function()
      net.listen("tcp://127.0.0.1:0", {baklog = 1})
    end, "did you mean 'backlog'")
  end)

  it("follow the family that a name turns out to have", function()
    local stream, other = connected("tcp4://localhost:0", {ttl = 33, tos = 8})
    other:close()
    assert.equal(33, stream:get "ttl")
    assert.equal(8, stream:get "tos")
    stream:close()
  end)

  it("are IPv6's on an IPv6 socket", function()
    if not has_ipv6() then
      pending "no IPv6 here"
    end
    local listener <close> = assert(net.listen("tcp6://[::1]:0"))
    local stream <close> = assert(net.connect("tcp://[::1]:" .. listener.port,
      {ttl = 33, tos = 8}))
    assert.equal(33, stream:get "ttl")
    assert.equal(8, stream:get "tos")
  end)

  it("G1: v6only", function()
    if not has_ipv6() then
      pending "no IPv6 here"
    end
    local dual <close> = assert(net.listen("tcp://[::]:0", {v6only = false}))
    assert.is_false(dual:get "v6only")
    local only <close> = assert(net.listen("tcp://[::]:0", {v6only = true}))
    assert.is_true(only:get "v6only")
    local stream, err = net.connect("tcp://127.0.0.1:" .. only.port)
    assert.is_nil(stream)
    assert.equal("ECONNREFUSED", err.code)
  end)
end)
