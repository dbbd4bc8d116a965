-- TLS with other programs that speak it (R17), at either end.

local folder = require "spec.support.folder"
local lfs = require "lfs"
local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"
local tls = require "neap.tls"

local cert, key = tls.selfsigned {names = {"localhost", "127.0.0.1"}}
local ours = assert(tls.context {cert = cert, key = key})

describe("TLS with other programs", function()
  before_each(function()
    folder.make()
    folder.write("cert.pem", cert)
    folder.write("key.pem", key)
  end)
  after_each(folder.remove)

  local function has(name)
    if process.run({"sh", "-c", "command -v " .. name}).code ~= 0 then
      pending(name .. " is not there")
      return false
    end
    return true
  end

  local function serving(handler)
    local listener = assert(net.listen("tls://127.0.0.1:0", {context = ours}))
    local server = task.spawn(function()
      listener:serve(handler, {onerror = function() end})
    end)
    return listener, server
  end

  it("takes ciphers of TLS 1.2 that do not seal only where they are named", function()
    if not has "openssl" then
      return
    end
    for ciphers, code in pairs {[""] = 1, ["ECDHE-ECDSA-AES256-SHA384"] = 0} do
      local listener = assert(net.listen("tls://127.0.0.1:0", {
        cert = cert, key = key, ciphers = ciphers ~= "" and ciphers or nil,
      }))
      local server = task.spawn(listener.serve, listener, function() end, {onerror = function() end})
      local result = process.run {"openssl", "s_client", "-tls1_2",
        "-cipher", "ECDHE-ECDSA-AES256-SHA384", "-connect", "127.0.0.1:" .. listener.port}
      assert.equal(code, result.code, result.stderr)
      listener:close()
      server:join()
    end
  end)

  for _, version in ipairs {"-tls1_2", "-tls1_3"} do
    it("R17: openssl s_client " .. version, function()
      if not has "openssl" then
        return
      end
      local listener, server = serving(function(stream)
        stream:write(stream:read():upper(), "\n")
      end)
      local peer = process.spawn {"openssl", "s_client", version, "-quiet", "-verify_return_error",
        "-CAfile", folder.path .. "/cert.pem", "-verify_hostname", "localhost", "-connect",
        "127.0.0.1:" .. listener.port, stdin = "pipe", stdout = "pipe", stderr = "null"}
      peer.stdin:write "hello\n"
      assert.equal("HELLO", peer.stdout:read())
      peer.stdin:close()
      peer:kill()
      peer:wait()
      listener:close()
      server:join()
    end)

    it("R17: openssl s_server " .. version, function()
      if not has "openssl" then
        return
      end
      local free <close> = assert(net.listen "tcp://127.0.0.1:0")
      local port = free.port
      free:close()
      local peer = process.spawn {"openssl", "s_server", version, "-rev", "-cert",
        folder.path .. "/cert.pem", "-key", folder.path .. "/key.pem", "-accept",
        "127.0.0.1:" .. port, stdout = "null", stderr = "null"}
      local stream, err
      for _ = 1, 500 do
        stream, err = net.connect("tls://localhost:" .. port, {ca = cert})
        if stream or err.code ~= "ECONNREFUSED" then
          break
        end
        task.sleep(0.01)
      end
      assert(stream, err)
      stream:write "hello\n"
      assert.equal("olleh", stream:read())
      stream:close()
      peer:kill()
      peer:wait()
    end)
  end

  it("R9: a session of one name is none of another, where that wants certificates", function()
    if not has "openssl" then
      return
    end
    local c, k = tls.selfsigned {names = {"closed.example"}}
    local context = assert(tls.context {cert = cert, key = key, names = {
      ["closed.example"] = {cert = c, key = k, ca = c, verify = "required"},
    }})
    local seen = {}
    local listener = assert(net.listen("tls://127.0.0.1:0", {context = context}))
    local server = task.spawn(function()
      listener:serve(function(stream)
        seen[#seen + 1] = tostring(stream.tls.resumed)
        stream:write "x\n"
        stream:read()
      end, {onerror = function(err)
        seen[#seen + 1] = err.code
      end})
    end)
    for _, version in ipairs {"-tls1_2", "-tls1_3"} do
      local session = folder.path .. "/session"
      for _, name in ipairs {"open.example", "open.example", "closed.example"} do
        local peer = assert(process.spawn {"openssl", "s_client", version, "-quiet",
          "-no_ign_eof", "-servername", name, "-sess_out", session, "-connect", "127.0.0.1:" .. listener.port,
          stdin = "pipe", stdout = "pipe", stderr = "null",
          table.unpack(lfs.attributes(session) and {"-sess_in", session} or {})})
        peer.stdout:read()
        peer.stdin:close()
        peer:wait()
        peer:close()
      end
      os.remove(session)
    end
    listener:close()
    server:join()
    assert.same({"false", "true", "ETLSVERIFY", "false", "true", "ETLSVERIFY"}, seen)
  end)

  --- What a server comes to whose client, s_client, has such lines typed, one by one, until it
  --- ends; and what that says.
  local function typed(version, line, times)
    local code
    local listener, server = serving(function(stream)
      stream:write "ready\n"
      code = select(2, stream:read "a").code
    end)
    local peer = assert(process.spawn {"openssl", "s_client", version, "-connect",
      "127.0.0.1:" .. listener.port, stdin = "pipe", stdout = "pipe", stderr = "pipe"})
    repeat until assert(peer.stdout:read()) == "ready"
    local reading = task.spawn(peer.stdout.read, peer.stdout, "a")
    local complaining = task.spawn(peer.stderr.read, peer.stderr, "a")
    while times > 0 and peer.stdin:write(line, "\n") and peer.stdin:flush() do
      task.sleep(0.0003)
      times = times - 1
    end
    reading:join()
    local said = complaining:join()
    peer:wait()
    peer:close()
    listener:close()
    server:join()
    return code, said, times
  end

  it("R8: nobody begins a handshake anew", function()
    if has "openssl" then
      local code, said = typed("-tls1_2", "R", 1)
      assert.is_true(code == "ETLSCUT" or code == "ETLSALERT", code)
      assert.matches("no renegotiation", said)
    end
  end)

  it("R8: nobody is kept busy by new keys", function()
    if has "openssl" then
      local code, _, left = typed("-tls1_3", "K", 20000)
      assert.equal("ETLSPROTO", code)
      assert.is_true(left > 0)
    end
  end)

  it("R17: curl", function()
    if not has "curl" then
      return
    end
    local listener, server = serving(function(stream)
      repeat until stream:read() == "\r"
      stream:write "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"
    end)
    local result = process.run {"curl", "-s", "--cacert", folder.path .. "/cert.pem",
      "https://127.0.0.1:" .. listener.port}
    assert.equal("hello", result.stdout)
    assert.equal(0, result.code)
    listener:close()
    server:join()
  end)
end)
