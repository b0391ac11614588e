/* SPDX-License-Identifier: Apache-2.0 */
/* virtio.h — numbers from the Virtual I/O Device specification, version 1.2, nothing else.
 * Section numbers in brackets. All fields are little-endian, as this CPU is. */
#pragma once
#include "kernel/base/base.h"

/* Device kinds [5] */
enum { VIRTIO_NET = 1, VIRTIO_BLOCK = 2, VIRTIO_CONSOLE = 3, VIRTIO_RNG = 4 };

/* Device status [2.1] */
enum {
    STATUS_ACKNOWLEDGE = 1,
    STATUS_DRIVER = 2,
    STATUS_DRIVER_OK = 4,
    STATUS_FEATURES_OK = 8,
    STATUS_NEEDS_RESET = 64,
    STATUS_FAILED = 128,
};

/* Features every device may have [6] */
#define FEATURE_INDIRECT (1ull << 28)
#define FEATURE_EVENT_IDX (1ull << 29)
#define FEATURE_VERSION_1 (1ull << 32)

/* Split ring [2.7] */
enum { DESC_NEXT = 1, DESC_WRITE = 2 };
enum { AVAIL_NO_INTERRUPT = 1, USED_NO_NOTIFY = 1 };
struct vring_desc {
    u64 address;
    u32 bytes;
    u16 flags, next;
};
struct vring_avail {
    u16 flags, index;
    u16 ring[]; /* then u16 used_event */
};
struct vring_used_element {
    u32 id, bytes;
};
struct vring_used {
    u16 flags, index;
    struct vring_used_element ring[]; /* then u16 avail_event */
};
static_assert(sizeof(struct vring_desc) == 16, "2.7.5");
static_assert(sizeof(struct vring_used_element) == 8, "2.7.8");

/* PCI transport [4.1.4] */
enum { PCI_CAP_COMMON = 1, PCI_CAP_NOTIFY = 2, PCI_CAP_ISR = 3, PCI_CAP_DEVICE = 4 };
enum {
    COMMON_DEVICE_FEATURE_SELECT = 0,
    COMMON_DEVICE_FEATURE = 4,
    COMMON_DRIVER_FEATURE_SELECT = 8,
    COMMON_DRIVER_FEATURE = 12,
    COMMON_CONFIG_VECTOR = 16,
    COMMON_STATUS = 20,
    COMMON_GENERATION = 21,
    COMMON_QUEUE_SELECT = 22,
    COMMON_QUEUE_SIZE = 24,
    COMMON_QUEUE_VECTOR = 26,
    COMMON_QUEUE_ENABLE = 28,
    COMMON_QUEUE_NOTIFY_OFFSET = 30,
    COMMON_QUEUE_DESC = 32,
    COMMON_QUEUE_DRIVER = 40,
    COMMON_QUEUE_DEVICE = 48,
    COMMON_BYTES = 56,
};
enum { NO_VECTOR = 0xFFFF };

/* MMIO transport [4.2.2] */
enum {
    MMIO_MAGIC = 0x000, /* "virt" */
    MMIO_VERSION = 0x004,
    MMIO_DEVICE_ID = 0x008,
    MMIO_DEVICE_FEATURES = 0x010,
    MMIO_DEVICE_FEATURES_SELECT = 0x014,
    MMIO_DRIVER_FEATURES = 0x020,
    MMIO_DRIVER_FEATURES_SELECT = 0x024,
    MMIO_QUEUE_SELECT = 0x030,
    MMIO_QUEUE_SIZE_MAX = 0x034,
    MMIO_QUEUE_SIZE = 0x038,
    MMIO_QUEUE_READY = 0x044,
    MMIO_QUEUE_NOTIFY = 0x050,
    MMIO_INTERRUPT_STATUS = 0x060, /* bit 0: ring, bit 1: configuration */
    MMIO_INTERRUPT_ACK = 0x064,
    MMIO_STATUS = 0x070,
    MMIO_QUEUE_DESC = 0x080,
    MMIO_QUEUE_DRIVER = 0x090,
    MMIO_QUEUE_DEVICE = 0x0A0,
    MMIO_GENERATION = 0x0FC,
    MMIO_CONFIG = 0x100,
    MMIO_BYTES = 0x200,
    MMIO_MAGIC_VALUE = 0x74726976,
};
enum { INTERRUPT_RING = 1, INTERRUPT_CONFIG = 2 };

/* Network device [5.1] */
#define NET_CSUM (1ull << 0)
#define NET_GUEST_CSUM (1ull << 1)
#define NET_MTU (1ull << 3)
#define NET_MAC (1ull << 5)
#define NET_MRG_RXBUF (1ull << 15)
#define NET_STATUS (1ull << 16)
enum { NET_RX_QUEUE = 0, NET_TX_QUEUE = 1 };
enum { NET_CONFIG_MAC = 0, NET_CONFIG_STATUS = 6, NET_CONFIG_MTU = 10, NET_LINK_UP = 1 };
enum { NET_HEAD_NEEDS_CSUM = 1, NET_HEAD_DATA_VALID = 2 };
struct virtio_net_head {
    u8 flags, gso_type;
    u16 head_bytes, gso_bytes, csum_start, csum_offset, buffers;
};
static_assert(sizeof(struct virtio_net_head) == 12, "5.1.6");

/* Block device [5.2] */
#define BLOCK_SIZE_MAX (1ull << 1)
#define BLOCK_SEG_MAX (1ull << 2)
#define BLOCK_RO (1ull << 5)
#define BLOCK_BLK_SIZE (1ull << 6)
#define BLOCK_FLUSH (1ull << 9)
#define BLOCK_CONFIG_WCE (1ull << 11)
#define BLOCK_DISCARD (1ull << 13)
enum {
    BLOCK_CONFIG_CAPACITY = 0, /* u64, in 512-byte sectors */
    BLOCK_CONFIG_SIZE_MAX = 8,
    BLOCK_CONFIG_SEG_MAX = 12,
    BLOCK_CONFIG_BLK_SIZE = 20,
    BLOCK_CONFIG_WRITEBACK = 32,
    BLOCK_CONFIG_DISCARD_MAX = 36, /* u32 sectors in one request */
};
enum {
    BLOCK_IN = 0,
    BLOCK_OUT = 1,
    BLOCK_FLUSH_VERB = 4,
    BLOCK_GET_ID = 8,
    BLOCK_DISCARD_VERB = 11
};
enum { BLOCK_OK = 0, BLOCK_IOERR = 1, BLOCK_UNSUPPORTED = 2, BLOCK_ID_BYTES = 20 };
struct virtio_block_head {
    u32 verb, reserved;
    u64 sector;
};
struct virtio_block_discard {
    u64 sector;
    u32 sectors, flags;
};
static_assert(sizeof(struct virtio_block_head) == 16, "5.2.6");
static_assert(sizeof(struct virtio_block_discard) == 16, "5.2.6");
