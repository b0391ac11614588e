/* SPDX-License-Identifier: Apache-2.0 */
/* bundles.h — bundles from servers and by hand, configuration found in a bundle, and reports on
 * both: what the files about them share. */
#pragma once
#include "app/bundle/bundle.h"
#include "app/config/sources.h"
#include "app/json.h"
#include "app/policy/lang/error.h"

enum {
    BUNDLE_NAME_LEN_MAX = SOURCE_NAME_MAX,
    BUNDLE_LOAD_BYTES_MAX = 64 << 20, /* of an archive, and unpacked, unless the source says more */
};
struct request;

/* ---- bundles.c ---- */
/* On a worker. `out` is to be dropped in any case. */
rc_t bundles_read(str archive, const struct bundle_options *o, struct policy_bundle *out,
                  struct diag *why);
/* Makes a snapshot or a delta part of the state. RC_INVALID with `errors` or `why`. */
rc_t bundles_activate(struct request *rq, str name, struct policy_bundle *b, str etag,
                      struct policy_errors *errors, struct diag *why);
void bundles_list(struct request *rq);
void bundles_put(struct request *rq);
void bundles_load_now(struct request *rq);
void bundles_delete(struct request *rq);

/* ---- loader.c: one fiber per configured bundle ---- */
struct loader_status { /* as the reference reports it; times are UTC, 0: never */
    u64 downloaded_ns, activated_ns, requested_ns, answered_ns;
    u64 request_took_ns, load_took_ns;
    u64 bytes;
    const char *type; /* "snapshot", "delta", or "" */
    bool failed;
    int http_status; /* of an answer that was no bundle; 0: none */
    char message[DIAG_TEXT_MAX];
    char revision[128];
    char *errors; /* JSON, or NULL */
};
void loaders_start(void);
void loaders_stop(void);
void loaders_configure(void); /* the sections changed: looks at them again, soon */
bool loaders_ready(void);     /* each configured bundle is active */
void loader_status_json(struct json_writer *w, str name, const struct loader_status *s);
void loaders_json(struct json_writer *w); /* members of the open object, by name */
void bundles_source_json(struct json_writer *w, str name);
void bundles_waiting_json(struct json_writer *w, value active);
/* The keys a bundle of this name is held to; texts in the arena. */
rc_t bundles_keys_for(struct arena *a, str name, struct bundle_verification *out, struct diag *why);

/* ---- discovery.c ---- */
/* One member of the configuration, "bundles": what is set here over what was discovered. */
rc_t section_text(struct arena *a, const char *member, str *out);
rc_t discovery_take(struct policy_bundle *b, str decision, struct policy_errors *errors,
                    struct diag *why);
void discovery_forget(void);
bool discovery_found(void);
bool discovery_wanted(void); /* policy.discovery names a bundle */
void discovery_labels_json(struct json_writer *w); /* members of the open object */

/* ---- report.c ---- */
void report_start(void);
void report_stop(void);
void report_soon(void);                                /* something changed */
void report_json(struct json_writer *w, bool plugins); /* members of the open object */
enum { PLUGINS_MAX = 8 };
struct plugin_state { const char *name, *state; }; /* "OK", "NOT_READY", "ERROR" ... */
u32 plugin_states(struct plugin_state list[PLUGINS_MAX]);
