/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/lab/place.h>

#include <nsrun/base/clock.h>
#include <nsrun/base/strings.h>
#include <nsrun/kernel/probe.h>
#include <nsrun/lab/spawn.h>

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#define ROOTFS_SECONDS 120
#define LOCK "lock"
/* Says whose the directory is. The name of the lock does not: /var/lib/dpkg has a `lock`, too. */
#define MARK ".nsrun-lab"

static char *join(const char *a, const char *b)
{
	char *path = NULL;

	return asprintf(&path, "%s/%s", a, b) < 0 ? NULL : path;
}

static bool is_dir(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* The first of: below $NSRUN_DATA_DIR; in the tree that the program was built in; below the prefix that it is installed in; where this build installs. */
static char *find_data(const char *program, const char *installed, const char *source)
{
	const char *const own = getenv("NSRUN_DATA_DIR");
	char above[PATH_MAX];
	const char *const places[][2] = {
		{ own, installed }, { above, source }, { above, "share/nsrun" }, { NSRUN_DATADIR, installed }
	};

	snprintf(above, sizeof(above), "%s", program);
	for (int i = 0; i < 2; i++) { /* DIR/bin/nsrun: DIR */
		char *slash = strrchr(above, '/');

		if (slash)
			*slash = '\0';
	}
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		char *path = places[i][0] && *places[i][0] ? join(places[i][0], places[i][1]) : NULL;

		if (path && i == 2) {
			char *whole = join(path, installed);

			free(path);
			path = whole;
		}
		if (path && is_dir(path))
			return path;
		free(path);
	}
	return NULL;
}

static char *find_dir(void)
{
	const char *dir = getenv("NSRUN_LAB_DIR");
	char here[PATH_MAX];

	if (dir && *dir == '/')
		return strdup(dir);
	if (dir && *dir)
		return getcwd(here, sizeof(here)) ? join(here, dir) : NULL;
	dir = getenv("XDG_STATE_HOME");
	if (dir && *dir == '/')
		return join(dir, "nsrun/lab");
	dir = getenv("HOME");
	return dir && *dir == '/' ? join(dir, ".local/state/nsrun/lab") : NULL;
}

int lab_place_find(const char *chapters, struct lab_place *ret, struct err *err)
{
	_cleanup_(lab_place_done) struct lab_place place = LAB_PLACE_INIT;
	char program[PATH_MAX];

	const ssize_t n = readlink("/proc/self/exe", program, sizeof(program) - 1);
	if (n < 0)
		return err_system(err, "/proc/self/exe");
	program[n] = '\0';
	place.program = strdup(program);
	place.dir = find_dir();
	if (!place.dir)
		return err_input(err,
				 "the lab's directory: neither NSRUN_LAB_DIR nor XDG_STATE_HOME nor HOME names one");
	place.state = join(place.dir, "state");
	place.chapters = chapters ? strdup(chapters) : find_data(program, "labs", "docs/labs");
	place.scripts = find_data(program, "rootfs-scripts", "rootfs-scripts");
	if (!place.program || !place.state || (chapters && !place.chapters))
		return err_oom(err);
	*ret = place;
	place = LAB_PLACE_INIT;
	return 0;
}

int lab_place_wants_chapters(const struct lab_place *place, struct err *err)
{
	if (place->chapters)
		return 0;
	return err_set(err, ERR_INPUT, ERR_ID_LAB_DATA, ENOENT, "the chapters of the lab were not found");
}

static int make_dirs(const char *path, struct err *err)
{
	_cleanup_free_ char *copy = strdup(path);

	if (!copy)
		return err_oom(err);
	for (char *slash = strchr(copy + 1, '/');; slash = strchr(slash + 1, '/')) {
		if (slash)
			*slash = '\0';
		if (mkdir(copy, 0700) < 0 && errno != EEXIST)
			return err_system(err, "%s: making it", copy);
		if (!slash)
			return 0;
		*slash = '/';
	}
}

/* A name in the lab's directory that is neither the lock's nor the mark's. NULL: there is none. */
static int something_else(const struct lab_place *place, char **ret, struct err *err)
{
	/* Its own offset: a duplicate would share the one of dir_fd. */
	const int fd = openat(place->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir)
		return err_system(err, "%s", place->dir);
	for (struct dirent *entry; (entry = readdir(dir));)
		if (!streq(entry->d_name, ".") && !streq(entry->d_name, "..") && !streq(entry->d_name, LOCK) &&
		    !streq(entry->d_name, MARK)) {
			*ret = strdup(entry->d_name);
			return *ret ? 0 : err_oom(err);
		}
	return 0;
}

static bool is_marked(const struct lab_place *place)
{
	struct stat st;

	return fstatat(place->dir_fd, MARK, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode);
}

static bool has_text(const struct lab_place *place, const char *name)
{
	struct stat st;

	return fstatat(place->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_size > 0;
}

/* A reset removes what is in it, and its mode becomes 0700: never one that has something else, such as a home. */
static int is_own(const struct lab_place *place, struct err *err)
{
	_cleanup_free_ char *name = NULL;
	/* In this order: a lab that has just been started marks it before it makes anything else. */
	const int r = something_else(place, &name, err);

	if (r < 0 || is_marked(place) || (!name && !has_text(place, LOCK)))
		return r;
	return err_input(
		err,
		"%s: it has files, such as %s, and is no directory of the lab; name an empty one, or one that is not there",
		place->dir, name ? name : LOCK);
}

#define OVERFLOW_ID 65534

/* The directory is root's or the caller's, and nobody else writes to it: the caller's own group is taken for his alone, as useradd(8) makes it.
 * In a user namespace an id that it does not have is nobody's in there, and the host's root is one of those (user_namespaces(7)). */
static bool is_safe_above(const struct stat *st)
{
	const bool inside = !probe_in_initial_userns();
	const bool owner = st->st_uid == 0 || st->st_uid == geteuid() || (inside && st->st_uid == OVERFLOW_ID);
	const bool group = st->st_gid == 0 || st->st_gid == getegid() || (inside && st->st_gid == OVERFLOW_ID);

	return owner && ((st->st_mode & S_ISVTX) || !((st->st_mode & S_IWOTH) || ((st->st_mode & S_IWGRP) && !group)));
}

/* Who may rename what the lab's directory lies in may put another one in its place, and with it programs that the lab starts by their paths. */
static int is_within_own(const struct lab_place *place, struct err *err)
{
	_cleanup_free_ char *there = strdup(place->dir);
	char path[PATH_MAX];
	struct stat st;

	if (!there)
		return err_oom(err);
	for (char *slash; (slash = strrchr(there, '/')) && slash != there;) {
		*slash = '\0';
		if (!realpath(there, path)) {
			if (errno != ENOENT)
				return err_system(err, "%s", there);
			continue; /* it will be made */
		}
		for (char *end = path + strlen(path); end; end = strrchr(path, '/')) {
			end[end == path] = '\0';
			if (stat(path, &st) < 0)
				return err_system(err, "%s", path);
			if (!is_safe_above(&st))
				return err_input(
					err,
					"%s: it lies in %s, where other users can put another one in its place (user %u, mode 0%o)",
					place->dir, path, st.st_uid, st.st_mode & 07777);
			if (end == path)
				break;
		}
		break;
	}
	return 0;
}

int lab_place_make(struct lab_place *place, struct err *err)
{
	struct stat st;

	int r = is_within_own(place, err);
	if (r == 0)
		r = make_dirs(place->dir, err);
	if (r < 0)
		return r;
	_cleanup_close_ int fd = open(place->dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == ENOTDIR && lstat(place->dir, &st) == 0 && S_ISLNK(st.st_mode))
		return err_input(err, "%s: it is a symbolic link; name the directory itself", place->dir);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_system(err, "%s", place->dir);
	if (st.st_uid != geteuid())
		return err_input(err, "%s: it belongs to user %u; the lab wants a directory of its own", place->dir,
				 st.st_uid);
	place->dir_fd = TAKE_FD(fd);
	r = is_own(place, err);
	/* Other users must not reach a rootfs in which set-uid files may be made. */
	if (r == 0 && (st.st_mode & 0777) != 0700 && fchmod(place->dir_fd, 0700) < 0)
		return err_system(err, "%s: mode 0700", place->dir);
	return r;
}

int lab_place_lock(struct lab_place *place, int ms, struct err *err)
{
	_cleanup_close_ int fd = openat(place->dir_fd, LOCK, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	const uint64_t end = now_ms() + (uint64_t)ms;

	if (fd < 0)
		return err_system(err, "%s/" LOCK, place->dir);
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return err_system(err, "%s/" LOCK, place->dir);
		if (now_ms() > end)
			return err_set(err, ERR_REFUSED, ERR_ID_LAB_BUSY, 0,
				       "%s: another lab is open here, or is tidying up", place->dir);
		usleep(20000);
	}
	_cleanup_close_ int mark = openat(place->dir_fd, MARK, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (mark < 0)
		return err_system(err, "%s/" MARK, place->dir);
	place->lock_fd = TAKE_FD(fd);
	return 0;
}

bool lab_place_has_rootfs(const struct lab_place *place)
{
	struct stat st;

	return fstatat(place->dir_fd, "rootfs/bin/busybox", &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* The last line, without a newline: what a script says of its failure. */
static const char *last_line(char *text)
{
	size_t n = strlen(text);

	while (n > 0 && text[n - 1] == '\n')
		text[--n] = '\0';
	const char *line = strrchr(text, '\n');

	return line ? line + 1 : text;
}

/* A line for the host's shell, in the lab's directory. */
static int shell(const struct lab_place *place, const char *line)
{
	const char *const argv[] = { "/bin/sh", "-c", line, NULL };
	_cleanup_free_ char *text = NULL;
	int status;

	const int r = lab_capture(argv, place->dir_fd, ROOTFS_SECONDS, &status, &text, NULL);

	return r < 0 ? r : status;
}

/* `name`: where below the lab's directory. `with` (may be NULL): a program that is put into it. */
static int make_tree(const struct lab_place *place, const char *name, const char *with, struct err *err)
{
	_cleanup_free_ char *script = NULL, *tree = join(place->dir, name), *text = NULL;
	int status;

	if (!place->scripts)
		return err_set(err, ERR_INPUT, ERR_ID_LAB_DATA, ENOENT, "rootfs-scripts was not found");
	script = join(place->scripts, "busybox");
	if (!script || !tree)
		return err_oom(err);
	const char *const argv[] = { script, tree, with ? "-w" : NULL, with, NULL };
	const int r = lab_capture(argv, place->dir_fd, ROOTFS_SECONDS, &status, &text, err);

	if (r < 0 || status == 0)
		return r;
	return err_set(err, ERR_INPUT, ERR_ID_LAB_ROOTFS, 0, "%s: %s", tree, text ? last_line(text) : "was not made");
}

int lab_place_furnish(struct lab_place *place, struct err *err)
{
	if (mkdirat(place->dir_fd, "bin", 0700) < 0 && errno != EEXIST)
		return err_system(err, "%s/bin", place->dir);
	/* The program may have been built anew elsewhere. */
	if (unlinkat(place->dir_fd, "bin/nsrun", 0) < 0 && errno != ENOENT)
		return err_system(err, "%s/bin/nsrun", place->dir);
	if (symlinkat(place->program, place->dir_fd, "bin/nsrun") < 0)
		return err_system(err, "%s/bin/nsrun", place->dir);
	if (lab_place_has_rootfs(place))
		return 0;
	/* What the script had not finished when it was killed: it puts the tree in its place at its end. */
	(void)shell(place, "rm -rf -- .rootfs.????????");
	return make_tree(place, "rootfs", NULL, err);
}

/* Whole, and with the program that runs now. */
static bool has_machine(const struct lab_place *place)
{
	struct stat own, copy, inner;

	return stat(place->program, &own) == 0 &&
	       fstatat(place->dir_fd, "machine/bin/nsrun", &copy, AT_SYMLINK_NOFOLLOW) == 0 &&
	       fstatat(place->dir_fd, "machine/rootfs/bin/busybox", &inner, AT_SYMLINK_NOFOLLOW) == 0 &&
	       copy.st_size == own.st_size && copy.st_mtime >= own.st_mtime;
}

int lab_place_furnish_machine(struct lab_place *place, struct err *err)
{
	_cleanup_free_ char *program = join(place->dir, "bin/nsrun");

	if (has_machine(place))
		return 0;
	(void)shell(place, "rm -rf -- machine .machine.????????");
	if (!program)
		return err_oom(err);
	const int r = make_tree(place, "machine", program, err);

	return r < 0 ? r : make_tree(place, "machine/rootfs", NULL, err);
}

int lab_place_strip(struct lab_place *place, struct err *err)
{
	/* What other users of a container made belongs to ids of the caller's range, over which only root of a container is root. */
	(void)shell(place, "for tree in rootfs machine; do test -d $tree && bin/nsrun $tree /bin/busybox rm -rf "
			   "/etc /home /lib /mnt /opt /root /rootfs /run /sbin /srv /tmp /usr /var; done; "
			   "for name in * .[!.]* ..?*; do [ \"$name\" = lock ] || [ \"$name\" = " MARK
			   " ] || rm -rf -- \"./$name\" || "
			   "{ chmod -R u+rwx -- \"./$name\"; rm -rf -- \"./$name\"; }; done");
	_cleanup_free_ char *left = NULL;
	const int r = something_else(place, &left, err);

	if (r < 0 || !left)
		return r;
	return err_set(err, ERR_SYSTEM, ERR_ID_NONE, EPERM, "%s/%s: removing it; as root: rm -r %s/%s", place->dir,
		       left, place->dir, left);
}

int lab_place_enter(const struct lab_place *place, const char *token, struct err *err)
{
	const char *path = getenv("PATH");
	_cleanup_free_ char *bin = NULL;

	if (asprintf(&bin, "%s/bin:%s", place->dir,
		     path && *path ? path : "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin") < 0) {
		bin = NULL;
		return err_oom(err);
	}
	if (setenv("NSRUN_ROOT", place->state, 1) < 0 || setenv("PATH", bin, 1) < 0 ||
	    setenv("NSRUN_LAB", token, 1) < 0)
		return err_oom(err);
	return 0;
}

void lab_place_done(struct lab_place *place)
{
	free(place->dir);
	free(place->state);
	free(place->chapters);
	free(place->scripts);
	free(place->program);
	closep(&place->dir_fd);
	closep(&place->lock_fd);
	*place = LAB_PLACE_INIT;
}
