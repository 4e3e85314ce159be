#include "apps/tcpstat/board.h"

#include <pthread.h>
#include <string.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct board_slot *slots;
static struct picture gone; /* what contexts that have left had measured */
static bool gone_is_there;

static void table_copy(struct table *to, const struct table *from)
{
    to->n = from->n;
    to->by = from->by;
    to->is_ascending = from->is_ascending;
    memcpy(to->row, from->row, from->n * sizeof(from->row[0]));
}

static void table_add_all(struct table *to, const struct table *from)
{
    for (unsigned i = 0; i < from->n; i++)
        table_add(to, &from->row[i]);
}

static void picture_copy(struct picture *to, const struct picture *from)
{
    to->totals = from->totals;
    table_copy(&to->live, &from->live);
    table_copy(&to->ended, &from->ended);
}

static void picture_add(struct picture *to, const struct picture *from)
{
    totals_merge(&to->totals, &from->totals);
    table_add_all(&to->live, &from->live);
    table_add_all(&to->ended, &from->ended);
}

void board_join(struct board_slot *s)
{
    totals_init(&s->picture.totals);
    s->picture.live.n = s->picture.ended.n = 0;
    pthread_mutex_lock(&lock);
    s->next = slots;
    slots = s;
    pthread_mutex_unlock(&lock);
}

bool board_put(struct board_slot *s, const struct picture *p)
{
    if (pthread_mutex_trylock(&lock) != 0)
        return false;
    picture_copy(&s->picture, p);
    pthread_mutex_unlock(&lock);
    return true;
}

bool board_leave(struct board_slot *s, const struct picture *p)
{
    pthread_mutex_lock(&lock);
    if (!gone_is_there) {
        totals_init(&gone.totals);
        table_init(&gone.ended, p->ended.by, p->ended.is_ascending);
        gone_is_there = true;
    }
    totals_merge(&gone.totals, &p->totals);
    table_add_all(&gone.ended, &p->ended);
    struct board_slot **at = &slots;
    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    bool is_last = slots == NULL;
    pthread_mutex_unlock(&lock);
    return is_last;
}

bool board_get(struct picture *p)
{
    if (pthread_mutex_trylock(&lock) != 0)
        return false;
    totals_init(&p->totals);
    p->live.n = p->ended.n = 0;
    for (const struct board_slot *s = slots; s != NULL; s = s->next)
        picture_add(p, &s->picture);
    if (gone_is_there)
        picture_add(p, &gone);
    pthread_mutex_unlock(&lock);
    table_sort(&p->live);
    table_sort(&p->ended);
    return true;
}
