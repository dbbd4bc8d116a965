/*
** What `neap --help` prints.
*/

#ifndef CLI_USAGE_H
#define CLI_USAGE_H

extern const char command_usage[];

#endif
