/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * What a test program may ask of the test consumer, /dev/rmem-consumer-<node name>.
 *
 * The consumer is a platform device with a memory-region phandle. It plays the device in
 * tests: it is assigned to its region as any driver would be, imports dma-bufs, and does
 * its "DMA" with the CPU at the very addresses that the DMA mapping gave it.
 */
#ifndef _RMEM_HEAP_CONSUMER_H
#define _RMEM_HEAP_CONSUMER_H

#include <linux/ioctl.h>
#include <linux/types.h>

/**
 * struct rmem_consumer_info - what the consumer is
 * @region: name of the region node that memory-region points to, empty without one
 * @assigned: 1 if the core assigned the region to the device (pools), 0 if not (carveouts)
 */
struct rmem_consumer_info {
	char region[256];
	__u32 assigned;
	__u32 pad;
};

/**
 * struct rmem_consumer_map - import a dma-buf: attach and map, bidirectional
 * @fd: in: the dma-buf
 * @nents: out: entries of the mapped sg_table
 * @len: out: bytes mapped
 * @inside: out: bytes whose DMA address lies in the consumer's region
 *
 * A consumer maps one buffer at a time for each open file.
 */
struct rmem_consumer_map {
	__s32 fd;
	__u32 nents;
	__u64 len;
	__u64 inside;
};

/**
 * struct rmem_consumer_dma - the device reads or writes the buffer that it has mapped
 * @seed: in: byte i of the pattern is (seed + 7 * i + (i >> 12)) & 0xff
 * @write: in: 1 writes the pattern, 0 compares the memory with it
 * @bad: out: bytes that differ (compare)
 */
struct rmem_consumer_dma {
	__u32 seed;
	__u32 write;
	__u64 bad;
};

/**
 * struct rmem_consumer_alloc - allocate as the device's driver does
 * @len: in: bytes
 * @inside: out: bytes of the allocation that lie in the consumer's region
 *
 * dma_alloc_coherent() where the core assigned the region, rmem_heap_alloc() for carveouts.
 * Fails with ENOMEM as they do. The memory is held until RMEM_CONSUMER_FREE or close.
 */
struct rmem_consumer_alloc {
	__u64 len;
	__u64 inside;
};

/**
 * struct rmem_consumer_vmap - the driver maps a dma-buf for itself, and gives it back
 * @fd: in: the dma-buf
 */
struct rmem_consumer_vmap {
	__s32 fd;
};

#define RMEM_CONSUMER_INFO	_IOR('R', 0x40, struct rmem_consumer_info)
#define RMEM_CONSUMER_MAP	_IOWR('R', 0x41, struct rmem_consumer_map)
#define RMEM_CONSUMER_UNMAP	_IO('R', 0x42)
#define RMEM_CONSUMER_DMA	_IOWR('R', 0x43, struct rmem_consumer_dma)
#define RMEM_CONSUMER_ALLOC	_IOWR('R', 0x44, struct rmem_consumer_alloc)
#define RMEM_CONSUMER_FREE	_IO('R', 0x45)
#define RMEM_CONSUMER_VMAP	_IOW('R', 0x46, struct rmem_consumer_vmap)

#endif /* _RMEM_HEAP_CONSUMER_H */
