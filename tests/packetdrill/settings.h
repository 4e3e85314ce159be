/*
 * The scripts' settings: a folder with one file per sysctl, named and written as those in
 * /proc/sys/net/ipv4, becomes the stack's configuration, and again whenever a file has changed.
 * What scripts say with other commands lies beside them (command.sh): device_tso, route_initcwnd.
 */
#ifndef TESTS_PACKETDRILL_SETTINGS_H
#define TESTS_PACKETDRILL_SETTINGS_H

#include <mtcp_api.h>

#include <stdbool.h>
#include <stddef.h>

/* Writes keys of mos.conf(5) for the folder's files to `text`, each "key = value\n", cut at `room`.
 * folder NULL: nothing. */
void settings_text(const char *folder, char *text, size_t room);

/* Takes over what has changed in the folder since the last call, for new connections. */
void settings_apply(mctx_t mctx, const char *folder);

/* Writes there what nstat is to say (command.sh). */
void settings_report(mctx_t mctx, const char *folder);

#endif
