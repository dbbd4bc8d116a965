-- How names are looked up by DNS: what is asked, of whom, and which answers are taken. Each
-- test has a server and a resolv.conf of its own.

local child = require "spec.support.child"
local lookups = require "spec.support.lookups"
local name_server = require "spec.support.name_server"
local net = require "neap.net"
local packet = require "neap.packet"
local process = require "neap.process"
local task = require "neap.task"

local BEGIN, run, zone = lookups.BEGIN, lookups.run, lookups.zone

describe("a lookup by DNS", function()
  it("asks for both families at once, and gives each address once", function()
    local server <close> = name_server.new(zone {
      ["both.test"] = {A = {"127.0.0.2", "127.0.0.2", "127.0.0.3"}, AAAA = {"::1"}},
    })
    local out = run({server}, "", [[
      ask "both.test"
      ask("both.test", {family = "inet"})
      ask("BOTH.test", {family = "inet6"})
    ]])
    local first, rest = out:match "^both.test\t(.-)\n(.*)$"
    local ips = {}
    for ip in first:gmatch "%S+" do
      ips[#ips + 1] = ip
    end
    table.sort(ips)
    assert.same({"127.0.0.2", "127.0.0.3", "::1"}, ips)
    assert.equal("both.test\t127.0.0.2 127.0.0.3\nBOTH.test\t::1\n", rest)
    assert.equal("BOTH.test AAAA, both.test A, both.test A, both.test AAAA", server:take())
  end)

  it("has a code for each failure (H1)", function()
    local server <close> = name_server.new(function(name)
      return name ~= "nodata.test" and {rcode = name:match "^(%w+)"} or {}
    end)
    local out = run({server}, "options timeout:1 attempts:1", [[
      for _, name in ipairs {"nxdomain", "nodata", "servfail", "refused", "formerr"} do
        ask(name .. ".test")
      end
      print(select(2, net.connect "tcp://nxdomain.test:1").code)
    ]])
    assert.equal([[
nxdomain.test	EAI_NONAME
nodata.test	EAI_NODATA
servfail.test	EAI_AGAIN
refused.test	EAI_AGAIN
formerr.test	EAI_FAIL
EAI_NONAME
]], out)
  end)

  it("sends nothing for what is no name (H1)", function()
    local server <close> = name_server.new(zone {})
    local out = run({server}, "search corp.test", [[
      for _, name in ipairs {("a"):rep(64) .. ".test", ("a."):rep(126) .. "bc", "a..test", ".test",
        ".", "a\\.test", "", "127.1", "a b.test", "b\xfccher.test", "hidden.onion", "a.hidden.ONION."} do
        print(select(2, net.resolve(name)).code)
      end
      print(pcall(net.resolve, "a\0.test"))
    ]])
    assert.equal(("EAI_NONAME\n"):rep(12)
      .. "false\tbad argument #1 to 'resolve' (a name without zero bytes expected)\n",
      (out:gsub("false\t[^\n]-: bad", "false\tbad")))
    assert.equal("", server:take())
  end)

  it("asks nobody for addresses and localhost (H3)", function()
    local server <close> = name_server.new(function() end)
    local out = run({server}, "", [[
      for _, name in ipairs {"127.0.0.1", "::1", "localhost", "db.localhost", "LOCALHOST."} do
        print(#assert(net.resolve(name)) > 0)
      end
      ask("db.localhost", {family = "inet"})
      ask("db.localhost", {family = "inet6"})
    ]])
    assert.equal(("true\n"):rep(5) .. "db.localhost\t127.0.0.1\ndb.localhost\t::1\n", out)
    assert.equal("", server:take())
  end)

  it("ends when the servers have had their time (H2)", function()
    local server <close> = name_server.new(function() end)
    local out = run({server}, "options timeout:1 attempts:1", [[
      task.spawn(function()
        for _ = 1, 20 do task.sleep(0.02) end
        print "others run"
      end)
      ask "silent.test"
      print(took > 0.95 and took < 2 or took)
    ]])
    assert.equal("others run\nsilent.test\tETIMEDOUT\ntrue\n", out)
    assert.equal("silent.test A, silent.test AAAA", server:take())
  end)

  it("goes to the next server when one is silent or fails", function()
    local good <close> = name_server.new(zone {["a.test"] = {A = {"127.0.0.2"}}})
    local silent <close> = name_server.new(function() end)
    local bad <close> = name_server.new(function()
      return {rcode = "servfail"}
    end)
    for _, other in ipairs {bad, silent} do
      assert.equal("a.test\t127.0.0.2\n", run({other, good}, "options timeout:1", 'ask "a.test"'))
      assert.equal("a.test A, a.test AAAA", good:take())
    end
  end)

  it("does with one family when the server is silent about the other", function()
    local server <close> = name_server.new(function(name, type)
      if type == "A" then
        return {answer = {{name = name, type = type, ttl = 60, address = "127.0.0.2"}}}
      end
    end)
    local out = run({server}, "options timeout:20", [[
      ask "a.test"
      print(took > 0.9 and took < 10 or took)
      task.timeout(0.2, ask, "a.test")
    ]])
    assert.equal("a.test\t127.0.0.2\ntrue\n", out)
    assert.equal("a.test A, a.test A, a.test AAAA, a.test AAAA", server:take())
  end)

  it("tells why there is no socket to ask by", function()
    if (process.run {"strace", "-qq", "-o", "/dev/null", "true"} or {}).code ~= 0 then
      pending "strace is not there, or not permitted"
      return
    end
    local server <close> = name_server.new(zone {["a.test"] = {A = {"127.0.0.2"}}})
    for call, code in pairs {["socket:error=EMFILE"] = "EMFILE",
      ["epoll_ctl:error=ENOSPC:when=30+"] = "ENOSPC", ["connect:error=ENETUNREACH"] = "EAI_AGAIN"} do
      local out = run({server}, "options timeout:1 no-aaaa", [[
        for i = 1, 30 do
          net.resolve(i .. ".test")
        end
        ask "a.test"
      ]], {"strace", "-f", "-qq", "-o", "/dev/null", "-e", "inject=" .. call})
      assert.equal("a.test\t" .. code .. "\n", out)
    end
  end)

  it("asks over TCP where the answer is cut (H5)", function()
    local server <close> = name_server.new(function(name, type, over)
      if over == "udp" then
        return {tc = true}
      end
      local list = {}
      for i = 1, type == "A" and 60 or 0 do
        list[i] = {name = name, type = type, ttl = 60, address = "127.0.1." .. i}
      end
      return {answer = list}
    end)
    assert.equal("60\n", run({server}, "", 'print(#assert(net.resolve "large.test"))'))
    assert.equal("large.test A, large.test A, large.test AAAA, large.test AAAA", server:take())
  end)

  it("asks over TCP only where it is told to, and with EDNS", function()
    local overs, sizes = {}, {}
    local server <close> = name_server.new(function(name, type, over, query)
      overs[over] = true
      sizes[query.additional[1].udp_payload_size] = true
      return {answer = {type == "A" and {name = name, type = "A", address = "127.0.0.2"} or nil}}
    end)
    assert.equal("a.test\t127.0.0.2\n", run({server}, "options use-vc no-aaaa", 'ask "a.test"'))
    assert.same({tcp = true}, overs)
    assert.same({[1232] = true}, sizes)
    assert.equal("a.test A", server:take())
  end)

  it("takes no answer that is not to its question, or is none (H6)", function()
    local function pointer(query, name)
      local whole = name_server.answer(query, {answer = {
        {name = "x", type = "A", ttl = 60, address = "6.6.6.6"},
      }})
      local at = #whole - 14 - 2
      return whole:sub(1, at - 1) .. name .. whole:sub(at + 3)
    end
    local evil = {
      id = function(query, fields)
        return name_server.answer({id = query.id ~ 1, question = query.question}, fields)
      end,
      question = function(query, fields)
        fields.question = {{name = "other.test", type = query.question[1].type}}
        return name_server.answer(query, fields)
      end,
      type = function(query, fields)
        fields.question = {{name = query.question[1].name, type = "MX"}}
        return name_server.answer(query, fields)
      end,
      class = function(query, fields)
        for _, record in ipairs(fields.answer) do
          record.class = "CH"
        end
        return name_server.answer(query, fields)
      end,
      loop = function(query)
        return pointer(query, "\xc0" .. string.char(#name_server.answer(query, {}) ))
      end,
      forward = function(query)
        return pointer(query, "\xc0\xff")
      end,
      rdlength = function(query, fields)
        fields.answer[1].rdlength = 60000
        return name_server.answer(query, fields)
      end,
      count = function(query, fields)
        fields.ancount = 65535
        return name_server.answer(query, fields)
      end,
      short = function(query, fields)
        return name_server.answer(query, fields):sub(1, 20)
      end,
      empty = function()
        return ""
      end,
      cname = function(query)
        local name = query.question[1].name
        return name_server.answer(query, {answer = {
          {name = name, type = "CNAME", cname = "b.test"},
          {name = "b.test", type = "CNAME", cname = name},
        }})
      end,
    }
    local server <close> = name_server.new(function(name, type, _, query, send)
      local fields = {answer = {{name = name, type = type, ttl = 60,
        address = type == "A" and "6.6.6.6" or "6::6"}}}
      send(evil[name:match "^%w+"](query, fields))
      local ip = type == "A" and "127.0.0.2" or "::1"
      return {answer = {{name = name, type = type, ttl = 60, address = ip}}}
    end)
    local names = {}
    for name in pairs(evil) do
      names[#names + 1] = ("%q"):format(name .. ".test")
    end
    local out = run({server}, "options timeout:1 attempts:1", ([[
      task.scope(function(scope)
        for _, name in ipairs {%s} do
          scope:spawn(ask, name)
        end
      end)
      assert(took < 5)
    ]]):format(table.concat(names, ", ")))
    assert.is_nil(out:find "6")
    assert.equal(#names, select(2, out:gsub("\n", "")))
    assert.matches("id.test\t[^\n]*127.0.0.2", out)
    assert.matches("question.test\t[^\n]*127.0.0.2", out)
    assert.matches("type.test\t[^\n]*127.0.0.2", out)
  end)

  it("hears only whom it asked, by a port for each lookup (H6)", function()
    local server <close> = assert(net.bind "udp://127.0.0.1:0")
    local stranger <close> = assert(net.bind "udp://127.0.0.1:0")
    local ports = {}
    local serving = task.spawn(function()
      for data, from in server:messages() do
        ports[#ports + 1] = from.port
        local query = packet.dissect(data, "dns").dns
        local record = {name = query.question[1].name, ttl = 60, address = "6.6.6.6"}
        stranger:send(name_server.answer(query, {answer = {record}}), from)
        record.address = "127.0.0.2"
        server:send(name_server.answer(query, {answer = {record}}), from)
      end
    end)
    local out = run({{port = server.localaddr.port}}, "options timeout:2", [[
      ask("a.test", {family = "inet"})
      ask("b.test", {family = "inet"})
    ]])
    serving:cancel()
    assert.equal("a.test\t127.0.0.2\nb.test\t127.0.0.2\n", out)
    assert.equal(2, #ports)
    assert.not_equal(ports[1], ports[2])
  end)
end)

describe("resolv.conf", function()
  it("says what is searched, and when a name is whole (H7)", function()
    local server <close> = name_server.new(zone {
      ["h.two.test"] = {A = {"127.0.0.2"}}, ["a.b.two.test"] = {A = {"127.0.0.3"}},
      ["x.one.test"] = {AAAA = {"::1"}}, ["x.two.test"] = {A = {"127.0.0.4"}},
    })
    local search = "search one.test two.test"
    for script, expected in pairs {
      ['ask "h"'] = "h\t127.0.0.2|h.one.test h.two.test",
      ['ask "h."'] = "h.\tEAI_NONAME|h",
      ['ask "a.b"'] = "a.b\t127.0.0.3|a.b a.b.one.test a.b.two.test",
      ['ask "a.b.two.test"'] = "a.b.two.test\t127.0.0.3|a.b.two.test",
      ['ask("x", {family = "inet"})'] = "x\t127.0.0.4|x.one.test x.two.test",
      ['ask "none"'] = "none\tEAI_NONAME|none.one.test none.two.test none",
    } do
      local out = run({server}, search .. "\noptions no-aaaa", script)
      out = out .. table.concat(server.asked, " ")
      server.asked = {}
      assert.equal(expected, (out:gsub("\n", "|"):gsub(" A%f[%s\0]", "")))
    end
    local out = run({server}, search .. "\noptions no-aaaa ndots:2", 'ask "a.b"')
    assert.equal("a.b\t127.0.0.3\n", out)
    assert.equal("a.b.one.test A, a.b.two.test A", server:take())
  end)

  it("is not searched further where a server fails, for it might be there (H7)", function()
    local server <close> = name_server.new(function(name, type)
      if name == "h.one.test" then
        return {rcode = "servfail"}
      end
      return {answer = {{name = name, type = type, ttl = 60, address = "127.0.0.9"}}}
    end)
    assert.equal("h\tEAI_AGAIN\n",
      run({server}, "search one.test two.test\noptions no-aaaa", 'ask "h"'))
  end)

  it("lets the servers take turns", function()
    local servers = {}
    for i = 1, 3 do
      servers[i] = name_server.new(zone(setmetatable({}, {__index = function()
        return {A = {"127.0.0." .. i}}
      end})))
    end
    local script = [[
      for i = 1, 4 do
        ask(i .. ".test")
      end
    ]]
    local fixed = run(servers, "options no-aaaa", script)
    local turning = run(servers, "options no-aaaa rotate", script)
    for _, server in ipairs(servers) do
      server:close()
    end
    assert.equal("1.test\t127.0.0.1\n2.test\t127.0.0.1\n3.test\t127.0.0.1\n4.test\t127.0.0.1\n", fixed)
    assert.equal("1.test\t127.0.0.1\n2.test\t127.0.0.2\n3.test\t127.0.0.3\n4.test\t127.0.0.1\n", turning)
  end)

  it("is read again when it has changed, and what was known is forgotten", function()
    local first <close> = name_server.new(zone {["a.test"] = {A = {"127.0.0.2"}}})
    local second <close> = name_server.new(zone {["a.test"] = {A = {"127.0.0.3"}}})
    assert.equal("a.test\t127.0.0.2\na.test\t127.0.0.2\na.test\t127.0.0.3\n", run({first}, "", ([[
      ask "a.test"
      ask "a.test"
      local path = require "neap.process".env().NEAP_RESOLV_CONF
      local file = io.open(path .. ".new", "w")
      file:write "nameserver [127.0.0.1]:%d\n"
      file:close()
      os.rename(path .. ".new", path)
      ask "a.test"
    ]]):format(second.port)))
    assert.equal("a.test A, a.test AAAA", first:take())
  end)

  it("may be missing, empty, closed, broken or huge: then 127.0.0.1 is asked (H7)", function()
    local name = os.tmpname()
    os.remove(name)
    local out = child.isolated("export NEAP_RESOLVER=dns NEAP_RESOLV_CONF=" .. name, BEGIN .. ([[
      local name_server = dofile "spec/support/name_server.lua"
      local server = assert(net.bind "udp://127.0.0.1:53")
      task.spawn(function()
        for data, from in server:messages() do
          local query = require "neap.packet".dissect(data, "dns").dns
          server:send(name_server.answer(query, {rcode = "nxdomain"}), from)
        end
      end)
      local function try(text)
        local file = text and assert(io.open(%q, "w"))
        if file then
          file:write(text)
          file:close()
        end
        ask("a.test", {cache = false})
      end
      try()
      try ""
      try "nameserver"
      try "nameserver 1.2.3\nnameserver [::1\nnameserver [::1]:0\nnameserver [::1]:x\noptions ndots:\n"
      try(("a"):rep(1 << 20))
      try("search " .. ("a "):rep(1 << 16))
      server:close()
    ]]):format(name))
    os.remove(name)
    assert.equal(("a.test\tEAI_NONAME\n"):rep(6), out)
  end)
end)
