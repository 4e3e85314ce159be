/*
 * Which connection is it? Tuples, socket ids and memory are used again, so the checks of fuzz_stack
 * count connections by their places in the flow table: a record that is inserted begins one, a
 * record that takes another's place goes on with it (half-open, connection, TIME_WAIT). The linker
 * puts these functions between net/ and its flow table (--wrap).
 */
#include "tests/fuzz/stack.h"

#include "mtcp/core/ctx.h"
#include "mtcp/sock/sock.h"

#include <string.h>

#define RECORDS_MAX 256u /* of all kinds, and those that are gone */

static struct {
    const struct flow *flow;
    uint64_t who;
} records[RECORDS_MAX];
static uint64_t n_begun;

static uint64_t *record_of(const struct flow *f)
{
    for (unsigned i = 0; i < RECORDS_MAX; i++) {
        if (records[i].flow == f)
            return &records[i].who;
        if (!records[i].flow) {
            records[i].flow = f;
            return &records[i].who;
        }
    }
    fuzz_failed("records enough", __FILE__, __LINE__);
}

void __real_flow_table_insert(struct flow_table *t, struct flow *f, uint32_t hash);
void __wrap_flow_table_insert(struct flow_table *t, struct flow *f, uint32_t hash);
void __wrap_flow_table_insert(struct flow_table *t, struct flow *f, uint32_t hash)
{
    *record_of(f) = ++n_begun;
    __real_flow_table_insert(t, f, hash);
}

void __real_flow_table_replace(struct flow_table *t, struct flow *from, struct flow *to);
void __wrap_flow_table_replace(struct flow_table *t, struct flow *from, struct flow *to);
void __wrap_flow_table_replace(struct flow_table *t, struct flow *from, struct flow *to)
{
    *record_of(to) = *record_of(from);
    *record_of(from) = 0;
    __real_flow_table_replace(t, from, to);
}

uint64_t who_has_begun(void)
{
    return n_begun;
}

uint64_t who_is_at(const struct flow_tuple *t)
{
    const struct flow_table *flows = ctx_of(w.m)->net.flows;
    const struct flow *f = flow_table_find(flows, t, flow_table_hash(flows, t));
    return f ? *record_of(f) : 0;
}

uint64_t who_has_sock(int id)
{
    const struct sock *s = sock_find(ctx_of(w.m), id);
    return s && sock_has_conn(s) ? *record_of(&s->conn->flow) : 0;
}

void who_reset(void)
{
    memset(records, 0, sizeof(records));
    n_begun = 0;
}
