#include "apps/epclient/schedule.h"

/* In two parts so that no product overflows, and from the number alone so that no error adds up. */
static uint64_t time_of(const struct schedule *s)
{
    return s->begun_us + s->next / s->rate * 1000000 + s->next % s->rate * 1000000 / s->rate;
}

uint64_t schedule_due(const struct schedule *s, uint64_t now_us)
{
    if (s->next >= s->n_total)
        return SCHEDULE_NEVER;
    if (s->rate == 0)
        return now_us < s->end_us ? s->begun_us : SCHEDULE_NEVER;
    uint64_t due_us = time_of(s);
    return due_us < s->end_us ? due_us : SCHEDULE_NEVER;
}

bool schedule_take(struct schedule *s, uint64_t now_us, struct request *r)
{
    uint64_t due_us = schedule_due(s, now_us);

    if (due_us > now_us)
        return false;
    r->number = s->next;
    r->start_us = s->rate == 0 ? now_us : due_us;
    s->next += s->step;
    return true;
}

void schedule_stop(struct schedule *s)
{
    s->n_total = 0;
}
