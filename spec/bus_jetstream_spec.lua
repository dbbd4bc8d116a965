-- JetStream, by the bus that NATS carries: what is acknowledged stays.

local bus = require "neap.bus"
local folder = require "spec.support.folder"
local nats = require "spec.support.nats"
local task = require "neap.task"

describe("JetStream", function()
  if not nats.installed then
    it("keeps what is acknowledged", nats.need)
    return
  end

  local server, here, jetstream

  lazy_setup(function()
    folder.make()
    server = nats.start(("jetstream { store_dir: %q }"):format(folder.path .. "/store"))
  end)

  lazy_teardown(function()
    server:close()
    folder.remove()
  end)

  before_each(function()
    here = assert(bus.open(server.url, {pause = 0.1}))
    jetstream = assert(here:jetstream())
    assert(jetstream:stream {name = "jobs", subjects = {"jobs.>"}, retention = "workqueue", max_age = 60})
  end)

  after_each(function()
    assert(jetstream:api "STREAM.DELETE.jobs")
    here:close()
  end)

  it("writes down a message once, by its id, and where it was expected to", function()
    local first = assert(jetstream:publish("jobs.a", "1", {id = "one", headers = {a = "b"}}))
    assert.same({"jobs", 1, nil}, {first.stream, first.seq, first.duplicate})
    local again = assert(jetstream:publish("jobs.a", "1", {id = "one"}))
    assert.same({1, true}, {again.seq, again.duplicate})
    for _, opts in ipairs {{expect_seq = 7}, {expect_stream = "x"}, {expect_id = "two"}, {expect_subject_seq = 7}} do
      assert.equal("EJETSTREAM", select(2, jetstream:publish("jobs.a", "2", opts)).code)
    end
    assert.equal(2, assert(jetstream:publish("jobs.a", "2", {expect_seq = 1, expect_id = "one"})).seq)
    assert.equal("ECONNREFUSED", select(2, jetstream:publish("elsewhere", "x")).code)
    assert.equal("ECONNREFUSED", select(2, jetstream:publish("elsewhere", "x", {id = "x", timeout = 0.1})).code)
    local message = assert(jetstream:consumer "jobs"):fetch()[1]
    assert.same({"1", "b", "one"}, {message.data, message.headers.a, message.headers["Nats-Msg-Id"]})
    assert(message:ack())
  end)

  it("makes streams and consumers, and changes them", function()
    assert(jetstream:stream {name = "jobs", subjects = {"jobs.>"}, retention = "workqueue", max_age = 90.5})
    assert.equal(90500000000, assert(jetstream:api "STREAM.INFO.jobs").config.max_age)
    local _, err = jetstream:api "STREAM.INFO.none"
    assert.same({"ENOENT", 404, 10059}, {err.code, err.status, err.number})
    assert.equal("ENOENT", select(2, jetstream:consumer "none").code)
    local consumer = assert(jetstream:consumer("jobs", {durable_name = "w"}))
    assert.equal("w", assert(jetstream:consumer("jobs", {durable_name = "w"})).name)
    assert.same({}, consumer:fetch(1, {timeout = 0.05}))
    for _, wrong in ipairs {{}, {name = "a.b"}, {name = "*"}} do
      assert.has_error(function() jetstream:stream(wrong) end)
    end
    assert.has_error(function() jetstream:consumer "a b" end)
    assert.has_error(function() consumer:fetch(0) end)
    assert.has_error(function() jetstream:api "a b" end)
  end)

  it("gives a message again until it is done", function()
    local consumer = assert(jetstream:consumer("jobs", {durable_name = "w", ack_wait = 0.3}))
    assert(jetstream:publish("jobs.a", "1"))
    local function fetch()
      local list = assert(consumer:fetch(10))
      assert.same({1, "1"}, {#list, list[1].data})
      return list[1]
    end
    local first = fetch()
    assert.same({1, 1}, {first.seq, first.deliveries})
    assert(first:nak())
    assert(fetch():nak(0.1))
    assert(fetch():working())
    assert(fetch():ack {wait = true}) -- behind `ack_wait`
    assert.same({}, consumer:fetch(10, {timeout = 0.05}))
    assert(jetstream:publish("jobs.a", "1"))
    assert(fetch():term())
    local later = task.spawn(function()
      return consumer:fetch(3)
    end)
    task.sleep(0.02)
    assert(jetstream:publish("jobs.b", "late"))
    assert.equal("late", later:join()[1].data)
  end)

  it("loses nothing that was acknowledged, where the server is killed", function()
    local consumer = assert(jetstream:consumer("jobs", {durable_name = "w", ack_wait = 0.5}))
    local publisher = task.spawn(function()
      for i = 1, 60 do
        assert(jetstream:publish("jobs.a", tostring(i), {id = "job " .. i, timeout = 20}))
        if i == 20 or i == 40 then
          server:kill()
          server:start()
        end
      end
    end)
    local seen, count = {}, 0
    while count < 60 do
      for _, message in ipairs(assert(consumer:fetch(10, {timeout = 0.2}))) do
        if not seen[message.seq] then
          seen[message.seq], count = message.data, count + 1
        end
        message:ack()
      end
    end
    publisher:join()
    for i = 1, 60 do
      assert.equal(tostring(i), seen[i])
    end
  end)
end)
