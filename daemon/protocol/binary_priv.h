/* What the files of the binary dialect share: the frame's head and the table of opcodes. Flow as in
 * protocol_priv.h: binary_parse.c turns frames into struct request, binary_reply.c outcomes into frames,
 * binary_sasl.c authenticates. Source: memcached's protocol_binary.h and the behaviour of its proto_bin.c. */
#ifndef VITRINE_PROTOCOL_BINARY_PRIV_H
#define VITRINE_PROTOCOL_BINARY_PRIV_H

#include "protocol/protocol_priv.h"

#define BINARY_MAGIC_REQUEST 0x80
#define BINARY_MAGIC_REPLY   0x81
#define BINARY_HEAD_SIZE     24u
#define BINARY_OPAQUE_AT     12u /* in the head, of 4 bytes */
/* An expiry that says: create no number. */
#define BINARY_EXPIRY_NO_CREATE 0xffffffffu

enum opcode {
#define OPCODE(id, code, command, shape, quiet, key_shown) OPCODE_##id = (code),
#include "protocol/binary.def"
    OPCODE_LIMIT /* above all of them */
};

enum frame_shape {
    SHAPE_UNKNOWN, /* of an opcode that has no row */
    SHAPE_BARE,
    SHAPE_KEY,
    SHAPE_STORE,
    SHAPE_JOIN,
    SHAPE_DELTA,
    SHAPE_TOUCH,
    SHAPE_FLUSH,
    SHAPE_STAT,
    SHAPE_SASL,
    SHAPE_COUNT
};

struct opcode_row {
    uint8_t shape;   /* enum frame_shape */
    uint8_t command; /* enum command */
    bool quiet, key_shown;
};
/* The row of any byte. */
const struct opcode_row *binary_opcode(uint8_t opcode);

#endif
