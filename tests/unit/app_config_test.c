/* SPDX-License-Identifier: Apache-2.0 */
/* app_config_test.c — every source, every kind, every refusal; documents whole or not at all. */
#include "app/config/config.c"
#include "app/config/machine.c"
#include "app/config/check.h"
#include "app/config/services.h"
#include "tests/test.h"
#include <unistd.h>

static char console_text[4096];
static size_t console_len;
void platform_console_put(str bytes) { /* instead of the host's */
    size_t n = MIN(bytes.len, sizeof console_text - 1 - console_len);
    memcpy(console_text + console_len, bytes.ptr, n);
    console_len += n;
    console_text[console_len] = 0;
    if (write(1, bytes.ptr, bytes.len) < 0) console_len = 0; /* panics are looked for there */
}

/* A machine that has just started. */
static void fresh(void) {
    static bool ran;
    for (u32 i = 0; ran && i < option_count; i++)
        for (int layer = SOURCE_STORED; layer < SOURCE_COUNT; layer++)
            config_unset((enum config_source)layer, i, INT64_MAX);
    sweep(NULL);
    ran = true;
    memory_init(MIB(64));
    loop_init();
    memset(&config, 0, sizeof config);
    refusal = (struct diag){0};
    console_len = 0;
}

TEST(defaults_hold) {
    fresh();
    EXPECT_STR(config_text("net.address"), S("dhcp"));
    EXPECT(config_bool("net.ipv6"));
    EXPECT(!config_bool("http.plain"));
    EXPECT_EQ(config_int("log.level"), LOG_INFO);
    EXPECT_STR(config_text("admin.email"), S(""));
}

TEST(every_default_is_acceptable_and_every_line_complete) {
    struct arena a;
    char first[OPTION_TEXT_MAX];
    fresh();
    for (u32 i = 0; i < option_count; i++) {
        str text;
        s64 number;
        struct diag why = {0};
        arena_open(&a, first, sizeof first, KIB(8));
        if (option_parse(&options[i], str_from_c(options[i].initial), &a, &text, &number, &why))
            test_fail(__FILE__, __LINE__, "%s", why.text);
        arena_close(&a);
        EXPECT(strlen(options[i].help) > 10);
        EXPECT_EQ(option_find(str_from_c(options[i].key)), i); /* no key twice */
    }
    EXPECT_EQ(option_find(S("no.such")), -1);
}

TEST(later_sources_win) {
    struct diag why;
    struct config_view v;
    fresh();
    struct config_setting stored = {(u32)option_find(S("net.hostname")), S("stored"), 0};
    EXPECT_OK(config_set(SOURCE_STORED, &stored, 1, 4));
    EXPECT_STR(config_text("net.hostname"), S("stored"));
    EXPECT_OK(config_read_json(S("{\"net\":{\"hostname\":\"machine\"}}"), &why));
    EXPECT_STR(config_text("net.hostname"), S("machine"));
    EXPECT(config_fixed_by_machine(stored.option));
    EXPECT_OK(config_read_command_line(S("quiet config.net.hostname=word console=ttyS0"), &why));
    config_view_get(stored.option, &v);
    EXPECT_STR(v.text, S("word"));
    EXPECT_EQ(v.source, SOURCE_COMMAND_LINE);
    EXPECT_EQ(v.version, 4);
    EXPECT_STR(str_from_c(config_source_name(v.source)), S("command line"));
}

static void refuses_json(const char *json, const char *word) {
    struct diag why = {0};
    fresh();
    if (config_read_json(str_from_c(json), &why) == RC_OK)
        test_fail(__FILE__, __LINE__, "accepted: %s", json);
    else if (!strstr(why.text, word))
        test_fail(__FILE__, __LINE__, "%s: \"%s\" does not name \"%s\"", json, why.text, word);
    EXPECT_STR(config_text("net.hostname"), S("openpolicy")); /* nothing of it was applied */
    EXPECT_EQ(config_int("log.level"), LOG_INFO);
}

TEST(documents_are_refused_whole_and_the_key_named) {
#define GOOD "\"net.hostname\":\"x\","
    refuses_json("{" GOOD "\"net.hostnam\":\"y\"}", "net.hostnam");
    refuses_json("{" GOOD "\"http.plain\":\"perhaps\"}", "http.plain wants true or false");
    refuses_json("{" GOOD "\"http.plain\":1}", "http.plain");
    refuses_json("{" GOOD "\"log.level\":\"loud\"}",
                 "log.level wants one of: debug info warn error");
    refuses_json("{" GOOD "\"log.level\":null}", "log.level");
    refuses_json("{" GOOD "\"net.address\":\"192.0.2.2\"}", "net.address");
    refuses_json("{" GOOD "\"net.address\":\"192.0.2.2/33\"}", "net.address");
    refuses_json("{" GOOD "\"net.address\":\"::1/64\"}", "net.address");
    refuses_json("{" GOOD "\"net.gateway\":\"gate\"}", "net.gateway");
    refuses_json("{" GOOD "\"net.dns\":\"192.0.2.1,,\"}", "net.dns");
    refuses_json("{" GOOD "\"net.hostname\":\"-x\"}", "twice");
    refuses_json("{\"log.level\":\"debug\",\"net.hostname\":\"-x\"}", "net.hostname");
    refuses_json("{\"log.level\":\"debug\",\"net.hostname\":\"\"}", "net.hostname wants 1 to 63");
    refuses_json("{\"log.level\":\"debug\",\"net.hostname\":[]}", "net.hostname wants a text");
    refuses_json("{\"log.level\":\"debug\",\"net\":{\"hostname\":{\"a\":1}}}", "net.hostname.a");
    refuses_json("{" GOOD "\"admin.email\":\"nobody\"}", "admin.email");
    refuses_json("{" GOOD "\"admin.email\":\"a@b\\nc\"}", "admin.email");
    refuses_json("{" GOOD "\"net\":{\"hostname\":\"y\"}}", "net.hostname is given twice");
    refuses_json("[]", "one JSON object");
    refuses_json("{\"net.hostname\":\"x\",}", "line 1");
}

TEST(a_refused_document_is_said_on_the_console) {
    fresh();
    config_boot(S("{\"http.plain\":true,\"log.levle\":\"debug\"}"), S("config.log.console=warn"));
    EXPECT(!config_bool("http.plain"));
    EXPECT_EQ(config_int("log.console"), LOG_WARN);
    EXPECT(strstr(console_text, "log.levle") != NULL);
    EXPECT(str_find(config_refusal(), S("log.levle")) < config_refusal().len);
    fresh();
    config_boot(S("  \n"), S(""));
    EXPECT_EQ(config_refusal().len, 0);
    config_boot(S(""), S("config.nothing=1"));
    EXPECT(strstr(console_text, "command line: unknown key") != NULL);
}

static void refuses_line(const char *line, const char *word) {
    struct diag why = {0};
    fresh();
    EXPECT_RC(config_read_command_line(str_from_c(line), &why), RC_INVALID);
    if (!strstr(why.text, word))
        test_fail(__FILE__, __LINE__, "%s: \"%s\" does not say \"%s\"", line, why.text, word);
    EXPECT_STR(config_text("net.address"), S("dhcp"));
}

TEST(reads_the_kernel_command_line) {
    struct diag why;
    fresh();
    EXPECT_OK(config_read_command_line(
        S("ip=192.0.2.9::192.0.2.1:255.255.255.0:box::none:192.0.2.53:192.0.2.54 ro"), &why));
    EXPECT_STR(config_text("net.address"), S("192.0.2.9/24"));
    EXPECT_STR(config_text("net.gateway"), S("192.0.2.1"));
    EXPECT_STR(config_text("net.hostname"), S("box"));
    EXPECT_STR(config_text("net.dns"), S("192.0.2.53,192.0.2.54"));
    fresh();
    EXPECT_OK(config_read_command_line(S("  ip=dhcp config.tls.names=\"a.example, b.example\""),
                                       &why));
    EXPECT_STR(config_text("net.address"), S("dhcp"));
    EXPECT_STR(config_text("tls.names"), S("a.example, b.example"));
    fresh();
    EXPECT_OK(config_read_command_line(S("ip=:::::eth0:dhcp"), &why));
    EXPECT_OK(config_read_command_line(S("virtio_mmio.device=512@0xfeb00e00:12 rw ip"), &why));
    refuses_line("ip=192.0.2.9::192.0.2.1:255.0.255.0", "ip= wants");
    refuses_line("ip=192.0.2.9::192.0.2.1:255.255.256.0", "ip= wants");
    refuses_line("ip=300.0.2.9:::255.255.255.0", "net.address");
    refuses_line("ip=1.2.3.4:::255.255.255.0:h:e:n:1.1.1.1:2.2.2.2:3.3.3.3", "ip= wants");
    refuses_line("config.net.address", "wants a value");
    refuses_line("config.foo=1", "foo");
    refuses_line("ip=dhcp config.net.address=dhcp", "twice");
}

static int told;
static void tell_me(void) { told++; }

TEST(live_options_tell_and_restart_options_say_so) {
    struct config_view v;
    fresh();
    EXPECT_OK(config_on_change("log.level", tell_me));
    told = 0;
    u32 level = (u32)option_find(S("log.level")), host = (u32)option_find(S("net.hostname"));
    config.started = true;
    struct config_setting both[] = {{level, S("debug"), 0}, {host, S("other"), 0}};
    EXPECT_OK(config_set(SOURCE_STORED, both, 2, 7));
    EXPECT_EQ(told, 1);
    config_view_get(host, &v);
    EXPECT(v.restart_needed);
    config_view_get(level, &v);
    EXPECT(!v.restart_needed);
    EXPECT_OK(config_set(SOURCE_STORED, both, 1, 8)); /* the same value: nothing to tell */
    EXPECT_EQ(told, 1);
    struct config_setting older = {level, S("error"), 3};
    EXPECT_OK(config_set(SOURCE_STORED, &older, 1, 6)); /* lost a race: stays out */
    EXPECT_EQ(config_int("log.level"), LOG_DEBUG);
    config_unset(SOURCE_STORED, level, 9);
    EXPECT_EQ(told, 2);
    EXPECT_EQ(config_int("log.level"), LOG_INFO);
    config_unset(SOURCE_STORED, level, 2);
    config_view_get(level, &v);
    EXPECT_EQ(v.version, 9);
}

TEST(views_outlive_the_change_for_this_turn) {
    fresh();
    u32 host = (u32)option_find(S("net.hostname"));
    struct config_setting one = {host, S("first"), 0}, two = {host, S("second"), 0};
    EXPECT_OK(config_set(SOURCE_STORED, &one, 1, 1));
    str held = config_text("net.hostname");
    EXPECT_OK(config_set(SOURCE_STORED, &two, 1, 2));
    EXPECT_STR(held, S("first")); /* under ASan this is the proof */
    sweep(NULL);
    EXPECT_STR(config_text("net.hostname"), S("second"));
}

TEST(a_secret_is_forgotten) {
    struct diag why;
    fresh();
    EXPECT_OK(config_read_json(S("{\"admin.password\":\"correct horse\"}"), &why));
    str held = config_text("admin.password");
    EXPECT_STR(held, S("correct horse"));
    config_forget("admin.password");
    EXPECT_EQ(config_text("admin.password").len, 0);
    for (size_t i = 0; i < held.len; i++) EXPECT_EQ(held.ptr[i], 0); /* wiped before it is freed */
    sweep(NULL);
}

TEST(without_memory_nothing_changes) {
    fresh();
    static char large[OPTION_TEXT_MAX];
    memset(large, 'x', sizeof large);
    struct config_setting many[OPTIONS_MAX];
    for (u32 i = 0; i < OPTIONS_MAX; i++)
        many[i] = (struct config_setting){(u32)option_find(S("net.hostname")),
                                          str_of(large, sizeof large), 0};
    struct memory_use use;
    memory_use_get(MEMORY_SERVICES, &use);
    void *hog = memory_alloc(MEMORY_SERVICES, use.limit - use.used - 8192);
    REQUIRE(hog);
    EXPECT_RC(config_set(SOURCE_STORED, many, OPTIONS_MAX, 1), RC_NO_MEMORY);
    EXPECT_STR(config_text("net.hostname"), S("openpolicy"));
    memory_free(MEMORY_SERVICES, hog);
    struct memory_use after;
    memory_use_get(MEMORY_SERVICES, &after);
    EXPECT_EQ(after.used, use.used);
}

static void ask_unknown(void *arg) {
    (void)!!config_int(arg);
}
TEST(an_unknown_key_in_code_is_a_defect) {
    fresh();
    EXPECT_PANIC(ask_unknown, (char *)(uintptr_t) "no.such", "no.such");
}

TEST(durations_and_integers) {
    const struct option d = {"d", OPTION_DURATION, "15m", 60, 7200, NULL, NULL, LIVE, "help"};
    const struct option n = {"n", OPTION_INT, "5", -10, 100, NULL, NULL, LIVE, "help"};
    static const struct {
        const char *text;
        s64 seconds; /* -1: refused */
    } cases[] = {{"60", 60},
                 {"90s", 90},
                 {"15m", 900},
                 {"2h", 7200},
                 {"3h", -1},
                 {"59", -1},
                 {"1d", -1},
                 {"", -1},
                 {"m", -1},
                 {"1.5h", -1},
                 {"-1", -1},
                 {"15 m", -1},
                 {"99999999999999999999h", -1}};
    struct arena a;
    struct diag why;
    str text;
    s64 got;
    arena_open(&a, NULL, 0, KIB(64));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        rc_t rc = option_parse(&d, str_from_c(cases[i].text), &a, &text, &got, &why);
        EXPECT_EQ(rc ? -1 : got, cases[i].seconds);
    }
    EXPECT_OK(option_parse(&n, S("-10"), &a, &text, &got, &why));
    EXPECT_EQ(got, -10);
    EXPECT_RC(option_parse(&n, S("101"), &a, &text, &got, &why), RC_INVALID);
    EXPECT_STR(str_from_c(why.text), S("n wants a whole number from -10 to 100"));
    EXPECT_RC(option_parse(&n, S("1e1"), &a, &text, &got, &why), RC_INVALID);
    cJSON number = {.type = cJSON_Number, .valuedouble = 7};
    EXPECT_OK(option_text_of_json(&n, &number, &a, &text, &why));
    EXPECT_STR(text, S("7"));
    number.valuedouble = 7.5;
    EXPECT_RC(option_text_of_json(&n, &number, &a, &text, &why), RC_INVALID);
    arena_close(&a);
}

TEST(a_document_is_taken_whole) {
    struct diag why = {0};
    fresh();
    EXPECT_OK(
        config_read_json(S("{\"policy\":{\"services\":{\"a "
                           "\\\"b\":{\"url\":\"https://a/x/\",\"headers\":{\"X\":\"1\"},"
                           "\"response_header_timeout_seconds\":7,\"allow_insecure_tls\":true}}}}"),
                         &why));
    EXPECT_STR(config_text("policy.services"),
               S("{\"a \\\"b\":{\"url\":\"https://a/x/\",\"headers\":{\"X\":\"1\"},"
                 "\"response_header_timeout_seconds\":7,\"allow_insecure_tls\":true}}"));
    EXPECT(option_is_hidden(&options[option_find(S("policy.services"))]));
    struct arena a;
    struct service list[SERVICES_MAX];
    u32 count;
    arena_open(&a, NULL, 0, KIB(64));
    EXPECT_OK(services_parse(&a, config_text("policy.services"), list, &count, &why));
    EXPECT_EQ(count, 1);
    EXPECT_STR(list[0].name, S("a \"b"));
    EXPECT_STR(list[0].url, S("https://a/x"));
    EXPECT_EQ(list[0].header_timeout_s, 7);
    EXPECT(list[0].insecure);
    arena_close(&a);
    refuses_json("{\"policy.services\": [1]}", "policy.services");
}

TEST(services_are_judged_whole) {
    static const struct {
        const char *json, *word; /* NULL: good */
    } cases[] = {
        {"", NULL},
        {"{}", NULL},
        {"[]", "object"},
        {"{", "line"},
        {"{\"a\":{}}", "url"},
        {"{\"a\":1}", "object"},
        {"{\"a\":{\"url\":1}}", "text"},
        {"{\"a\":{\"url\":\"ftp://x\"}}", "neither"},
        {"{\"a\":{\"url\":\"http://x?y\"}}", "query"},
        {"{\"a\":{\"url\":\"http://x\",\"urll\":1}}", "urll"},
        {"{\"a\":{\"url\":\"http://x\",\"headers\":{\"A B\":\"\"}}}", "names"},
        {"{\"a\":{\"url\":\"http://x\",\"headers\":{\"A\":\"b\\r\\n\"}}}", "control"},
        {"{\"a\":{\"url\":\"http://x\",\"headers\":[]}}", "object"},
        {"{\"a\":{\"url\":\"http://x\",\"response_header_timeout_seconds\":0}}", "3600"},
        {"{\"a\":{\"url\":\"http://x\",\"allow_insecure_tls\":1}}", "true or false"},
        {"{\"a\":{\"url\":\"http://x\",\"tls\":{\"ca\":\"\"}}}", "ca"},
        {"{\"a\":{\"url\":\"http://x\",\"tls\":{\"ca_cert\":\"P\"}}}", NULL},
        {"{\"a\":{\"url\":\"http://x\",\"credentials\":{}}}", NULL},
        {"{\"a\":{\"url\":\"http://x\",\"credentials\":{\"gcp\":{}}}}", "gcp"},
        {"{\"a\":{\"url\":\"http://x\",\"credentials\":{\"bearer\":{}}}}", "token"},
        {"{\"a\":{\"url\":\"http://x\",\"credentials\":{\"bearer\":{\"token\":\"a\"}}}}", NULL},
        {"{\"a\":{\"url\":\"http://x\",\"credentials\":{\"bearer\":{\"token\":\"a\\n\"}}}}",
         "control"},
        {"{\"a\":{\"url\":\"http://"
         "x\",\"credentials\":{\"bearer\":{\"token\":\"a\"},\"basic\":{}}}}",
         "one kind"},
        {"{\"a\":{\"url\":\"http://x\",\"credentials\":{\"basic\":{\"username\":\"a:b\"}}}}",
         "colon"},
        {"{\"a\":{\"url\":\"http://x\",\"credentials\":{\"basic\":{\"username\":\"a\",\"password\":"
         "\"p\"}}}}",
         NULL},
        {"{\"a\":{\"url\":\"http://x\",\"credentials\":{\"client_tls\":{\"cert\":\"c\"}}}}",
         "private_key"},
        {"{\"a\":{\"url\":\"http://x\",\"credentials\":{\"oauth2\":{\"token_url\":\"http://t\","
         "\"client_id\":\"i\",\"client_secret\":\"s\",\"scopes\":[\"a\",\"b\"]}}}}",
         NULL},
        {"{\"a\":{\"url\":\"http://x\",\"credentials\":{\"oauth2\":{\"token_url\":\"t\","
         "\"client_id\":\"i\",\"client_secret\":\"s\"}}}}",
         "token_url"},
        {"{\"a\":{\"url\":\"http://x\",\"credentials\":{\"oauth2\":{\"token_url\":\"http://t\","
         "\"client_id\":\"i\",\"client_secret\":\"s\",\"scopes\":\"a\"}}}}",
         "scopes"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct diag why = {0};
        bool ok = check_services(str_from_c(cases[i].json), &why);
        if (ok != !cases[i].word || (!ok && !strstr(why.text, cases[i].word)))
            test_fail(__FILE__, __LINE__, "%s: %s", cases[i].json, ok ? "taken" : why.text);
    }
}

TEST(checks_shapes) {
    struct diag why;
    EXPECT(check_email(S("ada.l+x@example.org"), &why));
    EXPECT(check_email(S("\xC3\xA9lodie@exemple.ca"), &why));
    EXPECT(!check_email(S("@example.org"), &why));
    EXPECT(!check_email(S("a b@example.org"), &why));
    EXPECT(!check_email(S("a@"), &why));
    EXPECT(!check_email(S("a@-x.org"), &why));
    EXPECT(!check_email(S("a@x..org"), &why));
    EXPECT(!check_email(S("\xC3@example.org"), &why));
    EXPECT(check_hosts(S("ntp.example.org, 192.0.2.1,2001:db8::1"), &why));
    EXPECT(!check_hosts(S("a_b.example"), &why));
    EXPECT(!check_hosts(S("a.example."), &why));
    EXPECT(check_hostname(S("box-1"), &why));
    EXPECT(!check_hostname(S("box.lan"), &why));
    EXPECT(check_network(S("10.0.0.1/8"), &why));
    EXPECT(!check_network(S("10.0.0.1/0"), &why));
    EXPECT(check_address(S("2001:db8::1"), &why));
    EXPECT(check_addresses(S("192.0.2.1,192.0.2.2"), &why));
    char label[70];
    memset(label, 'a', sizeof label);
    EXPECT(!check_hosts(str_of(label, 64), &why));
    EXPECT(check_hosts(str_of(label, 63), &why));
    EXPECT(check_call_hosts(S("a.test, 10.0.0.0/8,2001:db8::/32, 192.0.2.1"), &why));
    EXPECT(!check_call_hosts(S("10.0.0.0/33"), &why));
    EXPECT(!check_call_hosts(S("10.0.0.0/"), &why));
    EXPECT(check_path(S("a/b-1"), &why));
    EXPECT(!check_path(S("a?b"), &why));
    EXPECT(check_certificates(S("-----BEGIN CERTIFICATE-----\nx\n"), &why));
    EXPECT(!check_certificates(S("x"), &why));
    EXPECT(!check_certificates(
        S("-----BEGIN CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\n"), &why));
}
