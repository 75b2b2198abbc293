/* The output: bytes in order, with pinned values that are sent from where they lie between two of them. */
#include "protocol/protocol_priv.h"

#include "base/assert.h"

#include <string.h>

void output_append(struct output *output, const void *data, size_t size)
{
    ASSERT(size <= output_room(output));
    memcpy(output->data + output->size, data, size);
    output->size += size;
}

void output_pin_value(struct output *output, struct store_pin *pin, size_t size)
{
    ASSERT(output->pin_count < OUTPUT_PINS_MAX);
    output->pins[output->pin_count++] = (struct output_pin){.pin = pin, .at = output->size, .size = size};
}

size_t output_pending(const struct output *output)
{
    size_t pending = output->size - output->sent;
    for (unsigned i = output->pin_first; i < output->pin_count; i++)
        pending += output->pins[i].size - output->pins[i].sent;
    return pending;
}

/* The vectors of one pinned value from what is sent of it on. */
static int pin_vectors(const struct output_pin *pin, struct iovec *vectors, int max)
{
    int count = 0;
    size_t offset = pin->sent;
    while (count < max && offset < pin->size) {
        const char *data;
        size_t size = store_pin_part(pin->pin, offset, &data);
        ASSERT(size > 0);
        if (size > pin->size - offset)
            size = pin->size - offset;
        vectors[count++] = (struct iovec){.iov_base = (char *)(uintptr_t)data, .iov_len = size};
        offset += size;
    }
    return count;
}

int output_vectors(const struct output *output, struct iovec *vectors, int max)
{
    int count = 0;
    size_t at = output->sent;
    for (unsigned i = output->pin_first; i < output->pin_count && count < max; i++) {
        const struct output_pin *pin = &output->pins[i];
        if (at < pin->at)
            vectors[count++] = (struct iovec){.iov_base = output->data + at, .iov_len = pin->at - at};
        at = pin->at;
        count += pin_vectors(pin, vectors + count, max - count);
    }
    if (count < max && at < output->size)
        vectors[count++] = (struct iovec){.iov_base = output->data + at, .iov_len = output->size - at};
    return count;
}

/* Up to `size` bytes of what stands before data[until] went out; returns how many are left of `size`. */
static size_t advance_data(struct output *output, size_t until, size_t size)
{
    size_t step = until - output->sent;
    if (step > size)
        step = size;
    output->sent += step;
    return size - step;
}

void output_advance(struct output *output, size_t size)
{
    while (output->pin_first < output->pin_count) {
        struct output_pin *pin = &output->pins[output->pin_first];
        size = advance_data(output, pin->at, size);
        size_t step = pin->size - pin->sent;
        if (step > size)
            step = size;
        pin->sent += step;
        size -= step;
        if (output->sent < pin->at || pin->sent < pin->size)
            return;
        store_unpin(pin->pin);
        output->pin_first++;
    }
    output->pin_first = output->pin_count = 0;
    size = advance_data(output, output->size, size);
    ASSERT(size == 0);
    if (output->sent == output->size)
        output->sent = output->size = 0;
}

void output_clear(struct output *output)
{
    for (unsigned i = output->pin_first; i < output->pin_count; i++)
        store_unpin(output->pins[i].pin);
    output->pin_first = output->pin_count = 0;
    output->sent = output->size = 0;
}
