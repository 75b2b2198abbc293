/* A look at what several sessions ask for first, before any of them is run. It parses no further than to the
 * first key, and whatever it takes for one is a hint: run.c uses it only for the very bytes that turn out to
 * be a key. */
#include "protocol/protocol_priv.h"
#include "protocol/scan_priv.h"

#include "base/assert.h"

/* In every command of text's on a key but a few it is the second word. A pipeline of them has its keys
 * fetched together anyway. */
static bool first_key(const struct protocol_input *input, struct store_key *key)
{
    const char *end = input->data + input->size;
    const char *word = scan_for(input->data, end, ' ');
    if (word == end)
        return false;
    const char *word_end = scan_either(++word, end, ' ', '\n');
    size_t size = (size_t)(word_end - word);
    size -= word_end < end && size > 0 && *word_end == '\n' && word_end[-1] == '\r';
    *key = (struct store_key){.data = word, .size = (uint32_t)size};
    bool more = word_end < end && *word_end == '\n' && word_end + 1 < end;
    return word_end < end && !more && size - 1 < STORE_KEY_SIZE_MAX;
}

void protocol_prefetch(struct protocol_thread *thread, struct protocol_input *inputs, unsigned count)
{
    ASSERT(count <= PROTOCOL_PREFETCH_MAX);
    struct store_key *keys = thread->ahead;
    unsigned key_count = 0;
    for (unsigned i = 0; i < count; i++) {
        bool seen = first_key(&inputs[i], &keys[key_count]);
        inputs[i].ahead = seen ? &keys[key_count] : NULL;
        key_count += seen;
    }
    store_hash_keys(thread->protocol->store, keys, key_count);
    store_prefetch(thread->store, keys, key_count);
}
