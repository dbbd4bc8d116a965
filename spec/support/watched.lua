--- A helper of busted: a call of the standard library's functions by neap's own
--- code, which has copies of them, fails.

local error, find, getinfo, pairs, type = error, string.find, debug.getinfo, pairs, type

for name, library in pairs {string = string, table = table, math = math, io = io, utf8 = utf8} do
  for key, f in pairs(library) do
    if type(f) == "function" then
      library[key] = function(...)
        local caller = getinfo(2, "S")
        if caller and find(caller.source, "^=neap%.") then
          error(("neap's own code calls the script's %s.%s"):format(name, key), 2)
        end
        return f(...)
      end
    end
  end
end
