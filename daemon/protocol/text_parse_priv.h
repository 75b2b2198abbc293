/* What meta lines have in common with those of the classic commands. Place: private to the protocol.
 * Thread-safety: pure. */
#ifndef VITRINE_PROTOCOL_TEXT_PARSE_PRIV_H
#define VITRINE_PROTOCOL_TEXT_PARSE_PRIV_H

#include "protocol/protocol_priv.h"

struct line {
    const char *data, *end; /* without its line end */
    const char *next;       /* behind its line end */
};

enum parse_status text_refuse(struct request *request, enum result refusal);
/* Refuses a storage request whose size is known: the body behind it is ignored. */
enum parse_status text_refuse_body(struct request *request, enum result refusal);
void text_key_add(struct parser *parser, struct request *request, const char *key, size_t size);
/* Reads an expiry, as a coarse second. */
bool text_read_expiry(const struct token *token, uint32_t *expiry_s);
bool text_read_body_size(const struct token *token, size_t *size);
/* Finds the body of a storage request, whose line was right. */
enum parse_status text_parse_body(struct parser *parser, const struct line *line, struct request *request);

/* ---- meta_parse.c ---- */
enum parse_status meta_parse_get(struct parser *parser, const struct line *line, struct request *request);
enum parse_status meta_parse_store(struct parser *parser, const struct line *line, struct request *request);
enum parse_status meta_parse_key(struct parser *parser, const struct line *line, struct request *request);
enum parse_status meta_parse_delta(struct parser *parser, const struct line *line, struct request *request);
enum parse_status meta_parse_debug(struct parser *parser, const struct line *line, struct request *request);

#endif
