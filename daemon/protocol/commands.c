/* The rows of commands.def as a table, and the lookup of a word in it. */
#include "protocol/protocol_priv.h"

#include <string.h>

/* What a class is, however its line reads. */
#define KIND_OF(class)                                                                                       \
    ((class) == CLASS_META_GET     ? CLASS_KEYS                                                              \
     : (class) == CLASS_META_STORE ? CLASS_STORE                                                             \
     : (class) == CLASS_META_KEY   ? CLASS_KEY                                                               \
     : (class) == CLASS_META_DELTA ? CLASS_DELTA                                                             \
                                   : (class))

const struct command_row command_rows[COMMAND_COUNT] = {
#define COMMAND(id, kin, class_, tokens, execute_, mode_, count_, hit_, miss_, badval_, summary_)            \
    [COMMAND_##id] = {.name = #id,                                                                           \
                      .name_size = sizeof #id - 1,                                                           \
                      .class = CLASS_##class_,                                                               \
                      .kind = KIND_OF(CLASS_##class_),                                                       \
                      .tokens_min = tokens,                                                                  \
                      .mode = mode_,                                                                         \
                      .execute = execute_,                                                                   \
                      .count = count_,                                                                       \
                      .hit = hit_,                                                                           \
                      .miss = miss_,                                                                         \
                      .badval = badval_,                                                                     \
                      .summary = summary_},
#include "protocol/commands.def"
};

_Static_assert(COMMAND_COUNT <= METRICS_COMMAND_MAX, "the request matrix has a row for each command");
_Static_assert(2 * COMMAND_COUNT <= COMMAND_SLOT_COUNT, "at least half of the slots are free");

static unsigned slot_of(const char *word, size_t size)
{
    return ((unsigned char)word[0] + 7u * (unsigned char)word[size - 1] + 31u * (unsigned)size) %
           COMMAND_SLOT_COUNT;
}

void command_index_build(struct command_index *index)
{
    memset(index, 0, sizeof *index);
    for (unsigned i = 0; i < COMMAND_COUNT; i++) {
        const struct command_row *row = &command_rows[i];
        if (row->tokens_min == 0)
            continue;
        unsigned slot = slot_of(row->name, row->name_size);
        while (index->slot[slot] != 0)
            slot = (slot + 1) % COMMAND_SLOT_COUNT;
        index->slot[slot] = (uint8_t)(i + 1);
    }
}

enum command command_find(const struct command_index *index, const char *word, size_t size)
{
    if (size == 0)
        return COMMAND_unknown;
    for (unsigned slot = slot_of(word, size); index->slot[slot] != 0;
         slot = (slot + 1) % COMMAND_SLOT_COUNT) {
        const struct command_row *row = &command_rows[index->slot[slot] - 1];
        if (row->name_size == size && memcmp(row->name, word, size) == 0)
            return (enum command)(index->slot[slot] - 1);
    }
    return COMMAND_unknown;
}
