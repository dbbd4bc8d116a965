-- A TLS connection is a connection in everything: the rows of all protocols, over streams of
-- each kind.

local connections = require "spec.support.connections"
local tls = require "neap.tls"

local cert, key = tls.selfsigned {names = {"localhost"}}

for _, kind in ipairs {
  {"tcp", "tcp://127.0.0.1:0", abort = "ECONNRESET"},
  {"unix", "unix:@neap-tls-" .. require "neap.process".pid, abort = "ETLSCUT"},
  {"mem", "mem:tls", abort = "ECONNRESET"},
} do
  describe("a TLS connection over " .. kind[1], function()
    connections.rows(it, {
      name = "tls",
      endpoint = kind[2],
      options = {tls = {cert = cert, key = key, ca = cert, server_name = "localhost"}},
      half_close = true,
      abort = kind.abort,
    })
  end)
end
