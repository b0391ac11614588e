/* SPDX-License-Identifier: Apache-2.0 */
/* data_impl.h — what the files of this folder share.
 *
 *   request --filter.c--> conditions --+
 *   rules of the collection --rules.c--+--> sql.c --> SQLite --> record.c --> JSON
 *
 * Always true: SQL text is made of constants of ours and of names we gave ("d7", "f3"); every byte
 * that a client sent is a bound value. Rows are read through the collection's `read` rule, whoever
 * asks and for whatever purpose: what a list leaves out nobody can get, expand, export or hear of.
 */
#pragma once
#include "app/data/limits.h"
#include "app/id.h"
#include "app/module.h"
#include "app/reply.h"

/* ---- What is wrong (flaw.c) ---- */
struct flaw {
    char place[120]; /* "title", "operations[3].record.title" */
    char text[200];
    const char *code;
};
struct flaws {
    u32 count; /* told; more may have been found */
    bool more;
    const char *prefix; /* of the places; may be NULL */
    u64 line;           /* of a file; 0: none */
    struct flaw items[DATA_FLAWS_MAX];
};
void flaw_add(struct flaws *f, const char *place, const char *code, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
void flaws_json(struct json_writer *w, const struct flaws *f); /* member "errors" */
void reply_flaws(struct request *rq, int status, const struct flaws *f);

/* ---- Statements (sql.c) ---- */
struct sql {
    struct buf text;
    struct db_value values[DATA_VALUES_MAX + 1];
    u32 count;
    bool failed;
};
void sql_open(struct sql *s);
void sql_close(struct sql *s);
void sql_put(struct sql *s, const char *constant);
void sql_put_name(struct sql *s, str ours); /* a table or column of ours */
void sql_put_number(struct sql *s, s64 n);
void sql_bind(struct sql *s, struct db_value v); /* "?7" */
/* The bytes of bound values must live until the rows are done. RC_LIMIT: too long. */
rc_t sql_query(struct sql *s, struct db_txn *t, struct db_rows **out);
rc_t sql_run(struct sql *s, struct db_txn *t);

/* ---- Fields (field.c) ---- */
enum field_type {
    FIELD_TEXT,
    FIELD_NUMBER,
    FIELD_INTEGER,
    FIELD_BOOL,
    FIELD_TIME,
    FIELD_JSON,
    FIELD_SELECT,
    FIELD_EMAIL,
    FIELD_URL,
    FIELD_RELATION,
    FIELD_TYPE_COUNT
};
enum on_delete { ON_DELETE_RESTRICT, ON_DELETE_CASCADE, ON_DELETE_SET_NULL };
struct regex;
struct field {
    str name, column; /* as users call it; "f3" */
    u32 key;          /* 3: never used again in this collection */
    enum field_type type;
    bool required, unique, indexed, search;
    bool has_min, has_max;
    double min, max; /* of a number; of a text its characters */
    struct regex *pattern;
    str *choices;
    u32 choice_count;
    str target; /* the collection a relation points into */
    enum on_delete on_delete;
    struct db_value fallback; /* when a record is made without it; DB_KIND_NULL: none */
};
str field_type_name(enum field_type t);
const char *field_column_type(enum field_type t); /* "TEXT" ... */
/* A value in JSON as the database keeps it; texts in the arena. `v` NULL: absent. */
bool field_take(const struct field *f, struct arena *a, const cJSON *v, struct db_value *out,
                struct flaws *flaws);
/* The same of a text, as files and filters have it. An empty one is no value unless it is a text.
 */
bool field_take_text(const struct field *f, struct arena *a, str text, struct db_value *out,
                     struct flaws *flaws);
void field_json(struct json_writer *w, const struct field *f, const struct db_value *v);
/* Reads one field of a definition. The pattern is closed by whoever owns the field. */
bool field_define(struct arena *a, const cJSON *o, struct field *out, struct flaws *flaws);

/* ---- Collections (collection.c) ---- */
struct rules;
struct index {
    u32 key, count;
    u32 fields[DATA_INDEX_FIELDS_MAX];
    bool unique;
};
struct collection { /* never changes; shared */
    u32 refs;
    struct arena arena; /* of all that is below */
    s64 num, version;
    u64 created_ns, updated_ns;
    str name, org_id, definition; /* JSON */
    struct field *fields;
    u32 field_count, next_key;
    struct index indexes[DATA_INDEXES_MAX];
    u32 index_count;
    str table, columns; /* "d7"; "num,id,version,...,f1,f2" */
    bool searched;      /* some field is in the full-text index, table "d7_fts" */
    str rules_text;
    struct rules *rules;
    /* A view: records of another collection, fewer of them and less of each. */
    bool is_view;
    str view_from, view_filter, view_fields, view_sort;
    struct collection *next_kept; /* in memory, most recently used first */
};
bool name_valid(str name);
/* Reads a definition; `flaws` (with places below `definition`) tell what is wrong. */
rc_t collection_parse(str name, str definition, struct collection **out, struct flaws *flaws);
rc_t collection_load(struct db_txn *t, str name, struct collection **out);  /* RC_NOT_FOUND */
void collection_release(struct collection *c);                              /* NULL is fine */
const struct field *collection_field(const struct collection *c, str name); /* NULL */
/* Loads the one the path names; false: answered. */
bool collection_of(struct request *rq, struct db_txn *t, str name, struct collection **out);
rc_t collection_names(struct db_txn *t, struct arena *a, str *names, u32 room, u32 *count);
extern const struct db_schema data_schema;
void collections_forget(void);

/* ---- Rules (rules.c): what Rego says of a collection ---- */
enum action { ACTION_READ, ACTION_CREATE, ACTION_UPDATE, ACTION_DELETE };
/* RC_INVALID: `flaws` have the places in the text. An empty text is the shipped rules. */
rc_t rules_open(str text, struct rules **out, struct flaws *flaws);
void rules_close(struct rules *r); /* NULL is fine */
/* Can `read` be said to the database, for a guest, a user, an administrator? Parks. */
bool rules_check(struct collection *c, struct flaws *flaws);
/* " AND (...)": the rows that this actor may read. RC_DENIED: none. RC_INVALID: the rule cannot be
 * said to the database, `why` says what; treated as a no. Parks. */
rc_t rules_condition(struct request *rq, struct collection *c, struct sql *to, struct diag *why);
/* May they? `before`, `after`: the record as JSON; empty: none. Fails closed. Does not park. */
bool rules_allow(struct request *rq, const struct collection *c, enum action action, str before,
                 str after);
void rules_stop(void);

/* ---- Filters (filter.c) ---- */
/* Adds the condition that a text says. false: `flaws` say where. */
bool filter_parse(const struct collection *c, struct arena *a, str text, struct sql *to,
                  struct flaws *flaws);
struct order {
    u32 count;
    struct {
        const struct field *field; /* NULL: `system` */
        const char *system;        /* "created_ns" ... */
        bool down;
    } by[DATA_SORT_MAX];
};
bool order_parse(const struct collection *c, str text, struct order *out, struct flaws *flaws);
void order_put(const struct order *o, struct sql *to); /* " ORDER BY ..." */
str words_match(struct arena *a, str text); /* an FTS5 expression; len 0: no word in it */

/* ---- Records (record.c) ---- */
struct record { /* texts in an arena */
    s64 num, version;
    str id, org_id, owner_id;
    u64 created_ns, updated_ns;
    struct db_value *values; /* by position of the field */
};
#define RECORD_COLUMNS "num,id,version,org_id,owner_id,created_ns,updated_ns"
enum { RECORD_COLUMN_COUNT = 7 };
struct selection { /* which members are written; none named: all */
    bool some, id, version, created, updated, owner;
    u64 fields; /* bit per position */
};
static_assert(DATA_FIELDS_MAX <= 64, "a selection is one word");
rc_t record_read(struct db_rows *r, const struct collection *c, struct arena *a,
                 struct record *out);
void record_json(struct json_writer *w, const struct collection *c, const struct record *r,
                 const struct selection *s); /* members alone, in an open object */
str record_text(struct arena *a, const struct collection *c, const struct record *r);
/* Takes the members of `body`. `whole`: what is not named gets its default, else stays. */
bool record_take(const struct collection *c, struct arena *a, const cJSON *body, bool whole,
                 struct record *io, struct flaws *flaws);
/* What is wanted is there, for text and JSON alike. */
bool record_whole(const struct collection *c, struct record *io, struct flaws *flaws);
bool selection_parse(const struct collection *c, str text, struct selection *out,
                     struct flaws *flaws);
/* " FROM d7 WHERE" with what the actor may read of their organisation's. */
rc_t record_from(struct request *rq, struct collection *c, const char *join, struct sql *s,
                 struct diag *why);
rc_t record_find(struct request *rq, struct db_txn *t, struct collection *c, str id,
                 struct record *out, struct diag *why); /* RC_NOT_FOUND: not there, or not theirs */

/* ---- Writing (write.c): inside a writer's transaction; the rules are asked here ---- */
enum write_kind { WRITE_CREATE, WRITE_REPLACE, WRITE_MERGE, WRITE_DELETE, WRITE_UPSERT };
struct write {
    enum write_kind kind;
    str id; /* CREATE: may be empty */
    const cJSON *body;
    const struct record *ready; /* instead of a body: values taken already */
    s64 if_version;             /* 0: any */
    struct record done;         /* the record as it is now */
    int status; /* of a failure: 403, 404, 409, 412, 422; 0: an rc of the database */
    bool made;  /* UPSERT: it was not there */
};
/* RC_OK; else nothing of it may stay: `w->status` and `flaws` say why, or the result code does. */
rc_t record_write(struct request *rq, struct db_txn *t, struct collection *c, struct write *w,
                  struct flaws *flaws);
/* Works out what the rules leave to this actor, before a transaction: parks. */
rc_t record_write_prepare(struct request *rq, struct collection *c, struct diag *why);

/* ---- The change log (changes.c, events.c) ---- */
enum change { CHANGE_CREATE = 1, CHANGE_UPDATE = 2, CHANGE_DELETE = 3 };
rc_t changes_make_table(struct db_txn *t);
rc_t changes_add(struct db_txn *t, const struct collection *c, enum change kind,
                 const struct record *r);
rc_t changes_range(struct db_txn *t, s64 *oldest, s64 *newest); /* numbers; 0: none */
void changes_tell(void); /* after a commit: wakes those who listen */
u64 changes_told(void); /* another number: there may be something new */
rc_t changes_wait(u64 ms);
u32 changes_subscribers(void);

/* ---- Following relations (expand.c) ---- */
struct expand { /* a tree of relations, by its paths "author.org" */
    u32 count;
    struct {
        str path;
    } paths[DATA_EXPAND_MAX];
};
bool expand_parse(const struct collection *c, str text, struct expand *out, struct flaws *flaws);
rc_t expand_json(struct request *rq, struct db_txn *t, const struct collection *c,
                 const struct record *r, const struct expand *e, struct json_writer *w);

/* ---- Routes ---- */
void collections_get(struct request *rq), collections_post(struct request *rq);
void collection_get(struct request *rq), collection_patch(struct request *rq);
void collection_delete(struct request *rq);
void data_list_get(struct request *rq), data_post(struct request *rq), data_get(struct request *rq);
void data_put(struct request *rq), data_patch(struct request *rq), data_delete(struct request *rq);
void data_batch_post(struct request *rq), data_events_get(struct request *rq);
void data_import_post(struct request *rq), data_export_get(struct request *rq);
u64 data_now_ns(void);
