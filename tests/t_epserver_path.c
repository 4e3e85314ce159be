/* Request targets to paths: escapes, dot segments, and what must be refused. */
#include "tests/test.h"

#include "apps/epserver/path.h"

#include <errno.h>
#include <string.h>

static struct path path;

static int parse(const char *target)
{
    memset(&path, 0xee, sizeof(path));
    return path_parse(&path, target, strlen(target));
}

static void expect(const char *target, const char *name, bool is_dir)
{
    EXPECT_EQ(parse(target), 0);
    CU_ASSERT_STRING_EQUAL(path.name, name);
    EXPECT_EQ(path.len, strlen(name));
    EXPECT_EQ(path.is_dir, is_dir);
}

static void names_are_relative(void)
{
    expect("/", "", true);
    expect("/a", "a", false);
    expect("/a/b.html", "a/b.html", false);
    expect("/a/b/", "a/b", true);
    expect("//a///b//", "a/b", true);
    expect("http://host", "", true);
    expect("http://host/a", "a", false);
    expect("HTTP://10.0.0.1:80/a/", "a", true);
    expect("http://host?q", "", true);
}

static void queries_are_cut_off(void)
{
    expect("/a?b=/c", "a", false);
    expect("/?x", "", true);
    expect("/a#b", "a", false);
    expect("/a%3Fb", "a?b", false);
}

static void escapes_are_decoded_once(void)
{
    expect("/a%20b", "a b", false);
    expect("/%41%4a%6B", "AJk", false);
    expect("/%2541", "%41", false);
    expect("/a%2Fb", "a/b", false);
    expect("/%ff", "\xff", false);
}

static void dots_are_resolved(void)
{
    expect("/./a", "a", false);
    expect("/a/.", "a", true);
    expect("/a/..", "", true);
    expect("/a/../b", "b", false);
    expect("/a/b/../../c/./d", "c/d", false);
    expect("/a/b/%2e%2E/c", "a/c", false);
    expect("/...", "...", false);
    expect("/..a/.b", "..a/.b", false);
}

static void nothing_leads_above_the_root(void)
{
    static const char *const targets[] = {
        "/..",  "/../a", "/a/../..",         "/a/../../b", "/%2e%2e/a", "/.%2e", "/a%2f..%2f..%2fb",
        "//..", "/./..", "http://host/../a",
    };

    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++)
        EXPECT_EQ(parse(targets[i]), -EACCES);
}

static void what_is_no_path_is_refused(void)
{
    static const char *const targets[] = {
        "", "a", "*", "?", "host:80", "/%", "/%2", "/%zz", "/a%0", "/%00", "/a%00.html",
    };

    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++)
        EXPECT_EQ(parse(targets[i]), -EINVAL);
    EXPECT_EQ(path_parse(&path, "/a\0b", 4), -EINVAL);
}

static void long_names_are_refused(void)
{
    char target[PATH_ROOM + 8];

    memset(target, 'a', sizeof(target));
    target[0] = '/';
    EXPECT_EQ(path_parse(&path, target, sizeof(target)), -ENAMETOOLONG);
    EXPECT_EQ(path_parse(&path, target, PATH_ROOM - 1), 0);
    EXPECT_EQ(path.len, PATH_ROOM - 2);
    EXPECT_EQ(path_parse(&path, target, PATH_ROOM), -ENAMETOOLONG);
    for (size_t i = 0; i < sizeof(target); i += 2)
        target[i] = '/';
    EXPECT_EQ(path_parse(&path, target, sizeof(target)), -ENAMETOOLONG);
}

TEST_SUITE(epserver_path, TEST_CASE(names_are_relative), TEST_CASE(queries_are_cut_off),
           TEST_CASE(escapes_are_decoded_once), TEST_CASE(dots_are_resolved),
           TEST_CASE(nothing_leads_above_the_root), TEST_CASE(what_is_no_path_is_refused),
           TEST_CASE(long_names_are_refused));
