# Lua's sources as lua_replay.h wants them: copies of those in which a line has to be
# another one.  A text that is not there, or twice, is an error: then it is another
# version of Lua, and somebody has to look.

function(lua_change name from to)
  set(copy "${PROJECT_BINARY_DIR}/lua/${name}")
  set(text "${lua_text_${name}}")
  if(text STREQUAL "")
    file(READ "${NEAP_LUA_SOURCE}/${name}" text)
  endif()
  string(FIND "${text}" "${from}" first)
  string(FIND "${text}" "${from}" last REVERSE)
  if(first EQUAL -1 OR NOT first EQUAL last)
    message(FATAL_ERROR "cmake/lua_replay.cmake: ${name} of ${NEAP_LUA_SOURCE} has not "
      "once: ${from}")
  endif()
  string(REPLACE "${from}" "${to}" text "${text}")
  set("lua_text_${name}" "${text}" PARENT_SCOPE)
endfunction()

# Functions of C as keys.
lua_change(ltable.c "lua_CFunction f = fvalue(key);\n      return hashpointer(t, f);"
  "size_t f = replay_address((const void *)(size_t)fvalue(key));\n      return hashpointer(t, f);")

# And light userdata, of which the registry has those that lie in the program.
lua_change(ltable.c "void *p = pvalue(key);\n      return hashpointer(t, p);"
  "size_t p = replay_address(pvalue(key));\n      return hashpointer(t, p);")

# tostring(print), and of a file, which is where its object is.
lua_change(liolib.c "lua_pushfstring(L, \"file (%p)\", p->f);"
  "lua_pushfstring(L, \"file (%p)\", (void *)p);")
lua_change(lapi.c "case LUA_VLCF: return cast_voidp(cast_sizet(fvalue(o)));"
  "case LUA_VLCF: return cast_voidp(replay_address(cast_voidp(cast_sizet(fvalue(o)))));")

# A cache by where strings of C lie says when a long one is made anew: with none of
# these in it, never or always.
lua_change(lstring.c "  /* normal route */\n"
  "  size_t l = strlen(str);\n  if (l > LUAI_MAXSHORTLEN)\n    return luaS_newlstr(L, str, l);\n")
lua_change(lstring.c "p[0] = luaS_newlstr(L, str, strlen(str));"
  "p[0] = internshrstr(L, str, l);")

# What lua_replay.h defines.
lua_change(lstate.c "#if !defined(luai_makeseed)" "#if !defined(luai_makeseed)")
lua_change(ltablib.c "#if !defined(l_randomizePivot)" "#if !defined(l_randomizePivot)")

foreach(name lapi.c liolib.c lstring.c ltable.c)
  file(CONFIGURE OUTPUT "${PROJECT_BINARY_DIR}/lua/${name}" CONTENT "${lua_text_${name}}"
    @ONLY)
  list(FILTER lua_sources EXCLUDE REGEX "/${name}$")
  list(APPEND lua_sources "${PROJECT_BINARY_DIR}/lua/${name}")
endforeach()
