/*
** Folders: what is in them, making and removing them.
*/

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "fs/call.h"
#include "fs/entries.h"
#include "fs/entry.h"
#include "fs/tree.h"
#include "guard/guard.h"

enum { RECURSIVE = 1, NOFOLLOW = 1 };


/*
** list(root, path, flags) : {name...}, {[name] = type} | nil, error
*/

static unsigned char type_in(int folder, const struct dirent *e) {
  struct stat st;
  if (e->d_type != DT_UNKNOWN ||
      fstatat(folder, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return e->d_type;
  return (unsigned char)IFTODT(st.st_mode);
}


/* Its type, its name, and a zero. */
static int note(call *c, int folder, const struct dirent *e) {
  size_t n = strlen(e->d_name) + 1;
  if (call_reserve(c, n + 1) < 0)
    return -ENOMEM;
  c->bytes[c->size++] = (char)type_in(folder, e);
  memcpy(c->bytes + c->size, e->d_name, n);
  c->size += n;
  return 0;
}


static int list(call *c) {
  int flags = (c->flags & NOFOLLOW) != 0 ? O_NOFOLLOW : 0;
  int fd = call_open(c, O_RDONLY | O_DIRECTORY | flags);
  if (fd < 0)
    return fd;
  DIR *d = entries_open(fd);
  if (d == NULL)
    return -errno;
  int status = 0;
  struct dirent *e;
  while (status == 0 && (e = entries_next(d)) != NULL)
    status = call_dropped(c) ? -ECANCELED : note(c, fd, e);
  if (status == 0)
    status = -errno;
  closedir(d);
  return status;
}


/* A list of the names, and a table with the type of each. */
static int push_list(lua_State *L, call *c) {
  int i = 0;
  lua_newtable(L);
  lua_newtable(L);
  for (size_t at = 0; at < c->size; at += strlen(c->bytes + at) + 1) {
    unsigned char type = (unsigned char)c->bytes[at++];
    lua_pushstring(L, c->bytes + at);
    lua_pushvalue(L, -1);
    lua_rawseti(L, -4, ++i);
    lua_pushstring(L, entry_type(DTTOIF(type)));
    lua_rawset(L, -3);
  }
  return 2;
}


static const call_kind listing = {CALL("list"), list, push_list, false};


static int l_list(lua_State *L) {
  lua_Integer flags = luaL_checkinteger(L, 3);
  call *c = call_new(L, &listing, 2);
  c->flags = (int)flags;
  return call_run(L, c);
}


/*
** mkdir(root, path, flags, mode) : true | nil, error
*/

static int make_one(call *c, const char *path, mode_t mode) {
  char name[NAME_MAX + 1];
  int folder = place_parent(&c->root->place, path, name);
  if (folder < 0)
    return folder;
  int status = mkdirat(folder, name, mode) < 0 ? -errno : 0;
  close(folder);
  return status;
}


/* Is it a folder, or a link to one? */
static int check_folder(call *c) {
  int fd = call_open(c, O_PATH | O_DIRECTORY);
  if (fd >= 0)
    close(fd);
  return fd < 0 ? fd : 0;
}


/* Those above it, which may be there. */
static int make_parents(call *c) {
  int status = 0;
  for (char *p = c->path; status == 0 && (p = strchr(p, '/')) != NULL; p++) {
    *p = '\0';
    status = make_one(c, c->path, 0777);
    *p = '/';
    if (status == -EEXIST || p == c->path || status == -EINVAL ||
        guard_words(status) != NULL) /* or what is beneath is refused, too */
      status = 0;
  }
  return status;
}


static int make(call *c) {
  bool parents = (c->flags & RECURSIVE) != 0;
  for (size_t n = strlen(c->path); n > 1 && c->path[n - 1] == '/';)
    c->path[--n] = '\0';
  int status = parents ? make_parents(c) : 0;
  if (status == 0)
    status = make_one(c, c->path, (mode_t)c->mode);
  return status == -EEXIST && parents ? check_folder(c) : status;
}


static const call_kind making = {CALL("mkdir"), make, call_push_true, true};


static int l_mkdir(lua_State *L) {
  lua_Integer flags = luaL_checkinteger(L, 3);
  lua_Integer mode = luaL_checkinteger(L, 4);
  call *c = call_new(L, &making, 2);
  c->flags = (int)flags;
  c->mode = (int)mode;
  return call_run(L, c);
}


/*
** remove(root, path, flags) : true | nil, error
*/

static int remove_path(call *c) {
  char name[NAME_MAX + 1];
  int folder = call_parent(c, name);
  if (folder < 0)
    return folder;
  int status = tree_remove(c, folder, name, (c->flags & RECURSIVE) != 0);
  close(folder);
  return status;
}


static const call_kind removing = {CALL("remove"), remove_path, call_push_true,
                                   true};


static int l_remove(lua_State *L) {
  lua_Integer flags = luaL_checkinteger(L, 3);
  call *c = call_new(L, &removing, 2);
  c->flags = (int)flags;
  return call_run(L, c);
}


const luaL_Reg folder_functions[] = {
    {"list", l_list}, {"mkdir", l_mkdir}, {"remove", l_remove}, {NULL, NULL}};
