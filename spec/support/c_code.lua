--- C with its comments blank and its texts empty, line for line.
local function code(text)
  local out = {}
  local i = 1
  while i <= #text do
    local two, one = text:sub(i, i + 1), text:sub(i, i)
    local stop
    if two == "/*" then
      stop = select(2, text:find("*/", i + 2, true)) or #text
      out[#out + 1] = text:sub(i, stop):gsub("[^\n]", "")
    elseif two == "//" then
      stop = (text:find("\n", i, true) or #text + 1) - 1
    elseif one == '"' or one == "'" then
      stop = i + 1
      while stop < #text and text:sub(stop, stop) ~= one do
        stop = stop + (text:sub(stop, stop) == "\\" and 2 or 1)
      end
      out[#out + 1] = one .. one
    else
      stop = (text:find("[/\"']", i + 1) or #text + 1) - 1
      out[#out + 1] = text:sub(i, stop)
    end
    i = stop + 1
  end
  return table.concat(out)
end

return code
