/* The emulated peer: one table (RFC 9293 figure 5, seen from outside). */
#include "mos/peer.h"

#include "mos_api.h"

#include <stdbool.h>
#include <stddef.h>

#define S(name) MOS_TCPS_##name
#define ANY     0xff /* but CLOSED */

/* In the order of the events; a row's result is what the rows below it start from. */
static const struct {
    uint8_t event, from, to;
} table[] = {
    {PEER_RST, ANY, S(CLOSED)},
    {PEER_SENT_SYN, S(CLOSED), S(SYN_SENT)},
    {PEER_SENT_SYN, S(LISTEN), S(SYN_RCVD)}, /* its answer, when the SYN before was not seen */
    {PEER_GOT_SYN, S(LISTEN), S(SYN_RCVD)},
    {PEER_GOT_SYN, S(SYN_SENT), S(SYN_RCVD)}, /* simultaneous open */
    {PEER_GOT_SYNACK, S(SYN_SENT), S(ESTABLISHED)},
    {PEER_SYN_ACKED, S(SYN_RCVD), S(ESTABLISHED)},
    {PEER_FIN_ACKED, S(FIN_WAIT_1), S(FIN_WAIT_2)},
    {PEER_FIN_ACKED, S(CLOSING), S(TIME_WAIT)},
    {PEER_FIN_ACKED, S(LAST_ACK), S(CLOSED)},
    {PEER_SENT_FIN, S(SYN_RCVD), S(FIN_WAIT_1)},
    {PEER_SENT_FIN, S(ESTABLISHED), S(FIN_WAIT_1)},
    {PEER_SENT_FIN, S(CLOSE_WAIT), S(LAST_ACK)},
    {PEER_GOT_FIN, S(ESTABLISHED), S(CLOSE_WAIT)},
    {PEER_GOT_FIN, S(FIN_WAIT_1), S(CLOSING)},
    {PEER_GOT_FIN, S(FIN_WAIT_2), S(TIME_WAIT)},
};

static bool row_applies(size_t i, uint8_t state, unsigned events)
{
    if (!(events & PEER_BIT(table[i].event)))
        return false;
    return table[i].from == state || (table[i].from == ANY && state != S(CLOSED));
}

struct moves peer_move(uint8_t state, unsigned events)
{
    struct moves m = {0};
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]) && m.n < MOVES_MAX; i++) {
        if (!row_applies(i, state, events))
            continue;
        state = table[i].to;
        m.to[m.n++] = state;
        events &= ~PEER_BIT(table[i].event); /* each event moves it once */
    }
    return m;
}
