local net = require "neap.net"
local connections = require "spec.support.connections"
describe("sctp", function()
  connections.rows(it, {
    name = "sctp", endpoint = "sctp://127.0.0.1:0", half_close = false, abort = true,
  })
end)
