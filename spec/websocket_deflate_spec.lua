-- permessage-deflate: what both ends agree on, and what goes over the stream then.

local core = require "neap.websocket.core"
local crypto = require "neap.crypto"
local deflate = require "neap.websocket.deflate"
local http = require "neap.http"
local net = require "neap.net"
local task = require "neap.task"
local websocket = require "neap.websocket"
local websockets = require "neap.websocket.connection"
local zlib = require "neap.zlib"

local code_of = require "spec.support.code_of"

local ends = {}

after_each(function()
  for _, object in ipairs(ends) do
    object:close()
  end
  ends = {}
end)

--- Both ends, as they are behind a handshake in which that was agreed on.
local function pair(agreed, opts)
  local a, b = net.socketpair()
  ends = {a, b}
  return websockets.new(a, true, opts or {}, nil, agreed or {}), websockets.new(b, false, opts or {}, nil, agreed or {})
end

--- What a server answers to such offers, and what it means.
local function answer(offers, wish)
  local list = {}
  for one in offers:gmatch "[^,]+" do
    list[#list + 1] = one
  end
  return (deflate.answer(list, wish or true))
end

local E = "permessage-deflate"

describe("websocket · the extension", function()
  it("is taken by a server as it can be", function()
    for _, case in ipairs {
      {E, E}, {E .. "; client_max_window_bits", E},
      {E .. ";server_no_context_takeover", E .. "; server_no_context_takeover"},
      {E .. " ; client_no_context_takeover ", E .. "; client_no_context_takeover"},
      {E .. "; server_max_window_bits=10", E .. "; server_max_window_bits=10"},
      {E .. '; client_max_window_bits="9"', E .. "; client_max_window_bits=9"},
      {E .. "; client_max_window_bits; server_max_window_bits=9; server_no_context_takeover",
        E .. "; server_no_context_takeover; server_max_window_bits=9"},
      {"x-other, " .. E .. "; unknown, " .. E .. "; server_no_context_takeover, " .. E,
        E .. "; server_no_context_takeover"},
      {E .. "; server_max_window_bits=8, " .. E, E},
    } do
      assert.equal(case[2], answer(case[1]), case[1])
    end
    assert.equal(E .. "; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=9; "
      .. "client_max_window_bits=10", answer(E .. "; server_max_window_bits=12; client_max_window_bits", {
        server_no_context_takeover = true, client_no_context_takeover = true, server_max_window_bits = 9,
        client_max_window_bits = 10,
      }))
    assert.equal(E, answer(E, {client_max_window_bits = 10}), "who did not offer it is not told")
  end)

  it("is not taken where it is wrong", function()
    for _, text in ipairs {
      "", "x", E .. "x", E .. "; x", E .. "; server_no_context_takeover=1", E .. "; server_max_window_bits",
      E .. "; server_max_window_bits=7", E .. "; server_max_window_bits=16", E .. "; server_max_window_bits=08",
      E .. "; client_max_window_bits=0", E .. "; client_max_window_bits=x", E .. "; client_max_window_bits=", E .. "=1",
      E .. "; server_no_context_takeover; server_no_context_takeover",
      E .. "; client_max_window_bits; client_max_window_bits=9", E .. "; server_max_window_bits=8", E .. ";",
    } do
      assert.is_nil(answer(text), text)
    end
  end)

  it("is offered, and the answer is looked at", function()
    assert.equal(E .. "; client_max_window_bits", deflate.offer(true))
    assert.equal(E .. "; server_no_context_takeover; client_max_window_bits=9",
      deflate.offer {server_no_context_takeover = true, client_max_window_bits = 9})
    for _, text in ipairs {
      E, E .. "; server_max_window_bits=9; client_max_window_bits=15; client_no_context_takeover",
    } do
      assert(deflate.agree(text, true), text)
    end
    for _, text in ipairs {
      "x", E .. "; client_max_window_bits", E .. "; server_max_window_bits=16", E .. "; x=1", E .. "; " .. E,
    } do
      assert.is_nil(deflate.agree(text, true), text)
    end
    assert.is_nil(deflate.agree(E, {server_no_context_takeover = true}))
    assert.is_nil(deflate.agree(E, {server_max_window_bits = 10}))
    assert.is_nil(deflate.agree(E .. "; server_max_window_bits=11", {server_max_window_bits = 10}))
    assert.is_nil(deflate.agree(E .. "; client_max_window_bits=11", {client_max_window_bits = 10}))
  end)

  it("has options, and knows them", function()
    for _, wrong in ipairs {5, "x", {level = 10}, {server_max_window_bits = 8}, {x = 1},
      {client_no_context_takeover = 1}} do
      assert.is_false(pcall(websocket.connect, "ws://h", {deflate = wrong}))
    end
  end)

  it("is used where both want it, and only there", function()
    for _, case in ipairs {{true, true, true}, {true, false, false}, {false, true, false}, {true, nil, false}} do
      local listener <close> = assert(net.listen "tcp://127.0.0.1:0")
      local server = task.spawn(http.serve, listener, function(request)
        local ws = assert(request:websocket {deflate = case[1]})
        for data, kind in ws:messages() do
          ws:send(data, kind)
        end
      end)
      local ws = assert(websocket.connect("ws://127.0.0.1:" .. listener.port, {deflate = case[2]}))
      local text = ("neap "):rep(10000)
      ws:send(text)
      assert.is_true(ws:recv() == text)
      assert.equal(case[3], ws.coder ~= false)
      assert.is_true(ws:close())
      server:cancel()
      server:join()
    end
  end)
end)

describe("websocket · messages made smaller", function()
  local agreements = {
    {}, {server_no_context_takeover = true}, {client_no_context_takeover = true},
    {server_no_context_takeover = true, client_no_context_takeover = true},
    {server_max_window_bits = 9, client_max_window_bits = 10},
  }

  it("are what was sent, one behind the other", function()
    for _, agreed in ipairs(agreements) do
      local client, server = pair(agreed)
      local texts = {"", "x", ("é"):rep(16), ("abc"):rep(50000), crypto.random(70000), "\0", ("x"):rep(1000000), "end"}
      local sender = task.spawn(function()
        for _ = 1, 2 do
          for _, text in ipairs(texts) do
            assert(client:send(text, "binary"))
            assert(server:send(text, "binary"))
          end
        end
      end)
      local other = task.spawn(function()
        for i = 1, 2 * #texts do
          assert.is_true(client:recv() == texts[(i - 1) % #texts + 1], i)
        end
      end)
      for i = 1, 2 * #texts do
        local data, kind = server:recv()
        assert.is_true(data == texts[(i - 1) % #texts + 1], i)
        assert.equal("binary", kind)
      end
      sender:join()
      other:join()
    end
  end)

  it("are smaller, and more so with what was before", function()
    local function sizes(agreed)
      local a, b = net.socketpair()
      ends = {a, b}
      local client = websockets.new(a, false, {}, nil, agreed)
      local text, found = crypto.tohex(crypto.random(500)), {}
      for i = 1, 2 do
        client:send(text)
        local first, size = b:unpack "BB"
        assert.equal(0xc1, first)
        found[i] = size < 126 and size or b:unpack ">I2"
        b:readexactly(found[i])
      end
      return found[1], found[2]
    end
    local first, second = sizes {}
    assert.is_true(first < 700, first)
    assert.is_true(second < 100, second)
    first, second = sizes {server_no_context_takeover = true}
    assert.equal(first, second)
  end)

  it("of many tasks do not mix", function()
    local client, server = pair()
    local tasks = {}
    for i = 1, 10 do
      tasks[i] = task.spawn(function()
        for j = 1, 5 do
          assert(client:send(crypto.tohex(crypto.random(j * 2000)) .. i))
        end
      end)
    end
    for _ = 1, 50 do
      assert.matches("^%x+$", (server:recv()))
    end
    for _, one in ipairs(tasks) do
      one:join()
    end
  end)

  it("that were not sent are none to refer to", function()
    local client, server = pair()
    client:settimeout(0.01)
    local text = crypto.random(300000)
    local sent, refused = 0, 0
    repeat
      local ok, err = client:send(text, "binary")
      sent = sent + (ok and 1 or err.accepted > 0 and 1 or 0)
      refused = refused + (not ok and err.accepted == 0 and 1 or 0)
    until refused == 2
    client:settimeout(nil)
    local sender = task.spawn(client.send, client, text, "binary")
    for _ = 1, sent + 1 do
      assert.is_true(server:recv() == text)
    end
    assert(sender:join())
  end)

  it("are no longer than they may be (Q7)", function()
    local client, server = pair({}, {max = 100000})
    client:send(("x"):rep(100000))
    client:send(("x"):rep(100001))
    assert.equal(100000, #server:recv())
    assert.equal("EMSGSIZE", code_of(server:recv()))
    assert.equal(1009, server.code)
    assert.is_nil(client:recv())
    assert.equal(1009, client.code)
  end)

  it("are UTF-8 where they are texts (Q5)", function()
    local client, server = pair()
    local bytes = zlib.compressor {format = "deflate-raw"}
    local text = bytes:update(("x"):rep(100) .. "\xff") .. bytes:flush()
    client.stream:write(client.codec:frame(1, text:sub(1, -5), true))
    assert.equal("EILSEQ", code_of(server:recv()))
    assert.equal(1007, server.code)
  end)

  it("that are none are refused", function()
    local client, server = pair()
    client.stream:write(client.codec:frame(2, "\xff\xff\xff\xff", true))
    assert.equal("EILSEQ", code_of(server:recv()))
    assert.equal(1007, server.code)
  end)

  it("may come in fragments, stored, with a last block, or as they are", function()
    local client, server = pair()
    local function raw(first, data)
      client.stream:write(string.char(first, 0x80 | #data), "\0\0\0\0", data)
    end
    local hello = "\xf2\x48\xcd\xc9\xc9\x07\x00" -- RFC 7692 §7.2.3.1
    raw(0xc1, hello)
    assert.equal("Hello", server:recv())
    raw(0x41, hello:sub(1, 3))
    raw(0x89, "ping")
    raw(0x80, hello:sub(4))
    assert.equal("Hello", server:recv())
    raw(0xc1, "\xf2\x00\x11\x00\x00") -- it refers to the one before (§7.2.3.2)
    assert.equal("Hello", server:recv())
    raw(0xc1, "\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00") -- not compressed (§7.2.3.3)
    assert.equal("Hello", server:recv())
    raw(0xc1, "\xf3\x48\xcd\xc9\xc9\x07\x00\x00") -- the last block of all (§7.2.3.4)
    assert.equal("Hello", server:recv())
    raw(0xc1, "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00") -- two blocks (§7.2.3.5)
    assert.equal("Hello", server:recv())
    raw(0xc2, "\x00") -- nothing (§7.2.3.6)
    assert.equal("", server:recv())
    raw(0x81, "plain")
    assert.equal("plain", server:recv())
  end)

  it("are not lost by a task that is cancelled (Q15)", function()
    local client, server = pair()
    local text = ("x"):rep(3000000)
    client:send(text)
    local tries = 0
    local data
    repeat
      tries = tries + 1
      data = task.timeout(0, server.recv, server)
    until data
    assert.is_true(data == text)
    assert.is_true(tries > 3, tries)
  end)

  it("are refused where nothing was agreed on", function()
    local a, b = net.socketpair()
    ends = {a, b}
    local server = websockets.new(b, false, {})
    a:write("\xc1\x80\0\0\0\0")
    assert.equal("EPROTO", code_of(server:recv()))
    assert.equal("\xc1\1\0", core.codec {}:frame(1, "\0", true))
  end)
end)
