--- Random numbers that are the same in every run: a function whose draw(n) is one from 0
--- to n - 1 (xorshift, by Marsaglia).
---@param seed integer  not 0
---@return fun(n: integer): integer
return function(seed)
  local state = seed
  return function(n)
    state = state ~ (state << 13)
    state = state ~ (state >> 7)
    state = state ~ (state << 17)
    return (state >> 1) % n
  end
end
