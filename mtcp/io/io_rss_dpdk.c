/*
 * Receive side scaling: devices that hash TCP segments with a key of ours, so that whoever knows
 * the key knows the queue (core/steer.c). A device that will not is left as it is: what it sends
 * to the wrong queue is handed over.
 */
#include "mtcp/io/io_port.h"

#include <rte_ethdev.h>

#include <stdlib.h>
#include <string.h>

/* Does the device say that it has the key? Some take one when they are configured, some only now.
 */
static bool has_key(struct io_port *p, uint8_t len)
{
    uint8_t key[IO_RSS_KEY_MAX] = {0};
    struct rte_eth_rss_conf is = {.rss_key = key, .rss_key_len = sizeof(key)};

    if (rte_eth_dev_rss_hash_conf_get(p->id, &is) != 0)
        return false;
    if (memcmp(key, p->rss_key, len) == 0)
        return true;
    struct rte_eth_rss_conf want = {.rss_key = p->rss_key, .rss_key_len = len, .rss_hf = is.rss_hf};
    return rte_eth_dev_rss_hash_update(p->id, &want) == 0 &&
           rte_eth_dev_rss_hash_conf_get(p->id, &is) == 0 && memcmp(key, p->rss_key, len) == 0;
}

void io_rss_confirm(struct io_port *p)
{
    struct rte_eth_dev_info info;

    if (rte_eth_dev_info_get(p->id, &info) != 0 || info.reta_size < RTE_ETH_RETA_GROUP_SIZE ||
        !rte_is_power_of_2(info.reta_size) ||
        !has_key(p, info.hash_key_size ? info.hash_key_size : IO_RSS_KEY))
        return;
    p->rss_buckets = info.reta_size;
    for (unsigned i = 0; i < p->n_queues; i++)
        p->queues[i].has_rss = true;
}

bool io_rss_spread(const struct io_port *p, const uint16_t *queue, unsigned n)
{
    unsigned n_groups = p->rss_buckets / RTE_ETH_RETA_GROUP_SIZE;
    struct rte_eth_rss_reta_entry64 *groups = calloc(n_groups, sizeof(*groups));

    for (unsigned i = 0; groups != NULL && i < p->rss_buckets; i++) {
        struct rte_eth_rss_reta_entry64 *g = &groups[i / RTE_ETH_RETA_GROUP_SIZE];
        g->mask = UINT64_MAX;
        g->reta[i % RTE_ETH_RETA_GROUP_SIZE] = queue[i & (n - 1)];
    }
    bool is_done =
        groups != NULL && rte_eth_dev_rss_reta_update(p->id, groups, (uint16_t)p->rss_buckets) == 0;
    free(groups);
    return is_done;
}
