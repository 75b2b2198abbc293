/* The rows of options.def and others.def as data, and their values as text. */
#include "base/number.h"
#include "config/config_priv.h"

#include <stdio.h>
#include <string.h>

#define FACTOR_ONE 1000u /* a FACTOR is kept in thousandths */

enum option_when { RUNTIME, RESTART, NEVER };

static const struct option_slot slots[] = {
#define OPTION(field_, type_, short_, long_, default_, min_, max_, unit_, stat_, when_, group_, argument_,   \
               text_)                                                                                        \
    {.row = {.name = long_,                                                                                  \
             .letter = short_,                                                                               \
             .stat = stat_,                                                                                  \
             .group = group_,                                                                                \
             .argument = argument_,                                                                          \
             .text = text_,                                                                                  \
             .unit = unit_,                                                                                  \
             .default_text = default_,                                                                       \
             .min = min_,                                                                                    \
             .max = max_,                                                                                    \
             .runtime = when_ == RUNTIME,                                                                    \
             .unused = when_ == NEVER},                                                                      \
     .field = #field_,                                                                                       \
     .type = OPTION_TYPE_##type_,                                                                            \
     .offset = offsetof(struct settings, field_)},
#include "config/options.def"
};

static const struct other_row others[] = {
#define OTHER(id, short_, long_, argument_, text_)                                                           \
    {.letter = short_, .name = long_, .argument = argument_, .text = text_},
#include "config/others.def"
};

const struct option_group option_groups[] = {
    {"network", "Network"}, {"tls", "TLS"},           {"connections", "Connections"},
    {"memory", "Memory"},   {"commands", "Commands"}, {"observe", "Observation"},
    {"process", "Process"},
};
const unsigned option_group_count = sizeof option_groups / sizeof *option_groups;

unsigned option_count(void)
{
    return OPTION_COUNT;
}

const struct option_slot *option_slot(unsigned index)
{
    return &slots[index];
}

const struct option_row *option_row(unsigned index)
{
    return &slots[index].row;
}

const struct other_row *other_row(unsigned index)
{
    return &others[index];
}

bool option_is_flag(const struct option_slot *slot)
{
    return slot->type == OPTION_TYPE_FLAG || slot->type == OPTION_TYPE_DENIAL;
}

bool option_is_text(const struct option_slot *slot)
{
    return slot->type == OPTION_TYPE_TEXT || slot->type == OPTION_TYPE_LIST || slot->type == OPTION_TYPE_WORD;
}

bool option_takes_value(const struct option_slot *slot)
{
    return !option_is_flag(slot) && slot->type != OPTION_TYPE_COUNT;
}

/* Is `name` this word, taking '_' and '-' for the same? */
static bool same_word(const char *name, const char *word)
{
    for (; *name && *word; name++, word++)
        if (*name != *word && !(*name == '_' && *word == '-') && !(*name == '-' && *word == '_'))
            return false;
    return *name == *word;
}

int option_find(const char *name)
{
    for (unsigned i = 0; i < OPTION_COUNT; i++)
        if (same_word(slots[i].row.name, name) || same_word(slots[i].field, name))
            return (int)i;
    return -1;
}

/* ---- values to text ---- */

static uint64_t number_of(const struct settings *settings, const struct option_slot *slot)
{
    const char *at = (const char *)settings + slot->offset;
    /* Relaxed: a setting stands alone; partner: the relaxed store of settings_change. */
    if (option_is_flag(slot))
        return atomic_load_explicit((const _Atomic bool *)at, memory_order_relaxed);
    return atomic_load_explicit((const _Atomic uint64_t *)at, memory_order_relaxed);
}

static const char *text_of(const struct settings *settings, const struct option_slot *slot)
{
    char *const *at = (char *const *)((const char *)settings + slot->offset);
    return *at;
}

/* memcached answers yes or no, but for evictions, which are on or off. */
static const char *stat_word(const struct option_slot *slot, bool on)
{
    if (slot->type == OPTION_TYPE_DENIAL)
        on = !on;
    if (strcmp(slot->row.stat ? slot->row.stat : "", "evictions") == 0)
        return on ? "on" : "off";
    return on ? "yes" : "no";
}

static void number_text(const struct option_slot *slot, uint64_t value, char *out, size_t size)
{
    if (slot->type == OPTION_TYPE_FACTOR)
        snprintf(out, size, "%.*f", (int)strlen(slot->row.unit) - 2, (double)value / FACTOR_ONE);
    else
        snprintf(out, size, slot->type == OPTION_TYPE_OCTAL ? "%llo" : "%llu", (unsigned long long)value);
}

/* `stats settings` tells every size in bytes. */
static uint64_t bytes_of(const char *unit)
{
    return strcmp(unit, "MiB") == 0 ? 1u << 20 : strcmp(unit, "KiB") == 0 ? 1u << 10 : 1;
}

/* Where `stats settings` has another word for a number: OpenSSL's flags, and the versions' names. */
static const char *stat_number_word(unsigned index, uint64_t value)
{
    static const char *const verify_modes[] = {"0", "1", "3", "7"};
    static const char *const versions[] = {"tlsv1.0", "tlsv1.1", "tlsv1.2", "tlsv1.3"};
    if (index == OPTION_ssl_verify_mode)
        return verify_modes[value];
    return index == OPTION_ssl_min_version ? versions[value] : NULL;
}

void option_value(const struct settings *settings, unsigned index, char *out, size_t size)
{
    const struct option_slot *slot = &slots[index];
    if (option_is_text(slot)) {
        const char *text = text_of(settings, slot);
        snprintf(out, size, "%s", text ? text : index == OPTION_auth_file ? "no" : "NULL");
    } else if (option_is_flag(slot)) {
        snprintf(out, size, "%s", stat_word(slot, number_of(settings, slot) != 0));
    } else if (stat_number_word(index, number_of(settings, slot))) {
        snprintf(out, size, "%s", stat_number_word(index, number_of(settings, slot)));
    } else {
        number_text(slot, number_of(settings, slot) * bytes_of(slot->row.unit), out, size);
    }
}

void option_text(const struct settings *settings, unsigned index, char *out, size_t size)
{
    const struct option_slot *slot = &slots[index];
    if (option_is_text(slot)) {
        const char *text = text_of(settings, slot);
        snprintf(out, size, "%s", text ? text : "");
    } else if (option_is_flag(slot)) {
        snprintf(out, size, "%s", number_of(settings, slot) ? "yes" : "no");
    } else {
        number_text(slot, number_of(settings, slot), out, size);
    }
}

/* The lines of `stats settings`: a row's value, or a fact. */
static const struct {
    const char *name; /* NULL: a row that is not shown there */
    int option;       /* -1: a fact */
    const char *fact;
} stat_lines[] = {
#define OPTION(field_, type_, short_, long_, default_, min_, max_, unit_, stat_, when_, group_, argument_,   \
               text_)                                                                                        \
    {.name = stat_, .option = OPTION_##field_},
#define SAME(stat_, field_) {.name = stat_, .option = OPTION_##field_},
#define FACT(stat_, text_)  {.name = stat_, .option = -1, .fact = text_},
#include "config/options.def"
};

/* Which line is the `index`th of those that are shown; -1: none. */
static int stat_line(unsigned index)
{
    for (size_t i = 0; i < sizeof stat_lines / sizeof *stat_lines; i++)
        if (stat_lines[i].name && index-- == 0)
            return (int)i;
    return -1;
}

const char *settings_stat(const struct settings *settings, unsigned index, char *value, size_t size)
{
    int line = stat_line(index);
    if (line < 0)
        return NULL;
    if (stat_lines[line].option >= 0)
        option_value(settings, (unsigned)stat_lines[line].option, value, size);
    else
        snprintf(value, size, "%s", stat_lines[line].fact);
    return stat_lines[line].name;
}

/* ---- text to numbers ---- */

/* "512k", "1m", "1g" or plain bytes. */
static bool parse_size(const char *text, uint64_t *value)
{
    static const char suffixes[] = "kmgKMG";
    size_t size = strlen(text);
    const char *suffix = size ? strchr(suffixes, text[size - 1]) : NULL;
    unsigned shift = suffix ? 10u * (unsigned)((suffix - suffixes) % 3 + 1) : 0;
    return number_parse_u64(text, size - (suffix != NULL), value) &&
           !__builtin_mul_overflow(*value, (uint64_t)1 << shift, value);
}

static bool parse_octal(const char *text, uint64_t *value)
{
    if (*text == '\0' || strlen(text) > 6)
        return false;
    for (*value = 0; *text; text++) {
        if (*text < '0' || *text > '7')
            return false;
        *value = *value * 8 + (uint64_t)(*text - '0');
    }
    return true;
}

/* "1.25", in thousandths; what is finer is cut off. */
static bool parse_factor(const char *text, uint64_t *value)
{
    size_t whole = strcspn(text, "."), places = strlen(text) - whole;
    uint64_t fraction = 0;
    if (places > 1 && strspn(text + whole + 1, "0123456789") != places - 1)
        return false;
    for (size_t i = 1; i <= 3; i++)
        fraction = fraction * 10 + (i < places ? (uint64_t)(text[whole + i] - '0') : 0);
    *value = 0;
    if (whole > 0 ? !number_parse_u64(text, whole, value) : places < 2)
        return false;
    return !__builtin_mul_overflow(*value, (uint64_t)FACTOR_ONE, value) &&
           !__builtin_add_overflow(*value, fraction, value);
}

static bool parse_flag(const char *text, uint64_t *value)
{
    static const char *const words[] = {"no", "yes", "off", "on", "false", "true", "0", "1"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(text, words[i]) == 0) {
            *value = i % 2;
            return true;
        }
    }
    return false;
}

static bool parse_by_type(const struct option_slot *slot, const char *text, uint64_t *value)
{
    if (option_is_flag(slot))
        return parse_flag(text, value);
    if (slot->type == OPTION_TYPE_SIZE)
        return parse_size(text, value);
    if (slot->type == OPTION_TYPE_OCTAL)
        return parse_octal(text, value);
    if (slot->type == OPTION_TYPE_FACTOR)
        return parse_factor(text, value);
    return number_parse_u64(text, strlen(text), value);
}

static void explain(const struct option_slot *slot, char *error, size_t size)
{
    const struct option_row *row = &slot->row;
    if (option_is_flag(slot))
        snprintf(error, size, "takes yes or no");
    else if (slot->type == OPTION_TYPE_SIZE)
        snprintf(error, size, "must be a size from %lluk to %llum, as 512k or 1m",
                 (unsigned long long)row->min >> 10, (unsigned long long)row->max >> 20);
    else if (slot->type == OPTION_TYPE_OCTAL)
        snprintf(error, size, "must be an octal mode from %llo to %llo", (unsigned long long)row->min,
                 (unsigned long long)row->max);
    else if (slot->type == OPTION_TYPE_FACTOR)
        snprintf(error, size, "must be a number from %.10g to %.10g", (double)row->min / FACTOR_ONE,
                 (double)row->max / FACTOR_ONE);
    else
        snprintf(error, size, "must be a number from %llu to %llu%s%s", (unsigned long long)row->min,
                 (unsigned long long)row->max, *row->unit ? " " : "", row->unit);
}

bool option_parse(const struct option_slot *slot, const char *text, uint64_t *value, char *error,
                  size_t error_size)
{
    if (parse_by_type(slot, text, value) && *value >= slot->row.min && *value <= slot->row.max)
        return true;
    explain(slot, error, error_size);
    return false;
}
