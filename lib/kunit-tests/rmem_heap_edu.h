/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * What a test program may ask of /dev/rmem-edu, QEMU's "edu" device: DMA between dma-bufs
 * and the memory of the device.
 *
 * Every open file imports one buffer. The memory of the device is there only once, so that
 * data goes from the buffer of one file to that of another.
 */
#ifndef _RMEM_HEAP_EDU_H
#define _RMEM_HEAP_EDU_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* Bytes of its memory that the device lets us use */
#define RMEM_EDU_MEMORY		2048

/**
 * struct rmem_edu_map - import a dma-buf: attach and map, bidirectional
 * @fd: in: the dma-buf
 * @nents: out: entries of the mapped sg_table
 * @len: out: bytes mapped
 * @lowest: out: lowest DMA address of the mapping
 * @highest: out: highest DMA address of the mapping, that of the last byte
 */
struct rmem_edu_map {
	__s32 fd;
	__u32 nents;
	__u64 len;
	__u64 lowest;
	__u64 highest;
};

/**
 * struct rmem_edu_copy - DMA between the imported buffer and the device's memory
 * @offset: in: where in the buffer
 * @len: in: bytes, up to RMEM_EDU_MEMORY; the device's memory is used from its start
 * @to_buffer: in: 1 writes to the buffer, 0 reads it
 *
 * Returns when the device has done it, which takes it a tenth of a second for each entry
 * of the mapping that is touched.
 */
struct rmem_edu_copy {
	__u64 offset;
	__u32 len;
	__u32 to_buffer;
};

#define RMEM_EDU_MAP	_IOWR('R', 0x50, struct rmem_edu_map)
#define RMEM_EDU_UNMAP	_IO('R', 0x51)
#define RMEM_EDU_COPY	_IOW('R', 0x52, struct rmem_edu_copy)

#endif /* _RMEM_HEAP_EDU_H */
