/*
** Text that came from outside, made such that it cannot harm the terminal of
** the person who reads it.
**
** A peer makes names, error texts and messages.  What would move the cursor,
** talk to the terminal, hide, or turn the direction of the text is written as an
** escape: controls of C0, DEL and C1 (also as UTF-8), bidi and invisible
** characters, and each byte that is no UTF-8.
*/

#ifndef HOST_HARMLESS_H
#define HOST_HARMLESS_H

#include <lua.h>
#include <stddef.h>
#include <stdio.h>

/* What may be in the text besides. */
enum {
  HARMLESS_LINE = 0,        /* nothing: it is part of a line */
  HARMLESS_LINES = 1 << 0,  /* newlines and tabs */
  HARMLESS_COLOURS = 1 << 1 /* ESC [ numbers m: what sets colours */
};

/* How many bytes at its beginning are fine as they are. */
size_t harmless_run(const char *text, size_t n, int besides);

/* Write an escape, with a zero behind it, for what the text, of at least a byte,
 * begins with, and is not fine: "\x1b", "\u{202e}".  Returns how many bytes of the
 * text it stands for. */
enum { HARMLESS_ESCAPE = 12 };
size_t harmless_escape(const char *text, size_t n, char out[HARMLESS_ESCAPE]);

void harmless_print(FILE *f, const char *text, size_t n, int besides);

/* The same of a C string with its newlines and tabs; of NULL nothing. */
void harmless_text(FILE *f, const char *text);

/* harmless(text, colours?) : text, its newlines and tabs as they are */
int harmless_lua(lua_State *L);

#endif
