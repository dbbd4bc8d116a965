--- The transcripts of the README and the guide: what the prompt really says.
---
---     build/neap docs/transcript.lua            writes the blocks anew
---     build/neap docs/transcript.lua --check    exits with 1 when one differs
---
--- A block of the language `neap` is a conversation with the prompt. Its lines that
--- begin with a prompt are typed into one, in a terminal (tmux) of 80 columns; the
--- others are what it answers, and are written by this. `^C` at a line's beginning is
--- typed, too, while an input runs. Numbers may differ: there are ports, times and
--- serial numbers among them.

local screen = require "spec.support.screen"
local task = require "neap.task"

local transcript = {}

local PAGES = {"README.md", "docs/guide/repl.md"}

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end

--- What is typed in a block: lines, and "^C".
--- What is typed: the prompt indents by itself.
local function inputs(block)
  local list = {}
  for line in block:gmatch "[^\n]+" do
    local text = line:match "^neap> ?(.*)$" or line:match "^  %.%.> *(.*)$"
    if text then
      list[#list + 1] = text
    elseif line:find "^%^C" then
      list[#list + 1] = "^C"
    end
  end
  return list
end

--- Is a prompt waiting?
local function is_ready(text)
  return text:find "\nneap>$" ~= nil or text:find "\n  %.%.>$" ~= nil
end

local function wait(s)
  for _ = 1, 800 do
    if is_ready(s:text()) then
      return
    end
    task.sleep(0.01)
  end
  error("no prompt came back:\n" .. s:text())
end

--- Type what a block says, and return what the screen then shows.
local function converse(block)
  local s <close> = screen.open(nil, {rows = 200})
  wait(s)
  local list = inputs(block)
  for i, text in ipairs(list) do
    if text == "^C" then
      task.sleep(0.2)
      s:press "C-c"
      wait(s)
    else
      s:enter(text)
      if list[i + 1] ~= "^C" then
        task.sleep(0.02) -- the old prompt is gone
        wait(s)
      end
    end
  end
  local text = s:all():gsub("^[^\n]*\n", ""):gsub("%s*$", ""):gsub("\nneap>$", "")
  return text .. "\n"
end

--- The page with its transcripts made anew.
---@param text string
---@return string
function transcript.renew(text)
  local out, at = {}, 1
  for first, block, last in text:gmatch "\n```neap\n()(.-\n)()```\n" do
    out[#out + 1] = text:sub(at, first - 1)
    out[#out + 1] = converse(block)
    at = last
  end
  out[#out + 1] = text:sub(at)
  return table.concat(out)
end

local function masked(text)
  return (text:gsub("%d+", "0"):gsub(" +", " "))
end

--- The pages, and whether they are as they should be.
---@return {path: string, text: string, same: boolean}[]
function transcript.pages()
  local list = {}
  for i, path in ipairs(PAGES) do
    local old = read(path)
    local new = transcript.renew(old)
    list[i] = {path = path, text = new, old = old, same = masked(old) == masked(new)}
  end
  return list
end

local function main(option)
  local same = true
  for _, page in ipairs(transcript.pages()) do
    if option == "--check" then
      if not page.same then
        print(page.path .. " differs: neap docs/transcript.lua writes it anew")
        same = false
      end
    elseif not page.same then
      local file <close> = assert(io.open(page.path, "w"))
      assert(file:write(page.text))
    end
  end
  os.exit(same)
end

if ... ~= "docs.transcript" then -- which is its name for require
  main(...)
end

return transcript
