-- Specs of neap's own, in a simulated host: their sockets are simulated, and their time is
-- virtual. What they leave out needs the kernel, or another process.
--
--     neap spec/simulated/run.lua SEED SPEC...
--
-- Tasks run in their order, and what is written arrives whole, as on loopback, which many specs
-- rely on; how long it takes, and which ports there are, comes from the seed.

--- Parts of the names of tests that cannot be, and why.
local LEFT_OUT = {
  {"no other processes, no terminals, and nobody's stdin", {
    "a child's", "process%.run", "of a pipe", "to a pipe", "read of stdin", "feeds a child",
    "a peer that is killed", "when its program ends", "has no buffer once all", "the system calls of",
    "though what it puts is always taken", "with another program", "whatever the locale", "there is no memory for it",
    "of an unreachable host", "leaves and sends to groups",
  }},
  {"no descriptors, so none is passed, spliced or waited for", {
    "net%.wait", "splices what is bulk", "has the fields of what it is", "is described by its fields",
    "adopts a descriptor",
  }},
  {"no channels between workers", {
    "channels of workers", "at every wait from then on", "says goodbye by messages",
  }},
  {"no files to write", {"reads as an io file does", "as io files do", "has a file that is its own"}},
  {"no filters of packets", {"takes a filter"}},
  {"a connection takes its time, also to the host itself", {"finds a port that is open", "of zero finds a connection"}},
}

local words = {"--output=plainTerminal"}
for _, row in ipairs(LEFT_OUT) do
  for _, pattern in ipairs(row[2]) do
    words[#words + 1] = "--filter-out=" .. pattern
  end
end
table.move(arg, 1, #arg, #words + 1, words)
os.exit(require "neap.test".main(words))
