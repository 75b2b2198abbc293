/* wire: replays a stream of requests against a cache that speaks memcached's text protocol, as a look-aside
 * client does: a GET that misses is followed by a set of that key's value, with the record's time to live.
 *
 * One connection. Up to --batch requests go out together: first all gets as one multiget, then, in the
 * stream's order, the stored values of those that missed and the stream's own sets and deletes. A batch ends
 * before a key that it holds already, so every request finds what the requests before it left: a larger batch
 * changes no answer but through the order in which items of one batch are stored.
 *
 * Every byte of every hit is compared with what the key's value must be. Values with a time to live begin
 * with the time of their set, so an item that outlives it is seen. With --speed S, S seconds of the stream
 * pass in one of the clock and times to live shrink alike; without, requests follow each other at once.
 *
 * Output: one line of JSON; "parts" counts [gets, misses] of each twentieth of the stream. */
#include "stream.h"
#include "wire_link.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BATCH_MAX      1024u
#define SEEN_SLOTS     (4 * BATCH_MAX)
#define PART_COUNT     20u
#define PATTERN_STARTS 65536u
#define VALUE_SIZE_MAX (1u << 20)
#define STAMP_SIZE     8u
#define LATE_MS        1200u /* an item may outlive its time by a tick of the server's clock */
#define WRONG_SHOWN    5u
#define COMMAND_MAX    512u

struct wire_options {
    const char *host, *port, *stream_path; /* borrowed from argv */
    unsigned batch;
    double speed; /* seconds of the stream in one of the clock; 0: as fast as it goes */
};

struct wire_tally {
    uint64_t gets, misses, sets, deletes;
    uint64_t refused; /* sets that were answered otherwise than STORED */
    uint64_t wrong;   /* hits with other bytes than were stored */
    uint64_t late;    /* hits of items whose time was over */
    uint64_t part_gets[PART_COUNT], part_misses[PART_COUNT];
};

struct wire {
    struct wire_options options;
    struct stream stream;
    struct wire_link link;
    char *pattern; /* owned; what values are pieces of */
    uint64_t start_ms;
    uint64_t at, end;                                  /* the batch: records at .. end */
    bool missed[BATCH_MAX];                            /* by record of the batch */
    uint64_t seen[SEEN_SLOTS], seen_batch[SEEN_SLOTS]; /* keys of batch number `batch_count` */
    uint64_t batch_count;
    uint32_t lag_ms_max; /* behind the stream's clock */
    struct wire_tally tally;
};

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint64_t mixed(uint64_t x)
{
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
    x = (x ^ x >> 27) * 0x94D049BB133111EBu;
    return x ^ x >> 31;
}

static char *pattern_create(void)
{
    char *pattern = malloc(PATTERN_STARTS + VALUE_SIZE_MAX);
    for (size_t i = 0; pattern && i < PATTERN_STARTS + VALUE_SIZE_MAX; i++)
        pattern[i] = (char)('!' + mixed(i + 1) % 90);
    return pattern;
}

static const char *value_of(const struct wire *wire, uint64_t key)
{
    return wire->pattern + mixed(key) % PATTERN_STARTS;
}

static bool is_stamped(const struct stream_record *record)
{
    return record->ttl_s > 0 && record->value_size >= STAMP_SIZE;
}

static uint32_t wire_ttl_s(const struct wire *wire, uint32_t ttl_s)
{
    if (ttl_s == 0 || wire->options.speed <= 0)
        return ttl_s;
    double scaled = ttl_s / wire->options.speed + 0.5;
    return scaled < 1 ? 1 : (uint32_t)scaled;
}

static void put_set(struct wire *wire, const struct stream_record *record)
{
    char head[COMMAND_MAX], stamp[STAMP_SIZE + 1], key[STREAM_KEY_SIZE_MAX];
    stream_key_text(record->key, key, wire->stream.key_size);
    int size = snprintf(head, sizeof head, "set %.*s 0 %u %u\r\n", (int)wire->stream.key_size, key,
                        wire_ttl_s(wire, record->ttl_s), record->value_size);
    link_put(&wire->link, head, (size_t)size);
    size_t stamped = is_stamped(record) ? STAMP_SIZE : 0;
    snprintf(stamp, sizeof stamp, "%08x", (unsigned)(now_ms() - wire->start_ms));
    link_put(&wire->link, stamp, stamped);
    link_put(&wire->link, value_of(wire, record->key) + stamped, record->value_size - stamped);
    link_put(&wire->link, "\r\n", 2);
}

static void put_gets(struct wire *wire)
{
    char key[1 + STREAM_KEY_SIZE_MAX] = " ";
    bool any = false;
    for (uint64_t i = wire->at; i < wire->end; i++) {
        const struct stream_record *record = &wire->stream.records[i];
        if (record->op != STREAM_GET)
            continue;
        link_put(&wire->link, "get", any ? 0 : 3);
        any = true;
        stream_key_text(record->key, key + 1, wire->stream.key_size);
        link_put(&wire->link, key, 1 + wire->stream.key_size);
    }
    link_put(&wire->link, "\r\n", any ? 2 : 0);
}

static void note_wrong(struct wire *wire, const struct stream_record *record, const char *what)
{
    if (wire->tally.wrong++ < WRONG_SHOWN)
        fprintf(stderr, "wire: key %016llx, request %lu: %s\n", (unsigned long long)record->key,
                (unsigned long)(record - wire->stream.records), what);
}

static void check_value(struct wire *wire, const struct stream_record *record, const char *value)
{
    size_t stamped = is_stamped(record) ? STAMP_SIZE : 0;
    if (memcmp(value + stamped, value_of(wire, record->key) + stamped, record->value_size - stamped) != 0 ||
        memcmp(value + record->value_size, "\r\n", 2) != 0)
        note_wrong(wire, record, "a hit with other bytes than were stored");
    if (stamped == 0)
        return;
    char stamp[STAMP_SIZE + 1] = "";
    memcpy(stamp, value, STAMP_SIZE);
    uint64_t age_ms = now_ms() - wire->start_ms - strtoul(stamp, NULL, 16);
    wire->tally.late += age_ms > wire_ttl_s(wire, record->ttl_s) * 1000ull + LATE_MS;
}

/* Whether the head of a reply block, "VALUE <key> <flags> <size>", is that of the record's key. */
static bool is_of(const struct wire *wire, const char *line, const struct stream_record *record)
{
    char key[STREAM_KEY_SIZE_MAX];
    stream_key_text(record->key, key, wire->stream.key_size);
    return strlen(line) > 6 + wire->stream.key_size && memcmp(line, "VALUE ", 6) == 0 &&
           memcmp(line + 6, key, wire->stream.key_size) == 0 && line[6 + wire->stream.key_size] == ' ';
}

static void note_get(struct wire *wire, uint64_t i, bool missed)
{
    unsigned part = (unsigned)(i * PART_COUNT / wire->stream.count);
    wire->missed[i - wire->at] = missed;
    wire->tally.gets++;
    wire->tally.misses += missed;
    wire->tally.part_gets[part]++;
    wire->tally.part_misses[part] += missed;
}

static void take_value(struct wire *wire, const struct stream_record *record, const char *line)
{
    unsigned flags = 1, size = 0;
    if (sscanf(line + 6 + wire->stream.key_size, " %u %u", &flags, &size) != 2 || flags != 0 ||
        size != record->value_size) {
        fprintf(stderr, "wire: a hit out of form, of %u bytes stored: %s\n", record->value_size, line);
        exit(1);
    }
    check_value(wire, record, link_take(&wire->link, size + 2));
}

/* The replies come in the order of the keys; one that is left out is a miss. */
static void take_gets(struct wire *wire)
{
    const char *line = NULL;
    for (uint64_t i = wire->at; i < wire->end; i++) {
        const struct stream_record *record = &wire->stream.records[i];
        if (record->op != STREAM_GET)
            continue;
        if (!line)
            line = link_take_line(&wire->link);
        bool hit = is_of(wire, line, record);
        note_get(wire, i, !hit);
        if (!hit)
            continue;
        take_value(wire, record, line);
        line = link_take_line(&wire->link);
    }
    if (line && strcmp(line, "END") != 0) {
        fprintf(stderr, "wire: a reply to get out of form: %s\n", line);
        exit(1);
    }
}

static bool changes(const struct wire *wire, uint64_t i)
{
    return wire->stream.records[i].op != STREAM_GET || wire->missed[i - wire->at];
}

static void put_changes(struct wire *wire)
{
    char line[COMMAND_MAX], key[STREAM_KEY_SIZE_MAX];
    for (uint64_t i = wire->at; i < wire->end; i++) {
        const struct stream_record *record = &wire->stream.records[i];
        if (!changes(wire, i))
            continue;
        if (record->op != STREAM_DELETE) {
            put_set(wire, record);
            continue;
        }
        stream_key_text(record->key, key, wire->stream.key_size);
        int size = snprintf(line, sizeof line, "delete %.*s\r\n", (int)wire->stream.key_size, key);
        link_put(&wire->link, line, (size_t)size);
    }
}

static void take_changes(struct wire *wire)
{
    for (uint64_t i = wire->at; i < wire->end; i++) {
        if (!changes(wire, i))
            continue;
        const char *line = link_take_line(&wire->link);
        if (wire->stream.records[i].op == STREAM_DELETE) {
            wire->tally.deletes++;
            continue;
        }
        wire->tally.sets++;
        if (strcmp(line, "STORED") != 0 && wire->tally.refused++ < WRONG_SHOWN)
            fprintf(stderr, "wire: a set of %u bytes: %s\n", wire->stream.records[i].value_size, line);
    }
}

/* True when the batch holds the key already; notes it otherwise. */
static bool seen_before(struct wire *wire, uint64_t key)
{
    for (uint64_t slot = mixed(key) % SEEN_SLOTS;; slot = (slot + 1) % SEEN_SLOTS) {
        if (wire->seen_batch[slot] != wire->batch_count) {
            wire->seen_batch[slot] = wire->batch_count;
            wire->seen[slot] = key;
            return false;
        }
        if (wire->seen[slot] == key)
            return true;
    }
}

/* The stream's time now, having waited for the next record's. UINT64_MAX when time does not matter. */
static uint64_t stream_time_ms(struct wire *wire)
{
    double speed = wire->options.speed;
    if (speed <= 0)
        return UINT64_MAX;
    double due = wire->stream.records[wire->at].time_ms / speed, now = (double)(now_ms() - wire->start_ms);
    if (due > now) {
        double wait = due - now + 1;
        nanosleep(&(struct timespec){.tv_sec = (time_t)(wait / 1000), .tv_nsec = (long)wait % 1000 * 1000000},
                  NULL);
    } else if (now - due > wire->lag_ms_max) {
        wire->lag_ms_max = (uint32_t)(now - due);
    }
    return (uint64_t)((double)(now_ms() - wire->start_ms) * speed);
}

static void batch_choose(struct wire *wire)
{
    uint64_t time_ms = stream_time_ms(wire);
    wire->batch_count++;
    wire->end = wire->at;
    while (wire->end < wire->stream.count && wire->end - wire->at < wire->options.batch) {
        const struct stream_record *record = &wire->stream.records[wire->end];
        bool due = wire->end == wire->at || record->time_ms <= time_ms;
        if (!due || seen_before(wire, record->key))
            break;
        wire->end++;
    }
}

static void replay(struct wire *wire)
{
    wire->start_ms = now_ms();
    for (wire->at = 0; wire->at < wire->stream.count; wire->at = wire->end) {
        batch_choose(wire);
        put_gets(wire);
        link_flush(&wire->link);
        take_gets(wire);
        put_changes(wire);
        link_flush(&wire->link);
        take_changes(wire);
    }
}

static void report(const struct wire *wire)
{
    const struct wire_tally *t = &wire->tally;
    printf("{\"seconds\":%.2f,\"batches\":%llu,\"gets\":%llu,\"misses\":%llu,\"sets\":%llu,\"deletes\":%llu,",
           (double)(now_ms() - wire->start_ms) / 1e3, (unsigned long long)wire->batch_count,
           (unsigned long long)t->gets, (unsigned long long)t->misses, (unsigned long long)t->sets,
           (unsigned long long)t->deletes);
    printf("\"refused\":%llu,\"wrong\":%llu,\"late\":%llu,\"lag_ms_max\":%u,\"parts\":[",
           (unsigned long long)t->refused, (unsigned long long)t->wrong, (unsigned long long)t->late,
           wire->lag_ms_max);
    for (unsigned i = 0; i < PART_COUNT; i++)
        printf("%s[%llu,%llu]", i ? "," : "", (unsigned long long)t->part_gets[i],
               (unsigned long long)t->part_misses[i]);
    printf("]}\n");
}

static bool options_parse(struct wire_options *options, int argc, char **argv)
{
    static const struct option names[] = {{"host", required_argument, NULL, 'h'},
                                          {"port", required_argument, NULL, 'p'},
                                          {"batch", required_argument, NULL, 'b'},
                                          {"speed", required_argument, NULL, 's'},
                                          {NULL, 0, NULL, 0}};
    *options = (struct wire_options){.host = "127.0.0.1", .port = "11211", .batch = 64};
    for (int c; (c = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        options->host = c == 'h' ? optarg : options->host;
        options->port = c == 'p' ? optarg : options->port;
        options->batch = c == 'b' ? (unsigned)strtoul(optarg, NULL, 10) : options->batch;
        options->speed = c == 's' ? strtod(optarg, NULL) : options->speed;
        if (c == '?')
            return false;
    }
    if (optind != argc - 1 || options->batch == 0 || options->batch > BATCH_MAX || options->speed < 0) {
        fprintf(stderr, "usage: wire [--host H] [--port P] [--batch 1..%u] [--speed S] STREAM\n", BATCH_MAX);
        return false;
    }
    options->stream_path = argv[optind];
    return true;
}

int main(int argc, char **argv)
{
    static struct wire wire;
    if (!options_parse(&wire.options, argc, argv) || !stream_open(&wire.stream, wire.options.stream_path))
        return 2;
    wire.pattern = pattern_create();
    if (!wire.pattern)
        return 2;
    link_init(&wire.link, wire.options.host, wire.options.port);
    replay(&wire);
    report(&wire);
    link_fini(&wire.link);
    free(wire.pattern);
    stream_close(&wire.stream);
    return wire.tally.wrong > 0;
}
