#!/usr/bin/env bash
# The devices behind the burst interface, for real: tests/dpdk/.
set -u
cd "$(dirname "$0")/.."
make --no-print-directory -s -j"$(nproc)" VARIANT=debug dpdk-tools || exit 1
B=build/debug exec tests/dpdk/t_io_dpdk.sh
