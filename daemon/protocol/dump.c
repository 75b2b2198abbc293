#include "protocol/dump_priv.h"

#include "protocol/line_priv.h"
#include "protocol/meta_priv.h"

#include "base/clock.h"

#include <stdlib.h>

/* A turn ends with so many bytes of lines, or so many buckets looked at: some tens of microseconds. */
#define TURN_SIZE    (16u << 10)
#define TURN_BUCKETS 256u
#define STEP_ITEMS   32u
#define STEP_BUCKETS 16u
/* The longest line: a key of which each byte is escaped, and what stands around it. */
#define LINE_MAX_SIZE      1024u
#define CACHEDUMP_SIZE_MAX (2u << 20) /* memcached's */

struct form {
    char *(*put)(char *out, const struct store_view *view);
    const char *end; /* behind the last line */
};

struct dump {
    struct task task;
    struct protocol *protocol; /* whose one dump it is; NULL: none's */
    const struct form *form;
    uint64_t item_max; /* lines still wanted */
    size_t size_max;   /* bytes still wanted */
    uint64_t classes;
    uint64_t cursor;
    bool walked;         /* all buckets are done, the end is among the lines */
    struct buffer lines; /* found and not sent */
    size_t sent;         /* of them */
    uint64_t item_count; /* looked at, this turn */
};

/* ---- lines ---- */

/* "key=k exp=-1 la=1700000000 cas=5 fetch=no cls=1 size=68 flags=0 \n": with memcached's space at the end,
 * behind which it tells where items on disk lie. */
static char *put_meta(char *out, const struct store_view *view)
{
    int64_t expiry = view->expiry_s == STORE_NEVER_S ? -1 : clock_wall_s(view->expiry_s);
    out = line_uri(line_text(out, "key="), view->key, view->key_size);
    out = line_i64(line_text(out, " exp="), expiry);
    out = line_i64(line_text(out, " la="), clock_wall_s(view->access_s));
    out = line_u64(line_text(out, " cas="), view->cas);
    out = line_text(out, view->fetched ? " fetch=yes" : " fetch=no");
    out = line_u64(line_text(out, " cls="), view->band + 1);
    out = line_u64(line_text(out, " size="), ITEM_OVERHEAD_SIZE + view->key_size + view->size);
    out = line_u64(line_text(out, " flags="), view->flags);
    return line_text(out, " \n");
}

/* A key that would not stand in a line of text goes in base64, as does one that came so. */
static char *put_mg(char *out, const struct store_view *view)
{
    out = line_text(out, "mg ");
    if (!view->key_binary && line_takes_key(view->key, view->key_size))
        return line_text(line_bytes(out, view->key, view->key_size), "\r\n");
    out += base64_encode(view->key, view->key_size, out);
    return line_text(out, " b\r\n");
}

/* "ITEM key [5 b; 1700000000 s]" */
static char *put_cache(char *out, const struct store_view *view)
{
    int64_t expiry = view->expiry_s == STORE_NEVER_S ? 0 : clock_wall_s(view->expiry_s);
    out = line_bytes(line_text(out, "ITEM "), view->key, view->key_size);
    out = line_u64(line_text(out, " ["), view->size);
    out = line_i64(line_text(out, " b; "), expiry);
    return line_text(out, " s]\r\n");
}

static const struct form cache_form = {put_cache, "END\r\n"};
static const struct form forms[] = {[DUMP_META] = {put_meta, "END\r\n"}, [DUMP_MG] = {put_mg, "EN\r\n"}};

/* ---- turns ---- */

static void visit(void *context, const struct store_view *view)
{
    struct dump *dump = context;
    char line[LINE_MAX_SIZE];
    dump->item_count++;
    if (!(dump->classes >> (view->band + 1) & 1) || dump->item_max == 0)
        return;
    size_t size = (size_t)(dump->form->put(line, view) - line);
    if (size > dump->size_max) {
        dump->item_max = 0;
        return;
    }
    dump->item_max--;
    dump->size_max -= size;
    buffer_append(&dump->lines, line, size);
}

/* Looks at the next buckets. */
static void walk(struct dump *dump, struct protocol_thread *thread)
{
    dump->item_count = 0;
    for (unsigned buckets = 0; buckets < TURN_BUCKETS && dump->lines.size < TURN_SIZE && !dump->walked;
         buckets += STEP_BUCKETS) {
        dump->cursor = store_browse(thread->store, dump->cursor, STEP_ITEMS, STEP_BUCKETS, visit, dump);
        dump->walked = dump->cursor == 0 || dump->item_max == 0;
    }
    if (dump->walked)
        buffer_text(&dump->lines, dump->form->end);
    if (dump->protocol != NULL)
        metrics_add(thread->block, METRIC_crawler_items_checked, dump->item_count);
}

/* Moves lines to the output. True: all are there. */
static bool put_out(struct dump *dump, struct output *output)
{
    size_t size = dump->lines.size - dump->sent, room = output_room(output);
    if (size > room)
        size = room;
    output_append(output, dump->lines.data + dump->sent, size);
    dump->sent += size;
    if (dump->sent < dump->lines.size)
        return false;
    dump->lines.size = dump->sent = 0;
    return true;
}

static enum task_next dump_go_on(struct task *task, struct task_turn *turn)
{
    struct dump *dump = (struct dump *)task;
    if (dump->lines.size == 0 && !dump->walked)
        walk(dump, turn->thread);
    if (dump->lines.failed)
        return TASK_CLOSE; /* better cut short than with a gap */
    if (dump->lines.size > 0 && !put_out(dump, turn->output))
        return TASK_WRITE;
    return dump->walked ? TASK_DONE : TASK_AGAIN;
}

static void dump_end(struct task *task)
{
    struct dump *dump = (struct dump *)task;
    /* Release pairs with the acquire in dump_begin: one dump ends before the next begins. */
    if (dump->protocol != NULL)
        atomic_store_explicit(&dump->protocol->dumping, false, memory_order_release);
    buffer_fini(&dump->lines);
    free(dump);
}

bool dump_running(const struct protocol *protocol)
{
    return atomic_load_explicit(&protocol->dumping, memory_order_relaxed); /* what it says may be over */
}

enum dump_answer dump_begin(struct protocol_thread *thread, enum dump_form form, uint64_t classes,
                            struct task **task)
{
    struct protocol *protocol = thread->protocol;
    struct dump *dump = calloc(1, sizeof *dump);
    if (dump == NULL)
        return DUMP_FAILED;
    if (atomic_exchange_explicit(&protocol->dumping, true, memory_order_acquire)) {
        free(dump);
        return DUMP_BUSY;
    }
    dump->task = (struct task){.go_on = dump_go_on, .end = dump_end};
    dump->protocol = protocol;
    dump->form = &forms[form];
    dump->item_max = UINT64_MAX;
    dump->size_max = SIZE_MAX;
    dump->classes = classes;
    buffer_text(&dump->lines, "OK\r\n");
    metrics_add(thread->block, METRIC_lru_crawler_starts, 1);
    *task = &dump->task;
    return DUMP_OK;
}

struct task *dump_begin_cache(uint32_t class_id, uint32_t limit)
{
    struct dump *dump = calloc(1, sizeof *dump);
    if (dump == NULL)
        return NULL;
    dump->task = (struct task){.go_on = dump_go_on, .end = dump_end};
    dump->form = &cache_form;
    dump->item_max = limit == 0 ? UINT64_MAX : limit;
    dump->size_max = CACHEDUMP_SIZE_MAX;
    dump->classes = 1ull << class_id;
    return &dump->task;
}
