/* Loading of monitors. */
#include "mos/plugin.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

typedef int (*plugin_init_fn)(mctx_t mctx, const char *args);
typedef void (*plugin_fini_fn)(mctx_t mctx);

struct plugin {
    struct list_node node;
    void *lib;
    plugin_fini_fn fini; /* NULL: it has none */
};

/* Where the one line goes that says what is wrong. */
struct complaint {
    char *text;
    size_t room;
};

static int plugin_open(struct plugin *p, const char *path, plugin_init_fn *init,
                       const struct complaint *why)
{
    p->lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!p->lib) {
        snprintf(why->text, why->room, "%s", dlerror());
        return -EINVAL;
    }
    *(void **)init = dlsym(p->lib, "mos_monitor_init");
    *(void **)&p->fini = dlsym(p->lib, "mos_monitor_fini");
    if (*init)
        return 0;
    snprintf(why->text, why->room, "%s: has no mos_monitor_init()", path);
    return -EINVAL;
}

/* What was opened stays loaded until the end, also when it does not start: it may have left
 * callbacks with us. */
static int plugin_start(struct mon *m, struct plugin *p, const char *path, const char *args,
                        const struct complaint *why)
{
    plugin_init_fn init;
    int rc = plugin_open(p, path, &init, why);
    if (rc != 0)
        return rc;
    errno = 0;
    int answer = init(m->ctx, args ? args : "");
    if (answer == 0)
        return 0;
    rc = errno ? -errno : -EINVAL;
    p->fini = NULL;
    snprintf(why->text, why->room, "%s: mos_monitor_init() returned %d (%s)", path, answer,
             strerror(-rc));
    return rc;
}

int plugin_load(struct mon *m, const char *path, const char *args, char *err, size_t err_len)
{
    struct complaint why = {err, err_len};
    struct plugin *p = mem_zalloc(m->mem, sizeof(*p));
    if (!p) {
        snprintf(err, err_len, "%s: no memory", path);
        errno = ENOMEM;
        return -1;
    }
    list_push_head(&m->plugins, &p->node);
    int rc = plugin_start(m, p, path, args, &why);
    if (rc == 0)
        return 0;
    errno = -rc;
    return -1;
}

void plugins_unload(struct mon *m)
{
    struct list_node *n;
    while ((n = list_pop_head(&m->plugins)) != NULL) {
        struct plugin *p = container_of(n, struct plugin, node);
        if (p->fini)
            p->fini(m->ctx);
        if (p->lib)
            dlclose(p->lib);
        mem_free(m->mem, p, sizeof(*p));
    }
}
