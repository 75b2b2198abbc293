/* The layout of an item in a segment, and what may be read from it.
 *
 * Place: private to the store. An item is written once, published by a slot, and then never changes but for
 * two words: its state (last access, FETCHED) and its expiry, both atomic. That immutability is what lets
 * readers do without a lock.
 *
 *   0  shape   key size 8 | value size 20 | write sequence, high 4
 *   4  sequence, low 32: with the high bits the item's CAS and its age for flush_all
 *   8  state   last access 24 (seconds) | flags 8
 *  12  [expiry 4] [explicit CAS 8] [client flags 4] key value
 *
 * A CHUNK holds part of a large value: its key is the 8-byte hash of the item it belongs to. A LARGE item's
 * value is struct large: where the chunks are. Thread-safety: pure; see the atomics. */
#ifndef VITRINE_STORE_ITEM_PRIV_H
#define VITRINE_STORE_ITEM_PRIV_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define ITEM_ALIGN       4u
#define ITEM_HEADER_SIZE 12u
#define ITEM_SEQ_BITS    36u
#define ITEM_SEQ_MASK    ((1ull << ITEM_SEQ_BITS) - 1)
#define ITEM_ACCESS_MASK 0xffffffu /* seconds, 24 bits: idle times of up to 194 days are told right */

enum item_flag {
    ITEM_EXP = 1,    /* has an expiry word */
    ITEM_CFLAGS = 2, /* has client flags */
    ITEM_LARGE = 4,
    ITEM_CHUNK = 8,
    ITEM_FETCHED = 16, /* read since it was stored; the only flag that changes */
    ITEM_CAS = 32,     /* has a CAS of the client's choice instead of its sequence */
    ITEM_BINARY = 64   /* its key was given in base64, and is shown so */
};

struct item {
    uint32_t shape;
    uint32_t seq_low;
    _Atomic uint32_t state;
    /* optional words, key and value follow */
};
_Static_assert(sizeof(struct item) == ITEM_HEADER_SIZE, "the header is what the layout says");

/* The value of a LARGE item, 8-aligned. */
struct large {
    uint64_t size;  /* of the whole value */
    uint64_t count; /* of chunks */
    _Atomic uint64_t
        chunk[]; /* size / 4, rounded up: 18 bits | location: 42 bits; the maintainer moves them */
};

#define LOCATION_OFFSET_BITS 18u
#define LOCATION_BITS        42u
#define LOCATION_MASK        ((1ull << LOCATION_BITS) - 1)

static inline size_t item_round(size_t size)
{
    return (size + ITEM_ALIGN - 1) & ~(size_t)(ITEM_ALIGN - 1);
}

static inline uint32_t item_shape(size_t key_size, size_t value_size, uint64_t seq)
{
    return (uint32_t)key_size << 24 | (uint32_t)value_size << 4 | (uint32_t)(seq >> 32 & 0xf);
}

static inline size_t item_key_size(const struct item *item)
{
    return item->shape >> 24;
}

static inline size_t item_inline_size(const struct item *item)
{
    return item->shape >> 4 & 0xfffff;
}

static inline uint64_t item_seq(const struct item *item)
{
    return (uint64_t)(item->shape & 0xf) << 32 | item->seq_low;
}

/* Relaxed: the flags that give the layout never change; FETCHED is a hint. */
static inline uint32_t item_state(const struct item *item)
{
    return atomic_load_explicit(&item->state, memory_order_relaxed);
}

static inline unsigned item_flags(const struct item *item)
{
    return item_state(item) & 0xff;
}

static inline size_t item_head_size(unsigned flags)
{
    return ITEM_HEADER_SIZE + ((flags & ITEM_EXP) ? 4u : 0u) + ((flags & ITEM_CFLAGS) ? 4u : 0u) +
           ((flags & ITEM_CAS) ? 8u : 0u);
}

static inline char *item_key(const struct item *item)
{
    return (char *)(uintptr_t)item + item_head_size(item_flags(item));
}

static inline char *item_inline_value(const struct item *item)
{
    return item_key(item) + item_key_size(item);
}

/* With the flags known. */
static inline size_t item_record_size_as(const struct item *item, unsigned flags)
{
    return item_round(item_head_size(flags) + item_key_size(item) + item_inline_size(item));
}

static inline size_t item_record_size(const struct item *item)
{
    return item_record_size_as(item, item_flags(item));
}

static inline _Atomic uint32_t *item_expiry_word(const struct item *item)
{
    return (_Atomic uint32_t *)((char *)(uintptr_t)item + ITEM_HEADER_SIZE);
}

/* Without a branch: who mixes items with and without an expiry cannot be foretold. Relaxed: an expiry set a
 * moment ago may be seen a moment later, no other data hangs on it. */
static inline uint32_t item_expiry_at(const struct item *item, unsigned flags)
{
    uint32_t word = atomic_load_explicit(item_expiry_word(item), memory_order_relaxed);
    return (flags & ITEM_EXP) ? word : 0;
}

static inline uint32_t item_expiry_s(const struct item *item)
{
    return item_expiry_at(item, item_flags(item));
}

/* Likewise. Relaxed: where there are none it is another word, which may be changing. */
static inline uint32_t item_client_flags_at(const struct item *item, unsigned flags)
{
    const char *at = (const char *)item + item_head_size(flags) - 4;
    uint32_t word = atomic_load_explicit((const _Atomic uint32_t *)(const void *)at, memory_order_relaxed);
    return (flags & ITEM_CFLAGS) ? word : 0;
}

static inline uint32_t item_client_flags(const struct item *item)
{
    return item_client_flags_at(item, item_flags(item));
}

static inline char *item_cas_word(const struct item *item, unsigned layout)
{
    return (char *)(uintptr_t)item + item_head_size(layout & ITEM_EXP);
}

static inline uint64_t item_cas(const struct item *item)
{
    unsigned layout = item_flags(item);
    uint64_t cas;
    if (__builtin_expect((layout & ITEM_CAS) == 0, 1))
        return item_seq(item);
    memcpy(&cas, item_cas_word(item, layout), sizeof cas);
    return cas;
}

static inline struct large *item_large(const struct item *item)
{
    uintptr_t at = (uintptr_t)item_inline_value(item);
    return (struct large *)((at + 7) & ~(uintptr_t)7);
}

static inline size_t large_size(size_t chunk_count)
{
    return sizeof(struct large) + 8 * chunk_count;
}

/* What a LARGE item's inline value takes, the padding before struct large included. */
static inline size_t large_inline_size(size_t chunk_count)
{
    return 7 + large_size(chunk_count);
}

static inline size_t item_value_size(const struct item *item)
{
    return (item_flags(item) & ITEM_LARGE) ? item_large(item)->size : item_inline_size(item);
}

/* The size an item is counted with: the same however it is laid out, so that what is counted as stored and
 * as removed always match. */
static inline size_t item_counted_size(size_t key_size, size_t value_size)
{
    return item_round(ITEM_HEADER_SIZE + 4 + key_size + value_size);
}

static inline bool item_expired_at(const struct item *item, unsigned flags, uint32_t now_s)
{
    return item_expiry_at(item, flags) - 1 < now_s; /* 0 - 1 is no second */
}

static inline bool item_expired(const struct item *item, uint32_t now_s)
{
    return item_expired_at(item, item_flags(item), now_s);
}

/* Was sequence a handed out before b? Modular: right while they are less than 2^35 apart. */
static inline bool item_seq_before(uint64_t a, uint64_t b)
{
    return ((b - a - 1) & ITEM_SEQ_MASK) < 1ull << (ITEM_SEQ_BITS - 1);
}

static inline uint32_t item_access_s(const struct item *item, uint32_t now_s)
{
    return now_s - ((now_s - (item_state(item) >> 8)) & ITEM_ACCESS_MASK);
}

static inline uint64_t location_make(uint32_t segment, uint32_t offset)
{
    return (uint64_t)segment << LOCATION_OFFSET_BITS | offset / ITEM_ALIGN;
}

static inline uint32_t location_segment(uint64_t location)
{
    return (uint32_t)((location & LOCATION_MASK) >> LOCATION_OFFSET_BITS);
}

static inline uint32_t location_offset(uint64_t location)
{
    return (uint32_t)(location & ((1u << LOCATION_OFFSET_BITS) - 1)) * ITEM_ALIGN;
}

static inline uint64_t chunk_make(uint64_t location, size_t size)
{
    return (uint64_t)((size + ITEM_ALIGN - 1) / ITEM_ALIGN) << LOCATION_BITS | location;
}

/* At most this many bytes; the last chunk of a value ends where the value does. */
static inline size_t chunk_size_max(uint64_t chunk)
{
    return (size_t)(chunk >> LOCATION_BITS) * ITEM_ALIGN;
}

/* The entry of a LARGE item's list that leads to this chunk; NULL: none. */
static inline _Atomic uint64_t *large_entry(const struct item *item, uint64_t location)
{
    struct large *large = item_large(item);
    for (uint64_t i = 0; i < large->count; i++)
        if ((atomic_load_explicit(&large->chunk[i], memory_order_relaxed) & LOCATION_MASK) == location)
            return &large->chunk[i];
    return NULL;
}

#endif
