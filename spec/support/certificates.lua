--- Certificates by the openssl command, for the specs: in a folder of their own, one
--- authority and what it signs. All have the same key, so each takes one command.

local process = require "neap.process"

local certificates = {}

local config = [[
[req]
distinguished_name = none
[none]
[ca]
default_ca = ours
[ours]
dir = %s
database = $dir/index
serial = $dir/serial
new_certs_dir = $dir
certificate = $dir/ca.pem
private_key = $dir/key.pem
default_md = sha256
default_crl_days = 30
policy = any
copy_extensions = copy
unique_subject = no
[any]
commonName = supplied
]]

local function write(path, text)
  local file <close> = assert(io.open(path, "wb"))
  assert(file:write(text))
end

--- The text of a file.
---@param path string
---@return string
function certificates.read(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read "a"
end

--- Is the command there?
---@return boolean
function certificates.possible()
  return process.run({"sh", "-c", "command -v openssl"}).code == 0
end

local folder

--- Run openssl in the folder.
---@param ... string
function certificates.openssl(...)
  local arguments = {"openssl", ...}
  arguments.cwd = folder
  local result = assert(process.run(arguments))
  assert(result.code == 0, table.concat(arguments, " ") .. "\n" .. result.stderr)
  return result.stdout
end

--- Begin: the folder, a key, and the authority ca.pem.
---@param path string
function certificates.begin(path)
  folder = path
  write(path .. "/config", config:format(path))
  write(path .. "/index", "")
  write(path .. "/serial", "01")
  certificates.openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "key.pem")
  certificates.authority "ca"
end

--- Another authority, of the same key or another one.
---@param name string
---@param key string?
---@param subject string?  default "ca"
function certificates.authority(name, key, subject)
  certificates.openssl("req", "-x509", "-config", "config", "-key", key or "key.pem",
    "-subj", "/CN=" .. (subject or "ca"), "-days", "30", "-addext", "basicConstraints=critical,CA:TRUE",
    "-addext", "keyUsage=critical,keyCertSign,cRLSign", "-out", name .. ".pem")
end

--- A certificate NAME.pem, signed by the authority.
---@class spec.Certificate
---@field name string
---@field subject string?  its common name
---@field san string?  subjectAltName
---@field extensions string[]?
---@field by string?  the authority, "ca"; false: itself
---@field key string?  its key's file
---@field by_key string?  the authority's
---@field digest string?
---@field from string?  YYYYMMDDHHMMSSZ
---@field to string?
---@param about spec.Certificate
---@return string path
function certificates.make(about)
  local name, key = about.name, about.key or "key.pem"
  local request = {"req", "-config", "config", "-new", "-key", key, "-subj",
    "/CN=" .. (about.subject or name), "-" .. (about.digest or "sha256")}
  if about.san then
    table.move({"-addext", "subjectAltName=" .. about.san}, 1, 2, #request + 1, request)
  end
  for _, extension in ipairs(about.extensions or {}) do
    table.move({"-addext", extension}, 1, 2, #request + 1, request)
  end
  if about.from then
    table.move({"-out", name .. ".csr"}, 1, 2, #request + 1, request)
    certificates.openssl(table.unpack(request))
    certificates.openssl("ca", "-config", "config", "-batch", "-in", name .. ".csr", "-out",
      name .. ".pem", "-notext", "-startdate", about.from, "-enddate", about.to)
    return folder .. "/" .. name .. ".pem"
  end
  table.move({"-x509", "-days", "30", "-out", name .. ".pem"}, 1, 5, #request + 1, request)
  if about.by ~= false then
    table.move({"-CA", (about.by or "ca") .. ".pem", "-CAkey", about.by_key or "key.pem"}, 1, 4,
      #request + 1, request)
  end
  certificates.openssl(table.unpack(request))
  return folder .. "/" .. name .. ".pem"
end

return certificates
