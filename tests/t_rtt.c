/* RTT estimation and the retransmission timeout (RFC 6298). */
#include "mtcp/tcp/rtt.h"
#include "mtcp/tcp/tcp.h"
#include "tests/test.h"

#include <string.h>

struct fixture {
    struct tcp_env env;
    struct tcp_conn conn;
};

static void setup(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    tcp_params_default(&f->env.params);
    rtt_init(&f->env, &f->conn);
}

static void sample(struct fixture *f, uint32_t us)
{
    rtt_sample(&f->env, &f->conn, us);
}

/* RFC 6298 2.1-1 */
static void before_the_first_sample_it_is_one_second(void)
{
    struct fixture f;
    setup(&f);
    EXPECT_EQ(rtt_rto(&f.env, &f.conn), 1000000);
    f.conn.backoff = 3;
    EXPECT_EQ(rtt_rto(&f.env, &f.conn), 8000000);
}

/* RFC 6298 2.2: SRTT = R, RTTVAR = R/2. (RFC 6298 2.2-1, 2.3-3) */
static void the_first_sample(void)
{
    struct fixture f;
    setup(&f);
    sample(&f, 400000);
    EXPECT_EQ(f.conn.srtt_us, 400000);
    EXPECT_EQ(f.conn.rttvar_us, 200000);
    EXPECT_EQ(f.conn.min_rtt_us, 400000);
    EXPECT_EQ(rtt_rto(&f.env, &f.conn), 400000 + 4 * 200000);
}

/* RFC 6298 2.3: RTTVAR = 3/4 RTTVAR + 1/4 |SRTT - R|, then SRTT = 7/8 SRTT + 1/8 R. (RFC
 * 6298 2.3-1, 2.3-2) */
static void the_next_sample(void)
{
    struct fixture f;
    setup(&f);
    sample(&f, 400000);
    sample(&f, 800000);
    EXPECT_EQ(f.conn.rttvar_us, 250000);
    EXPECT_EQ(f.conn.srtt_us, 450000);
    sample(&f, 50000);
    EXPECT_EQ(f.conn.rttvar_us, 287500);
    EXPECT_EQ(f.conn.srtt_us, 400000);
    EXPECT_EQ(f.conn.min_rtt_us, 50000);
}

/* RFC 6298 4-1 */
static void a_steady_path_has_the_least_variance_term(void)
{
    struct fixture f;
    setup(&f);
    for (int i = 0; i < 100; i++)
        sample(&f, 10000);
    EXPECT_EQ(f.conn.srtt_us, 10000);
    CU_ASSERT(f.conn.rttvar_us < 10);
    EXPECT_EQ(rtt_rto(&f.env, &f.conn), 10000 + 200000);
}

/* RFC 6298 2.5-1 */
static void backing_off_doubles_up_to_the_limit(void)
{
    struct fixture f;
    setup(&f);
    for (int i = 0; i < 100; i++)
        sample(&f, 10000);
    for (f.conn.backoff = 1; f.conn.backoff < 9; f.conn.backoff++)
        EXPECT_EQ(rtt_rto(&f.env, &f.conn), 210000 << f.conn.backoff);
    f.conn.backoff = 10;
    EXPECT_EQ(rtt_rto(&f.env, &f.conn), 120000000);
    f.conn.backoff = 255;
    EXPECT_EQ(rtt_rto(&f.env, &f.conn), 120000000);
}

static void extremes_stay_in_range(void)
{
    struct fixture f;
    setup(&f);
    sample(&f, 0);
    CU_ASSERT(f.conn.srtt_us > 0);
    for (int i = 0; i < 50; i++)
        sample(&f, i & 1 ? UINT32_MAX : 0);
    CU_ASSERT(f.conn.srtt_us > 0 && f.conn.srtt_us <= 600000000);
    EXPECT_EQ(rtt_rto(&f.env, &f.conn), 120000000);
}

static void a_loss_of_time_is_forgotten_again(void)
{
    struct fixture f;
    setup(&f);
    for (int i = 0; i < 20; i++)
        sample(&f, 2000000);
    for (int i = 0; i < 100; i++)
        sample(&f, 1000);
    CU_ASSERT(rtt_rto(&f.env, &f.conn) < 203000);
}

TEST_SUITE(rtt, TEST_CASE(before_the_first_sample_it_is_one_second), TEST_CASE(the_first_sample),
           TEST_CASE(the_next_sample), TEST_CASE(a_steady_path_has_the_least_variance_term),
           TEST_CASE(backing_off_doubles_up_to_the_limit), TEST_CASE(extremes_stay_in_range),
           TEST_CASE(a_loss_of_time_is_forgotten_again));
