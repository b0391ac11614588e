/* SPDX-License-Identifier: Apache-2.0 */
/* trace_cover.h — which lines and rules one question, or many, came by, and what they cost.
 *
 *   struct policy_cover c;
 *   policy_cover_open(&c, 0);
 *   ask.trace = &c.trace;          for as many questions of one program as wanted
 *   ... policy_ask ...
 *   policy_cover_of_rule(&c, rule), policy_cover_lines(&c, &heap, module, &lines)
 *   policy_cover_close(&c);
 *
 * The program must have been loaded with `trace` and live as long as the collection, which knows
 * its rules and files by address. What rules other questions of the same evaluation remembered
 * is not entered again, so counts say "how often looked at", not "how often needed".
 *
 * With `clock_ns` set, time is counted too, from each event to the next: to the line of the
 * expression at work and to its rule, calls it makes not included. The lines of queries are then
 * counted as well, so the queries must live as long. */
#pragma once
#include "app/policy/trace.h"

struct policy_cover_hit { /* of a rule (`rule` is set) or of a line (`file` and `row` are) */
    const struct ast_rule *rule;
    const struct ast_file *file;
    u32 row;
    u64 entered; /* a rule: begun; a line: an expression on it was evaluated */
    u64 held;    /* a rule: its body held; a line: a rule whose head is there did */
    u64 failed;  /* a line: an expression on it did not hold */
    u64 redone;  /* a line: an expression on it was come back to */
    u64 ns;      /* with a clock */
    u64 exprs;   /* a line: a bit for each place in a body (0 to 63) of its expressions */
    const struct ast_location *at; /* a line: of its first expression */
};
struct policy_cover {
    struct policy_trace trace; /* first: the sink is found by it */
    struct policy_cover_hit *hits;
    u32 count, room;
    u32 *index, mask;          /* open addressing by address and row: place + 1 */
    u32 count_max;
    bool incomplete;           /* memory, or count_max, was used up: some hits are missing */
    u64 (*clock_ns)(void);     /* set after opening; NULL: no time is counted */
    u64 since_ns;              /* of the hits below: places + 1 */
    u32 line_now, rule_now;
    u32 *rules_of, body_room;  /* per body: its rule's place + 1 */
};
void policy_cover_open(struct policy_cover *c, u32 count_max); /* 0: POLICY_COVER_MAX */
void policy_cover_close(struct policy_cover *c);
void policy_cover_clear(struct policy_cover *c); /* counts nothing yet; keeps its memory */
void policy_cover_stop(struct policy_cover *c);  /* the question is over: no more time passes */
/* NULL: never looked at. */
const struct policy_cover_hit *policy_cover_of_rule(const struct policy_cover *c,
                                                    const struct ast_rule *r);
const struct policy_cover_hit *policy_cover_of_line(const struct policy_cover *c,
                                                    const struct ast_file *f, u32 row);

/* The report on one file, in the reference's terms: rows of rules' heads and of expressions. */
struct policy_cover_range { u32 first, last; };
struct policy_cover_lines {
    struct policy_cover_range *covered, *missed;
    u32 covered_count, missed_count;  /* ranges */
    u32 covered_lines, missed_lines;
};
/* `module` as written: read anew, since the compiler rewrites what it takes. Its file is known by
 * name. The ranges lie in `h`. RC_NO_MEMORY. */
rc_t policy_cover_lines(const struct policy_cover *c, struct heap *h, struct ast_module *module,
                        struct policy_cover_lines *out);
