/* SPDX-License-Identifier: Apache-2.0 */
/* coverage.c — which lines were come by, in the reference's JSON: per file the ranges covered and
 * not, and their share of all lines that hold a rule or an expression. */
#include "tools/opctl/eval.h"

double coverage_percent(struct coverage_totals t) {
    u64 all = t.covered + t.missed;
    return all ? 100.0 * (double)t.covered / (double)all : 0;
}

static void put_ranges(struct json_out *o, const char *key, const struct policy_cover_range *r,
                       u32 count) {
    if (!count) return;
    out_begin(o, key, '[');
    for (u32 i = 0; i < count; i++) {
        out_begin(o, NULL, '{');
        out_begin(o, "start", '{');
        out_u64(o, "row", r[i].first);
        out_end(o, '}');
        out_begin(o, "end", '{');
        out_u64(o, "row", r[i].last);
        out_end(o, '}');
        out_end(o, '}');
    }
    out_end(o, ']');
}

static void put_file(struct json_out *o, const char *name, const struct policy_cover_lines *l) {
    struct coverage_totals own = {l->covered_lines, l->missed_lines};
    out_begin(o, name, '{');
    put_ranges(o, "covered", l->covered, l->covered_count);
    put_ranges(o, "not_covered", l->missed, l->missed_count);
    if (l->covered_lines) out_u64(o, "covered_lines", l->covered_lines);
    if (l->missed_lines) out_u64(o, "not_covered_lines", l->missed_lines);
    if (l->covered_lines) out_double(o, "coverage", coverage_percent(own));
    out_end(o, '}');
}

rc_t coverage_put(struct json_out *o, const char *key, const struct policy_cover *c,
                  const struct policy_source *sources, u32 count, const struct parse_options *parse,
                  struct coverage_totals *totals) {
    rc_t worst = RC_OK;
    *totals = (struct coverage_totals){0};
    out_begin(o, key, '{');
    out_begin(o, "files", '{');
    for (u32 i = 0; i < count && !worst; i++) {
        struct policy_cover_lines lines;
        struct policy_errors errors;
        struct ast_module *m;
        struct heap h;
        heap_open(&h, (size_t)1 << 30);
        policy_errors_open(&errors, &h, 1);
        worst = parse_module(&h, sources[i].name, sources[i].text, parse, &m, &errors);
        if (!worst) worst = policy_cover_lines(c, &h, m, &lines);
        value name = value_string(&h, sources[i].name); /* with a NUL behind it */
        if (!worst && name.kind == VALUE_STRING) {
            put_file(o, value_str(name).ptr, &lines);
            totals->covered += lines.covered_lines, totals->missed += lines.missed_lines;
        }
        heap_close(&h);
    }
    out_end(o, '}');
    out_u64(o, "covered_lines", totals->covered);
    out_u64(o, "not_covered_lines", totals->missed);
    out_double(o, "coverage", coverage_percent(*totals));
    out_end(o, '}');
    return worst;
}
