#include "batch.h"

#include <stdlib.h>
#include <string.h>

#define SAMPLE_EVERY 16u

/* "set " key " 0 " expiry " " size CR LF, without key and value */
#define SET_OVERHEAD 40u

bool batch_init(struct batch *batch, const struct options *o)
{
    size_t get_size = 5 + (size_t)o->multiget * (o->key_size + 1);
    size_t set_size = SET_OVERHEAD + o->key_size + o->value_max;
    bool sets = o->set_ratio > 0 || o->prefill;
    size_t request_size = sets && set_size > get_size ? set_size : get_size;
    size_t key_max = (size_t)o->depth * o->multiget;
    *batch = (struct batch){.multiget = o->multiget,
                            .data = malloc(request_size * o->depth),
                            .key = malloc(key_max * sizeof *batch->key),
                            .key_at = malloc(key_max * sizeof *batch->key_at),
                            .set = malloc(o->depth * sizeof *batch->set)};
    return batch->data && batch->key && batch->key_at && batch->set;
}

void batch_fini(struct batch *batch)
{
    free(batch->data);
    free(batch->key);
    free(batch->key_at);
    free(batch->set);
}

/* Appends the text of the next key and remembers it as the batch's n-th. */
static uint64_t add_key(struct batch *batch, struct workload *w, unsigned n)
{
    uint64_t index = workload_next_key(w);
    batch->key[n] = index;
    batch->key_at[n] = (uint32_t)batch->size;
    workload_write_key(w, index, batch->data + batch->size);
    batch->size += w->options->key_size;
    return index;
}

static void add_bytes(struct batch *batch, const char *data, size_t size)
{
    memcpy(batch->data + batch->size, data, size);
    batch->size += size;
}

static unsigned add_get(struct batch *batch, struct workload *w, unsigned key)
{
    add_bytes(batch, "get", 3);
    for (unsigned i = 0; i < w->options->multiget; i++) {
        batch->data[batch->size++] = ' ';
        add_key(batch, w, key++);
    }
    add_bytes(batch, "\r\n", 2);
    return key;
}

static void add_number(struct batch *batch, uint32_t value)
{
    batch->size += workload_write_number(value, batch->data + batch->size);
}

static unsigned add_set(struct batch *batch, struct workload *w, unsigned key)
{
    add_bytes(batch, "set ", 4);
    uint64_t index = add_key(batch, w, key);
    uint32_t size = workload_value_size(w, index);
    add_bytes(batch, " 0 ", 3);
    add_number(batch, w->options->expiry_s);
    add_bytes(batch, " ", 1);
    add_number(batch, size);
    add_bytes(batch, "\r\n", 2);
    add_bytes(batch, workload_value(w, index), size);
    add_bytes(batch, "\r\n", 2);
    return key + 1;
}

/* The reply of request `request` comes next. */
static void expect(struct batch *batch, unsigned request)
{
    batch->request_done = request;
    if (!batch_complete(batch))
        batch->key_end = batch->key_done + (batch->set[request] ? 1 : batch->multiget);
}

void batch_build(struct batch *batch, struct workload *w, unsigned count, double set_ratio)
{
    batch->size = 0;
    batch->request_count = count;
    batch->key_done = 0;
    unsigned key = 0;
    for (unsigned i = 0; i < count; i++) {
        batch->set[i] = workload_chance(w, set_ratio);
        key = batch->set[i] ? add_set(batch, w, key) : add_get(batch, w, key);
    }
    expect(batch, 0);
}

/* Writes " 0 <size>CRLF" and returns its length: what must stand between a key and its value. */
static size_t header_tail(uint32_t size, char out[16])
{
    memcpy(out, " 0 ", 3);
    size_t count = workload_write_number(size, out + 3);
    memcpy(out + 3 + count, "\r\n", 2);
    return count + 5;
}

static bool value_right(const struct workload *w, uint64_t index, uint32_t size, const char *data,
                        struct tally *tally)
{
    if (memcmp(data + size, "\r\n", 2) != 0)
        return false;
    enum check check = w->options->check;
    if (check == CHECK_LENGTH || (check == CHECK_SAMPLE && tally->hits % SAMPLE_EVERY != 0))
        return true;
    tally->values_compared++;
    return memcmp(data, workload_value(w, index), size) == 0;
}

/* Passes over keys that the server left out until the one that this VALUE line names. */
static bool find_key(struct batch *batch, const struct workload *w, const char *key, struct tally *tally)
{
    if (w->options->check == CHECK_LENGTH)
        return batch->key_done < batch->key_end;
    for (; batch->key_done < batch->key_end; batch->key_done++) {
        if (memcmp(key, batch->data + batch->key_at[batch->key_done], w->options->key_size) == 0)
            return true;
        tally->misses++;
    }
    return false;
}

/* One VALUE block: its size, 0 when it is not all there, -1 when it is wrong. */
static long check_value(struct batch *batch, const struct workload *w, const char *data, size_t size,
                        struct tally *tally)
{
    size_t key_size = w->options->key_size, head = 6 + key_size;
    if (size < head)
        return 0;
    if (memcmp(data, "VALUE ", 6) != 0 || !find_key(batch, w, data + 6, tally))
        return -1;
    uint64_t index = batch->key[batch->key_done];
    uint32_t value_size = workload_value_size(w, index);
    char tail[16];
    size_t tail_size = header_tail(value_size, tail);
    size_t whole = head + tail_size + value_size + 2;
    if (size < whole)
        return 0;
    if (memcmp(data + head, tail, tail_size) != 0 ||
        !value_right(w, index, value_size, data + head + tail_size, tally))
        return -1;
    tally->hits++;
    batch->key_done++;
    return (long)whole;
}

/* A fixed line at data: its size, 0 when it is not all there, -1 when it is another. */
static long check_line(const char *data, size_t size, const char *line, size_t line_size)
{
    size_t have = size < line_size ? size : line_size;
    if (memcmp(data, line, have) != 0)
        return -1;
    return have < line_size ? 0 : (long)line_size;
}

static long check_get(struct batch *batch, const struct workload *w, const char *data, size_t size,
                      struct tally *tally)
{
    if (data[0] == 'V')
        return check_value(batch, w, data, size, tally);
    long used = check_line(data, size, "END\r\n", 5);
    if (used > 0) {
        tally->misses += batch->key_end - batch->key_done;
        batch->key_done = batch->key_end;
        expect(batch, batch->request_done + 1);
    }
    return used;
}

static long check_set(struct batch *batch, const char *data, size_t size, struct tally *tally)
{
    static const char stored[] = "STORED\r\n";
    static const char refused[] = "SERVER_ERROR out of memory storing object\r\n";
    bool is_stored = size < 2 || data[1] == 'T';
    long used = is_stored ? check_line(data, size, stored, sizeof stored - 1)
                          : check_line(data, size, refused, sizeof refused - 1);
    if (used > 0) {
        tally->stored += is_stored;
        tally->refused += !is_stored;
        batch->key_done++;
        expect(batch, batch->request_done + 1);
    }
    return used;
}

long batch_check(struct batch *batch, const struct workload *w, const char *data, size_t size,
                 struct tally *tally, const char **wrong)
{
    size_t at = 0;
    while (at < size && !batch_complete(batch)) {
        long used = batch->set[batch->request_done] ? check_set(batch, data + at, size - at, tally)
                                                    : check_get(batch, w, data + at, size - at, tally);
        if (used < 0) {
            *wrong = data + at;
            return -1;
        }
        if (used == 0)
            break;
        at += (size_t)used;
    }
    if (batch_complete(batch) && at < size) {
        *wrong = data + at;
        return -1;
    }
    return (long)at;
}

size_t batch_block_max(const struct options *o)
{
    return 6 + (size_t)o->key_size + 16 + o->value_max + 2;
}
