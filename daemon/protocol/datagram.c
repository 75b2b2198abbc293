/* A request that came whole in one datagram, by a session that lives for it. */
#include "protocol/binary_priv.h"
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

static void refuse_text(struct output *output)
{
    static const char text[] = "SERVER_ERROR reply too large for UDP";
    output_append(output, text, sizeof text - 1);
    output_append(output, "\r\n", 2);
}

/* As an answer to the first of the frames. */
static void refuse_binary(struct output *output, const char *frame)
{
    struct request request = {.dialect = DIALECT_BINARY, .opcode = (uint8_t)frame[1]};
    request.command = binary_opcode(request.opcode)->command;
    memcpy(&request.opaque, frame + BINARY_OPAQUE_AT, sizeof request.opaque);
    const struct outcome outcome = {.result = RESULT_TOO_LARGE};
    dialects[DIALECT_BINARY]->reply(output, &request, NULL, &outcome);
}

static void refuse(struct output *output, const struct session *session, const char *data)
{
    output_clear(output);
    if (session->speaks == SPEECH_BINARY)
        refuse_binary(output, data);
    else
        refuse_text(output);
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
    size_t done = 0;
    do {
        struct protocol_input input = {
            .data = data + done, .size = size - done, .capacity = PROTOCOL_DATAGRAM_SIZE_MAX};
        next = protocol_run(thread, &session, &input, output);
        done += input.consumed;
    } while (next == PROTOCOL_YIELD);
    enum protocol_datagram result = PROTOCOL_DATAGRAM_DONE;
    if (next == PROTOCOL_WRITE || output_pending(output) > PROTOCOL_DATAGRAM_REPLY_MAX) {
        refuse(output, &session, data);
        result = PROTOCOL_DATAGRAM_CUT;
    } else if (next != PROTOCOL_CLOSE && (done < size || !is_whole(&session))) {
        output_clear(output);
        result = PROTOCOL_DATAGRAM_DROPPED;
    }
    session_fini(&session);
    return result;
}
