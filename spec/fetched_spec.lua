-- What stands between fetching a body and its last use. Whatever allocates in the state may run
-- a finalizer, and that may close what is in hand: it is fetched again, or looked at again, or
-- held (docs/ARCHITECTURE.md).

local lfs = require "lfs"

local fetched = require "spec.support.fetched"

--- The sources of a folder, by path.
local function texts_of(folder, texts)
  for name in lfs.dir(folder) do
    local path = folder .. "/" .. name
    if lfs.attributes(path, "mode") == "directory" then
      if name ~= "." and name ~= ".." then
        texts_of(path, texts)
      end
    elseif name:find "%.[ch]$" then
      local file <close> = assert(io.open(path, "rb"))
      texts[path] = file:read "a"
    end
  end
  return texts
end

--- What Lua has by a box that closing empties.
local bodies = {stream = true, listener = true, datagram = true, root = true, tracer = true,
  channel = true, worker = true}

-- What is used so all the same, and why that is right.
local known = {
  ["nobody can close it: no script has it yet"] = [[
    runtime/main.c start_worker
    runtime/net/datagram_class.c datagram_try_push
    runtime/net/dial.c dial_lua
    runtime/net/listener_class.c listener_push
    runtime/net/stream_class.c stream_try_push
    runtime/sys/process.c push_streams
    runtime/worker/channel_class.c channel_push
  ]],
  ["it is held: what is taken from stays, closed or not (datagram.taking)"] = [[
    runtime/net/datagram_recv.c add_info
    runtime/net/datagram_recv.c push_info
    runtime/net/datagram_recv.c push_other
    runtime/net/datagram_recv.c push_senders
    runtime/net/datagram_recv.c remember
    runtime/net/datagram_recv.c set_extras
    runtime/net/datagram_recv.c set_interface
    runtime/net/datagram_recv.c take_fds
    runtime/net/datagram_recv.c take_many
    runtime/net/datagram_recv.c take_one
  ]],
  ["it is looked at again: box or body tell whether it is closed"] = [[
    runtime/net/stats.c push_datagram
    runtime/net/stats.c push_listener
    runtime/net/stats.c push_stream
    runtime/net/stream_read.c push_first
    runtime/net/stream_write.c send_now
  ]],
  ["it is read only, and a closed one lives until the round is over"] = [[
    runtime/net/stream_class.c stream_fail
    runtime/net/stream_write.c failed
    runtime/tls/about.c tls_about
  ]],
  ["what could run has not: it has answered, and been returned"] = [[
    runtime/net/stream_read.c try_once
  ]],
  ["no finalizer runs: what is looked at is strings by now"] = [[
    runtime/net/stream_write.c write_k
  ]],
  ["a finalizer cannot take from it: next() is refused there (wait_enter)"] = [[
    runtime/trace/library.c push_next
    runtime/trace/notes.c notes_push
  ]],
}

local function example(body)
  return {["x.c"] = "static int push_it(lua_State *L) {\n  lua_newtable(L);\n  return 1;\n}\n"
    .. "void use(stream *s);\nvoid look(const stream *s) {\n}\n\nstatic int l_x(lua_State *L) {\n" .. body .. "}\n"}
end

local function offends(body)
  return #fetched.offenders(example(body), bodies) > 0
end

describe("a body that was fetched", function()
  local texts = texts_of("runtime", {})

  it("is not used behind what may run a finalizer", function()
    local all, reasons = {}, {}
    for reason, places in pairs(known) do
      for place in places:gmatch "[^\n]*%S[^\n]*" do
        local name = place:match "^%s*(.-)%s*$"
        assert.is_nil(reasons[name], name)
        all[#all + 1], reasons[name] = name, reason
      end
    end
    table.sort(all)
    local found, looked = fetched.offenders(texts, bodies)
    assert.same(all, found)
    assert.is_true(looked > 100)
  end)

  it("is freed by a later only: never while Lua is in the middle of something", function()
    local frees = {stream_closed = true, listener_closed = true, datagram_closed = true}
    assert.same({"runtime/uv/file.c finish"}, -- of on_turn, which is one
      fetched.callers(texts, frees, "later %*"))
  end)
end)

describe("what looks for that", function()
  it("finds a use behind an allocation, of Lua's or of a function that makes one", function()
    for _, body in ipairs {
      "lua_newtable(L);\nuse(s);\nreturn 1;",
      "push_it(L);\ns->eof = true;\nreturn 1;",
      "if (push_it(L)) {\nuse(s);\n}\nreturn 1;",
    } do
      assert.is_true(offends("stream *s = check(L);\n" .. body .. "\n"), body)
    end
  end)

  it("leaves what is fetched again, only read, returned, or in another branch", function()
    for _, body in ipairs {
      "use(s);\nlua_newtable(L);\nreturn 1;",
      "lua_newtable(L);\ns = check(L);\nuse(s);\nreturn 1;",
      "lua_newtable(L);\nlook(s);\nreturn s->eof;",
      "if (s == 0)\nreturn push_it(L);\nuse(s);\nreturn 1;",
      "if (s == 0) {\npush_it(L);\nreturn 1;\n}\nuse(s);\nreturn 1;",
      "if (s == 0)\npush_it(L);\nelse\nuse(s);\nreturn 1;",
    } do
      assert.is_false(offends("stream *s = check(L);\n" .. body .. "\n"), body)
    end
  end)
end)
