/*
 * Receive side scaling: devices that hash TCP segments with a key of ours, so that whoever knows
 * the key knows the queue (core/steer.c). A device that will not is left as it is: what it sends
 * to the wrong queue is handed over.
 */
#include "mtcp/io/io_port.h"

#include <rte_ethdev.h>

#include <stdlib.h>
#include <string.h>

/* Does the device say that it hashes TCP with our key? */
static bool has_key(const struct io_port *p, uint8_t len)
{
    uint8_t key[IO_RSS_KEY_MAX] = {0};
    struct rte_eth_rss_conf is = {.rss_key = key, .rss_key_len = sizeof(key)};

    return rte_eth_dev_rss_hash_conf_get(p->id, &is) == 0 && memcmp(key, p->rss_key, len) == 0 &&
           (is.rss_hf & RTE_ETH_RSS_NONFRAG_IPV4_TCP);
}

/* Some take a key when they are configured, some only when they run. */
static bool key_set(struct io_port *p, uint8_t len)
{
    struct rte_eth_rss_conf want = {.rss_key = p->rss_key, .rss_key_len = len, .rss_hf = p->rss_hf};

    return has_key(p, len) || (rte_eth_dev_rss_hash_update(p->id, &want) == 0 && has_key(p, len));
}

void io_rss_confirm(struct io_port *p)
{
    struct rte_eth_dev_info info;

    if (rte_eth_dev_info_get(p->id, &info) != 0 ||
        !key_set(p, info.hash_key_size ? info.hash_key_size : IO_RSS_KEY))
        return;
    for (unsigned i = 0; i < p->n_queues; i++)
        p->queues[i].has_rss = true;
    if (info.reta_size >= RTE_ETH_RETA_GROUP_SIZE && rte_is_power_of_2(info.reta_size))
        p->rss_buckets = info.reta_size;
}

bool io_rss_spread(const struct io_port *p, const uint16_t *queue, unsigned n)
{
    unsigned n_groups = p->rss_buckets / RTE_ETH_RETA_GROUP_SIZE;
    struct rte_eth_rss_reta_entry64 *groups = n_groups ? calloc(n_groups, sizeof(*groups)) : NULL;

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
