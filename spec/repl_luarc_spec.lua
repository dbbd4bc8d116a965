-- neap --luarc: what editors with lua-language-server want to know.

local folder = require "spec.support.folder"
local fs = require "neap.fs"
local host = require "neap.host"
local json = require "neap.json"
local process = require "neap.process"

before_each(folder.make)
after_each(folder.remove)

--- Run it where this file's scripts are, with a home there.
local function luarc(...)
  local here = folder.path
  local result = assert(process.run {folder.neap, "--luarc", ..., cwd = here, env = {HOME = here .. "/home"}})
  return result, here
end

describe("neap --luarc", function()
  it("names the annotations that are built in, which it writes", function()
    local result, here = luarc()
    local library = here .. "/home/.local/share/neap/lua"
    assert.same({code = 0, stderr = "",
      stdout = ".luarc.json is written; it names the annotations in " .. library .. "\n"}, result)
    local settings = assert(json.decode(assert(fs.read(here .. "/.luarc.json"))))
    assert.equal("Lua 5.4", settings["runtime.version"])
    assert.same({library}, settings["workspace.library"])
    for _, name in ipairs {"net", "meta/net", "meta/signal", "packet/core"} do
      assert.equal(host.source("neap." .. name:gsub("/", ".")), assert(fs.read(library .. "/neap/" .. name .. ".lua")))
    end
  end)

  it("overwrites no such file", function()
    local _, here = luarc()
    assert(fs.write(here .. "/.luarc.json", "mine"))
    assert.same({code = 1, stdout = "",
      stderr = "neap: --luarc: .luarc.json is there, and stays as it is\n"}, (luarc()))
    assert.equal("mine", fs.read(here .. "/.luarc.json"))
  end)

  it("says what is in the way", function()
    local _, here = luarc()
    assert(fs.remove(here .. "/.luarc.json"))
    assert(fs.remove(here .. "/home", {recursive = true}))
    assert(fs.write(here .. "/home", "no folder"))
    local result = luarc()
    assert.equal(1, result.code)
    assert.matches("^neap: %-%-luarc: mkdir .*/home/.*ENOTDIR", result.stderr)
    assert.is_nil(fs.stat(here .. "/.luarc.json"))
  end)

  it("takes nothing else", function()
    assert.equal(2, luarc("x").code)
    assert.is_nil(fs.stat((folder.path) .. "/.luarc.json"))
  end)
end)
