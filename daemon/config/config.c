/* Settings: their defaults, their changes while running, and the reading of file and command line in order.
 */
#include "config/config.h"

#include "base/log.h"
#include "config/config_priv.h"

#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define THREADS_MAX 64u

/* The CPUs this process may run on: a server pinned to one core gets one worker. */
static uint64_t cpu_count(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return 1;
    uint64_t count = (uint64_t)CPU_COUNT(&set);
    return count > THREADS_MAX ? THREADS_MAX : count;
}

void settings_init(struct settings *settings)
{
    memset(settings, 0, sizeof *settings);
    struct config_reading reading = {.settings = settings, .source = OPTION_SOURCE_DEFAULT};
    for (unsigned i = 0; i < OPTION_COUNT; i++) {
        const char *text = option_row(i)->default_text;
        if (text && !config_set(&reading, i, text))
            log_error("options.def: %s", reading.error);
    }
    settings->threads = cpu_count();
}

void settings_fini(struct settings *settings)
{
    for (unsigned i = 0; i < OPTION_COUNT; i++) {
        const struct option_slot *slot = option_slot(i);
        char **text = (char **)((char *)settings + slot->offset);
        if (!option_is_text(slot))
            continue;
        free(*text);
        *text = NULL;
    }
}

bool settings_change(struct settings *settings, const char *name, const char *value, char *error,
                     size_t error_size)
{
    int index = option_find(name);
    if (index < 0) {
        snprintf(error, error_size, "there is no setting of that name");
        return false;
    }
    const struct option_slot *slot = option_slot((unsigned)index);
    if (!slot->row.runtime) {
        snprintf(error, error_size, "cannot be changed while running: restart with --%s", slot->row.name);
        return false;
    }
    uint64_t number;
    if (!option_parse(slot, value, &number, error, error_size))
        return false;
    char *at = (char *)settings + slot->offset;
    /* Relaxed: a setting stands alone; partner: settings_u64. */
    if (option_is_flag(slot))
        atomic_store_explicit((_Atomic bool *)at, number != 0, memory_order_relaxed);
    else
        atomic_store_explicit((_Atomic uint64_t *)at, number, memory_order_relaxed);
    return true;
}

bool config_fail(struct config_reading *reading, const char *format, ...)
{
    if (reading->probing)
        return false;
    int wrote = snprintf(reading->error, sizeof reading->error, "%s", reading->place);
    size_t at = (size_t)wrote < sizeof reading->error ? (size_t)wrote : 0;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reading->error + at, sizeof reading->error - at, format, arguments);
    va_end(arguments);
    return false;
}

/* An item must leave room for others: at most half the memory, as in memcached. Given, it is refused; the
 * default gives way. */
static bool check_item_size(struct config_reading *reading)
{
    struct settings *settings = reading->settings;
    uint64_t most = settings->memory_limit << 19;
    if (settings->item_size_max <= most)
        return true;
    if (settings->source[OPTION_item_size_max] != OPTION_SOURCE_DEFAULT)
        return config_fail(reading, "-I (--max-item-size): must be at most half of -m, %lluk here",
                           (unsigned long long)most >> 10);
    settings->item_size_max = most;
    return true;
}

/* TLS needs a certificate and a TCP port, and says so when it has what it needs and is not asked for. */
static bool check_tls(struct config_reading *reading)
{
    struct settings *settings = reading->settings;
    if (!settings_on(settings, enable_ssl)) {
        if (settings->ssl_chain_cert || settings->ssl_key || settings->ssl_ca_cert)
            log_info("-o ssl_*: no effect without -Z");
        return true;
    }
    if (settings->port == 0)
        return config_fail(reading, "-Z (--enable-ssl): needs a TCP port, not -p 0");
    if (!settings->ssl_chain_cert)
        return config_fail(reading, "-Z (--enable-ssl): needs -o ssl_chain_cert=FILE");
    return true;
}

/* Both LRU lists together leave room for the third, as in memcached. */
static bool check_lru(struct config_reading *reading)
{
    const struct settings *settings = reading->settings;
    if (settings->hot_lru_pct + settings->warm_lru_pct > 80)
        return config_fail(reading, "-o hot_lru_pct and warm_lru_pct: must be at most 80 percent together");
    if (!settings->lru_maintainer && settings->source[OPTION_temporary_ttl] != OPTION_SOURCE_DEFAULT)
        return config_fail(reading, "-o temporary_ttl: cannot be given with no_lru_maintainer");
    return true;
}

/* memcached advises against more and takes them; here there are no more. */
static void limit_threads(struct settings *settings)
{
    if (settings->threads <= THREADS_MAX)
        return;
    log_warn("-t %llu: serves with %u worker threads, the most there are",
             (unsigned long long)settings->threads, THREADS_MAX);
    settings->threads = THREADS_MAX;
}

static bool set_protocol(struct config_reading *reading, const char *name)
{
    char *copy = strdup(name);
    if (!copy)
        return config_fail(reading, "out of memory");
    free(reading->settings->protocol);
    reading->settings->protocol = copy;
    return true;
}

/* One of -S and -Y alone leaves one protocol, as in memcached; -B cannot ask for the other. Both together
 * leave both, each with its own way to authenticate. */
static bool check_one_protocol(struct config_reading *reading, const char *option, const char *name)
{
    const struct settings *settings = reading->settings;
    bool given = settings->source[OPTION_protocol] != OPTION_SOURCE_DEFAULT;
    if (given && strcmp(settings->protocol, name) != 0)
        return config_fail(reading, "%s leaves the %s protocol alone: -B (--protocol) must be %s", option,
                           name, name);
    return set_protocol(reading, name);
}

static bool check_access(struct config_reading *reading)
{
    const struct settings *settings = reading->settings;
    const char *file = settings->auth_file;
    if (!settings->sasl && !file)
        return true;
    if (settings->udp_port > 0)
        return config_fail(reading, "-U (--udp-port): UDP knows no users and cannot be served beside %s",
                           file ? "-Y (--auth-file)" : "-S (--enable-sasl)");
    if (!file && !getenv(CONFIG_SASL_FILE_VARIABLE))
        return config_fail(reading,
                           "-S (--enable-sasl): needs a file of users: give --auth-file FILE, or name "
                           "it in " CONFIG_SASL_FILE_VARIABLE);
    if (!settings->sasl)
        return check_one_protocol(reading, "-Y (--auth-file)", "ascii");
    return file || check_one_protocol(reading, "-S (--enable-sasl)", "binary");
}

const char *config_auth_file(const struct settings *settings)
{
    if (settings->auth_file || !settings_on(settings, sasl))
        return settings->auth_file;
    return getenv(CONFIG_SASL_FILE_VARIABLE);
}

/* Where it is to be reached. */
static bool check_places(struct config_reading *reading)
{
    struct settings *settings = reading->settings;
    if (settings->udp_port > 0 && settings->source[OPTION_port] == OPTION_SOURCE_DEFAULT)
        settings->port = settings_u64(settings, udp_port); /* as memcached does */
    if (settings->port == 0 && settings->udp_port == 0 && !settings->unix_socket)
        return config_fail(reading,
                           "nothing to listen on: -p 0 turns TCP off, and there is neither -U nor -s");
    if (settings->unix_socket && settings->source[OPTION_listen] != OPTION_SOURCE_DEFAULT)
        log_warn("-s turns TCP off: -l has no effect");
    if (settings->unix_socket && settings->udp_port > 0)
        log_warn("-s turns UDP off: -U has no effect");
    if (settings->enable_ssl && settings->udp_port > 0)
        log_warn("-Z does not hold for UDP: what -U serves can be read and changed on its way");
    return true;
}

bool config_check(struct config_reading *reading)
{
    struct settings *settings = reading->settings;
    limit_threads(settings);
    if (settings->napi_ids > settings->threads && settings->source[OPTION_threads] != OPTION_SOURCE_DEFAULT)
        return config_fail(reading, "-N (--napi-ids): must be at most -t, %llu here",
                           (unsigned long long)settings->threads);
    return check_places(reading) && check_tls(reading) && check_item_size(reading) && check_lru(reading) &&
           check_access(reading);
}

static bool read_all(struct config_reading *reading, int argc, char **argv)
{
    reading->probing = true;
    reading->source = OPTION_SOURCE_COMMAND_LINE;
    config_read_arguments(reading, argc, argv);
    reading->probing = false;
    if (reading->file && !config_read_file(reading, reading->file))
        return false;
    reading->source = OPTION_SOURCE_COMMAND_LINE;
    reading->place[0] = '\0';
    return config_read_arguments(reading, argc, argv);
}

static bool act(enum other_id action)
{
    switch (action) {
    case OTHER_ID_help:
        config_print_help();
        return true;
    case OTHER_ID_table:
        config_print_table();
        return true;
    case OTHER_ID_man:
        config_print_man();
        return true;
    case OTHER_ID_version:
        config_print_version();
        return true;
    case OTHER_ID_license:
        config_print_license();
        return true;
    default:
        return false;
    }
}

enum config_action config_load(struct settings *settings, int argc, char **argv)
{
    struct config_reading reading = {.settings = settings, .action = OTHER_COUNT};
    settings_init(settings);
    bool good = read_all(&reading, argc, argv);
    if (good && act(reading.action))
        return CONFIG_EXIT_OK;
    if (good && config_check(&reading))
        return CONFIG_RUN;
    fprintf(stderr, "vitrine: %s\n", reading.error);
    return CONFIG_EXIT_USAGE;
}
