#include "apps/common/lines.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool lines_read(const char *path, line_taker take, void *arg, char *err, size_t err_len)
{
    char *line = NULL;
    size_t room = 0;
    const char *wrong = NULL, *word = "";
    FILE *in = fopen(path, "re");

    if (in == NULL) {
        snprintf(err, err_len, "%s: %s", path, strerror(errno));
        return false;
    }
    for (unsigned n = 1; wrong == NULL && getline(&line, &room, in) >= 0; n++)
        if ((wrong = take(arg, line, n, &word)) != NULL)
            snprintf(err, err_len, "%s:%u: '%s' %s", path, n, word, wrong);
    if (wrong == NULL && ferror(in)) {
        wrong = strerror(errno);
        snprintf(err, err_len, "%s: %s", path, wrong);
    }
    free(line);
    fclose(in);
    return wrong == NULL;
}
