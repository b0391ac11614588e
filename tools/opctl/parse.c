/* SPDX-License-Identifier: Apache-2.0 */
/* parse.c — opctl policy parse: a file's syntax tree, as the language or as the reference's JSON.
 */
#include <stdlib.h>
#include "app/policy/value/json_text.h"
#include "tools/opctl/opctl.h"

static int print_tree(const struct ast_module *m, struct heap *h, const char *format,
                      bool locations) {
    struct buf b;
    if (!strcmp(format, "json")) {
        value_print(ast_module_json(h, m, locations), JSON_TEXT_INDENT);
        return 0;
    }
    buf_open(&b, (size_t)1 << 30);
    ast_module_write(&b, m);
    fwrite(b.ptr, 1, b.len, stdout);
    if (!b.len || b.ptr[b.len - 1] != '\n') putchar('\n');
    buf_close(&b);
    return 0;
}

static int run(int argc, char **argv) {
    static const struct option_spec specs[] = {
        {"format", 'f', false, "pretty or json"},
        {"json-include", 0, false, "locations: where each node was read from"},
        {"v0-compatible", 0, true, "the file is Rego v0"},
        {"help", 'h', true, "this text"},
    };
    struct option_reader options = {specs, ARRAY_LEN(specs), argc, 1, argv};
    struct parse_options parse = {.annotations = true};
    struct policy_errors errors;
    struct ast_module *module;
    struct heap h;
    str text;
    const char *v, *format = "pretty", *path = NULL;
    bool ok = true, locations = false;
    for (int o; ok && (o = option_next(&options, &v)) != OPTION_END;) {
        if (o == 0)
            format = v;
        else if (o == 1)
            locations = strstr(v, "locations") && !strstr(v, "-locations");
        else if (o == 2)
            parse.version = !v || strcmp(v, "false") ? REGO_V0 : REGO_V1;
        else if (o == OPTION_PLAIN && !path)
            path = v;
        else
            ok = false;
    }
    if (!ok || !path) return usage_of(&parse_verb, specs, ARRAY_LEN(specs));
    if (!file_read(path, &text)) return EXIT_NO;
    heap_open(&h, (size_t)1 << 30);
    policy_errors_open(&errors, &h, 0);
    int status = EXIT_NO;
    if (parse_module(&h, str_from_c(path), text, &parse, &module, &errors))
        errors_print(&errors);
    else
        status = print_tree(module, &h, format, locations);
    heap_close(&h);
    free((char *)text.ptr);
    return status;
}

const struct verb parse_verb = {"parse", "[OPTIONS] FILE", "show a policy's syntax tree", run};
