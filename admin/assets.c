/* The dashboard: files that were built into the binary. */
#include "admin/assets.h"

#include "admin/request_priv.h"

#include <stdio.h>
#include <string.h>

#define INDEX_PATH "/index.html"

static const struct admin_asset *find(const char *prefix, struct slice name)
{
    size_t skip = strlen(prefix);
    for (size_t i = 0; i < admin_asset_count; i++)
        if (strncmp(admin_assets[i].path, prefix, skip) == 0 && slice_is(name, admin_assets[i].path + skip))
            return &admin_assets[i];
    return NULL;
}

static void reply_asset(struct reply *reply, const struct admin_asset *asset)
{
    if (asset == NULL) {
        reply_problem(reply, 404, "there is nothing at this path");
        return;
    }
    reply->status = 200;
    reply->type = asset->content_type;
    reply->asset = asset;
    snprintf(reply->etag, sizeof(reply->etag), "%s", asset->etag);
}

void api_asset(struct request *request, struct reply *reply)
{
    reply_asset(reply, find("/assets/", (struct slice){request->parameter, request->parameter_size}));
}

/* At a path that is no page the dashboard says so itself, to whoever looks with a browser; a scraper with a
 * slip in its path is told by the status. */
void api_page(struct request *request, struct reply *reply)
{
    struct slice name = {request->parameter, request->parameter_size};
    const struct admin_asset *asset = find(name.size > 0 ? "/" : INDEX_PATH, name);
    if (asset != NULL) {
        reply_asset(reply, asset);
        return;
    }
    reply_asset(reply, find(INDEX_PATH, (struct slice){"", 0}));
    reply->status = 404;
}
