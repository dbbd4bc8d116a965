-- The same dialogue at the terminals that people have, and what each then shows.

local screen = require "spec.support.screen"

--- What their keys send, where that is not the same.
local TERMINALS = {
  linux = {home = "\27[1~", last = "\27[4~", f1 = "\27[[A", word = "\27b"},
  xterm = {home = "\27[H", last = "\27[F", f1 = "\27OP", word = "\27[1;5D"},
  ["xterm-256color"] = {home = "\27OH", last = "\27OF", f1 = "\27[11~", word = "\27[1;3D"},
  rxvt = {home = "\27[7~", last = "\27[8~", f1 = "\27[11~", word = "\27Od"},
  tmux = {home = "\27[1~", last = "\27[4~", f1 = "\27OP", word = "\27[1;5D"},
}

--- A text of 13 columns as it stands behind the prompt.
local SIZES = {
  {7, 4, "neap> '\n漢字a漢\n字bc'"},
  {200, 5, "neap> '漢字a漢字bc'"},
  {20, 6, "neap> '漢字a漢字bc'"},
  {12, 24, "neap> '漢字a\n漢字bc'"},
  {60, 20, "neap> '漢字a漢字bc'"},
}

local function dialogue(s, keys)
  s:expect "neap>"
  s:bytes("one two" .. keys.word .. "X" .. keys.home .. "Y" .. keys.f1 .. keys.last .. "Z")
  s:expect "neap> Yone XtwoZ"
  s:press "C-u"
  s:enter "'漢字é'"
  s:expect "neap> '漢字é'\n\"漢字é\"\nneap>"
  s:enter "for i = 1, 2 do"
  s:expect "\nneap> for i = 1, 2 do\n  ..>"
  s:enter "print('é' .. i)"
  s:enter "end"
  s:expect "  ..>   print('é' .. i)\n  ..> end\né1\né2\nneap>"
  s:type "task.timeo"
  s:press "Tab"
  s:find "\nneap> task.timeout"
  s:press "C-u"
  s:press("Up", "Up")
  s:expect "neap> '漢字é'"
  s:press "C-u"
  s:enter "task.sleep(1000)"
  s:expect "\n(running for 0 s, waits for sleep; ^C ends it)"
  s:press "C-c"
  s:expect "\nneap> task.sleep(1000)\n^C\ncancelled\nneap>"
  s:type "'漢字a漢字bc'"
  for _, size in ipairs(SIZES) do
    s:resize(size[1], size[2])
    s:expect(size[3])
  end
  s:press "Enter"
  s:expect "neap> '漢字a漢字bc'\n\"漢字a漢字bc\"\nneap>"
  s:press "C-d"
  s:expect "neap>\n(ended with 0)"
  return s:all()
end

describe("a terminal", function()
  for _, locale in ipairs {"C", "C.UTF-8"} do
    for term, keys in pairs(TERMINALS) do
      it(("shows what is typed and printed: TERM=%s, %s"):format(term, locale), function()
        if not screen.is_there() then
          pending "tmux is not installed"
        end
        local env = {TERM = term, LC_ALL = locale, LANG = locale, NO_COLOR = ""}
        local s <close> = screen.open(nil, {env = env, columns = 60, rows = 20})
        local all = dialogue(s, keys)
        local _, prompts = all:gsub("neap>", "")
        assert.equal(5, prompts, all) -- no copies
      end)
    end
  end
end)
