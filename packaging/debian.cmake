# Run by cpack on the files of a package, before they are packed: what Debian's policy
# asks of them besides.

if(NOT CPACK_GENERATOR STREQUAL "DEB")
  return()
endif()
set(root "${CPACK_TEMPORARY_INSTALL_DIRECTORY}${CPACK_PACKAGING_INSTALL_PREFIX}")
set(doc "${root}/share/doc/neap")

file(COPY_FILE "${CPACK_NEAP_COPYRIGHT}" "${doc}/copyright")
file(REMOVE "${doc}/LICENSE") # copyright has it
file(RENAME "${doc}/CHANGELOG.md" "${doc}/changelog")

string(TIMESTAMP now "%a, %d %b %Y %H:%M:%S +0000" UTC) # or SOURCE_DATE_EPOCH
file(WRITE "${doc}/changelog.Debian"
  "neap (${CPACK_PACKAGE_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE}) unstable; urgency=medium\n\n"
  "  * See changelog.\n\n"
  " -- ${CPACK_PACKAGE_CONTACT}  ${now}\n")

execute_process(COMMAND gzip -9n "${root}/share/man/man1/neap.1" "${doc}/changelog"
  "${doc}/changelog.Debian" COMMAND_ERROR_IS_FATAL ANY)

# Debian has zlib as a shared library, too; loading it at each start would take longer
# than most scripts.  So lintian is told.
file(WRITE "${root}/share/lintian/overrides/neap"
  "# linked from zlib1g-dev, as the rest of what a start needs\n"
  "neap: embedded-library *zlib*\n")

# zsh's own site-functions are for the administrator.
file(MAKE_DIRECTORY "${root}/share/zsh")
file(RENAME "${root}/share/zsh/site-functions" "${root}/share/zsh/vendor-completions")

# Nothing in it is for its group to write, whatever umask the build had.
execute_process(COMMAND chmod -R u+rwX,go+rX,go-w "${CPACK_TEMPORARY_INSTALL_DIRECTORY}"
  COMMAND_ERROR_IS_FATAL ANY)
