/* Endpoint sockets over two contexts linked in memory: each call does what POSIX and Linux say. */
#include "tests/duo.h"
#include "tests/test.h"

#include <mtcp_api.h>
#include <mtcp_io.h>

#include <arpa/inet.h>
#include <errno.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

/* ---- a connection ------------------------------------------------------------------------------
 */

static void bytes_go_both_ways(void)
{
    struct duo d;
    char buf[16];
    duo_open(&d, NULL);
    int l = duo_listen(&d, 80), c, s = duo_pair(&d, l, &c);
    EXPECT_EQ(mtcp_read(d.srv, s, buf, sizeof(buf)), -1);
    EXPECT_EQ(errno, EAGAIN);
    EXPECT_EQ(mtcp_write(d.cli, c, "hello", 5), 5);
    duo_step(&d, 0);
    EXPECT_EQ(mtcp_read(d.srv, s, buf, sizeof(buf)), 5);
    CU_ASSERT(memcmp(buf, "hello", 5) == 0);
    EXPECT_EQ(mtcp_write(d.srv, s, "world!", 6), 6);
    duo_step(&d, 0);
    EXPECT_EQ(mtcp_read(d.cli, c, buf, 3), 3);
    EXPECT_EQ(mtcp_read(d.cli, c, buf + 3, sizeof(buf) - 3), 3);
    CU_ASSERT(memcmp(buf, "world!", 6) == 0);
    duo_close(&d);
}

TEST_SUITE(sock, TEST_CASE(bytes_go_both_ways));
