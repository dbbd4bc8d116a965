--- What is drawn from bytes: a function that takes n of them, with zeros for those that
--- are not there, and one that tells whether all are taken.
---@param bytes string
---@return fun(n: integer): string
---@return fun(): boolean
return function(bytes)
  local at = 1
  return function(n)
    local part = bytes:sub(at, at + n - 1)
    at = at + n
    return part .. ("\0"):rep(n - #part)
  end, function()
    return at > #bytes
  end
end
