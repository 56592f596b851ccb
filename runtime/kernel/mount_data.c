/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/kernel/mount_data.h>

#include <nsrun/base/strings.h>

#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#define OPTION_MAX 4096
#define VALUE_MAX 255 /* fs/fsopen.c: strndup_user(_value, 256) */

int mount_data_next(const char **text, char *buf, size_t size)
{
	const char *p = *text;
	bool quoted = false;
	size_t n = 0;

	while (*p == ',')
		p++;
	if (!*p) {
		*text = p;
		return 0;
	}
	for (; *p && (quoted || *p != ','); p++) {
		if (*p == '"') {
			quoted = !quoted;
			continue;
		}
		if (n + 1 >= size)
			return -E2BIG;
		buf[n++] = *p;
	}
	buf[n] = '\0';
	*text = p;
	return 1;
}

/* What the file system itself says of the failure: fsopen(2)'s descriptor is its log, a line "e tmpfs: Bad value for 'size'" a read. */
static const char *kernel_words(int fs_fd, char *buf, size_t size)
{
	const ssize_t n = read(fs_fd, buf, size - 1);

	if (n <= 2)
		return "";
	buf[n] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	buf[0] = ':';
	return buf;
}

static int configure_data(const struct mount_fs *fs, int fs_fd, struct err *err)
{
	const char *rest = fs->data ? fs->data : "";
	char option[OPTION_MAX], words[128];
	int r;

	while ((r = mount_data_next(&rest, option, sizeof(option))) > 0) {
		char *value = strchr(option, '=');

		if (value)
			*value++ = '\0';
		if (fsconfig(fs_fd, value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, option, value, 0) == 0)
			continue;
		const int errnum = errno;
		const char *said = kernel_words(fs_fd, words, sizeof(words));
		return err_set(err, ERR_SYSTEM, ERR_ID_NONE, errnum, "%s: option %.100s%s%.100s%s",
			       fs->type ? fs->type : "remount", option, value ? "=" : "", value ? value : "", said);
	}
	return r < 0 ? err_set(err, ERR_INPUT, ERR_ID_NONE, -r, "%s: options", fs->type ? fs->type : "remount") : 0;
}

static const struct {
	uint64_t flag;
	const char *key;
} superblock_words[] = {
	{ MS_RDONLY, "ro" },	 { MS_SYNCHRONOUS, "sync" },  { MS_DIRSYNC, "dirsync" },
	{ MS_MANDLOCK, "mand" }, { MS_LAZYTIME, "lazytime" },
};

static int configure_flags(const struct mount_fs *fs, int fs_fd, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(superblock_words); i++)
		if ((fs->flags & superblock_words[i].flag) &&
		    fsconfig(fs_fd, FSCONFIG_SET_FLAG, superblock_words[i].key, NULL, 0) < 0)
			return err_system(err, "%s: option %s", fs->type ? fs->type : "remount",
					  superblock_words[i].key);
	return 0;
}

int mount_new_fs_of(const struct mount_fs *fs, int *ret_fd, struct err *err)
{
	_cleanup_close_ int fs_fd = fsopen(fs->type, FSOPEN_CLOEXEC);
	char words[128];

	if (fs_fd < 0)
		return err_system(err, "%s: new file system", fs->type);
	if (fs->source && fsconfig(fs_fd, FSCONFIG_SET_STRING, "source", fs->source, 0) < 0)
		return err_system(err, "%s: source %.200s", fs->type, fs->source);
	int r = configure_flags(fs, fs_fd, err);
	if (r == 0)
		r = configure_data(fs, fs_fd, err);
	if (r < 0)
		return r;
	if (fsconfig(fs_fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0) {
		const int errnum = errno;

		return err_set(err, ERR_SYSTEM, ERR_ID_NONE, errnum, "%s: making the file system%s", fs->type,
			       kernel_words(fs_fd, words, sizeof(words)));
	}
	const int fd = fsmount(fs_fd, FSMOUNT_CLOEXEC, (unsigned)fs->attr);
	if (fd < 0)
		return err_system(err, "%s: mounting it", fs->type);
	*ret_fd = fd;
	return 0;
}

bool mount_fs_needs_old_call(const struct mount_fs *fs)
{
	const char *rest = fs->data ? fs->data : "";
	char option[OPTION_MAX];

	if ((fs->flags & MS_I_VERSION) || (fs->source && strlen(fs->source) > VALUE_MAX))
		return true;
	while (mount_data_next(&rest, option, sizeof(option)) > 0) {
		const char *value = strchr(option, '=');

		if (value && strlen(value + 1) > VALUE_MAX)
			return true;
	}
	return false;
}

/* As mount(2) has them. */
static unsigned long old_flags(const struct mount_fs *fs)
{
	static const struct {
		uint64_t attr;
		unsigned long flag;
	} same[] = {
		{ MOUNT_ATTR_RDONLY, MS_RDONLY },	  { MOUNT_ATTR_NOSUID, MS_NOSUID },
		{ MOUNT_ATTR_NODEV, MS_NODEV },		  { MOUNT_ATTR_NOEXEC, MS_NOEXEC },
		{ MOUNT_ATTR_NODIRATIME, MS_NODIRATIME }, { MOUNT_ATTR_NOSYMFOLLOW, MS_NOSYMFOLLOW },
	};
	const uint64_t atime = fs->attr & MOUNT_ATTR__ATIME;
	unsigned long flags = (unsigned long)fs->flags;

	for (size_t i = 0; i < ARRAY_LEN(same); i++)
		if (fs->attr & same[i].attr)
			flags |= same[i].flag;
	return flags | (atime == MOUNT_ATTR_NOATIME	  ? MS_NOATIME
			: atime == MOUNT_ATTR_STRICTATIME ? MS_STRICTATIME
							  : MS_RELATIME);
}

int mount_fs_at(const struct mount_fs *fs, int target_fd, const char *what, struct err *err)
{
	char target[64];

	snprintf(target, sizeof(target), "/proc/self/fd/%d", target_fd);
	if (mount(fs->source, target, fs->type, old_flags(fs), fs->data) < 0)
		return err_system(err, "%s: mounting %s", what, fs->type);
	return 0;
}

int mount_fs_change(const struct mount_fs *fs, int root_fd, const char *what, struct err *err)
{
	_cleanup_close_ int fs_fd = fspick(root_fd, "", FSPICK_CLOEXEC | FSPICK_EMPTY_PATH);
	char words[128];

	if (fs_fd < 0)
		return err_system(err, "%s: changing the file system that is mounted there", what);
	int r = configure_flags(fs, fs_fd, err);
	if (r == 0)
		r = configure_data(fs, fs_fd, err);
	if (r == 0 && fsconfig(fs_fd, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0) < 0) {
		const int errnum = errno;

		return err_set(err, ERR_SYSTEM, ERR_ID_NONE, errnum,
			       "%s: changing the file system that is mounted there%s", what,
			       kernel_words(fs_fd, words, sizeof(words)));
	}
	return r;
}
