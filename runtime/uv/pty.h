/*
** A terminal of our own making, for a child.
*/

#ifndef UV_PTY_H
#define UV_PTY_H

/* ends[0] is ours, ends[1] the child's, which asks for what is typed there as any
 * terminal does.  0 or -errno. */
int pty_open(int ends[2], unsigned short rows, unsigned short columns);

#endif
