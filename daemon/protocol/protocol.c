/* The process's and the workers' part of the protocol, and what belongs to no command. */
#include "protocol/protocol_priv.h"
#include "protocol/watch_priv.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

/* The largest expiry that counts from now; above it is a Unix time. */
#define EXPTIME_RELATIVE_MAX (60 * 60 * 24 * 30)

const struct dialect *const dialects[DIALECT_COUNT] = {
    [DIALECT_TEXT] = &text_dialect, [DIALECT_META] = &meta_dialect, [DIALECT_BINARY] = &binary_dialect};

const char *protocol_version(void)
{
    return PROTOCOL_MEMCACHED_VERSION " vitrine/" VITRINE_VERSION;
}

int32_t protocol_exptime_cut(int64_t exptime)
{
    return (int32_t)(uint32_t)exptime;
}

uint32_t protocol_expiry(int64_t exptime)
{
    int32_t seconds = protocol_exptime_cut(exptime);
    if (seconds < 0)
        return STORE_EXPIRED_S;
    return protocol_expiry_unsigned((uint32_t)seconds);
}

uint32_t protocol_expiry_unsigned(uint32_t exptime)
{
    if (exptime == 0)
        return STORE_NEVER_S;
    return exptime <= EXPTIME_RELATIVE_MAX ? clock_s() + exptime : clock_from_wall_s(exptime);
}

/* -B. Whatever begins neither like ascii nor like binary is sniffed: config has refused all else. */
static enum session_speech speech_of(const char *protocol)
{
    if (protocol != NULL && strcmp(protocol, "ascii") == 0)
        return SPEECH_TEXT;
    if (protocol != NULL && strcmp(protocol, "binary") == 0)
        return SPEECH_BINARY;
    return SPEECH_UNKNOWN;
}

static void commands_declare(struct metrics *metrics)
{
    static const char *const names[] = {
#define COMMAND(id, kin, class, tokens, execute, mode, count, hit, miss, badval, summary) #id,
#include "protocol/commands.def"
    };
    static const uint8_t kin[] = {
#define COMMAND(id, kin, class, tokens, execute, mode, count, hit, miss, badval, summary) COMMAND_##kin,
#include "protocol/commands.def"
    };
    metrics_commands_declare(metrics, names, kin, COMMAND_COUNT);
}

struct protocol *protocol_create(struct settings *settings, struct store *store, struct metrics *metrics,
                                 const struct protocol_host *host)
{
    struct protocol *protocol = calloc(1, sizeof *protocol);
    if (protocol == NULL)
        return NULL;
    const char *delimiter = settings->prefix_delimiter;
    protocol->prefixes = prefixes_create(delimiter != NULL ? delimiter[0] : ':');
    protocol->watchers = watchers_create(protocol);
    if (protocol->prefixes == NULL || protocol->watchers == NULL) {
        watchers_destroy(protocol->watchers);
        prefixes_destroy(protocol->prefixes);
        free(protocol);
        return NULL;
    }
    prefixes_enable(protocol->prefixes, settings_on(settings, detail));
    protocol->settings = settings;
    protocol->cas_hidden = settings_on(settings, no_cas);
    protocol->speaks = (uint8_t)speech_of(settings->protocol);
    protocol->store = store;
    protocol->metrics = metrics;
    if (host != NULL)
        protocol->host = *host;
    protocol->auth = protocol->host.auth;
    protocol->sasl = settings_on(settings, sasl);
    command_index_build(&protocol->commands);
    commands_declare(metrics);
    metrics_probe_register(metrics, counters_probe, protocol);
    metrics_probe_register(metrics, watchers_probe, protocol->watchers);
    return protocol;
}

void protocol_stop(struct protocol *protocol)
{
    if (protocol != NULL)
        watchers_stop(protocol->watchers);
}

void protocol_destroy(struct protocol *protocol)
{
    if (protocol == NULL)
        return;
    metrics_probe_remove(protocol->metrics, watchers_probe, protocol->watchers);
    metrics_probe_remove(protocol->metrics, counters_probe, protocol);
    watchers_destroy(protocol->watchers);
    prefixes_destroy(protocol->prefixes);
    free(protocol);
}

struct protocol_thread *protocol_thread_create(struct protocol *protocol, struct store_thread *store,
                                               struct metrics_block *block)
{
    struct protocol_thread *thread = calloc(1, sizeof *thread);
    if (thread == NULL)
        return NULL;
    thread->protocol = protocol;
    thread->store = store;
    thread->block = block;
    thread->prefixes = prefixes_thread_create(protocol->prefixes);
    if (thread->prefixes == NULL) {
        free(thread);
        return NULL;
    }
    return thread;
}

void protocol_thread_destroy(struct protocol_thread *thread)
{
    free(thread);
}
