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
#include <nsrun/plan/container_record.h>
#include <nsrun/plan/ids_auto.h>

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

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

/* What is left to be ended, and how much is known of it. */
struct remains {
	json_t *state; /* state.json, undo.json, or what stands for both; NULL: nothing had been made yet */
	enum state_init_known known;
	struct state_init init;
};

static void remains_done(struct remains *remains)
{
	json_decref(remains->state);
}

bool state_may_be_init(const json_t *state, pid_t pid)
{
	const char *ns = json_string_value(json_object_get(json_object_get(state, "namespaces"), "pid"));

	/* Not by its control group: a privileged container can leave that, and must be ended all the same. */
	return !ns || !streq(ns, "new") || procstat_is_namespace_init(pid);
}

/* Kills the recorded init when it still is that process. A pidfd is opened first and the start time compared after: what the pidfd
 * names cannot change any more in between. */
static int end_init(const struct remains *remains, struct err *err)
{
	_cleanup_(pidref_close) struct pidref init = PIDREF_NONE;
	json_int_t pid = remains->init.pid, start = (json_int_t)remains->init.start;
	uint64_t started;

	/* In the record of version 1, in the lock since then. Without either it dies with the channel to its runtime. */
	(void)json_unpack(remains->state, "{s:{s:I, s:I}}", "init", "pid", &pid, "start", &start);
	if (pid <= 1 || pid > INT_MAX)
		return 0;
	if (pidref_open((pid_t)pid, &init, NULL) < 0 || state_start_time((pid_t)pid, &started, NULL) < 0 ||
	    started != (uint64_t)start || !state_may_be_init(remains->state, (pid_t)pid))
		return 0;
	return pidref_kill(&init, SIGKILL, err);
}

/*
 * A bundle's group is where its engine says, and others may be in it. Where init never ran, or has ended and took its pid namespace along, no process of the
 * container is left: those that are there are not its own. Before end_init().
 */
static bool has_no_process(const struct remains *remains)
{
	const json_t *namespaces = json_object_get(remains->state, "namespaces");
	const char *pid_namespace = json_string_value(json_object_get(namespaces, "pid"));
	_cleanup_(pidref_close) struct pidref init = PIDREF_NONE;
	uint64_t started;

	if (!json_is_object(json_object_get(remains->state, "bundle")))
		return false;
	if (remains->known != STATE_INIT_KNOWN)
		return remains->known == STATE_INIT_NONE;
	if (!pid_namespace || !streq(pid_namespace, "new"))
		return false;
	return pidref_open(remains->init.pid, &init, NULL) < 0 || pidref_ended(&init) ||
	       state_start_time(remains->init.pid, &started, NULL) < 0 || started != remains->init.start;
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
	r = state_check_places(state, id, &host, &how, err);
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

static int end_processes(const struct remains *remains, const char *id, unsigned timeout_ms, struct err *err)
{
	if (!remains->state || state_before_boot(remains->state))
		return 0;
	const bool empty_only = has_no_process(remains);
	const int r = end_init(remains, err);

	return r < 0 ? r : end_cgroup(remains->state, id, empty_only, timeout_ms, err);
}

/* Where a group is that nobody gave a place: what can be known by the id alone. */
static int assume(const char *id, json_t **ret, struct err *err)
{
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	struct cgroup_place places[CGROUP_PLACES_MAX];
	_cleanup_(json_done) json_t *list = json_array();
	char parent[CGROUP_PATH_MAX];
	struct cgroup_host host;
	size_t n = 0;

	if (!arena || !list)
		return err_oom(err);
	int r = cgroup_probe(arena, &host, err);
	if (r == 0 && cgroup_choose_parent(&host, parent, sizeof(parent), NULL) < 0)
		return 0; /* nor could this caller have made one */
	if (r == 0)
		r = cgroup_places(&host, ~0U, places, &n, err);
	for (size_t i = 0; r == 0 && i < n; i++)
		json_array_append_new(list,
				      json_pack("{s:s, s:I, s:I}", "name", places[i].name, "device",
						(json_int_t)places[i].device, "inode", (json_int_t)places[i].inode));
	if (r == 0)
		*ret = json_pack("{s:s, s:o, s:O}", "id", id, "cgroup", json_sprintf("%s/%s", parent, id),
				 "hierarchies", list);
	return r < 0 || *ret ? r : err_oom(err);
}

/*
 * state.json, or undo.json where that cannot be read or has other types than it should, and *ret_why tells it. undo.json alone: create died between the two,
 * and had made nothing; or the other one was lost. 1: state.json with wrong types.
 */
static int read_remains(int dir_fd, const char *id, struct remains *ret, struct err *ret_why)
{
	json_t *undo = NULL;

	const int r = state_load(dir_fd, "state.json", id, &ret->state, ret_why);
	if (r == 0 && container_record_check(ret->state, id, id, NULL) == 0)
		return 0;
	if (state_load(dir_fd, "undo.json", id, &undo, NULL) < 0)
		return r == 0 ? 1 : r == -ENOENT ? 0 : r;
	json_decref(ret->state);
	ret->state = undo;
	return 0;
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
	struct state_init init;

	return fd >= 0 && state_read_init(fd, &init) == STATE_INIT_KNOWN && init.created;
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
	_cleanup_(remains_done) struct remains remains = { 0 };
	struct err why = ERR_INIT;
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
	remains.known = state_read_init(lock, &remains.init);
	r = read_remains(dir, id, &remains, &why);
	if (r < 0 && err && !err_is_set(err))
		*err = why;
	if (r > 0) /* what it needs of them end_cgroup() looks at */
		r = 0;
	if (r == 0 && json_is_object(json_object_get(remains.state, "bundle")) && (!bundles || state_is_created(dir)))
		return 0;
	if (r == 0)
		r = end_processes(&remains, id, timeout_ms, err);
	if (r == 0)
		r = end_rdt(remains.state, err);
	if (r < 0)
		return r;
	if (json_is_true(json_object_get(remains.state, "keep"))) {
		r = state_record_lost(dir, remains.state, err);
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

int state_end_bundle(int dir_fd, int lock_fd, const char *id, bool lost, unsigned timeout_ms, struct err *err)
{
	_cleanup_(remains_done) struct remains remains = { .known = STATE_INIT_LOST };
	int r = 0;

	if (!lost)
		remains.known = state_read_init(lock_fd, &remains.init);
	const int read = read_remains(dir_fd, id, &remains, NULL);
	if (read > 0) {
		json_decref(remains.state);
		remains.state = NULL;
	}
	if (!remains.state && (read || remains.known != STATE_INIT_NONE))
		r = assume(id, &remains.state, err);
	if (r == 0)
		r = end_processes(&remains, id, timeout_ms, err);
	return r < 0 ? r : end_rdt(remains.state, err);
}
