/* SPDX-License-Identifier: Apache-2.0 */
/* json.c — JSON in: a strict scan, then cJSON's tree in an arena.
 *
 *   text -> json_scan: grammar of RFC 8259, UTF-8 of RFC 3629, depth -> cJSON -> json_check_tree
 *
 * The scan keeps no stack but one bit per level (object or array), so hostile nesting costs
 * nothing. Where the RFC leaves a choice ("i_" in JSONTestSuite) we choose: a byte order mark, a
 * lone surrogate and any byte that is not UTF-8 are refused; numbers of any size and precision are
 * grammatical (json_parse refuses those that become infinite).
 *
 * Always true: cJSON only ever sees text that passed the scan; its allocations come from the arena
 * of the thread that parses, so there is nothing to free and nothing to leak.
 * Leaves to others: writing (json_writer.c), typed members and their messages (request.c). */
#include "app/json.h"
#include "kernel/base/limits.h"
#include "kernel/core/fiber.h"
#include "kernel/core/worker.h"
#include "kernel/platform.h"
#include <math.h>

/* ---- The scan ------------------------------------------------------------------------------ */

static_assert(JSON_DEPTH_MAX <= 64, "one bit per level in a u64");

struct scan {
    const u8 *at, *end, *start;
    struct diag *why;
    u64 is_object; /* bit per open level, the innermost lowest */
    u32 depth;
};

static rc_t refuse(struct scan *s, const char *reason) {
    int line = 1, column = 1;
    for (const u8 *p = s->start; p < s->at; p++) {
        if (*p == '\n')
            line++, column = 1;
        else if ((*p & 0xC0) != 0x80) /* columns count characters, not bytes */
            column++;
    }
    if (s->why) {
        diag_set(s->why, "%s at line %d, column %d", reason, line, column);
        s->why->line = line;
        s->why->column = column;
    }
    return RC_INVALID;
}

static void skip_blanks(struct scan *s) {
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\n' || *s->at == '\r' || *s->at == '\t'))
        s->at++;
}

/* Four hexadecimal digits, or -1. */
static s32 hex4(const u8 *p, const u8 *end) {
    s32 v = 0;
    if (end - p < 4) return -1;
    for (int i = 0; i < 4; i++) {
        u8 c = p[i], low = c | 0x20;
        if (c >= '0' && c <= '9')
            v = v * 16 + (c - '0');
        else if (low >= 'a' && low <= 'f')
            v = v * 16 + (low - 'a' + 10);
        else
            return -1;
    }
    return v;
}

/* After a backslash; surrogates must come in pairs. */
static rc_t scan_escape(struct scan *s) {
    if (s->at == s->end) return refuse(s, "unfinished escape");
    u8 c = *s->at;
    if (c != 'u') {
        if (c == 0 || !strchr("\"\\/bfnrt", c)) return refuse(s, "unknown escape");
        s->at++;
        return RC_OK;
    }
    s32 unit = hex4(s->at + 1, s->end);
    if (unit < 0) return refuse(s, "\\u needs four hexadecimal digits");
    s->at += 5;
    if (unit < 0xD800 || unit > 0xDFFF) return RC_OK;
    bool paired = unit <= 0xDBFF && s->end - s->at >= 6 && s->at[0] == '\\' && s->at[1] == 'u';
    s32 low = paired ? hex4(s->at + 2, s->end) : -1;
    if (low < 0xDC00 || low > 0xDFFF) return refuse(s, "half of a surrogate pair");
    s->at += 6;
    return RC_OK;
}

/* Bytes of the well-formed UTF-8 character at p (RFC 3629), 0 = none. */
static u32 utf8_length(const u8 *p, const u8 *end) {
    size_t left = (size_t)(end - p);
    u8 a = p[0];
#define MORE(i) (left > (i) && (p[i] & 0xC0) == 0x80)
    if (a < 0x80) return 1;
    if (a >= 0xC2 && a <= 0xDF) return MORE(1) ? 2 : 0;
    if (a >= 0xE0 && a <= 0xEF) {
        if (!MORE(1) || !MORE(2)) return 0;
        if (a == 0xE0 && p[1] < 0xA0) return 0; /* overlong */
        return a == 0xED && p[1] > 0x9F ? 0 : 3; /* surrogates */
    }
    if (a >= 0xF0 && a <= 0xF4) {
        if (!MORE(1) || !MORE(2) || !MORE(3)) return 0;
        if (a == 0xF0 && p[1] < 0x90) return 0; /* overlong */
        return a == 0xF4 && p[1] > 0x8F ? 0 : 4; /* beyond U+10FFFF */
    }
#undef MORE
    return 0;
}

static rc_t scan_string(struct scan *s) {
    s->at++; /* the quote */
    while (s->at < s->end) {
        s->at += json_plain_run(str_of((const char *)s->at, (size_t)(s->end - s->at)));
        if (s->at == s->end) break;
        u8 c = *s->at;
        if (c == '"') {
            s->at++;
            return RC_OK;
        }
        if (c == '\\') {
            s->at++;
            rc_t rc = scan_escape(s);
            if (rc) return rc;
        } else if (c < 0x20) {
            return refuse(s, "control character in a string");
        } else if (c < 0x80) {
            s->at++;
        } else {
            u32 n = utf8_length(s->at, s->end);
            if (!n) return refuse(s, "not UTF-8");
            s->at += n;
        }
    }
    return refuse(s, "unfinished string");
}

static bool skip_digits(struct scan *s) {
    const u8 *from = s->at;
    while (s->at < s->end && *s->at >= '0' && *s->at <= '9') s->at++;
    return s->at > from;
}

static rc_t scan_number(struct scan *s) {
    if (*s->at == '-') s->at++;
    const u8 *first = s->at;
    if (!skip_digits(s)) return refuse(s, "a number needs digits");
    if (*first == '0' && s->at - first > 1) return refuse(s, "a number must not begin with 0");
    if (s->at < s->end && *s->at == '.') {
        s->at++;
        if (!skip_digits(s)) return refuse(s, "a fraction needs digits");
    }
    if (s->at < s->end && (*s->at | 0x20) == 'e') {
        s->at++;
        if (s->at < s->end && (*s->at == '+' || *s->at == '-')) s->at++;
        if (!skip_digits(s)) return refuse(s, "an exponent needs digits");
    }
    return RC_OK;
}

static rc_t scan_word(struct scan *s, str word) {
    if (!str_starts(str_of((const char *)s->at, (size_t)(s->end - s->at)), word))
        return refuse(s, "unknown word");
    s->at += word.len;
    return RC_OK;
}

static rc_t scan_push(struct scan *s, bool object) {
    if (s->depth == JSON_DEPTH_MAX) {
        (void)refuse(s, "nested too deeply");
        return RC_LIMIT;
    }
    s->is_object = s->is_object << 1 | object;
    s->depth++;
    s->at++;
    return RC_OK;
}

static rc_t scan_key(struct scan *s) {
    skip_blanks(s);
    if (s->at == s->end || *s->at != '"') return refuse(s, "a key in quotes is wanted");
    rc_t rc = scan_string(s);
    if (rc) return rc;
    skip_blanks(s);
    if (s->at == s->end || *s->at != ':') return refuse(s, "':' is wanted");
    s->at++;
    return RC_OK;
}

static rc_t scan_scalar(struct scan *s) {
    u8 c = *s->at;
    if (c == '"') return scan_string(s);
    if (c == '-' || (c >= '0' && c <= '9')) return scan_number(s);
    if (c == 't') return scan_word(s, S("true"));
    if (c == 'f') return scan_word(s, S("false"));
    if (c == 'n') return scan_word(s, S("null"));
    return refuse(s, "a value is wanted");
}

/* A value's beginning: a whole scalar, an empty container, or one level deeper. *opened: a value
 * must follow (the first of an array, or after an object's first key). */
static rc_t scan_value(struct scan *s, bool *opened) {
    rc_t rc;
    *opened = false;
    skip_blanks(s);
    if (s->at == s->end) return refuse(s, "unexpected end");
    u8 c = *s->at;
    if (c != '{' && c != '[') return scan_scalar(s);
    if ((rc = scan_push(s, c == '{'))) return rc;
    skip_blanks(s);
    if (s->at < s->end && *s->at == (c == '{' ? '}' : ']')) {
        s->at++;
        s->depth--;
        s->is_object >>= 1;
        return RC_OK;
    }
    *opened = true;
    return c == '{' ? scan_key(s) : RC_OK;
}

/* After a value: closes what ends here. *more: a comma came, and the next value follows. */
static rc_t scan_after_value(struct scan *s, bool *more) {
    for (*more = false; s->depth;) {
        bool object = s->is_object & 1;
        skip_blanks(s);
        if (s->at == s->end) return refuse(s, "unexpected end");
        u8 c = *s->at;
        if (c == ',') {
            s->at++;
            *more = true;
            return object ? scan_key(s) : RC_OK;
        }
        if (c != (object ? '}' : ']')) return refuse(s, "',' or the closing bracket is wanted");
        s->at++;
        s->depth--;
        s->is_object >>= 1;
    }
    return RC_OK;
}

rc_t json_scan(str text, struct diag *why) {
    const u8 *from = (const u8 *)text.ptr;
    struct scan s = {.at = from, .start = from, .end = from + text.len, .why = why};
    for (bool more = true; more;) {
        bool opened;
        rc_t rc = scan_value(&s, &opened);
        if (rc) return rc;
        if (opened) continue;
        if ((rc = scan_after_value(&s, &more))) return rc;
    }
    skip_blanks(&s);
    return s.at == s.end ? RC_OK : refuse(&s, "something follows the value");
}

/* ---- The tree ------------------------------------------------------------------------------ */

/* cJSON's hooks are global and take no argument, so each thread parks its arena here. */
static struct arena *parsing[1 + WORKER_MAX];

static void *tree_alloc(size_t n) {
    struct arena *a = parsing[platform_thread()];
    CHECK(a != NULL); /* cJSON is never called but from json_parse */
    return arena_alloc(a, n);
}
static void tree_free(void *p) { (void)p; } /* the arena's end frees all */

/* A key twice is how two readers come to believe two things of one document: refused. The scratch
 * table costs two words per member and is dropped with the arena. */
static rc_t check_keys(struct arena *a, const cJSON *object, u32 members, struct diag *why) {
    if (members < 2) return RC_OK;
    u32 room = 4;
    while (room < members * 2) room *= 2;
    const char **seen = arena_zero(a, room * sizeof *seen);
    if (!seen) return a->starved ? RC_NO_MEMORY : RC_LIMIT;
    u64 seed = (u64)(uintptr_t)seen * 0x9E3779B97F4A7C15ull;
    for (const cJSON *m = object->child; m; m = m->next) {
        u64 at = str_hash(str_from_c(m->string), seed) & (room - 1);
        for (; seen[at]; at = (at + 1) & (room - 1)) {
            if (strcmp(seen[at], m->string) == 0) {
                diag_set(why, "the key \"%.60s\" appears twice in one object", m->string);
                return RC_INVALID;
            }
        }
        seen[at] = m->string;
    }
    return RC_OK;
}

/* Recursion is bounded: the scan let at most JSON_DEPTH_MAX levels in. */
static rc_t check_tree(struct arena *a, const cJSON *node, struct diag *why) {
    u32 members = 0;
    if (cJSON_IsNumber(node) && !isfinite(node->valuedouble)) {
        diag_set(why, "a number is too large");
        return RC_INVALID;
    }
    for (const cJSON *m = node->child; m; m = m->next, members++) {
        rc_t rc = check_tree(a, m, why);
        if (rc) return rc;
    }
    return cJSON_IsObject(node) ? check_keys(a, node, members, why) : RC_OK;
}

/* cJSON ends strings at NUL, so an escaped one would hide what follows it. */
static bool holds_nul_escape(str text) {
    for (size_t i = str_find_byte(text, '\\'); i + 5 < text.len; i++) {
        if (text.ptr[i] != '\\') continue;
        if (memcmp(text.ptr + i + 1, "u0000", 5) == 0) return true;
        i++; /* the escaped character, which may be a backslash */
    }
    return false;
}

static void hook_once(void) {
    static bool hooked;
    if (!hooked) cJSON_InitHooks(&(cJSON_Hooks){.malloc_fn = tree_alloc, .free_fn = tree_free});
    hooked = true;
}

rc_t json_parse(struct arena *a, str text, cJSON **out, struct diag *why) {
    struct diag own;
    if (!why) why = &own;
    rc_t rc = json_scan(text, why);
    if (rc) return rc;
    if (holds_nul_escape(text)) {
        diag_set(why, "the character U+0000 is not accepted");
        return RC_INVALID;
    }
    hook_once();
    struct arena **slot = &parsing[platform_thread()], *outer = *slot;
    *slot = a;
    *out = cJSON_ParseWithLength(text.ptr, text.len);
    *slot = outer;
    if (!*out && a->starved) return RC_NO_MEMORY;
    if (!*out) { /* grammatical, so what was missing is room in the arena */
        diag_set(why, "the document is too large to hold");
        return RC_LIMIT;
    }
    return check_tree(a, *out, why);
}

/* ---- Off the loop -------------------------------------------------------------------------- */

struct parse_job {
    struct arena *a;
    str text;
    cJSON **out;
    struct diag *why;
    rc_t rc;
};
static void parse_job_run(void *arg) {
    struct parse_job *j = arg;
    j->rc = json_parse(j->a, j->text, j->out, j->why);
}

rc_t json_parse_parked(struct arena *a, str text, cJSON **out, struct diag *why) {
    hook_once(); /* here, so that no worker ever does */
    if (text.len <= JSON_PARSE_LOOP_MAX || !fiber_inside()) return json_parse(a, text, out, why);
    struct parse_job job = {a, text, out, why, RC_OK};
    rc_t rc = worker_run(parse_job_run, &job);
    return rc ? rc : job.rc;
}
