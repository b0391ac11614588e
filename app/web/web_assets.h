/* SPDX-License-Identifier: Apache-2.0 */
/* web_assets.h — the embedded pages and assets; the table is made by tools/embed.py at build
 * time. */
#pragma once
#include "net/http.h"

struct web_asset {
    const char *path;     /* as requested: "/", "/setup", "/assets/style.0123456789abcdef.css" */
    const char *language; /* "en" "fr"; "" = the same for all */
    struct http_static file;
};
extern const struct web_asset web_assets[];
extern const unsigned web_asset_count;
