/* A stream of cache requests: what prepare.py, synthetic.py and profiles.py write and what replays read.
 *
 * Place: tests/bench; alone, but for the C library. A file is a header of 24 bytes and records of 24 bytes,
 * all little endian, and is mapped, not read. A GET is look-aside: a client that misses stores the value with
 * the record's size and time to live. Thread-safety: a mapped stream is read-only, any thread may walk it.
 * Ownership: stream_close ends every pointer into it. */
#ifndef VITRINE_TESTS_BENCH_POLICY_STREAM_H
#define VITRINE_TESTS_BENCH_POLICY_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#define STREAM_MAGIC        "VITRREQ1" /* 8 bytes, no NUL in the file */
#define STREAM_KEY_SIZE_MIN 16u
#define STREAM_KEY_SIZE_MAX 250u

enum stream_op { STREAM_GET, STREAM_SET, STREAM_DELETE };

struct stream_header {
    char magic[8];
    uint32_t key_size; /* of every key's text */
    uint32_t record_size;
    uint64_t count; /* of records */
};

struct stream_record {
    uint64_t key;
    uint32_t value_size; /* always the same for a key */
    uint32_t ttl_s;      /* 0: no expiry */
    uint32_t time_ms;    /* since the stream's start, never falling; all 0 where time does not matter */
    uint8_t op;          /* enum stream_op */
    uint8_t unused[3];
};

struct stream {
    const struct stream_record *records;
    uint64_t count;
    uint32_t key_size;
    void *map; /* private, with its size */
    uint64_t map_size;
};

/* False with a line on stderr when the file cannot be had or is no stream. */
bool stream_open(struct stream *stream, const char *path);
void stream_close(struct stream *stream);

/* The text of a key: 'k' up to `key_size` - 16 bytes, then 16 hexadecimal digits; no NUL behind it. */
void stream_key_text(uint64_t key, char *text, uint32_t key_size);

#endif
