/* SPDX-License-Identifier: Apache-2.0 */
/* web.c — the pages people see, from bytes embedded at build time.
 *
 *   /  /setup            one page per language: ?lang=, else Accept-Language, else English
 *   /assets/NAME.HASH    never changes under its name: cached for a year
 *
 * Nothing here is made at run time: compression, hashes and both languages come from
 * tools/embed.py, ranges and 304 from the HTTP row. The pipeline's page headers allow our own
 * scripts and styles only. */
#include "app/web/web.h"
#include "app/reply.h"
#include "app/web/web_assets.h"

static const struct web_asset *find(str path, str language) {
    for (unsigned i = 0; i < web_asset_count; i++) {
        const struct web_asset *a = &web_assets[i];
        bool spoken = !a->language[0] || str_eq(str_from_c(a->language), language);
        if (spoken && str_eq(str_from_c(a->path), path)) return a;
    }
    return NULL;
}

/* Thousandths of a quality value (RFC 9110 12.4.2); absent or malformed counts as 1. */
static u32 quality(str parameters) {
    size_t at = str_find(parameters, S("q="));
    u32 q = 0, digits = 0;
    if (at == parameters.len) return 1000;
    str v = str_skip(parameters, at + 2);
    if (!v.len || v.ptr[0] != '0') return 1000;
    for (size_t i = 2; i < v.len && digits < 3 && v.ptr[i] >= '0' && v.ptr[i] <= '9'; i++, digits++)
        q = q * 10 + (u32)(v.ptr[i] - '0');
    for (; digits < 3; digits++) q *= 10;
    return q;
}

/* Of the two we speak, the one the browser likes better; English when it does not care. */
static str preferred(str accept) {
    u32 best[2] = {0, 0};
    str one;
    while (str_split(&accept, ',', &one)) {
        size_t semicolon = str_find_byte(one, ';');
        str tag = str_trim(str_take(one, semicolon));
        u32 q = quality(str_skip(one, semicolon));
        str primary = str_take(tag, str_find_byte(tag, '-'));
        if (str_eq_nocase(primary, S("en"))) best[0] = MAX(best[0], q);
        if (str_eq_nocase(primary, S("fr"))) best[1] = MAX(best[1], q);
    }
    return best[1] > best[0] ? S("fr") : S("en");
}

static void answer(struct request *rq, const struct web_asset *a) {
    if (a)
        http_answer_static(rq->x, &a->file);
    else
        reply_problem(rq, 404, "no_such_path", "There is no such file.");
}

static void get_page(struct request *rq) {
    str language = {NULL, 0};
    if (!request_query_text(rq, "lang", 8, &language)) return;
    if (!language.ptr) language = preferred(http_field(rq->http, S("Accept-Language")));
    if (!str_eq(language, S("fr"))) language = S("en");
    if (http_answer_field(rq->x, S("Content-Language"), language) ||
        http_answer_field(rq->x, S("Vary"), S("Accept-Language"))) {
        reply_rc(rq, RC_NO_MEMORY, "The page");
        return;
    }
    answer(rq, find(rq->http->path, language));
}

static void get_asset(struct request *rq) { answer(rq, find(rq->http->path, S(""))); }

static const struct route_param page_query[] = {
    {"lang", "string", "en or fr; absent: as the browser prefers"},
    {0},
};
#define PAGE(path, fn, params, words)                                                              \
    {.method = HTTP_GET, .pattern = path, .handle = fn, .access = ACCESS_PUBLIC,                   \
     .permission = "web:page:read", .summary = words, .tag = "web", .query = params, .page = true}
static const struct route routes[] = {
    PAGE("/", get_page, page_query, "The landing page"),
    PAGE("/setup", get_page, page_query, "The form that makes the first administrator"),
    PAGE("/assets/{name}", get_asset, NULL, "Scripts, styles and pictures of the pages"),
    {0},
};
const struct module web_module = {.name = "web", .routes = routes};
