rockspec_format = "3.0"
package = "neap"
version = "0.1.0-1"
source = {
   url = "neap-0.1.0.tar.gz", -- what scripts/package makes
}
description = {
   summary = "Lua-scriptable socket runtime",
   detailed = [[
neap runs network programs that are written in Lua. Sockets are Lua objects whose methods look
blocking, and suspend only the task that calls them. Building it needs what
scripts/apt-packages.txt names.]],
   license = "MIT",
}
supported_platforms = {"linux"}
dependencies = {
   "lua == 5.4",
}
build = {
   type = "command",
   build_command = "cmake --preset release -DCMAKE_COMPILE_WARNING_AS_ERROR=OFF"
      .. " && cmake --build --preset release",
   install_command = "cmake --install build --prefix $(PREFIX)",
}
