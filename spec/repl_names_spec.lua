local names = require "neap.repl.names"
local net = require "neap.net"
local task = require "neap.task"

describe("names", function()
  it("finds those of the library's and of Lua's functions", function()
    local find = names.finder()
    local a <close>, b = net.socketpair()
    assert.same({"neap.net", "connect"}, {find(net.connect)})
    assert.same({"neap.Stream", "recv"}, {find(a.recv)})
    assert.same({"neap.Task", "join"}, {find(task.current().join)})
    assert.same({"string", "rep"}, {find(string.rep)})
    assert.same({"_G", "print"}, {find(print)})
    assert.same({"file", "seek"}, {find(io.stdout.seek)})
    assert.is_nil(find(function() end))
    assert.is_not_nil(b)
  end)

  it("tells the class, and its methods, by raw tables", function()
    local a <close>, b = net.socketpair()
    local class, metatable = names.class(a)
    assert.equal("neap.Stream", class)
    assert.equal(b.read, names.methods(metatable).read)
    assert.is_nil(names.class(setmetatable({}, {__index = error, __name = {}})))
    assert.is_nil(names.class(1))
    assert.is_nil(names.methods {__index = function() error "called" end})
    local methods = {}
    assert.equal(methods, names.methods {__index = methods})
  end)
end)
