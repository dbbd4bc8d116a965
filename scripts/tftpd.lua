-- usage: neap tftpd.lua FOLDER [ENDPOINT]
--
-- Serves the files of a folder by TFTP (RFC 1350), reading only; without an
-- endpoint at udp://127.0.0.1:6969. A task for each transfer has a socket of its
-- own, connected to its client, and sends a block again until it is acknowledged.
--
--   curl tftp://127.0.0.1:6969/name

local endpoints = require "neap.endpoint"
local net = require "neap.net"
local task = require "neap.task"

local RRQ, DATA, ACK, ERROR = 1, 3, 4, 5
local BLOCK, TIMEOUT, TRIES = 512, 1, 5

local function usage(message)
  io.stderr:write(message, "\n", io.lines(arg[0])():sub(4), "\n")
  os.exit(2)
end

local folder, place = arg[1], arg[2] or "udp://127.0.0.1:6969"
if not folder or arg[3] or not io.open(folder .. "/.") or not pcall(endpoints.parse, place) then
  usage "a folder and an endpoint, please"
end

-- A name is one of the folder's own files, or refused.
local function open(name)
  if name:find "[/%z]" or name:find "^%." then
    return nil
  end
  local file = io.open(folder .. "/" .. name, "rb")
  return file and not select(2, file:read(0)) and file or nil -- a folder gives a reason
end

-- The name is a stranger's: its bytes are not to play tricks on a terminal.
local function log(from, name, what)
  print(from, (name:gsub("[^\x20-\x7e]", "?")), what)
  io.stdout:flush()
end

-- Send a packet until it is acknowledged. An old acknowledgement is passed over:
-- to answer it too would double every packet from there on (RFC 1123, 4.2.3.1).
local function deliver(socket, packet, block)
  for _ = 1, TRIES do
    assert(socket:send(packet))
    local acknowledged, err = task.timeout(TIMEOUT, function()
      for data in socket:messages() do
        local kind, number = string.unpack(">I2I2", data .. "\0\0\0\0")
        if kind == ACK and number == block then
          return true
        elseif kind == ERROR then
          error("the client gave up", 0)
        end
      end
    end)
    if acknowledged then
      return
    elseif err.code ~= "ETIMEDOUT" then
      error(err, 0)
    end
  end
  error("no acknowledgement", 0)
end

local function transfer(socket, file)
  local block = 0
  repeat
    local bytes = file:read(BLOCK) or ""
    block = (block + 1) & 0xffff
    deliver(socket, string.pack(">I2I2", DATA, block) .. bytes, block)
  until #bytes < BLOCK
end

-- Answers come from a port of the transfer's own, at the same address.
local function serve(from, ip, name)
  local host = ip:find ":" and "[" .. ip .. "]" or ip
  local socket <close> = assert(net.bind(("udp://%s:0"):format(host)))
  assert(socket:connect(from))
  local file <close> = open(name)
  if not file then
    socket:send(string.pack(">I2I2z", ERROR, 1, "file not found"))
    return log(from, name, "not found")
  end
  local ok, why = pcall(transfer, socket, file)
  log(from, name, ok and "sent" or tostring(why))
end

local server = assert(net.bind(place, {pktinfo = true}))
print("serving at " .. server.endpoint)
io.stdout:flush()
task.scope(function(scope)
  for data, from, info in server:messages() do
    local ok, kind, name, mode = pcall(string.unpack, ">I2zz", data)
    if ok and kind == RRQ and mode:lower() == "octet" then
      scope:spawn(serve, from, info.to.ip, name)
    else
      server:send(string.pack(">I2I2z", ERROR, 4, "only reading, in octet mode"), from, info)
    end
  end
end)
