--- The keys of a table, in order.
---@param t table<string, any>
---@return string[]
return function(t)
  local keys = {}
  for key in pairs(t) do
    keys[#keys + 1] = key
  end
  table.sort(keys)
  return keys
end
