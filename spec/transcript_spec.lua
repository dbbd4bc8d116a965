-- The conversations with the prompt in the README and the guide are what it says.

local screen = require "spec.support.screen"

describe("a transcript", function()
  it("is what the prompt says (neap docs/transcript.lua writes it)", function()
    if not screen.is_there() then
      pending "tmux is not installed"
    end
    for _, page in ipairs(require "docs.transcript".pages()) do
      if not page.same then
        assert.equal(page.old, page.text)
      end
    end
  end)
end)
