/* SPDX-License-Identifier: Apache-2.0 */
/* fmt.c — opctl policy fmt: policies in the one layout.
 *
 * Without flags the formatted text goes to stdout. --list names the files that would change,
 * --diff shows how, --write changes them; with --fail the status is 2 when one would change, and
 * such a file's text is not printed. What was laid out is read again before it is believed.
 * Without a path, or with "-", stdin is read. */
#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "app/policy/lang/format.h"
#include "tools/opctl/opctl.h"

struct fmt {
    struct parse_options parse;
    struct format_options format;
    bool write, list, diff, fail, unchecked;
    bool changed;
    int status;
};
enum { EXIT_ERROR = 2 };

static bool write_file(const char *path, str text) {
    FILE *f = fopen(path, "wb");
    bool ok = f && fwrite(text.ptr, 1, text.len, f) == text.len;
    if (f && fclose(f)) ok = false;
    if (!ok) perror(path);
    return ok;
}

/* Can the result be read? Else it is said. */
static bool check_result(const struct fmt *o, struct heap *h, const char *path, str text) {
    struct parse_options parse = {.version = o->format.version};
    struct policy_errors errors;
    struct ast_module *m;
    struct buf why;
    policy_errors_open(&errors, h, 0);
    if (o->unchecked || !str_trim(text).len) return true;
    if (!parse_module(h, S("formatted"), text, &parse, &m, &errors)) return true;
    buf_open(&why, MIB(1));
    policy_errors_write(&why, &errors);
    fprintf(stderr,
            "%s was successfully formatted, but the result is invalid: %.*s\n\nTo inspect the "
            "formatted Rego, you can turn off this check with --check-result=false.\n",
            path, STR(buf_str(&why)));
    buf_close(&why);
    return false;
}

static void show(struct fmt *o, const char *path, str before, str after) {
    bool differs = !str_eq(before, after), only_tell = o->list || o->diff;
    o->changed |= differs;
    if (o->list && differs) puts(path);
    if (o->diff && differs && !o->list && !diff_print(path, before, after)) o->status = EXIT_NO;
    if (only_tell || (o->fail && differs)) return;
    if (!o->write) fwrite(after.ptr, 1, after.len, stdout);
    else if (differs && !write_file(path, after)) o->status = EXIT_ERROR;
}

static void format_file(struct fmt *o, const char *path) {
    struct policy_errors errors;
    struct heap h;
    struct buf out;
    str text;
    if (!file_read(path, &text)) {
        o->status = EXIT_ERROR;
        return;
    }
    heap_open(&h, (size_t)1 << 30);
    buf_open(&out, (size_t)1 << 30);
    policy_errors_open(&errors, &h, 0);
    if (format_source(&h, str_from_c(path), text, &o->parse, &o->format, &out, &errors)) {
        errors_print(&errors);
        o->status = strcmp(path, "-") ? EXIT_ERROR : EXIT_NO;
    } else if (check_result(o, &h, path, buf_str(&out))) {
        show(o, path, text, buf_str(&out));
    } else {
        o->status = EXIT_ERROR;
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
        o->status = EXIT_NO;
        return;
    }
    if (!strcmp(path, "-") || !S_ISDIR(st.st_mode)) {
        if (!depth || str_ends(str_from_c(path), S(".rego"))) format_file(o, path);
        return;
    }
    while (!strncmp(path, "./", 2)) path += 2; /* names as the reference shows them */
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/') len--;
    bool here = !len || (len == 1 && path[0] == '.');
    int n = depth < 32 ? scandir(*path ? path : ".", &entries, NULL, by_name) : -1;
    for (int i = 0; i < n; i++) {
        char below[4096];
        if (strcmp(entries[i]->d_name, ".") && strcmp(entries[i]->d_name, "..") &&
            snprintf(below, sizeof below, "%.*s%s%s", here ? 0 : (int)len, path,
                     here || path[len - 1] == '/' ? "" : "/",
                     entries[i]->d_name) < (int)sizeof below)
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
        {"fail", 0, true, "status 2 when something would change"},
        {"v0-compatible", 0, true, "policies are Rego v0 and stay so"},
        {"v0-v1", 0, true, "rewrite v0 so that v0 and v1 read it alike"},
        {"rego-v1", 0, true, "the older name of --v0-v1"},
        {"drop-v0-imports", 0, true, "leave out imports that v1 makes superfluous"},
        {"v1-compatible", 0, true, "policies are Rego v1, as by default"},
        {"check-result", 0, true, "read the result again (default true)"},
        {"help", 'h', true, "this text"},
    };
    struct option_reader options = OPTION_READER(specs, ARRAY_LEN(specs));
    struct fmt o = {.parse.version = REGO_V1};
    const char *v, *paths[256];
    u32 count = 0;
    bool ok = true, v0 = false, v1 = false, both = false;
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
        else if (i == 4)
            v0 = on;
        else if (i == 5 || i == 6)
            both = on;
        else if (i == 7)
            o.format.drop_v0_imports = on;
        else if (i == 8)
            v1 = on;
        else if (i == 9)
            o.unchecked = !on;
        else if (i == OPTION_PLAIN && count < ARRAY_LEN(paths))
            paths[count++] = v;
        else
            ok = false;
    }
    if (!ok) return usage_of(&fmt_verb, specs, ARRAY_LEN(specs));
    if (!count) paths[count++] = "-";
    o.parse.version = v0 || (both && !v1) ? REGO_V0 : REGO_V1;
    o.format.version = both ? REGO_V0_COMPAT_V1 : v0 ? REGO_V0 : REGO_V1;
    for (u32 i = 0; i < count; i++) format_path(&o, paths[i], 0);
    if (o.fail && o.changed) fputs("unexpected diff\n", stderr), o.status = EXIT_ERROR;
    return o.status;
}

const struct verb fmt_verb = {"fmt", "[OPTIONS] [PATH...]", "put policies into the one layout",
                              run};
