/*
** The Lua modules that neap carries inside itself, every file of lua/neap,
** compiled and as they were written: the prompt reads their annotations, and
** those of neap.meta.*, which are no modules.  The table is written when neap is
** built (cmake/embed.c).
*/

#ifndef HOST_EMBEDDED_H
#define HOST_EMBEDDED_H

#include <stddef.h>


struct embedded_module {
  const char *name;          /* as `require` takes it: "neap.test" */
  const unsigned char *code; /* as lua_dump leaves it */
  size_t code_size;
  const unsigned char *text;
  size_t size; /* of the text */
};

/* Ends with an entry whose name is NULL. */
extern const struct embedded_module embedded_modules[];


#endif
