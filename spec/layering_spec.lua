-- The structure of the sources, as docs/ARCHITECTURE.md promises it.

local code = require "spec.support.c_code"
local lfs = require "lfs"

local sorted_keys = require "spec.support.keys"

local function read(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read "a"
end

--- The files below a folder whose names match, in order of name.
local function files(folder, pattern, found)
  found = found or {}
  if lfs.attributes(folder, "mode") ~= "directory" then
    return found
  end
  for name in lfs.dir(folder) do
    local path = folder .. "/" .. name
    if lfs.attributes(path, "mode") == "directory" then
      if name ~= "." and name ~= ".." then
        files(path, pattern, found)
      end
    elseif name:find(pattern) then
      found[#found + 1] = path
    end
  end
  table.sort(found)
  return found
end

--- The folder of a file of runtime/; runtime/main.c is "main".
local function layer(path)
  return path:match "^runtime/([^/]+)/" or path:match "^runtime/(.+)%.[ch]$"
end

-- Who may include from whom, besides each folder from itself.
local below = {
  main = "cli worker repl trace sys fs websocket http net tls crypto json zlib uv sim sched host guard",
  cli = "host guard",
  worker = "json sched host guard",
  repl = "trace sys net tls sched host guard",
  sys = "net tls sched host guard",
  fs = "net sched host guard",
  http = "net sched host",
  websocket = "net sched host",
  net = "sched host guard",
  crypto = "sched host",
  json = "host",
  zlib = "host",
  tls = "crypto net sched host guard",
  trace = "net sched host guard",
  uv = "sys net sched host guard",
  sim = "sys net sched host guard",
  sched = "host guard",
  host = "guard",
  guard = "",
}

local sources = files("runtime", "%.[ch]$")

describe("layering", function()
  it("has the folders that are known here", function()
    assert.is_true(#sources > 0)
    for _, path in ipairs(sources) do
      assert(below[layer(path)], path .. " is in no known layer")
    end
  end)

  it("includes down the layers only", function()
    local wrong = {}
    for _, path in ipairs(sources) do
      local from = layer(path)
      for name in ("\n" .. read(path)):gmatch '\n%s*#%s*include%s*"([^"]*)"' do
        local to = name:match "^([^/]+)/"
        if not to then
          wrong[#wrong + 1] = ('%s: "%s" does not say its folder'):format(path, name)
        elseif to ~= from and not (" " .. below[from] .. " "):find(" " .. to .. " ", 1, true) then
          wrong[#wrong + 1] = ('%s includes "%s"'):format(path, name)
        end
      end
    end
    assert.same({}, wrong)
  end)

  -- X.c and X.h are a module, which includes what either of them does: so of two that
  -- know each other one is not understood without the other.  A header without a .c is a
  -- module, too: what several files make (docs/ARCHITECTURE.md).
  --
  -- What does so all the same:
  local mutual = {
    -- sched.h is what the files of sched/ have in common: with the types of these two.
    ["sched/sched"] = {["sched/task"] = true, ["sched/wait"] = true},
  }

  it("has modules that lead back to themselves in no circle", function()
    local includes, known = {}, {}
    for _, path in ipairs(sources) do
      local module = path:match "^runtime/(.*)%.[ch]$"
      local to = includes[module] or {}
      includes[module] = to
      for name in ("\n" .. read(path)):gmatch '\n%s*#%s*include%s*"([^"]*)%.h"' do
        to[name] = name ~= module or nil
      end
    end
    for one, others in pairs(mutual) do
      for other in pairs(others) do
        assert(includes[one][other] and includes[other][one],
          ("%s and %s do not include each other any more"):format(one, other))
        known[one .. " " .. other], known[other .. " " .. one] = true, true
      end
    end
    local wrong, state, way = {}, {}, {}
    local function visit(module)
      state[module] = "open"
      way[#way + 1] = module
      for _, name in ipairs(sorted_keys(includes[module] or {})) do
        if not known[module .. " " .. name] then
          if state[name] == "open" then
            local first = #way
            while way[first] ~= name do
              first = first - 1
            end
            wrong[#wrong + 1] = table.concat(way, " > ", first) .. " > " .. name
          elseif not state[name] then
            visit(name)
          end
        end
      end
      way[#way] = nil
      state[module] = "done"
    end
    for _, module in ipairs(sorted_keys(includes)) do
      if not state[module] then
        visit(module)
      end
    end
    assert.same({}, wrong)
  end)

  it("has headers that include each other in no circle", function()
    local includes, state = {}, {}
    for _, path in ipairs(sources) do
      includes[path] = {}
      for name in ("\n" .. read(path)):gmatch '\n%s*#%s*include%s*"([^"]*)"' do
        table.insert(includes[path], "runtime/" .. name)
      end
    end
    local function visit(path, from)
      assert(state[path] ~= "open", ("%s includes %s, which includes it"):format(from, path))
      if not state[path] then
        state[path] = "open"
        for _, name in ipairs(includes[path] or {}) do
          visit(name, path)
        end
        state[path] = "done"
      end
    end
    for _, path in ipairs(sources) do
      if path:find "%.h$" then
        visit(path)
      end
    end
  end)

  it("includes uv.h below runtime/uv only", function()
    local wrong = {}
    for _, path in ipairs(sources) do
      if layer(path) ~= "uv" and read(path):find "#%s*include%s*<uv" then
        wrong[#wrong + 1] = path
      end
    end
    assert.same({}, wrong)
  end)

  it("includes OpenSSL's headers by crypto/openssl.h only, which loads it", function()
    local wrong = {}
    for _, path in ipairs(sources) do
      if path ~= "runtime/crypto/openssl.h" and read(path):find "#%s*include%s*<openssl/" then
        wrong[#wrong + 1] = path
      end
    end
    assert.same({}, wrong)
  end)

  for _, name in ipairs {"lua_resume", "lua_yieldk"} do
    it("has one " .. name .. " for tasks and one for coroutine.*", function()
      local calls = {}
      for _, path in ipairs(sources) do
        local _, n = code(read(path)):gsub("%f[%w_]" .. name .. "%s*%(", "")
        calls[path] = n > 0 and n or nil
      end
      assert.same({["runtime/sched/task.c"] = 1, ["runtime/host/coroutine.c"] = 1}, calls)
    end)
  end

  it("reads the processor's own clock in runtime/uv only", function()
    for _, path in ipairs(sources) do
      if not path:find("^runtime/uv/") then
        assert.is_nil(code(read(path)):match "rdtsc" or code(read(path)):match "cntvct", path)
      end
    end
  end)

  it("has two other lua_yield at most, for the script's own coroutine.yield and in a hook", function()
    local may = {["runtime/host/coroutine.c"] = 1, ["runtime/sched/visit.c"] = 1}
    for _, path in ipairs(sources) do
      local _, n = code(read(path)):gsub("%f[%w_]lua_yield%s*%(", "")
      assert(n <= (may[path] or 0), path)
    end
  end)
end)

describe("a file has one idea, and at most", function()
  local function too_long(folder, pattern, most)
    local wrong = {}
    for _, path in ipairs(files(folder, pattern)) do
      local _, lines = read(path):gsub("\n", "")
      if lines > most then
        wrong[path] = lines
      end
    end
    return wrong
  end

  it("500 lines of C", function()
    assert.same({}, too_long("runtime", "%.[ch]$", 500))
    assert.same({}, too_long("spec", "%.[ch]$", 500))
  end)

  it("800 lines of spec", function()
    assert.same({}, too_long("spec", "%.lua$", 800))
  end)
end)

describe("the objects outside runtime/uv", function()
  local build = require "spec.support.child".build

  --- The global symbols of some objects, without the marks of _FORTIFY_SOURCE: each one, and
  --- an object that has it.
  local function symbols(which, objects)
    local found = {}
    local nm = assert(io.popen(("nm --print-file-name --format=posix %s '%s'"):format(which,
      table.concat(objects, "' '"))))
    for line in nm:lines() do
      local object, name = line:match "^(.-): ([%w_]+)@?%S* %a"
      if name then
        found[name:match "^__(.*)_chk$" or name] = object
      end
    end
    assert(nm:close())
    return found
  end

  local function objects(of)
    local all = files(build .. "/CMakeFiles", "%.o$")
    local found = {}
    for _, path in ipairs(all) do
      local target = path:match "/neap%-(%w+)%.dir/" or path:match "/neap%.dir/" and "main"
      if target and of(target) then
        found[#found + 1] = path
      end
    end
    return found
  end

  -- Whole names, or the beginnings of names before a *.
  local outside = [[
    uv_* clock clock_* gettimeofday time timespec_get nanosleep usleep sleep
    getrandom getentropy rand random drand48 arc4random*
    socket socketpair bind listen accept accept4 connect shutdown
    setsockopt getsockopt getsockname getpeername
    send sendto sendmsg sendmmsg sendfile splice
    recv recvfrom recvmsg recvmmsg
    getaddrinfo freeaddrinfo getnameinfo gethostby* getservby* if_* ares_*
    epoll_* poll ppoll select pselect eventfd timerfd_*
    pthread_create fork vfork posix_spawn*
  ]]

  it("reach the world through the seam only", function()
    if not build then
      pending "NEAP_BUILD, the build's folder, is not set"
    end
    local ours = symbols("--defined-only --extern-only", objects(function()
      return true
    end))
    local inside = objects(function(target)
      return target ~= "uv"
    end)
    assert.is_true(#inside > 0)
    local wrong = {}
    for name, object in pairs(symbols("--undefined-only", inside)) do
      for word in outside:gmatch "%S+" do
        if not ours[name] and name:find("^" .. word:gsub("%*", ".*") .. "$") then
          wrong[#wrong + 1] = object:match "[^/]+/[^/]+$" .. ": " .. name
        end
      end
    end
    table.sort(wrong)
    assert.same({}, wrong)
  end)

  it("know in a simulation nothing of the process, but files to read", function()
    if not build then
      pending "NEAP_BUILD, the build's folder, is not set"
    end
    local simulated = objects(function(target)
      return target == "sim"
    end)
    assert.is_true(#simulated > 0)
    local real = [[
      getenv secure_getenv setenv environ getpid getppid getuid geteuid gethostname uname
      setlocale localtime* mktime tzset pthread_* signal sigaction raise kill
      open open64 openat* creat mkdir* unlink* rename* remove tmp* mkstemp* chdir fchdir
      read write pread* pwrite* ioctl fcntl* mmap* system popen exec* _exit exit
    ]]
    for name, object in pairs(symbols("--undefined-only", simulated)) do
      for word in real:gmatch "%S+" do
        assert(not name:find("^" .. word:gsub("%*", ".*") .. "$"),
          object:match "[^/]+/[^/]+$" .. ": " .. name)
      end
    end
  end)

  it("and those in it leave libuv's pool of threads alone, which aborts without one", function()
    if not build then
      pending "NEAP_BUILD, the build's folder, is not set"
    end
    local uv = objects(function(target)
      return target == "uv"
    end)
    assert.is_true(#uv > 0)
    for name in pairs(symbols("--undefined-only", uv)) do
      assert(not name:find "^uv_fs_" and not name:find "^uv_get.*info$" and name ~= "uv_queue_work"
        and name ~= "uv_random", name)
    end
  end)
end)

describe("a spec", function()
  it("asks spec/support/child.lua which build it tests, which alone reads that", function()
    local readers = {}
    for _, path in ipairs(files("spec", "%.lua$")) do
      readers[#readers + 1] = read(path):find 'getenv%s*%(?%s*["\']NEAP_BUILD' and path
    end
    assert.same({"spec/support/child.lua"}, readers)
  end)

  it("asks it for the kind of that build, and not for its path", function()
    for _, path in ipairs(files("spec", "%.lua$")) do
      for _, verb in ipairs {"find", "match"} do
        assert.is_nil(read(path):match("%f[%w]neap:" .. verb), path)
      end
    end
  end)
end)

describe("each public module", function()
  local internal = {["neap.host"] = true, ["neap.worker.supervisor"] = true,
    ["neap.process.service"] = true, ["neap.fs.watch"] = true, ["neap.fs.send"] = true,
    ["neap.require"] = true, ["neap.net.names"] = true, ["neap.tls.sockets"] = true,
    ["neap.packet.check"] = true, ["neap.net.serving"] = true, ["neap.net.whole"] = true,
    ["neap.prefix.bits"] = true, ["neap.prefix.sets"] = true,
    ["neap.packet.bpf"] = true, ["neap.packet.expression"] = true,
    ["neap.packet.checksum"] = true, ["neap.packet.show"] = true, ["neap.packet.tlv"] = true,
    ["neap.packet.records"] = true, ["neap.packet.ethertype"] = true,
    ["neap.log.json"] = true, ["neap.build"] = true, ["neap.net.proxied"] = true, ["neap.worker.alone"] = true,
    ["neap.chance"] = true, ["neap.backoff"] = true, ["neap.options"] = true}

  -- Those written in Lua, with their file, and those that C registers.
  local modules = {}
  for _, path in ipairs(files("lua/neap", "%.lua$")) do
    local name = path:match "^lua/(.*)%.lua$":gsub("/init$", ""):gsub("/", ".")
    if not name:find "^neap%.meta%." then
      modules[name] = path
    end
  end
  for _, path in ipairs(sources) do
    for name in read(path):gmatch 'host_module%([^,]*,%s*"(neap[%w_.]*)"' do
      modules[name] = modules[name] or false
    end
  end

  local function lacking(where)
    local missing = {}
    for name, path in pairs(modules) do
      local hidden = internal[name] or name:find "%.core$" or name:find "^neap%.repl%."
        or name:find "^neap%.http%." or name:find "^neap%.websocket%." or name:find "^neap%.luasocket%."
        or name:find "^neap%.test%." or name:find "^neap%.bus%." or name:find "^neap%.sim%."
        or name:find "^neap%.redis%."
      if not hidden and not where(name, path) then
        missing[#missing + 1] = name
      end
    end
    table.sort(missing)
    return missing
  end

  it("has a spec", function()
    assert.same({}, lacking(function(name)
      local short = name:gsub("^neap%.", ""):gsub("%.", "_")
      return lfs.attributes("spec/" .. short .. "_spec.lua", "mode") == "file"
    end))
  end)

  it("has annotations, in its own file or in lua/neap/meta", function()
    assert.same({}, lacking(function(name, path)
      local meta = "lua/neap/meta/" .. name:gsub("^neap%.?", ""):gsub("%.", "/") .. ".lua"
      path = path or lfs.attributes(meta, "mode") == "file" and meta
      return path and read(path):find "%-%-%-@"
    end))
  end)
end)
