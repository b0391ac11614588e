/* SPDX-License-Identifier: Apache-2.0 */
/* edge_read.h — what edge.c and edge_route.c share: typed members of a JSON object, each refusal
 * naming the place ("routes/shop: \"weight\" wants 0 to 1000"). Not for other folders. */
#pragma once
#include "app/config/edge.h"
#include "app/json.h"

struct edge_reading {
    struct arena *a;
    struct edge *e;
    str place; /* "upstreams/shop" */
    struct diag *why;
};
rc_t edge_wrong(struct edge_reading *r, const char *member, const char *wanted);
rc_t edge_known(struct edge_reading *r, const cJSON *object, const char *const *names);
rc_t edge_text(struct edge_reading *r, const cJSON *object, const char *name, size_t max, str *out);
rc_t edge_int(struct edge_reading *r, const cJSON *object, const char *name, s64 min, s64 max,
              u32 *out);
rc_t edge_bool(struct edge_reading *r, const cJSON *object, const char *name, bool *out);
/* Index of the word in `words` (blanks between); absent: *out as it was. */
rc_t edge_choice(struct edge_reading *r, const cJSON *object, const char *name, const char *words,
                 u32 *out);
/* A list of texts, or one text. */
rc_t edge_texts(struct edge_reading *r, const cJSON *object, const char *name, u32 max, str **out,
                u32 *count);
rc_t edge_names(struct edge_reading *r, str name); /* what upstreams and routes may be called */
/* A list of names of limits, as indices. */
rc_t edge_limit_names(struct edge_reading *r, const cJSON *object, const char *member, u32 **out,
                      u32 *count);
rc_t edge_read_routes(struct edge_reading *r, const cJSON *list); /* edge_route.c */
