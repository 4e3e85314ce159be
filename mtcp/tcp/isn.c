/* RFC 6528: ISN = M + F(tuple, secret), M the 4 us clock; RFC 7323 5.4: timestamp offsets likewise. */
#include "mtcp/tcp/isn.h"

tcp_seq_t tcp_isn(const struct tcp_env *e, const struct flow_tuple *t)
{
    uint64_t h = hash_siphash24(&e->secret, t, FLOW_TUPLE_BYTES);
    return seq_make((uint32_t)h + (uint32_t)(e->now_us / 4));
}

uint32_t tcp_ts_offset(const struct tcp_env *e, const struct flow_tuple *t)
{
    struct hash_key k = {e->secret.k1, e->secret.k0};
    return (uint32_t)hash_siphash24(&k, t, FLOW_TUPLE_BYTES);
}
