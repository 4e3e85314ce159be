#include "apps/connlog/file.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* How many contexts have it open. */
struct file {
    struct file *next;
    struct connlog_options options;
    unsigned n_users;
};

static pthread_mutex_t files_lock = PTHREAD_MUTEX_INITIALIZER;
static struct file *files;

static struct file *file_find(const struct connlog_options *o)
{
    struct file *f = files;

    while (f != NULL && (strcmp(f->options.file, o->file) != 0 || f->options.format != o->format))
        f = f->next;
    return f;
}

/* Its header is there before the first line of any context. */
static struct file *file_create(struct out *out, const struct connlog_options *o)
{
    char *at = out_line(out);
    size_t n = line_header(o->format, time(NULL), at);
    struct file *f = malloc(sizeof(*f));

    if (f == NULL)
        return NULL;
    if (n > 0)
        out_line_end(out, at + n - 1);
    if (!out_flush_first(out)) {
        int why = errno;
        free(f);
        errno = why;
        return NULL;
    }
    *f = (struct file){.next = files, .options = *o};
    return files = f;
}

struct file *file_open(struct out *out, const struct connlog_options *o)
{
    struct file *f;

    if (!out_open(out, "connlog", o->file))
        return NULL;
    pthread_mutex_lock(&files_lock);
    f = file_find(o);
    if (f == NULL)
        f = file_create(out, o);
    if (f != NULL)
        f->n_users++;
    pthread_mutex_unlock(&files_lock);
    if (f != NULL)
        return f;
    int why = errno;
    out_abandon(out);
    errno = why;
    return NULL;
}

static void file_end(struct file *f, struct out *out)
{
    char *at = out_line(out);
    size_t n = line_footer(f->options.format, time(NULL), at);
    struct file **link = &files;

    while (*link != f)
        link = &(*link)->next;
    *link = f->next;
    if (n > 0)
        out_line_end(out, at + n - 1);
    free(f);
}

void file_close(struct file *f, struct out *out)
{
    if (f == NULL)
        return;
    pthread_mutex_lock(&files_lock);
    if (--f->n_users == 0)
        file_end(f, out);
    out_close(out); /* before the footer of a context that is later */
    pthread_mutex_unlock(&files_lock);
}
