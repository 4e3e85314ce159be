/*
 * The check of the text. Grammar:
 *
 *   text      = { statement }
 *   statement = NAME "=" value | NAME [TITLE] "{" { statement } "}"
 *   value     = WORD | "{" [ WORD { "," WORD } ] "}"
 *   WORD      = letters, digits and _.:/-  |  "text with \" and \\"  |  'text'
 *
 * Comments: # and // to the end of the line, / * to * /.
 */
#include "mtcp/core/config_scan.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int config_complain(const struct config_err *err, unsigned line, const char *name, const char *fmt,
                    ...)
{
    int n = snprintf(err->text, err->len, "%s:%u: %s: ", err->file, line, name);
    if (n < 0 || (size_t)n >= err->len)
        return -EINVAL;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(err->text + n, err->len - (size_t)n, fmt, ap);
    va_end(ap);
    return -EINVAL;
}

#define COMPLAIN(s, name, ...) config_complain(&(s)->err, (s)->line, name, __VA_ARGS__)

/* ---- characters and words -------------------------------------------------------------------- */

static int peek(const struct config_scan *s)
{
    return s->at < s->len ? (unsigned char)s->text[s->at] : -1;
}

static bool looks_at(const struct config_scan *s, const char *what)
{
    size_t n = strlen(what);
    return s->len - s->at >= n && memcmp(s->text + s->at, what, n) == 0;
}

/* Over a comment's character, which becomes a blank. */
static void blank_out(struct config_scan *s)
{
    s->line += peek(s) == '\n';
    if (peek(s) != '\n')
        s->text[s->at] = ' ';
    s->at++;
}

static void skip_line(struct config_scan *s)
{
    while (peek(s) >= 0 && peek(s) != '\n')
        blank_out(s);
}

static int skip_comment(struct config_scan *s)
{
    unsigned begun = s->line;
    blank_out(s);
    blank_out(s);
    while (!looks_at(s, "*/")) {
        if (peek(s) < 0) {
            s->line = begun;
            return COMPLAIN(s, "/*", "this comment has no end; write */");
        }
        blank_out(s);
    }
    blank_out(s);
    blank_out(s);
    return 0;
}

/* Over blanks and comments. 0 or -EINVAL. */
static int skip_blank(struct config_scan *s)
{
    for (;;) {
        int c = peek(s);
        if (c == '#' || looks_at(s, "//")) {
            skip_line(s);
        } else if (looks_at(s, "/*")) {
            if (skip_comment(s) < 0)
                return -EINVAL;
        } else if (c > 0 && strchr(" \t\r\n", c)) {
            s->line += c == '\n';
            s->at++;
        } else {
            return 0;
        }
    }
}

static bool is_word_char(int c)
{
    return c > 0 && c < 0x80 && (isalnum(c) || strchr("_.:/-", c));
}

static int read_quoted(struct config_scan *s, char *word)
{
    char quote = s->text[s->at++];
    size_t n = 0;
    for (;;) {
        int c = peek(s);
        if (c < 0 || c == '\n')
            return COMPLAIN(s, "text", "the closing %c is missing on this line", quote);
        if (c == '$' && quote == '"' && looks_at(s, "${"))
            return COMPLAIN(s, "${", "variables are not expanded; write the value itself");
        s->at++;
        if (c == quote)
            break;
        if (c == '\\' && peek(s) != quote && peek(s) != '\\')
            return COMPLAIN(s, "\\", "only \\\\ and \\%c may follow; write \\\\", quote);
        if (c == '\\')
            c = s->text[s->at++];
        if (n + 1 >= CONFIG_WORD_MAX)
            return COMPLAIN(s, "text", "longer than %d bytes", CONFIG_WORD_MAX - 1);
        word[n++] = (char)c;
    }
    word[n] = '\0';
    return 0;
}

/* A name, title or value. */
static int read_word(struct config_scan *s, char word[CONFIG_WORD_MAX])
{
    if (peek(s) == '"' || peek(s) == '\'')
        return read_quoted(s, word);
    size_t n = 0;
    while (is_word_char(peek(s)) && !looks_at(s, "//") && !looks_at(s, "/*")) {
        if (n + 1 >= CONFIG_WORD_MAX)
            return COMPLAIN(s, "text", "longer than %d bytes", CONFIG_WORD_MAX - 1);
        word[n++] = s->text[s->at++];
    }
    if (peek(s) == '/' || (n > 0 && word[0] == '/'))
        return COMPLAIN(s, "/",
                        "put text that begins with it, or with // or /* in it, in double "
                        "quotes");
    /* libconfuse takes these as part of the word, where here a comment or a text would begin */
    if (n > 0 && peek(s) > 0 && strchr("#\"'", peek(s)))
        return COMPLAIN(s, (char[]){(char)peek(s), '\0'},
                        "put a space before it, or the whole in double quotes");
    word[n] = '\0';
    if (n > 0)
        return 0;
    int c = peek(s);
    if (c < 0)
        return COMPLAIN(s, "end of file", "a name or value is missing");
    char shown[2] = {(char)(c > ' ' && c < 0x7f ? c : '?'), '\0'};
    return COMPLAIN(s, shown,
                    "a name or value is expected here; put text with other characters "
                    "in double quotes");
}

/* ---- what was seen --------------------------------------------------------------------------- */

static int note_place(struct config_scan *s, struct config_place p)
{
    for (size_t i = 0; p.key && i < s->n_places; i++) {
        const struct config_place *q = &s->places[i];
        if (q->sec == p.sec && q->instance == p.instance && q->key == p.key)
            return COMPLAIN(s, p.key->name, "already set in line %u; remove one", q->line);
    }
    if (s->n_places == s->room) {
        size_t room = s->room ? 2 * s->room : 64;
        struct config_place *grown = realloc(s->places, room * sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        s->places = grown;
        s->room = room;
    }
    s->places[s->n_places++] = p;
    return 0;
}

static int note_section(struct config_scan *s, enum config_sec sec, const char *title)
{
    const char *name = config_sec_name(sec);
    if (sec == SEC_MOS ? s->n_secs[sec] > 0 : s->n_titles == CONFIG_SECS_MAX)
        return COMPLAIN(
            s, name, sec == SEC_MOS ? "there is one already; put all in one" : "too many sections");
    struct config_place p = {sec, NULL, s->n_secs[sec]++, s->line};
    if (sec == SEC_MOS)
        return note_place(s, p);
    if (title[0] == '\0' || strlen(title) >= sizeof(s->titles[0]))
        return COMPLAIN(s, name, "its title must have 1 to %zu characters",
                        sizeof(s->titles[0]) - 1);
    for (unsigned i = 0; i < s->n_titles; i++)
        if (s->title_sec[i] == sec && strcmp(s->titles[i], title) == 0)
            return COMPLAIN(s, name, "there is a %s \"%s\" already; remove one", name, title);
    strcpy(s->titles[s->n_titles], title);
    s->title_sec[s->n_titles++] = sec;
    return note_place(s, p);
}

/* ---- statements ------------------------------------------------------------------------------ */

static int complain_unknown(struct config_scan *s, enum config_sec in, const char *name)
{
    const char *instead = config_replacement(in, name);
    if (instead)
        return COMPLAIN(s, name, "not in this format; write instead: %s", instead);
    const char *near = config_nearest(in, name);
    if (near)
        return COMPLAIN(s, name, "unknown; did you mean %s?", near);
    return COMPLAIN(s, name, "unknown; mos.conf(5) lists what %s may hold",
                    in == SEC_TOP ? "the file" : config_sec_name(in));
}

/* { WORD, WORD } from its opening brace on. */
static int scan_list(struct config_scan *s, const struct config_key *key)
{
    char word[CONFIG_WORD_MAX];
    for (;;) {
        s->at++; /* the brace, or the comma */
        if (skip_blank(s) < 0 || read_word(s, word) < 0 || skip_blank(s) < 0)
            return -EINVAL;
        if (peek(s) == '}')
            break;
        if (peek(s) != ',')
            return COMPLAIN(s, key->name, "is not separated; write %s = {VALUE, VALUE}",
                            key->name);
    }
    s->at++;
    return 0;
}

static int scan_value(struct config_scan *s, const struct config_key *key)
{
    char word[CONFIG_WORD_MAX];
    s->at++; /* the equals sign */
    if (skip_blank(s) < 0)
        return -EINVAL;
    if (peek(s) == '{' && strcmp(key->name, "address") == 0)
        return scan_list(s, key);
    return read_word(s, word);
}

static int scan_statements(struct config_scan *s, enum config_sec sec);

/* NAME was read; TITLE "{" ... "}" follow. */
static int scan_section(struct config_scan *s, enum config_sec sec)
{
    const char *name = config_sec_name(sec);
    char title[CONFIG_WORD_MAX] = "";
    unsigned begun = s->line;
    if (peek(s) != '{' && read_word(s, title) < 0)
        return -EINVAL;
    if (sec == SEC_MOS && title[0])
        return COMPLAIN(s, name, "has no title; write mos {");
    if (sec == SEC_NETDEV && !title[0])
        return COMPLAIN(s, name,
                        "not in this format; write instead: netdev \"NAME\" { device = \"DEVICE\" "
                        "address = \"ADDR/LEN\" } for each device");
    if (skip_blank(s) < 0)
        return -EINVAL;
    if (peek(s) != '{')
        return COMPLAIN(s, name, "{ is missing after its name");
    int err = note_section(s, sec, title);
    if (err < 0)
        return err;
    s->at++;
    err = scan_statements(s, sec);
    if (err < 0)
        return err;
    if (peek(s) != '}') {
        s->line = begun;
        return COMPLAIN(s, name, "its closing } is missing");
    }
    s->at++;
    return 0;
}

static int scan_statement(struct config_scan *s, enum config_sec in)
{
    char name[CONFIG_WORD_MAX];
    if (read_word(s, name) < 0)
        return -EINVAL;
    enum config_sec sec = config_sec_find(in, name);
    const struct config_key *key = config_key_find(in, name);
    if (sec == SEC_N && !key)
        return complain_unknown(s, in, name);
    unsigned line = s->line;
    if (skip_blank(s) < 0)
        return -EINVAL;
    if (sec != SEC_N && peek(s) != '=')
        return scan_section(s, sec);
    if (!key || peek(s) != '=')
        return COMPLAIN(s, name,
                        key ? "= is missing; write %s = VALUE" : "is a section; write %s {", name);
    int err = note_place(s, (struct config_place){in, key, s->n_secs[in] - 1, line});
    return err < 0 ? err : scan_value(s, key);
}

/* Up to the closing brace or the end of the text. */
static int scan_statements(struct config_scan *s, enum config_sec sec)
{
    for (;;) {
        if (skip_blank(s) < 0)
            return -EINVAL;
        if (peek(s) < 0 || peek(s) == '}')
            return 0;
        int err = scan_statement(s, sec);
        if (err < 0)
            return err;
    }
}

int config_scan(struct config_scan *s, char *text, const struct config_err *err)
{
    memset(s, 0, sizeof(*s));
    s->text = text;
    s->len = strlen(text);
    s->line = 1;
    s->err = *err;
    s->n_secs[SEC_TOP] = 1;
    int e = scan_statements(s, SEC_TOP);
    if (e < 0)
        return e;
    if (peek(s) == '}')
        return COMPLAIN(s, "}", "closes nothing; remove it");
    return 0;
}

void config_scan_free(struct config_scan *s)
{
    free(s->places);
    s->places = NULL;
}

unsigned config_scan_line(const struct config_scan *s, enum config_sec sec, unsigned instance,
                          const struct config_key *key)
{
    unsigned line = 1;
    for (size_t i = 0; i < s->n_places; i++) {
        const struct config_place *p = &s->places[i];
        if (p->sec != sec || p->instance != instance || (p->key && p->key != key))
            continue;
        line = p->line;
        if (p->key == key)
            break;
    }
    return line;
}
