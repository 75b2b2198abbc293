/* One option given: the row it sets, what -o says, and memcached's options that have no row. */
#include "base/log.h"
#include "config/config_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "-p (--port)", or "--idle-timeout" where there is no letter. */
static const char *title(char letter, const char *name, char *out, size_t size)
{
    if (letter)
        snprintf(out, size, "-%c (--%s)", letter, name);
    else
        snprintf(out, size, "--%s", name);
    return out;
}

static bool set_fail(struct config_reading *reading, const struct option_slot *slot, const char *value,
                     const char *what)
{
    char name[64];
    title(slot->row.letter, slot->row.name, name, sizeof name);
    return config_fail(reading, "%s: %s, not \"%s\"", name, what, value);
}

static bool set_number(struct config_reading *reading, const struct option_slot *slot, const char *value)
{
    uint64_t number;
    char what[128];
    if (!option_parse(slot, value, &number, what, sizeof what))
        return set_fail(reading, slot, value, what);
    char *at = (char *)reading->settings + slot->offset;
    if (option_is_flag(slot))
        *(_Atomic bool *)at = number != 0;
    else
        *(_Atomic uint64_t *)at = number;
    return true;
}

static bool set_text(struct config_reading *reading, const struct option_slot *slot, const char *value)
{
    size_t size = strlen(value);
    char what[128];
    if (size < slot->row.min || size > slot->row.max) {
        if (slot->row.max == 1)
            snprintf(what, sizeof what, "must be one character");
        else
            snprintf(what, sizeof what, "must have %llu to %llu characters",
                     (unsigned long long)slot->row.min, (unsigned long long)slot->row.max);
        return set_fail(reading, slot, value, what);
    }
    char **at = (char **)((char *)reading->settings + slot->offset), *copy = strdup(value);
    if (!copy)
        return config_fail(reading, "out of memory");
    free(*at);
    *at = copy;
    return true;
}

/* A list grows with each time it is given, but a source replaces what a lower one said. */
static bool set_list(struct config_reading *reading, const struct option_slot *slot, const char *value,
                     bool replace)
{
    char **at = (char **)((char *)reading->settings + slot->offset), *joined;
    if (*value == '\0')
        return set_fail(reading, slot, value, "must name at least one");
    if (asprintf(&joined, "%s%s%s", replace ? "" : *at, replace ? "" : ",", value) < 0)
        return config_fail(reading, "out of memory");
    free(*at);
    *at = joined;
    return true;
}

/* Each -v counts one; with a value, as in a file, it is that many. */
static bool set_count(struct config_reading *reading, const struct option_slot *slot, const char *value,
                      bool replace)
{
    if (value)
        return set_number(reading, slot, value);
    _Atomic uint64_t *at = (_Atomic uint64_t *)((char *)reading->settings + slot->offset);
    uint64_t count = (replace ? 0 : *at) + 1;
    *at = count > slot->row.max ? slot->row.max : count;
    return true;
}

/* What holds for one option alone, beyond its type and range. `value` may be rewritten to the form kept. */
static bool check_row(struct config_reading *reading, unsigned index, const char **value)
{
    if (index == OPTION_udp_port && strcmp(*value, "0") != 0)
        return set_fail(reading, option_slot(index), *value, "UDP is not built yet: must be 0");
    if (index == OPTION_prefix_delimiter && reading->source != OPTION_SOURCE_DEFAULT)
        reading->settings->detail = true; /* memcached's -D asks for the detail too */
    if (index != OPTION_protocol || strcmp(*value, "auto-negotiate") == 0 || strcmp(*value, "ascii") == 0)
        return true;
    if (strcmp(*value, "binary") == 0)
        return set_fail(reading, option_slot(index), *value,
                        "the binary protocol is not built yet: must be auto or ascii");
    if (strcmp(*value, "auto") != 0)
        return set_fail(reading, option_slot(index), *value, "must be auto or ascii");
    *value = "auto-negotiate";
    return true;
}

static bool set_value(struct config_reading *reading, unsigned index, const char *value)
{
    const struct option_slot *slot = option_slot(index);
    bool replace =
        reading->settings->source[index] != reading->source || reading->source == OPTION_SOURCE_DEFAULT;
    if (option_is_flag(slot))
        return set_number(reading, slot, value ? value : "yes");
    if (slot->type == OPTION_TYPE_COUNT)
        return set_count(reading, slot, value, replace);
    if (!check_row(reading, index, &value))
        return false;
    if (slot->type == OPTION_TYPE_TEXT)
        return set_text(reading, slot, value);
    if (slot->type == OPTION_TYPE_LIST)
        return set_list(reading, slot, value, replace);
    return set_number(reading, slot, value);
}

bool config_set(struct config_reading *reading, unsigned index, const char *value)
{
    if (reading->probing)
        return true;
    if (!set_value(reading, index, value))
        return false;
    reading->settings->source[index] = (unsigned char)reading->source;
    return true;
}

/* ---- options without a row ---- */

static bool act_on(struct config_reading *reading, enum other_id id, const char *value)
{
    if (id == OTHER_ID_extended)
        return config_extended(reading, value);
    if (id == OTHER_ID_config && reading->source == OPTION_SOURCE_FILE)
        return config_fail(reading, "--config: a file cannot name another");
    if (id == OTHER_ID_config)
        reading->file = value;
    else if (reading->action == OTHER_COUNT)
        reading->action = id;
    return true;
}

bool config_other(struct config_reading *reading, unsigned index, const char *value)
{
    const struct other_row *row = other_row(index);
    char name[64];
    if (reading->probing && index != OTHER_ID_config)
        return true;
    title(row->letter, row->name, name, sizeof name);
    if (row->kind == OTHER_UNBUILT)
        return config_fail(reading, "%s: %s is not built yet: start without it", name, row->text);
    if (row->kind == OTHER_UNUSED)
        log_info("%s%s has no meaning here: %s", reading->place, name, row->text);
    return row->kind != OTHER_ACTION || act_on(reading, (enum other_id)index, value);
}

/* ---- -o ---- */

enum extended_kind { EXTENDED_SETS, EXTENDED_UNUSED, EXTENDED_UNBUILT };

struct extended_row {
    const char *key, *option;
    enum extended_kind kind;
};

static const struct extended_row extended[] = {
#define EXTENDED(key_, option_, kind_) {.key = key_, .option = option_, .kind = EXTENDED_##kind_},
#include "config/extended.def"
};

static const struct extended_row *extended_find(const char *key)
{
    for (size_t i = 0; i < sizeof extended / sizeof *extended; i++)
        if (strcmp(extended[i].key, key) == 0)
            return &extended[i];
    return NULL;
}

static bool set_by_key(struct config_reading *reading, const struct extended_row *row, const char *value,
                       bool off)
{
    unsigned index = (unsigned)option_find(row->option);
    bool flag = option_is_flag(option_slot(index));
    if (off && !flag)
        return config_fail(reading, "-o no_%s: only a switch has a no_ form", row->key);
    if (!flag && !value)
        return config_fail(reading, "-o %s: needs a value, as %s=1", row->key, row->key);
    return config_set(reading, index, off ? "no" : value);
}

static bool extended_one(struct config_reading *reading, const char *key, const char *value)
{
    bool off = strncmp(key, "no_", 3) == 0;
    const struct extended_row *row = extended_find(off ? key + 3 : key);
    if (!row)
        return config_fail(reading, "-o %s: there is no such key; see --help", key);
    if (row->kind == EXTENDED_UNBUILT)
        return config_fail(reading, "-o %s: not built yet: start without it", key);
    if (row->kind == EXTENDED_SETS)
        return set_by_key(reading, row, value, off);
    log_info("%s-o %s has no meaning here", reading->place, key);
    return true;
}

bool config_extended(struct config_reading *reading, const char *list)
{
    char *copy = strdup(list), *rest = copy;
    bool good = copy != NULL;
    for (char *key; good && (key = strsep(&rest, ",")) != NULL;) {
        char *value = strchr(key, '=');
        if (value)
            *value++ = '\0';
        good = extended_one(reading, key, value);
    }
    free(copy);
    return good;
}
