/* A request that came whole in one datagram, by a session that lives for it. */
#include "protocol/run_priv.h"

#include <string.h>

/* What a server says and no client does. Not answered: two servers would go on about it between them. */
static bool is_an_answer(const char *data, size_t size)
{
    static const struct fixed beginnings[] = {
        {"ERROR", 5}, {"CLIENT_ERROR", 12}, {"SERVER_ERROR", 12}, {"\x81", 1}};
    for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++)
        if (size >= beginnings[i].size && memcmp(data, beginnings[i].text, beginnings[i].size) == 0)
            return true;
    return false;
}

bool datagram_refuses(uint8_t command)
{
    return command == COMMAND_watch || command == COMMAND_lru_crawler || command == COMMAND_shutdown;
}

/* Nothing of the request is missing; a body that is ignored after its refusal may be. */
static bool is_whole(const struct session *session)
{
    return session->state == SESSION_IDLE ||
           (session->state == SESSION_SWALLOW && session->mode == RESULT_COUNT);
}

static void refuse(struct output *output)
{
    static const char text[] = "SERVER_ERROR reply too large for UDP\r\n";
    output_clear(output);
    output_append(output, text, sizeof text - 1);
}

enum protocol_datagram protocol_datagram(struct protocol_thread *thread, char *data, size_t size,
                                         struct output *output)
{
    struct session session;
    enum protocol_next next;
    if (is_an_answer(data, size))
        return PROTOCOL_DATAGRAM_DROPPED;
    session_init(&session);
    session.datagram = true;
    do {
        struct protocol_input input = {.data = data, .size = size, .capacity = PROTOCOL_DATAGRAM_SIZE_MAX};
        next = protocol_run(thread, &session, &input, output);
        data += input.consumed;
        size -= input.consumed;
    } while (next == PROTOCOL_YIELD);
    bool whole = next == PROTOCOL_CLOSE || (size == 0 && is_whole(&session));
    session_fini(&session);
    if (next == PROTOCOL_WRITE || output_pending(output) > PROTOCOL_DATAGRAM_REPLY_MAX) {
        refuse(output);
        return PROTOCOL_DATAGRAM_CUT;
    }
    if (whole)
        return PROTOCOL_DATAGRAM_DONE;
    output_clear(output);
    return PROTOCOL_DATAGRAM_DROPPED;
}
