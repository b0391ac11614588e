/* SPDX-License-Identifier: Apache-2.0 */
/* error.h — what is wrong with a policy: collected, several at once, in the reference's classes
 * and words. */
#pragma once
#include "app/policy/lang/ast.h"

enum policy_code { /* POLICY_CODE_NAMES: ORDER */
    POLICY_PARSE_ERROR,     /* rego_parse_error */
    POLICY_COMPILE_ERROR,   /* rego_compile_error */
    POLICY_TYPE_ERROR,      /* rego_type_error */
    POLICY_UNSAFE_VAR_ERROR, /* rego_unsafe_var_error */
    POLICY_RECURSION_ERROR, /* rego_recursion_error */
    POLICY_FORMAT_ERROR,    /* rego_format_error */
    EVAL_INTERNAL_ERROR,    /* eval_internal_error */
    EVAL_CONFLICT_ERROR,    /* eval_conflict_error */
    EVAL_TYPE_ERROR,        /* eval_type_error */
    EVAL_BUILTIN_ERROR,     /* eval_builtin_error */
    EVAL_CANCEL_ERROR,      /* eval_cancel_error: deadline or budget */
    EVAL_WITH_MERGE_ERROR,  /* eval_with_merge_error */
    FILTER_FRAGMENT_ERROR,  /* pe_fragment_error: cannot be said to a database */
    FILTER_UNKNOWN_ERROR,   /* invalid_unknown */
    FILTER_MASK_ERROR,      /* invalid_mask_rule */
};
const char *policy_code_name(enum policy_code code);

struct policy_error {
    enum policy_code code;
    str message;
    struct ast_location at;
    str *details; /* extra lines the reference prints below, e.g. the source line and a caret */
    u32 detail_count;
    value detail; /* their JSON form, e.g. {"line": "p := ", "idx": 5}; UNDEFINED: none */
};
struct policy_errors {
    struct heap *heap; /* of the messages */
    struct policy_error *items;
    u32 count, room;
    u32 count_max; /* the reference stops at 10 unless told otherwise; 0: no end */
};
void policy_errors_open(struct policy_errors *e, struct heap *h, u32 count_max);
struct policy_error *policy_error_add(struct policy_errors *e, enum policy_code code,
                                      const struct ast_location *at, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
/* The source line of `offset` and a caret below the byte, as the reference shows where parsing
 * ended. */
void policy_error_show_line(struct policy_errors *e, struct policy_error *error, str text,
                            u32 offset);
void policy_errors_sort(struct policy_errors *e); /* by file, row, column, then message */
/* "1 error occurred: a.rego:3: rego_parse_error: ...\n\t..." as the reference writes it. */
void policy_errors_write(struct buf *to, const struct policy_errors *e);
void policy_error_write(struct buf *to, const struct policy_error *e); /* without the count */
value policy_errors_json(struct heap *h, const struct policy_errors *e);
