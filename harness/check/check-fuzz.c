// SPDX-License-Identifier: GPL-2.0
/*
 * Runs `rmem-heap check` on many blobs: check-fuzz [--blob-is-overlay FILE] OPTION... < STREAM
 *
 * The stream has the length of each blob in four bytes, then the blob. Each blob is in memory of
 * its own size, so that AddressSanitizer sees what is read beyond it, and has ten seconds. With
 * --blob-is-overlay, it is written to FILE, for --overlay FILE in the options, and applied to the
 * first blob of the stream. The number of each blob that is begun is written to stderr; JSON is
 * written to stdout, with a record separator after each blob.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../tools/dma/rmem-heap/check.h"

static void *next_blob(uint32_t *len)
{
	unsigned char head[4];
	void *blob;

	if (fread(head, 1, 4, stdin) != 4)
		return NULL;
	*len = head[0] | head[1] << 8 | head[2] << 16 | (uint32_t)head[3] << 24;
	blob = malloc(*len ? *len : 1);
	if (!blob || fread(blob, 1, *len, stdin) != *len)
		exit(3);
	return blob;
}

int main(int argc, char **argv)
{
	uint32_t len, base_len = 0;
	void *blob, *base = NULL;
	const char *overlay = NULL;
	unsigned long n, counts[3] = { };
	bool json = false;
	FILE *out;
	int ret;

	if (argc > 2 && !strcmp(argv[1], "--blob-is-overlay")) {
		overlay = argv[2];
		argv += 2;
		argc -= 2;
		base = next_blob(&base_len);
	}
	if (check_options(argc, argv, &json))
		return 3;
	if (!json && !freopen("/dev/null", "w", stdout))
		return 3;
	for (n = 0; (blob = next_blob(&len)); n++) {
		/* In the file that stderr is, the last number is the one that failed. */
		dprintf(STDERR_FILENO, "%lu\n", n);
		alarm(10);
		if (overlay) {
			out = fopen(overlay, "wb");
			if (!out || fwrite(blob, 1, len, out) != len || fclose(out))
				return 3;
			ret = check_blob("blob", base, base_len, json);
		} else {
			ret = check_blob("blob", blob, len, json);
		}
		alarm(0);
		putchar(0x1e);
		if (ret < 0 || ret > 2)
			return 4;
		counts[ret]++;
		free(blob);
	}
	free(base);
	dprintf(STDERR_FILENO, "done: %lu without errors, %lu with errors, %lu no trees\n", counts[0],
		counts[1], counts[2]);
	return 0;
}
