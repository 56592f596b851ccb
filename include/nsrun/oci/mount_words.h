/* SPDX-License-Identifier: Apache-2.0 */
/* The words of mounts[].options: the runtime specification's table (config.md, "Linux mount options"), each with what it does. */
#ifndef NSRUN_OCI_MOUNT_WORDS_H
#define NSRUN_OCI_MOUNT_WORDS_H

#include <nsrun/base/arena.h>
#include <nsrun/plan/bundle.h>

/* What the words of one entry say together: later ones win. */
struct mount_said {
	struct bundle_mount *mount;
	bool idmap, idmap_recursive;
	const char *ids; /* idmap=IDS, as podman and crun write it; NULL: not said */
	char *data;	 /* words of the file system, comma-separated; NULL: none. In the arena */
	size_t data_used;
	const char *unknown; /* the first of those; NULL: none */
};

/* What mount(2) takes, with its NUL: a page. */
#define MOUNT_DATA_MAX 4096

/* -ENOMEM, or -E2BIG: more than MOUNT_DATA_MAX for the file system. `word` must outlive *said. */
int mount_word_read(struct arena *arena, const char *word, struct mount_said *said);
/* The name at `index` of the table, and NULL after the last: for `features`. Filesystem-specific words are not in it. */
const char *mount_word_name(size_t index);

#endif
