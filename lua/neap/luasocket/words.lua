--- What LuaSocket calls the failures of the world: its scripts compare these texts.

local find, sub, upper = string.find, string.sub, string.upper

local texts = {
  -- the peer, or somebody here, has ended it
  ECONNRESET = "closed", ECONNABORTED = "closed", EPIPE = "closed", EBADF = "closed",
  ECANCELED = "closed", ENODATA = "closed",
  ETIMEDOUT = "timeout",
  EADDRINUSE = "address already in use",
  EISCONN = "already connected",
  EACCES = "permission denied",
  ECONNREFUSED = "connection refused",
  EALREADY = "Operation already in progress",
  EAI_NONAME = "host or service not provided, or not known",
  EAI_NODATA = "host or service not provided, or not known",
  EAI_SERVICE = "service not supported for socket type",
  EAI_AGAIN = "temporary failure in name resolution",
  EAI_FAIL = "non-recoverable failure in name resolution",
  EAI_FAMILY = "ai_family not supported",
  ENAMETOOLONG = "path too long",
  -- of TLS, in LuaSec's words
  ETLSVERIFY = "certificate verify failed", ETLSCUT = "unexpected eof while reading",
}

local words = {unknown_host = texts.EAI_NONAME, bad_descriptor = "Bad file descriptor"}

--- The text for an error object; of codes that LuaSocket has no words for, strerror's.
---@param err neap.Error?  nil: the end of a stream
---@return string text
function words.of(err)
  if not err then
    return "closed"
  end
  local text = texts[err.code]
  if not text then
    text = err.message
    local at = find(text, "%a")
    text = at == 1 and upper(sub(text, 1, 1)) .. sub(text, 2) or text
  end
  return text
end

return words
