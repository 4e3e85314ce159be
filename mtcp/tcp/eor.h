/*
 * Ends of records (MSG_EOR): places in what is written and not yet sent that no segment crosses, as
 * Linux keeps them. Once sent, the scoreboard's records keep them. A connection without any pays a
 * branch.
 */
#ifndef MTCP_TCP_EOR_H
#define MTCP_TCP_EOR_H

#include "mtcp/tcp/conn.h"

/* How many of the `avail` bytes from snd_nxt on lie before the next end: all when none does. */
static inline tcp_off_t eor_left(const struct tcp_conn *c, tcp_off_t avail)
{
    if (likely(c->ext == NULL) || c->ext->eor.n == 0)
        return avail;
    return (int32_t)(c->ext->eor.at[c->ext->eor.first] - (uint32_t)c->snd_nxt);
}

/* Is `off` the next end? */
static inline bool eor_is_at(const struct tcp_conn *c, tcp_off_t off)
{
    return unlikely(c->ext != NULL) && c->ext->eor.n > 0 &&
           c->ext->eor.at[c->ext->eor.first] == (uint32_t)off;
}

/* Everything up to snd_nxt was sent. */
void eor_passed(struct tcp_env *e, struct tcp_conn *c);

/* Gives back what the ends took. */
void eor_fini(struct tcp_env *e, struct tcp_conn *c);

#endif
