/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <nsrun/cli/report.h>
#include <nsrun/launch/trace.h>
#include <nsrun/plan/dump.h>

#include <jansson.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>

static struct plan sample(void)
{
	static const char *const argv[] = { "/bin/echo", "two words", "line\nfeed: x", NULL };
	static const char *const env[] = { "A=B", "ESC=\033[31m\xe2\x80\xae", NULL };
	static const char *const masked[] = { "/proc/kcore", NULL };
	static const struct rlimit_setting rlimits[] = { { RLIMIT_NOFILE, { 1024, RLIM_INFINITY } } };
	static const char *const groups[] = { "audio", "7", NULL }, *const ports[] = { "80/tcp", NULL };
	static const struct plan_sysctl sysctls[] = { { "net/ipv4/ip_forward", "1" } };
	static const struct seccomp_program program = { .len = 42, .flags = 2 };
	static struct plan_tree volume = { .source = "./data",
					   .view = VIEW_OWNER_ONLY,
					   .readonly = true,
					   .is_directory = true,
					   .why = "an ordinary user's",
					   .owner_uids = { 1, { { 1000, 100000, 1 } } },
					   .owner_gids = { 1, { { 1001, 100000, 1 } } },
					   .inode = 7 };
	static struct cgroup_host host = CGROUP_HOST_NONE;
	static struct cgroup_value values[] = { { .resource = CGROUP_MEMORY_LIMIT, .number = 1 << 20 },
						{ .resource = CGROUP_CPU_QUOTA, .number = 50000 },
						{ .resource = CGROUP_CPU_PERIOD, .number = 100000 } };

	host.v2_controller[CGROUP_PIDS] = true;
	host.v2_mount = "/sys/fs/cgroup";
	host.v2_self = "/user";
	host.v1_mount[CGROUP_CPU] = "/sys/fs/cgroup/cpu";
	host.v1_mount[CGROUP_MEMORY] = "/sys/fs/cgroup/memory";
	host.v1_self[CGROUP_MEMORY] = "/old";
	static struct plan_mount mounts[] = {
		{ .kind = MOUNT_BIND,
		  .said = "--volume ./data:/data:ro",
		  .target = "/data",
		  .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID,
		  .n_sources = 1 },
		{ .kind = MOUNT_TMPFS, .said = "--tmpfs /t", .target = "/t", .mode = "1777", .size = "4096" },
		{ .kind = MOUNT_OVERLAY, .said = "x", .target = "/u", .in_memory = true },
	};

	volume.device = makedev(8, 1);
	return (struct plan){
		.id = "0123456789ab",
		.caller = CALLER_ROOT_REMAPPED,
		.caller_uid = 0,
		.caller_gid = 5,
		.performer = { BY_RUNTIME, BY_RUNTIME, BY_INIT, BY_NOBODY },
		.namespaces = CLONE_NEWUSER | CLONE_NEWPID,
		.namespaces_later = CLONE_NEWCGROUP,
		.remap = REMAP_USER,
		.remap_word = "dummy",
		.uids = { 2, { { 0, 100000, 65536 }, { 65536, 300000, 1 } } },
		.gids = { 1, { { 0, 200000, 65536 } } },
		.root_uid = 100000,
		.root_gid = 200000,
		.rootfs = { .source = "rootfs/", .view = VIEW_IDMAPPED, .is_directory = true, .why = "private" },
		.root_nosuid = true,
		.n_sources = 1,
		.sources = &volume,
		.n_mounts = 3,
		.mounts = mounts,
		.masked_paths = masked,
		.shm_size = "64m",
		.argv = argv,
		.env = env,
		.workdir = "/",
		.user = "0:0",
		.hostname = "web",
		.n_rlimits = 1,
		.rlimits = rlimits,
		.domainname = "example.org",
		.groups = groups,
		.umask = 077,
		.stop_signal = SIGQUIT,
		.stop_timeout = 30,
		.oom_score_adj = -500,
		.has_oom_score_adj = true,
		.n_sysctls = 1,
		.sysctls = sysctls,
		.image = { .path = "/srv/web.image.json", .ports = ports, .user = ORIGIN_IMAGE, .env = ORIGIN_BOTH },
		.etc_wanted = true,
		.hosts = "127.0.0.1\tlocalhost\n",
		.hosts_required = true,
		.privileged = true,
		.caps = { .bounding = 1 << CAP_CHOWN, .effective = 1 << CAP_CHOWN },
		.no_new_privs = true,
		.seccomp_name = "default",
		.seccomp = &program,
		.cgroup_host = &host,
		.cgroup_path = "/nsrun/x",
		.resources = { .values = values, .n = 3 },
		.state_dir = "/run/nsrun/100000.200000/0123456789ab",
		.state_root = "/run/nsrun",
	};
}

static char *dump(const struct plan *plan)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	assert_int_equal(plan_dump(plan, out), 0);
	fclose(out);
	return text;
}

static bool has_line(const char *text, const char *line)
{
	const size_t len = strlen(line);

	for (const char *p = text; p; p = strchr(p, '\n'), p = p ? p + 1 : NULL)
		if (strncmp(p, line, len) == 0 && p[len] == '\n')
			return true;
	return false;
}

static void assert_line(const char *text, const char *line)
{
	if (!has_line(text, line))
		fail_msg("no line '%s' in:\n%s", line, text);
}

static void test_dump(void **state)
{
	static const char *const lines[] = {
		"id: 0123456789ab",
		"caller: root-remapped",
		"caller.gid: 5",
		"performer.maps: runtime",
		"performer.idmap: init",
		"namespaces: user pid",
		"namespaces.later: cgroup",
		"remap: user",
		"remap.word: dummy",
		"uids: 0:100000:65536 65536:300000:1",
		"gids: 0:200000:65536",
		"setgroups.denied: no",
		"root.uid: 100000",
		"root.gid: 200000",
		"rootfs.source: rootfs/",
		"rootfs.view: idmapped",
		"rootfs.why: private",
		"rootfs.nosuid: yes",
		"rootfs.ephemeral: no",
		"mounts: 3",
		"mount.0.kind: bind",
		"mount.0.said: --volume ./data:/data:ro",
		"mount.0.target: /data",
		"mount.0.attributes: ro nosuid",
		"mount.0.sources: 1 source.0",
		"mount.1.kind: tmpfs",
		"mount.1.size: 4096",
		"mount.1.inodes: default",
		"mount.2.kind: overlay",
		"mount.2.upper: memory",
		"source.0.propagation: private",
		"source.0.recursive: no",
		"source.0.view: owner-only",
		"source.0.readonly: yes",
		"source.0.owner.uids: 1000:100000:1",
		"source.0.owner.gids: 1001:100000:1",
		"source.0.device: 8:1",
		"source.0.inode: 7",
		"masked.0: /proc/kcore",
		"readonly: none",
		"argv.0: /bin/echo",
		"argv.1: two words",
		/* No value makes a line of its own. */
		"argv.2: line\\x0afeed: x",
		"env.1: ESC=\\x1b[31m\\xe2\\x80\\xae",
		"hostname: web",
		"domainname: example.org",
		"group.0: audio",
		"group.1: 7",
		"umask: 0077",
		"stop.signal: SIGQUIT",
		"stop.signal.from: default",
		"stop.timeout: 30",
		"oom.score.adj: -500",
		"sysctl.0: net/ipv4/ip_forward=1",
		"image: /srv/web.image.json",
		"image.port.unused.0: 80/tcp",
		"image.volume.unused: none",
		"user.from: image",
		"env.from: image and options",
		"argv.from: default",
		"etc: yes",
		"hosts: 127.0.0.1\\x09localhost\\x0a",
		"hosts.required: yes",
		"resolv.conf: none",
		"privileged: yes",
		"terminal: no",
		"init: no",
		"ulimit.nofile: 1024:unlimited",
		"caps.bounding: CAP_CHOWN",
		"caps.ambient: none",
		"no-new-privileges: yes",
		"seccomp: default",
		"seccomp.instructions: 42",
		"cgroup.v2: /sys/fs/cgroup",
		"cgroup.memory: v1",
		"cgroup.memory.self: /old",
		"cgroup.pids: v2",
		"cgroup.hugetlb: none",
		"cgroup.path: /nsrun/x",
		"limits: 3",
		"limit.0: memory.limit 1048576",
		"limit.1: cpu.quota 50000",
		"limit.2: cpu.period 100000",
		"cgroup.write.0: v1 memory memory.limit_in_bytes 1048576",
		"state.dir: /run/nsrun/100000.200000/0123456789ab",
	};
	const struct plan plan = sample();
	_cleanup_free_ char *text = dump(&plan), *again = dump(&plan);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lines); i++)
		assert_line(text, lines[i]);
	assert_string_equal(text, again);
	/* Every line is "key: value". */
	for (const char *p = text; *p; p = strchr(p, '\n') + 1) {
		const size_t key = strspn(p, "abcdefghijklmnopqrstuvwxyz0123456789._-");

		assert_true(key > 0 && p[key] == ':' && p[key + 1] == ' ');
		assert_non_null(strchr(p, '\n'));
	}
}

static void test_pending_is_auto(void **state)
{
	struct plan plan = sample();
	_cleanup_free_ char *text = NULL;

	(void)state;
	plan.auto_pending = true;
	plan.id[0] = '\0';
	plan.root_uid = plan.root_gid = (uid_t)-1;
	plan.state_dir = plan.hostname = NULL;
	plan.argv = NULL;
	text = dump(&plan);
	assert_line(text, "id: auto");
	assert_line(text, "uids: auto");
	assert_line(text, "gids: auto");
	assert_line(text, "root.uid: auto");
	assert_line(text, "root.gid: auto");
	assert_line(text, "state.dir: auto");
	assert_line(text, "hostname: auto");
	assert_line(text, "argv: the user's shell");
	assert_null(strstr(text, "4294967295"));
}

static void test_bare_plan(void **state)
{
	const struct plan plan = { 0 };
	_cleanup_free_ char *text = dump(&plan);

	(void)state;
	assert_line(text, "namespaces: none");
	assert_line(text, "uids: none");
	assert_line(text, "seccomp.instructions: 0");
	assert_line(text, "cgroup.v2: none");
	assert_line(text, "limits: 0");
	assert_line(text, "env: none");
}

static void test_full_disk(void **state)
{
	const struct plan plan = sample();
	FILE *out = fopen("/dev/full", "w");

	(void)state;
	if (!out)
		skip();
	setvbuf(out, NULL, _IONBF, 0);
	assert_int_equal(plan_dump(&plan, out), -EIO);
	fclose(out);
}

static struct tape *sample_tape(void)
{
	struct tape *tape = NULL;
	struct err err = ERR_INIT;

	assert_int_equal(tape_new(true, &tape, &err), 0);
	/* In the table's order rootfs.open stands before init.clone; here it began later. */
	tape->records[STEP_INIT_CLONE] = (struct tape_record){
		.state = TAPE_OK, .begin_ns = 1000000, .end_ns = 1500000, .pid = 12, .role = ROLE_RUNTIME
	};
	tape->records[STEP_ROOTFS_OPEN] = (struct tape_record){
		.state = TAPE_FAILED, .errnum = EPERM, .begin_ns = 2000000, .end_ns = 2001000, .role = ROLE_RUNTIME
	};
	tape->records[STEP_PROC_MOUNT] =
		(struct tape_record){ .state = TAPE_BEGUN, .begin_ns = 3000000, .role = ROLE_INIT };
	strcpy(tape->records[STEP_INIT_CLONE].note, "a \"note\"\\ \033[31m");
	/* A writer that was killed in the middle: no terminator. */
	memset(tape->records[STEP_PROC_MOUNT].note, 'x', TAPE_NOTE_MAX);
	return tape;
}

/* Not inlined: gcc 12 takes what it returns for its own variable (-Wdangling-pointer). */
__attribute__((noinline)) static char *trace(void (*print)(const struct tape *, FILE *), const struct tape *tape)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	print(tape, out);
	fclose(out);
	return text;
}

static size_t position(const char *text, const char *part)
{
	const char *found = strstr(text, part);

	if (!found)
		fail_msg("no '%s' in:\n%s", part, text);
	return (size_t)(found - text);
}

static void test_trace_text(void **state)
{
	struct tape *tape = sample_tape();
	_cleanup_free_ char *text = trace(trace_print_text, tape);

	(void)state;
	assert_true(strncmp(text, "+0.000 ms  runtime  init.clone ", 31) == 0);
	assert_true(position(text, "init.clone") < position(text, "rootfs.open"));
	assert_true(position(text, "rootfs.open") < position(text, "proc.mount"));
	assert_true(position(text, "0.500 ms  ok ") < position(text, "rootfs.open"));
	position(text, "+1.000 ms  runtime  rootfs.open  open_tree(2)");
	position(text, "+2.000 ms  init   ");
	position(text, "EPERM\n");
	position(text, "unfinished");
	position(text, "\\x1b[31m");
	assert_null(strchr(text, '\033'));
	assert_null(strstr(text, " \n"));
	tape_free(tape);
}

static void test_trace_json(void **state)
{
	struct tape *tape = sample_tape();
	_cleanup_free_ char *text = trace(trace_print_json, tape);
	char *save = NULL;
	int n = 0;

	(void)state;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save), n++) {
		json_error_t error;
		json_t *row = json_loads(line, JSON_REJECT_DUPLICATES, &error);

		if (!row)
			fail_msg("%s: %s", error.text, line);
		if (n == 0) {
			assert_string_equal(json_string_value(json_object_get(row, "step")), "init.clone");
			assert_string_equal(json_string_value(json_object_get(row, "role")), "runtime");
			assert_string_equal(json_string_value(json_object_get(row, "interface")), "clone3");
			assert_string_equal(json_string_value(json_object_get(row, "manual")), "clone(2)");
			assert_true(json_number_value(json_object_get(row, "begin_us")) == 0);
			assert_true(json_number_value(json_object_get(row, "duration_us")) == 500);
			assert_string_equal(json_string_value(json_object_get(row, "result")), "ok");
			assert_string_equal(json_string_value(json_object_get(row, "note")), "a \"note\"\\ \\x1b[31m");
		} else if (n == 1) {
			assert_string_equal(json_string_value(json_object_get(row, "result")), "EPERM");
			assert_true(json_number_value(json_object_get(row, "begin_us")) == 1000);
		} else {
			assert_string_equal(json_string_value(json_object_get(row, "result")), "unfinished");
			assert_true(json_is_null(json_object_get(row, "duration_us")));
			assert_int_equal(json_string_length(json_object_get(row, "note")), TAPE_NOTE_MAX - 1);
		}
		json_decref(row);
	}
	assert_int_equal(n, 3);
	tape_free(tape);
}

static void test_trace_of_nothing(void **state)
{
	struct tape *tape = NULL;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(tape_new(false, &tape, &err), 0);
	_cleanup_free_ char *text = trace(trace_print_text, tape), *json = trace(trace_print_json, tape);
	assert_string_equal(text, "");
	assert_string_equal(json, "");
	tape_free(tape);
}

static char *report(const struct err *err, int want_status)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	assert_int_equal(report_error(out, err), want_status);
	fclose(out);
	return text;
}

static void test_report(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	err_set(&err, ERR_SYSTEM, ERR_ID_PROC_OVERMOUNTED, EPERM, "proc\033 on /proc");
	err.step = STEP_PROC_MOUNT;
	err.role = ROLE_INIT;
	_cleanup_free_ char *text = report(&err, 125);

	assert_true(strncmp(text,
			    "nsrun: proc.mount (init): proc\\x1b on /proc: Operation not permitted\n        fsmount: "
			    "see proc(5)\n"
			    "        remedy: ",
			    112) == 0);
	assert_non_null(strstr(text, " [proc-overmounted]\n"));

	err = ERR_INIT;
	err_set(&err, ERR_NOT_FOUND, ERR_ID_NONE, ENOENT, "cmd: not there");
	_cleanup_free_ char *plain = report(&err, 127);

	assert_string_equal(plain, "nsrun: cmd: not there\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dump),
		cmocka_unit_test(test_pending_is_auto),
		cmocka_unit_test(test_bare_plan),
		cmocka_unit_test(test_full_disk),
		cmocka_unit_test(test_trace_text),
		cmocka_unit_test(test_trace_json),
		cmocka_unit_test(test_trace_of_nothing),
		cmocka_unit_test(test_report),
	};

	return cmocka_run_group_tests_name("dump", tests, NULL, NULL);
}
