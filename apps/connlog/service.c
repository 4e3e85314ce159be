#include "apps/connlog/service.h"

#include <stdbool.h>
#include <string.h>

/* What a client or a server of the protocol begins with. */
static const struct {
    const char *name, *start;
} starts[] = {
    {"http", "GET "},     {"http", "HEAD "},   {"http", "POST "},    {"http", "PUT "},
    {"http", "DELETE "},  {"http", "PATCH "},  {"http", "OPTIONS "}, {"http", "TRACE "},
    {"http", "CONNECT "}, {"http", "HTTP/1."}, {"ssh", "SSH-2.0-"},  {"ssh", "SSH-1."},
};

/* A record of TLS with a handshake message, of any version (RFC 8446 5.1), that is a ClientHello or
 * a ServerHello. */
static enum service_answer tls_guess(const unsigned char *b, size_t n)
{
    if (n > 0 && b[0] != 22)
        return SERVICE_UNKNOWN;
    if (n > 1 && b[1] != 3)
        return SERVICE_UNKNOWN;
    if (n > 2 && b[2] > 4)
        return SERVICE_UNKNOWN;
    if (n > 5)
        return b[5] == 1 || b[5] == 2 ? SERVICE_KNOWN : SERVICE_UNKNOWN;
    return SERVICE_NEEDS_MORE;
}

enum service_answer service_guess(const char *bytes, size_t n, const char **name)
{
    enum service_answer best = tls_guess((const unsigned char *)bytes, n);

    *name = "ssl";
    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]) && best != SERVICE_KNOWN; i++) {
        size_t len = strlen(starts[i].start);
        if (memcmp(bytes, starts[i].start, n < len ? n : len) != 0)
            continue;
        best = n < len ? SERVICE_NEEDS_MORE : SERVICE_KNOWN;
        *name = starts[i].name;
    }
    return best;
}
