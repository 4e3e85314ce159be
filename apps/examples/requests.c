/*
 * Example: events of one's own, and a timer.
 *
 * A filter on MOS_ON_CONN_NEW_DATA looks at the first bytes of a client and raises one of three
 * events, whose callback prints and counts. Then the connection is looked at no more. Each second
 * the counts are printed, if they have changed.
 *
 *     monitor "requests" { plugin = "requests.so" }        in mos.conf
 *
 *     #16384 GET
 *     1 GET, 0 POST, 0 other
 */
#include <mtcp_api.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { GET, POST, OTHER, KINDS };

static const char *const names[KINDS] = {"GET", "POST", "other"};
static pthread_once_t once = PTHREAD_ONCE_INIT;
static event_t of_kind[KINDS];
static atomic_ulong count[KINDS];

/* Is it a request? Which one is raised. */
static bool is_request(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    char word[5];
    int kind = OTHER;

    (void)event, (void)arg;
    if (side != MOS_SIDE_SVR || mtcp_ppeek(mctx, sock, side, word, sizeof(word), 0) < 5)
        return false;
    if (memcmp(word, "GET /", 5) == 0)
        kind = GET;
    else if (memcmp(word, "POST ", 5) == 0)
        kind = POST;
    return mtcp_raise_event(mctx, of_kind[kind]) == 0;
}

static void on_kind(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)side, (void)arg;
    for (int i = 0; i < KINDS; i++) {
        if (event == of_kind[i]) {
            printf("#%d %s\n", sock, names[i]);
            count[i]++;
        }
        mtcp_unregister_callback(mctx, sock, of_kind[i], MOS_NULL);
    }
}

static void on_second(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    static atomic_ulong printed;
    struct timeval second = {1, 0};
    unsigned long n[KINDS], sum = 0;

    (void)side, (void)event, (void)arg;
    for (int i = 0; i < KINDS; i++)
        sum += n[i] = count[i];
    if (atomic_exchange(&printed, sum) != sum)
        printf("%lu GET, %lu POST, %lu other\n", n[GET], n[POST], n[OTHER]);
    mtcp_settimer(mctx, sock, &second, on_second);
}

/* Events are the process's: one definition serves all its contexts. */
static void define_events(void)
{
    event_t request = mtcp_define_event(MOS_ON_CONN_NEW_DATA, is_request, NULL);

    for (int i = 0; i < KINDS; i++)
        of_kind[i] = mtcp_alloc_event(request);
}

int mos_monitor_init(mctx_t mctx, const char *args)
{
    struct timeval second = {1, 0};
    int sock = mtcp_socket(mctx, AF_UNSPEC, MOS_SOCK_MONITOR_STREAM, 0);

    (void)args;
    pthread_once(&once, define_events);
    for (int i = 0; i < KINDS; i++)
        if (mtcp_register_callback(mctx, sock, of_kind[i], MOS_NULL, on_kind) < 0)
            return -1;
    return mtcp_settimer(mctx, sock, &second, on_second);
}
