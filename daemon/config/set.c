/* One option given: the row it sets, and memcached's options that have no row. */
#include "base/log.h"
#include "base/number.h"
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

/* The row as it was given: by its own name or as a key of -o. */
static const char *slot_title(const struct config_reading *reading, const struct option_slot *slot, char *out,
                              size_t size)
{
    if (!reading->key)
        return title(slot->row.letter, slot->row.name, out, size);
    snprintf(out, size, "-o %s", reading->key);
    return out;
}

static bool set_fail(struct config_reading *reading, const struct option_slot *slot, const char *value,
                     const char *what)
{
    char name[64];
    slot_title(reading, slot, name, sizeof name);
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

static bool keep_text(struct config_reading *reading, const struct option_slot *slot, const char *value)
{
    char **at = (char **)((char *)reading->settings + slot->offset), *copy = strdup(value);
    if (!copy)
        return config_fail(reading, "out of memory");
    free(*at);
    *at = copy;
    return true;
}

/* Is `value` one of the words of `list`, which have `separator` between them? */
static bool is_word_of(const char *list, const char *separator, const char *value)
{
    size_t size = strlen(value);
    for (const char *at = list; *at; at += strcspn(at, separator), at += *at == *separator)
        if (size > 0 && strcspn(at, separator) == size && strncmp(at, value, size) == 0)
            return true;
    return false;
}

static bool set_word(struct config_reading *reading, const struct option_slot *slot, const char *value)
{
    char what[128];
    if (is_word_of(slot->row.unit, " ", value))
        return keep_text(reading, slot, value);
    snprintf(what, sizeof what, "must be one of: %s", slot->row.unit);
    return set_fail(reading, slot, value, what);
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
    return keep_text(reading, slot, value);
}

/* A list grows with each time it is given, but a source replaces what a lower one said. */
static bool set_list(struct config_reading *reading, const struct option_slot *slot, const char *value,
                     bool replace)
{
    char **at = (char **)((char *)reading->settings + slot->offset), *joined;
    if (*value == '\0')
        return set_fail(reading, slot, value, "must name at least one");
    replace = replace || !*at;
    if (!replace && is_word_of(*at, ",", value))
        return true; /* as in memcached, what is named twice counts once */
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

/* "100-200-300": each a number greater than the one before. */
static bool are_rising_sizes(const char *text)
{
    uint64_t size, before = 0;
    for (;; text += strcspn(text, "-") + 1, before = size) {
        if (!number_parse_u64(text, strcspn(text, "-"), &size) || size <= before)
            return false;
        if (text[strcspn(text, "-")] == '\0')
            return true;
    }
}

/* What holds for one option alone, beyond its type and range. `value` may be rewritten to the form kept. */
static bool check_row(struct config_reading *reading, unsigned index, const char **value)
{
    if (index == OPTION_prefix_delimiter && reading->source != OPTION_SOURCE_DEFAULT)
        reading->settings->detail = true; /* memcached's -D asks for the detail too */
    if (index == OPTION_slab_sizes && !are_rising_sizes(*value))
        return set_fail(reading, option_slot(index), *value, "must be rising sizes, as 100-200-300");
    if (index != OPTION_protocol || strcmp(*value, "auto-negotiate") == 0 || strcmp(*value, "ascii") == 0 ||
        strcmp(*value, "binary") == 0)
        return true;
    if (strcmp(*value, "auto") != 0)
        return set_fail(reading, option_slot(index), *value, "must be auto, ascii or binary");
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
    if (slot->type == OPTION_TYPE_WORD)
        return set_word(reading, slot, value);
    if (slot->type == OPTION_TYPE_LIST)
        return set_list(reading, slot, value, replace);
    return set_number(reading, slot, value);
}

static void say_unused(const struct config_reading *reading, unsigned index)
{
    char name[64];
    slot_title(reading, option_slot(index), name, sizeof name);
    log_info("%s%s has no meaning here: %s", reading->place, name, option_row(index)->text);
}

bool config_set(struct config_reading *reading, unsigned index, const char *value)
{
    if (reading->probing)
        return true;
    if (!set_value(reading, index, value))
        return false;
    if (option_row(index)->unused && reading->settings->source[index] != reading->source)
        say_unused(reading, index);
    if (index == OPTION_modern && !reading->settings->modern)
        reading->settings->maxconns_fast = reading->settings->lru_crawler = false; /* older defaults */
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
    if (reading->probing && index != OTHER_ID_config)
        return true;
    return act_on(reading, (enum other_id)index, value);
}
