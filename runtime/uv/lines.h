/*
** The lines of small files of the system's, as between two tasks.
*/

#ifndef UV_LINES_H
#define UV_LINES_H

#include <stdbool.h>

/* Call take(line, of) for each line of a file, until it returns true.  1 if it did; 0:
 * it did not, also where there is no such file, or it may not be read; -EFBIG for one
 * that is too long to be read here; -EMFILE and the like for a lack. */
int lines_each(const char *path, bool (*take)(char *line, void *of), void *of);

#endif
