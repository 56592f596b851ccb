/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/oci/mount_words.h>

#include <nsrun/base/strings.h>

#include <errno.h>
#include <string.h>
#include <sys/mount.h>

enum word_kind {
	WORD_NOTHING,	  /* what a mount is anyhow */
	WORD_ATTR,	  /* MOUNT_ATTR_* of the mount */
	WORD_ATTR_BELOW,  /* and of all that is mounted below it */
	WORD_SUPERBLOCK,  /* MS_* of the file system */
	WORD_PROPAGATION, /* MS_* */
	WORD_BIND,
	WORD_REMOUNT,
	WORD_COPY_UP,
	WORD_IDMAP,
};

struct mount_word_row {
	const char *word;
	enum word_kind kind;
	uint64_t set, clear; /* WORD_BIND, WORD_PROPAGATION, WORD_IDMAP: MS_REC in `set` */
	uint64_t
		unless; /* MOUNT_ATTR__ATIME has one value: "atime" is the opposite of "noatime" alone, and so leaves what others have set */
};

#define ATIME MOUNT_ATTR__ATIME

/* clang-format off */
static const struct mount_word_row rows[] = {
	{ "async",         WORD_SUPERBLOCK,  0, MS_SYNCHRONOUS, 0 },
	{ "atime",         WORD_ATTR,        0, ATIME, MOUNT_ATTR_STRICTATIME },
	{ "bind",          WORD_BIND,        0, 0, 0 },
	{ "defaults",      WORD_NOTHING,     0, 0, 0 },
	{ "dev",           WORD_ATTR,        0, MOUNT_ATTR_NODEV, 0 },
	{ "diratime",      WORD_ATTR,        0, MOUNT_ATTR_NODIRATIME, 0 },
	{ "dirsync",       WORD_SUPERBLOCK,  MS_DIRSYNC, 0, 0 },
	{ "exec",          WORD_ATTR,        0, MOUNT_ATTR_NOEXEC, 0 },
	{ "idmap",         WORD_IDMAP,       0, 0, 0 },
	{ "iversion",      WORD_SUPERBLOCK,  MS_I_VERSION, 0, 0 },
	{ "lazytime",      WORD_SUPERBLOCK,  MS_LAZYTIME, 0, 0 },
	{ "loud",          WORD_NOTHING,     0, 0, 0 },
	{ "mand",          WORD_SUPERBLOCK,  MS_MANDLOCK, 0, 0 },
	{ "noatime",       WORD_ATTR,        MOUNT_ATTR_NOATIME, ATIME, 0 },
	{ "nodev",         WORD_ATTR,        MOUNT_ATTR_NODEV, 0, 0 },
	{ "nodiratime",    WORD_ATTR,        MOUNT_ATTR_NODIRATIME, 0, 0 },
	{ "noexec",        WORD_ATTR,        MOUNT_ATTR_NOEXEC, 0, 0 },
	{ "noiversion",    WORD_SUPERBLOCK,  0, MS_I_VERSION, 0 },
	{ "nolazytime",    WORD_SUPERBLOCK,  0, MS_LAZYTIME, 0 },
	{ "nomand",        WORD_SUPERBLOCK,  0, MS_MANDLOCK, 0 },
	/* mount(8) and the kernel know no way of its own to be without it: relatime is what there is unless one of the other two is said. */
	{ "norelatime",    WORD_NOTHING,     0, 0, 0 },
	{ "nostrictatime", WORD_ATTR,        0, ATIME, MOUNT_ATTR_NOATIME },
	{ "nosuid",        WORD_ATTR,        MOUNT_ATTR_NOSUID, 0, 0 },
	{ "nosymfollow",   WORD_ATTR,        MOUNT_ATTR_NOSYMFOLLOW, 0, 0 },
	{ "private",       WORD_PROPAGATION, MS_PRIVATE, 0, 0 },
	{ "ratime",        WORD_ATTR_BELOW,  0, ATIME, MOUNT_ATTR_STRICTATIME },
	{ "rbind",         WORD_BIND,        MS_REC, 0, 0 },
	{ "rdev",          WORD_ATTR_BELOW,  0, MOUNT_ATTR_NODEV, 0 },
	{ "rdiratime",     WORD_ATTR_BELOW,  0, MOUNT_ATTR_NODIRATIME, 0 },
	{ "relatime",      WORD_ATTR,        MOUNT_ATTR_RELATIME, ATIME, 0 },
	{ "remount",       WORD_REMOUNT,     0, 0, 0 },
	{ "rexec",         WORD_ATTR_BELOW,  0, MOUNT_ATTR_NOEXEC, 0 },
	{ "ridmap",        WORD_IDMAP,       MS_REC, 0, 0 },
	{ "rnoatime",      WORD_ATTR_BELOW,  MOUNT_ATTR_NOATIME, ATIME, 0 },
	{ "rnodev",        WORD_ATTR_BELOW,  MOUNT_ATTR_NODEV, 0, 0 },
	{ "rnodiratime",   WORD_ATTR_BELOW,  MOUNT_ATTR_NODIRATIME, 0, 0 },
	{ "rnoexec",       WORD_ATTR_BELOW,  MOUNT_ATTR_NOEXEC, 0, 0 },
	{ "rnorelatime",   WORD_NOTHING,     0, 0, 0 },
	{ "rnostrictatime", WORD_ATTR_BELOW, 0, ATIME, MOUNT_ATTR_NOATIME },
	{ "rnosuid",       WORD_ATTR_BELOW,  MOUNT_ATTR_NOSUID, 0, 0 },
	{ "rnosymfollow",  WORD_ATTR_BELOW,  MOUNT_ATTR_NOSYMFOLLOW, 0, 0 },
	{ "ro",            WORD_ATTR,        MOUNT_ATTR_RDONLY, 0, 0 },
	{ "rprivate",      WORD_PROPAGATION, MS_PRIVATE | MS_REC, 0, 0 },
	{ "rrelatime",     WORD_ATTR_BELOW,  MOUNT_ATTR_RELATIME, ATIME, 0 },
	{ "rro",           WORD_ATTR_BELOW,  MOUNT_ATTR_RDONLY, 0, 0 },
	{ "rrw",           WORD_ATTR_BELOW,  0, MOUNT_ATTR_RDONLY, 0 },
	{ "rshared",       WORD_PROPAGATION, MS_SHARED | MS_REC, 0, 0 },
	{ "rslave",        WORD_PROPAGATION, MS_SLAVE | MS_REC, 0, 0 },
	{ "rstrictatime",  WORD_ATTR_BELOW,  MOUNT_ATTR_STRICTATIME, ATIME, 0 },
	{ "rsuid",         WORD_ATTR_BELOW,  0, MOUNT_ATTR_NOSUID, 0 },
	{ "rsymfollow",    WORD_ATTR_BELOW,  0, MOUNT_ATTR_NOSYMFOLLOW, 0 },
	{ "runbindable",   WORD_PROPAGATION, MS_UNBINDABLE | MS_REC, 0, 0 },
	{ "rw",            WORD_ATTR,        0, MOUNT_ATTR_RDONLY, 0 },
	{ "shared",        WORD_PROPAGATION, MS_SHARED, 0, 0 },
	/* The kernel's own messages about a mount that fails: none are made for a mount by descriptors. */
	{ "silent",        WORD_NOTHING,     0, 0, 0 },
	{ "slave",         WORD_PROPAGATION, MS_SLAVE, 0, 0 },
	{ "strictatime",   WORD_ATTR,        MOUNT_ATTR_STRICTATIME, ATIME, 0 },
	{ "suid",          WORD_ATTR,        0, MOUNT_ATTR_NOSUID, 0 },
	{ "symfollow",     WORD_ATTR,        0, MOUNT_ATTR_NOSYMFOLLOW, 0 },
	{ "sync",          WORD_SUPERBLOCK,  MS_SYNCHRONOUS, 0, 0 },
	{ "tmpcopyup",     WORD_COPY_UP,     0, 0, 0 },
	{ "unbindable",    WORD_PROPAGATION, MS_UNBINDABLE, 0, 0 },
};
/* clang-format on */

const char *mount_word_name(size_t index)
{
	return index < ARRAY_LEN(rows) ? rows[index].word : NULL;
}

static const struct mount_word_row *find_row(const char *word)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (streq(rows[i].word, word))
			return &rows[i];
	return NULL;
}

static void set_attr(const struct mount_word_row *row, uint64_t *set, uint64_t *clear)
{
	if (row->unless && (*set & ATIME) == row->unless)
		return;
	*set = (*set & ~row->clear) | row->set;
	/* An access time is changed by clearing the whole field and setting its new value (mount_setattr(2)). */
	*clear = (*clear | row->clear) & ~(row->set & ~(uint64_t)ATIME);
}

static void set_propagation(uint64_t word, uint64_t *propagation)
{
	const uint64_t both = MS_SLAVE | MS_SHARED;
	const bool adds = (*propagation & MS_SLAVE) && (word & MS_SHARED);

	*propagation = adds ? both | ((*propagation | word) & MS_REC) : word;
}

static int add_data(struct arena *arena, const char *word, struct mount_said *said)
{
	const size_t n = strlen(word);

	if (!said->data && !(said->data = arena_alloc(arena, MOUNT_DATA_MAX)))
		return -ENOMEM;
	if (said->data_used + n + 2 > MOUNT_DATA_MAX)
		return -E2BIG;
	if (said->data_used)
		said->data[said->data_used++] = ',';
	memcpy(said->data + said->data_used, word, n + 1);
	said->data_used += n;
	if (!said->unknown)
		said->unknown = word;
	return 0;
}

int mount_word_read(struct arena *arena, const char *word, struct mount_said *said)
{
	const struct mount_word_row *row = find_row(word);
	struct bundle_mount *mount = said->mount;
	const char *ids = str_after(word, "idmap="), *all_ids = str_after(word, "ridmap=");

	if (!*word)
		return 0;
	if (ids || all_ids) {
		said->idmap = true;
		said->idmap_recursive = all_ids != NULL;
		said->ids = ids ? ids : all_ids;
		return 0;
	}
	if (!row)
		return add_data(arena, word, said);
	switch (row->kind) {
	case WORD_NOTHING:
		break;
	case WORD_ATTR:
		set_attr(row, &mount->attr_set, &mount->attr_clear);
		break;
	case WORD_ATTR_BELOW:
		set_attr(row, &mount->attr_set_below, &mount->attr_clear_below);
		break;
	case WORD_SUPERBLOCK:
		mount->superblock_flags = (mount->superblock_flags & ~row->clear) | row->set;
		break;
	case WORD_PROPAGATION:
		set_propagation(row->set, &mount->propagation);
		break;
	case WORD_BIND:
		mount->bind = true;
		mount->recursive = mount->recursive || (row->set & MS_REC);
		break;
	case WORD_REMOUNT:
		mount->remount = true;
		break;
	case WORD_COPY_UP:
		mount->copy_up = true;
		break;
	case WORD_IDMAP:
		said->idmap = true;
		said->idmap_recursive = said->idmap_recursive || (row->set & MS_REC);
		break;
	}
	return 0;
}
