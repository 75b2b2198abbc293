/* `lru_crawler`: dumps of all keys; and the words that tune a crawler, which has no counterpart here: they
 * are checked and answered as memcached would. */
#include "protocol/dump_priv.h"

#include <string.h>

#define WORDS_MAX    4u
#define SLEEP_MAX_US 1000000u
#define CLASS_ID_MAX 63u

struct words {
    struct token at[WORDS_MAX];
    unsigned count;
};

static bool word_is(const struct words *words, unsigned index, const char *text)
{
    return index < words->count && token_is(&words->at[index], text);
}

static void say(struct outcome *outcome, enum result result, const char *text)
{
    outcome->result = result;
    outcome->text = text;
}

/* "all", "hash" or class ids with commas between. False: BADCLASS. */
static bool classes_read(const struct token *word, uint64_t *classes)
{
    const char *at = word->data, *end = word->data + word->size;
    *classes = DUMP_CLASSES_ALL;
    if (token_is(word, "all") || token_is(word, "hash"))
        return true;
    *classes = 0;
    while (at < end) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        const char *id_end = comma == NULL ? end : comma;
        uint32_t id;
        if (id_end > at && (!number_parse_u32(at, (size_t)(id_end - at), &id) || id < 1 || id > CLASS_ID_MAX))
            return false;
        if (id_end > at)
            *classes |= 1ull << id;
        at = id_end + 1;
    }
    return true;
}

/* What keeps a crawl or a dump of these classes from beginning; NULL: nothing. */
static const char *obstacle(const struct protocol *protocol, const struct token *word, uint64_t *classes)
{
    if (!classes_read(word, classes))
        return "BADCLASS invalid class id";
    if (dump_running(protocol))
        return "BUSY currently processing crawler request";
    return *classes == 0 ? "NOTSTARTED no items to crawl" : NULL;
}

/* There is nothing to crawl for: expired items are taken back always. */
static void crawl(const struct protocol *protocol, const struct token *word, struct outcome *outcome)
{
    uint64_t classes;
    const char *text =
        token_is(word, "hash") ? "ERROR an unknown error happened" : obstacle(protocol, word, &classes);
    if (text != NULL)
        say(outcome, RESULT_REFUSED, text);
}

static void dump(struct protocol_thread *thread, enum dump_form form, const struct token *word,
                 struct outcome *outcome)
{
    uint64_t classes;
    const char *text = obstacle(thread->protocol, word, &classes);
    if (text != NULL) {
        say(outcome, RESULT_REFUSED, text);
        return;
    }
    switch (dump_begin(thread, form, classes, &outcome->task)) {
    case DUMP_OK:
        return;
    case DUMP_BUSY:
        say(outcome, RESULT_REFUSED, "BUSY currently processing crawler request");
        return;
    case DUMP_FAILED:
        say(outcome, RESULT_REFUSED, "ERROR an unknown error happened");
        return;
    }
}

static const struct {
    const char *not_allowed, *not_alone;
} dump_texts[] = {
    [DUMP_META] = {"ERROR metadump not allowed", "ERROR cannot pipeline other commands before metadump"},
    [DUMP_MG] = {"ERROR key dump not allowed", "ERROR cannot pipeline other commands before mgdump"}};

static void dump_if_may(struct protocol_thread *thread, const struct request *request, enum dump_form form,
                        const struct token *word, struct outcome *outcome)
{
    enum task_place place = task_place(thread, request);
    if (settings_on(thread->protocol->settings, no_dump))
        say(outcome, RESULT_REFUSED, dump_texts[form].not_allowed);
    else if (place == TASK_BEHIND)
        say(outcome, RESULT_REFUSED, dump_texts[form].not_alone);
    else if (place == TASK_BEHIND_KEYS)
        outcome->again = true;
    else
        dump(thread, form, word, outcome);
}

static void tune(const struct words *words, struct outcome *outcome)
{
    uint32_t number;
    if (!number_parse_u32(words->at[1].data, words->at[1].size, &number))
        outcome->result = RESULT_BAD_FORMAT;
    else if (word_is(words, 0, "sleep") && number > SLEEP_MAX_US)
        say(outcome, RESULT_BAD_FORMAT, "CLIENT_ERROR sleep must be one second or less");
}

/* Relaxed: a setting stands alone; partner: settings_on. */
static void enable(struct settings *settings, bool on, struct outcome *outcome)
{
    bool was_on = atomic_exchange_explicit(&settings->lru_crawler, on, memory_order_relaxed);
    if (on && was_on)
        say(outcome, RESULT_REFUSED, "ERROR failed to start lru crawler thread");
}

CONTROL(lru_crawler)
{
    (void)key;
    struct settings *settings = thread->protocol->settings;
    struct words words;
    words.count = text_tokens(request->words, request->words_size, words.at, WORDS_MAX);
    bool walks =
        word_is(&words, 0, "crawl") || word_is(&words, 0, "metadump") || word_is(&words, 0, "mgdump");
    if (words.count == 2 && walks && !settings_on(settings, lru_crawler))
        say(outcome, RESULT_REFUSED, "CLIENT_ERROR lru crawler disabled");
    else if (words.count == 2 && word_is(&words, 0, "crawl"))
        crawl(thread->protocol, &words.at[1], outcome);
    else if (words.count == 2 && walks)
        dump_if_may(thread, request, word_is(&words, 0, "mgdump") ? DUMP_MG : DUMP_META, &words.at[1],
                    outcome);
    else if (words.count == 2 && (word_is(&words, 0, "sleep") || word_is(&words, 0, "tocrawl")))
        tune(&words, outcome);
    else if (words.count == 1 && (word_is(&words, 0, "enable") || word_is(&words, 0, "disable")))
        enable(settings, word_is(&words, 0, "enable"), outcome);
    else
        outcome->result = RESULT_UNKNOWN;
}
