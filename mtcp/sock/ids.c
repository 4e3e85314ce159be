/* The next free id from bitmaps over bitmaps: one find-first-set per level, up and down. */
#include "mtcp/sock/ids.h"

#include <errno.h>
#include <string.h>

int ids_init(struct ids *s, struct mem *mem, uint32_t n)
{
    memset(s, 0, sizeof(*s));
    BUG_ON(n == 0 || n > IDS_MAX);
    uint32_t bits = n;
    for (unsigned l = 0; l < IDS_LEVELS; l++) {
        uint32_t words = (bits + 63) / 64;
        s->level[l] = mem_alloc(mem, words * sizeof(uint64_t));
        if (!s->level[l]) {
            ids_fini(s, mem);
            return -ENOMEM;
        }
        s->n_words[l] = words;
        memset(s->level[l], 0xff, words * sizeof(uint64_t));
        if (bits % 64)
            s->level[l][words - 1] = (1ull << (bits % 64)) - 1;
        bits = words;
    }
    s->n_free = n;
    return 0;
}

void ids_fini(struct ids *s, struct mem *mem)
{
    for (unsigned l = 0; l < IDS_LEVELS; l++)
        mem_free(mem, s->level[l], s->n_words[l] * sizeof(uint64_t));
    memset(s, 0, sizeof(*s));
}

int ids_next(const struct ids *s, uint32_t from)
{
    uint32_t at = from;
    for (unsigned l = 0; l < IDS_LEVELS && at / 64 < s->n_words[l]; l++) {
        uint64_t bits = s->level[l][at / 64] & (UINT64_MAX << (at % 64));
        if (bits) {
            at = (at & ~63u) | (uint32_t)__builtin_ctzll(bits);
            while (l-- > 0)
                at = at * 64 + (uint32_t)__builtin_ctzll(s->level[l][at]);
            return (int)at;
        }
        at = at / 64 + 1;
    }
    return -1;
}

void ids_take(struct ids *s, uint32_t id)
{
    ASSERT(s->level[0][id / 64] >> (id % 64) & 1);
    s->n_free--;
    for (unsigned l = 0, at = id; l < IDS_LEVELS; l++, at /= 64) {
        uint64_t *word = &s->level[l][at / 64];
        *word &= ~(1ull << (at % 64));
        if (*word)
            break;
    }
}

void ids_give(struct ids *s, uint32_t id)
{
    ASSERT(!(s->level[0][id / 64] >> (id % 64) & 1));
    s->n_free++;
    for (unsigned l = 0, at = id; l < IDS_LEVELS; l++, at /= 64) {
        uint64_t *word = &s->level[l][at / 64];
        uint64_t before = *word;
        *word |= 1ull << (at % 64);
        if (before)
            break;
    }
}
