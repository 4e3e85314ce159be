#!/usr/bin/env bash
# Conformance: packetdrill's scripts against the stack (docs/conformance.md), where packetdrill is
# installed. PACKETDRILL names the program (default: the one in PATH), PACKETDRILL_SCRIPTS the folder
# of scripts, PACKETDRILL_KNOWN a file of those that are known to fail (default:
# tests/packetdrill/known): a script that fails and is not on it fails the tier, the others are counted
# as skipped.
set -u
cd "$(dirname "$0")/.."
program=${PACKETDRILL:-$(command -v packetdrill || true)}
scripts=${PACKETDRILL_SCRIPTS:-}
if [ -z "$program" ] || [ -z "$scripts" ]; then
    echo "SKIP packetdrill: PACKETDRILL and PACKETDRILL_SCRIPTS name no program and no scripts"
    echo "packetdrill: 0 passed, 0 failed, 1 skipped"
    exit 0
fi
make --no-print-directory -s -j"$(nproc)" VARIANT=packetdrill packetdrill || exit 1
tests/packetdrill/run.sh --known "${PACKETDRILL_KNOWN:-tests/packetdrill/known}" "$program" "$scripts"
