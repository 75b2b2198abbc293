#include "requests.h"

#include <stdio.h>
#include <stdlib.h>

#define NONE UINT32_MAX

struct numbering {
    uint64_t *key;
    uint32_t *object; /* NONE: the place is empty */
    uint64_t mask;
};

static bool numbering_open(struct numbering *numbering, uint64_t count)
{
    uint64_t places = 16;
    while (places < 2 * count)
        places *= 2;
    numbering->mask = places - 1;
    numbering->key = malloc(places * sizeof *numbering->key);
    numbering->object = malloc(places * sizeof *numbering->object);
    for (uint64_t i = 0; numbering->object && i < places; i++)
        numbering->object[i] = NONE;
    return numbering->key && numbering->object;
}

/* The place of the key, or the empty one where it belongs. Keys are well mixed already. */
static uint64_t numbering_place(const struct numbering *numbering, uint64_t key)
{
    uint64_t place = key & numbering->mask;
    while (numbering->object[place] != NONE && numbering->key[place] != key)
        place = (place + 1) & numbering->mask;
    return place;
}

static void number_all(struct requests *requests, struct numbering *numbering)
{
    for (uint64_t at = 0; at < requests->stream.count; at++) {
        const struct stream_record *record = &requests->stream.records[at];
        uint64_t place = numbering_place(numbering, record->key);
        if (numbering->object[place] == NONE) {
            numbering->key[place] = record->key;
            numbering->object[place] = requests->object_count;
            requests->value_size[requests->object_count++] = record->value_size;
        }
        requests->object[at] = numbering->object[place];
    }
}

bool requests_open(struct requests *requests, const char *path)
{
    struct numbering numbering = {0};
    *requests = (struct requests){0};
    if (!stream_open(&requests->stream, path))
        return false;
    uint64_t count = requests->stream.count;
    requests->object = malloc((count + 1) * sizeof *requests->object);
    requests->value_size = malloc((count + 1) * sizeof *requests->value_size);
    bool open = requests->object && requests->value_size && numbering_open(&numbering, count);
    if (open)
        number_all(requests, &numbering);
    else
        fprintf(stderr, "%s: out of memory\n", path);
    free(numbering.key);
    free(numbering.object);
    if (!open)
        requests_close(requests);
    return open;
}

void requests_close(struct requests *requests)
{
    stream_close(&requests->stream);
    free(requests->object);
    free(requests->value_size);
}
