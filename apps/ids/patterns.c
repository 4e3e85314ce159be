#include "apps/ids/patterns.h"

#include "apps/common/lines.h"

#include <hs/hs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const actions[] = {
    [IDS_LOG] = "log", [IDS_DROP] = "drop", [IDS_RESET] = "reset"};

const char *ids_action_name(enum ids_action action)
{
    return actions[action];
}

/* ---- a line ---------------------------------------------------------------------------------- */

static bool action_read(struct ids_pattern *p, const char *word)
{
    for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
        if (strcmp(word, actions[i]) == 0) {
            p->action = (enum ids_action)i;
            return true;
        }
    return false;
}

static bool side_read(struct ids_pattern *p, const char *word)
{
    bool is_both = strcmp(word, "both") == 0;

    p->is_for[MOS_SIDE_SVR] = is_both || strcmp(word, "svr") == 0;
    p->is_for[MOS_SIDE_CLI] = is_both || strcmp(word, "cli") == 0;
    return p->is_for[MOS_SIDE_SVR] || p->is_for[MOS_SIDE_CLI];
}

static bool flags_read(struct ids_pattern *p, const char *letters)
{
    static const struct {
        char letter;
        unsigned flag;
    } known[] = {{'i', HS_FLAG_CASELESS},
                 {'s', HS_FLAG_DOTALL},
                 {'m', HS_FLAG_MULTILINE},
                 {'u', HS_FLAG_UTF8}};

    p->flags = HS_FLAG_SINGLEMATCH; /* a stream is named once */
    for (; *letters != '\0'; letters++) {
        size_t i = 0;
        while (i < sizeof(known) / sizeof(known[0]) && known[i].letter != *letters)
            i++;
        if (i == sizeof(known) / sizeof(known[0]))
            return false;
        p->flags |= known[i].flag;
    }
    return true;
}

/* "/regex/flags" */
static bool regex_read(struct ids_pattern *p, const char *text)
{
    const char *end = strrchr(text, '/');

    if (*text != '/' || end == text || end == text + 1 || !flags_read(p, end + 1))
        return false;
    p->regex = strndup(text + 1, (size_t)(end - text - 1));
    return true;
}

static char *word_next(char **at)
{
    char *word = *at + strspn(*at, " \t");
    char *end = word + strcspn(word, " \t");

    *at = *end != '\0' ? end + 1 : end;
    *end = '\0';
    return word;
}

/* NULL, or what is wrong with the line; *word: what it is about. */
static const char *pattern_parse(struct ids_pattern *p, char *line, const char **word)
{
    *word = word_next(&line);
    if (!action_read(p, *word))
        return "is no action: write log, drop or reset";
    *word = word_next(&line);
    if (!side_read(p, *word))
        return "is no side: write svr, cli or both, who receives the bytes";
    *word = word_next(&line);
    if (**word == '\0' || **word == '/')
        return "is no name: write a word before the pattern";
    p->name = strdup(*word);
    *word = line += strspn(line, " \t");
    if (!regex_read(p, line))
        return "is no pattern: write /regular expression/, and behind it any of i, s, m, u";
    return p->name != NULL && p->regex != NULL ? NULL : "is one too many: no memory";
}

/* ---- a file ---------------------------------------------------------------------------------- */

/* Without what ends it. False: an empty one, or a comment. */
static bool line_tidy(char *line)
{
    size_t n = strlen(line);

    while (n > 0 && strchr(" \t\r\n", line[n - 1]) != NULL)
        line[--n] = '\0';
    line += strspn(line, " \t");
    return *line != '\0' && *line != '#';
}

static struct ids_pattern *pattern_add(struct ids_patterns *p, unsigned line)
{
    struct ids_pattern *list = p->list;

    if ((p->n & (p->n - 1)) == 0) /* full at each power of two */
        list = realloc(p->list, (p->n > 0 ? 2 * p->n : 1) * sizeof(*list));
    if (list == NULL)
        return NULL;
    p->list = list;
    list[p->n] = (struct ids_pattern){.line = line};
    return &list[p->n++];
}

static const char *line_take(void *arg, char *line, unsigned number, const char **word)
{
    if (!line_tidy(line))
        return NULL;
    struct ids_pattern *pattern = pattern_add(arg, number);
    return pattern != NULL ? pattern_parse(pattern, line, word) : "no memory";
}

bool ids_patterns_read(struct ids_patterns *p, const char *path, char *err, size_t err_len)
{
    *p = (struct ids_patterns){0};
    if (!lines_read(path, line_take, p, err, err_len))
        return false;
    snprintf(err, err_len, "%s: no pattern in it", path);
    return p->n > 0;
}

void ids_patterns_free(struct ids_patterns *p)
{
    for (size_t i = 0; i < p->n; i++) {
        free(p->list[i].name);
        free(p->list[i].regex);
    }
    free(p->list);
    *p = (struct ids_patterns){0};
}
