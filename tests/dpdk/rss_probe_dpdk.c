/*
 * Receive side scaling over a device that has it (net_null): does it get our key, and do its
 * buckets lead where they were told to; and is our hash DPDK's, of random flows.
 *
 *     rss_probe      exit status 0, or 1 with what is wrong
 */
#include "mtcp/base/hash.h"
#include "mtcp/io/io.h"

#include <rte_ethdev.h>
#include <rte_thash.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { QUEUES = 3, BUCKETS = 64, FLOWS = 10000 };

static uint8_t key[IO_RSS_KEY];

static void expect(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "rss_probe: %s\n", what);
    exit(1);
}

static void hashes_agree(unsigned n_bytes)
{
    struct hash_toeplitz h;
    uint32_t words[HASH_TOEPLITZ_BYTES / 4];
    uint8_t bytes[HASH_TOEPLITZ_BYTES];

    hash_toeplitz_init(&h, key);
    for (unsigned i = 0; i < FLOWS; i++) {
        for (unsigned k = 0; k < n_bytes; k++)
            bytes[k] = (uint8_t)rand();
        for (unsigned k = 0; k < n_bytes / 4; k++)
            words[k] = (uint32_t)bytes[4 * k] << 24 | (uint32_t)bytes[4 * k + 1] << 16 |
                       (uint32_t)bytes[4 * k + 2] << 8 | bytes[4 * k + 3];
        expect(hash_toeplitz(&h, bytes, n_bytes) == rte_softrss(words, n_bytes / 4, key),
               "a hash is not DPDK's");
    }
}

static void device_has_the_key(uint16_t id)
{
    uint8_t is[64];
    struct rte_eth_rss_conf rss = {.rss_key = is, .rss_key_len = sizeof(is)};

    expect(rte_eth_dev_rss_hash_conf_get(id, &rss) == 0, "the device does not tell its key");
    expect(memcmp(is, key, sizeof(key)) == 0, "the device has another key");
}

static void buckets_lead_to(uint16_t id, const uint16_t *queue)
{
    struct rte_eth_rss_reta_entry64 reta[16] = {0};
    unsigned n = io_dpdk_rss_buckets(0);

    expect(n >= BUCKETS && n <= 16 * RTE_ETH_RETA_GROUP_SIZE, "an odd number of buckets");
    for (unsigned i = 0; i < n / RTE_ETH_RETA_GROUP_SIZE; i++)
        reta[i].mask = UINT64_MAX;
    expect(rte_eth_dev_rss_reta_query(id, reta, (uint16_t)n) == 0, "no table is told");
    for (unsigned i = 0; i < n; i++)
        expect(reta[i / RTE_ETH_RETA_GROUP_SIZE].reta[i % RTE_ETH_RETA_GROUP_SIZE] ==
                   queue[i % BUCKETS],
               "a bucket leads elsewhere");
}

int main(void)
{
    struct io_dev dev = {.name = "n0", .device = "net_null0,no-rx=1", .n_queues = QUEUES};
    struct io_conf conf = {.devs = &dev, .n_devs = 1, .rss_key = key};
    uint16_t queue[BUCKETS], id;
    char err[512];

    for (unsigned i = 0; i < sizeof(key); i++)
        key[i] = (uint8_t)rand();
    hashes_agree(12);
    hashes_agree(36);
    if (io_dpdk_start(&conf, err, sizeof(err)) != 0) {
        fprintf(stderr, "rss_probe: %s\n", err);
        return 1;
    }
    expect(rte_eth_dev_get_port_by_name("net_null0", &id) == 0, "no such device");
    expect(io_dpdk_n_queues(0) == QUEUES, "not all queues");
    device_has_the_key(id);
    for (unsigned i = 0; i < BUCKETS; i++)
        queue[i] = (uint16_t)(i % QUEUES);
    expect(io_dpdk_rss_spread(0, queue, BUCKETS), "the device refuses");
    buckets_lead_to(id, queue);
    io_dpdk_stop();
    return 0;
}
