/* policy [-f SHARE] STREAM MEMORY_KIB [MODEL...]: replays a stream through the store and through models of
 * other caches. With -f, the first SHARE (0.25: a quarter) of the requests are replayed but not counted.
 *
 * Prints one line a model, tab-separated: name, gets, misses; for the store also bytes stored, bytes copied,
 * the share of -m that live items take at the end, and their count. Without names, all. */
#include "replay_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct model *const models[] = {&model_slabs,    &model_lru_66,   &model_lru_28, &model_fifo,
                                             &model_s3fifo_1, &model_s3fifo_2, &model_gdsf,   &model_optimum};
#define MODEL_COUNT (sizeof models / sizeof models[0])

static bool wanted(const char *name, char **names, int count)
{
    for (int i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return count == 0;
}

static void print_result(const char *name, const struct replay_result *result)
{
    printf("%s\t%llu\t%llu", name, (unsigned long long)result->gets, (unsigned long long)result->misses);
}

static bool run_store(const struct requests *requests, uint64_t memory_size)
{
    struct replay_result result;
    struct store_figures figures;
    if (!store_replay(requests, memory_size, &result, &figures))
        return false;
    print_result("store", &result);
    printf("\t%llu\t%llu\t%.4f\t%llu\n", (unsigned long long)figures.bytes_stored,
           (unsigned long long)figures.bytes_copied, figures.live_share,
           (unsigned long long)figures.item_count);
    return true;
}

static bool run_model(const struct requests *requests, const struct model *model, uint64_t memory_size)
{
    struct replay_result result;
    if (!cache_replay(requests, model, memory_size, &result)) {
        fprintf(stderr, "%s: out of memory\n", model->name);
        return false;
    }
    print_result(model->name, &result);
    putchar('\n');
    return true;
}

static int usage(void)
{
    fprintf(stderr, "usage: policy [-f SHARE] STREAM MEMORY_KIB [MODEL...]\n  store\tthe store itself\n");
    for (size_t i = 0; i < MODEL_COUNT; i++)
        fprintf(stderr, "  %s\t%s\n", models[i]->name, models[i]->about);
    return 2;
}

int main(int argc, char **argv)
{
    struct requests requests;
    double share = argc >= 3 && strcmp(argv[1], "-f") == 0 ? strtod(argv[2], NULL) : 0;
    if (argc >= 3 && strcmp(argv[1], "-f") == 0) {
        argc -= 2;
        argv += 2;
    }
    uint64_t memory_size = argc >= 3 ? strtoull(argv[2], NULL, 10) << 10 : 0;
    if (memory_size == 0)
        return usage();
    if (!requests_open(&requests, argv[1]))
        return 1;
    requests.counted_from = (uint64_t)((double)requests.stream.count * share);
    bool fine = !wanted("store", argv + 3, argc - 3) || run_store(&requests, memory_size);
    for (size_t i = 0; i < MODEL_COUNT && fine; i++)
        fine = !wanted(models[i]->name, argv + 3, argc - 3) || run_model(&requests, models[i], memory_size);
    requests_close(&requests);
    return fine ? 0 : 1;
}
