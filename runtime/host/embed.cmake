# Write OUTPUT, a C file that holds the Lua modules FILES (relative to ROOT) as
# the table which embedded.h declares.

set(arrays "")
set(rows "")
set(count 0)
foreach(file IN LISTS FILES)
  string(REGEX REPLACE "(/init)?\\.lua$" "" name "${file}")
  string(REPLACE "/" "." name "${name}")
  file(SIZE "${ROOT}/${file}" size)
  file(READ "${ROOT}/${file}" text HEX)
  string(REGEX REPLACE "(..)" "0x\\1," text "${text}")
  string(REPEAT "[^,]*," 16 line)
  string(REGEX REPLACE "(${line})" "\\1\n" text "${text}")
  # A zero at the end: C has no empty array.
  string(APPEND arrays
    "static const unsigned char text${count}[] = {\n${text}0};\n\n")
  string(APPEND rows "  {\"${name}\", text${count}, ${size}},\n")
  math(EXPR count "${count} + 1")
endforeach()

file(WRITE "${OUTPUT}" "/* Made by runtime/host/embed.cmake: do not edit. */

#include \"host/embedded.h\"

#include <stddef.h>

${arrays}const struct embedded_module embedded_modules[] = {
${rows}  {NULL, NULL, 0},
};
")
