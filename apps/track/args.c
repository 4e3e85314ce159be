#include "apps/track/args.h"

#include <string.h>

bool arg_next(const char **at, struct arg *a)
{
    const char *word = *at + strspn(*at, " ");
    size_t len = strcspn(word, " ");
    const char *equals = memchr(word, '=', len);

    *at = word + len;
    *a = (struct arg){.word = word, .len = (int)len, .key_len = (int)len};
    if (equals != NULL) {
        a->key_len = (int)(equals - word);
        a->value = equals + 1;
        a->value_len = len - (size_t)a->key_len - 1;
    }
    return len > 0;
}

static bool has_key(const struct arg *a, const char *key)
{
    return (size_t)a->key_len == strlen(key) && memcmp(a->word, key, (size_t)a->key_len) == 0;
}

bool arg_has_value(const struct arg *a, const char *key)
{
    return a->value != NULL && has_key(a, key);
}

bool arg_is_word(const struct arg *a, const char *key)
{
    return a->value == NULL && has_key(a, key);
}

bool arg_equals(const struct arg *a, const char *text)
{
    return a->value != NULL && a->value_len == strlen(text) &&
           memcmp(a->value, text, a->value_len) == 0;
}

bool arg_text(const struct arg *a, char *to, size_t room)
{
    if (a->value == NULL || a->value_len == 0 || a->value_len >= room)
        return false;
    memcpy(to, a->value, a->value_len);
    to[a->value_len] = '\0';
    return true;
}

bool arg_number(const struct arg *a, uint64_t min, uint64_t max, uint64_t *to)
{
    uint64_t n = 0;

    if (a->value == NULL || a->value_len == 0 || a->value_len > 18)
        return false;
    for (size_t i = 0; i < a->value_len; i++) {
        if (a->value[i] < '0' || a->value[i] > '9')
            return false;
        n = n * 10 + (uint64_t)(a->value[i] - '0');
    }
    *to = n;
    return n >= min && n <= max;
}
