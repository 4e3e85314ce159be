/* The congestion controls by name. */
#include "mtcp/tcp/cc.h"

#include <string.h>

const struct tcp_cc_ops *tcp_cc_find(const char *name)
{
    static const struct tcp_cc_ops *const all[] = {&tcp_cc_cubic, &tcp_cc_newreno};
    for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (strcmp(all[i]->name, name) == 0)
            return all[i];
    return strcmp(name, "reno") == 0 ? &tcp_cc_newreno : NULL;
}
