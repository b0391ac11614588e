/* SPDX-License-Identifier: Apache-2.0 */
/* host_main_test.c — the process's flags: what they mean, and that a wrong one is named in one line
 * and ends the process with 64 before anything has started. Each command line has a child of its
 * own. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "tests/test.h"
#define main host_main
#define exit(status) test_exit(status)
#define _exit(status) test_exit(status)
int host_main(int argc, char **argv);
#include "kernel/host/main.c"
#undef main
#undef exit
#undef _exit
#include <sys/wait.h>

void app_main(const struct boot_info *b) { /* in place of the appliance: says what it was given */
    printf("machine=%.*s memory=%llu heap=%llu test=%d line=[%.*s] config=[%.*s] disks=%u "
           "bytes=%llu net=%s "
           "https=%d http=%d resp=%d cpus=%u\n",
           STR(b->machine), (unsigned long long)b->memory_bytes, (unsigned long long)b->heap_bytes,
           b->test, STR(b->command_line), (int)MIN(b->config_json.len, (size_t)40),
           b->config_json.ptr ? b->config_json.ptr : "", host_options.disk_count,
           (unsigned long long)host_options.disk_bytes, host_options.net, host_options.https_port,
           host_options.http_port, host_options.resp_port, host_options.cpus);
    const char *reset = getenv("RESET");
    if (reset) platform_exit(PLATFORM_EXIT_RESET);
}

static char said[8192];
/* Words separated by blanks; '_' in a word stands for one. Its exit status; what it said in
 * `said`. */
static int run(const char *words) {
    char copy[1024], *argv[40] = {(char *)(uintptr_t)"openpolicy"};
    int argc = 1, out[2], status = 0;
    snprintf(copy, sizeof copy, "%s", words);
    for (char *w = strtok(copy, " "); w; w = strtok(NULL, " ")) {
        for (char *p = w; *p; p++) *p = *p == '_' ? ' ' : *p;
        argv[argc++] = w;
    }
    fflush(NULL);
    if (pipe(out)) return -1;
    pid_t child = fork();
    if (child == 0) {
        dup2(out[1], 1);
        dup2(out[1], 2);
        close(out[0]);
        close(out[1]);
        optind = 0;
        host_main(argc, argv);
        test_exit(99);
    }
    close(out[1]);
    size_t n = 0;
    for (ssize_t got; (got = read(out[0], said + n, sizeof said - 1 - n)) > 0;) n += (size_t)got;
    said[n] = 0;
    close(out[0]);
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
static bool says(const char *text) { return strstr(said, text) != NULL; }

TEST(without_flags_it_is_a_small_machine) {
    EXPECT_EQ(run("--net none"), 0);
    EXPECT(says("machine=host memory=268435456") && says("test=0 line=[] config=[] disks=0") &&
           says("cpus=2"));
    EXPECT_EQ(run("--help"), 0);
    EXPECT(says("--disk FILE") && says("--append") && !says("machine="));
}

TEST(flags_reach_the_machine) {
    char file[] = "/tmp/openpolicy-main-XXXXXX", disk[64], words[256];
    int fd = mkstemp(file);
    REQUIRE(fd >= 0 && write(fd, "{\"http.plain\":true}", 19) == 19);
    close(fd);
    snprintf(disk, sizeof disk, "%s.img", file);
    for (char *p = file; *p; p++) REQUIRE(*p != '_');
    snprintf(words, sizeof words,
             "--net none --config %s --disk %s --disk-size 8M --memory 64 --cpus 1 --https 1 "
             "--http 2 --resp 3 "
             "--append quiet_test=1",
             file, disk);
    EXPECT_EQ(run(words), 0);
    EXPECT(says("config=[{\"http.plain\":true}] disks=1 bytes=8388608"));
    EXPECT(says("memory=67108864 heap=58720256") && says("https=1 http=2 resp=3 cpus=1"));
    EXPECT(says("line=[quiet test=1]") && says("test=1")); /* the word stands for --test */
    EXPECT_EQ(run("--net none --test --append test=10"), 0);
    EXPECT(says("test=1 line=[test=10]"));
    unlink(file);
    unlink(disk);
    setenv("RESET", "1", 1);
    EXPECT_EQ(run("--net none"), EXIT_RESET);
    unsetenv("RESET");
}

TEST(a_wrong_flag_is_named) {
    static const struct {
        const char *words, *sentence;
    } cases[] = {
        {"--nonsense", "Try --help."},
        {"--memory", "Try --help."},
        {"word", "word: not a flag"},
        {"--memory lots", "--memory lots: wants a number from 16 to 1048576"},
        {"--memory 15", "--memory 15: wants"},
        {"--cpus 0", "--cpus 0: wants"},
        {"--https 65536", "--https 65536: wants"},
        {"--http -1", "--http -1: wants"},
        {"--resp x", "--resp x: wants"},
        {"--disk-size 0", "--disk-size 0: wants a size"},
        {"--disk-size K", "--disk-size K: wants a size"},
        {"--disk-size 2000T", "--disk-size 2000T: wants a size"},
        {"--disk-size 1E", "--disk-size 1E: wants a size"},
        {"--net tap:", "--net tap:: wants user"},
        {"--net stream:", "--net stream:: wants user"},
        {"--net wifi", "--net wifi: wants user"},
        {"--config /nowhere/at/all", "--config /nowhere/at/all: No such file"},
        {"--config /proc/self/mem", "cannot be read"},
        {"--config /dev/zero", "longer than"},
        {"--disk a --disk b --disk c --disk d --disk e", "--disk: at most 4"},
        {"--net none --disk /nowhere/at/all", "/nowhere/at/all"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int status = run(cases[i].words);
        if (status != EXIT_USAGE || !says(cases[i].sentence) || says("machine="))
            test_fail(__FILE__, __LINE__, "%s: ended with %d and said: %s", cases[i].words, status,
                      said);
    }
}
