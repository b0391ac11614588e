/* SPDX-License-Identifier: Apache-2.0 */
/* notice.c — waits for files to change: `test --watch`.
 *
 *   paths --every folder beneath--> inotify --first event, then QUIET_MS of silence--> again
 *
 * A file that is named is watched by its folder, since editors put a new file in the old one's
 * place. Folders are looked up anew for each wait, so what was made meanwhile is seen the next
 * time; a change between two waits is found by the times of the files. */
#define _GNU_SOURCE /* ppoll */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>
#include "tools/opctl/opctl.h"

enum { QUIET_MS = 50, DEPTH_MAX = 64 };
static const u32 events = IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO |
                          IN_DELETE_SELF | IN_MOVE_SELF;

static volatile sig_atomic_t asked_to_end;
static void end(int signal_number) {
    (void)signal_number;
    asked_to_end = 1;
}

/* Names, sizes and times of what is there, as one number. */
static void look_at(const char *path, const struct stat *s, u64 *seen) {
    u64 facts[] = {(u64)s->st_ino, (u64)s->st_size, (u64)s->st_mtim.tv_sec,
                   (u64)s->st_mtim.tv_nsec, str_hash(str_from_c(path), 1)};
    *seen += str_hash(str_of((const char *)facts, sizeof facts), 2); /* whatever the order */
}

static void look_below(int fd, const char *folder, u32 depth, u64 *seen) {
    DIR *d = depth < DEPTH_MAX ? opendir(folder) : NULL;
    if (!d) return;
    if (fd >= 0) (void)inotify_add_watch(fd, folder, events); /* one too many is not seen */
    for (struct dirent *e; (e = readdir(d));) {
        char path[PATH_MAX];
        struct stat s;
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
        int n = snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        if (n <= 0 || (size_t)n >= sizeof path || lstat(path, &s)) continue;
        look_at(path, &s, seen);
        if (S_ISDIR(s.st_mode)) look_below(fd, path, depth + 1, seen);
    }
    closedir(d);
}

/* "a.b:dir" and "file://dir" are dir. */
static const char *place_of(const char *path) {
    if (!strncmp(path, "file://", 7)) return path + 7;
    const char *colon = strchr(path, ':'), *slash = strchr(path, '/');
    return colon && (!slash || colon < slash) ? colon + 1 : path;
}

static void look_everywhere(int fd, char *const *paths, u32 count, u64 *seen) {
    *seen = 0;
    for (u32 i = 0; i < count; i++) {
        const char *path = place_of(paths[i]);
        struct stat s;
        if (stat(path, &s)) continue;
        if (S_ISDIR(s.st_mode)) {
            look_below(fd, path, 0, seen);
            continue;
        }
        look_at(path, &s, seen);
        char folder[PATH_MAX];
        const char *slash = strrchr(path, '/');
        snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) + 1 : 1,
                 slash ? path : ".");
        if (fd >= 0) (void)inotify_add_watch(fd, folder, events);
    }
}

/* True: there was an event; false: none in time, or the signal came. */
static bool wait_event(int fd, int timeout_ms, const sigset_t *mask) {
    char bytes[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
    struct pollfd p = {.fd = fd, .events = POLLIN};
    struct timespec t = {timeout_ms / 1000, timeout_ms % 1000 * 1000000L};
    if (ppoll(&p, 1, timeout_ms < 0 ? NULL : &t, mask) <= 0) return false;
    return read(fd, bytes, sizeof bytes) > 0;
}

u64 notice_now(char *const *paths, u32 count) {
    u64 seen;
    look_everywhere(-1, paths, count, &seen);
    return seen;
}

bool notice_wait(char *const *paths, u32 count, u64 *seen, const char *words) {
    struct sigaction ours = {.sa_handler = end}, old[2];
    sigset_t stop, before;
    u64 now;
    int fd = inotify_init1(IN_CLOEXEC);
    if (fd < 0) {
        fprintf(stderr, "Error creating path watcher:  %s\n", strerror(errno));
        return false;
    }
    sigemptyset(&stop), sigaddset(&stop, SIGINT), sigaddset(&stop, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &stop, &before);
    (void)sigaction(SIGINT, &ours, &old[0]), (void)sigaction(SIGTERM, &ours, &old[1]);
    look_everywhere(fd, paths, count, &now);
    fputs(words, stdout), fflush(stdout);
    while (now == *seen && !asked_to_end) {
        if (!wait_event(fd, -1, &before)) continue;
        while (!asked_to_end && wait_event(fd, QUIET_MS, &before)) continue;
        now = notice_now(paths, count); /* an event of another file of the folder is none */
    }
    (void)sigaction(SIGINT, &old[0], NULL), (void)sigaction(SIGTERM, &old[1], NULL);
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    close(fd);
    *seen = now;
    return !asked_to_end;
}
