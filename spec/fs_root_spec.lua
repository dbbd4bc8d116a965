-- Roots: no path leads out of one, whatever is done to the folder meanwhile.

local fs = require "neap.fs"
local lfs = require "lfs"
local process = require "neap.process"
local task = require "neap.task"
local child = require "spec.support.child"
local code_of = require "spec.support.code_of"
local folder = require "spec.support.folder"

--- How often links and folders are swapped; many more in a long run.
local SWAPS = tonumber(os.getenv "NEAP_FS_SWAPS") or child.stress and 300 or 1000

local function at(name)
  return folder.path .. "/" .. name
end

describe("a root", function()
  local root

  before_each(function()
    folder.make()
    assert(fs.mkdir(at "in/sub", {parents = true}))
    assert(fs.mkdir(at "out/sub", {parents = true}))
    folder.write("in/f", "inside")
    folder.write("in/sub/f", "inside")
    folder.write("out/f", "outside")
    folder.write("out/sub/f", "outside")
    root = assert(fs.root(at "in"))
  end)

  after_each(function()
    root:close()
    folder.remove()
  end)

  it("has files beneath it, also by links and .. that stay there", function()
    assert.equal("inside", root:read "f")
    assert.equal("inside", root:read "sub/../f")
    lfs.link("../f", at "in/sub/link", true)
    assert.equal("inside", root:read "sub/link")
    assert.is_true(root:write("new", "1"))
    assert.is_true(root:append("new", "2"))
    assert.equal("12", root:read "new")
    assert.equal(2, root:stat "new".size)
    assert.equal("link", root:lstat "sub/link".type)
    assert.is_true(root:mkdir("a/b", {parents = true}))
    assert.is_true(root:rename("new", "a/b/old"))
    assert.same({"a", "f", "sub"}, root:list())
    assert.same({"old"}, root:list "a/b")
    local found = {}
    for path in root:walk() do
      found[#found + 1] = path
    end
    assert.same({"a", "a/b", "a/b/old", "f", "sub", "sub/f", "sub/link"}, found)
    assert.is_true(root:remove("a", {recursive = true}))
    local below <close> = assert(root:root "sub")
    assert.equal("inside", below:read "f")
    assert.equal("EXDEV", code_of(below:read "../f"))
    assert.equal(("root (%s/sub)"):format(at "in"), tostring(below))
  end)

  it("is that folder, whatever its name becomes", function()
    assert(fs.rename(at "in", at "moved"))
    assert(fs.rename(at "out", at "in"))
    assert.equal("inside", root:read "f")
  end)

  it("refuses each way out, in each function", function()
    lfs.link(at "out", at "in/absolute", true)
    lfs.link("../out", at "in/relative", true)
    lfs.link("../../out/f", at "in/sub/file", true)
    lfs.link("sub/file", at "in/twice", true)
    lfs.link("/proc/self/root" .. at "out", at "in/magic", true)
    local ways = {
      "../out/f", at "out/f", "/etc/passwd", "absolute/f", "relative/f", "sub/../../out/f", "magic/f",
      "../in/f", "sub/../../in/f",
    }
    local folders = {["absolute/x"] = true, ["relative/x"] = true, ["../x"] = true, [at "x"] = true}
    for _, path in ipairs(ways) do
      for _, verb in ipairs {"read", "stat", "lstat", "list", "walk", "root", "remove", "mkdir"} do
        assert.equal("EXDEV", code_of(root[verb](root, path)), verb .. " " .. path)
      end
      assert.equal("EXDEV", code_of(root:write(path, "escaped")), path)
      assert.equal("EXDEV", code_of(root:write(path, "escaped", {atomic = false})), path)
      assert.equal("EXDEV", code_of(root:append(path, "escaped")), path)
      assert.equal("EXDEV", code_of(root:rename("f", path)), path)
      assert.equal("EXDEV", code_of(root:rename(path, "f")), path)
    end
    for path in pairs(folders) do
      assert.equal("EXDEV", code_of(root:mkdir(path, {parents = true})), path)
      assert.equal("EXDEV", code_of(root:write(path, "escaped")), path)
    end
    for _, path in ipairs {"twice", "sub/file"} do
      assert.equal("EXDEV", code_of(root:read(path)))
      assert.equal("EXDEV", code_of(root:stat(path)))
      assert.equal("EXDEV", code_of(root:append(path, "escaped")))
      assert.equal("ELOOP", code_of(root:write(path, "escaped")))
      assert.is_true(root:remove(path)) -- the link itself
    end
    assert.equal("outside", fs.read(at "out/f"))
    assert.same({"f", "sub"}, fs.list(at "out"))
    assert.same({"in", "out"}, fs.list(folder.path))
    assert.equal("inside", root:read "f")
  end)

  it("refuses what has no name, and leads out", function()
    for path, code in pairs {
      ["/"] = "EXDEV", ["//"] = "EXDEV", [".."] = "EXDEV", ["../"] = "EXDEV", ["sub/../.."] = "EXDEV",
      ["/.."] = "EXDEV", ["sub/.."] = "EINVAL", ["."] = "EINVAL", ["none/.."] = "EINVAL", [""] = "ENOENT",
    } do
      for _, verb in ipairs {"write", "remove", "mkdir", "rename"} do
        assert.equal(code, code_of(root[verb](root, path, verb == "write" and "x" or verb == "rename" and "f" or nil)),
          verb .. " " .. path)
      end
      assert.equal(code, code_of(root:rename("f", path)), path)
    end
    assert.equal("inside", root:read "f")
  end)

  it("that is closed refuses all, and what is under way ends", function()
    local t = task.spawn(root.read, root, "f")
    task.yield()
    root:close()
    assert.equal("inside", t:join())
    assert.equal("EBADF", code_of(root:read "f"))
    assert.equal("EBADF", code_of(root:list()))
    assert.equal("root (closed)", tostring(root))
    assert.is_true(root:close())
  end)

  it("is a folder that is there", function()
    assert.equal("ENOENT", code_of(fs.root(at "none")))
    assert.equal("ENOTDIR", code_of(fs.root(at "in/f")))
  end)

  it("says so where the kernel cannot do it", function()
    if process.run({"strace", "-V"}).code ~= 0 then
      pending "no strace here"
    end
    local result = child.strace({"-f", "-e", "trace=openat2", "-e", "inject=openat2:error=ENOSYS"}, [[
      print(select(2, require "neap.fs".root "/"))
    ]])
    assert.equal("root /: this kernel cannot keep paths beneath a folder (openat2, Linux 5.6) (ENOSYS)\n",
      result.stdout)
  end)

  -- Somebody swaps a folder for a link that leads out, and takes the folder that a path
  -- goes through away, as fast as he can; meanwhile all that a root does is done.
  it("is not left where links and folders are swapped meanwhile", function()
    local attacker <close> = assert(process.spawn {"sh", "-c", [[
      trap exit TERM # behind what runs then
      cd "$1/in"
      ln -s ../out link
      ln -s ../../out/sub deep
      while :; do
        mv sub kept; mv link sub; mv sub link; mv kept sub
        mv -T sub ../out/taken; mv -T ../out/taken sub
        mv sub kept; mv deep sub; mv sub deep; mv kept sub
      done 2>/dev/null
    ]], "sh", folder.path})
    local done, escaped = 0, {}
    local function note(what, is)
      if is then
        escaped[#escaped + 1] = what
      end
    end
    local moves = {
      function() note("read", root:read "sub/f" == "outside") end,
      function() note("through ..", root:read "sub/../f" == "outside") end,
      function() root:write("sub/mine", "escaped") end,
      function() root:append("sub/mine", "escaped") end,
      function() root:mkdir("sub/a/b", {parents = true}) end,
      function() root:rename("sub/mine", "sub/other") end,
      function() root:remove "sub/g" end,
      function() root:remove("sub/a", {recursive = true}) end,
      function() note("list", (root:stat "sub" or {}).inode == fs.stat(at "out").inode) end,
      function() root:remove "sub/mine" end,
    }
    folder.write("out/g", "outside")
    folder.write("out/sub/g", "outside")
    assert(fs.mkdir(at "out/a"))
    folder.write("out/a/kept", "outside")
    task.scope(function(scope)
      for first = 1, 4 do
        scope:spawn(function()
          for i = first, SWAPS, 4 do
            moves[i % #moves + 1]()
            done = done + 1
          end
        end)
      end
    end)
    attacker:kill "SIGTERM"
    attacker:wait()
    assert.equal(SWAPS, done)
    assert.same({}, escaped)
    assert(fs.remove(at "out/taken", {recursive = true}) or true)
    assert.same({"a", "f", "g", "sub"}, fs.list(at "out"))
    assert.same({"f", "g"}, fs.list(at "out/sub"))
    assert.same({"kept"}, fs.list(at "out/a"))
  end)
end)
