-- TLS with other programs that speak it (R17), at either end.

local folder = require "spec.support.folder"
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
