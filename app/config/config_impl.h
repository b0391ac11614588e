/* SPDX-License-Identifier: Apache-2.0 */
/* config_impl.h — what the files of this folder share. */
#pragma once
#include "app/config/config.h"
#include "app/json.h"
#include "app/module.h"

enum option_kind { OPTION_TEXT, OPTION_INT, OPTION_BOOL, OPTION_CHOICE, OPTION_DURATION,
                   OPTION_SECRET, OPTION_DOCUMENT, OPTION_JSON };
enum option_effect { LIVE, RESTART };
typedef bool option_check(str value, struct diag *why); /* true: fine */

struct option {
    const char *key;
    enum option_kind kind;
    const char *initial; /* the default, as text */
    s64 min, max;        /* bytes of text and documents, value of ints, seconds of durations */
    option_check *check; /* of texts and documents */
    const char *choices;
    enum option_effect effect;
    const char *help;
};
extern const struct option options[];
extern const u32 option_count;
enum { OPTIONS_MAX = 128, OPTION_TEXT_MAX = 1025 };

int option_find(str key); /* -1: unknown */
const char *option_kind_name(enum option_kind k);
bool option_takes_object(const struct option *o); /* its value is a JSON object */
bool option_is_hidden(const struct option *o); /* its value is never shown */
/* Text as typed to its canonical text and number. RC_INVALID, and `why` names the key. */
rc_t option_parse(const struct option *o, str text, struct arena *a, str *out_text, s64 *out_number,
                  struct diag *why);
/* A JSON value to the text option_parse reads. RC_INVALID. */
rc_t option_text_of_json(const struct option *o, const cJSON *value, struct arena *a, str *out,
                         struct diag *why);

/* Later wins (ORDER config sources: as in config.h and docs/reference/config.md). */
enum config_source { SOURCE_DEFAULT, SOURCE_STORED, SOURCE_MACHINE, SOURCE_COMMAND_LINE,
                     SOURCE_COUNT };
const char *config_source_name(enum config_source s);

struct config_setting { /* a parsed value on its way in */
    u32 option;
    str text;
    s64 number;
};
struct config_view { /* a value in force */
    str text;
    s64 number;
    enum config_source source;
    s64 version;      /* of the stored value; 0: none */
    bool restart_needed;
};
void config_view_get(u32 option, struct config_view *out);
bool config_fixed_by_machine(u32 option);
/* Takes all of them or none. RC_NO_MEMORY. version: of stored values, older ones do not replace
 * newer ones; 0 elsewhere. Runs on_change functions of what changed and is live. */
rc_t config_set(enum config_source source, const struct config_setting *list, u32 count,
                s64 version);
void config_unset(enum config_source source, u32 option, s64 version);

/* Documents at boot (machine.c); the whole document or nothing of it. RC_INVALID. */
rc_t config_read_json(str json, struct diag *why);
rc_t config_read_command_line(str line, struct diag *why);

/* Stored values (store.c). */
struct request;
rc_t config_store_load(struct diag *why);
/* `unset`: bit per list entry, back to what is below. RC_CONFLICT: version moved on. */
rc_t config_store_change(struct request *rq, const struct config_setting *list, u32 count,
                         bool unset, s64 expected_version, s64 *out_version);
rc_t config_store_version(s64 *out);
void config_answer_one(struct request *rq, u32 option); /* api.c */
void config_check_one(struct request *rq);              /* revert.c */
void config_revert_one(struct request *rq);
extern const struct route config_routes[];
extern const struct module_schema config_schemas[];
extern const struct db_schema config_db_schema;
