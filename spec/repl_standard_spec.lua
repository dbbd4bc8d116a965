local standard = require "neap.repl.standard"

describe("the lines on Lua's own functions", function()
  it("are there for each", function()
    local owners = {_G = _G, file = getmetatable(io.stdout).__index}
    for _, name in ipairs {"string", "table", "math", "os", "io", "coroutine", "debug", "utf8",
      "package"} do
      owners[name] = _G[name]
    end
    -- What a Lua with LUA_COMPAT_5_3 has besides, and what neap test puts there.
    local others = "atan2 cosh frexp ldexp log10 pow setcstacklimit sinh tanh unpack"
    for owner, functions in pairs(owners) do
      for name, value in next, functions do
        if type(value) == "function"
          and (owner ~= "_G" or name == "require" or debug.getinfo(value, "S").what == "C")
          and not name:find "^__"
          and not others:find("%f[%w]" .. name .. "%f[%W]") then
          local signature, summary = standard.find(owner, name)
          assert(signature and summary ~= "", owner .. "." .. name)
        end
      end
    end
    assert.is_nil(standard.find("string", "nosuch"))
    assert.is_nil(standard.find("string", "print"))
  end)

  it("say how they are called", function()
    assert.same({"string.rep(s, n, sep?)", "n copies of s, with sep between"},
      {standard.find("string", "rep")})
    assert.equal("file:read(...)", (standard.find("file", "read")))
    assert.equal("print(...)", (standard.find("_G", "print")))
  end)
end)
