#include "stream.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIGIT_COUNT 16u

_Static_assert(sizeof(struct stream_header) == 24, "the header is as the file has it");
_Static_assert(sizeof(struct stream_record) == 24, "a record is as the file has it");

static bool stream_map(struct stream *stream, const char *path)
{
    struct stat status;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0 || fstat(file, &status) != 0 || (size_t)status.st_size < sizeof(struct stream_header)) {
        if (file >= 0)
            close(file);
        return false;
    }
    stream->map_size = (uint64_t)status.st_size;
    stream->map = mmap(NULL, stream->map_size, PROT_READ, MAP_SHARED, file, 0);
    close(file);
    return stream->map != MAP_FAILED;
}

static bool header_fits(const struct stream_header *header, uint64_t map_size)
{
    return memcmp(header->magic, STREAM_MAGIC, sizeof header->magic) == 0 &&
           header->record_size == sizeof(struct stream_record) && header->key_size >= STREAM_KEY_SIZE_MIN &&
           header->key_size <= STREAM_KEY_SIZE_MAX &&
           header->count == (map_size - sizeof *header) / sizeof(struct stream_record);
}

bool stream_open(struct stream *stream, const char *path)
{
    if (!stream_map(stream, path)) {
        fprintf(stderr, "%s: cannot be read\n", path);
        return false;
    }
    const struct stream_header *header = stream->map;
    if (!header_fits(header, stream->map_size)) {
        fprintf(stderr, "%s: not a stream of requests\n", path);
        munmap(stream->map, stream->map_size);
        return false;
    }
    stream->records = (const struct stream_record *)(header + 1);
    stream->count = header->count;
    stream->key_size = header->key_size;
    return true;
}

void stream_close(struct stream *stream)
{
    munmap(stream->map, stream->map_size);
}

void stream_key_text(uint64_t key, char *text, uint32_t key_size)
{
    char *digit = text + key_size - DIGIT_COUNT;
    memset(text, 'k', key_size - DIGIT_COUNT);
    for (unsigned i = 0; i < DIGIT_COUNT; i++)
        *digit++ = "0123456789abcdef"[key >> (60 - 4 * i) & 15];
}
