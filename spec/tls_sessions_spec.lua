-- TLS sessions that are resumed: by whom, and by whom they are not.

local closing = require "spec.support.connections".closing
local code_of = require "spec.support.code_of"
local net = require "neap.net"
local task = require "neap.task"
local tls = require "neap.tls"

local cert, key = tls.selfsigned {names = {"localhost", "127.0.0.1", "a.example"}}
local ours = assert(tls.context {cert = cert, key = key})

describe("sessions", function()
  --- A client comes once: does it go on with a session of before?
  local function is_resumed(listener, client)
    local connecting = task.spawn(net.connect, listener.endpoint, {context = client})
    local stream <close> = assert(listener:accept())
    assert(stream:handshake())
    stream:write "x"
    local other <close> = assert(connecting:join())
    other:read(1) -- behind the tickets
    assert.equal(other.tls.resumed, stream.tls.resumed)
    return other.tls.resumed
  end

  local function visits(server, client, times)
    local listener <close> = assert(net.listen("tls://127.0.0.1:0", {context = server}))
    local resumed = {}
    for i = 1, times do
      resumed[i] = is_resumed(listener, client)
    end
    return resumed
  end

  it("R9: are resumed by who comes again", function()
    local client = assert(tls.context {ca = cert})
    assert.same({false, true, true}, visits(ours, client, 3))
    assert.same({false}, visits(ours, client, 1)) -- another port
  end)

  it("R9: are not where the server gives no tickets", function()
    local server = assert(tls.context {cert = cert, key = key, tickets = false})
    assert.same({false, false}, visits(server, assert(tls.context {ca = cert}), 2))
  end)

  it("stay good when the certificate changes", function()
    local server = assert(tls.context {cert = cert, key = key})
    local client = assert(tls.context {ca = cert})
    local listener <close> = assert(net.listen("tls://127.0.0.1:0", {context = server}))
    for i = 1, 2 do
      assert.equal(i == 2, is_resumed(listener, client))
      assert(server:set {alpn = {"x"}})
    end
  end)

  it("are no good where the server looks at its clients in another way since", function()
    local server = assert(tls.context {cert = cert, key = key})
    local client = assert(tls.context {ca = cert})
    local listener <close> = assert(net.listen("tls://127.0.0.1:0", {context = server}))
    for _ = 1, 2 do
      assert.is_false(is_resumed(listener, client))
      assert(server:set {verify = "optional", ca = cert})
    end
  end)

  --- Do two meet, and was it a session of before? Or the error of either.
  local function meet(listener, client, name)
    local connecting = task.spawn(net.connect, listener.endpoint,
      {context = client, server_name = name})
    local stream <close> = assert(listener:accept())
    local ok, err = stream:handshake()
    if ok then
      stream:write "x"
    end
    local other <close>, refused = connecting:join()
    if not ok or not other then
      return code_of(nil, refused or err)
    end
    other:read(1)
    return other.tls.resumed
  end

  it("R1: are no way around what a client wants of its servers now", function()
    local stranger = tls.selfsigned {names = {"localhost"}}
    local server = assert(tls.context {cert = cert, key = key})
    local listener <close> = assert(net.listen("tls://127.0.0.1:0", {context = server}))

    local trusting = assert(tls.context {verify = false})
    meet(listener, trusting, "localhost")
    assert.is_true(meet(listener, trusting, "localhost"))
    trusting:set {verify = true, ca = stranger}
    assert.equal("ETLSVERIFY", meet(listener, trusting, "localhost"))

    local known = assert(tls.context {ca = cert})
    meet(listener, known, "localhost")
    known:set {ca = stranger}
    assert.equal("ETLSVERIFY", meet(listener, known, "localhost"))

    local late = assert(tls.context {verify = false})
    local connecting = task.spawn(net.connect, listener.endpoint, {context = late})
    local stream <close> = assert(listener:accept())
    stream:write "x"
    local other <close> = assert(connecting:join())
    late:set {verify = true, ca = stranger}
    other:read(1) -- and the tickets before it
    assert.equal("ETLSVERIFY", meet(listener, late, "localhost"))
  end)
end)

describe("a server whose certificate a function chooses", function()
  it("takes nothing behind a hello before it has answered it", function()
    local server = assert(tls.context {cert = cert, key = key, names = function()
      task.sleep(0.01)
    end})
    for _, more in ipairs {"", "\22", "\22\3\1\0\4"} do
      local a, b = net.socketpair "mem"
      local client = task.spawn(pcall, a.starttls, a, {verify = false, server_name = "a.example"})
      local hello = b:recv()
      b:close()
      client:join()

      local c, d = net.socketpair "mem"
      local _ <close> = closing(c, d)
      local serving = task.spawn(d.starttls, d, {context = server, server = true})
      c:write(hello, more)
      if more == "" then
        assert(c:recv())
        c:close()
      end
      local ok, err = serving:join()
      assert.is_nil(ok)
      assert.equal(more == "" and "ETLSCUT" or "ETLSPROTO", err.code)
    end
  end)
end)
