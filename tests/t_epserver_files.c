/* The served directory and its cache: what is kept in memory, and what is never served old. */
#include "tests/test.h"

#include "apps/epserver/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SMALL 1000u
#define LARGE 300000u

static char dir[32];
static struct files fs;
static uint64_t turn;

static void name_full(char *out, size_t room, const char *name)
{
    snprintf(out, room, "%s/%s", dir, name);
}

/* A file of n bytes, the first of them `first`; written long ago, so that a change would show. */
static void file_make(const char *name, char first, size_t n)
{
    char full[64];
    struct timespec old[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};

    name_full(full, sizeof(full), name);
    int fd = open(full, O_CREAT | O_TRUNC | O_WRONLY, 0600);
    CU_ASSERT_FATAL(fd >= 0);
    EXPECT_EQ(ftruncate(fd, (off_t)n), 0);
    EXPECT_EQ(pwrite(fd, &first, 1, 0), 1);
    EXPECT_EQ(futimens(fd, old), 0);
    close(fd);
}

static void file_remove(const char *name)
{
    char full[64];

    name_full(full, sizeof(full), name);
    EXPECT_EQ(unlink(full), 0);
}

/* False: not here. valgrind before 3.22 knows no openat2, which epserver does not do without. */
static bool begin(void)
{
    strcpy(dir, "/tmp/files.XXXXXX");
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
    files_init(&fs, files_root_open(dir));
    if (fs.root_fd == -ENOSYS) {
        printf("skipped: no openat2\n");
        EXPECT_EQ(rmdir(dir), 0);
        return false;
    }
    CU_ASSERT_FATAL(fs.root_fd >= 0);
    return true;
}

static void end(void)
{
    files_fini(&fs);
    EXPECT_EQ(fs.n_large_bytes, 0);
    close(fs.root_fd);
    EXPECT_EQ(rmdir(dir), 0);
}

static struct file *get(const char *target)
{
    struct path p;
    struct file *f = NULL;

    EXPECT_EQ(path_parse(&p, target, strlen(target)), 0);
    EXPECT_EQ(files_get(&fs, &p, ++turn, &f), 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    return f;
}

/* Asked for once more, and let go. */
static void touch(const char *target)
{
    files_put(&fs, get(target));
}

static void a_large_file_is_kept_when_it_is_asked_for_again(void)
{
    if (!begin())
        return;
    file_make("small", 's', SMALL);
    file_make("large", 'l', LARGE);
    struct file *f = get("/small");
    CU_ASSERT_PTR_NOT_NULL(f->content);
    files_put(&fs, f);
    f = get("/large");
    CU_ASSERT_PTR_NULL(f->content);
    EXPECT_EQ(fs.n_large_bytes, 0);
    CU_ASSERT(get("/large") == f); /* it has a user already, who goes on in memory */
    CU_ASSERT_PTR_NOT_NULL_FATAL(f->content);
    EXPECT_EQ(f->content[0], 'l');
    EXPECT_EQ(f->content[LARGE - 1], 0);
    EXPECT_EQ(f->fd, -1);
    EXPECT_EQ(fs.n_large_bytes, LARGE);
    touch("/large");
    EXPECT_EQ(fs.n_large_bytes, LARGE);
    files_put(&fs, f);
    files_put(&fs, f);
    file_remove("small");
    file_remove("large");
    end();
}

static void a_file_that_changed_is_read_anew(void)
{
    if (!begin())
        return;
    file_make("large", 'l', LARGE);
    touch("/large");
    struct file *f = get("/large");
    file_make("large", 'm', LARGE); /* equal but for st_ctim */
    struct file *changed = get("/large");
    CU_ASSERT(changed != f);
    EXPECT_EQ(fs.n_large_bytes, 0);
    EXPECT_EQ(f->content[0], 'l'); /* who began with it ends with it */
    files_put(&fs, f);
    files_put(&fs, changed);
    f = get("/large");
    EXPECT_EQ(f->content[0], 'm');
    files_put(&fs, f);
    file_remove("large");
    end();
}

static void one_that_cannot_be_had_whole_is_read_as_before(void)
{
    char full[64];

    if (!begin())
        return;
    file_make("large", 'l', LARGE);
    struct path p;
    struct file *f = get("/large"), *again;
    name_full(full, sizeof(full), "large");
    EXPECT_EQ(path_parse(&p, "/large", 6), 0);
    EXPECT_EQ(truncate(full, SMALL), 0);
    EXPECT_EQ(files_get(&fs, &p, turn, &again), 0); /* of one turn: not compared with the disk */
    CU_ASSERT(again == f);
    CU_ASSERT_PTR_NULL(f->content);
    EXPECT_EQ(f->st.st_size, LARGE);
    EXPECT_EQ(fs.n_large_bytes, 0);
    files_put(&fs, f);
    files_put(&fs, f);
    file_remove("large");
    end();
}

static void large_files_are_bounded(void)
{
    enum { N = FILES_LARGE_BYTES / FILE_LARGE_BYTES };
    char name[16], target[17];

    if (!begin())
        return;
    file_make("first", 'f', SMALL);
    touch("/first");
    for (unsigned i = 0; i <= N; i++) {
        snprintf(name, sizeof(name), "%u", i);
        snprintf(target, sizeof(target), "/%u", i);
        file_make(name, (char)i, FILE_LARGE_BYTES);
        touch(target);
        touch(target);
        CU_ASSERT(fs.n_large_bytes <= FILES_LARGE_BYTES);
    }
    EXPECT_EQ(fs.n_large_bytes, FILES_LARGE_BYTES);
    EXPECT_EQ(fs.n_kept, N + 1); /* the small one, which is older, has stayed */
    struct file *f = get("/0");
    CU_ASSERT_PTR_NULL(f->content); /* the last used first */
    files_put(&fs, f);
    file_make("0", 'x', FILE_LARGE_BYTES + 1);
    touch("/0");
    touch("/0");
    f = get("/0");
    CU_ASSERT_PTR_NULL(f->content); /* too large for it */
    files_put(&fs, f);
    for (unsigned i = 0; i <= N; i++) {
        snprintf(name, sizeof(name), "%u", i);
        file_remove(name);
    }
    file_remove("first");
    end();
}

TEST_SUITE(epserver_files, TEST_CASE(a_large_file_is_kept_when_it_is_asked_for_again),
           TEST_CASE(a_file_that_changed_is_read_anew),
           TEST_CASE(one_that_cannot_be_had_whole_is_read_as_before),
           TEST_CASE(large_files_are_bounded));
