--- All that a stream gives, within a bound.

local concat = table.concat

---@async
---@param stream neap.Stream
---@param max integer
---@return string? bytes
---@return neap.Error? err  of the stream; nil: it gives more than `max` bytes
return function(stream, max)
  local parts, size = {}, 0
  while true do
    local chunk, err = stream:recv()
    if err then
      return nil, err
    elseif not chunk then
      return concat(parts)
    end
    size = size + #chunk
    if size > max then
      return nil
    end
    parts[#parts + 1] = chunk
  end
end
