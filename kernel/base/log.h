/* SPDX-License-Identifier: Apache-2.0 */
/* log.h — structured lines into a ring. One line:
 *
 *   2026-01-31T12:00:00.123Z warn storage "disk read failed" block=12 rc=RC_IO request_id=01J…
 *
 * `what` is a fixed sentence (what happened), `fields` a printf format of logfmt pairs
 * (`key=%s`; use LOGSTR for text from outside, it arrives quoted and escaped). Warnings and
 * errors also go to the console at once, and say what to do next. Never put a secret in a line.
 * Any thread. The ring overwrites its oldest lines. */
#pragma once
#include "kernel/base/base.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

#define log_debug(area, what, ...) log_write(LOG_DEBUG, area, what, "" __VA_ARGS__)
#define log_info(area, what, ...) log_write(LOG_INFO, area, what, "" __VA_ARGS__)
#define log_warn(area, what, ...) log_write(LOG_WARN, area, what, "" __VA_ARGS__)
#define log_error(area, what, ...) log_write(LOG_ERROR, area, what, "" __VA_ARGS__)

void log_write(enum log_level level, const char *area, const char *what, const char *fields, ...)
    PRINTF_LIKE(4, 5);
/* The same with fields put together by the caller, for lines that come thousands of times a
 * second. */
void log_write_ready(enum log_level level, const char *area, const char *what, str fields);
void log_level_set(enum log_level kept);         /* lines below are dropped; default LOG_INFO */
void log_console_level_set(enum log_level shown); /* default LOG_WARN */
bool log_level_parse(str name, enum log_level *out); /* "debug" "info" "warn" "error" */
str log_level_name(enum log_level level);

/* Whose line is it? Set by the scheduler; returns the current request's id or an empty view. */
extern str (*log_request_id)(void);

/* Quoted, escaped, cut to fit: for "key=%s" with text from outside. `room` ≥ 8. Returns `to`. */
const char *log_quote(str text, char *to, size_t room);
#define LOGSTR(s) log_quote((s), (char[160]){0}, 160)

/* Reading: sequence numbers grow by one per line for ever. Copies the line `seq` without its
 * newline; RC_NOT_FOUND: not yet written; RC_LIMIT: already overwritten (`*seq` moves to the
 * oldest). */
rc_t log_read(u64 *seq, char *to, size_t room, size_t *out_len);
u64 log_next_seq(void);
/* The newest lines, at most n bytes, oldest first: for last words. Takes no lock. */
void log_tail(size_t n, void (*put)(str));
