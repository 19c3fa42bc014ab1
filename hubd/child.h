/* A process that was started as a role, from main() to its entry function. */
#ifndef HUBD_CHILD_H
#define HUBD_CHILD_H

#include <stdbool.h>

/* By argv[0], which is also its title: "hubd: worker 3". */
bool child_is_role(int argc, char **argv);
/* Finds out what it is, maps, runs the entry function, and exits. */
void child_run(char **argv) __attribute__((noreturn));

#endif
