--- Media types by the ending of a name.

local lower, match = string.lower, string.match

local types = {}

--- Texts are UTF-8.
local function text(type)
  return type .. "; charset=utf-8"
end

local binary = "application/octet-stream"

local by_ending = {
  -- texts
  html = text "text/html", htm = text "text/html", css = text "text/css", js = text "text/javascript",
  mjs = text "text/javascript", txt = text "text/plain", log = text "text/plain", conf = text "text/plain",
  md = text "text/markdown", csv = text "text/csv", tsv = text "text/tab-separated-values",
  ics = text "text/calendar", vcf = text "text/vcard", vtt = text "text/vtt", lua = text "text/x-lua",
  c = text "text/x-c", h = text "text/x-c", sh = text "text/x-shellscript", py = text "text/x-python",
  diff = text "text/x-diff", patch = text "text/x-diff", yaml = text "application/yaml",
  yml = text "application/yaml", toml = text "application/toml", xml = text "application/xml",
  xhtml = text "application/xhtml+xml", atom = text "application/atom+xml", rss = text "application/rss+xml",
  -- JSON is UTF-8 by itself
  json = "application/json", map = "application/json", jsonld = "application/ld+json",
  geojson = "application/geo+json", webmanifest = "application/manifest+json", ndjson = "application/x-ndjson",
  -- pictures
  svg = "image/svg+xml", png = "image/png", jpg = "image/jpeg", jpeg = "image/jpeg", gif = "image/gif",
  webp = "image/webp", avif = "image/avif", bmp = "image/bmp", ico = "image/x-icon", tif = "image/tiff",
  tiff = "image/tiff",
  -- sounds and films
  mp3 = "audio/mpeg", m4a = "audio/mp4", ogg = "audio/ogg", oga = "audio/ogg", opus = "audio/ogg",
  flac = "audio/flac", wav = "audio/wav", mp4 = "video/mp4", m4v = "video/mp4", webm = "video/webm",
  ogv = "video/ogg", mov = "video/quicktime", mkv = "video/x-matroska", mpeg = "video/mpeg",
  m3u8 = "application/vnd.apple.mpegurl", ts = "video/mp2t",
  -- fonts
  woff = "font/woff", woff2 = "font/woff2", ttf = "font/ttf", otf = "font/otf",
  -- the rest
  wasm = "application/wasm", pdf = "application/pdf", rtf = "application/rtf", epub = "application/epub+zip",
  zip = "application/zip", gz = "application/gzip", tgz = "application/gzip", tar = "application/x-tar",
  xz = "application/x-xz", zst = "application/zstd", bz2 = "application/x-bzip2",
  ["7z"] = "application/x-7z-compressed",
  pcap = "application/vnd.tcpdump.pcap", docx =
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
  xlsx = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
  pptx = "application/vnd.openxmlformats-officedocument.presentationml.presentation",
  odt = "application/vnd.oasis.opendocument.text", ods = "application/vnd.oasis.opendocument.spreadsheet",
}

--- The type of a name; `more` are endings, in lower case, that go before ours.
function types.of(name, more)
  local ending = match(name, "%.([^./]+)$")
  ending = ending and lower(ending)
  return ending and (more and more[ending] or by_ending[ending]) or binary
end

return types
