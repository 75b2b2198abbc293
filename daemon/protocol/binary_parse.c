/* Binary frames, one into one struct request. Pure, as text_parse.c is. A frame is looked at once its head,
 * extras and key are there; what each malformed one answers, and whether the connection is closed behind
 * that, is memcached's. */
#include "protocol/binary_priv.h"

#include "base/clock.h"

#include <endian.h>
#include <string.h>

/* Lengths are signed in memcached, which refuses what does not fit; so do we. */
#define FRAME_BODY_SIZE_MAX ((uint32_t)INT32_MAX - 2)
#define MECHANISM_SIZE_MAX  32u

/* A frame's head, and where its parts lie. */
struct frame {
    uint8_t opcode, extras_size;
    uint16_t key_size;
    uint32_t body_size; /* all behind the head: extras, key and value */
    uint32_t opaque;    /* in the order it came */
    uint64_t cas;
    const char *extras, *key, *value;
    size_t value_size;
};

static const struct opcode_row opcode_rows[OPCODE_LIMIT] = {
#define OPCODE(id, code, command_, shape_, quiet_, key_shown_)                                               \
    [code] = {.command = COMMAND_##command_,                                                                 \
              .shape = SHAPE_##shape_,                                                                       \
              .quiet = (quiet_),                                                                             \
              .key_shown = (key_shown_)},
#include "protocol/binary.def"
};

const struct opcode_row *binary_opcode(uint8_t opcode)
{
    static const struct opcode_row unknown = {.shape = SHAPE_UNKNOWN, .command = COMMAND_unknown};
    bool known = opcode < OPCODE_LIMIT && opcode_rows[opcode].shape != SHAPE_UNKNOWN;
    return known ? &opcode_rows[opcode] : &unknown;
}

/* ---- numbers ---- */

static uint32_t load_u32(const char *from)
{
    uint32_t number;
    memcpy(&number, from, sizeof number);
    return be32toh(number);
}

static uint64_t load_u64(const char *from)
{
    uint64_t number;
    memcpy(&number, from, sizeof number);
    return be64toh(number);
}

/* ---- refusals ---- */

static enum parse_status refuse(struct request *request, enum result refusal)
{
    request->refusal = (uint8_t)refusal;
    return PARSE_DONE;
}

/* What is no request at all is answered, and the connection closed. It counts for no command. */
static enum parse_status refuse_last(struct request *request, enum result refusal)
{
    request->command = COMMAND_unknown;
    request->last = true;
    return refuse(request, refusal);
}

static enum parse_status refuse_value(struct request *request, const struct frame *frame, enum result refusal)
{
    request->swallow_size = frame->value_size;
    return refuse(request, refusal);
}

/* ---- the shapes ---- */

static void key_add(struct parser *parser, struct request *request, const struct frame *frame)
{
    struct batch *batch = parser->batch;
    batch->keys[batch->key_count++] = (struct store_key){.data = frame->key, .size = frame->key_size};
    request->key_count = 1;
}

/* What stands for a CAS that no item can have: with -C memcached compares with 0 where it compares at all. */
static uint64_t cas_of(const struct request *request, const struct frame *frame)
{
    return request->cas_hidden && frame->cas != 0 ? UINT64_MAX : frame->cas;
}

static enum parse_status parse_bare(struct parser *parser, const struct frame *frame, struct request *request)
{
    if (request->command == COMMAND_sasl && !parser->protocol->sasl)
        return refuse(request, RESULT_UNKNOWN);
    request->last = frame->opcode == OPCODE_quit || frame->opcode == OPCODE_quitq;
    return PARSE_DONE;
}

static enum parse_status parse_key(struct parser *parser, const struct frame *frame, struct request *request)
{
    key_add(parser, request, frame);
    request->cas = cas_of(request, frame);
    return PARSE_DONE;
}

/* Finds the value: it is there, or worth waiting for, or received apart. */
static enum parse_status parse_value(struct parser *parser, const struct frame *frame,
                                     struct request *request)
{
    request->body_size = frame->value_size;
    if (!store_fits(parser->protocol->store, frame->key_size, frame->value_size))
        return refuse_value(request, frame, RESULT_TOO_LARGE);
    /* A CAS makes a cas of a set, an add and a replace alike. With -C memcached has none to compare. */
    request->cas = request->cas_hidden ? 0 : frame->cas;
    if (request->cas != 0 && binary_opcode(frame->opcode)->shape == SHAPE_STORE)
        request->command = COMMAND_cas;
    if ((size_t)(parser->end - frame->value) >= frame->value_size) {
        request->body = frame->value;
        request->consumed = frame->value + frame->value_size;
        return PARSE_DONE;
    }
    if ((size_t)BINARY_HEAD_SIZE + frame->body_size <= parser->capacity)
        return PARSE_MORE;
    request->staged = true;
    return PARSE_DONE;
}

static enum parse_status parse_store(struct parser *parser, const struct frame *frame,
                                     struct request *request)
{
    key_add(parser, request, frame);
    request->flags = load_u32(frame->extras);
    request->expiry_s = protocol_expiry_unsigned(load_u32(frame->extras + 4));
    return parse_value(parser, frame, request);
}

static enum parse_status parse_join(struct parser *parser, const struct frame *frame, struct request *request)
{
    key_add(parser, request, frame);
    return parse_value(parser, frame, request);
}

static enum parse_status parse_delta(struct parser *parser, const struct frame *frame,
                                     struct request *request)
{
    uint32_t exptime = load_u32(frame->extras + 16);
    key_add(parser, request, frame);
    request->cas = cas_of(request, frame);
    request->number = load_u64(frame->extras);
    request->initial = load_u64(frame->extras + 8);
    request->create = exptime != BINARY_EXPIRY_NO_CREATE;
    request->expiry_s = protocol_expiry_unsigned(exptime);
    return PARSE_DONE;
}

static enum parse_status parse_touch(struct parser *parser, const struct frame *frame,
                                     struct request *request)
{
    key_add(parser, request, frame);
    request->expiry_s = protocol_expiry_unsigned(load_u32(frame->extras));
    return PARSE_DONE;
}

static enum parse_status parse_flush(struct parser *parser, const struct frame *frame,
                                     struct request *request)
{
    /* Refused here, for memcached counts a flush_all that -F refuses, but no flush. */
    if (settings_on(parser->protocol->settings, no_flush)) {
        request->command = COMMAND_unknown;
        return refuse(request, RESULT_REFUSED);
    }
    if (frame->extras_size > 0)
        request->expiry_s = protocol_expiry_unsigned(load_u32(frame->extras));
    return PARSE_DONE;
}

/* What a Stat may ask for, in the words of `stats`. Some are told by their beginning alone. */
static const struct stat_group {
    const char *name, *words;
    bool prefix;
} stat_groups[] = {{"", "", false},
                   {"reset", "reset", true},
                   {"settings", "settings", true},
                   {"detail on", "detail on", true},
                   {"detail off", "detail off", true},
                   {"detail dump", "detail dump", true},
                   {"items", "items", false},
                   {"slabs", "slabs", false},
                   {"sizes", "sizes", false},
                   {"sizes_enable", "sizes_enable", false},
                   {"sizes_disable", "sizes_disable", false}};

static enum parse_status parse_stat(struct parser *parser, const struct frame *frame, struct request *request)
{
    (void)parser;
    for (size_t i = 0; i < sizeof stat_groups / sizeof *stat_groups; i++) {
        const struct stat_group *group = &stat_groups[i];
        size_t size = strlen(group->name);
        if (frame->key_size < size || (!group->prefix && frame->key_size > size) ||
            memcmp(frame->key, group->name, size) != 0)
            continue;
        request->words = group->words;
        request->words_size = strlen(group->words);
        return PARSE_DONE;
    }
    return refuse(request, RESULT_NOT_FOUND);
}

/* The mechanism stands in `words`, the message in `body`. */
static enum parse_status parse_sasl(struct parser *parser, const struct frame *frame, struct request *request)
{
    if (!parser->protocol->sasl)
        return refuse_value(request, frame, RESULT_UNKNOWN);
    if (frame->key_size > MECHANISM_SIZE_MAX)
        return refuse_value(request, frame, RESULT_BAD_FORMAT);
    if ((size_t)BINARY_HEAD_SIZE + frame->body_size > parser->capacity)
        return refuse_value(request, frame, RESULT_NO_MEMORY);
    if ((size_t)(parser->end - frame->value) < frame->value_size)
        return PARSE_MORE;
    request->words = frame->key;
    request->words_size = frame->key_size;
    request->body = frame->value;
    request->body_size = frame->value_size;
    request->consumed = frame->value + frame->value_size;
    return PARSE_DONE;
}

/* memcached ignores all of the body's size once more, key and extras included, though those are read. */
static enum parse_status parse_unknown(struct parser *parser, const struct frame *frame,
                                       struct request *request)
{
    (void)parser;
    request->swallow_size = frame->body_size;
    return refuse(request, RESULT_UNKNOWN);
}

/* What a frame of a shape must look like, and who reads it. memcached does not ask whether there is more body
 * than it needs in a TOUCH and a STAT: the rest is taken for the next frame. */
static const struct shape {
    uint8_t extras_size;
    bool extras_optional;
    bool key_needed, key_allowed;
    bool more_allowed; /* a value, or bytes that nobody asked for */
    enum parse_status (*parse)(struct parser *parser, const struct frame *frame, struct request *request);
} shapes[SHAPE_COUNT] = {[SHAPE_BARE] = {0, false, false, false, false, parse_bare},
                         [SHAPE_KEY] = {0, false, true, true, false, parse_key},
                         [SHAPE_STORE] = {8, false, true, true, true, parse_store},
                         [SHAPE_JOIN] = {0, false, true, true, true, parse_join},
                         [SHAPE_DELTA] = {20, false, true, true, false, parse_delta},
                         [SHAPE_TOUCH] = {4, false, true, true, true, parse_touch},
                         [SHAPE_FLUSH] = {4, true, false, false, false, parse_flush},
                         [SHAPE_STAT] = {0, false, false, true, true, parse_stat},
                         [SHAPE_SASL] = {0, false, true, true, true, parse_sasl}};

static bool frame_has_shape(const struct frame *frame, const struct shape *shape)
{
    bool extras =
        frame->extras_size == shape->extras_size || (shape->extras_optional && frame->extras_size == 0);
    bool key = frame->key_size > 0 ? shape->key_allowed : !shape->key_needed;
    return extras && key && (shape->more_allowed || frame->value_size == 0);
}

/* ---- the input ---- */

/* Before authentication these are served, and nothing else. */
static bool opcode_is_open(uint8_t opcode)
{
    return opcode == OPCODE_version || opcode == OPCODE_sasl_list || opcode == OPCODE_sasl_auth ||
           opcode == OPCODE_sasl_step;
}

static enum parse_status parse_frame(struct parser *parser, const struct frame *frame,
                                     struct request *request)
{
    if ((uint32_t)frame->key_size + frame->extras_size > frame->body_size)
        return refuse_last(request, RESULT_UNKNOWN);
    if (parser->locked && !opcode_is_open(frame->opcode))
        return refuse_last(request, RESULT_REFUSED);
    if (frame->key_size > STORE_KEY_SIZE_MAX || frame->body_size > FRAME_BODY_SIZE_MAX)
        return refuse_last(request, RESULT_BAD_FORMAT);
    uint8_t shape = binary_opcode(frame->opcode)->shape;
    if (shape == SHAPE_UNKNOWN)
        return parse_unknown(parser, frame, request);
    if (!frame_has_shape(frame, &shapes[shape]))
        return refuse_last(request, RESULT_BAD_FORMAT);
    return shapes[shape].parse(parser, frame, request);
}

static struct frame frame_at(const char *data)
{
    struct frame frame = {.opcode = (uint8_t)data[1],
                          .extras_size = (uint8_t)data[4],
                          .body_size = load_u32(data + 8),
                          .cas = load_u64(data + 16),
                          .extras = data + BINARY_HEAD_SIZE};
    uint16_t key_size;
    memcpy(&key_size, data + 2, sizeof key_size);
    frame.key_size = be16toh(key_size);
    memcpy(&frame.opaque, data + BINARY_OPAQUE_AT, sizeof frame.opaque);
    frame.key = frame.extras + frame.extras_size;
    frame.value = frame.key + frame.key_size;
    size_t known = (size_t)frame.extras_size + frame.key_size;
    frame.value_size = frame.body_size > known ? frame.body_size - known : 0;
    return frame;
}

static struct request *request_open(struct parser *parser, const struct frame *frame)
{
    struct batch *batch = parser->batch;
    struct request *request = &batch->requests[batch->request_count];
    const struct opcode_row *row = binary_opcode(frame->opcode);
    request_clear(request);
    request->dialect = DIALECT_BINARY;
    request->command = row->command;
    request->noreply = row->quiet;
    request->cas_hidden = parser->protocol->cas_hidden;
    request->opcode = frame->opcode;
    request->opaque = frame->opaque;
    request->key_first = (uint16_t)batch->key_count;
    request->words = "";
    request->consumed = frame->value;
    return request;
}

enum parse_status binary_parse(struct parser *parser)
{
    size_t size = (size_t)(parser->end - parser->at);
    if (size < BINARY_HEAD_SIZE)
        return PARSE_MORE;
    if ((uint8_t)parser->at[0] != BINARY_MAGIC_REQUEST)
        return PARSE_CLOSE;
    struct frame frame = frame_at(parser->at);
    size_t need = (size_t)BINARY_HEAD_SIZE + frame.extras_size + frame.key_size;
    /* A key that the input cannot hold is refused before it is there. */
    if (size < need && need <= parser->capacity)
        return PARSE_MORE;
    struct request *request = request_open(parser, &frame);
    if (size < need)
        request->consumed = parser->end;
    enum parse_status status = parse_frame(parser, &frame, request);
    if (status == PARSE_DONE) {
        parser->at = request->consumed;
        parser->batch->request_count++;
    } else {
        parser->batch->key_count = request->key_first;
    }
    return status;
}
