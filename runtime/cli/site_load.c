/* SPDX-License-Identifier: Apache-2.0 */
/* Finding and reading the site files. */
#include <nsrun/cli/site.h>

#include <nsrun/base/file.h>
#include <nsrun/base/strings.h>
#include <nsrun/kernel/probe.h>

#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SITE_DIR "/etc/nsrun"
#define SITE_NAME "nsrun.json"
#define SITE_SIZE_MAX ((size_t)64 * 1024)

/* Id of whoever has no counterpart in this user namespace: user_namespaces(7). */
static uid_t overflow_uid(void)
{
	_cleanup_free_ char *text = NULL;
	struct err ignored = ERR_INIT;
	uint32_t uid;

	if (file_read_virtual_at(AT_FDCWD, "/proc/sys/kernel/overflowuid", 32, &text, NULL, &ignored) < 0)
		return 65534;
	text[strcspn(text, "\n")] = '\0';
	return parse_u32(text, &uid) == 0 ? uid : 65534;
}

/* Who could have written it decides for us: root, or for the user's own file that user. */
static int check_owner(const struct stat *st, const char *path, bool own, struct err *err)
{
	bool good = st->st_uid == 0 || (own && st->st_uid == geteuid());

	/* In a user namespace that root has no part in, root's files are nobody's. */
	if (!good && !own && !probe_in_initial_userns())
		good = st->st_uid == overflow_uid();
	if (!good)
		return err_refused(err, ERR_ID_SITE_FILE, "%s: belongs to uid %u, not to root%s", path, st->st_uid,
				   own ? " or its user" : "");
	if (st->st_mode & (S_IWGRP | S_IWOTH))
		return err_refused(err, ERR_ID_SITE_FILE, "%s: others than its owner can write to it (mode %04o)", path,
				   st->st_mode & 07777);
	return 0;
}

/* *ret_text stays NULL where there is no such file. */
static int read_file(const char *dir, bool own, char *path, size_t size, char **ret_text, size_t *ret_size,
		     struct err *err)
{
	/* The directory first: who can write to it can put any file of the right owner in. */
	_cleanup_close_ int dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC), fd = FD_NONE;
	struct stat st;
	int r;

	/* A home that may not be searched, such as root's to an ordinary user's namespace, has no file for us. */
	if (dir_fd < 0 && (errno == ENOENT || errno == ENOTDIR || (own && errno == EACCES)))
		return 0;
	snprintf(path, size, "%s", dir);
	if (dir_fd < 0 || fstat(dir_fd, &st) < 0)
		return err_system_id(err, ERR_ID_SITE_FILE, "%s", path);
	r = check_owner(&st, path, own, err);
	if (r < 0)
		return r;

	snprintf(path, size, "%s/%s", dir, SITE_NAME);
	/* O_NONBLOCK: opening a FIFO must not wait for a writer. */
	fd = openat(dir_fd, SITE_NAME, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_system_id(err, ERR_ID_SITE_FILE, "%s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_INPUT, ERR_ID_SITE_FILE, 0, "%s: not a regular file", path);
	r = check_owner(&st, path, own, err);
	if (r < 0)
		return r;
	if (st.st_size < 0 || (uintmax_t)st.st_size > SITE_SIZE_MAX)
		return err_set(err, ERR_INPUT, ERR_ID_SITE_FILE, 0, "%s: larger than %zu bytes", path, SITE_SIZE_MAX);
	return file_read_fd(fd, path, (size_t)st.st_size, SITE_SIZE_MAX, ret_text, ret_size, err);
}

/* Root's home is the one in passwd(5): after sudo or su, HOME and XDG_CONFIG_HOME may be those of the user who asked. NSS, which
 * might ask a server, is not needed for root. */
static bool root_config_dir(char *buf, size_t size)
{
	_cleanup_fclose_ FILE *file = fopen("/etc/passwd", "re");
	const struct passwd *entry;

	while (file && (entry = fgetpwent(file)))
		if (entry->pw_uid == 0 && entry->pw_dir[0] == '/')
			return snprintf(buf, size, "%s/.config/nsrun", entry->pw_dir) < (int)size;
	return false;
}

static bool own_config_dir(char *buf, size_t size)
{
	const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");

	if (geteuid() == 0)
		return root_config_dir(buf, size);
	/* Relative ones are to be ignored: XDG base directory specification. */
	if (config && config[0] == '/')
		return snprintf(buf, size, "%s/nsrun", config) < (int)size;
	return home && home[0] == '/' && snprintf(buf, size, "%s/.config/nsrun", home) < (int)size;
}

static int load_one(struct site *site, const struct option_table *table, const char *dir, bool own, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	char path[PATH_MAX + sizeof("/" SITE_NAME)];
	size_t size = 0;
	const int r = read_file(dir, own, path, sizeof(path), &text, &size, err);

	return r < 0 || !text ? r : site_parse(site, table, path, text, size, err);
}

int site_load(const struct option_table *table, struct site *ret, struct err *err)
{
	struct site site = { 0 };
	char own[PATH_MAX];
	int r = load_one(&site, table, SITE_DIR, false, err);

	if (r == 0 && own_config_dir(own, sizeof(own)))
		r = load_one(&site, table, own, true, err);
	if (r < 0) {
		site_done(&site);
		return r;
	}
	*ret = site;
	return 0;
}
