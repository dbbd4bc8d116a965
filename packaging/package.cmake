# What cpack makes of an installation: a .deb, or a tarball of its files.

set(CPACK_PACKAGE_NAME neap)
set(CPACK_PACKAGE_VENDOR "the neap authors")
set(CPACK_PACKAGE_CONTACT "The neap authors <neap@example.org>" CACHE STRING
  "who maintains the package")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "Lua-scriptable socket runtime")
set(CPACK_PACKAGE_DESCRIPTION "neap runs network programs that are written in Lua.
Sockets are Lua objects whose methods look blocking, and suspend only the task
that calls them. TCP, UDP, unix sockets, TLS, HTTP, WebSocket, files, child
processes, JSON and a prompt for what runs are built in.")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_GENERATOR DEB)
set(CPACK_VERBATIM_VARIABLES ON)

set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_SECTION interpreters)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
# OpenSSL is loaded when it is first needed, so that nothing else names it.
if(NEAP_OPENSSL STREQUAL "dlopen")
  set(CPACK_DEBIAN_PACKAGE_DEPENDS "libssl3 | libssl3t64")
endif()
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "ca-certificates, netbase")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "lua-busted, tshark")
set(CPACK_PRE_BUILD_SCRIPTS "${CMAKE_CURRENT_LIST_DIR}/debian.cmake")
set(CPACK_NEAP_COPYRIGHT "${CMAKE_CURRENT_LIST_DIR}/copyright")
include(CPack)
