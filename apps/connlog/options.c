#include "apps/connlog/options.h"

#include "apps/common/plugin.h"

#include <string.h>

static bool format_read(void *to, const char *value)
{
    enum line_format *format = to;

    *format = strcmp(value, "json") == 0 ? LINE_JSON : LINE_TSV;
    return *format == LINE_JSON || strcmp(value, "tsv") == 0;
}

bool connlog_options_read(struct connlog_options *o, const char *args, char *err, size_t err_len)
{
    const struct plugin_arg known[] = {
        {"file", "PATH", o->file, sizeof(o->file), NULL},
        {"format", "tsv|json", &o->format, 0, format_read},
    };

    *o = (struct connlog_options){.format = LINE_TSV};
    return plugin_args_read(args, known, sizeof(known) / sizeof(known[0]), err, err_len);
}
