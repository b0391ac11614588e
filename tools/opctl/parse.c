/* SPDX-License-Identifier: Apache-2.0 */
/* parse.c — opctl policy parse: a file's syntax tree, as a list of nodes (tree.c) or as the
 * reference's JSON. Errors are JSON on stderr, as there. */
#include <stdlib.h>
#include "app/policy/value/json_text.h"
#include "tools/opctl/output.h"

struct shape { bool json, locations, comments; };

/* "locations,-comments": the last word on each counts. */
static void read_include(struct shape *s, const char *list) {
    for (str rest = str_from_c(list), word; str_split(&rest, ',', &word);) {
        bool on = !str_starts(word, S("-"));
        if (str_ends(word, S("locations"))) s->locations = on;
        if (str_ends(word, S("comments"))) s->comments = on;
    }
}

static int parse(const char *path, const struct parse_options *parse, const struct shape *shape) {
    struct policy_errors errors;
    struct ast_module *module;
    struct json_out o;
    struct heap h;
    str text;
    if (!file_read(path, &text)) return EXIT_NO;
    heap_open(&h, (size_t)1 << 30);
    policy_errors_open(&errors, &h, 0);
    int status = 0;
    if (parse_module(&h, str_from_c(path), text, parse, &module, &errors)) {
        out_open(&o);
        out_begin(&o, NULL, '{');
        out_errors(&o, &errors);
        out_end(&o, '}');
        (void)out_close(&o, stderr);
        status = EXIT_NO;
    } else {
        if (!shape->comments) module->comment_count = 0;
        if (shape->json)
            value_print(ast_module_json(&h, module, shape->locations), JSON_TEXT_INDENT);
        else tree_print(module);
    }
    heap_close(&h);
    free((char *)text.ptr);
    return status;
}

static int run(int argc, char **argv) {
    static const struct option_spec specs[] = {
        {"format", 'f', false, "pretty or json"},
        {"json-include", 0, false, "locations, -comments: with places, without comments"},
        {"v0-compatible", 0, true, "the file is Rego v0"},
        {"v1-compatible", 0, true, "the file is Rego v1, as by default"},
        {"help", 'h', true, "this text"},
    };
    struct option_reader options = OPTION_READER(specs, ARRAY_LEN(specs));
    struct parse_options read = {.annotations = true};
    struct shape shape = {.comments = true};
    const char *v, *path = NULL;
    bool ok = true;
    for (int o; ok && (o = option_next(&options, &v)) != OPTION_END;) {
        if (o == 0)
            shape.json = !strcmp(v, "json"), ok = shape.json || !strcmp(v, "pretty");
        else if (o == 1)
            read_include(&shape, v);
        else if (o == 2)
            read.version = !v || strcmp(v, "false") ? REGO_V0 : REGO_V1;
        else if (o == OPTION_PLAIN && !path)
            path = v;
        else
            ok = o == 3;
    }
    return ok && path ? parse(path, &read, &shape) : usage_of(&parse_verb, specs, ARRAY_LEN(specs));
}

const struct verb parse_verb = {"parse", "[OPTIONS] FILE", "show a policy's syntax tree", run};
