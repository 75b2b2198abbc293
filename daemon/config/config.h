/* Settings: one struct, filled from defaults, an options file and the command line, all by the rows of
 * options.def.
 *
 * Place: above base; read by everyone. Flow: config_load, then the settings stand still
 * but for the fields whose row says RUNTIME, which are changed through settings_change only. Thread-safety:
 * fields marked RUNTIME are read with settings_u64; the others never change once threads run. Ownership:
 * strings in the struct are owned by it; settings_fini frees them. */
#ifndef VITRINE_CONFIG_CONFIG_H
#define VITRINE_CONFIG_CONFIG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option_id {
#define OPTION(field, type, short_, long_, default_, min, max, unit, stat, when, group, argument, text)      \
    OPTION_##field,
#include "config/options.def"
    OPTION_COUNT
};

/* Where a value came from at the start; a later one outranks an earlier one. */
enum option_source { OPTION_SOURCE_DEFAULT, OPTION_SOURCE_FILE, OPTION_SOURCE_COMMAND_LINE };

/* C types of the fields, by the type column of options.def. TEXT, WORD and LIST may be NULL: not given. */
#define OPTION_FIELD_FLAG   _Atomic bool
#define OPTION_FIELD_DENIAL _Atomic bool
#define OPTION_FIELD_NUMBER _Atomic uint64_t
#define OPTION_FIELD_SIZE   _Atomic uint64_t
#define OPTION_FIELD_OCTAL  _Atomic uint64_t
#define OPTION_FIELD_COUNT  _Atomic uint64_t
#define OPTION_FIELD_TEXT   char *
#define OPTION_FIELD_LIST   char *
#define OPTION_FIELD_FACTOR _Atomic uint64_t /* thousandths */
#define OPTION_FIELD_WORD   char *

struct settings {
#define OPTION(field, type, short_, long_, default_, min, max, unit, stat, when, group, argument, text)      \
    OPTION_FIELD_##type field;
#include "config/options.def"
    unsigned char source[OPTION_COUNT]; /* enum option_source */
};

/* Reads a field. Relaxed: a setting stands alone; partner: the relaxed store of settings_change. */
#define settings_u64(settings, field)                                                                        \
    ((uint64_t)atomic_load_explicit(&(settings)->field, memory_order_relaxed))
#define settings_on(settings, field) (settings_u64(settings, field) != 0)

enum config_action { CONFIG_RUN, CONFIG_EXIT_OK, CONFIG_EXIT_USAGE };

/* Reads argv (and the file named by --config). Prints help, version, licence or a one-line error itself. */
enum config_action config_load(struct settings *settings, int argc, char **argv);
void settings_init(struct settings *settings); /* the defaults */
void settings_fini(struct settings *settings);

/* Every row, for --help, the man page, `stats settings`, /api/v1/settings and docs. */
struct option_row {
    const char *name; /* long option without dashes */
    char letter;      /* 0: none */
    const char *stat; /* name in `stats settings`, NULL: not shown */
    const char *group, *argument, *text, *unit, *default_text;
    uint64_t min, max;
    bool runtime; /* may be changed while running */
    bool unused;  /* memcached's, without a meaning here; text says why */
};
unsigned option_count(void);
const struct option_row *option_row(unsigned index);
int option_find(const char *name); /* by long name, -1: none */
/* The value as `stats settings` prints it. */
void option_value(const struct settings *settings, unsigned index, char *out, size_t size);
/* The lines of `stats settings`, in memcached's order: the name of one, its value in `value`; NULL after the
 * last. */
const char *settings_stat(const struct settings *settings, unsigned index, char *value, size_t size);
/* The value as one writes it on the command line, in the row's unit. */
void option_text(const struct settings *settings, unsigned index, char *out, size_t size);

/* The file of users for -Y and -S; NULL: anybody is served. */
const char *config_auth_file(const struct settings *settings);

/* Sets one RUNTIME row from text; who must act on it (the store's limit, the log's level) is told by the
 * caller. False with a line in `error` when the name, the value or the moment is wrong. */
bool settings_change(struct settings *settings, const char *name, const char *value, char *error,
                     size_t error_size);

void config_print_help(void);
void config_print_table(void); /* docs/options.md */
void config_print_man(void);   /* roff, to standard output: the man page is generated */

#endif
