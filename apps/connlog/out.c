#include "apps/connlog/out.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUFFER_BYTES 65536

/* A file; how many contexts have it open. */
struct out_file {
    struct out_file *next;
    char name[sizeof(((struct connlog_options *)0)->file)]; /* "": stdout */
    enum line_format format;
    int fd;
    unsigned n_users;
};

struct out {
    struct out_file *file;
    uint64_t n_lines; /* in the buffer */
    uint64_t n_lost;
    size_t n;
    char buffer[BUFFER_BYTES];
};

static pthread_mutex_t files_lock = PTHREAD_MUTEX_INITIALIZER;
static struct out_file *files;

/* ---- files ---- */

/* All or nothing as far as a file goes; a pipe may take a part, and then the rest. */
static bool write_all(int fd, const char *at, size_t n)
{
    while (n > 0) {
        ssize_t done = write(fd, at, n);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return false;
        at += done;
        n -= (size_t)done;
    }
    return true;
}

static struct out_file *file_create(const struct connlog_options *o)
{
    char header[LINE_MAX_BYTES];
    struct out_file *f = calloc(1, sizeof(*f));

    if (f == NULL)
        return NULL;
    memcpy(f->name, o->file, sizeof(f->name));
    f->format = o->format;
    f->fd = STDOUT_FILENO;
    if (f->name[0] != '\0')
        f->fd = open(f->name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (f->fd < 0 || !write_all(f->fd, header, line_header(f->format, time(NULL), header))) {
        int why = errno;
        if (f->fd > STDOUT_FILENO)
            close(f->fd);
        free(f);
        errno = why;
        return NULL;
    }
    f->next = files;
    files = f;
    return f;
}

static struct out_file *file_get(const struct connlog_options *o)
{
    struct out_file *f;

    pthread_mutex_lock(&files_lock);
    for (f = files; f != NULL; f = f->next)
        if (strcmp(f->name, o->file) == 0 && f->format == o->format)
            break;
    if (f == NULL)
        f = file_create(o);
    if (f != NULL)
        f->n_users++;
    pthread_mutex_unlock(&files_lock);
    return f;
}

/* The footer is worth no message: the lines before it are there. */
static void file_end(struct out_file *f)
{
    char footer[LINE_MAX_BYTES];
    struct out_file **at = &files;

    while (*at != f)
        at = &(*at)->next;
    *at = f->next;
    (void)write_all(f->fd, footer, line_footer(f->format, time(NULL), footer));
    if (f->fd != STDOUT_FILENO)
        close(f->fd);
    free(f);
}

static void file_put(struct out_file *f)
{
    pthread_mutex_lock(&files_lock);
    if (--f->n_users == 0)
        file_end(f);
    pthread_mutex_unlock(&files_lock);
}

/* ---- one context's buffer ---- */

struct out *out_open(const struct connlog_options *o)
{
    struct out *out = malloc(sizeof(*out));

    if (out == NULL)
        return NULL;
    *out = (struct out){.file = file_get(o)};
    if (out->file != NULL)
        return out;
    int why = errno;
    free(out);
    errno = why;
    return NULL;
}

static const char *out_name(const struct out *out)
{
    return out->file->name[0] != '\0' ? out->file->name : "standard output";
}

void out_flush(struct out *out)
{
    if (out->n == 0)
        return;
    if (!write_all(out->file->fd, out->buffer, out->n)) {
        if (out->n_lost == 0)
            fprintf(stderr, "connlog: %s: %s; connections are missing there\n", out_name(out),
                    strerror(errno));
        out->n_lost += out->n_lines;
    }
    out->n = 0;
    out->n_lines = 0;
}

void out_line(struct out *out, const struct line *l)
{
    if (BUFFER_BYTES - out->n < LINE_MAX_BYTES)
        out_flush(out);
    out->n += line_write(out->file->format, l, out->buffer + out->n);
    out->n_lines++;
}

void out_close(struct out *out)
{
    if (out == NULL)
        return;
    out_flush(out);
    if (out->n_lost > 0)
        fprintf(stderr, "connlog: %s: %llu connections are missing\n", out_name(out),
                (unsigned long long)out->n_lost);
    file_put(out->file);
    free(out);
}
