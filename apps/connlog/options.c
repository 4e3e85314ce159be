#include "apps/connlog/options.h"

#include "apps/track/args.h"

#include <stdio.h>

static bool option_read(struct connlog_options *o, const struct arg *a)
{
    if (arg_has_value(a, "file"))
        return arg_text(a, o->file, sizeof(o->file));
    if (!arg_has_value(a, "format"))
        return false;
    o->format = arg_equals(a, "json") ? LINE_JSON : LINE_TSV;
    return o->format == LINE_JSON || arg_equals(a, "tsv");
}

bool connlog_options_read(struct connlog_options *o, const char *args, char *err, size_t err_len)
{
    struct arg a;

    *o = (struct connlog_options){.format = LINE_TSV};
    while (arg_next(&args, &a)) {
        if (option_read(o, &a))
            continue;
        snprintf(err, err_len, "'%.*s' is none of file=PATH, format=tsv, format=json", a.len,
                 a.word);
        return false;
    }
    return true;
}
