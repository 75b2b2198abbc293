/* `stats` and its subcommands, in the words of the text protocol. */
#include "protocol/dump_priv.h"

#include "base/clock.h"

#include <string.h>

#define WORDS_MAX 4u
/* Classes are numbered below this in commands, as in memcached. */
#define CLASS_ID_LIMIT 64u
struct stats_reply {
    struct buffer *buffer;
    const struct request *request;
};

static void reply_stat(void *arg, const char *name, const char *value)
{
    struct stats_reply *reply = arg;
    dialects[reply->request->dialect]->stat(reply->buffer, reply->request, name, value);
}

static void stats_group(struct protocol_thread *thread, const struct request *request, const char *group,
                        struct outcome *outcome)
{
    struct stats_reply reply = {&outcome->reply, request};
    protocol_stats(thread->protocol, group, reply_stat, &reply);
    dialects[request->dialect]->stat_end(&outcome->reply, request);
}

static void detail_set(struct protocol_thread *thread, bool on)
{
    struct protocol *protocol = thread->protocol;
    /* Relaxed: a setting stands alone; partner: settings_on. */
    atomic_store_explicit(&protocol->settings->detail, on, memory_order_relaxed);
    prefixes_enable(protocol->prefixes, on);
    thread->observed = observed_now(thread);
}

static void detail_dump(struct protocol_thread *thread, const struct request *request,
                        struct outcome *outcome)
{
    const struct dialect *dialect = dialects[request->dialect];
    struct buffer lines = {0};
    prefixes_dump(thread->protocol->prefixes, &lines);
    buffer_append(&lines, "", 1);
    if (lines.failed)
        outcome->reply.failed = true;
    else
        dialect->stat_lines(&outcome->reply, request, lines.data);
    dialect->stat_end(&outcome->reply, request);
    buffer_fini(&lines);
}

static void stats_detail(struct protocol_thread *thread, const struct request *request,
                         const struct token *words, unsigned count, struct outcome *outcome)
{
    struct protocol *protocol = thread->protocol;
    if (settings_on(protocol->settings, no_dump)) {
        outcome->result = RESULT_REFUSED;
        outcome->text = "CLIENT_ERROR stats detail not allowed";
    } else if (count > 1 && token_is(&words[1], "on")) {
        detail_set(thread, true);
    } else if (count > 1 && token_is(&words[1], "off")) {
        detail_set(thread, false);
    } else if (count > 1 && token_is(&words[1], "dump")) {
        detail_dump(thread, request, outcome);
    } else {
        outcome->result = RESULT_BAD_FORMAT;
        outcome->text = "CLIENT_ERROR usage: stats detail on|off|dump";
    }
}

/* ---- cachedump ---- */

static void stats_cachedump(struct protocol_thread *thread, const struct token *words, unsigned count,
                            struct outcome *outcome)
{
    uint32_t class_id, limit;
    outcome->result = RESULT_BAD_FORMAT;
    if (settings_on(thread->protocol->settings, no_dump)) {
        outcome->result = RESULT_REFUSED;
        outcome->text = "CLIENT_ERROR stats cachedump not allowed";
    } else if (count < 3) {
        outcome->text = "CLIENT_ERROR bad command line";
    } else if (!number_parse_u32(words[1].data, words[1].size, &class_id) ||
               !number_parse_u32(words[2].data, words[2].size, &limit)) {
        return;
    } else if (class_id >= CLASS_ID_LIMIT) {
        outcome->text = "CLIENT_ERROR Illegal slab id";
    } else {
        outcome->result = RESULT_OK;
        outcome->task = dump_begin_cache(class_id, limit);
        outcome->reply.failed = outcome->task == NULL;
    }
}

/* ---- the command ---- */

static void stats_reset(struct protocol_thread *thread, struct outcome *outcome)
{
    metrics_reset(thread->protocol->metrics);
    prefixes_clear(thread->protocol->prefixes);
    outcome->text = "RESET";
}

/* The group of a subcommand; NULL: none. */
static const char *group_named(const struct token *word)
{
    static const char *const groups[] = {"settings", "items", "slabs", "sizes", "conns"};
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
        if (token_is(word, groups[i]))
            return groups[i];
    return NULL;
}

CONTROL(stats)
{
    (void)key;
    struct token words[WORDS_MAX];
    unsigned count = text_tokens(request->words, request->words_size, words, WORDS_MAX);
    const char *group = count == 0 ? "" : group_named(&words[0]);
    if (group != NULL)
        stats_group(thread, request, group, outcome);
    else if (token_is(&words[0], "reset"))
        stats_reset(thread, outcome);
    else if (token_is(&words[0], "detail"))
        stats_detail(thread, request, words, count, outcome);
    else if (token_is(&words[0], "cachedump"))
        stats_cachedump(thread, words, count, outcome);
    else
        outcome->result = RESULT_UNKNOWN;
}
