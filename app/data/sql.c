/* SPDX-License-Identifier: Apache-2.0 */
/* sql.c — statements put together piece by piece.
 *
 * Always true: text comes from constants of ours and from names that we made (a letter and a
 * number); whatever a client sent goes through sql_bind. A statement that grew too large fails
 * when it is run, not while it is put together. */
#include "app/data/data_impl.h"

void sql_open(struct sql *s) {
    buf_open(&s->text, 65536);
    s->count = 0;
    s->failed = false;
    s->values[0] = (struct db_value){.kind = DB_KIND_END};
}
void sql_close(struct sql *s) {
    buf_close(&s->text);
}

void sql_put(struct sql *s, const char *constant) {
    (void)buf_add(&s->text, str_from_c(constant));
}

void sql_put_name(struct sql *s, str ours) {
    for (size_t i = 0; i < ours.len; i++) {
        char c = ours.ptr[i];
        CHECK((u8)(c - 'a') < 26 || (u8)(c - '0') < 10 || c == '_' || c == ',');
    }
    (void)buf_add(&s->text, ours);
}

void sql_put_number(struct sql *s, s64 n) {
    (void)buf_printf(&s->text, "%lld", (long long)n);
}

void sql_bind(struct sql *s, struct db_value v) {
    if (s->count == DATA_VALUES_MAX) {
        s->failed = true;
        return;
    }
    s->values[s->count++] = v;
    s->values[s->count] = (struct db_value){.kind = DB_KIND_END};
    (void)buf_printf(&s->text, "?%u", s->count);
}

static rc_t finish(struct sql *s) {
    (void)buf_add_byte(&s->text, 0);
    return s->failed || s->text.failed ? RC_LIMIT : RC_OK;
}

rc_t sql_query(struct sql *s, struct db_txn *t, struct db_rows **out) {
    rc_t rc = finish(s);
    *out = NULL;
    return rc ? rc : db_query_values(t, out, s->text.ptr, s->values);
}

rc_t sql_run(struct sql *s, struct db_txn *t) {
    rc_t rc = finish(s);
    return rc ? rc : db_run_values(t, s->text.ptr, s->values);
}
