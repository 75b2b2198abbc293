/* What the key resources share: an item's facts, copied out of the store, and their JSON.
 * Place: admin, between api_keys.c, api_key.c and api_values.c. Thread-safety: pure. */
#ifndef VITRINE_ADMIN_API_KEY_PRIV_H
#define VITRINE_ADMIN_API_KEY_PRIV_H

#include "admin/request_priv.h"

struct item_facts {
    char key[STORE_KEY_SIZE_MAX];
    uint32_t key_size, flags, expiry_s, access_s;
    uint64_t cas;
    size_t size;
    bool fetched;
    unsigned band;
};

void item_facts_read(struct item_facts *facts, const struct store_view *view);
json_t *item_facts_json(const struct item_facts *facts, uint32_t now_s);

/* The key that the path names. False: the 400 is in the reply. */
bool item_key_read(const struct request *request, struct reply *reply, char key[STORE_KEY_SIZE_MAX],
                   struct store_key *out);
/* Keys and values are nobody's to see with -X. False: the 403 is in the reply. */
bool item_access_allowed(const struct request *request, struct reply *reply);

#endif
