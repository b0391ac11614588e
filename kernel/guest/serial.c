/* SPDX-License-Identifier: Apache-2.0 */
/* serial.c — the console: a 16550 at COM1, polled out, interrupts in.
 *
 *   put -> [FIFO, 16 bytes] -> wire          wire -> IRQ 4 -> collect() -> ring -> get()
 *
 * Output waits a bounded time for the transmitter and then drops: a stuck console never stops the
 * machine. A virtio console (virtio/console.c) may listen along and type along. */
#include "kernel/guest/guest.h"
#include "kernel/platform.h"

enum {
    COM1 = 0x3F8,
    REG_DATA = 0,
    REG_IRQ = 1,   /* bit 0: received data */
    REG_FIFO = 2,
    REG_LINE = 3,
    REG_MODEM = 4,
    REG_STATUS = 5, /* bit 0: data ready, bit 5: transmitter empty */
    REG_SCRATCH = 7,
    FIFO_BYTES = 16,
    WAIT_SPINS = 100000, /* a 115,200 baud FIFO drains in 1.4 ms */
    TYPED_BYTES = 256,
};

static bool present;
static bool stuck; /* the transmitter did not empty once: do not wait for it again */
static struct platform_lock lock;
static volatile u32 typed_in, typed_out; /* counts; the ring never holds more than TYPED_BYTES */
static u8 typed[TYPED_BYTES];
bool console_has_input;
void (*console_also)(str bytes);

void serial_start(void) {
    out8(COM1 + REG_SCRATCH, 0x5A);
    if (in8(COM1 + REG_SCRATCH) != 0x5A) return;
    out8(COM1 + REG_IRQ, 0);
    out8(COM1 + REG_LINE, 0x80); /* divisor latch */
    out8(COM1 + REG_DATA, 1);    /* 115,200 */
    out8(COM1 + REG_IRQ, 0);
    out8(COM1 + REG_LINE, 0x03);  /* 8N1 */
    out8(COM1 + REG_FIFO, 0x07);  /* on, cleared, interrupt at one byte */
    out8(COM1 + REG_MODEM, 0x0B); /* DTR, RTS, OUT2 = interrupts reach the controller */
    present = true;
}

bool serial_present(void) { return present; }

void serial_interrupts_on(void) {
    if (!present) return;
    bool level = false, low = false;
    u32 gsi = acpi_gsi_of_isa(4, &level, &low);
    if (apic_route(gsi, VECTOR_SERIAL, level, low)) return;
    out8(COM1 + REG_IRQ, 1);
    serial_collect();
}

void console_typed(u8 byte) {
    if (typed_in - typed_out < TYPED_BYTES) {
        typed[typed_in % TYPED_BYTES] = byte;
        typed_in++;
    }
    console_has_input = true;
}

void serial_collect(void) {
    /* bounded: a line that never runs dry must not hold the CPU */
    for (int i = 0; i < 4 * FIFO_BYTES && (in8(COM1 + REG_STATUS) & 1); i++)
        console_typed(in8(COM1 + REG_DATA));
}

int console_get(void) {
    if (typed_in == typed_out) return -1;
    u8 byte = typed[typed_out % TYPED_BYTES];
    typed_out++;
    return byte;
}

static bool transmitter_empty(void) {
    for (u32 i = 0; i < (stuck ? 1u : WAIT_SPINS); i++) {
        if (in8(COM1 + REG_STATUS) & 0x20) {
            stuck = false;
            return true;
        }
        cpu_pause();
    }
    stuck = true;
    return false;
}

static void wire_put(const char *p, size_t n) {
    while (n) {
        size_t some = MIN(n, (size_t)FIFO_BYTES);
        if (!transmitter_empty()) return;
        out8_many(COM1 + REG_DATA, p, some);
        p += some;
        n -= some;
    }
}

void serial_put(str bytes) {
    if (!present) return;
    for (size_t at = 0; at < bytes.len;) { /* terminals want CR before LF */
        size_t line = at;
        while (line < bytes.len && bytes.ptr[line] != '\n') line++;
        wire_put(bytes.ptr + at, line - at);
        if (line < bytes.len) wire_put("\r\n", 2);
        at = line + 1;
    }
}

int platform_console_get(void) { return console_get(); }

void platform_console_put(str bytes) {
    /* Last words come from anywhere, also from inside this lock: after a while go on without. */
    bool locked = false;
    irq_state_t before = irq_save();
    for (u32 i = 0; i < 1000000 && !locked; i++) {
        locked = !__atomic_exchange_n(&lock.word, 1, __ATOMIC_ACQUIRE);
        if (!locked) cpu_pause();
    }
    serial_put(bytes);
    if (console_also) console_also(bytes);
    if (locked) __atomic_store_n(&lock.word, 0, __ATOMIC_RELEASE);
    irq_restore(before);
}

void platform_last_words(str bytes) {
    stuck = false; /* these are worth the wait */
    platform_console_put(bytes);
}
