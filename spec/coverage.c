/*
** What has run is written also by a process that ends by a signal, or at once: the
** linker has these called instead (--wrap, NEAP_COVERAGE).
*/

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

void __gcov_dump(void);
void __gcov_reset(void);

int __real_raise(int n);
int __wrap_raise(int n);
_Noreturn void __real__exit(int status);
_Noreturn void __wrap__exit(int status);
_Noreturn void __real_abort(void);
_Noreturn void __wrap_abort(void);
int __real_execvpe(const char *file, char *const *words, char *const *env);
int __wrap_execvpe(const char *file, char *const *words, char *const *env);


/* What is written is not counted again: the process may go on. */
static void note(void) {
  __gcov_dump();
  __gcov_reset();
}


int __wrap_raise(int n) {
  note();
  return __real_raise(n);
}


_Noreturn void __wrap__exit(int status) {
  note();
  __real__exit(status);
}


_Noreturn void __wrap_abort(void) {
  note();
  __real_abort();
}


int __wrap_execvpe(const char *file, char *const *words, char *const *env) {
  note();
  return __real_execvpe(file, words, env);
}
