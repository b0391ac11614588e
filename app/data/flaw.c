/* SPDX-License-Identifier: Apache-2.0 */
/* flaw.c — what is wrong with what a client sent, several things at once, each with its place.
 *
 *   {"field": "operations[3].record.title", "code": "field_required", "detail": "..."}
 *
 * Whoever reads input adds flaws and goes on; whoever began answers once, with all of them. */
#include <stdarg.h>
#include <stdio.h>
#include "app/data/data_impl.h"

void flaw_add(struct flaws *f, const char *place, const char *code, const char *fmt, ...) {
    va_list args;
    if (f->count == DATA_FLAWS_MAX) {
        f->more = true;
        return;
    }
    struct flaw *one = &f->items[f->count++];
    const char *prefix = f->prefix ? f->prefix : "";
    snprintf(one->place, sizeof one->place, "%s%s%s", prefix, *prefix && *place ? "." : "", place);
    va_start(args, fmt);
    vsnprintf(one->text, sizeof one->text, fmt, args);
    va_end(args);
    one->code = code;
}

/* Texts of ours may have been cut inside a character. */
static str whole_characters(const char *text) {
    str s = str_from_c(text);
    while (s.len && !str_is_utf8(s)) s.len--;
    return s;
}

void flaws_json(struct json_writer *w, const struct flaws *f) {
    json_array(w, "errors");
    for (u32 i = 0; i < f->count; i++) {
        json_object(w, NULL);
        if (*f->items[i].place) json_text(w, "field", whole_characters(f->items[i].place));
        json_text(w, "code", str_from_c(f->items[i].code));
        json_text(w, "detail", whole_characters(f->items[i].text));
        json_object_end(w);
    }
    json_array_end(w);
}

void reply_flaws(struct request *rq, int status, const struct flaws *f) {
    static const struct flaw unknown = {"", "The request cannot be carried out.", "invalid"};
    const struct flaw *first = f->count ? &f->items[0] : &unknown;
    char sentence[400];
    struct json_writer w;
    if (status == 401)
        (void)!!http_answer_field(rq->x, S("WWW-Authenticate"), S("Bearer realm=\"openpolicy\""));
    snprintf(sentence, sizeof sentence, "%s%s%s", first->place, *first->place ? ": " : "",
             first->text);
    json_open(&w, KIB(32));
    json_object(&w, NULL);
    json_text(&w, "type", S("about:blank"));
    json_text(&w, "title", str_from_c(http_status_text(status)));
    json_int(&w, "status", status);
    json_text(&w, "code", str_from_c(first->code));
    json_text(&w, "detail", whole_characters(sentence));
    if (*first->place) json_text(&w, "field", whole_characters(first->place));
    flaws_json(&w, f);
    json_text(&w, "request_id", rq->http->id);
    json_object_end(&w);
    reply_problem_json(rq, status, &w);
}
