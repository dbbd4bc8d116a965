/*
** The Lua modules that neap carries inside itself, every file of lua/neap; its
** annotations (neap.meta.*) too, which the prompt reads.  The table is written
** when neap is built.
*/

#ifndef HOST_EMBEDDED_H
#define HOST_EMBEDDED_H

#include <stddef.h>


struct embedded_module {
  const char *name;          /* as `require` takes it: "neap.test" */
  const unsigned char *text; /* Lua source, followed by a zero */
  size_t size;               /* bytes of text, without that zero */
};

/* Ends with an entry whose name is NULL. */
extern const struct embedded_module embedded_modules[];


#endif
