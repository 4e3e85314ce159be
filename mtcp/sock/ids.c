/* The lowest free id from bitmaps over bitmaps: one find-first-set per level. */
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

int ids_take(struct ids *s)
{
    if (s->n_free == 0)
        return -1;
    uint32_t id = 0;
    for (unsigned l = IDS_LEVELS; l-- > 0;)
        id = id * 64 + (uint32_t)__builtin_ctzll(s->level[l][id]);
    s->n_free--;
    for (unsigned l = 0, at = id; l < IDS_LEVELS; l++, at /= 64) {
        uint64_t *word = &s->level[l][at / 64];
        *word &= ~(1ull << (at % 64));
        if (*word)
            break;
    }
    return (int)id;
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
