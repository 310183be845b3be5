// SPDX-License-Identifier: GPL-2.0
/*
 * Reserved memory as dma-buf heaps: who requests a heap, and why a region has none.
 */

#define pr_fmt(fmt) "rmem_heap: " fmt

#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/moduleparam.h>
#include <linux/of.h>
#include <linux/string.h>

#include <asm/setup.h>

#include "rmem.h"

/* rmem_heap.export=name[:name...]: the values of all occurrences, joined by ':' */
static char policy_export[COMMAND_LINE_SIZE];

/* Early parameters are parsed before the slab allocator is there. */
static int policy_export_set(const char *val, const struct kernel_param *kp)
{
	size_t used = strlen(policy_export), room = sizeof(policy_export) - used;

	if (snprintf(policy_export + used, room, "%s%s", used ? ":" : "", val) < room)
		return 0;
	/* A name that is cut off could be the name of another region. */
	policy_export[used] = '\0';
	return -ENOSPC;
}

static struct kparam_string policy_export_string = {
	.string = policy_export,
	.maxlen = sizeof(policy_export),
};

static const struct kernel_param_ops policy_export_ops = {
	.set = policy_export_set,
	.get = param_get_string,
};

#undef MODULE_PARAM_PREFIX
#define MODULE_PARAM_PREFIX "rmem_heap."
module_param_cb(export, &policy_export_ops, &policy_export_string, 0444);
MODULE_PARM_DESC(export, "reserved-memory regions to export as heaps: names joined by ':', '*' for all pools, !name for no heap");

/*
 * Sets @word to the next word of a list, which it does not terminate, and moves @list past it;
 * false at the end. Node names contain commas and boot loaders split at ';', so words are
 * joined by ':'.
 */
bool rmem_heap_policy_next(const char **list, const char **word, size_t *len)
{
	*word = *list + strspn(*list, ":");
	*len = strcspn(*word, ":");
	*list = *word + *len;
	return *len;
}

static bool policy_word_is(const char *word, size_t len, const char *name)
{
	return strlen(name) == len && !memcmp(word, name, len);
}

/* What a list of names says about a region: "!name" is stronger than name, and that than "*". */
enum rmem_match rmem_heap_policy_match(const char *list, const char *name)
{
	enum rmem_match match = RMEM_MATCH_NONE;
	const char *word;
	size_t len;

	while (rmem_heap_policy_next(&list, &word, &len)) {
		if (*word == '!' && policy_word_is(word + 1, len - 1, name))
			match = max(match, RMEM_MATCH_BLOCK);
		else if (policy_word_is(word, len, name))
			match = max(match, RMEM_MATCH_NAME);
		else if (policy_word_is(word, len, "*"))
			match = max(match, RMEM_MATCH_ALL);
	}
	return match;
}

/* Reports words of rmem_heap.export= that name no region. */
void __init rmem_heap_policy_check_names(const struct list_head *regions)
{
	const char *list = policy_export, *word;
	const struct rmem_region *region;
	bool all_known = true;
	size_t len;

	while (rmem_heap_policy_next(&list, &word, &len)) {
		bool known = policy_word_is(word, len, "*");
		size_t bang = *word == '!';

		list_for_each_entry(region, regions, list)
			known |= policy_word_is(word + bang, len - bang, region->name);
		if (!known)
			pr_warn("export=%.*s: there is no such reserved-memory region\n",
				(int)len, word);
		all_known &= known;
	}
	if (all_known)
		return;

	if (list_empty(regions))
		pr_warn("export=: the device tree has no region\n");
	list_for_each_entry(region, regions, list)
		pr_warn("export=: known is %s\n", region->name);
}

/* What an export does to memory that others may use */
static const char *policy_clearing(const struct rmem_region *region)
{
	if (region->mode != RMEM_HEAP_CARVEOUT)
		return "each buffer is cleared";
	return of_property_read_bool(region->of_node, "no-map") ? "its memory is not cleared" :
								  "its memory is cleared";
}

/*
 * Returns who requests a heap for a validated region, as text for people, or NULL; sets @blocked
 * of the region, and reports a request that its status forbids.
 */
const char * __init rmem_heap_policy_request(struct rmem_region *region)
{
	enum rmem_match admin = rmem_heap_policy_match(policy_export, region->name);
	bool node = of_property_read_bool(region->of_node, "export");
	bool available = region->status == RMEM_AVAILABLE;

	if (admin == RMEM_MATCH_BLOCK) {
		region->blocked = true;
		return NULL;
	}

	if (available && admin == RMEM_MATCH_NAME) {
		if (region->owned || (region->owner[0] && region->mode != RMEM_HEAP_CMA))
			pr_warn("%s: exporting it although %s: %s; make sure that nothing else uses the region\n",
				region->name, region->owner, policy_clearing(region));
		return "rmem_heap.export";
	}
	if (!available || region->owned) {
		if (node || admin == RMEM_MATCH_NAME)
			pr_warn("%s: cannot export it: %s\n", region->name,
				available ? region->owner : region->reason);
		return NULL;
	}

	if (node)
		return "its node";
	if (region->mode == RMEM_HEAP_CMA)
		return admin == RMEM_MATCH_ALL ? "rmem_heap.export" : "default";
	if (admin == RMEM_MATCH_ALL && region->mode != RMEM_HEAP_CARVEOUT) {
		if (!region->owner[0])
			return "rmem_heap.export";
		rmem_heap_set_status(region, region->status, "\"*\" leaves it out: %s",
				     region->owner);
	}
	return NULL;
}

/* Completes the reason of a region without a heap. True for carve-outs that are only counted */
bool __init rmem_heap_policy_explain(struct rmem_region *region)
{
	const char *name = region->name, *owner = region->owner;
	enum rmem_status status = region->status;
	char text[sizeof(region->reason)];

	strscpy(text, region->reason);
	if (region->owned && region->rmem && status == RMEM_INVALID) {
		rmem_heap_set_status(region, status, "%s; it cannot be exported: %s", owner, text);
	} else if (status != RMEM_AVAILABLE) {
		return false;
	} else if (region->owned && region->blocked) {
		rmem_heap_set_status(region, status, "%s", owner);
	} else if (region->blocked) {
		rmem_heap_set_status(region, status, "rmem_heap.export=!%s", name);
	} else if (region->owned) {
		rmem_heap_set_status(region, status,
				     "%s; rmem_heap.export=%s exports it all the same", owner,
				     name);
	} else if (region->mode == RMEM_HEAP_CARVEOUT) {
		rmem_heap_set_status(region, status,
				     "it has no owner in the device tree; firmware may own it");
		return true;
	} else if (text[0]) {
		rmem_heap_set_status(region, status, "%s; rmem_heap.export=%s exports it", text,
				     name);
	} else {
		rmem_heap_set_status(region, status,
				     "no request for a heap, see rmem_heap.export=");
	}
	return false;
}
