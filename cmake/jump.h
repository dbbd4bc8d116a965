/*
** How Lua throws, for the build that scripts/optimise makes: by the compiler's
** own jumps, which save a frame's three words and nothing else.  A yield from a
** C function is such a throw, so each wait has one.
*/

#define luai_jmpbuf struct jump
#define LUAI_THROW(L, c) __builtin_longjmp((c)->b.words, 1)
#define LUAI_TRY(L, c, a) \
  if (__builtin_setjmp((c)->b.words) == 0) { \
    a \
  }

struct jump {
  void *words[5];
};
