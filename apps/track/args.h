/* The args of a plugin: words separated by spaces, each KEY or KEY=VALUE. */
#ifndef TRACK_ARGS_H
#define TRACK_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arg {
    const char *word; /* all of it */
    int len;
    int key_len;
    const char *value; /* behind the first '='; NULL without one */
    size_t value_len;
};

/* The next word; false at the end. *at starts at the text and moves on. */
bool arg_next(const char **at, struct arg *a);

/* Is it KEY=VALUE of that key? Or just the word KEY? */
bool arg_has_value(const struct arg *a, const char *key);
bool arg_is_word(const struct arg *a, const char *key);

/* Is the value this text? */
bool arg_equals(const struct arg *a, const char *text);

/* Copies the value as a string; false when it is empty or has no room. */
bool arg_text(const struct arg *a, char *to, size_t room);

/* The value as a decimal number; false when it is none, or not between min and max. */
bool arg_number(const struct arg *a, uint64_t min, uint64_t max, uint64_t *to);

#endif
