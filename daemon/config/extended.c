/* What -o says: memcached's keys, each setting a row of the options. */
#include "config/config_priv.h"

#include <stdlib.h>
#include <string.h>

static const struct extended_row rows[] = {
#define EXTENDED(key_, option_, kind_) {.key = key_, .option = option_, .kind = EXTENDED_##kind_},
#include "config/extended.def"
};

const struct extended_row *extended_row(unsigned index)
{
    return index < sizeof rows / sizeof *rows ? &rows[index] : NULL;
}

static const struct extended_row *extended_find(const char *key)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].key, key) == 0)
            return &rows[i];
    return NULL;
}

static bool set_switch(struct config_reading *reading, unsigned index, const char *value, bool off)
{
    bool number = !option_is_flag(option_slot(index));
    if (off)
        return config_set(reading, index, number ? "0" : "no");
    return config_set(reading, index, !value && number ? "1" : value);
}

static bool set_by_key(struct config_reading *reading, const struct extended_row *row, const char *value,
                       bool off)
{
    unsigned index = (unsigned)option_find(row->option);
    if (option_is_flag(option_slot(index)) || row->kind == EXTENDED_SWITCHES)
        return set_switch(reading, index, value, off);
    if (off)
        return config_fail(reading, "-o no_%s: only a switch has a no_ form", row->key);
    if (!value)
        return config_fail(reading, "-o %s: needs a value, as %s=1", row->key, row->key);
    return config_set(reading, index, value);
}

static bool extended_one(struct config_reading *reading, const char *key, const char *value)
{
    bool off = strncmp(key, "no_", 3) == 0;
    const struct extended_row *row = extended_find(off ? key + 3 : key);
    if (!row)
        return config_fail(reading, "-o %s: there is no such key; see --help", key);
    reading->key = key;
    bool good = set_by_key(reading, row, value, off);
    reading->key = NULL;
    return good;
}

/* As memcached does, takes an empty list and a comma at the end. */
bool config_extended(struct config_reading *reading, const char *list)
{
    char *copy = strdup(list), *rest = copy;
    bool good = copy || config_fail(reading, "out of memory");
    while (good && rest && *rest) {
        char *key = strsep(&rest, ","), *value = strchr(key, '=');
        if (value)
            *value++ = '\0';
        good = extended_one(reading, key, value);
    }
    free(copy);
    return good;
}
