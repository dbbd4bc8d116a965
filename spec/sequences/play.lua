--- Some sequences at once, as the random numbers of the host have it.

local streams = require "sequences.streams"
local task = require "neap.task"
local tasks = require "sequences.tasks"

local random = math.random

local play = {}

local KINDS = {streams.play, streams.play, streams.play, tasks.channel, tasks.locks, tasks.scopes, tasks.messages}

--- What is made once, and stays.
play.warm = streams.contexts

function play.one()
  task.scope(function(scope)
    for _ = 1, random(4) do
      scope:spawn(KINDS[random(#KINDS)])
    end
  end)
end

--- What there is more of than before, in words.
function play.more(before, now)
  local left = {}
  for kind, count in pairs(now) do
    if math.type(count) == "integer" and count > (before[kind] or 0) then
      left[#left + 1] = ("%s +%d"):format(kind, count - (before[kind] or 0))
    end
  end
  table.sort(left)
  return #left > 0 and "left behind: " .. table.concat(left, ", ") or nil
end

return play
