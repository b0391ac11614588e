/* SPDX-License-Identifier: Apache-2.0 */
/* fmt.c — opctl policy fmt: policies in the one layout.
 *
 * Without flags the formatted text goes to stdout. --list names the files that would change,
 * --diff shows how, --write changes them; --fail makes the status 1 when one would change. Without
 * a path, or with "-", stdin is read. */
#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "app/policy/lang/format.h"
#include "tools/opctl/opctl.h"

struct fmt {
    struct parse_options parse;
    struct format_options format;
    bool write, list, diff, fail;
    bool changed, failed;
};

/* One hunk from the first line that differs to the last: enough to see what fmt would do. */
static void print_diff(const char *path, str before, str after) {
    size_t head = 0, tail = 0, line = 1;
    while (head < before.len && head < after.len && before.ptr[head] == after.ptr[head]) head++;
    while (head && before.ptr[head - 1] != '\n') head--;
    while (tail < before.len - head && tail < after.len - head &&
           before.ptr[before.len - 1 - tail] == after.ptr[after.len - 1 - tail])
        tail++;
    while (tail && before.ptr[before.len - tail - 1] != '\n') tail--;
    for (size_t i = 0; i < head; i++) line += before.ptr[i] == '\n';
    printf("--- %s\n+++ %s (formatted)\n@@ line %zu @@\n", path, path, line);
    str old = str_take(str_skip(before, head), before.len - head - tail), one;
    str new = str_take(str_skip(after, head), after.len - head - tail);
    while (old.len && str_split(&old, '\n', &one)) printf("-%.*s\n", STR(one));
    while (new.len && str_split(&new, '\n', &one)) printf("+%.*s\n", STR(one));
}

static bool write_file(const char *path, str text) {
    FILE *f = fopen(path, "wb");
    bool ok = f && fwrite(text.ptr, 1, text.len, f) == text.len;
    if (f && fclose(f)) ok = false;
    if (!ok) perror(path);
    return ok;
}

static void format_file(struct fmt *o, const char *path) {
    struct policy_errors errors;
    struct heap h;
    struct buf out;
    str text;
    if (!file_read(path, &text)) {
        o->failed = true;
        return;
    }
    heap_open(&h, (size_t)1 << 30);
    buf_open(&out, (size_t)1 << 30);
    policy_errors_open(&errors, &h, 0);
    if (format_source(&h, str_from_c(path), text, &o->parse, &o->format, &out, &errors)) {
        errors_print(&errors);
        o->failed = true;
    } else {
        bool differs = !str_eq(text, buf_str(&out));
        o->changed |= differs;
        if (o->list && differs) puts(path);
        if (o->diff && differs) print_diff(path, text, buf_str(&out));
        if (o->write && differs && !write_file(path, buf_str(&out))) o->failed = true;
        if (!o->list && !o->diff && !o->write) fwrite(out.ptr, 1, out.len, stdout);
    }
    buf_close(&out);
    heap_close(&h);
    free((char *)text.ptr);
}

static int by_name(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void format_path(struct fmt *o, const char *path, int depth) {
    struct stat st;
    struct dirent **entries;
    if (strcmp(path, "-") && stat(path, &st)) {
        perror(path);
        o->failed = true;
        return;
    }
    if (!strcmp(path, "-") || !S_ISDIR(st.st_mode)) {
        if (!depth || str_ends(str_from_c(path), S(".rego"))) format_file(o, path);
        return;
    }
    int n = depth < 32 ? scandir(path, &entries, NULL, by_name) : -1;
    for (int i = 0; i < n; i++) {
        char below[4096];
        if (entries[i]->d_name[0] != '.' &&
            snprintf(below, sizeof below, "%s/%s", path, entries[i]->d_name) < (int)sizeof below)
            format_path(o, below, depth + 1);
        free(entries[i]);
    }
    if (n >= 0) free(entries);
}

static int run(int argc, char **argv) {
    static const struct option_spec specs[] = {
        {"write", 'w', true, "change the files"},
        {"list", 'l', true, "name the files that would change"},
        {"diff", 'd', true, "show what would change"},
        {"fail", 0, true, "status 1 when something would change"},
        {"v0-compatible", 0, true, "policies are Rego v0 and stay so"},
        {"v0-v1", 0, true, "rewrite v0 so that v0 and v1 read it alike"},
        {"rego-v1", 0, true, "the older name of --v0-v1"},
        {"drop-v0-imports", 0, true, "leave out imports that v1 makes superfluous"},
        {"v1-compatible", 0, true, "policies are Rego v1, as by default"},
        {"check-result", 0, true, "accepted"},
        {"help", 'h', true, "this text"},
    };
    struct option_reader options = {specs, ARRAY_LEN(specs), argc, 1, argv};
    struct fmt o = {.parse.version = REGO_V1};
    const char *v, *paths[256];
    u32 count = 0;
    bool ok = true;
    for (int i; ok && (i = option_next(&options, &v)) != OPTION_END;) {
        bool on = !v || strcmp(v, "false");
        if (i == 0)
            o.write = on;
        else if (i == 1)
            o.list = on;
        else if (i == 2)
            o.diff = on;
        else if (i == 3)
            o.fail = on;
        else if (i == 4 && on)
            o.parse.version = REGO_V0, o.format.version = REGO_V0;
        else if ((i == 5 || i == 6) && on)
            o.parse.version = REGO_V0, o.format.version = REGO_V0_COMPAT_V1;
        else if (i == 7)
            o.format.drop_v0_imports = on;
        else if (i == 8 || i == 9)
            continue;
        else if (i == OPTION_PLAIN && count < ARRAY_LEN(paths))
            paths[count++] = v;
        else
            ok = false;
    }
    if (!ok) return usage_of(&fmt_verb, specs, ARRAY_LEN(specs));
    if (!count) paths[count++] = "-";
    for (u32 i = 0; i < count; i++) format_path(&o, paths[i], 0);
    if (o.failed) return EXIT_NO;
    return o.fail && o.changed ? EXIT_NO : 0;
}

const struct verb fmt_verb = {"fmt", "[OPTIONS] [PATH...]", "put policies into the one layout",
                              run};
