-- usage: neap sim scripts/sim/payments.lua --seeds 50
--        neap sim scripts/sim/payments.lua --seeds 50 mended
--
-- A bank, and a shop that asks it for payments by HTTP. When no answer comes, the shop asks
-- again: so what has been paid, and only its answer was lost, is paid again. Mended, each
-- payment has a key, and the bank answers a key that it knows as it did before.

local http = require "neap.http"
local sim = require "neap.sim"
local task = require "neap.task"

local mended = ... == "mended"

sim.host("bank", function()
  local net = require "neap.net"
  local serve = require "neap.http".serve
  local sleep, spawn = require "neap.task".sleep, require "neap.task".spawn

  local paid, answers = 0, {}

  local function pay(amount)
    sleep(math.random() * 0.1) -- the bank's own work
    paid = paid + amount
    return ("paid %d\n"):format(amount)
  end

  serve(assert(net.listen "tcp://*:80"), function(request)
    if request.method == "GET" then
      return tostring(paid)
    end
    local amount = math.tointeger(request:read "a")
    local key = request.headers["idempotency-key"]
    if not key then
      return pay(amount)
    end
    -- Who asks again while the first is under way waits for that one.
    if not answers[key] then
      answers[key] = spawn(pay, amount)
    end
    return answers[key]:join()
  end)
end)

-- One payment, asked for until it is answered.
local function pay(amount, key)
  repeat
    local answer = http.post("http://bank/", {
      body = tostring(amount), headers = {["idempotency-key"] = key}, timeout = 1,
    })
  until answer and answer.status == 200 and answer:read()
end

local ordered, retried = 0, false
sim.client("shop", function()
  for i = 1, 50 do
    local amount = sim.random(100)
    ordered = ordered + amount
    local began = sim.now()
    pay(amount, mended and "payment-" .. i or nil)
    retried = retried or sim.now() - began > 1
    task.sleep(0.5)
  end
end)

sim.chaos {kinds = {"partition", "pause", "clog"}}

sim.sometimes("the shop asks again", function()
  return retried
end)

sim.eventually("what was ordered is paid, once", 10, function()
  local answer = http.get("http://bank/", {timeout = 1})
  local paid = answer and math.tointeger(answer:read "a")
  return paid == ordered, ("paid %s of %d"):format(paid, ordered)
end)
