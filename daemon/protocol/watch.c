/* `watch`: a connection becomes a watcher of some streams. */
#include "protocol/task_priv.h"
#include "protocol/watch_priv.h"

#include <string.h>

#define WORDS_MAX 32u

static const char *const stream_names[] = {
#define STREAM(id, text) #id,
#include "metrics/streams.def"
};

/* The bit of a stream's word; 0: there is none. */
static uint32_t stream_named(const struct token *word)
{
    for (unsigned i = 0; i < STREAM_COUNT; i++)
        if (token_is(word, stream_names[i]))
            return 1u << i;
    return 0;
}

/* The streams that the words name, fetchers when there are none; 0: one is no stream. */
static uint32_t streams_of(const struct request *request)
{
    struct token words[WORDS_MAX];
    unsigned count = text_tokens(request->words, request->words_size, words, WORDS_MAX);
    uint32_t streams = count == 0 ? 1u << STREAM_fetchers : 0;
    for (unsigned i = 0; i < count; i++) {
        uint32_t stream = i < WORDS_MAX ? stream_named(&words[i]) : 0;
        if (stream == 0)
            return 0;
        streams |= stream;
    }
    return streams;
}

static void refuse(struct outcome *outcome, const char *text)
{
    outcome->result = RESULT_REFUSED;
    outcome->text = text;
}

static void begin(struct protocol_thread *thread, uint32_t streams, struct outcome *outcome)
{
    switch (watchers_add(thread->protocol->watchers, streams, thread->client, &outcome->task)) {
    case WATCHERS_OK:
        return;
    case WATCHERS_TOO_MANY:
        refuse(outcome, "WATCHER_TOO_MANY log watcher limit reached");
        return;
    case WATCHERS_FAILED:
        refuse(outcome, "WATCHER_FAILED failed to add log watcher");
        return;
    }
}

CONTROL(watch)
{
    (void)key;
    uint32_t streams = streams_of(request);
    enum task_place place = task_place(thread, request);
    if (settings_on(thread->protocol->settings, no_watch))
        refuse(outcome, "CLIENT_ERROR watch commands not allowed");
    else if (place == TASK_BEHIND)
        refuse(outcome, "ERROR cannot pipeline other commands before watch");
    else if (streams == 0)
        outcome->result = RESULT_UNKNOWN;
    else if (place == TASK_BEHIND_KEYS)
        outcome->again = true;
    else
        begin(thread, streams, outcome);
}
