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

/* Give it to put in pieces, what is not fine as escapes: "\x1b", "\u{202e}". */
void harmless_put(const char *text, size_t n, int besides,
                  void (*put)(void *to, const char *piece, size_t n), void *to);

void harmless_print(FILE *f, const char *text, size_t n, int besides);

/* The same of a C string with its newlines and tabs; of NULL nothing. */
void harmless_text(FILE *f, const char *text);

/* harmless(text, colours?) : text, its newlines and tabs as they are */
int harmless_lua(lua_State *L);

#endif
