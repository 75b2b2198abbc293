/* Events as memcached writes them to watchers: one line each, `name=value` with a space between. */
#include "protocol/line_priv.h"
#include "protocol/watch_priv.h"

#include "base/assert.h"

#include <arpa/inet.h>

#define US_PER_S 1000000u

/* "ts=<seconds>.<microseconds> gid=<number> type=<type>" */
static char *put_head(char *out, const struct live_event *event, uint64_t gid, const char *type)
{
    uint32_t us = (uint32_t)(event->time_us % US_PER_S);
    out = line_u64(line_text(out, "ts="), event->time_us / US_PER_S);
    *out++ = '.';
    for (uint32_t unit = US_PER_S / 10; unit > 0; unit /= 10)
        *out++ = (char)('0' + us / unit % 10);
    out = line_u64(line_text(out, " gid="), gid);
    return line_text(line_text(out, " type="), type);
}

static char *put_key(char *out, const struct live_event *event)
{
    return line_uri(line_text(out, " key="), event->text, event->text_size);
}

static char *put_class(char *out, const struct live_event *event)
{
    return line_u64(line_text(out, " clsid="), event->class_id);
}

static char *put_fd(char *out, const struct live_event *event)
{
    return line_i64(line_text(out, " cfd="), event->fd);
}

static char *put_size(char *out, const struct live_event *event)
{
    return line_u64(line_text(out, " size="), event->size);
}

static const char *fetch_status(const struct live_event *event)
{
    if (event->result == RESULT_HIT)
        return "found";
    if (event->miss == STORE_MISS_EXPIRED)
        return "expired";
    return event->miss == STORE_MISS_FLUSHED ? "flushed" : "not_found";
}

static char *put_fetch(char *out, const struct live_event *event, uint64_t gid)
{
    out = put_key(put_head(out, event, gid, "item_get"), event);
    out = line_text(line_text(out, " status="), fetch_status(event));
    return put_size(put_fd(put_class(out, event), event), event);
}

static const char *store_status(enum result result)
{
    switch (result) {
    case RESULT_STORED:
        return "stored";
    case RESULT_EXISTS:
        return "exists";
    case RESULT_NOT_FOUND:
        return "not_found";
    case RESULT_TOO_LARGE:
        return "too_large";
    case RESULT_NO_MEMORY:
        return "no_memory";
    default:
        return "not_stored";
    }
}

static const char *const mode_names[] = {
    [STORE_SET] = "set",       [STORE_ADD] = "add",         [STORE_REPLACE] = "replace",
    [STORE_APPEND] = "append", [STORE_PREPEND] = "prepend", [STORE_CAS] = "cas"};

/* The time to live is unsigned, as memcached's: one that is past shows as a very large number. */
static char *put_store(char *out, const struct live_event *event, uint64_t gid)
{
    out = put_key(put_head(out, event, gid, "item_store"), event);
    out = line_text(line_text(out, " status="), store_status((enum result)event->result));
    out = line_text(line_text(out, " cmd="), mode_names[event->command]);
    out = line_u64(line_text(out, " ttl="), (uint32_t)event->ttl_s);
    return put_size(put_fd(put_class(out, event), event), event);
}

static char *put_deletion(char *out, const struct live_event *event, uint64_t gid)
{
    out = put_key(put_head(out, event, gid, "deleted"), event);
    out = line_text(line_text(out, " cmd="), command_rows[event->command].name);
    return put_size(put_class(out, event), event);
}

static char *put_eviction(char *out, const struct live_event *event, uint64_t gid)
{
    out = put_key(put_head(out, event, gid, "eviction"), event);
    out = line_text(out, event->fetched ? " fetch=yes" : " fetch=no");
    out = line_i64(line_text(out, " ttl="), event->ttl_s);
    out = line_u64(line_text(out, " la="), event->idle_s);
    return put_size(put_class(out, event), event);
}

static char *put_peer(char *out, const struct live_event *event)
{
    char address[INET6_ADDRSTRLEN] = "unix";
    bool internet = event->family == AF_INET || event->family == AF_INET6;
    if (internet)
        inet_ntop(event->family, event->text, address, sizeof address);
    out = line_text(line_text(out, " rip="), address);
    out = line_u64(line_text(out, " rport="), internet ? event->port : 0);
    return line_text(out, internet ? " transport=tcp" : " transport=local");
}

static char *put_opened(char *out, const struct live_event *event, uint64_t gid)
{
    return put_fd(put_peer(put_head(out, event, gid, "conn_new"), event), event);
}

static char *put_closed(char *out, const struct live_event *event, uint64_t gid)
{
    static const char *const names[] = {[REASON_ERROR] = "error",
                                        [REASON_NORMAL] = "normal",
                                        [REASON_IDLE] = "idle_timeout",
                                        [REASON_SHUTDOWN] = "shutdown"};
    out = put_peer(put_head(out, event, gid, "conn_close"), event);
    return put_fd(line_text(line_text(out, " reason="), names[event->reason]), event);
}

static const struct {
    enum stream stream;
    char *(*put)(char *out, const struct live_event *event, uint64_t gid);
} kinds[EVENT_TYPE_COUNT] = {
    [EVENT_FETCH] = {STREAM_fetchers, put_fetch},        [EVENT_STORE] = {STREAM_mutations, put_store},
    [EVENT_DELETION] = {STREAM_deletions, put_deletion}, [EVENT_EVICTION] = {STREAM_evictions, put_eviction},
    [EVENT_OPENED] = {STREAM_connevents, put_opened},    [EVENT_CLOSED] = {STREAM_connevents, put_closed},
};

enum stream watch_stream(const struct live_event *event)
{
    return kinds[event->type].stream;
}

size_t watch_line(const struct live_event *event, uint64_t gid, char out[WATCH_LINE_MAX])
{
    char *end = kinds[event->type].put(out, event, gid);
    *end++ = '\n';
    ASSERT(end <= out + WATCH_LINE_MAX);
    return (size_t)(end - out);
}
