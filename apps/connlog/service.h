/* Which protocol the first bytes of a connection speak, by the names that Zeek has for them. */
#ifndef CONNLOG_SERVICE_H
#define CONNLOG_SERVICE_H

#include <stddef.h>

/* So many first bytes of one side are enough to tell. */
#define SERVICE_BYTES 16

enum service_answer { SERVICE_UNKNOWN, SERVICE_NEEDS_MORE, SERVICE_KNOWN };

/*
 * The first n bytes of what one host sent.
 *
 *   name     set when known: "http", "ssl" (TLS) or "ssh"
 *   returns  SERVICE_NEEDS_MORE while they may still become one of these
 */
enum service_answer service_guess(const char *bytes, size_t n, const char **name);

#endif
