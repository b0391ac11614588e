/* SPDX-License-Identifier: Apache-2.0 */
/* backup_target.c — reads the option backup.s3. What ends in a URL or a header is bounded and of
 * plain characters, so that nothing that is signed has to be escaped. */
#include "app/config/backup_target.h"
#include "app/json.h"
#include "net/http_url.h"

#define TARGET_ARENA_MAX KIB(256)
#define TEXT_MAX 2048u

static bool plain(str s, const char *besides) {
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i], lower = (char)(c | 0x20);
        bool usual = (c >= '0' && c <= '9') || (lower >= 'a' && lower <= 'z');
        if (!usual && !(c && strchr(besides, c))) return false;
    }
    return true;
}

static rc_t check_url(struct backup_target *t, struct diag *why) {
    struct http_url url;
    while (t->url.len && t->url.ptr[t->url.len - 1] == '/') t->url.len--;
    rc_t rc = http_url_parse(t->url, &url, why);
    if (!rc && url.target.len) {
        diag_set(why, "url wants a scheme and a host alone");
        rc = RC_INVALID;
    }
    return rc;
}

static rc_t check_members(struct backup_target *t, struct diag *why) {
    const char *wrong = NULL;
    if (!t->url.len) wrong = "url is missing";
    else if (t->bucket.len < 3 || t->bucket.len > 63 || !plain(t->bucket, ".-"))
        wrong = "bucket wants 3 to 63 letters, digits, dots and dashes";
    else if (t->prefix.len > 512 || !plain(t->prefix, "/._-"))
        wrong = "prefix wants at most 512 letters, digits and / . _ -";
    else if (t->region.len > 64 || !plain(t->region, "-")) wrong = "region is not one";
    else if (!t->access_key.len || t->access_key.len > 256 || !plain(t->access_key, "_-."))
        wrong = "access_key wants letters, digits and . _ -";
    else if (!t->secret_key.len) wrong = "secret_key is missing";
    else if (!plain(t->session_token, "+/=_-.")) wrong = "session_token is not one";
    if (wrong) diag_set(why, "%s", wrong);
    return wrong ? RC_INVALID : check_url(t, why);
}

rc_t backup_target_parse(struct arena *a, str json, struct backup_target *out, struct diag *why) {
    const struct {
        const char *name;
        str *to;
    } members[] = {{"url", &out->url},
                   {"bucket", &out->bucket},
                   {"prefix", &out->prefix},
                   {"region", &out->region},
                   {"access_key", &out->access_key},
                   {"secret_key", &out->secret_key},
                   {"session_token", &out->session_token},
                   {"ca_cert", &out->ca_cert}};
    cJSON *root;
    *out = (struct backup_target){.region = S("us-east-1")};
    if (!json.len) return RC_OK;
    rc_t rc = json_parse(a, json, &root, why);
    if (rc) return rc;
    if (!cJSON_IsObject(root)) {
        diag_set(why, "wants an object");
        return RC_INVALID;
    }
    for (const cJSON *m = root->child; m; m = m->next) {
        size_t i = 0;
        while (i < ARRAY_LEN(members) && strcmp(members[i].name, m->string) != 0) i++;
        if (i == ARRAY_LEN(members)) {
            diag_set(why, "does not know the member %.40s", m->string);
            return RC_INVALID;
        }
        size_t max = members[i].to == &out->ca_cert ? 65536 : TEXT_MAX;
        if (!cJSON_IsString(m) || strlen(m->valuestring) > max) {
            diag_set(why, "wants %s as a text of at most %zu bytes", members[i].name, max);
            return RC_INVALID;
        }
        *members[i].to = str_from_c(m->valuestring);
    }
    return root->child ? check_members(out, why) : RC_OK; /* {}: nowhere */
}

bool check_backup_target(str value, struct diag *why) {
    struct backup_target t;
    struct arena a;
    arena_open(&a, NULL, 0, TARGET_ARENA_MAX);
    rc_t rc = backup_target_parse(&a, value, &t, why);
    arena_close(&a);
    if (rc == RC_NO_MEMORY) diag_set(why, "is too large to be read now");
    return rc == RC_OK;
}
