#include "apps/epserver/files.h"

#include "apps/epserver/mime.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Time stamps advance with the kernel's tick: a file younger than this may still change unseen. */
#define SETTLED_NS 50000000

static int beneath_open(int root_fd, const char *name, uint64_t flags)
{
    struct open_how how = {
        .flags = flags | O_CLOEXEC,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };
    long fd = syscall(SYS_openat2, root_fd, *name != '\0' ? name : ".", &how, sizeof(how));
    return fd < 0 ? -errno : (int)fd;
}

int files_root_open(const char *dir)
{
    int root_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (root_fd < 0)
        return -errno;
    int probe = beneath_open(root_fd, "", O_PATH);
    if (probe < 0) {
        close(root_fd);
        return probe;
    }
    close(probe);
    return root_fd;
}

/* ---- one file ---- */

static void file_free(struct file *f)
{
    if (f->fd >= 0)
        close(f->fd);
    free(f->content);
    free(f);
}

/* The errors of openat2 that a client can be told apart by. */
static int open_error(int rc)
{
    switch (rc) {
    case -ENOENT:
    case -ENOTDIR:
    case -ENAMETOOLONG:
        return -ENOENT;
    case -EMFILE:
    case -ENFILE:
    case -ENOMEM:
        return rc;
    default: /* EACCES, EPERM, ELOOP; EXDEV: leads outside */
        return -EACCES;
    }
}

static bool is_settled(const struct stat *st)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    int64_t age_s = now.tv_sec - st->st_mtim.tv_sec;
    return age_s > 1 || age_s * 1000000000 + now.tv_nsec - st->st_mtim.tv_nsec > SETTLED_NS;
}

/* Reads up to size bytes into *content, which the caller frees: how many, or -errno. */
static ssize_t content_read(const struct file *f, size_t size, char **content)
{
    size_t n = 0;

    *content = malloc(size + 1);
    if (*content == NULL)
        return -ENOMEM;
    while (n < size) {
        ssize_t got = pread(f->fd, *content + n, size - n, (off_t)n);
        if (got < 0)
            return -EIO;
        if (got == 0)
            break;
        n += (size_t)got;
    }
    return (ssize_t)n;
}

/* The descriptor is not needed any more. */
static void content_set(struct file *f, char *content)
{
    f->content = content;
    close(f->fd);
    f->fd = -1;
}

/* Takes a small file's content into memory. */
static int content_load(struct file *f)
{
    char *content;
    off_t size = f->st.st_size;
    ssize_t n = content_read(f, (size_t)size, &content);

    if (n < 0) {
        free(content);
        return (int)n;
    }
    content_set(f, content);
    f->st.st_size = n; /* less than it said: it is being truncated */
    f->is_settled = f->is_settled && n == size;
    return 0;
}

static int file_load(struct file *f)
{
    if (fstat(f->fd, &f->st) < 0)
        return -EIO;
    if (S_ISDIR(f->st.st_mode))
        return -EISDIR;
    if (!S_ISREG(f->st.st_mode))
        return -EACCES;
    f->is_settled = is_settled(&f->st);
    f->type = mime_type(f->name);
    httpdate_format(f->modified, f->st.st_mtime);
    return f->st.st_size <= FILE_SMALL_BYTES ? content_load(f) : 0;
}

static int file_open(int root_fd, const char *name, struct file **out)
{
    int fd = beneath_open(root_fd, name, O_RDONLY | O_NONBLOCK | O_NOCTTY);

    if (fd < 0)
        return open_error(fd);
    struct file *f = calloc(1, sizeof(*f) + strlen(name) + 1);
    if (f == NULL) {
        close(fd);
        return -ENOMEM;
    }
    f->fd = fd;
    memcpy(f->name, name, strlen(name) + 1);
    int rc = file_load(f);
    if (rc < 0)
        file_free(f);
    else
        *out = f;
    return rc;
}

ssize_t file_read(const struct file *f, char *buf, size_t len, uint64_t offset)
{
    ssize_t n = pread(f->fd, buf, len, (off_t)offset);

    return n < 0 ? -errno : n;
}

/* ---- the cache ---- */

void files_init(struct files *fs, int root_fd)
{
    memset(fs, 0, sizeof(*fs));
    fs->root_fd = root_fd;
}

static uint32_t name_hash(const char *name)
{
    uint32_t h = 2166136261U; /* FNV-1a */

    for (; *name != '\0'; name++)
        h = (h ^ (unsigned char)*name) * 16777619U;
    return h;
}

static struct file *cache_find(const struct files *fs, const char *name, uint32_t hash)
{
    struct file *f = fs->bucket[hash % FILES_BUCKETS];

    while (f != NULL && (f->hash != hash || strcmp(f->name, name) != 0))
        f = f->next;
    return f;
}

static void order_link(struct files *fs, struct file *f)
{
    f->newer = NULL;
    f->older = fs->newest;
    *(fs->newest != NULL ? &fs->newest->newer : &fs->oldest) = f;
    fs->newest = f;
}

static void order_unlink(struct files *fs, struct file *f)
{
    *(f->newer != NULL ? &f->newer->older : &fs->newest) = f->older;
    *(f->older != NULL ? &f->older->newer : &fs->oldest) = f->newer;
}

/* Takes it out of the cache; it lives on while it has users. */
static void cache_remove(struct files *fs, struct file *f)
{
    struct file **at = &fs->bucket[f->hash % FILES_BUCKETS];

    while (*at != f)
        at = &(*at)->next;
    *at = f->next;
    order_unlink(fs, f);
    fs->n_kept--;
    fs->n_large_bytes -= f->is_large ? (uint64_t)f->st.st_size : 0;
    f->is_cached = false;
    if (f->n_users == 0)
        file_free(f);
}

static void cache_add(struct files *fs, struct file *f, uint32_t hash)
{
    struct file **bucket = &fs->bucket[hash % FILES_BUCKETS];

    if (fs->n_kept >= FILES_KEPT_MAX)
        cache_remove(fs, fs->oldest);
    f->hash = hash;
    f->next = *bucket;
    *bucket = f;
    order_link(fs, f);
    fs->n_kept++;
    f->is_cached = true;
}

/* The oldest of those that count make room for one more. */
static void large_make_room(struct files *fs, const struct file *f)
{
    struct file *old = fs->oldest;

    while (old != NULL && fs->n_large_bytes + (uint64_t)f->st.st_size > FILES_LARGE_BYTES) {
        struct file *next = old->newer;
        if (old->is_large)
            cache_remove(fs, old);
        old = next;
    }
}

/* A file that is asked for again comes into memory, if it is not too large. What can't be had whole
 * goes on being read from the descriptor: there may be users, who were told its size. */
static void large_load(struct files *fs, struct file *f)
{
    char *content;

    if (f->content != NULL || !f->is_settled || (uint64_t)f->st.st_size > FILE_LARGE_BYTES)
        return;
    large_make_room(fs, f);
    if (content_read(f, (size_t)f->st.st_size, &content) != f->st.st_size) {
        free(content);
        return;
    }
    content_set(f, content);
    f->is_large = true;
    fs->n_large_bytes += (uint64_t)f->st.st_size;
}

void files_fini(struct files *fs)
{
    while (fs->oldest != NULL)
        cache_remove(fs, fs->oldest);
}

/* Is the file on disk still the one that was opened, and unchanged? */
static bool is_fresh(const struct files *fs, const struct file *f)
{
    struct stat now;

    return f->is_settled && fstatat(fs->root_fd, f->name, &now, 0) == 0 &&
           now.st_ino == f->st.st_ino && now.st_dev == f->st.st_dev &&
           now.st_size == f->st.st_size && now.st_mtim.tv_sec == f->st.st_mtim.tv_sec &&
           now.st_mtim.tv_nsec == f->st.st_mtim.tv_nsec &&
           now.st_ctim.tv_sec == f->st.st_ctim.tv_sec &&
           now.st_ctim.tv_nsec == f->st.st_ctim.tv_nsec;
}

static int named_get(struct files *fs, const char *name, uint64_t turn, struct file **out)
{
    uint32_t hash = name_hash(name);
    struct file *f = cache_find(fs, name, hash);

    if (f != NULL && f->checked_turn != turn && !is_fresh(fs, f)) {
        cache_remove(fs, f);
        f = NULL;
    }
    if (f == NULL) {
        int rc = file_open(fs->root_fd, name, &f);
        if (rc < 0)
            return rc;
        cache_add(fs, f, hash);
    } else {
        order_unlink(fs, f);
        order_link(fs, f);
        large_load(fs, f);
    }
    f->checked_turn = turn;
    f->n_users++;
    *out = f;
    return 0;
}

int files_get(struct files *fs, const struct path *p, uint64_t turn, struct file **f)
{
    char index[PATH_ROOM + sizeof("/index.html")];

    if (!p->is_dir)
        return named_get(fs, p->name, turn, f);
    snprintf(index, sizeof(index), "%s%sindex.html", p->name, p->len > 0 ? "/" : "");
    int rc = named_get(fs, index, turn, f);
    return rc == -EISDIR ? -EACCES : rc;
}

void files_put(struct files *fs, struct file *f)
{
    (void)fs;
    if (--f->n_users == 0 && !f->is_cached)
        file_free(f);
}
