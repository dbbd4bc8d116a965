-- docs/reference/limits.md: each limit is kept by a test that there is.

local lfs = require "lfs"

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end

local function cells(line)
  local found = {}
  for cell in line:gmatch " ([^|]-) *|" do
    found[#found + 1] = cell
  end
  return found
end

describe("a limit in the reference", function()
  local rows = {}
  for line in read "docs/reference/limits.md":gmatch "[^\n]+" do
    if line:find "^| " and not line:find "^| %-%-%-" and not line:find "^| what |" then
      rows[#rows + 1] = cells(line)
    end
  end

  it("has its answer, and a spec with a test of it", function()
    assert.is_true(#rows > 70)
    for _, row in ipairs(rows) do
      local what, most, _, answer, by = table.unpack(row)
      assert.equal(5, #row, what)
      assert(most ~= "" and answer ~= "", what)
      local spec, test = by:match "^`([%w_]+_spec)`: (.+)$"
      assert(spec, what .. ": no spec and test: " .. by)
      local path = "spec/" .. spec .. ".lua"
      assert(lfs.attributes(path), what .. ": there is no " .. path)
      assert(read(path):find(test, 1, true), what .. ": there is no '" .. test .. "' in " .. path)
    end
  end)

  it("is there once", function()
    local seen = {}
    for _, row in ipairs(rows) do
      assert.is_nil(seen[row[1]], row[1])
      seen[row[1]] = true
    end
  end)
end)
