local complete = require "neap.repl.complete"
local lfs = require "lfs"
local net = require "neap.net"
local quoted = require "neap.repl.quoted"

local function texts(result)
  local list = {}
  for i, candidate in ipairs(result.candidates) do
    list[i] = candidate.text
  end
  return list
end

local function words(text)
  return table.concat(texts(complete(text)), " ")
end

local function one(text)
  local result = complete(text)
  assert.equal(1, #result.candidates, table.concat(texts(result), " "))
  return result.candidates[1]
end

it("where a string is open", function()
  for text, at in pairs {['x = "a'] = 5, ["f('a', 'b"] = 8, ['"\\"'] = 1, ["-- 'x"] = "comment",
    ["[[ 'x"] = "comment", ["--[==[ ]] "] = "comment"} do
    assert.equal(at, quoted.open(text), text)
  end
  for _, text in ipairs {"", "x", "'a'", "--[[ ' ]]", "-- '\n", "[=[']=]", "'a\n", "a[b[c]]"} do
    assert.is_nil(quoted.open(text), text)
  end
end)

describe("completion in strings", function()
  local folder

  setup(function()
    folder = os.tmpname()
    os.remove(folder)
    assert(lfs.mkdir(folder))
    assert(lfs.mkdir(folder .. "/sub"))
    assert(lfs.mkdir(folder .. "/sub/inner"))
    for _, name in ipairs {"one.lua", "two.sock", ".hidden", "sub/three.lua", "sub/init.lua"} do
      assert(io.open(folder .. "/" .. name, "w")):close()
    end
  end)

  teardown(function()
    for _, name in ipairs {"one.lua", "two.sock", ".hidden", "sub/three.lua", "sub/init.lua"} do
      os.remove(folder .. "/" .. name)
    end
    lfs.rmdir(folder .. "/sub/inner")
    lfs.rmdir(folder .. "/sub")
    lfs.rmdir(folder)
  end)

  it("gives modules behind require", function()
    assert.equal("neap.task", words 'require "neap.ta')
    assert.equal("neap.task", words "require('neap.ta")
    assert.equal("", words 'require "neap.meta.')
    local candidate = one "require 'neap.pcap"
    assert.equal("module", candidate.kind)
    assert.is_string(candidate.doc)
  end)

  it("gives modules of package.path and package.preload", function()
    local old = package.path
    package.path = ("%s/?.lua;%s/?/init.lua;./nosuch/?.lua;odd;??"):format(folder, folder)
    package.preload["preloaded.module"] = print
    local ok, result = pcall(function()
      return {words 'require "on', words 'require "su', words 'require "sub.t', words 'require "prel'}
    end)
    package.path = old
    package.preload["preloaded.module"] = nil
    assert.is_true(ok, result)
    assert.same({"one", "sub sub.", "sub.three", "preloaded.module"}, result)
  end)

  it("gives schemes behind connect, listen and bind", function()
    assert.equal("tcp4:// tcp6:// tcp://", words 'net.connect("tc')
    assert.equal("unix: unixgram:", words "net.bind 'uni")
    assert.equal("mem:", words "net.listen('m")
  end)

  it("gives the listeners of this process behind connect", function()
    local listener <close> = assert(net.listen "mem:complete-me")
    assert.equal("mem: mem:complete-me", words 'net.connect("mem')
    assert.equal("mem:complete-me", words 'net.connect("mem:c')
    assert.is_not_nil(listener)
  end)

  it("gives files in paths", function()
    assert.equal("one.lua sub/ two.sock", words(("net.connect('unix:%s/"):format(folder)))
    assert.equal("two.sock", words(("net.connect('unix:%s/t"):format(folder)))
    assert.equal("", words "net.connect('unix:@")
    assert.equal("one.lua", words(("dofile '%s/o"):format(folder)))
    assert.equal("three.lua", words(("io.open('%s/sub/t"):format(folder)))
    assert.equal("three.lua", words((":load %s/sub/t"):format(folder)))
    assert.equal(".hidden", words(("io.open('%s/."):format(folder)))
    assert.equal("", words "io.open('/nosuch/")
    assert.equal("folder", one(("io.open('%s/su"):format(folder)).kind)
    local result = complete(("io.open('%s/o"):format(folder))
    assert.equal(#folder + 11, result.first)
  end)
end)
