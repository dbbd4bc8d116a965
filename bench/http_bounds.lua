-- usage: neap bench/http_bounds.lua [upload|gzip|slow]...    what hostile peers cost
--
-- upload: 1 GB to a handler that reads slowly; gzip: 10 GB out of 10 MB; slow: 1,000 clients
-- that send a byte now and then, beside one that asks in earnest. Tells the resident memory
-- of the server's process before and at most, and how long the earnest one waits.
-- NEAP_BOUNDS=0.01 makes all of it so much smaller.

local http = require "neap.http"
local net = require "neap.net"
local task = require "neap.task"
local time = require "neap.time"
local zlib = require "neap.zlib"

local scale = tonumber(os.getenv "NEAP_BOUNDS" or 1)

--- Resident memory, in MB.
local function resident()
  local file <close> = assert(io.open "/proc/self/statm")
  return select(2, file:read("n", "n")) * 4096 / 1e6
end

--- Do it, and tell what it took.
local function measure(name, f)
  collectgarbage()
  collectgarbage()
  local before, most = resident(), 0
  local watch = task.background(function()
    while true do
      most = math.max(most, resident())
      task.sleep(0.01)
    end
  end)
  local began = time.now()
  local told = f()
  watch:cancel()
  most = math.max(most, resident())
  print(("%-7s %6.1f s   %6.1f MB before, %6.1f MB at most   %s"):format(name, time.now() - began, before, most, told))
end

local function with_server(handler, opts, f)
  local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
  local server = task.spawn(http.serve, listener, handler, opts)
  local result = f(tostring(listener.address), listener)
  server:cancel()
  pcall(server.join, server)
  return result
end

local kinds = {}

function kinds.upload()
  local size = math.floor(1e9 * scale)
  return with_server(function(request)
    local count = 0
    for bytes in request:chunks() do
      count = count + #bytes
      if count % 10 == 0 then
        task.sleep(0.0001)
      end
    end
    return tostring(count)
  end, {limits = {body = math.huge}}, function(address)
    local piece, left = ("x"):rep(1 << 20), size
    local response = assert(http.post("http://" .. address .. "/", {
      headers = {["content-length"] = size},
      body = function()
        if left == 0 then
          return nil
        end
        local n = math.min(left, #piece)
        left = left - n
        return n == #piece and piece or piece:sub(1, n)
      end,
    }))
    assert(response:read "a" == tostring(size))
    return ("%.0f MB taken"):format(size / 1e6)
  end)
end

function kinds.gzip()
  local size = math.floor(1e10 * scale)
  local coder = zlib.compressor {format = "gzip", level = 9}
  local zeros, parts, left = ("\0"):rep(1 << 20), {}, size
  while left > 0 do
    parts[#parts + 1] = coder:update(left >= #zeros and zeros or zeros:sub(1, left))
    left = left - #zeros
  end
  parts[#parts + 1] = coder:finish()
  local bomb = table.concat(parts)
  return with_server(function()
    return http.response(200, {["content-encoding"] = "gzip"}, bomb)
  end, nil, function(address)
    local count = 0
    for bytes in assert(http.get("http://" .. address .. "/")):chunks() do
      count = count + #bytes
    end
    assert(count == size, count)
    local _, err = assert(http.get("http://" .. address .. "/", {limits = {body = 1000000}})):read "a"
    return ("%.1f MB became %.0f MB; more than 1 MB at once: %s"):format(#bomb / 1e6, count / 1e6, err and err.code)
  end)
end

function kinds.slow()
  local clients, seconds = math.ceil(1000 * scale), 10
  return with_server(function()
    return "hello\n"
  end, {timeout = {header = 5}}, function(address)
    local cut = 0
    local slow = {}
    for i = 1, clients do
      slow[i] = task.spawn(function()
        local stream <close> = assert(net.connect("tcp://" .. address))
        local text = ("GET / HTTP/1.1\r\nHost: slow\r\nX-A: %s\r\n"):format(("x"):rep(1000))
        for at = 1, #text do
          if not stream:write(text:sub(at, at)) then
            break
          end
          if stream:wait("r", 1) then
            cut = cut + 1
            break
          end
        end
      end)
    end
    local times, ends = {}, time.now() + seconds
    while time.now() < ends do
      local began = time.now()
      assert(assert(http.get("http://" .. address .. "/")):read "a")
      times[#times + 1] = time.now() - began
      task.sleep(0.002)
    end
    for _, one in ipairs(slow) do
      one:cancel()
    end
    table.sort(times)
    return ("%d of %d cut; the other's p99 %.2f ms of %d"):format(cut, clients,
      times[math.ceil(0.99 * #times)] * 1000, #times)
  end)
end

for _, name in ipairs(#arg > 0 and arg or {"upload", "gzip", "slow"}) do
  measure(name, kinds[name])
end
