-- What makes a fault harder to use stays in what is built: docs/ARCHITECTURE.md.

local process = require "neap.process"
local child = require "spec.support.child"

local function readelf(...)
  local told = assert(process.run {"env", "LC_ALL=C", "readelf", "--wide", child.neap, ...})
  assert.equal(0, told.code)
  return told.stdout
end

describe("the executable", function()
  local headers, entries = readelf "--program-headers", readelf "--dynamic"

  it("lies anywhere in memory", function()
    assert.matches("Elf file type is DYN", headers)
    assert.matches("FLAGS_1%)[^\n]*PIE", entries)
  end)

  it("has what is relocated at its start read-only from then on", function()
    assert.matches("GNU_RELRO", headers)
  end)

  it("has no memory that is written and run", function()
    assert.matches("GNU_STACK%s+%S+ %S+ %S+ %S+ %S+ RW%s", headers)
    assert.is_nil(headers:match "LOAD[^\n]*RWE", headers)
    assert.is_nil(entries:match "TEXTREL")
  end)

  it("looks for libraries in no folder of its own", function()
    assert.is_nil(entries:match "RPATH" or entries:match "RUNPATH")
  end)

  it("checks its stack, and the sizes that the compiler knows", function()
    if child.sanitized then
      pending "a build for sanitizers, which do so"
    end
    local symbols = readelf "--dyn-syms"
    assert.matches(" UND __stack_chk_fail@", symbols)
    assert.matches(" UND __[a-z]+_chk@", (symbols:gsub("__stack_chk_fail", "")))
  end)

  it("is compiled with all of it, as its debug information tells, if it has that", function()
    local file <close> = assert(io.open(child.neap, "rb"))
    if child.sanitized or not readelf "--section-headers":find " .debug_str " then
      pending "a build for sanitizers, or stripped"
    end
    local text = file:read "a"
    for _, flag in ipairs {"-fstack-protector-strong", "-fstack-clash-protection"} do
      assert.truthy(text:find(flag, 1, true), flag)
    end
  end)
end)
