--- Methods in Lua that may cost no more: of a self that cannot be indexed, and is not nil,
--- they tell at a line of their own.
return {
  ["Channel:send"] = true, ["Channel:recv"] = true, ["Channel:receiving"] = true, ["Channel:sending"] = true,
  ["Event:wait"] = true, ["Event:waiting"] = true, ["Future:set"] = true, ["Future:wait"] = true,
  ["Future:waiting"] = true, ["Counter:inc"] = true, ["Histogram:observe"] = true,
  ["Counter:labels"] = true, ["Gauge:labels"] = true, ["Histogram:labels"] = true,
}
