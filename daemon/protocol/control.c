/* Commands on the server itself. Each reads its own words; what they answer is memcached's. */
#include "protocol/protocol_priv.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>

#define WORDS_MAX          6u
#define VERBOSITY_MAX      2u
#define MEMLIMIT_MIN_MIB   8u
#define MEMLIMIT_MAX_MIB   1000000000u
#define REFRESH_ERROR_SIZE 4600u /* a path and what is wrong with it */
/* Class ids in commands, as memcached numbers them: 1 to 63. */
#define CLASS_ID_MAX 63
/* What memcached takes for the window of its page mover. */
#define AUTOMOVE_WINDOW_MIN_S 3u
#define AUTOMOVE_WINDOW_MAX_S 1800u

/* The words behind the command. */
struct words {
    struct token at[WORDS_MAX];
    unsigned count;
};

static struct words words_of(const struct request *request)
{
    struct words words;
    words.count = text_tokens(request->words, request->words_size, words.at, WORDS_MAX);
    return words;
}

static bool word_is(const struct words *words, unsigned index, const char *text)
{
    return index < words->count && token_is(&words->at[index], text);
}

static bool word_u32(const struct words *words, unsigned index, uint32_t *number)
{
    return index < words->count && number_parse_u32(words->at[index].data, words->at[index].size, number);
}

static bool word_i64(const struct words *words, unsigned index, int64_t *number)
{
    return index < words->count && number_parse_i64(words->at[index].data, words->at[index].size, number);
}

static bool word_double(const struct words *words, unsigned index, double *number)
{
    char text[32];
    if (index >= words->count || words->at[index].size >= sizeof text)
        return false;
    memcpy(text, words->at[index].data, words->at[index].size);
    text[words->at[index].size] = '\0';
    char *end;
    *number = strtod(text, &end);
    return *end == '\0' && end != text;
}

static void outcome_say(struct outcome *outcome, enum result result, const char *text)
{
    outcome->result = result;
    outcome->text = text;
}

/* When the items go: as the words say or, where there are none, the request's expiry. */
CONTROL(flush_all)
{
    (void)key;
    struct words words = words_of(request);
    int64_t delay = 0;
    uint32_t at_s = request->expiry_s;
    if (settings_on(thread->protocol->settings, no_flush))
        outcome_say(outcome, RESULT_REFUSED, "CLIENT_ERROR flush_all not allowed");
    else if (words.count > request->noreply && !word_i64(&words, 0, &delay))
        outcome->result = RESULT_BAD_EXPIRY;
    else if (protocol_exptime_cut(delay) > 0)
        at_s = protocol_expiry(delay);
    if (outcome->result == RESULT_OK)
        store_flush(thread->store, at_s != STORE_NEVER_S ? at_s : clock_s());
}

CONTROL(noop)
{
    (void)thread, (void)request, (void)key, (void)outcome;
}

CONTROL(version)
{
    (void)thread, (void)request, (void)key;
    outcome->text = "VERSION " PROTOCOL_MEMCACHED_VERSION " vitrine/" VITRINE_VERSION;
}

CONTROL(mn)
{
    (void)thread, (void)request, (void)key;
    outcome->text = "MN";
}

CONTROL(verbosity)
{
    (void)key;
    struct words words = words_of(request);
    uint32_t level;
    if (!word_u32(&words, 0, &level)) {
        outcome->result = RESULT_BAD_FORMAT;
        return;
    }
    if (level > VERBOSITY_MAX)
        level = VERBOSITY_MAX;
    /* Relaxed: a setting stands alone; partner: settings_u64. */
    atomic_store_explicit(&thread->protocol->settings->verbose, level, memory_order_relaxed);
    log_level_set((enum log_level)(LOG_LEVEL_INFO + level));
}

CONTROL(quit)
{
    (void)thread, (void)request, (void)key;
    outcome->close = true;
}

CONTROL(shutdown)
{
    (void)key;
    struct protocol *protocol = thread->protocol;
    struct words words = words_of(request);
    bool graceful = words.count == 1 && word_is(&words, 0, "graceful");
    if (!settings_on(protocol->settings, enable_shutdown)) {
        outcome_say(outcome, RESULT_REFUSED, "SERVER_ERROR: shutdown not enabled");
    } else if (words.count > 0 && !graceful) {
        outcome_say(outcome, RESULT_BAD_FORMAT, "CLIENT_ERROR invalid shutdown mode");
    } else {
        outcome->close = true;
        if (protocol->host.shutdown != NULL)
            protocol->host.shutdown(protocol->host.context, graceful);
    }
}

CONTROL(cache_memlimit)
{
    (void)key;
    struct protocol *protocol = thread->protocol;
    struct words words = words_of(request);
    uint32_t limit;
    if (!word_u32(&words, 0, &limit)) {
        outcome->result = RESULT_UNKNOWN;
    } else if (limit < MEMLIMIT_MIN_MIB) {
        outcome_say(outcome, RESULT_REFUSED, "MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m");
    } else if (limit > MEMLIMIT_MAX_MIB) {
        outcome_say(outcome, RESULT_REFUSED, "MEMLIMIT_ADJUST_FAILED input value is megabytes not bytes");
    } else if (!store_memory_limit_set(protocol->store, (size_t)limit << 20)) {
        outcome_say(outcome, RESULT_REFUSED, "MEMLIMIT_ADJUST_FAILED out of bounds or unable to adjust");
    } else {
        /* Relaxed: a setting stands alone; partner: settings_u64. */
        atomic_store_explicit(&protocol->settings->memory_limit, limit, memory_order_relaxed);
    }
}

/* ---- mechanisms of memcached's that have no counterpart: the arguments are checked, nothing is done ---- */

/* There are no pages to move between classes. */
static void slabs_reassign(const struct words *words, struct outcome *outcome)
{
    int64_t from, to;
    if (!word_i64(words, 1, &from) || !word_i64(words, 2, &to))
        outcome->result = RESULT_BAD_FORMAT;
    else if (from == to)
        outcome_say(outcome, RESULT_REFUSED, "SAME src and dst class are identical");
    else if (from < -1 || from > CLASS_ID_MAX || to < 0 || to > CLASS_ID_MAX)
        outcome_say(outcome, RESULT_REFUSED, "BADCLASS invalid src or dst class id");
    else
        outcome_say(outcome, RESULT_REFUSED, "NOSPARE source class has no spare pages");
}

static void slabs_window(const struct words *words, struct outcome *outcome)
{
    uint32_t seconds;
    if (!word_u32(words, 2, &seconds))
        outcome->result = RESULT_BAD_FORMAT;
    else if (seconds < AUTOMOVE_WINDOW_MIN_S || seconds > AUTOMOVE_WINDOW_MAX_S)
        outcome_say(outcome, RESULT_BAD_FORMAT, "CLIENT_ERROR automove window too low or too high");
    else
        outcome->result = RESULT_OK;
}

static void slabs_automove(const struct words *words, struct outcome *outcome)
{
    uint32_t number;
    double ratio;
    if (word_is(words, 1, "ratio") || word_is(words, 1, "freeratio"))
        outcome->result = word_double(words, 2, &ratio) ? RESULT_OK : RESULT_UNKNOWN;
    else if (word_is(words, 1, "window"))
        slabs_window(words, outcome);
    else if (!word_u32(words, 1, &number))
        outcome->result = RESULT_BAD_FORMAT;
    else
        outcome->result = number <= 2 ? RESULT_OK : RESULT_UNKNOWN;
}

CONTROL(slabs)
{
    (void)thread, (void)key;
    struct words words = words_of(request);
    if (words.count == 3 && word_is(&words, 0, "reassign"))
        slabs_reassign(&words, outcome);
    else if (words.count >= 2 && word_is(&words, 0, "automove"))
        slabs_automove(&words, outcome);
    else
        outcome->result = RESULT_UNKNOWN;
}

static void lru_tune(const struct words *words, struct outcome *outcome)
{
    uint32_t hot, warm;
    double hot_factor, warm_factor;
    if (!word_u32(words, 1, &hot) || !word_u32(words, 2, &warm) || !word_double(words, 3, &hot_factor) ||
        !word_double(words, 4, &warm_factor))
        outcome->result = RESULT_UNKNOWN;
    else if ((uint64_t)hot + warm > 80)
        outcome_say(outcome, RESULT_REFUSED, "ERROR hot and warm pcts must not exceed 80");
    else if (!(hot_factor > 0 && warm_factor > 0))
        outcome_say(outcome, RESULT_REFUSED, "ERROR hot/warm age factors must be greater than 0");
}

CONTROL(lru)
{
    (void)thread, (void)key;
    struct words words = words_of(request);
    int64_t ttl;
    if (words.count >= 5 && word_is(&words, 0, "tune"))
        lru_tune(&words, outcome);
    else if (word_is(&words, 0, "mode") && (word_is(&words, 1, "flat") || word_is(&words, 1, "segmented")))
        outcome->result = RESULT_OK;
    else if (word_is(&words, 0, "temp_ttl") && word_i64(&words, 1, &ttl))
        outcome->result = RESULT_OK;
    else
        outcome->result = RESULT_UNKNOWN;
}

CONTROL(refresh_certs)
{
    const struct protocol_host *host = &thread->protocol->host;
    char error[REFRESH_ERROR_SIZE] = "Error TLS not enabled";
    (void)request, (void)key;
    if (host->refresh_certificates != NULL && host->refresh_certificates(host->context, error, sizeof error))
        return;
    outcome->result = RESULT_REFUSED;
    buffer_text(&outcome->reply, error);
    buffer_text(&outcome->reply, "\r\n");
}
