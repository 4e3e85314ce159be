/*
 * The served directory: opens regular files beneath it, and keeps those in use. Small files are
 * kept in memory; larger ones as an open descriptor from which any part can be read, and when they
 * are asked for again in memory too, as long as all of these are within a bound. One cache per
 * thread. What is served is never older than the call of files_get, as far as time stamps tell.
 *
 * Nothing outside the directory is ever opened: the kernel resolves the path with RESOLVE_BENEATH,
 * so neither ".." nor a symbolic link leads out (openat2(2), Linux 5.6).
 */
#ifndef EPSERVER_FILES_H
#define EPSERVER_FILES_H

#include "apps/epserver/httpdate.h"
#include "apps/epserver/path.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#define FILE_SMALL_BYTES  65536                /* up to this size a file is kept in memory */
#define FILE_LARGE_BYTES  (UINT64_C(4) << 20)  /* and up to this one when it is asked for again */
#define FILES_LARGE_BYTES (UINT64_C(64) << 20) /* all of the latter that the cache keeps */
#define FILES_KEPT_MAX    512 /* files that stay in the cache while nobody uses them */
#define FILES_BUCKETS     1024

struct file {
    struct file *next;          /* of its bucket */
    struct file *newer, *older; /* in order of use */
    struct stat st;             /* when it was opened */
    uint64_t checked_turn;      /* when it was last compared with the disk */
    unsigned n_users;           /* responses that are being sent from it */
    uint32_t hash;
    bool is_cached;   /* files_get may find it; else it goes with its last user */
    bool is_settled;  /* a change since would show in its time stamps */
    bool is_large;    /* its content counts in files.n_large_bytes while it is cached */
    int fd;           /* -1: the content is in memory */
    char *content;    /* NULL with fd. It may come while there are users */
    const char *type; /* Content-Type */
    char modified[HTTPDATE_LEN + 1];
    char name[]; /* relative to the directory */
};

struct files {
    int root_fd;
    struct file *bucket[FILES_BUCKETS];
    struct file *newest, *oldest;
    unsigned n_kept;
    uint64_t n_large_bytes;
};

/* A directory to serve. A descriptor that files_init may share between threads, or -errno. */
int files_root_open(const char *dir);

void files_init(struct files *fs, int root_fd);
void files_fini(struct files *fs);

/*
 * The file of a path; of a directory its index.html. `turn` is a number that changes whenever time
 * may have passed: within one turn a file is compared with the disk once.
 *
 *   *f       one more user has it: files_put
 *   returns  0; -ENOENT; -EACCES not readable, not regular, or it leads outside; -EISDIR a
 * directory named without a slash at the end; -EMFILE, -ENFILE, -ENOMEM; -EIO
 */
int files_get(struct files *fs, const struct path *p, uint64_t turn, struct file **f);
void files_put(struct files *fs, struct file *f);

/* Up to len bytes from an offset: pread(2)'s result, -errno on failure; 0 beyond the end. */
ssize_t file_read(const struct file *f, char *buf, size_t len, uint64_t offset);

#endif
