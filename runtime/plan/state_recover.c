/* SPDX-License-Identifier: Apache-2.0 */
/* The end of one container whose owner is dead. */
#include <nsrun/plan/reserve.h>
#include <nsrun/plan/state.h>

#include <nsrun/base/file.h>
#include <nsrun/base/pidref.h>
#include <nsrun/base/procstat.h>
#include <nsrun/base/strings.h>
#include <nsrun/kernel/cgroup.h>
#include <nsrun/kernel/resctrl.h>
#include <nsrun/kernel/systemd.h>
#include <nsrun/plan/ids_auto.h>

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define STATE_FILE_MAX (8U << 20) /* the environment is in it */

static void json_done(json_t **json)
{
	json_decref(*json);
}

/* One that the container has seen (launch/notify.h): what a privileged one has put there goes, too, as far as it is files. */
static void remove_own_dir(int dir_fd, const char *name)
{
	_cleanup_closedir_ DIR *dir = dir_list_at(dir_fd, name);
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		unlinkat(dirfd(dir), entry->d_name, 0);
	unlinkat(dir_fd, name, AT_REMOVEDIR);
}

int state_remove(int root_fd, const char *remap, int remap_fd, const char *id, struct err *err)
{
	_cleanup_close_ int fd = FD_NONE;
	_cleanup_closedir_ DIR *dir = NULL;
	struct dirent *entry;

	fd = openat(remap_fd, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : err_system(err, "%s/%s in the state root", remap, id);
	dir = dir_list_at(fd, ".");
	if (!dir)
		return err_system(err, "%s/%s in the state root", remap, id);
	while ((entry = readdir(dir))) {
		if (streq(entry->d_name, "name"))
			state_name_release(root_fd, fd, remap, id);
		if (!streq(entry->d_name, ".") && !streq(entry->d_name, "..") && !streq(entry->d_name, "lock") &&
		    unlinkat(fd, entry->d_name, 0) < 0 && errno == EISDIR)
			remove_own_dir(fd, entry->d_name);
	}
	/* Last, since who finds no lock may take the directory for a new one; see state_lock(). */
	unlinkat(fd, "lock", 0);
	if (unlinkat(remap_fd, id, AT_REMOVEDIR) < 0 && errno != ENOENT && errno != ENOTEMPTY)
		return err_system(err, "%s/%s in the state root: removing it", remap, id);
	unlinkat(root_fd, remap, AT_REMOVEDIR); /* ENOTEMPTY while the remap has other containers */
	return 0;
}

static bool read_init(int lock_fd, json_int_t *ret_pid, json_int_t *ret_start)
{
	char text[48];
	long long pid, start;
	const ssize_t n = pread(lock_fd, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return false;
	text[n] = '\0';
	if (sscanf(text, "%lld %lld", &pid, &start) != 2)
		return false;
	*ret_pid = pid;
	*ret_start = start;
	return true;
}

bool state_may_be_init(const json_t *state, pid_t pid)
{
	const char *ns = json_string_value(json_object_get(json_object_get(state, "namespaces"), "pid"));

	/* Not by its control group: a privileged container can leave that, and must be ended all the same. */
	return !ns || !streq(ns, "new") || procstat_is_namespace_init(pid);
}

/* Kills the recorded init when it still is that process. A pidfd is opened first and the start time compared after: what the pidfd
 * names cannot change any more in between. */
static int end_init(const json_t *state, int lock_fd, struct err *err)
{
	json_int_t pid, start;
	_cleanup_(pidref_close) struct pidref init = PIDREF_NONE;
	uint64_t started;

	/* In the record of version 1, in the lock since then. */
	if (json_unpack((json_t *)state, "{s:{s:I, s:I}}", "init", "pid", &pid, "start", &start) < 0 &&
	    !read_init(lock_fd, &pid, &start))
		return 0; /* none was recorded: it dies with the channel to its runtime */
	if (pid <= 1 || pid > INT_MAX)
		return 0;
	if (pidref_open((pid_t)pid, &init, NULL) < 0 || state_start_time((pid_t)pid, &started, NULL) < 0 ||
	    started != (uint64_t)start || !state_may_be_init(state, (pid_t)pid))
		return 0;
	return pidref_kill(&init, SIGKILL, err);
}

/* The record is of another boot: nothing that it names is there any more. */
static bool before_boot(const json_t *state)
{
	const char *then = json_string_value(json_object_get(state, "boot_id"));
	char now[BOOT_ID_SIZE];

	return then && state_boot_id(now) && !streq(now, then);
}

/*
 * A bundle's group is where its engine says, and others may be in it. Where init never ran, or has ended and took its pid namespace along, no process of the
 * container is left: those that are there are not its own. Before end_init().
 */
static bool has_no_process(const json_t *state, int lock_fd)
{
	const char *pid_namespace = json_string_value(json_object_get(json_object_get(state, "namespaces"), "pid"));
	_cleanup_(pidref_close) struct pidref init = PIDREF_NONE;
	json_int_t pid, start;
	uint64_t started;

	if (!json_is_object(json_object_get(state, "bundle")))
		return false;
	if (!read_init(lock_fd, &pid, &start))
		return true;
	if (!pid_namespace || !streq(pid_namespace, "new") || pid <= 1 || pid > INT_MAX)
		return false;
	return pidref_open((pid_t)pid, &init, NULL) < 0 || pidref_ended(&init) ||
	       state_start_time((pid_t)pid, &started, NULL) < 0 || started != (uint64_t)start;
}

static int end_cgroup(const json_t *state, const char *id, bool empty_only, unsigned timeout_ms, struct err *err)
{
	const char *cgroup = json_string_value(json_object_get(state, "cgroup"));
	_cleanup_(arena_freep) struct arena *arena = NULL;
	struct cgroup_end how = { .timeout_ms = timeout_ms, .empty_only = empty_only };
	struct idmap uids = { 0 }, gids = { 0 };
	struct cgroup_host host;
	int r;

	if (!cgroup)
		return 0;
	if (json_is_object(json_object_get(state, "bundle")) ? !state_is_cgroup_path(cgroup)
							     : !state_is_cgroup(cgroup, id))
		return err_input(err, "%s/state.json: \"%s\" is not its cgroup", id, cgroup);
	arena = arena_new();
	r = arena ? cgroup_probe(arena, &host, err) : err_oom(err);
	if (r < 0)
		return r;
	/* All of them first: a group that is only out of sight must not pass for one that is gone. */
	r = state_check_places(state, id, &host, &how.controllers, err);
	if (r < 0)
		return r;
	if (systemd_is_unit_group(cgroup, id))
		systemd_end_scope(&host, cgroup, timeout_ms / 2);
	if (geteuid() != 0 && state_read_map(state, "uid_map", &uids) && uids.n &&
	    state_read_map(state, "gid_map", &gids) && gids.n) {
		how.uids = &uids;
		how.gids = &gids;
	}
	return cgroup_destroy_by(&host, cgroup, &how, err);
}

/* *ret stays NULL when nothing had been made yet: the record comes first. */
static int read_state(int dirfd, const char *id, json_t **ret, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	struct err read_err = ERR_INIT;
	json_error_t why;
	json_t *state;
	size_t size;
	int r;

	r = file_read_at(dirfd, "state.json", STATE_FILE_MAX, &text, &size, &read_err);
	if (r == -ENOENT)
		return 0;
	if (r < 0) {
		if (err && !err_is_set(err))
			*err = read_err;
		return r;
	}
	state = json_loadb(text, size, JSON_REJECT_DUPLICATES, &why);
	if (!json_is_object(state)) {
		r = err_input(err, "%s/state.json: %s; end what is left of it by hand, then remove the directory", id,
			      state ? "no object" : why.text);
		json_decref(state);
		return r;
	}
	*ret = state;
	return 0;
}

static int end_processes(const json_t *state, int lock_fd, const char *id, unsigned timeout_ms, struct err *err)
{
	int r;

	if (!state || before_boot(state))
		return 0;
	const bool empty_only = has_no_process(state, lock_fd);

	r = end_init(state, lock_fd, err);
	return r < 0 ? r : end_cgroup(state, id, empty_only, timeout_ms, err);
}

/* "UID.GID/ID" in ranges/UID: an `auto` range. 1: the marker names this container; 0: it does not, or there is none. */
static int marker_is_of(int ranges_fd, const char *name, const char *remap, const char *id)
{
	_cleanup_close_ int fd = openat(ranges_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	char text[64] = "", wanted[64];

	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		return 0;
	snprintf(wanted, sizeof(wanted), "%s/%s", remap, id);
	return streq(text, wanted);
}

/* After its container: a marker alone is harmless, whoever takes the range removes it. */
static void remove_marker(int root_fd, const char *remap, const char *id)
{
	_cleanup_close_ int ranges = FD_NONE, lock = FD_NONE;
	char name[16] = "";
	uint32_t first;

	if (sscanf(remap, "%15[0-9]", name) != 1 || parse_u32(name, &first) < 0)
		return;
	ranges = openat(root_fd, "ranges", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (ranges < 0 || !marker_is_of(ranges, name, remap, id) || ids_auto_lock(ranges, first, &lock) < 0)
		return;
	if (marker_is_of(ranges, name, remap, id)) /* with the lock held nobody writes another one */
		unlinkat(ranges, name, 0);
}

bool state_is_ended(int remap_fd, const char *id)
{
	char path[PLAN_ID_LEN + sizeof("/state.json")];

	/* The lock is made before the record and removed after it, except at the end of a container that is kept. */
	snprintf(path, sizeof(path), "%s/lock", id);
	if (faccessat(remap_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT)
		return false;
	snprintf(path, sizeof(path), "%s/state.json", id);
	return faccessat(remap_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

bool state_is_created(int dir_fd)
{
	_cleanup_close_ int fd = openat(dir_fd, "lock", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	char text[64] = "";

	return fd >= 0 && read(fd, text, sizeof(text) - 1) > 0 && strstr(text, " created\n");
}

/* The groups of resctrl that are the container's own; a group that config.json names stays. */
static int end_rdt(const json_t *state, struct err *err)
{
	const json_t *rdt = json_object_get(json_object_get(state, "bundle"), "rdt");
	const char *monitor = json_string_value(json_object_get(rdt, "monitor"));
	const struct resctrl_group group = { .name = json_string_value(json_object_get(rdt, "group")),
					     .monitor = monitor };
	const struct resctrl_made made = { .group = json_is_true(json_object_get(rdt, "own")),
					   .monitor = monitor && *monitor };
	_cleanup_close_ int root = FD_NONE;

	if (!group.name || (!made.group && !made.monitor))
		return 0;
	/* Unmounted meanwhile: its groups went with it. */
	return resctrl_open(&root, NULL) < 0 ? 0 : resctrl_remove(root, &group, &made, err);
}

static int recover(int root_fd, const char *remap, const char *id, bool bundles, unsigned timeout_ms, struct err *err)
{
	_cleanup_close_ int remap_fd = FD_NONE, dir = FD_NONE, lock = FD_NONE;
	_cleanup_(json_done) json_t *state = NULL;
	int r;

	remap_fd = openat(root_fd, remap, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	dir = remap_fd < 0 ? FD_NONE : openat(remap_fd, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return errno == ENOENT ? 0 : err_system(err, "%s/%s in the state root", remap, id);
	/* Of a bundle's container nothing is touched, its lock neither. */
	if (state_is_ended(remap_fd, id) || state_is_created(dir))
		return 0;
	r = state_lock(dir, &lock, err);
	if (r == -ESTALE)
		return 0;
	if (r < 0)
		return r;
	r = read_state(dir, id, &state, err);
	if (r == 0 && json_is_object(json_object_get(state, "bundle")) && (!bundles || state_is_created(dir)))
		return 0;
	if (r == 0)
		r = end_processes(state, lock, id, timeout_ms, err);
	if (r == 0)
		r = end_rdt(state, err);
	if (r < 0)
		return r;
	if (json_is_true(json_object_get(state, "keep"))) {
		r = state_record_lost(dir, state, err);
		if (r < 0)
			return r;
		remove_marker(root_fd, remap, id);
		state_end_files(dir);
		return 2;
	}
	r = state_remove(root_fd, remap, remap_fd, id, err);
	if (r < 0)
		return r;
	remove_marker(root_fd, remap, id);
	return 1;
}

int state_recover(int root_fd, const char *remap, const char *id, unsigned timeout_ms, struct err *err)
{
	return recover(root_fd, remap, id, false, timeout_ms, err);
}

int state_recover_any(int root_fd, const char *remap, const char *id, unsigned timeout_ms, struct err *err)
{
	return recover(root_fd, remap, id, true, timeout_ms, err);
}

int state_end_bundle(int dir_fd, int lock_fd, const char *id, unsigned timeout_ms, struct err *err)
{
	_cleanup_(json_done) json_t *state = NULL;

	int r = read_state(dir_fd, id, &state, err);
	if (r == 0)
		r = end_processes(state, lock_fd, id, timeout_ms, err);
	return r < 0 ? r : end_rdt(state, err);
}
