/*
** What the kernel enforces of the rules, where it can: behind the checks of the other
** files, for code that would find a way around them.
**
** Landlock (5.13; TCP ports from 6.7 on, abstract sockets and signals from 6.12 on)
** knows files, ports and signals, and is coarser: of hosts it knows nothing.  seccomp
** refuses what a program under rules has no need of: other programs, namespaces,
** other processes' memory, sorts of sockets.  Both hold for all threads that come.
*/

#ifndef GUARD_KERNEL_H
#define GUARD_KERNEL_H

/* The process has one thread.  A kernel that cannot is no failure. */
void kernel_files_and_ports(void);
void kernel_calls(void);

#endif
