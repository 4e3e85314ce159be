/*
 * Runs the simulation over many seeds.
 *
 *   sim [-v] FIRST [COUNT]     each seed is a run; -v prints a line per run
 *   sim bulk MB                MB megabytes each way over one bad link, of IPv4, then of IPv6
 *   sim flood COUNT            so many spoofed SYNs for a server that serves
 *   sim goodput [FILE]         the table of goodput; with a FILE: compared with the one in it
 *
 * Exit status 0 when every check of every run held and, over at least 200 runs, everything that the
 * simulation is for was seen at least once.
 */
#include "tests/sim/sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned check_seen(const struct sim_seen *s)
{
    const struct {
        const char *what;
        uint64_t n;
    } must[] = {
        {"drops", s->drops},
        {"out-of-order arrivals", s->ooo},
        {"overlaps", s->overlaps},
        {"ring resizes", s->resizes},
        {"timeouts", s->rtos},
        {"zero-window probes", s->zero_windows},
        {"resets", s->resets},
        {"fast retransmits", s->fast_rexmits},
        {"events", s->events},
        {"inconsistent overlaps", s->inconsistent},
        {"of them rewritten", s->rewritten},
        {"resets that are none", s->forged_resets},
        {"ECN reductions", s->ecn_reductions},
        {"windows taken back", s->shrunk},
        {"packets of fragments", s->reassembled},
        {"paths found smaller", s->mtu_lowered},
        {"SYN cookies", s->cookies},
        {"Fast Opens", s->fastopens},
        {"bytes lent", s->lent},
        {"connections asleep", s->dozed},
    };
    unsigned missing = 0;
    for (size_t i = 0; i < sizeof(must) / sizeof(must[0]); i++) {
        printf("%s%llu %s", i ? ", " : "sim saw: ", (unsigned long long)must[i].n, must[i].what);
        missing += must[i].n == 0;
    }
    printf("\n");
    return missing;
}

int main(int argc, char **argv)
{
    struct sim_seen seen = {0};
    if (argc == 3 && strcmp(argv[1], "bulk") == 0) {
        uint64_t bytes = strtoull(argv[2], NULL, 0) * 1000000;
        int n_ok = sim_run_bulk(bytes, false, &seen) + sim_run_bulk(bytes, true, &seen);
        printf("sim: %d passed, %d failed\n", n_ok, 2 - n_ok);
        return n_ok != 2;
    }
    if (argc == 3 && strcmp(argv[1], "flood") == 0)
        return !flood_run(strtoull(argv[2], NULL, 0));
    if (argc > 1 && strcmp(argv[1], "goodput") == 0)
        return !goodput_table(argc > 2 ? argv[2] : NULL);
    bool verbose = argc > 1 && strcmp(argv[1], "-v") == 0;
    int at = verbose ? 2 : 1;
    bool is_spared = argc > at && strcmp(argv[at], "spared") == 0;
    at += is_spared;
    if (argc <= at) {
        fprintf(stderr, "usage: sim [-v] [spared] FIRST [COUNT], sim bulk MB, sim flood COUNT, "
                        "or sim goodput [FILE]\n");
        return 2;
    }
    uint64_t first = strtoull(argv[at], NULL, 0);
    uint64_t count = argc > at + 1 ? strtoull(argv[at + 1], NULL, 0) : 1;
    uint64_t failed = 0;
    for (uint64_t i = 0; i < count; i++)
        if (!(is_spared ? sim_run_spared : sim_run)(first + i, verbose, &seen))
            failed++;
    unsigned missing = count >= 200 && !is_spared ? check_seen(&seen) : 0;
    if (missing)
        fprintf(stderr, "sim: %u things were never seen: the simulation is too tame\n", missing);
    printf("sim: %llu passed, %llu failed\n", (unsigned long long)(count - failed),
           (unsigned long long)(failed + missing));
    return failed || missing;
}
