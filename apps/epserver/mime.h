/* Content-Type by a file name's extension. */
#ifndef EPSERVER_MIME_H
#define EPSERVER_MIME_H

/* The media type; application/octet-stream for what is not known. Static storage. */
const char *mime_type(const char *name);

#endif
