--- What gcov tells on stdin, a JSON document a line (gcov --json-format --stdout), as a
--- text: each run of lines of runtime/ that never ran, a share a file, and that of all.

local json = require "neap.json"
local sorted = require "keys"
local stdio = require "neap.stdio"

local counts = {} ---@type table<string, table<integer, integer>>
for text in string.gmatch(stdio.stdin:read "a", "[^\n]+") do
  for _, file in ipairs(json.decode(text).files) do
    local path = file.file:match "runtime/.*"
    if path then
      local lines = counts[path] or {}
      counts[path] = lines
      for _, line in ipairs(file.lines) do
        lines[line.line_number] = (lines[line.line_number] or 0) + line.count
      end
    end
  end
end

local shares = {}
local all, ran = 0, 0
for _, path in ipairs(sorted(counts)) do
  local lines = sorted(counts[path])
  local missed, first = 0, nil
  for i, line in ipairs(lines) do
    if counts[path][line] == 0 then
      missed, first = missed + 1, first or line
      if (counts[path][lines[i + 1]] or 1) > 0 then
        print(("%s:%d%s"):format(path, first, first < line and "-" .. line or ""))
      end
    else
      first = nil
    end
  end
  if missed > 0 then
    shares[#shares + 1] = ("%6.2f %% of %4d  %s"):format(100 * (1 - missed / #lines), #lines, path)
  end
  all, ran = all + #lines, ran + #lines - missed
end
table.sort(shares)
print(table.concat(shares, "\n"))
print(("%6.2f %% of %d lines of %d files"):format(100 * ran / math.max(all, 1), all, #sorted(counts)))
