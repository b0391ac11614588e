/* SPDX-License-Identifier: Apache-2.0 */
/* disk.c — a file (or a block device) as a disk. One thread per disk does the waiting:
 *
 *   submit -> [ asked, bounded ] -> thread: pread, pwrite, fdatasync -> [ answered ] -> poll: done
 *
 * Always true: operations of one disk are done in the order submitted, so a flush covers all that
 * was written before it; at most DISK_QUEUE_MAX are in flight; one process has the file, by a lock
 * that ends with the process. The page cache of the kernel below is our volatile write cache. */
#include "kernel/host/host_impl.h"
#include "kernel/base/limits.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK_BYTES 512u
#define OP_BYTES_MAX MIB(1)

struct op_list {
    struct disk_op *first, *last;
};
struct file_disk {
    int fd;
    bool read_only;
    u64 bytes;
    pthread_mutex_t lock;
    pthread_cond_t work, idle;
    struct op_list asked, answered;
    u32 in_flight; /* asked or being done */
};
static struct file_disk disks[DISK_MAX];

static void push(struct op_list *list, struct disk_op *op) {
    op->next = NULL;
    if (list->last) list->last->next = op;
    else list->first = op;
    list->last = op;
}

static struct disk_op *pop(struct op_list *list) {
    struct disk_op *op = list->first;
    if (!op) return NULL;
    list->first = op->next;
    if (!list->first) list->last = NULL;
    return op;
}

/* ---- On the disk's thread -------------------------------------------------------------------- */

static rc_t rc_from_errno(int e) {
    if (e == ENOSPC || e == EDQUOT) return RC_FULL;
    if (e == EROFS || e == EBADF || e == EACCES || e == EPERM) return RC_DENIED;
    return RC_IO;
}

static rc_t transfer(int fd, bool write, char *data, size_t n, u64 at) {
    while (n) {
        ssize_t done = write ? pwrite(fd, data, n, (off_t)at) : pread(fd, data, n, (off_t)at);
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) return rc_from_errno(errno);
        if (done == 0) return RC_IO; /* the file became shorter */
        data += done, at += (u64)done, n -= (size_t)done;
    }
    return RC_OK;
}

static rc_t do_op(int fd, const struct disk_op *op) {
    u64 at = op->block * BLOCK_BYTES;
    size_t n = (size_t)op->count * BLOCK_BYTES;
    switch (op->verb) {
    case DISK_READ: return transfer(fd, false, op->data, n, at);
    case DISK_WRITE: return transfer(fd, true, op->data, n, at);
    case DISK_FLUSH: return fdatasync(fd) ? rc_from_errno(errno) : RC_OK;
    case DISK_DISCARD: /* a hint: a file system that cannot leaves the bytes as they are */
        if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)at, (off_t)n) &&
            errno != EOPNOTSUPP)
            return rc_from_errno(errno);
        return RC_OK;
    }
    return RC_INVALID;
}

static void *disk_main(void *arg) {
    struct file_disk *d = arg;
    host_crash_thread_start();
    pthread_mutex_lock(&d->lock);
    for (;;) {
        struct disk_op *op;
        while (!(op = pop(&d->asked))) pthread_cond_wait(&d->work, &d->lock);
        pthread_mutex_unlock(&d->lock);
        rc_t rc = do_op(d->fd, op);
        pthread_mutex_lock(&d->lock);
        op->rc = rc;
        push(&d->answered, op);
        host_raise(WAIT_DISK);
        if (--d->in_flight == 0) pthread_cond_signal(&d->idle);
    }
    return NULL;
}

/* ---- Opening --------------------------------------------------------------------------------- */

static u64 size_of(int fd) {
    off_t end = lseek(fd, 0, SEEK_END); /* right for block devices as well */
    return end > 0 ? (u64)end : 0;
}

static void open_file(struct file_disk *d, const char *path) {
    d->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (d->fd < 0 && (errno == EACCES || errno == EROFS)) {
        d->fd = open(path, O_RDONLY | O_CLOEXEC);
        d->read_only = true;
    }
    if (d->fd < 0) host_refuse("--disk %s: %s", path, strerror(errno));
    if (flock(d->fd, (d->read_only ? LOCK_SH : LOCK_EX) | LOCK_NB))
        host_refuse("--disk %s: another process uses it", path);
    u64 wanted = host_options.disk_bytes;
    d->bytes = size_of(d->fd);
    if (d->bytes == 0 && !wanted) wanted = HOST_DISK_BYTES;
    struct stat st;
    bool file = fstat(d->fd, &st) == 0 && S_ISREG(st.st_mode);
    if (file && !d->read_only && d->bytes < wanted) {
        if (ftruncate(d->fd, (off_t)wanted))
            host_refuse("--disk %s: cannot make it %llu bytes long: %s", path,
                        (unsigned long long)wanted, strerror(errno));
        d->bytes = wanted;
    }
}

void host_disks_start(void) {
    for (u32 i = 0; i < host_options.disk_count; i++) {
        struct file_disk *d = &disks[i];
        open_file(d, host_options.disks[i]);
        pthread_mutex_init(&d->lock, NULL);
        pthread_cond_init(&d->work, NULL);
        pthread_cond_init(&d->idle, NULL);
        if (host_thread_start(disk_main, d)) host_refuse("no thread for a disk");
    }
}

void host_disks_stop(void) {
    for (u32 i = 0; i < host_options.disk_count; i++) {
        struct file_disk *d = &disks[i];
        pthread_mutex_lock(&d->lock);
        while (d->in_flight) pthread_cond_wait(&d->idle, &d->lock);
        pthread_mutex_unlock(&d->lock);
        if (!d->read_only) fdatasync(d->fd);
    }
}

u32 host_disks_check_size(void) {
    u32 bits = 0;
    for (u32 i = 0; i < host_options.disk_count; i++) {
        u64 now = size_of(disks[i].fd);
        if (now == disks[i].bytes) continue;
        disks[i].bytes = now;
        bits = WAIT_DISK_SIZE;
    }
    return bits;
}

/* ---- The seam -------------------------------------------------------------------------------- */

u32 platform_disk_count(void) {
    return host_sim ? host_sim->disk_count() : host_options.disk_count;
}

rc_t platform_disk_open(u32 disk, struct disk_info *out) {
    if (host_sim) return host_sim->disk_open(disk, out);
    if (disk >= host_options.disk_count) return RC_NOT_FOUND;
    struct file_disk *d = &disks[disk];
    *out = (struct disk_info){
        .block_count = d->bytes / BLOCK_BYTES,
        .block_bytes = BLOCK_BYTES,
        .op_bytes_max = OP_BYTES_MAX,
        .read_only = d->read_only,
        .volatile_cache = true,
        .discard = true,
    };
    snprintf(out->serial, sizeof out->serial, "host-%u", disk);
    return RC_OK;
}

rc_t platform_disk_submit(u32 disk, struct disk_op *op) {
    if (host_sim) return host_sim->disk_submit(disk, op);
    CHECK(disk < host_options.disk_count);
    struct file_disk *d = &disks[disk];
    pthread_mutex_lock(&d->lock);
    bool full = d->in_flight >= DISK_QUEUE_MAX;
    if (!full) {
        d->in_flight++;
        push(&d->asked, op);
        pthread_cond_signal(&d->work);
    }
    pthread_mutex_unlock(&d->lock);
    return full ? RC_AGAIN : RC_OK;
}

void platform_disk_kick(u32 disk) { (void)disk; }

void platform_disk_poll(u32 disk) {
    if (host_sim) {
        host_sim->disk_poll(disk);
        return;
    }
    CHECK(disk < host_options.disk_count);
    struct file_disk *d = &disks[disk];
    pthread_mutex_lock(&d->lock);
    struct op_list done = d->answered;
    d->answered = (struct op_list){0};
    pthread_mutex_unlock(&d->lock);
    for (struct disk_op *op; (op = pop(&done));) op->done(op);
}

rc_t platform_disk_emergency_write(u32 disk, u64 block, const void *data, u32 count) {
    if (host_sim) return host_sim->disk_emergency(disk, block, data, count);
    if (disk >= host_options.disk_count) return RC_NOT_FOUND;
    rc_t rc = transfer(disks[disk].fd, true, (char *)(uintptr_t)data, (size_t)count * BLOCK_BYTES,
                       block * BLOCK_BYTES);
    return !rc && fdatasync(disks[disk].fd) ? RC_IO : rc;
}
