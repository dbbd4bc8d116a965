-- neap.websocket against the library websockets of Python, both ways; and the script that
-- browsers talk to.

local http = require "neap.http"
local net = require "neap.net"
local process = require "neap.process"
local task = require "neap.task"
local websocket = require "neap.websocket"

local neap = require "spec.support.child".neap

local PYTHON = "/usr/bin/python3"

local function need()
  local found = process.run {PYTHON, "-c", "import websockets", stderr = "null"}
  if not found or found.code ~= 0 then
    pending "websockets is missing (Debian: python3-websockets)"
  end
end

--- Asks our server, and prints what it has found.
local CLIENT = [[
import asyncio, sys, websockets

async def main():
    uri = "ws://127.0.0.1:%s/" % sys.argv[1]
    async with websockets.connect(uri, subprotocols=["x", "chat"], compression=COMPRESSION, max_size=None,
                                  ping_interval=None) as ws:
        print("protocol", ws.subprotocol)
        for n in (0, 1, 125, 126, 65535, 65536, 300000):
            data = bytes(i % 251 for i in range(n))
            await ws.send(data)
            assert await ws.recv() == data, n
        text = "gr\u00fcn \U0001f600 " * 1000
        await ws.send(text)
        assert await ws.recv() == text
        await ws.send(["in ", "frag", "ments"])
        print(await ws.recv())
        await asyncio.wait_for(await ws.ping(b"there"), 20)
        await ws.send("close 4321")
        try:
            await ws.recv()
        except websockets.ConnectionClosed as e:
            print("closed", e.rcvd.code, e.rcvd.reason)
    async with websockets.connect(uri, compression=COMPRESSION, ping_interval=None) as ws:
        await ws.send("last")
        await ws.recv()
        await ws.close(3999, "enough")
    async with websockets.connect(uri, compression=COMPRESSION, ping_interval=None) as ws:
        await ws.send("x" * 2000000)
        try:
            await ws.recv()
        except websockets.ConnectionClosed as e:
            print("closed", e.rcvd.code)
    try:
        async with websockets.connect(uri, origin="http://evil.example"):
            pass
    except websockets.InvalidStatusCode as e:
        print("refused", e.status_code)

asyncio.run(main())
]]

--- Says where it listens, answers, and says how each connection was closed.
local SERVER = [[
import asyncio, websockets

async def handler(ws):
    try:
        await ws.send("hello " + (ws.subprotocol or "none"))
        async for message in ws:
            if message == "ping":
                await asyncio.wait_for(await ws.ping(b"there"), 20)
                message = "ponged"
            elif message == "fragments":
                await ws.send(iter(["in ", "frag", "ments"]))
                continue
            elif message == "close":
                await ws.close(4001, "asked for")
                break
            await ws.send(message)
    except websockets.ConnectionClosed:
        pass
    await ws.wait_closed()
    print("closed", ws.close_code, ws.close_reason, flush=True)

async def main():
    async with websockets.serve(handler, "127.0.0.1", 0, subprotocols=["chat"], compression=COMPRESSION,
                                max_size=None, ping_interval=None) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Future()

asyncio.run(main())
]]

local function script(text, compression)
  return (text:gsub("COMPRESSION", compression and '"deflate"' or "None"))
end

for _, compression in ipairs {false, true} do
  describe("websocket · websockets of Python" .. (compression and ", deflating" or ""), function()
    it("is a client", function()
      need()
      local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
      local codes = {}
      local server = task.spawn(http.serve, listener, function(request)
        local ws, err = request:websocket {protocols = {"chat"}, max = 1000000, deflate = compression}
        if not ws then
          codes[#codes + 1] = err.code
          return
        end
        local data, kind = ws:recv()
        while data do
          local code = data:match "^close (%d+)$"
          if code then
            ws:close(math.tointeger(code), "as you say")
          else
            ws:send(data, kind)
          end
          data, kind = ws:recv()
        end
        codes[#codes + 1] = ws.code
      end)
      local result = assert(process.run {PYTHON, "-", tostring(listener.port), input = script(CLIENT, compression)})
      server:cancel()
      server:join()
      assert.equal("", result.stderr)
      assert.equal("protocol chat\nin fragments\nclosed 4321 as you say\nclosed 1009\nrefused 403\n", result.stdout)
      assert.same({4321, 3999, 1009, "EPROTO"}, codes)
    end)

    it("is a server", function()
      need()
      local child <close> = assert(process.spawn {PYTHON, "-u", "-c", script(SERVER, compression), stdout = "pipe"})
      local port = assert(child.stdout:read "l")
      local ws = assert(websocket.connect("ws://127.0.0.1:" .. port, {
        protocols = {"x", "chat"}, deflate = compression,
      }))
      assert.equal("chat", ws.protocol)
      assert.equal(compression, ws.coder ~= false)
      assert.equal("hello chat", ws:recv())
      for _, n in ipairs {0, 1, 125, 126, 65535, 65536, 300000} do
        local data = ("abcdefg"):rep(n // 7 + 1):sub(1, n)
        ws:send(data, n % 2 == 0 and "binary" or "text")
        local got, kind = ws:recv()
        assert.is_true(got == data, n)
        assert.equal(n % 2 == 0 and "binary" or "text", kind)
      end
      ws:send "ping"
      assert.equal("ponged", ws:recv())
      ws:send "fragments"
      assert.equal("in fragments", ws:recv())
      ws:send "close"
      assert.is_nil(ws:recv())
      assert.equal(4001, ws.code)
      assert.equal("asked for", ws.reason)
      assert.equal("closed 4001 ", child.stdout:read "l")
      ws = assert(websocket.connect("ws://127.0.0.1:" .. port))
      assert.equal("hello none", ws:recv())
      assert.is_true(ws:close(3456, "bye"))
      assert.equal("closed 3456 bye", child.stdout:read "l")
      child:kill "SIGTERM"
      child:wait()
    end)
  end)
end

describe("ws_chat.lua", function()
  it("serves its page, and tells all what each says", function()
    local server <close> = assert(process.spawn {neap, "scripts/ws_chat.lua", "tcp://127.0.0.1:0", stdout = "pipe",
      stderr = "pipe"})
    local place = assert(server.stdout:read "l"):match "^listening at tcp://(.*)$"
    local browser <close> = assert(net.connect("tcp://" .. place))
    browser:write "GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"
    assert.matches("new WebSocket%(.*</script>", (browser:read "a"))
    local function join(name)
      return assert(websocket.connect(("ws://%s/room?name=%s"):format(place, name)))
    end
    local ann = join "ann"
    assert.equal("* ann is here", ann:recv())
    local bob = join "b%0Aob"
    assert.equal("* bob is here", bob:recv())
    assert.equal("* bob is here", ann:recv())
    bob:send "hello"
    for _, one in ipairs {ann, bob} do
      assert.equal("bob: hello", one:recv())
    end
    assert.is_true(bob:close())
    assert.equal("* bob has gone", ann:recv())
    ann:send(("x"):rep(1025))
    assert.is_nil(ann:recv())
    assert.equal(1009, ann.code)
    local carol = join "carol"
    assert.equal("* carol is here", carol:recv())
    server:kill "SIGTERM"
    assert.is_nil(select(2, carol:recv()))
    assert.equal(1001, carol.code, "it drains")
    assert.equal("", server.stderr:read "a")
    server:wait()
  end)
end)
