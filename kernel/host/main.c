/* SPDX-License-Identifier: Apache-2.0 */
/* main.c — the appliance as a Linux process: flags in, app_main, exit status out.
 *
 * Exit status: what app_main gave to platform_exit (0: powered off); 75: asked to be started again
 * (reset); 134: a panic under --test; 64: flags that make no sense. */
#include "kernel/host/host_impl.h"
#include "kernel/base/limits.h"
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char help[] =
    "openpolicy: the OpenPolicy Appliance as a process\n"
    "\n"
    "  --disk FILE         a data disk; made sparse if missing (repeatable)\n"
    "  --disk-size SIZE    how long such a file is: 512M, 4G (default 1G)\n"
    "  --config FILE.json  configuration, as fw_cfg opt/org.openpolicy/config on a machine\n"
    "  --net user          network by libslirp, no privileges needed (default)\n"
    "  --net tap:IFNAME    an existing tap interface\n"
    "  --net stream:PATH   frames on a Unix socket, as QEMU's -netdev stream\n"
    "  --net none          no network\n"
    "  --https PORT        127.0.0.1:PORT -> port 443 (with --net user)\n"
    "  --http PORT         127.0.0.1:PORT -> port 80\n"
    "  --resp PORT         127.0.0.1:PORT -> port 6379\n"
    "  --memory MIB        memory to plan with (default 256)\n"
    "  --cpus N            threads: the loop and N-1 workers (default 2)\n"
    "  --append \"WORDS\"    the kernel command line\n"
    "  --test              a test watches (or test=1 among the words): a panic ends with 134\n"
    "  --help              this text\n";

void host_refuse(const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    fputs("openpolicy: ", stderr);
    vfprintf(stderr, fmt, args);
    fputs("\n", stderr);
    va_end(args);
    host_console_restore();
    fflush(NULL);
    _exit(EXIT_USAGE); /* nothing has started that exit handlers would have to end */
}

static u64 number(const char *flag, const char *text, u64 least, u64 most) {
    uint64_t n;
    if (str_to_u64(str_from_c(text), &n) || n < least || n > most)
        host_refuse("%s %s: wants a number from %llu to %llu", flag, text,
                    (unsigned long long)least, (unsigned long long)most);
    return n;
}

static u64 size(const char *flag, const char *text) {
    str s = str_from_c(text);
    u32 shift = 0;
    if (s.len) {
        char unit = s.ptr[s.len - 1];
        shift = unit == 'K' ? 10 : unit == 'M' ? 20 : unit == 'G' ? 30 : unit == 'T' ? 40 : 0;
        if (shift) s.len--;
    }
    uint64_t n;
    if (str_to_u64(s, &n) || n == 0 || n > (1ull << 50) >> shift)
        host_refuse("%s %s: wants a size such as 512M or 4G", flag, text);
    return n << shift;
}

static str read_config(const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) host_refuse("--config %s: %s", path, strerror(errno));
    size_t room = HTTP_BODY_MAX;
    char *text = malloc(room);
    ssize_t n = 0;
    size_t length = 0;
    while (text && length < room && (n = read(fd, text + length, room - length)) > 0)
        length += (size_t)n;
    close(fd);
    if (!text || n < 0) host_refuse("--config %s: cannot be read", path);
    if (length == room) host_refuse("--config %s: longer than %zu bytes", path, room);
    return (str){text, length};
}

static void check_net(const char *net) {
    str s = str_from_c(net);
    bool named = (str_starts(s, S("tap:")) && s.len > 4) ||
                 (str_starts(s, S("stream:")) && s.len > 7);
    if (!named && !str_eq(s, S("user")) && !str_eq(s, S("none")))
        host_refuse("--net %s: wants user, tap:IFNAME, stream:PATH or none", net);
}

enum flag {
    DISK = 256, DISK_SIZE, CONFIG, NET, HTTPS, HTTP, RESP, MEMORY, CPUS, APPEND, TEST, HELP
};
static const struct option flags[] = {
    {"disk", 1, NULL, DISK},     {"disk-size", 1, NULL, DISK_SIZE}, {"config", 1, NULL, CONFIG},
    {"net", 1, NULL, NET},       {"https", 1, NULL, HTTPS},         {"http", 1, NULL, HTTP},
    {"resp", 1, NULL, RESP},     {"memory", 1, NULL, MEMORY},       {"cpus", 1, NULL, CPUS},
    {"append", 1, NULL, APPEND}, {"test", 0, NULL, TEST},           {"help", 0, NULL, HELP},
    {NULL, 0, NULL, 0},
};

struct host_options host_options = {
    .net = "user", .memory_mib = 256, .cpus = 2, .command_line = ""};

static void parse(int argc, char **argv) {
    struct host_options *o = &host_options;
    for (int flag; (flag = getopt_long(argc, argv, "", flags, NULL)) != -1;) {
        switch (flag) {
        case DISK:
            if (o->disk_count == ARRAY_LEN(o->disks)) host_refuse("--disk: at most %d", DISK_MAX);
            o->disks[o->disk_count++] = optarg;
            break;
        case DISK_SIZE: o->disk_bytes = size("--disk-size", optarg); break;
        case CONFIG: o->config_file = optarg; break;
        case NET: check_net(o->net = optarg); break;
        case HTTPS: o->https_port = (int)number("--https", optarg, 0, 65535); break;
        case HTTP: o->http_port = (int)number("--http", optarg, 0, 65535); break;
        case RESP: o->resp_port = (int)number("--resp", optarg, 0, 65535); break;
        case MEMORY: o->memory_mib = (u32)number("--memory", optarg, 16, 1 << 20); break;
        case CPUS: o->cpus = (u32)number("--cpus", optarg, 1, 1 + WORKER_MAX); break;
        case APPEND: o->command_line = optarg; break;
        case TEST: o->test = true; break;
        case HELP: fputs(help, stdout); exit(0);
        default: fputs("Try --help.\n", stderr); exit(EXIT_USAGE);
        }
    }
    if (optind < argc) host_refuse("%s: not a flag; try --help", argv[optind]);
}

/* A word of the command line, as the guest reads it. */
static bool has_word(str line, str wanted) {
    str word;
    while (str_split(&line, ' ', &word))
        if (str_eq(word, wanted)) return true;
    return false;
}

void platform_exit(int status) {
    host_disks_stop();
    host_console_restore();
    fflush(NULL);
    if (status == PLATFORM_EXIT_RESET) status = EXIT_RESET;
    exit(status);
}

int main(int argc, char **argv) {
    static_assert(ARRAY_LEN(host_options.disks) == DISK_MAX, "one name per disk");
    host_clock_start();
    parse(argc, argv);
    if (has_word(str_from_c(host_options.command_line), S("test=1"))) host_options.test = true;
    host_crash_start();
    host_wait_start();
    struct boot_info boot = {
        .command_line = str_from_c(host_options.command_line),
        .machine = S("host"),
        .memory_bytes = (u64)host_options.memory_mib << 20,
        .first_instruction_ns = 0,
        .vmm_start_ns = platform_wall_ns(),
        .test = host_options.test,
    };
    /* What a guest of that size has left beside image, tables and stacks. */
    boot.heap_bytes = boot.memory_bytes - MIN(boot.memory_bytes / 8, (u64)MIB(16));
    if (host_options.config_file) boot.config_json = read_config(host_options.config_file);
    host_disks_start();
    host_nic_start(host_options.net);
    host_console_start();
    app_main(&boot);
    platform_exit(0);
}
