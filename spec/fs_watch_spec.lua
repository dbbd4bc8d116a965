-- Watching folders and files, and locking files.

local fs = require "neap.fs"
local lfs = require "lfs"
local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"
local time = require "neap.time"
local child = require "spec.support.child"
local await = require "spec.support.tasks".await
local code_of = require "spec.support.code_of"
local folder = require "spec.support.folder"

local function at(name)
  return folder.path .. "/" .. name
end

--- What a watch tells until `path` is removed, each as "kind path", without the folder.
local function told(watch, path)
  local seen = {}
  repeat
    local event = assert(watch:next())
    local name = event.path:sub(#folder.path + 2)
    if event.from then
      name = event.from:sub(#folder.path + 2) .. " " .. name
    end
    seen[#seen + 1] = event.kind .. " " .. name .. (event.type and "/" or "")
  until event.kind == "removed" and name == path
  seen[#seen] = nil
  return seen
end

local function finish()
  io.open(at "end", "w"):close()
  os.remove(at "end")
end

--- A watch of "/top" whose kernel is the other end of the stream that is returned.
local function watch_by_hand()
  local core = setmetatable({}, {__index = require "neap.fs.core"})
  local ours, theirs = net.socketpair "mem"
  function core.inotify() return ours end
  function core.mark() return 1 end
  local modules = {["neap.fs.core"] = core}
  local env = setmetatable({require = function(name) return modules[name] or require(name) end}, {__index = _G})
  return assert(assert(loadfile("lua/neap/fs/watch.lua", "t", env))().open(nil, "/top")), theirs
end

--- An event as the kernel writes it.
local function raw(mask, cookie, name)
  return string.pack("=i4I4I4s4", 1, mask, cookie, name .. "\0")
end

describe("a rename whose halves are read apart", function()
  local from, to = raw(0x40, 7, "a"), raw(0x80, 7, "b")

  it("is one all the same", function()
    local one, kernel <close> = watch_by_hand()
    local watch <close> = one
    kernel:write(from)
    local event
    task.scope(function(s)
      s:spawn(function() event = watch:next() end)
      task.yield()
      task.yield()
      kernel:write(to)
    end)
    assert.same({kind = "renamed", path = "/top/b", from = "/top/a"}, event)
  end)

  it("is a removal where there is no second one", function()
    local one, kernel <close> = watch_by_hand()
    local watch <close> = one
    kernel:write(from)
    assert.same({kind = "removed", path = "/top/a"}, watch:next())
    kernel:write(from, raw(0x100, 0, "c"))
    kernel:shutdown()
    assert.same({kind = "removed", path = "/top/a"}, watch:next())
    assert.same({kind = "created", path = "/top/c"}, watch:next())
    assert.is_nil(watch:next())
  end)

  it("loses no half where the watcher is interrupted between them", function()
    local one, kernel <close> = watch_by_hand()
    local watch <close> = one
    kernel:write(from)
    assert.equal("ETIMEDOUT", code_of(task.timeout(0.001, watch.next, watch)))
    kernel:write(to)
    assert.same({kind = "renamed", path = "/top/b", from = "/top/a"}, watch:next())
  end)
end)

describe("a watch", function()
  before_each(folder.make)
  after_each(folder.remove)

  it("tells what becomes of a folder's files", function()
    folder.write("old", "")
    local watch <close> = assert(fs.watch(folder.path))
    local file = assert(io.open(at "f", "w"))
    file:write "a"
    file:flush()
    file:write "b"
    file:close()
    os.rename(at "f", at "g")
    os.remove(at "old")
    lfs.mkdir(at "d")
    lfs.mkdir(at "d/below")
    os.remove(at "d/below")
    finish()
    assert.same({
      "created f", "changed f", "written f", "renamed f g", "removed old", "created d/", "created end",
      "written end",
    }, told(watch, "end"))
    assert.equal(("watch (%s)"):format(folder.path), tostring(watch))
  end)

  it("tells what comes while nobody asks, and waits for what does not", function()
    local watch <close> = assert(fs.watch(folder.path))
    assert.equal("ETIMEDOUT", code_of(task.timeout(0.01, watch.next, watch)))
    local t = task.spawn(watch.next, watch)
    task.sleep(0.01)
    folder.write("f", "")
    assert.equal("created", t:join().kind)
    assert.equal("written", watch:next().kind)
  end)

  it("is recursive: folders that come, go and are renamed", function()
    assert(fs.mkdir(at "a/b", {parents = true}))
    assert(fs.mkdir(at "outside"))
    local watch <close> = assert(fs.watch(at "a", {recursive = true}))
    folder.write("a/b/f", "")
    assert.same({"created a/b/f", "written a/b/f"}, {
      told(watch, os.remove(at "a/b/f") and "a/b/f")[1], "written a/b/f",
    })
    lfs.mkdir(at "a/c")
    lfs.mkdir(at "a/c/d")
    folder.write("a/c/d/f", "")
    folder.write("a/g", "")
    os.remove(at "a/g")
    local seen = {}
    for _, event in ipairs(told(watch, "a/g")) do
      seen[event] = (seen[event] or 0) + 1
    end
    assert.equal(1, seen["created a/c/"])
    -- What was there before it was watched is told as well, once.
    while not (seen["created a/c/d/"] and seen["created a/c/d/f"]) do
      local event = assert(watch:next())
      local key = event.kind .. " " .. event.path:sub(#folder.path + 2) .. (event.type and "/" or "")
      seen[key] = (seen[key] or 0) + 1
    end
    assert.same({1, 1}, {seen["created a/c/d/"], seen["created a/c/d/f"]})
    os.rename(at "a/c", at "a/e")
    folder.write("a/e/d/g", "")
    os.remove(at "a/e/d/g")
    local later = told(watch, "a/e/d/g")
    table.move(later, #later - 2, #later, 1, later)
    assert.same({"renamed a/c a/e/", "created a/e/d/g", "written a/e/d/g"}, {table.unpack(later, 1, 3)})
    os.rename(at "a/e", at "outside/e")
    folder.write("outside/e/d/h", "")
    os.rename(at "outside/e", at "a/back")
    folder.write("a/back/d/i", "")
    os.remove(at "a/back/d/i")
    seen = {}
    repeat
      local event = watch:next()
      seen[#seen + 1] = event.kind .. event.path:sub(#folder.path + 1)
    until event.path:find "/i$" or event.path:find "/h$" and #seen > 3
    assert.equal("removed/a/e", seen[1])
    assert.equal("created/a/back", seen[2])
  end)

  it("misses nothing that is made in new folders meanwhile", function()
    local many = child.stress and 20 or 100
    local watch <close> = assert(fs.watch(folder.path, {recursive = true}))
    local maker <close> = assert(process.spawn {"sh", "-c", [[
      i=0
      while [ $i -lt $2 ]; do
        mkdir "$1/$i" "$1/$i/a" "$1/$i/a/b"
        : > "$1/$i/a/b/f"
        i=$((i + 1))
      done
    ]], "sh", folder.path, tostring(many)})
    local seen, count = {}, 0
    while count < 4 * many do
      local event = assert(watch:next())
      if event.kind == "created" then
        assert.is_nil(seen[event.path], event.path)
        seen[event.path] = true
        count = count + 1
      end
    end
    assert.equal(0, (maker:wait()))
    for i = 0, many - 1 do
      assert(seen[at(i .. "/a/b/f")])
    end
  end)

  it("is read by one task at a time", function()
    local watch <close> = assert(fs.watch(folder.path))
    local t = task.spawn(watch.next, watch)
    assert.is_true(await(function() return t.status == "waiting" end))
    local _, err = pcall(function()
      local event = watch:next()
      return event
    end)
    assert.matches("fs_watch_spec.lua:%d+: another task waits for this watch %(EBUSY%)$", err)
    t:cancel()
    pcall(t.join, t)
    folder.write("f", "")
    assert.equal(at "f", watch:next().path)
  end)

  it("gets on in a large tree, however little time each call has", function()
    local many = 200
    local function tree(name)
      for i = 1, many do
        assert(fs.mkdir(at(("%s/%d/x"):format(name, i)), {parents = true}))
      end
    end
    tree "outside/one"
    tree "outside/two"
    assert(fs.mkdir(at "in"))
    local watch <close> = assert(fs.watch(at "in", {recursive = true}))
    local began = time.now()
    os.rename(at "outside/one", at "in/one")
    for _ = 1, 1 + 2 * many do
      assert.equal("created", watch:next().kind)
    end
    assert.equal("ETIMEDOUT", code_of(task.timeout((time.now() - began) / 10, watch.next, watch)))
    local each = (time.now() - began) / 20
    os.rename(at "outside/two", at "in/two")
    local seen, timeouts = 0, 0
    while seen < 1 + 2 * many and timeouts < 200 do
      local ok, event = pcall(task.timeout, each, watch.next, watch)
      local is_event = ok and event ~= nil
      seen, timeouts = seen + (is_event and 1 or 0), timeouts + (is_event and 0 or 1)
    end
    assert.equal(1 + 2 * many, seen)
  end)

  it("follows a folder that is renamed while what is in it is being entered", function()
    assert(fs.mkdir(at "outside/a/b/c", {parents = true}))
    assert(fs.mkdir(at "in"))
    local watch <close> = assert(fs.watch(at "in", {recursive = true}))
    local function following()
      local event = assert(watch:next())
      return event.kind .. event.path:sub(#at "in" + 1)
    end
    os.rename(at "outside/a", at "in/a")
    assert.equal("created/a", following())
    assert.equal("created/a/b", following())
    os.rename(at "in/a", at "in/z")
    assert.equal("renamed/z", following())
    assert.equal("created/z/b/c", following())
    folder.write("in/z/b/c/f", "")
    assert.equal("created/z/b/c/f", following())
  end)

  it("tells that some were lost, and goes on", function()
    local file <close> = assert(io.open "/proc/sys/fs/inotify/max_queued_events")
    local most = file:read "n"
    if most > 20000 then
      pending("the kernel keeps more than 20000 events here: " .. most)
    end
    local watch <close> = assert(fs.watch(folder.path, {recursive = true}))
    assert.equal("ETIMEDOUT", code_of(task.timeout(0.001, watch.next, watch)))
    for i = 1, most * 3 do -- more than the kernel and the stream have room for
      io.open(at(i % 2), "w"):close()
    end
    lfs.mkdir(at "late")
    local lost
    repeat
      lost = assert(watch:next())
    until lost.kind == "overflow"
    assert.equal(folder.path, lost.path)
    assert(task.timeout(0.5, function()
      while watch:next() do end
    end) == nil)
    folder.write("late/f", "")
    assert.equal(at "late/f", watch:next().path)
  end)

  it("is of a file, too, and tells its end", function()
    folder.write("f", "")
    local watch <close> = assert(fs.watch(at "f"))
    fs.append(at "f", "x")
    assert.equal("changed", watch:next().kind)
    assert.equal("written", watch:next().kind)
    os.remove(at "f")
    local event = watch:next()
    assert.same({kind = "removed", path = at "f"}, event)
  end)

  it("beneath a root stays there", function()
    assert(fs.mkdir(at "in/sub", {parents = true}))
    assert(fs.mkdir(at "out"))
    lfs.link("../out", at "in/link", true)
    local root <close>, err = fs.root(at "in")
    if err and err.code == "ENOSYS" then
      pending(tostring(err))
    end
    assert.equal("EXDEV", code_of(root:watch "../out"))
    assert.equal("EXDEV", code_of(root:watch "link"))
    local watch <close> = assert(root:watch(".", {recursive = true}))
    folder.write("in/sub/f", "")
    assert.same({kind = "created", path = "sub/f"}, watch:next())
  end)

  it("that is closed wakes who waits in it", function()
    local watch = assert(fs.watch(folder.path))
    local t = task.spawn(watch.next, watch)
    task.sleep(0.01)
    watch:close()
    local event, err = t:join()
    assert.is_nil(event)
    assert.equal("ECANCELED", err.code)
    assert.equal("EBADF", code_of(watch:next()))
    for _ in watch:events() do
      error "an event"
    end
    assert.equal("ENOENT", code_of(fs.watch(at "none")))
    assert.is_false(pcall(fs.watch, folder.path, {recursive = 1}))
  end)
end)

describe("a lock", function()
  before_each(folder.make)
  after_each(folder.remove)

  it("excludes others in this program, until it is closed", function()
    local lock = assert(fs.lock(at "lock"))
    local _, err = fs.lock(at "lock", {wait = false})
    assert.equal("EAGAIN", err.code)
    assert.equal(("lock %s: another has locked it (EAGAIN)"):format(at "lock"), tostring(err))
    local t = task.spawn(fs.lock, at "lock")
    assert.is_true(await(function() return t.status == "waiting" end))
    lock:close()
    lock:close()
    local other <close> = t:join()
    assert.equal("file lock (held)", tostring(other))
    assert.equal("file lock (let go of)", tostring(lock))
  end)

  it("may be shared by those who say so", function()
    local one <close> = assert(fs.lock(at "lock", {shared = true}))
    local two <close> = assert(fs.lock(at "lock", {shared = true, wait = false}))
    assert.equal("EAGAIN", code_of(fs.lock(at "lock", {wait = false})))
    assert(one and two)
  end)

  it("excludes other processes, and ends with its own, however that ends", function()
    local function start()
      local p = assert(process.spawn {child.neap, "-e", ([[
        local fs, task = require "neap.fs", require "neap.task"
        local lock = fs.lock(%q)
        print "locked"
        io.stdout:flush()
        task.sleep(1000)
      ]]):format(at "lock"), stdout = "pipe"})
      return p
    end
    local first <close> = start()
    assert.equal("locked", first.stdout:read "l")
    assert.equal("EAGAIN", code_of(fs.lock(at "lock", {wait = false})))
    assert.equal("ETIMEDOUT", code_of(task.timeout(0.01, fs.lock, at "lock")))
    first:kill "SIGKILL"
    local lock = assert(fs.lock(at "lock"))
    local second <close> = start()
    assert.equal("ETIMEDOUT", code_of(task.timeout(0.1, second.stdout.read, second.stdout, "l")))
    lock:close()
    assert.equal("locked", second.stdout:read "l")
  end)

  it("counts each who adds one, whichever process he is", function()
    local many = child.sanitized and 20 or 100
    fs.write(at "count", "0")
    local script = ([[
      local fs = require "neap.fs"
      for _ = 1, %d do
        local lock <close> = assert(fs.lock(%q))
        local n = fs.read(%q)
        fs.write(%q, tostring(n + 1 | 0), {sync = false})
      end
    ]]):format(many, at "lock", at "count", at "count")
    task.all {
      function() assert.equal(0, child.run(script).code) end,
      function() assert.equal(0, child.run(script).code) end,
      function() assert.equal(0, child.run(script).code) end,
    }
    assert.equal(tostring(3 * many), fs.read(at "count"))
  end)

  it("is of the file that has the name, also where another took it", function()
    local old <close> = assert(fs.lock(at "lock"))
    os.remove(at "lock")
    local new <close> = assert(fs.lock(at "lock", {wait = false}))
    assert(old and new)
    assert.equal("EAGAIN", code_of(fs.lock(at "lock", {wait = false})))
  end)

  it("is of what may only be read, too, and of a folder", function()
    local lock <close> = assert(fs.lock(folder.path))
    assert(lock)
    assert.equal("EAGAIN", code_of(fs.lock(folder.path, {wait = false})))
    assert.equal("ENOENT", code_of(fs.lock(at "none/lock")))
  end)
end)
