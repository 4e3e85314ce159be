/* The congestion controls by name. */
#include "mtcp/tcp/cc.h"

#include <string.h>

const struct tcp_cc_ops *const tcp_cc_all[TCP_CC_N] = {&tcp_cc_cubic, &tcp_cc_newreno};

const struct tcp_cc_ops *tcp_cc_find(const char *name)
{
    for (unsigned i = 0; i < TCP_CC_N; i++)
        if (strcmp(tcp_cc_all[i]->name, name) == 0)
            return tcp_cc_all[i];
    return strcmp(name, "reno") == 0 ? &tcp_cc_newreno : NULL;
}
