local annotations = require "neap.repl.annotations"
local host = require "neap.host"

describe("annotations", function()
  local text = [[
---@meta

--- What the page is about.

---@class neap.net
---@field prefix neap.prefix  prefixes,
--- and more of them
---@field private hidden integer
local net = {}

--- Connect.
---
--- ```lua
--- print(1)  --> 1
--- ```
---@async
---@param endpoint string  where
---@param opts? table
---@return neap.Stream? stream
---@return neap.Error? err  ECONNREFUSED
function net.connect(endpoint, opts) end
]]

  it("are read from the text of a file", function()
    local pages = annotations.read(function(path)
      return path == "meta/net.lua" and text or ""
    end, "folder/")
    local page = pages[1]
    assert.equal("net", page.name)
    assert.same({"What the page is about."}, page.header.text)
    local class = page.module
    assert.same({{name = "prefix", private = false, type = "neap.prefix",
      text = "prefixes, and more of them"}, {name = "hidden", private = true, type = "integer"}},
      class.fields)
    local item = class.functions[1]
    assert.equal("folder/meta/net.lua", item.path)
    assert.equal(21, item.line)
    assert.is_true(item.async)
    assert.same({{name = "endpoint", type = "string", text = "where"},
      {name = "opts?", type = "table"}}, item.params)
    assert.same({{name = "stream", type = "neap.Stream?"},
      {name = "err", type = "neap.Error?", text = "ECONNREFUSED"}}, item.returns)
    assert.equal("net.connect(endpoint, opts?)", annotations.signature(class, item))
  end)

  it("name what is wrong with them", function()
    assert.error_matches(function()
      annotations.read(function(path)
        return path == "meta/net.lua" and "--- x\n---@nosuch y\n" or ""
      end)
    end, "meta/net.lua:2: unknown tag @nosuch")
  end)

  it("are built in, as they are in the folder", function()
    for _, name in ipairs {"meta/net", "net", "packet/core"} do
      local file <close> = assert(io.open(("lua/neap/%s.lua"):format(name)))
      assert.equal(file:read "a", host.source("neap." .. name:gsub("/", ".")))
    end
    assert.is_nil(host.source "neap.nosuch")
    assert.error_matches(function() require "neap.meta.net" end, "not found")
  end)
end)
