/* What the files of config share. Thread-safety: only settings_change runs beside other threads; all else
 * is done before they start. */
#ifndef VITRINE_CONFIG_CONFIG_PRIV_H
#define VITRINE_CONFIG_CONFIG_PRIV_H

#include "config/config.h"

#define CONFIG_ERROR_SIZE 512u
/* memcached's own: names the file of users for -S where there is no -Y. */
#define CONFIG_SASL_FILE_VARIABLE "MEMCACHED_SASL_PWDB"

enum option_type {
    OPTION_TYPE_FLAG,
    OPTION_TYPE_DENIAL,
    OPTION_TYPE_NUMBER,
    OPTION_TYPE_SIZE,
    OPTION_TYPE_OCTAL,
    OPTION_TYPE_COUNT,
    OPTION_TYPE_TEXT,
    OPTION_TYPE_LIST,
    OPTION_TYPE_FACTOR,
    OPTION_TYPE_WORD
};

/* A row with what only config needs to know. */
struct option_slot {
    struct option_row row;
    const char *field;
    enum option_type type;
    size_t offset; /* of the field in struct settings */
};
const struct option_slot *option_slot(unsigned index);
bool option_takes_value(const struct option_slot *slot);
bool option_is_flag(const struct option_slot *slot);
bool option_is_text(const struct option_slot *slot); /* kept as a string, not as a number */

enum other_id {
#define OTHER(id, short_, long_, argument, text) OTHER_ID_##id,
#include "config/others.def"
    OTHER_COUNT
};

struct other_row {
    char letter;
    const char *name, *argument, *text;
};
const struct other_row *other_row(unsigned index);

enum extended_kind { EXTENDED_SETS, EXTENDED_SWITCHES };

/* A key of -o. */
struct extended_row {
    const char *key, *option; /* the long name of the row it sets */
    enum extended_kind kind;
};
const struct extended_row *extended_row(unsigned index); /* NULL: past the last */

/* One reading of the command line and its file. */
struct config_reading {
    struct settings *settings;
    enum option_source source; /* of what is being read */
    bool probing;              /* only looks for --config; sets and reports nothing */
    const char *key;           /* the key of -o that is being read; NULL: none */
    const char *file;          /* --config; borrowed from argv */
    enum other_id action;      /* OTHER_ID_help and the like, the first one given; OTHER_COUNT: none */
    char place[320];           /* "" or "FILE:LINE: ", before every message */
    char error[CONFIG_ERROR_SIZE];
};
/* Always false: notes what was wrong. */
bool config_fail(struct config_reading *reading, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Sets one row from text; NULL: the option stood alone. */
bool config_set(struct config_reading *reading, unsigned index, const char *value);
bool config_other(struct config_reading *reading, unsigned index, const char *value);
/* The list of -o. */
bool config_extended(struct config_reading *reading, const char *list);
/* What only the whole can show: a server without a listener and the like. */
bool config_check(struct config_reading *reading);

bool config_read_arguments(struct config_reading *reading, int argc, char **argv);
bool config_read_file(struct config_reading *reading, const char *path);
void config_print_version(void);
void config_print_license(void);

/* Parses and range-checks the number of a row; false with a message. */
bool option_parse(const struct option_slot *slot, const char *text, uint64_t *value, char *error,
                  size_t error_size);

/* Calls `visit` for each group in the order in which help shows them. */
struct option_group {
    const char *id, *title;
};
extern const struct option_group option_groups[];
extern const unsigned option_group_count;

#endif
