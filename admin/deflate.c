#include "admin/deflate_priv.h"

#include <stdlib.h>
#include <zlib.h>

#define GZIP_WINDOW_BITS (15 + 16) /* zlib's way to say: with a gzip header */
#define GZIP_LEVEL       3         /* a page of keys shrinks sevenfold for a third of the default's time */
#define GZIP_MEMORY      8

bool gzip_buffer(struct buffer *buffer)
{
    z_stream stream = {0};
    if (deflateInit2(&stream, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW_BITS, GZIP_MEMORY, Z_DEFAULT_STRATEGY) !=
        Z_OK)
        return false;
    char *packed = malloc(buffer->size);
    stream.next_in = (Bytef *)buffer->data;
    stream.avail_in = (uInt)buffer->size;
    stream.next_out = (Bytef *)packed;
    stream.avail_out = packed != NULL ? (uInt)buffer->size : 0;
    bool gained = deflate(&stream, Z_FINISH) == Z_STREAM_END;
    size_t size = stream.total_out;
    deflateEnd(&stream);
    if (!gained) {
        free(packed);
        return false;
    }
    buffer_fini(buffer);
    *buffer = (struct buffer){.data = packed, .size = size, .capacity = size};
    return true;
}

unsigned char *gunzip(const unsigned char *gzip, size_t gzip_size, size_t size)
{
    z_stream stream = {0};
    if (inflateInit2(&stream, GZIP_WINDOW_BITS) != Z_OK)
        return NULL;
    unsigned char *data = malloc(size);
    stream.next_in = (Bytef *)gzip;
    stream.avail_in = (uInt)gzip_size;
    stream.next_out = data;
    stream.avail_out = data != NULL ? (uInt)size : 0;
    bool whole = inflate(&stream, Z_FINISH) == Z_STREAM_END && stream.total_out == size;
    inflateEnd(&stream);
    if (whole)
        return data;
    free(data);
    return NULL;
}
