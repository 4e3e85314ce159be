/* Monitors in shared objects: mos_monitor_init() and mos_monitor_fini() of mos_api.h. */
#ifndef MOS_PLUGIN_H
#define MOS_PLUGIN_H

#include "mos/mon.h"

/* Loads `path` and starts it with `args` (NULL: ""). 0, or -1 with errno and one line in err. */
int plugin_load(struct mon *m, const char *path, const char *args, char *err, size_t err_len);

/* Stops all, the last one first. */
void plugins_unload(struct mon *m);

#endif
