/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/plan/ids.h>
#include <nsrun/plan/reserve.h>
#include <nsrun/plan/state.h>

#include <nsrun/base/file.h>
#include <nsrun/base/strings.h>
#include <nsrun/kernel/cgroup.h>

#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <jansson.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static char root[] = "/tmp/nsrun-state-XXXXXX";

/* A plan as root has it with nothing said: the identity of a caller who is not root here does not matter, nothing is mapped. */
static struct plan *auto_plan(void)
{
	static const char *const argv[] = { "/bin/echo", "a \"quoted\"\n\x1b word", "\xff\xfe", "\xc3\xa4", NULL };
	struct arena *arena = arena_new();
	struct plan *plan = arena_alloc(arena, sizeof(*plan));
	const struct plan_request request = { 0 };
	const struct id_caller caller = { 0, 0, UINT64_MAX, true };
	struct err err = ERR_INIT;

	plan->arena = arena;
	plan->state_root = root;
	plan->argv = argv;
	plan->rootfs.source = "/srv/root fs";
	if (ids_resolve(plan, &request, &caller, &id_files_host, &err) < 0)
		fail_msg("%s", err.message);
	return plan;
}

/* Ends by itself when the test that should end it fails. */
static _Noreturn void wait_to_be_killed(void)
{
	alarm(60);
	for (;;)
		pause();
}

static unsigned count_below(const char *sub)
{
	char path[128];
	unsigned n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/%s", root, sub);
	dir = opendir(path);
	if (!dir)
		return 0;
	for (struct dirent *e; (e = readdir(dir));)
		n += e->d_name[0] != '.' && strcmp(e->d_name, "ids") != 0;
	closedir(dir);
	return n;
}

static void takes_and_gives_back(void **state)
{
	struct plan *plan = auto_plan();
	struct reservation reservation = RESERVATION_NONE;
	struct err err = ERR_INIT;
	char expected[128];
	struct stat st;

	(void)state;
	plan->cgroup_path = "/nsrun";
	if (plan_reserve(plan, &reservation, &err) < 0)
		fail_msg("%s", err.message);
	assert_false(plan->auto_pending);
	assert_true(state_is_id(plan->id));
	assert_string_equal(plan->hostname, plan->id);
	snprintf(expected, sizeof(expected), "/nsrun/%s", plan->id);
	assert_string_equal(plan->cgroup_path, expected);
	assert_int_equal(plan->uids.extents[0].count, 65536);
	assert_int_equal(plan->uids.extents[0].outside, plan->root_uid);
	assert_int_equal(plan->root_gid, plan->root_uid);
	snprintf(expected, sizeof(expected), "%s/%u.%u/%s", root, plan->root_uid, plan->root_gid, plan->id);
	assert_string_equal(plan->state_dir, expected);
	assert_string_equal(reservation.dir, expected);
	assert_int_equal(stat(expected, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(count_below("ranges"), 1);
	assert_int_equal(reservation_end(&reservation, &err), 0);
	assert_int_equal(count_below("ranges"), 0);
	assert_int_equal(count_below(""), 1); /* ranges alone */
	assert_int_equal(reservation_end(&reservation, &err), 0);
	arena_free(plan->arena);
}

static void records_json(void **state)
{
	struct plan *plan = auto_plan();
	struct reservation reservation = RESERVATION_NONE;
	struct err err = ERR_INIT;
	char path[160], created[2][STATE_TIME_SIZE], text_of_lock[64] = "", wanted[64];
	uint64_t start;

	(void)state;
	assert_int_equal(plan_reserve(plan, &reservation, &err), 0);
	for (int i = 0; i < 2; i++) {
		json_t *json;
		const char *text, *id;
		int pid, owner, first;
		if (state_record(plan, &reservation, &err) < 0 ||
		    (i && state_record_init(&reservation, getpid(), false, &err) < 0))
			fail_msg("%s", err.message);
		snprintf(path, sizeof(path), "%s/state.json", reservation.dir);
		json = json_load_file(path, JSON_REJECT_DUPLICATES, NULL);
		assert_non_null(json);
		assert_int_equal(json_unpack(json, "{s:s, s:s, s:{s:i}, s:[[i,i,i]]}", "id", &id, "created", &text,
					     "owner", "pid", &owner, "uid_map", &pid, &first, &pid),
				 0);
		assert_string_equal(id, plan->id);
		assert_int_equal(owner, getpid());
		assert_int_equal(first, plan->root_uid);
		snprintf(created[i], sizeof(created[i]), "%s", text);
		assert_int_equal(strlen(text), 30);
		text = json_string_value(json_array_get(json_object_get(json, "argv"), 1));
		assert_string_equal(text, "a \"quoted\"\n\x1b word");
		assert_string_equal(json_string_value(json_array_get(json_object_get(json, "argv"), 2)),
				    "\xc3\xbf\xc3\xbe");
		assert_string_equal(json_string_value(json_array_get(json_object_get(json, "argv"), 3)), "\xc3\xa4");
		assert_true(json_is_null(json_object_get(json, "cgroup")));
		assert_true(json_is_null(json_object_get(json, "exit")));
		assert_true(json_is_false(json_object_get(json, "keep")));
		assert_int_equal(json_integer_value(json_object_get(json, "version")), 2);
		const ssize_t n = pread(reservation.lock_fd, text_of_lock, sizeof(text_of_lock) - 1, 0);
		if (i == 0) {
			assert_int_equal(n, 0);
		} else {
			assert_int_equal(state_start_time(getpid(), &start, &err), 0);
			snprintf(wanted, sizeof(wanted), "%d %ju\n", getpid(), (uintmax_t)start);
			assert_string_equal(text_of_lock, wanted);
		}
		json_decref(json);
	}
	assert_string_equal(created[0], created[1]);
	assert_int_equal(reservation_end(&reservation, &err), 0);
	arena_free(plan->arena);
}

static json_t *read_record(const char *dir)
{
	char path[400];

	snprintf(path, sizeof(path), "%s/state.json", dir);
	return json_load_file(path, JSON_REJECT_DUPLICATES, NULL);
}

static struct plan *named_plan(bool keep)
{
	struct plan *plan = auto_plan();

	plan->name = "web";
	plan->keep = keep;
	return plan;
}

static int file_below(const char *dir, const char *name)
{
	char path[400];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return access(path, F_OK);
}

static void refused_name(const char *id)
{
	struct plan *plan = named_plan(false);
	struct reservation reservation = RESERVATION_NONE;
	struct err err = ERR_INIT;

	assert_int_equal(plan_reserve(plan, &reservation, &err), -EPERM);
	assert_int_equal(err.id, ERR_ID_NAME_IN_USE);
	assert_non_null(strstr(err.message, id));
	arena_free(plan->arena);
}

/* A kept container: name and record stay, and nothing else does. */
static void keeps_the_record(void **state)
{
	struct plan *plan = named_plan(true);
	struct reservation reservation = RESERVATION_NONE, other = RESERVATION_NONE;
	const struct state_exit end = { .status = 137, .signal = 9, .events = { .oom_kills = 2 } };
	struct err err = ERR_INIT;
	char dir[160];
	int status, signal, kills;

	(void)state;
	assert_int_equal(plan_reserve(plan, &reservation, &err), 0);
	snprintf(dir, sizeof(dir), "%s", reservation.dir);
	assert_int_equal(state_record(plan, &reservation, &err), 0);
	assert_int_equal(file_below(root, "names/web/lock"), 0);
	refused_name(plan->id);

	assert_int_equal(reservation_keep(plan, &reservation, &end, NULL), 0);
	assert_int_equal(file_below(dir, "lock"), -1);
	json_t *json = read_record(dir);
	assert_int_equal(json_unpack(json, "{s:{s:i, s:i, s:i}}", "exit", "status", &status, "signal", &signal,
				     "oom_kills", &kills),
			 0);
	json_decref(json);
	assert_int_equal(status, 137);
	assert_int_equal(signal, 9);
	assert_int_equal(kills, 2);
	for (int i = 0; i < 3; i++) /* collectors do not care */
		assert_int_equal(state_collect(root, NULL, NULL, &err), 0);
	assert_int_equal(file_below(dir, "state.json"), 0);
	assert_int_equal(file_below(dir, "lock"), -1);
	refused_name(plan->id);

	/* A name of a directory that is gone. */
	char command[300];
	snprintf(command, sizeof(command), "rm -r %s", dir);
	assert_int_equal(system(command), 0);
	struct plan *second = named_plan(false);
	if (plan_reserve(second, &other, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(file_below(root, "names/web/lock"), 0);
	assert_int_equal(reservation_end(&other, &err), 0);
	snprintf(command, sizeof(command), "test -z \"$(ls -A %s/names)\"", root);
	assert_int_equal(system(command), 0);
	arena_free(plan->arena);
	arena_free(second->arena);
}

static void leave_named(bool keep)
{
	const pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct reservation reservation = RESERVATION_NONE;
		struct plan *plan = named_plan(keep);

		_exit(plan_reserve(plan, &reservation, NULL) < 0 || state_record(plan, &reservation, NULL) < 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* Of one whose nsrun died: its end is not known, unless nothing of it is kept. */
static void recovers_names(void **state)
{
	struct plan *plan = named_plan(true);
	struct reservation reservation = RESERVATION_NONE;
	struct err err = ERR_INIT;
	char dir[300];

	(void)state;
	leave_named(false);
	if (plan_reserve(plan, &reservation, &err) < 0) /* frees the name itself */
		fail_msg("%s", err.message);
	assert_int_equal(reservation_end(&reservation, &err), 0);

	leave_named(true);
	refused_name("");
	snprintf(dir, sizeof(dir), "%s/names/web", root);
	json_t *json = read_record(dir);
	assert_true(json_is_true(json_object_get(json_object_get(json, "exit"), "lost")));
	json_decref(json);
	assert_int_equal(file_below(dir, "lock"), -1);
	snprintf(dir, sizeof(dir), "rm -r %s/[0-9]* %s/names", root, root);
	assert_int_equal(system(dir), 0);
	arena_free(plan->arena);
}

#define PROCESSES 200

static void no_two_share(void **state)
{
	uint32_t *first =
		mmap(NULL, PROCESSES * sizeof(*first), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pids[PROCESSES];
	int go[2], done[2], status;
	char c;

	(void)state;
	assert_int_equal(pipe(go), 0);
	assert_int_equal(pipe(done), 0);
	for (int i = 0; i < PROCESSES; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			struct reservation reservation = RESERVATION_NONE;
			struct plan *plan = auto_plan();
			struct err err = ERR_INIT;

			close(go[1]);
			(void)!read(go[0], &c, 1); /* end of file: all at once */
			if (plan_reserve(plan, &reservation, &err) == 0)
				first[i] = plan->root_uid;
			else
				fprintf(stderr, "%s\n", err.message);
			(void)!write(done[1], "x", 1);
			wait_to_be_killed();
		}
	}
	close(go[0]);
	close(go[1]);
	for (int i = 0; i < PROCESSES; i++)
		assert_int_equal(read(done[0], &c, 1), 1);
	for (int i = 0; i < PROCESSES; i++) {
		assert_int_not_equal(first[i], 0);
		for (int j = 0; j < i; j++)
			assert_true(first[i] >= first[j] + 65536 || first[j] >= first[i] + 65536);
	}
	assert_int_equal(count_below("ranges"), PROCESSES);
	/* half of them dead, gc removes these and no other */
	for (int i = 0; i < PROCESSES; i += 2) {
		kill(pids[i], SIGKILL);
		waitpid(pids[i], &status, 0);
	}
	assert_int_equal(state_collect(root, NULL, NULL, NULL), 0);
	assert_int_equal(count_below("ranges"), PROCESSES / 2);
	assert_int_equal(count_below(""), PROCESSES / 2 + 1);
	for (int i = 1; i < PROCESSES; i += 2) {
		kill(pids[i], SIGKILL);
		waitpid(pids[i], &status, 0);
	}
	assert_int_equal(state_collect(root, NULL, NULL, NULL), 0);
	assert_int_equal(count_below("ranges"), 0);
	assert_int_equal(count_below(""), 1);
	close(done[0]);
	close(done[1]);
	munmap(first, PROCESSES * sizeof(*first));
}

/* Many starts and ends beside a collector that never rests: nobody may lose its directory. */
static void collector_hurts_no_living(void **state)
{
	pid_t collector, pids[8];
	int status;

	(void)state;
	collector = fork();
	if (collector == 0) {
		alarm(60);
		for (;;)
			state_collect(root, NULL, NULL, NULL);
	}
	for (int i = 0; i < 8; i++) {
		pids[i] = fork();
		if (pids[i] != 0)
			continue;
		for (int n = 0; n < 100; n++) {
			struct reservation reservation = RESERVATION_NONE;
			struct plan *plan = auto_plan();
			struct err err = ERR_INIT;

			if (plan_reserve(plan, &reservation, &err) < 0 || state_record(plan, &reservation, &err) < 0 ||
			    access(reservation.marker, F_OK) < 0) {
				fprintf(stderr, "%s\n", err.message);
				_exit(1);
			}
			if (access(plan->state_dir, F_OK) < 0)
				_exit(2);
			if (reservation_end(&reservation, &err) < 0)
				_exit(3);
			arena_free(plan->arena);
		}
		_exit(0);
	}
	for (int i = 0; i < 8; i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	kill(collector, SIGKILL);
	waitpid(collector, &status, 0);
	assert_int_equal(state_collect(root, NULL, NULL, NULL), 0);
	assert_int_equal(count_below(""), 1);
}

static void count_removed(const char *id, const char *what, void *data)
{
	assert_true(state_is_id(id));
	assert_non_null(what);
	++*(int *)data;
}

/* A record of `init` left by a dead owner: as it is, with another start time, or as version 1 had it. */
enum left { LEFT_RIGHT, LEFT_WRONG, LEFT_VERSION_1 };

static void leave_record(pid_t init, enum left left)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct reservation reservation = RESERVATION_NONE;
		struct plan *plan = auto_plan();
		struct err err = ERR_INIT;
		char path[160], command[300];

		if (plan_reserve(plan, &reservation, &err) < 0 || state_record(plan, &reservation, &err) < 0 ||
		    state_record_init(&reservation, init, false, &err) < 0)
			_exit(1);
		snprintf(path, sizeof(path), "%s/lock", reservation.dir);
		snprintf(command, sizeof(command), "sed -i 's/ .*/ 1/' %s", path);
		if (left == LEFT_WRONG && system(command) != 0)
			_exit(2);
		if (left == LEFT_VERSION_1) {
			uint64_t start;

			if (ftruncate(reservation.lock_fd, 0) < 0 || state_start_time(init, &start, &err) < 0)
				_exit(3);
			snprintf(
				command, sizeof(command),
				"sed -i '1s/{\"version\": 2/{\"version\": 1, \"init\": {\"pid\": %d, \"start\": %ju}/' %s/state.json",
				init, (uintmax_t)start, reservation.dir);
			if (system(command) != 0)
				_exit(4);
		}
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static pid_t sleeping_init(void)
{
	const pid_t init = fork();

	if (init == 0)
		wait_to_be_killed();
	return init;
}

static void ends_init_and_no_stranger(void **state)
{
	pid_t init = sleeping_init();
	int status, removed = 0;

	(void)state;
	leave_record(init, LEFT_WRONG);
	assert_int_equal(state_collect(root, count_removed, &removed, NULL), 0);
	assert_int_equal(removed, 1);
	usleep(50000);
	assert_int_equal(waitpid(init, &status, WNOHANG), 0); /* the number was the same, the process another */
	leave_record(init, LEFT_RIGHT);
	assert_int_equal(state_collect(root, count_removed, &removed, NULL), 0);
	assert_int_equal(removed, 2);
	assert_int_equal(waitpid(init, &status, 0), init);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);

	init = sleeping_init();
	leave_record(init, LEFT_VERSION_1);
	assert_int_equal(state_collect(root, count_removed, &removed, NULL), 0);
	assert_int_equal(removed, 3);
	assert_int_equal(waitpid(init, &status, 0), init);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_int_equal(count_below(""), 1);
}

/* A copy of /etc that this process alone sees, with these ranges. Exit status 77: not possible here. */
static void private_etc(const char *subids)
{
	char command[512];

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		_exit(77);
	snprintf(
		command, sizeof(command),
		"mkdir %s/etc && mount -t tmpfs none %s/etc && cp -a /etc/. %s/etc/ && mount --bind %s/etc /etc && printf '%s' > /etc/subuid && "
		"cp /etc/subuid /etc/subgid",
		root, root, root, root, subids);
	if (system(command) != 0)
		_exit(77);
}

static void run_private(int (*body)(void))
{
	char etc[64];
	int status;
	pid_t pid;

	if (geteuid() != 0) {
		print_message("skipped: needs root\n");
		skip();
	}
	pid = fork();
	if (pid == 0)
		_exit(body());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	snprintf(etc, sizeof(etc), "%s/etc", root);
	rmdir(etc);
	assert_int_equal(state_collect(root, NULL, NULL, NULL), 0);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77) {
		print_message("skipped: no mount namespace of our own\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
}

static int reserve_after_death(void)
{
	struct reservation reservation = RESERVATION_NONE, second = RESERVATION_NONE;
	struct err err = ERR_INIT;
	struct plan *plan, *other;
	pid_t init = fork();
	int status;

	if (init == 0)
		wait_to_be_killed();
	private_etc("nsremap:1000000:131072\\n"); /* one range for auto */
	leave_record(init, LEFT_RIGHT);
	if (count_below("ranges") != 1)
		return 1;
	plan = auto_plan();
	if (plan_reserve(plan, &reservation, &err) < 0 || plan->root_uid != 1065536)
		return 2;
	if (waitpid(init, &status, 0) != init || !WIFSIGNALED(status) ||
	    WTERMSIG(status) != SIGKILL) /* what was left was ended first */
		return 3;
	if (count_below("1065536.1065536") != 1)
		return 4;
	other = auto_plan();
	if (plan_reserve(other, &second, &err) >= 0 || err.id != ERR_ID_SUBID_EXHAUSTED || second.dir ||
	    second.lock_fd != FD_NONE)
		return 5;
	if (reservation_end(&reservation, &err) < 0 || plan_reserve(other, &second, NULL) < 0 ||
	    other->root_uid != 1065536)
		return 6;
	return reservation_end(&second, NULL) < 0 ? 7 : 0;
}

/* Nothing asks for the ranges of the dead: the launch looks for them. */
static void any_launch_frees_what_the_dead_left(void **state)
{
	struct reservation reservation = RESERVATION_NONE;
	struct plan *plan = auto_plan();
	struct err err = ERR_INIT;
	int removed = 0;
	unsigned left;

	(void)state;
	pid_t init = fork();
	int status;

	if (init == 0)
		wait_to_be_killed();
	leave_record(init, LEFT_RIGHT);
	if (plan_reserve(plan, &reservation, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(count_below(""), 2);	    /* ranges, and our own remap */
	assert_int_equal(count_below("ranges"), 1); /* our own marker */
	assert_int_equal(waitpid(init, &status, 0), init);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(access(reservation.marker, F_OK), 0);
	assert_int_equal(access(plan->state_dir, F_OK), 0);
	assert_int_equal(reservation_end(&reservation, &err), 0);
	arena_free(plan->arena);

	/* and no launch pays for a long list: records that were made while their owners lived together */
	pid_t pids[20];
	int done[2];
	char c;

	assert_int_equal(pipe(done), 0);
	for (size_t i = 0; i < ARRAY_LEN(pids); i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			plan = auto_plan();
			reservation = RESERVATION_NONE;
			(void)!write(done[1], plan_reserve(plan, &reservation, NULL) < 0 ? "f" : "x", 1);
			wait_to_be_killed();
		}
		assert_int_equal(read(done[0], &c, 1), 1);
		assert_int_equal(c, 'x');
	}
	for (size_t i = 0; i < ARRAY_LEN(pids); i++) {
		kill(pids[i], SIGKILL);
		waitpid(pids[i], &status, 0);
	}
	plan = auto_plan();
	reservation = RESERVATION_NONE;
	assert_int_equal(plan_reserve(plan, &reservation, NULL), 0);
	left = count_below("ranges") - 1;
	assert_true(left >= ARRAY_LEN(pids) - STATE_TRIES_MAX - 1 && left < ARRAY_LEN(pids) - STATE_TRIES_MAX / 2);
	assert_int_equal(state_collect(root, count_removed, &removed, NULL), 0);
	assert_int_equal(removed, left);
	assert_int_equal(reservation_end(&reservation, NULL), 0);
	arena_free(plan->arena);
	close(done[0]);
	close(done[1]);
	assert_int_equal(count_below(""), 1);
}

static void next_launch_ends_what_the_dead_left(void **state)
{
	(void)state;
	run_private(reserve_after_death);
}

static int make_default(void)
{
	static const struct plan_request request = { .userns_remap = "default" };
	static const struct id_caller caller = { 0, 0, UINT64_MAX, true };
	uint32_t first = 0;

	private_etc("");
	for (int i = 0; i < 2; i++) {
		struct reservation reservation = RESERVATION_NONE;
		struct err err = ERR_INIT;
		struct plan *plan = auto_plan();

		plan->auto_pending = false;
		if (ids_resolve(plan, &request, &caller, &id_files_host, &err) < 0 || plan->auto_pending != (i == 0))
			return 1;
		if (plan_reserve(plan, &reservation, &err) < 0) {
			fprintf(stderr, "%s\n", err.message);
			return strstr(err.message, "not installed") ? 77 : 2;
		}
		if (plan->auto_pending || plan->uids.extents[0].count != 65536 || plan->root_uid < 524288 ||
		    (first && plan->root_uid != first))
			return 3;
		if (reservation.marker || plan->remap != REMAP_USER)
			return 4;
		first = plan->root_uid;
		/* both are kept: a second container of `default` shares the ids with the first */
	}
	return system("getent passwd nsremap | grep -q nologin && test $(wc -l < /etc/subuid) = 1 && test $(wc -l < /etc/subgid) = 1") !=
			       0
		       ? 5
		       : 0;
}

static void default_makes_its_user_once(void **state)
{
	(void)state;
	run_private(make_default);
}

static int probe_host(struct cgroup_host *host, struct err *err)
{
	static struct arena *arena; /* stays reachable: each of these is a process of its own */

	if (!arena)
		arena = arena_new();
	return arena ? cgroup_probe(arena, host, err) : -ENOMEM;
}

static int end_with_cgroup(void)
{
	char parent[64], path[2 * PATH_MAX + 32];
	struct reservation reservation = RESERVATION_NONE;
	struct cgroup_host host = CGROUP_HOST_NONE;
	struct err err = ERR_INIT;
	int status, go[2], fd, removed = 0;
	pid_t owner;
	char c;

	if (probe_host(&host, &err) < 0 || !host.v2_mount[0])
		return 77;
	snprintf(parent, sizeof(parent), "/nsrun-test-%d", getpid());
	if (pipe(go) < 0)
		return 1;
	owner = fork();
	if (owner == 0) {
		struct plan *plan = auto_plan();

		plan->cgroup_path = parent;
		plan->cgroup_host = &host;
		if (plan_reserve(plan, &reservation, &err) < 0 || state_record(plan, &reservation, &err) < 0 ||
		    cgroup_make_v2(&host, plan->cgroup_path, &fd, NULL, &err) < 0)
			_exit(77);
		if (fork() == 0) {
			struct reservation copy = reservation;

			closep(&copy.lock_fd); /* as execve(2) does */
			closep(&copy.range_fd);
			snprintf(path, sizeof(path), "%s%s/cgroup.procs", host.v2_mount, plan->cgroup_path);
			if (file_write_at(AT_FDCWD, path, "0", &err) < 0)
				_exit(1);
			(void)!write(go[1], "x", 1);
			wait_to_be_killed();
		}
		(void)!read(go[0], &c, 1);
		_exit(0); /* a runtime that is gone, its workload not */
	}
	close(go[1]);
	if (waitpid(owner, &status, 0) != owner || !WIFEXITED(status))
		return 2;
	if (WEXITSTATUS(status))
		return WEXITSTATUS(status);
	if (state_collect(root, count_removed, &removed, &err) < 0) {
		fprintf(stderr, "%s\n", err.message);
		return 3;
	}
	snprintf(path, sizeof(path), "%s%s", host.v2_mount, parent);
	/* rmdir succeeds only without sub-groups and processes */
	if (removed != 1 || rmdir(path) < 0)
		return 4;
	return 0;
}

/* A group out of sight must not pass for one that is gone. */
static int keep_hidden_group(void)
{
	char parent[64], path[2 * PATH_MAX + 64];
	struct cgroup_host host = CGROUP_HOST_NONE;
	struct err err = ERR_INIT;
	int status, fd, removed = 0;
	pid_t owner;

	if (probe_host(&host, &err) < 0 || !host.v2_mount[0] || unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return 77;
	snprintf(parent, sizeof(parent), "/nsrun-test-%d", getpid());
	owner = fork();
	if (owner == 0) {
		struct reservation reservation = RESERVATION_NONE;
		struct plan *plan = auto_plan();

		plan->cgroup_path = parent;
		plan->cgroup_host = &host;
		_exit(plan_reserve(plan, &reservation, &err) < 0 || state_record(plan, &reservation, &err) < 0 ||
				      cgroup_make_v2(&host, plan->cgroup_path, &fd, NULL, &err) < 0
			      ? 77
			      : 0);
	}
	if (waitpid(owner, &status, 0) != owner || !WIFEXITED(status))
		return 1;
	if (WEXITSTATUS(status))
		return WEXITSTATUS(status);
	snprintf(path, sizeof(path), "%s%s", host.v2_mount, parent);
	/* covered; another part of the tree; not mounted at all */
	for (int i = 0; i < 3; i++) {
		if (i == 0   ? mount("none", host.v2_mount, "tmpfs", 0, NULL) < 0
		    : i == 1 ? mount(path, host.v2_mount, NULL, MS_BIND, NULL) < 0
			     : umount2(host.v2_mount, MNT_DETACH) < 0)
			return 2;
		if (i == 2 && umount2(host.v2_mount, MNT_DETACH) == 0)
			return 77; /* more than one */
		err = ERR_INIT;
		if (state_collect(root, count_removed, &removed, &err) != -ENODEV || !strstr(err.message, "v2"))
			return 3;
		if (removed || count_below("") != 2)
			return 4;
		if (i < 2 && umount2(host.v2_mount, 0) < 0)
			return 5;
		if (i < 2 && rmdir(path) == 0) /* not empty: the container's own is still below */
			return 6;
	}
	return 0;
}

/* Runs where the group is visible again. */
static void keeps_the_record_of_a_hidden_group(void **state)
{
	char path[2 * PATH_MAX + 64];
	struct cgroup_host host = CGROUP_HOST_NONE;
	struct err err = ERR_INIT;
	int status, removed = 0;
	pid_t pid;

	(void)state;
	if (geteuid() != 0) {
		print_message("skipped: needs root\n");
		skip();
	}
	pid = fork();
	if (pid == 0)
		_exit(keep_hidden_group());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77) {
		state_collect(root, NULL, NULL, NULL);
		print_message("skipped: no cgroup2, or no mount namespace of our own\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
	if (state_collect(root, count_removed, &removed, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(removed, 1);
	assert_int_equal(probe_host(&host, &err), 0);
	snprintf(path, sizeof(path), "%s/nsrun-test-%d", host.v2_mount, (int)pid);
	assert_int_equal(rmdir(path), 0);
}

/* The whole way of an ordinary user: resolve, reserve below its own state root, newuidmap and newgidmap. */
static int map_by_helper(void)
{
	static const struct plan_request request = { 0 };
	struct reservation reservation = RESERVATION_NONE;
	struct pidref child = PIDREF_NONE;
	struct err err = ERR_INIT;
	char path[64], text[256];
	int ready[2], go[2], status;
	struct plan *plan;
	ssize_t n;
	FILE *f;
	char c;

	if (access("/usr/bin/newuidmap", X_OK) < 0)
		return 77;
	private_etc("daemon:2000000:65536\\n");
	if (setgroups(0, NULL) < 0 || setresgid(1, 1, 1) < 0 || setresuid(1, 1, 1) < 0 || prctl(PR_SET_DUMPABLE, 1) < 0)
		return 77;
	unsetenv("XDG_RUNTIME_DIR");
	plan = auto_plan();
	plan->auto_pending = false;
	plan->state_root = NULL;
	if (plan_resolve_ids(plan, &request, &err) < 0 || plan->caller != CALLER_USER_RANGES ||
	    !streq(plan->state_root, "/tmp/nsrun-1") || access("/tmp/nsrun-1", F_OK) == 0 || /* named, and not made */
	    plan_reserve(plan, &reservation, &err) < 0)
		goto fail;
	if (reservation.range_fd != FD_NONE || !str_after(plan->state_dir, "/tmp/nsrun-1/1.1/") || pipe(ready) < 0 ||
	    pipe(go) < 0)
		goto fail;
	child.pid = fork();
	if (child.pid == 0) {
		if (unshare(CLONE_NEWUSER) < 0)
			_exit(1);
		(void)!write(ready[1], "x", 1);
		(void)!read(go[0], &c, 1);
		_exit(setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0 || setgroups(0, NULL) < 0 ||
		      setresuid(65536, 65536, 65536) < 0);
	}
	close(ready[1]);
	n = read(ready[0], &c, 1);
	if (n != 1 || idmap_write_by_helper(&child, "newuidmap", &plan->uids, &err) < 0 ||
	    idmap_write_by_helper(&child, "newgidmap", &plan->gids, &err) < 0)
		goto fail;
	snprintf(path, sizeof(path), "/proc/%d/uid_map", child.pid);
	f = fopen(path, "r");
	n = f ? (ssize_t)fread(text, 1, sizeof(text) - 1, f) : 0;
	text[n] = '\0';
	(void)!write(go[1], "x", 1);
	if (!strstr(text, "2000000") || waitpid(child.pid, &status, 0) != child.pid || status != 0)
		goto fail;
	/* what is not its own is refused, in the program's words */
	plan->uids.extents[1].outside++;
	child.pid = fork();
	if (child.pid == 0)
		_exit(unshare(CLONE_NEWUSER) < 0 || sleep(1));
	usleep(100000);
	if (idmap_write_by_helper(&child, "newuidmap", &plan->uids, &err) >= 0 || !strstr(err.message, "newuidmap"))
		goto fail;
	waitpid(child.pid, &status, 0);
	if (reservation_end(&reservation, NULL) < 0)
		return 2;
	rmdir("/tmp/nsrun-1/ranges");
	return rmdir("/tmp/nsrun-1") < 0 ? 3 : 0;
fail:
	fprintf(stderr, "%s\n", err.message);
	return 1;
}

static void ordinary_user_is_mapped_by_helper(void **state)
{
	(void)state;
	run_private(map_by_helper);
}

static void collector_ends_the_cgroup(void **state)
{
	(void)state;
	run_private(end_with_cgroup);
}

static void keeps_what_it_cannot_judge(void **state)
{
	struct err err = ERR_INIT;
	char path[200], command[600];

	(void)state;
	snprintf(path, sizeof(path), "%s/7.7", root);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/7.7/0123456789ab", root);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(command, sizeof(command),
		 "touch %s/lock; echo '{ \"cgroup\": \"/other/0123456789ac\" }' > %s/state.json", path, path);
	assert_int_equal(system(command), 0);
	assert_true(state_collect(root, NULL, NULL, &err) < 0);
	assert_non_null(strstr(err.message, "/other/"));
	snprintf(command, sizeof(command), "echo broken > %s/state.json", path);
	assert_int_equal(system(command), 0);
	err = ERR_INIT;
	assert_true(state_collect(root, NULL, NULL, &err) < 0);
	assert_int_equal(access(path, F_OK), 0);
	snprintf(command, sizeof(command), "rm -r %s/7.7", root);
	assert_int_equal(system(command), 0);
}

static void refuses_a_prepared_root(void **state)
{
	struct reservation reservation = RESERVATION_NONE;
	char other[] = "/tmp/nsrun-other-XXXXXX", link[64];
	struct plan *plan;
	struct err err;

	(void)state;
	assert_non_null(mkdtemp(other));
	plan = auto_plan();
	plan->state_root = other;
	assert_int_equal(chmod(other, 0777), 0);
	err = ERR_INIT;
	assert_int_equal(plan_reserve(plan, &reservation, &err), -EPERM);
	assert_non_null(strstr(err.message, other));
	assert_int_equal(chmod(other, 0700), 0);
	snprintf(link, sizeof(link), "%s-link", other);
	assert_int_equal(symlink(other, link), 0);
	plan->state_root = link;
	err = ERR_INIT;
	assert_int_equal(plan_reserve(plan, &reservation, &err), -EPERM);
	unlink(link);
	plan->state_root = other;
	snprintf(link, sizeof(link), "%s/ranges", other);
	assert_int_equal(symlink("/etc", link), 0);
	err = ERR_INIT;
	assert_int_equal(plan_reserve(plan, &reservation, &err), -EPERM);
	unlink(link);
	if (geteuid() == 0) {
		assert_int_equal(chown(other, 54321, 54321), 0);
		err = ERR_INIT;
		assert_int_equal(plan_reserve(plan, &reservation, &err), -EPERM);
		assert_non_null(strstr(err.message, "54321"));
		err = ERR_INIT;
		assert_int_equal(state_collect(other, NULL, NULL, &err), -EPERM);
	} else {
		print_message("not root: a root that belongs to another user was not tried\n");
	}
	assert_int_equal(rmdir(other), 0);
	arena_free(plan->arena);
}

static void chooses_the_root(void **state)
{
	char path[256], dir[] = "/tmp/nsrun-xdg-XXXXXX", expected[300];
	int status;
	pid_t pid;

	(void)state;
	assert_int_equal(state_root_open(path, 4, NULL), -ENAMETOOLONG);
	if (geteuid() != 0) {
		print_message("skipped: needs root to become another user\n");
		skip();
	}
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chown(dir, 54321, 54321), 0);
	pid = fork();
	if (pid == 0) {
		struct stat st;
		bool good;

		if (setgid(54321) < 0 || setuid(54321) < 0)
			_exit(1);
		umask(0177);
		setenv("XDG_RUNTIME_DIR", dir, 1);
		snprintf(expected, sizeof(expected), "%s/nsrun", dir);
		if (state_root_open(path, sizeof(path), NULL) < 0 || !streq(path, expected) || stat(path, &st) < 0 ||
		    (st.st_mode & 07777) != 0700)
			_exit(2);
		rmdir(path);
		chmod(dir, 0777); /* others could write there: not trusted */
		if (state_root_open(path, sizeof(path), NULL) < 0)
			_exit(3);
		good = streq(path, "/tmp/nsrun-54321");
		rmdir(path);
		_exit(good ? 0 : 4);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(rmdir(dir), 0);
}

/* Root of a user namespace that an ordinary user made: /run is not its own. */
static void chooses_the_root_of_a_nested_caller(void **state)
{
	char path[256], dir[] = "/tmp/nsrun-xdg-XXXXXX", expected[300];
	int status;
	pid_t pid;

	(void)state;
	if (geteuid() != 0) {
		print_message("skipped: needs root to become another user\n");
		skip();
	}
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chown(dir, 54321, 54321), 0);
	pid = fork();
	if (pid == 0) {
		if (setgid(54321) < 0 || setuid(54321) < 0 || prctl(PR_SET_DUMPABLE, 1) < 0)
			_exit(1);
		if (unshare(CLONE_NEWUSER) < 0 || file_write_at(AT_FDCWD, "/proc/self/uid_map", "0 54321 1", NULL) < 0)
			_exit(77);
		setenv("XDG_RUNTIME_DIR", dir, 1);
		snprintf(expected, sizeof(expected), "%s/nsrun", dir);
		if (geteuid() != 0 || state_root_open(path, sizeof(path), NULL) < 0 || !streq(path, expected))
			_exit(2);
		rmdir(path);
		unsetenv("XDG_RUNTIME_DIR");
		_exit(state_root_name(path, sizeof(path), NULL) < 0 || !streq(path, "/tmp/nsrun-0") ? 3 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(rmdir(dir), 0);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77) {
		print_message("skipped: an ordinary user makes no user namespace here\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
}

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void is_quick_beside_many(void **state)
{
	enum { MANY = 400 };
	static struct reservation held[MANY];
	static struct plan *plans[MANY];
	double first = 0, last = 0;

	(void)state;
	for (int i = 0; i < MANY; i++) {
		struct err err = ERR_INIT;
		double begin;

		plans[i] = auto_plan();
		held[i] = RESERVATION_NONE;
		begin = now_us();
		if (plan_reserve(plans[i], &held[i], &err) < 0)
			fail_msg("%s", err.message);
		if (i < 50)
			first += (now_us() - begin) / 50;
		if (i >= MANY - 50)
			last += (now_us() - begin) / 50;
	}
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(reservation_end(&held[i], NULL), 0);
		arena_free(plans[i]->arena);
	}
	print_message("a reservation: %.0f us at first, %.0f us beside %d others\n", first, last, MANY);
	assert_true(last < 20 * first + 5000); /* no scan of all others; loose, since other work shares this machine */
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *walk)
{
	(void)st;
	(void)type;
	(void)walk;
	return remove(path);
}

static int set_up(void **state)
{
	(void)state;
	return mkdtemp(root) ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	return nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_and_gives_back),
		cmocka_unit_test(records_json),
		cmocka_unit_test(keeps_the_record),
		cmocka_unit_test(recovers_names),
		cmocka_unit_test(no_two_share),
		cmocka_unit_test(collector_hurts_no_living),
		cmocka_unit_test(ends_init_and_no_stranger),
		cmocka_unit_test(keeps_what_it_cannot_judge),
		cmocka_unit_test(refuses_a_prepared_root),
		cmocka_unit_test(chooses_the_root),
		cmocka_unit_test(chooses_the_root_of_a_nested_caller),
		cmocka_unit_test(is_quick_beside_many),
		cmocka_unit_test(any_launch_frees_what_the_dead_left),
		cmocka_unit_test(keeps_the_record_of_a_hidden_group),
		cmocka_unit_test(next_launch_ends_what_the_dead_left),
		cmocka_unit_test(default_makes_its_user_once),
		cmocka_unit_test(collector_ends_the_cgroup),
		cmocka_unit_test(ordinary_user_is_mapped_by_helper),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
