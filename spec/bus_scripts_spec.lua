-- scripts/jobs.lua and scripts/bus_chat.lua: in one process, in four workers, and in three
-- processes over NATS, of which one is killed.

local folder = require "spec.support.folder"
local nats = require "spec.support.nats"
local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"

local neap = folder.neap

before_each(folder.make)
after_each(folder.remove)

--- Start neap with these arguments; what it prints is noted in `lines`, by text.
local function start(lines, ...)
  local command = {neap, ...}
  command.stdout, command.grace = "pipe", 0
  local child = assert(process.spawn(command))
  local reader = task.spawn(function()
    for line in function() return (child.stdout:read "l") end do
      lines[line] = (lines[line] or 0) + 1
    end
  end)
  return setmetatable({process = child}, {__close = function()
    child:close()
    reader:join()
  end})
end

local function count(lines, pattern)
  local n = 0
  for line in pairs(lines) do
    n = n + (line:find(pattern) and 1 or 0)
  end
  return n
end

local function await(f)
  repeat
    task.sleep(0.01)
  until f()
end

--- Is each of them put, and each that was put done?
local function all_done(lines, most)
  for n = 1, most do
    if not lines["put " .. n] or not lines[("done %d %d"):format(n, n * n)] then
      return false
    end
  end
  return true
end

describe("jobs.lua", function()
  it("does all in one process, and in four workers", function()
    local lines = {}
    do
      local _ <close> = start(lines, "scripts/jobs.lua", "mem:", "1", "5")
      await(function() return all_done(lines, 5) end)
    end
    lines = {}
    local _ <close> = start(lines, "-w", "4", "scripts/jobs.lua", "worker:", "1", "10")
    await(function() return all_done(lines, 10) end)
    assert.equal(20, count(lines, "."))
  end)

  it("does all that was acknowledged, where a process is killed, and the server", function()
    nats.need()
    local server <close> = nats.start(("jetstream { store_dir: %q }"):format(folder.path .. "/store"))
    local lines = {}
    local _ <close> = start(lines, "scripts/jobs.lua", server.url, "1", "60")
    local victim = start(lines, "scripts/jobs.lua", server.url)
    local _ <close> = start(lines, "scripts/jobs.lua", server.url)
    await(function() return count(lines, "^done") > 10 end)
    victim.process:kill "SIGKILL"
    getmetatable(victim).__close()
    await(function() return count(lines, "^done") > 20 end)
    server:kill()
    server:start()
    local _ <close> = start(lines, "scripts/jobs.lua", server.url)
    await(function() return all_done(lines, 60) end)
  end)
end)

describe("bus_chat.lua", function()
  --- The endpoint where it listens.
  local function place(lines)
    local found
    await(function()
      for line in pairs(lines) do
        found = found or line:match "listening at (.*)"
      end
      return found
    end)
    return found
  end

  local function join(endpoint, name)
    local stream = assert(net.connect(endpoint))
    stream:write(name, "\n")
    repeat
      local line = stream:readuntil "\n"
    until line == "* " .. name .. " is here"
    return stream
  end

  --- One says something, and all get it.
  local function say(members, name, text)
    members[1]:write(text, "\n")
    for _, stream in ipairs(members) do
      repeat
        local line = stream:readuntil "\n"
      until line == name .. ": " .. text
    end
  end

  it("is one room in one process, and in four workers", function()
    for _, how in ipairs {{"mem:"}, {"worker:", "-w", "4"}} do
      local lines = {}
      local port = nats.port()
      local words = {table.unpack(how, 2)}
      table.move({"scripts/bus_chat.lua", how[1], "tcp://127.0.0.1:" .. port}, 1, 3, #words + 1, words)
      local _ <close> = start(lines, table.unpack(words))
      await(function() return lines["listening at tcp://127.0.0.1:" .. port] == (#how > 1 and 4 or 1) end)
      local members = {}
      for i, name in ipairs {"ann", "bob", "cid", "dan", "eve"} do
        members[i] = join("tcp://127.0.0.1:" .. port, name)
      end
      say(members, "ann", "hello")
      for _, stream in ipairs(members) do
        stream:close()
      end
    end
  end)

  it("is one room over NATS, where a server of it is killed and another comes", function()
    nats.need()
    local server <close> = nats.start()
    local one, two, three = {}, {}, {}
    local _ <close> = start(one, "scripts/bus_chat.lua", server.url, "tcp://127.0.0.1:0")
    local victim = start(two, "scripts/bus_chat.lua", server.url, "tcp://127.0.0.1:0")
    local _ <close> = start(three, "scripts/bus_chat.lua", server.url, "tcp://127.0.0.1:0")
    local members = {join(place(one), "ann"), join(place(three), "cid"), join(place(two), "bob")}
    say(members, "ann", "all here?")
    victim.process:kill "SIGKILL"
    getmetatable(victim).__close()
    table.remove(members):close()
    say(members, "ann", "who has gone?")
    two = {}
    local _ <close> = start(two, "scripts/bus_chat.lua", server.url, "tcp://127.0.0.1:0")
    members[3] = join(place(two), "bob")
    say(members, "ann", "again")
    for _, stream in ipairs(members) do
      stream:close()
    end
  end)
end)
