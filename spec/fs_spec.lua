-- Files: whole, by their names, folders. Streams, roots, watching and so on have specs of
-- their own (fs_*_spec).

local fs = require "neap.fs"
local lfs = require "lfs"
local process = require "neap.process"
local task = require "neap.task"
local child = require "spec.support.child"
local code_of = require "spec.support.code_of"
local folder = require "spec.support.folder"

local function octal(digits)
  return tonumber(digits, 8)
end

describe("a file", function()
  before_each(folder.make)
  after_each(folder.remove)

  local function at(name)
    return folder.path .. "/" .. name
  end

  --- What is in the folder.
  local function names()
    return table.concat(assert(fs.list(folder.path)), " ")
  end

  it("is read whole, whatever its size", function()
    for _, size in ipairs {0, 1, 4096, 4097, 5000000} do
      local bytes = ("x"):rep(size)
      assert.is_true(fs.write(at "f", bytes))
      assert.is_true(fs.read(at "f") == bytes)
    end
    assert(#fs.read "/proc/self/status" > 0) -- whose size is 0, it says
  end)

  it("is read up to a size", function()
    folder.write("f", "12345")
    assert.equal("12345", fs.read(at "f", {max = 5}))
    assert.equal("EFBIG", code_of(fs.read(at "f", {max = 4})))
    assert.equal("EFBIG", code_of(fs.read("/proc/self/status", {max = 4})))
    assert.equal("EFBIG", code_of(fs.read("/dev/zero", {max = 100000})))
    assert.equal("", fs.read "/dev/null")
  end)

  it("has no name that says that it is a folder's", function()
    folder.write("f", "kept")
    for _, atomic in ipairs {true, false} do
      assert.equal("EISDIR", code_of(fs.write(at "new/", "x", {atomic = atomic})))
      assert.equal("EISDIR", code_of(fs.write(at "f/", "x", {atomic = atomic})))
    end
    assert.equal("ENOTDIR", code_of(fs.remove(at "f/")))
    assert.equal("ENOTDIR", code_of(fs.remove(at "f/", {recursive = true})))
    assert.equal("ENOTDIR", code_of(fs.rename(at "f/", at "g")))
    assert.equal("ENOTDIR", code_of(fs.rename(at "f", at "g/")))
    assert.equal("f", names())
    assert.equal("kept", fs.read(at "f"))
    assert(fs.mkdir(at "d/"))
    assert.is_true(fs.rename(at "d/", at "e/"))
    assert.is_true(fs.remove(at "e/"))
  end)

  it("is replaced whole: who has the old one open reads that", function()
    folder.write("f", "old")
    local before <close> = assert(io.open(at "f"))
    assert.is_true(fs.write(at "f", "new"))
    assert.equal("old", before:read "a")
    assert.equal("new", fs.read(at "f"))
    assert.equal("f", names())
  end)

  it("keeps its permissions, or gets others; a new one has those of umask", function()
    assert(fs.write(at "f", ""))
    local usual = octal "666" & ~octal(assert(process.run {"sh", "-c", "umask"}).stdout:match "%d+")
    assert.equal(usual, fs.stat(at "f").mode)
    assert(fs.write(at "f", "", {mode = octal "640"}))
    assert.equal(octal "640", fs.stat(at "f").mode)
    assert(fs.write(at "f", "again"))
    assert.equal(octal "640", fs.stat(at "f").mode)
    assert(fs.append(at "new", "", {mode = octal "600"}))
    assert.equal(octal "600", fs.stat(at "new").mode)
    assert(fs.write(at "f", "", {atomic = false, mode = octal "444"}))
    assert.equal(octal "444", fs.stat(at "f").mode)
  end)

  it("is written in place where that is said, also through a link", function()
    folder.write("f", "a longer one")
    lfs.link("f", at "link", true)
    local inode = fs.stat(at "f").inode
    assert.is_true(fs.write(at "link", "short", {atomic = false}))
    assert.equal("short", fs.read(at "f"))
    assert.equal(inode, fs.stat(at "f").inode)
    local _, err = fs.write(at "link", "x")
    assert.equal("ELOOP", err.code)
    assert(tostring(err):find("atomic = false", 1, true))
    assert.equal("short", fs.read(at "f"))
  end)

  it("is added to", function()
    assert.is_true(fs.append(at "f", "one "))
    assert.is_true(fs.append(at "f", "two", {sync = true}))
    assert.equal("one two", fs.read(at "f"))
  end)

  it("that is a device or a FIFO is written to, and not replaced", function()
    for _, write in ipairs {fs.write, fs.append} do
      assert.is_true(write("/dev/null", "x"))
      assert.equal("ENOSPC", code_of(write("/dev/full", "x")))
    end
    assert.equal("character device", fs.stat("/dev/null").type)
    assert(process.run({"mkfifo", at "fifo"}).code == 0)
    local size = 300000
    task.all {
      function()
        assert.equal(size, #assert(fs.read(at "fifo")))
      end,
      function()
        assert.is_true(fs.write(at "fifo", ("x"):rep(size)))
      end,
    }
    assert.equal("fifo", fs.stat(at "fifo").type)
  end)

  it("that cannot be read or written says so, by its path, and leaves nothing behind", function()
    local _, err = fs.read(at "none")
    assert.equal(("read %s: no such file or directory (ENOENT)"):format(at "none"), tostring(err))
    assert.equal("EISDIR", code_of(fs.read(folder.path)))
    assert.equal("EISDIR", code_of(fs.write(folder.path, "x")))
    assert.equal("EISDIR", code_of(fs.append(folder.path, "x")))
    assert.equal("ENOENT", code_of(fs.write(at "none/f", "x")))
    assert.equal("ENOTDIR", code_of(fs.write("/dev/null/f", "x")))
    assert.equal("ENAMETOOLONG", code_of(fs.read(("x"):rep(256))))
    assert.equal("ENAMETOOLONG", code_of(fs.write(at(("x"):rep(256)), "x")))
    assert.equal("ENAMETOOLONG", code_of(fs.read(("x/"):rep(100000))))
    assert.equal("ENOENT", code_of(fs.read ""))
    assert.equal("ENOENT", code_of(fs.write("", "")))
    local long = ("x"):rep(255)
    assert.is_true(fs.write(at(long), "x"))
    assert.equal(long, names())
  end)

  it("is not begun to be replaced where there is no room for it", function()
    local result = folder.run_sh('ulimit -f 8; trap "" XFSZ; exec "$0" "$@"', "-e", [[
      local fs = require "neap.fs"
      assert(fs.write("f", "old"))
      local _, err = fs.write("f", ("x"):rep(100000))
      print(err.code, fs.read "f", #fs.list ".")
    ]])
    assert.same(folder.says "EFBIG\told\t1\n", result)
  end)

  it("cannot be had where there are no descriptors, and the call says so", function()
    local result = folder.run_sh('ulimit -n 64; exec "$0" "$@"', "-e", [[
      local fs = require "neap.fs"
      assert(fs.stat ".") -- the first thread has made what all have
      local files = {}
      repeat
        files[#files + 1] = io.open "/dev/null" or false
      until not files[#files]
      for _, f in ipairs {"read", "write", "append", "list", "mkdir", "remove", "stat"} do
        local ok, err = fs[f]("x", f ~= "read" and f ~= "mkdir" and f ~= "remove" and "" or nil)
        print(f, ok, err.code)
      end
    ]])
    assert.equal("", result.stderr)
    assert.equal(7, select(2, result.stdout:gsub("%l+\tnil\tEMFILE\n", "")))
  end)

  it("has names with every byte, and times", function()
    local name = "a\nb \1\255'\""
    local before = os.time()
    assert(fs.write(at(name), "x"))
    assert.same({name}, fs.list(folder.path))
    local about = fs.stat(at(name))
    assert.equal("file", about.type)
    assert.equal(1, about.size)
    assert(math.abs(about.modified - before) < 100)
  end)

  it("is renamed, over another or not", function()
    folder.write("a", "a")
    folder.write("b", "b")
    assert.equal("EEXIST", code_of(fs.rename(at "a", at "b", {replace = false})))
    assert.is_true(fs.rename(at "a", at "b"))
    assert.equal("a", fs.read(at "b"))
    assert.is_true(fs.rename(at "b", at "c", {replace = false}))
    assert.equal("c", names())
    assert.equal("ENOENT", code_of(fs.rename(at "none", at "c")))
    local _, err = fs.rename(at "c", "/proc/c")
    assert.equal("EXDEV", err.code)
    assert(err.message:find "file systems")
  end)
end)

describe("a folder", function()
  before_each(folder.make)
  after_each(folder.remove)

  local function at(name)
    return folder.path .. "/" .. name
  end

  it("is made, with those above it or without", function()
    assert.equal("ENOENT", code_of(fs.mkdir(at "a/b")))
    assert.is_true(fs.mkdir(at "a//b/../b/./c/", {parents = true, mode = octal "700"}))
    assert.equal(octal "700", fs.stat(at "a/b/c").mode)
    assert.is_true(fs.mkdir(at "a/b/c", {parents = true}))
    assert.equal("EEXIST", code_of(fs.mkdir(at "a/b/c")))
    folder.write("f", "")
    assert.equal("ENOTDIR", code_of(fs.mkdir(at "f", {parents = true})))
    assert.equal("ENOTDIR", code_of(fs.mkdir(at "f/g", {parents = true})))
    assert.equal("EINVAL", code_of(fs.mkdir "/"))
    assert.equal("EINVAL", code_of(fs.mkdir(at "..")))
  end)

  it("is listed, in order, with what each is", function()
    for _, name in ipairs {"c", "a", ".b"} do
      folder.write(name, "")
    end
    assert(fs.mkdir(at "d"))
    lfs.link("none", at "e", true)
    local list, types = fs.list(folder.path)
    assert.same({".b", "a", "c", "d", "e"}, list)
    assert.same({[".b"] = "file", a = "file", c = "file", d = "directory", e = "link"}, types)
    assert.equal("link", fs.lstat(at "e").type)
    assert.equal("ENOENT", code_of(fs.stat(at "e")))
    assert.equal("ENOTDIR", code_of(fs.list(at "a")))
  end)

  it("is walked, what is in it behind it, no link followed", function()
    assert(fs.mkdir(at "a/b", {parents = true}))
    assert(fs.mkdir(at "c"))
    folder.write("a/b/f", "")
    folder.write("a/g", "")
    lfs.link("..", at "a/up", true)
    local function walked(opts)
      local found = {}
      for path, kind, err in assert(fs.walk(folder.path, opts)) do
        assert.is_nil(err)
        found[#found + 1] = kind:sub(1, 1) .. path:sub(#folder.path + 1)
      end
      return table.concat(found, " ")
    end
    assert.equal("d/a d/a/b f/a/b/f f/a/g l/a/up d/c", walked())
    assert.equal("d/a d/c", walked {depth = 1})
    assert.equal("d/a d/a/b f/a/g l/a/up d/c", walked {depth = 2})
    assert.equal("ENOENT", code_of(fs.walk(at "none")))
  end)

  it("is walked also where a part of it cannot be", function()
    local result = folder.run("-e", [[
      local fs, process = require "neap.fs", require "neap.process"
      fs.mkdir("d/a", {parents = true})
      fs.mkdir "d/b"
      for path, kind, err in fs.walk "d" do
        print(path, kind, err and err.code)
        if path == "d/a" then
          fs.remove "d/b"
        end
      end
    ]])
    assert.same(folder.says "d/a\tdirectory\tnil\nd/b\tdirectory\tENOENT\n", result)
  end)

  it("is removed empty, or with all that is in it, but nothing that links name", function()
    assert(fs.mkdir(at "keep"))
    folder.write("keep/f", "")
    assert(fs.mkdir(at "a/b/c", {parents = true}))
    for i = 1, 300 do
      assert(io.open(at "a/b/" .. i, "w")):close()
    end
    lfs.link("../../keep", at "a/b/link", true)
    assert.equal("ENOTEMPTY", code_of(fs.remove(at "a")))
    assert.is_true(fs.remove(at "a/b/c"))
    assert.is_true(fs.remove(at "a/", {recursive = true}))
    assert.same({"keep"}, fs.list(folder.path))
    assert.equal("", fs.read(at "keep/f"))
    assert.equal("ENOENT", code_of(fs.remove(at "a", {recursive = true})))
    assert.equal("EINVAL", code_of(fs.remove(at "keep/..", {recursive = true})))
    assert.is_true(fs.remove(at "keep/f"))
  end)

  it("is removed however deep it is, with few descriptors", function()
    local levels = 2000
    assert(process.run({"perl", "-e", [[
      chdir shift;
      for (1 .. shift) {
        for my $name ("a", "deep") {
          mkdir $name or die "$!";
        }
        open my $file, ">", "file" or die "$!";
        chdir "deep" or die "$!";
      }
    ]], folder.path, tostring(levels)}).code == 0)
    local result = assert(process.run {"sh", "-c", [[ulimit -n 64; exec "$0" -e "$1"]], child.neap, ([[
      print(fs.remove("%s/deep", {recursive = true}))
    ]]):format(folder.path)})
    assert.same(folder.says "true\n", result)
    assert.same({"a", "file"}, fs.list(folder.path))
  end)

  it("that is moved as it is removed is not followed", function()
    local env <close> = child.preloading [[
      #define _GNU_SOURCE
      #include <dlfcn.h>
      #include <fcntl.h>
      #include <stdio.h>
      #include <string.h>
      int unlinkat(int fd, const char *name, int flags) {
        int (*theirs)(int, const char *, int) = dlsym(RTLD_NEXT, "unlinkat");
        if (strcmp(name, "last") == 0)
          rename("top/1/2", "moved");
        return theirs(fd, name, flags);
      }
    ]]
    assert(fs.mkdir(at("top/1/2/" .. ("d/"):rep(30) .. "last"), {parents = true}))
    assert(fs.mkdir(at "top/1/other"))
    folder.write("kept", "")
    local result = assert(process.run {child.neap, "-e", [[
      print(select(2, fs.remove("top", {recursive = true})).code)
    ]], cwd = folder.path, env = env})
    assert.same(folder.says "EAGAIN\n", result)
    assert.same({"kept", "moved", "top"}, fs.list(folder.path))
  end)
end)

describe("a slow disk", function()
  before_each(folder.make)
  after_each(folder.remove)

  --- Run it where fsync(2) takes that long, s.
  local function slowly(seconds, script)
    local env <close> = child.preloading(([[
      #include <unistd.h>
      int fsync(int fd) {
        (void)fd;
        usleep(%d);
        return 0;
      }
    ]]):format(seconds * 1000000))
    folder.write("script.lua", script)
    return assert(process.run {child.neap, "script.lua", cwd = folder.path, env = env})
  end

  it("holds up nobody else, and wakes who gives up at once", function()
    local result = slowly(2, [[
      local fs, task, time = require "neap.fs", require "neap.task", require "neap.time"
      local began = time.now()
      for i = 1, 3 do
        task.spawn(fs.write, "slow" .. i, "x")
      end
      print(fs.write("quick", "x", {sync = false}), fs.read "quick")
      local _, err = task.timeout(0.001, fs.write, "cancelled", "x")
      print(err.code, time.now() - began < 2)
    ]])
    assert.same(folder.says "true\tx\nETIMEDOUT\ttrue\n", result)
    fs.remove(folder.path .. "/cancelled") -- it was written, or not
    assert.same({"quick", "script.lua", "slow1", "slow2", "slow3"}, fs.list(folder.path))
  end)

  it("keeps at most 32 of its calls waiting, and the others in order", function()
    local result = slowly(0.3, [[
      local fs, task, time = require "neap.fs", require "neap.task", require "neap.time"
      local count, began = 0, time.now()
      for i = 1, 40 do
        task.spawn(fs.write, "f" .. i, "x")
      end
      task.yield()
      local last = task.spawn(fs.stat, ".")
      local cancelled = task.spawn(fs.stat, ".")
      task.yield()
      cancelled:cancel()
      print(last:join().type, time.now() - began > 0.3)
    ]])
    assert.same(folder.says "directory\ttrue\n", result)
  end)
end)

describe("a call about files", function()
  it("refuses what makes no sense, at the script's line", function()
    local function told(f, ...)
      local arguments = table.pack(...)
      local ok, err = pcall(function()
        f(table.unpack(arguments, 1, arguments.n))
        return nil
      end)
      assert.is_false(ok)
      return (err:gsub("^[^ ]-fs_spec%.lua:%d+: ", "*"))
    end
    for _, name in ipairs {"read", "write", "append", "stat", "lstat", "mkdir", "remove", "rename", "root"} do
      assert.equal(("*bad argument #1 to '%s' (a path expected, got nil)"):format(name), told(fs[name]))
      assert.equal(("*bad argument #1 to '%s' (a path has no zero byte)"):format(name), told(fs[name], "a\0b"))
    end
    assert.equal("*bad argument #2 to 'write' (string expected, got number)", told(fs.write, "x", 1))
    assert.equal("*bad argument #2 to 'rename' (a path expected, got table)", told(fs.rename, "x", {}))
    assert.equal("*bad argument #2 to 'read' (unknown option 'size')", told(fs.read, "x", {size = 1}))
    assert.equal("*bad argument #2 to 'read' (option 'max': a number of bytes expected)",
      told(fs.read, "x", {max = -1}))
    assert.equal("*bad argument #2 to 'read' (table expected, got string)", told(fs.read, "x", "a"))
    assert.equal("*bad argument #3 to 'write' (option 'sync': true or false expected)",
      told(fs.write, "x", "", {sync = 1}))
    assert.equal('*bad argument #2 to \'mkdir\' (option \'mode\': permission bits, as tonumber("644", 8), expected)',
      told(fs.mkdir, "x", {mode = "755"}))
  end)

  it("works where nothing can suspend, and where no thread can be had", function()
    local sorted = {2, 1}
    table.sort(sorted, function(a, b)
      assert.equal("directory", fs.stat("/").type)
      return a < b
    end)
    local result = child.run_without_threads [[
      print(require("neap.fs").stat("/").type)
    ]]
    assert.equal("directory\n", result.stdout)
  end)

  it("is made by its program's functions, whatever the script made of its own", function()
    local result = child.run [[
      local fs = require "neap.fs"
      string, table, pairs, next, type, error, math = nil
      print(fs.stat("/").type, #fs.list "/" > 0, fs.read("/nowhere").code)
    ]]
    assert(result.stderr:find "attempt to index a nil value")
  end)
end)
