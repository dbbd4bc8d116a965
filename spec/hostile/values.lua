--- What nobody should pass: values of every type, at their limits and with metamethods that raise.

local net = require "neap.net"
local task = require "neap.task"

--- What their metamethods and functions raise.
local MARK = "hostile!"

local function raise()
  error(MARK, 0)
end

local raising = {}
for event in ([[__index __newindex __len __pairs __call __tostring __eq __lt __le __concat __add __sub
    __unm __idiv __div __mod __band __shl __bnot __name]]):gmatch "%S+" do
  raising[event] = raise
end

local function userdata()
  local file = io.tmpfile()
  if not file then -- in a simulated world
    return nil
  end
  file:close()
  return debug.setmetatable(file, raising)
end

local function closed_stream()
  local a, b = net.socketpair "mem"
  a:close()
  b:close()
  return a
end

local cycle = {}
cycle[1], cycle.self = cycle, cycle

local light = debug.upvalueid(userdata, 1)

local ended = coroutine.create(print)
coroutine.close(ended)

--- Values by their names, in a fixed order: they are shared by all calls.
local values = {
  {"nil", nil}, {"true", true}, {"false", false},
  {"0", 0}, {"-1", -1}, {"1", 1}, {"maxinteger", math.maxinteger}, {"mininteger", math.mininteger},
  {"65536", 65536}, {"1 << 31", 1 << 31},
  {"0.5", 0.5}, {"1e308", 1e308}, {"-1e308", -1e308}, {"nan", 0 / 0}, {"inf", math.huge}, {"-inf", -math.huge},
  {"-0.0", -0.0},
  {"''", ""}, {"'x'", "x"}, {"zero", "\0"}, {"'a\\0b'", "a\0b"}, {"binary", "\xff\xfe\x80\r\n\27["},
  {"'%s%n'", "%s%n%99$s"}, {"'..'", "../none/../none"}, {"long", ("x"):rep(100000)}, {"'1'", "1"},
  {"{}", {}}, {"{1}", {1}}, {"{'x'}", {"x"}}, {"{{}}", {{}}}, {"{x = 1}", {x = 1}}, {"{[1.5] = 1}", {[1.5] = 1}},
  {"cycle", cycle}, {"raising table", setmetatable({}, raising)},
  {"raising list", setmetatable({"x", "y"}, raising)},
  {"table without metatable", setmetatable({}, {__metatable = false})},
  {"function", function() end}, {"raising function", raise}, {"C function", os.clock},
  {"coroutine", coroutine.create(function() end)}, {"ended coroutine", ended},
  {"light userdata", light}, {"full userdata", userdata()},
  {"file", io.stderr}, {"closed stream", closed_stream()}, {"task", task.spawn(function() end)},
  {"channel", task.channel()},
  {"address", net.address "127.0.0.1:1"},
}

return {list = values, mark = MARK}
