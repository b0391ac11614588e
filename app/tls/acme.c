/* SPDX-License-Identifier: Apache-2.0 */
/* acme.c — a certificate by an authority, got and kept fresh without anybody's hand (RFC 8555).
 *
 *   timer -> fiber: is it due? -> the authority's window (RFC 9773) or two thirds of its life
 *                      |  no: timer at that time, or in six hours, to ask again
 *                      yes: account -> order -> certificate in use and stored
 *                              failed: the one before stays in use; again after 1, 5, 30 minutes
 * ...
 *
 * acme.directory and acme.names switch it on, live; a change of any acme.* looks at once. Always
 * true: at most one conversation runs; failures and the time of the next attempt outlive a reboot,
 * so that a machine that boots in a loop does not use up what the authority allows. */
#include "app/tls/acme_impl.h"
#include "app/tls/tls_app_impl.h"
#include "app/config/config.h"
#include "app/metrics/metrics.h"
#include "app/reply.h"
#include "kernel/base/log.h"
#include "kernel/core/fiber.h"
#include "kernel/core/memory.h"
#include "kernel/core/worker.h"
#include "kernel/platform.h"
#include "net/link.h"

enum { SOON_MS = 200, NOT_READY_MS = 5000, LOOK_S = 6 * 3600, STOP_STEPS = 100, STOP_STEP_MS = 20 };

static struct {
    struct timer timer;
    struct fiber *fiber;          /* the conversation's; NULL: none runs */
    bool watched, stopped, again; /* again: something changed meanwhile */
    bool asked;                   /* by an administrator: now */
    struct acme_row row;          /* as stored, once `loaded` */
    bool loaded;
    u64 renew_at_ns, attempt_at_ns, got_at_ns, error_at_ns; /* UTC; 0: not known */
    struct diag error;                                      /* of the last attempt; empty: none */
    char terms[ACME_URL_MAX];
} acme;

static bool enabled(void) {
    return config_text("acme.directory").len && config_text("acme.names").len;
}

static u64 random_u64(void) {
    u64 n;
    return platform_entropy(&n, sizeof n) ? platform_clock_ns() : n;
}

rc_t acme_sleep(u64 seconds) {
    u64 until = platform_clock_ns() + seconds * NS_PER_S;
    while (!acme.stopped && platform_clock_ns() < until)
        if (fiber_park(until) == RC_LIMIT) fiber_yield();
    return acme.stopped ? RC_CLOSED : RC_OK;
}

static void look_in_ms(u64 ms) {
    if (!acme.stopped && timer_start_after_ms(&acme.timer, ms))
        log_error("acme", "no timer is left; certificates are not renewed until the next start");
}

/* ---- One conversation ------------------------------------------------------------------------ */

static void make_key_on_worker(void *arg) {
    rc_t *rc = arg;
    *rc = es256_make(&acme.row.key);
}

/* The row for this directory: an account belongs to one authority. */
static rc_t want_account(struct acme_talk *t, const struct acme_wish *wish, str directory) {
    struct acme_row *row = &acme.row;
    if (row->stored && row->account[0] && str_eq(str_from_c(row->directory), directory)) {
        t->kid = str_from_c(row->account);
        return RC_OK;
    }
    if (!row->stored || !str_eq(str_from_c(row->directory), directory)) {
        rc_t made = RC_IO, rc = worker_run(make_key_on_worker, &made);
        if (rc || made) return rc ? rc : made;
        rc = str_to_c(directory, row->directory, sizeof row->directory);
        row->account[0] = 0;
        if (!rc) rc = acme_save(row); /* the key first: an account without its key is lost */
        if (rc) return rc;
        row->stored = true;
    }
    rc_t rc = acme_register(t, wish);
    if (!rc) rc = str_to_c(t->kid, row->account, sizeof row->account);
    if (!rc) rc = acme_save(row);
    if (rc) return rc;
    config_forget("acme.binding_key");
    log_info("acme", "registered with the authority", "account=%s",
             LOGSTR(str_from_c(row->account)));
    return RC_OK;
}

static rc_t obtain(struct acme_talk *t, struct acme_wish *wish, str directory) {
    str key, chain;
    rc_t rc = want_account(t, wish, directory);
    if (!rc) rc = acme_obtain(t, wish, &key, &chain);
    if (rc == RC_DENIED && str_eq(t->problem.type, S("accountDoesNotExist"))) {
        acme.row.account[0] = 0; /* forgotten there: once more, with the same key */
        rc = want_account(t, wish, directory);
        if (!rc) rc = acme_obtain(t, wish, &key, &chain);
    }
    if (rc) return rc;
    rc = acme_keep(&acme.row, wish->names, key, chain, t->why);
    secret_wipe((char *)(uintptr_t)key.ptr, key.len);
    return rc;
}

/* When the certificate in use is to be replaced; the authority's word where it gives one. */
static u64 renewal(struct acme_talk *t, const struct tls_identity_info *info) {
    struct diag unused = {0}, *why = t->why;
    u64 from, until, at = acme_renew_at(info->not_before_ns, info->not_after_ns);
    t->why = &unused; /* no failure: then by its life */
    if (!acme_window(t, str_from_c(info->renewal_id), &from, &until))
        at = acme_renew_in(from, until, random_u64(), info->not_before_ns, info->not_after_ns);
    t->why = why;
    return at;
}

static void note_renewal(struct acme_talk *t, const struct tls_identity_info *info) {
    t->retry_after_s = 0;
    acme.renew_at_ns = renewal(t, info);
    metric_values[METRIC_ACME_RENEWAL] = acme.renew_at_ns / NS_PER_S;
    u64 now = platform_wall_ns(), told = t->retry_after_s ? t->retry_after_s : LOOK_S;
    u64 next = now + MAX(told, (u64)60) * NS_PER_S;
    acme.attempt_at_ns = MIN(next, MAX(acme.renew_at_ns, now));
    look_in_ms((acme.attempt_at_ns - now) / NS_PER_MS + SOON_MS);
}

/* Due, or not yet; then gets it. RC_OK: a certificate is in use, and the timer runs. */
static rc_t converse(struct acme_talk *t, struct acme_wish *wish, str directory) {
    struct tls_identity_info info;
    bool have = named_info(S(ACME_ID), &info), asked = acme.asked;
    bool same = have && str_eq(str_from_c(acme.row.names), wish->names) &&
                str_eq(str_from_c(acme.row.directory), directory);
    rc_t rc = acme_open(t, directory);
    if (rc) return rc;
    (void)!!str_to_c(t->directory.terms, acme.terms, sizeof acme.terms);
    bool due = !same || asked;
    if (!due) {
        u64 now = platform_wall_ns();
        note_renewal(t, &info);
        due = acme.renew_at_ns <= now;
    }
    if (!due) return RC_OK;
    acme.asked = false;
    if (same) wish->replaces = arena_copy(t->a, str_from_c(info.renewal_id));
    if ((rc = obtain(t, wish, directory))) return rc;
    metric_add(METRIC_ACME_CERTIFICATES, 1);
    acme.got_at_ns = platform_wall_ns();
    if (named_info(S(ACME_ID), &info)) note_renewal(t, &info);
    return RC_OK;
}

static void failed(struct acme_talk *t, rc_t rc) {
    u64 now = platform_wall_ns(), s = acme_retry_s(++acme.row.failures, random_u64());
    if (rc == RC_LIMIT) s = MAX(s, t->retry_after_s);
    if (!t->why->text[0]) diag_set(t->why, "%s", rc_name(rc));
    acme.error = *t->why;
    acme.error_at_ns = now;
    acme.row.retry_at_ns = acme.attempt_at_ns = now + s * NS_PER_S;
    metric_add(METRIC_ACME_FAILURES, 1);
    log_error("acme", "no certificate from the authority; the one before stays in use",
              "why=%s failures=%u again_s=%llu", LOGSTR(str_from_c(acme.error.text)),
              acme.row.failures, (unsigned long long)s);
    if (acme.row.stored && acme_save(&acme.row))
        log_warn("acme", "the failure could not be stored");
    look_in_ms(s * 1000);
}

static void converse_in_arena(void) {
    struct arena a;
    struct diag why = {0};
    arena_open(&a, NULL, 0, ACME_ARENA_MAX);
    struct acme_talk t = {.a = &a, .key = &acme.row.key, .why = &why};
    str directory = arena_copy(&a, config_text("acme.directory"));
    struct acme_wish wish = {.names = arena_copy(&a, config_text("acme.names")),
                             .contact = arena_copy(&a, config_text("acme.contact")),
                             .kid = arena_copy(&a, config_text("acme.binding_id")),
                             .mac_key = arena_copy(&a, config_text("acme.binding_key")),
                             .agreed = config_bool("acme.agree"),
                             .by_tls = config_int("acme.challenge") == 1};
    rc_t rc = wish.mac_key.ptr ? converse(&t, &wish, directory) : RC_NO_MEMORY;
    if (!rc)
        acme.error = (struct diag){0}, acme.error_at_ns = 0;
    else if (!acme.stopped)
        failed(&t, rc);
    if (wish.mac_key.len) secret_wipe((char *)(uintptr_t)wish.mac_key.ptr, wish.mac_key.len);
    arena_close(&a);
}

static void run(void *arg) {
    (void)arg;
    rc_t rc = acme.loaded ? RC_OK : acme_load(&acme.row);
    acme.loaded = !rc;
    if (rc)
        look_in_ms(NOT_READY_MS);
    else if (enabled() && !acme.stopped)
        converse_in_arena();
    acme.fiber = NULL;
    if (acme.again) look_in_ms(SOON_MS);
    acme.again = false;
}

/* ---- When ------------------------------------------------------------------------------------ */

/* Failures before a reboot count: not before the time that was set then. */
static bool too_early(void) {
    u64 now = platform_wall_ns();
    if (acme.loaded || acme.asked) return false;
    rc_t rc = acme_load(&acme.row);
    acme.loaded = !rc;
    if (rc || acme.row.retry_at_ns <= now) return rc != RC_OK;
    acme.attempt_at_ns = acme.row.retry_at_ns;
    look_in_ms((acme.row.retry_at_ns - now) / NS_PER_MS + 1);
    return true;
}

static void first_look(void *arg) {
    if (too_early()) {
        acme.fiber = NULL;
        if (!acme.loaded) look_in_ms(NOT_READY_MS);
        return;
    }
    run(arg);
}

static void on_timer(void *arg) {
    (void)arg;
    if (acme.fiber || acme.stopped || !enabled()) return;
    bool ready = link_ready() && platform_wall_ns() != 0;
    if (!ready || fiber_start("acme", acme.loaded ? run : first_look, NULL, &acme.fiber))
        look_in_ms(NOT_READY_MS);
}

static void on_change(void) {
    if (acme.fiber) {
        acme.again = true;
        return;
    }
    acme.row.failures = 0; /* somebody has seen to it */
    acme.row.retry_at_ns = acme.error_at_ns = acme.attempt_at_ns = 0;
    acme.error = (struct diag){0};
    if (enabled())
        look_in_ms(SOON_MS);
    else
        timer_stop(&acme.timer);
}

void acme_start(void) {
    static const char *const watched[] = {"acme.directory", "acme.names",     "acme.contact",
                                          "acme.agree",     "acme.challenge", "acme.binding_id"};
    acme.stopped = false;
    if (acme.watched) return; /* start may come again, once there is a disk */
    acme.watched = true;
    timer_init(&acme.timer, on_timer, NULL);
    for (u32 i = 0; i < ARRAY_LEN(watched); i++)
        if (config_on_change(watched[i], on_change))
            log_error("acme", "too many watches: changes want a restart");
    if (enabled()) look_in_ms(SOON_MS);
}

void acme_stop(void) {
    acme.stopped = true;
    if (!acme.watched) return;
    timer_stop(&acme.timer);
    for (u32 i = 0; acme.fiber && i < STOP_STEPS; i++) { /* it must not meet a closed database */
        fiber_wake(acme.fiber);
        fiber_sleep_ms(STOP_STEP_MS);
    }
}

/* ---- API ------------------------------------------------------------------------------------- */

void acme_answer_challenge(struct request *rq) {
    str answer = acme_http_answer(rq->params[0]);
    if (!answer.ptr) {
        reply_problem(rq, 404, "no_challenge", "No authority was promised this.");
        return;
    }
    log_info("acme", "an authority looks", "token=%s", LOGSTR(rq->params[0]));
    reply_text(rq, 200, "application/octet-stream", answer);
}

static const char *state_word(void) {
    if (!enabled()) return "off";
    if (acme.fiber) return "working";
    return acme.error.text[0] ? "failed" : "waiting";
}

static void state_json(struct json_writer *w) {
    struct tls_identity_info info;
    str none = {NULL, 0};
    str error = acme.error.text[0] ? str_from_c(acme.error.text) : none;
    json_text(w, "state", str_from_c(state_word()));
    json_text(w, "directory", config_text("acme.directory"));
    json_text(w, "names", config_text("acme.names"));
    json_text(w, "challenge", config_int("acme.challenge") ? S("tls-alpn-01") : S("http-01"));
    json_text(w, "account", acme.row.account[0] ? str_from_c(acme.row.account) : none);
    json_text(w, "terms", acme.terms[0] ? str_from_c(acme.terms) : none);
    if (named_info(S(ACME_ID), &info)) {
        json_object(w, "certificate");
        certificate_members(w, &info);
        json_object_end(w);
    } else {
        json_null(w, "certificate");
    }
    json_time(w, "renew_at", acme.renew_at_ns);
    json_time(w, "next_attempt_at", acme.attempt_at_ns);
    json_time(w, "got_at", acme.got_at_ns);
    json_int(w, "failures", acme.row.failures);
    json_text(w, "error", error);
    json_time(w, "error_at", acme.error_at_ns);
}

static void answer_state(struct request *rq, int status) {
    struct json_writer w;
    json_open(&w, KIB(16));
    json_object(&w, NULL);
    state_json(&w);
    json_object_end(&w);
    reply_json(rq, status, &w);
}

void acme_answer_state(struct request *rq) {
    answer_state(rq, 200);
}

void acme_answer_renew(struct request *rq) {
    if (!enabled()) {
        reply_problem(rq, 409, "acme_off", "Set acme.directory and acme.names first.");
        return;
    }
    acme.asked = true;
    if (acme.fiber)
        acme.again = true;
    else
        look_in_ms(0);
    answer_state(rq, 202);
}
