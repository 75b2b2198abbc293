/* /api/v1/keys: a walk over the keys in bounded slices, without any state kept here.
 *
 * The store walks bucket by bucket. A page that is full in the middle of a bucket says in its cursor up to
 * which hash the bucket's items were given, and the next page goes on behind it: so a page never exceeds its
 * limit and no key that stays is left out. */
#include "admin/api_key_priv.h"
#include "admin/cursor_priv.h"
#include "admin/glob_priv.h"
#include "base/clock.h"
#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

#define LIMIT_DEFAULT 100u
#define LIMIT_MAX     1000u
#define SLICE_NS      2000000u /* what one request may cost the store's readers and this thread */
#define BUCKET_MAX    10000u
#define PAGE_SIZE_MAX 49152u /* bytes of JSON, about: slow readers hold no more than that */
#define ROW_SIZE      200u   /* of a key's JSON, besides the key */
#define OUT_OF_MEMORY "out of memory"

struct filter {
    struct slice prefix, match;
    uint64_t min_size, max_ttl_s, min_idle_s;
    int fetched; /* -1: either */
    uint32_t now_s;
};

struct row {
    uint64_t hash;
    struct item_facts facts;
};

/* A page in the making. */
struct page {
    struct filter filter;
    const struct store *store;
    struct row *rows; /* owned */
    size_t count, capacity;
    size_t json_size;
    uint64_t scanned;
    uint64_t after; /* items of the current bucket up to this hash were given before */
    bool failed;
};

static bool passes(const struct filter *filter, const struct store_view *view)
{
    struct slice key = {view->key, view->key_size};
    uint32_t idle_s = filter->now_s > view->access_s ? filter->now_s - view->access_s : 0;
    if (view->size < filter->min_size || idle_s < filter->min_idle_s)
        return false;
    if (filter->fetched >= 0 && view->fetched != (filter->fetched == 1))
        return false;
    if (filter->max_ttl_s != UINT64_MAX &&
        (view->expiry_s == STORE_NEVER_S || view->expiry_s > filter->now_s + filter->max_ttl_s))
        return false;
    if (!slice_begins(key, filter->prefix))
        return false;
    return filter->match.data == NULL || glob_match(filter->match, key);
}

static bool grow(struct page *page)
{
    size_t capacity = page->capacity > 0 ? page->capacity * 2 : 64;
    struct row *rows = realloc(page->rows, capacity * sizeof(*rows));
    if (rows == NULL)
        return false;
    page->rows = rows;
    page->capacity = capacity;
    return true;
}

static void visit(void *context, const struct store_view *view)
{
    struct page *page = context;
    page->scanned++;
    uint64_t hash = store_key(page->store, view->key, view->key_size).hash;
    if ((page->after != 0 && hash <= page->after) || !passes(&page->filter, view))
        return;
    if (page->count == page->capacity && !grow(page)) {
        page->failed = true;
        return;
    }
    struct row *row = &page->rows[page->count++];
    row->hash = hash;
    item_facts_read(&row->facts, view);
    page->json_size += ROW_SIZE + 3 * (size_t)view->key_size;
}

static int by_hash(const void *a, const void *b)
{
    uint64_t left = ((const struct row *)a)->hash, right = ((const struct row *)b)->hash;
    return left < right ? -1 : left > right;
}

/* Walks until the page is full, the slice is used up or everything was seen; *cursor says where to go on. */
static void walk(struct page *page, struct store_thread *thread, struct cursor *cursor, size_t limit)
{
    uint64_t deadline_ns = clock_ns() + SLICE_NS;
    for (unsigned buckets = 0; buckets < BUCKET_MAX; buckets++) {
        size_t before = page->count;
        page->after = cursor->after;
        uint64_t next = store_browse(thread, cursor->place, 1, 1, visit, page);
        store_thread_quiesce(thread);
        if (page->count > limit) {
            qsort(page->rows + before, page->count - before, sizeof(*page->rows), by_hash);
            page->count = limit;
            /* With nothing of this bucket on the page it is due from where it was. */
            cursor->after = limit > before ? page->rows[limit - 1].hash : cursor->after;
            return;
        }
        *cursor = (struct cursor){next, 0};
        if (next == 0 || page->count == limit || page->json_size >= PAGE_SIZE_MAX || page->failed)
            return;
        if (clock_ns() > deadline_ns)
            return;
    }
}

static bool read_filter(const struct request *request, struct reply *reply, struct filter *filter)
{
    static const uint64_t any[3] = {0, UINT64_MAX, 0}, any_ttl[3] = {0, UINT32_MAX, UINT64_MAX};
    static const char *const fetched[] = {"0", "1", NULL};
    filter->prefix = request->query[PARAM_prefix];
    filter->match = request->query[PARAM_match];
    filter->now_s = clock_s();
    filter->fetched =
        request_has(request, PARAM_fetched) ? request_choice(request, reply, PARAM_fetched, fetched, -1) : -1;
    if (request_has(request, PARAM_fetched) && filter->fetched < 0)
        return false;
    if (filter->match.data != NULL && !glob_valid(filter->match)) {
        reply_field_problem(reply, 400, "match", "is over 256 bytes long or ends in a lone backslash");
        return false;
    }
    return request_number(request, reply, PARAM_min_size, any, &filter->min_size) &&
           request_number(request, reply, PARAM_min_idle, any, &filter->min_idle_s) &&
           request_number(request, reply, PARAM_max_ttl, any_ttl, &filter->max_ttl_s);
}

/* A cursor belongs to the filter it was made with. */
static uint64_t filter_hash(const struct filter *filter)
{
    uint64_t words[6] = {hash_bytes(filter->prefix.data, filter->prefix.size, 1),
                         hash_bytes(filter->match.data, filter->match.size, 2),
                         filter->min_size,
                         filter->max_ttl_s,
                         filter->min_idle_s,
                         (uint64_t)(filter->fetched + 1)};
    return hash_bytes(words, sizeof(words), 3);
}

static json_t *page_tree(const struct page *page, const char *cursor, uint64_t elapsed_ns)
{
    json_t *tree = json_object(), *items = json_array();
    for (size_t i = 0; i < page->count; i++)
        json_array_append_new(items, item_facts_json(&page->rows[i].facts, page->filter.now_s));
    json_put(tree, "items", items);
    json_put_text(tree, "next_cursor", cursor);
    json_put_count(tree, "scanned", page->scanned);
    json_put_bool(tree, "complete", cursor == NULL);
    json_put_number(tree, "elapsed_ms", (double)elapsed_ns / 1e6);
    return tree;
}

static void give_page(struct request *request, struct reply *reply, struct page *page, struct cursor *cursor,
                      size_t limit)
{
    char text[CURSOR_TEXT_MAX];
    uint64_t started_ns = clock_ns();
    struct store_thread *thread = request_store_enter(request, reply);
    if (thread == NULL)
        return;
    walk(page, thread, cursor, limit);
    request_store_leave(thread);
    if (page->failed) {
        reply_problem(reply, 503, OUT_OF_MEMORY);
        return;
    }
    bool complete = cursor->place == 0 && cursor->after == 0;
    if (!complete)
        cursor_encode(cursor, filter_hash(&page->filter), request->seed, text);
    reply_json(reply, 200, page_tree(page, complete ? NULL : text, clock_ns() - started_ns));
}

void api_keys(struct request *request, struct reply *reply)
{
    static const uint64_t limits[3] = {1, LIMIT_MAX, LIMIT_DEFAULT};
    struct page page = {.store = request->parts->store};
    struct cursor cursor = {0, 0};
    uint64_t limit;
    if (!item_access_allowed(request, reply) || !read_filter(request, reply, &page.filter) ||
        !request_number(request, reply, PARAM_limit, limits, &limit))
        return;
    if (request_has(request, PARAM_cursor) &&
        !cursor_decode(request->query[PARAM_cursor], filter_hash(&page.filter), request->seed, &cursor)) {
        reply_field_problem(reply, 400, "cursor", "is not of this walk: begin anew without one");
        return;
    }
    give_page(request, reply, &page, &cursor, limit);
    free(page.rows);
}
