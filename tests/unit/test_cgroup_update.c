/* SPDX-License-Identifier: Apache-2.0 */
/* Limits on real groups of this host, below "/nsrun-test-PID": each resource that it has, changes of a living group, and their undoing. */
#include <nsrun/base/file.h>
#include <nsrun/base/strings.h>
#include <nsrun/kernel/cgroup_resources.h>

#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct arena *arena;
static struct cgroup_host host;
static char parent[64], group[96];
static uint32_t disk_major, disk_minor;

static const char *mount_for(enum cgroup_ctl c)
{
	return cgroup_on_v1(&host, c) ? host.v1_mount[c] : host.v2_mount;
}

/* The whole file, "" where there is none. */
static const char *held(enum cgroup_ctl c, const char *v1_file, const char *v2_file)
{
	static char text[1024];
	char path[3 * CGROUP_PATH_MAX], *data = NULL;

	snprintf(path, sizeof(path), "%s%s/%s", mount_for(c), group, cgroup_on_v1(&host, c) ? v1_file : v2_file);
	text[0] = '\0';
	if (file_read_virtual_at(AT_FDCWD, path, 65536, &data, NULL, NULL) == 0)
		snprintf(text, sizeof(text), "%s", data);
	free(data);
	text[strcspn(text, "\n")] = '\0';
	return text;
}

static bool exists(enum cgroup_ctl c)
{
	char path[2 * CGROUP_PATH_MAX];

	snprintf(path, sizeof(path), "%s%s", mount_for(c), group);
	return access(path, F_OK) == 0;
}

static struct cgroup_resources list_of(const struct cgroup_value *values, size_t n)
{
	struct cgroup_resources r = { 0 };

	for (size_t i = 0; i < n; i++)
		assert_int_equal(cgroup_resources_add(arena, &r, &values[i], NULL), 0);
	return r;
}
#define LIST(...)                                             \
	list_of((const struct cgroup_value[]){ __VA_ARGS__ }, \
		sizeof((const struct cgroup_value[]){ __VA_ARGS__ }) / sizeof(struct cgroup_value))
#define N(r, n)                                       \
	{                                             \
		.resource = CGROUP_##r, .number = (n) \
	}

static void end(void)
{
	struct err err = ERR_INIT;

	if (cgroup_destroy(&host, group, 3000, &err) < 0)
		fail_msg("%s", err.message);
}

static void must_apply(const struct cgroup_resources *r)
{
	struct err err = ERR_INIT;

	if (cgroup_check_limits(&host, parent, r, &err) < 0) {
		print_message("skipped: %s\n", err.message);
		skip();
	}
	if (cgroup_apply_limits(&host, group, r, &err) < 0)
		fail_msg("%s: %s", err.message, strerror(err.errnum));
}

static void must_update(const struct cgroup_resources *before, const struct cgroup_resources *changes)
{
	struct err err = ERR_INIT;

	if (cgroup_update_limits(&host, group, before, changes, NULL, &err) < 0)
		fail_msg("%s: %s", err.message, strerror(err.errnum));
}

/* What the table can say and this host can hold: the value is in the file, or the refusal says why not. */
static void test_every_resource(void **state)
{
	const struct {
		struct cgroup_value values[2];
		size_t n;
	} cases[] = {
		{ { N(MEMORY_LIMIT, 64 << 20) }, 1 },
		{ { N(MEMORY_LIMIT, 64 << 20), N(MEMORY_SWAP, 80 << 20) }, 2 },
		{ { N(MEMORY_LIMIT, 64 << 20), N(MEMORY_SWAP, -1) }, 2 },
		{ { N(MEMORY_RESERVATION, 32 << 20) }, 1 },
		{ { N(MEMORY_SWAPPINESS, 11) }, 1 },
		{ { N(MEMORY_NO_OOM_KILL, 1) }, 1 },
		{ { N(CPU_SHARES, 512) }, 1 },
		{ { N(CPU_QUOTA, 25000), N(CPU_PERIOD, 50000) }, 2 },
		{ { N(CPU_QUOTA, 25000), N(CPU_BURST, 10000) }, 2 },
		{ { N(CPU_PERIOD, 50000) }, 1 },
		{ { N(CPU_IDLE, 1) }, 1 },
		{ { N(CPU_IDLE, 1), N(CPU_SHARES, 2048) }, 2 },
		{ { { .resource = CGROUP_CPUSET_CPUS, .text = "0" } }, 1 },
		{ { { .resource = CGROUP_CPUSET_CPUS, .text = "0,0-0" },
		    { .resource = CGROUP_CPUSET_MEMS, .text = "0" } },
		  2 },
		{ { N(PIDS_LIMIT, 33) }, 1 },
		{ { N(PIDS_LIMIT, -1) }, 1 },
		{ { N(IO_WEIGHT, 300) }, 1 },
		{ { { .resource = CGROUP_IO_READ_BPS, .number = 1 << 20, .major = disk_major, .minor = disk_minor },
		    { .resource = CGROUP_IO_WRITE_IOPS, .number = 77, .major = disk_major, .minor = disk_minor } },
		  2 },
		{ { { .resource = CGROUP_IO_WRITE_BPS, .number = -1, .major = disk_major, .minor = disk_minor } }, 1 },
		{ { { .resource = CGROUP_HUGETLB_LIMIT, .text = "2MB", .number = (4 << 20) + 1 } }, 1 },
		{ { { .resource = CGROUP_UNIFIED, .text = "memory.high", .value_text = "64M" },
		    { .resource = CGROUP_UNIFIED, .text = "cpu.max", .value_text = "60000" } },
		  2 },
		{ { { .resource = CGROUP_UNIFIED, .text = "cgroup.max.depth", .value_text = "3" } }, 1 },
	};
	unsigned applied = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct cgroup_resources r = list_of(cases[i].values, cases[i].n);
		struct err err = ERR_INIT;
		char label[96];

		if (cgroup_check_limits(&host, parent, &r, &err) < 0 ||
		    cgroup_apply_limits(&host, group, &r, &err) < 0) {
			/* A test host may lack a controller, and a kernel a file: that, and nothing else. */
			if (err.id != ERR_ID_NO_CONTROLLER && err.id != ERR_ID_V1_ONLY && err.id != ERR_ID_V2_ONLY &&
			    err.id != ERR_ID_LIMIT_NO_FILE)
				fail_msg("case %zu: %s: %s", i, err.message, strerror(err.errnum));
			print_message("not here: %s: %s\n",
				      cgroup_resource_label(&cases[i].values[0], label, sizeof(label)), err.message);
			assert_false(exists(cgroup_resource_row(cases[i].values[0].resource)->controller %
					    CGROUP_CONTROLLER_COUNT));
			continue;
		}
		applied++;
		end();
	}
	assert_true(applied >= 3);
}

/* Both directions: on v1 memory may never be above memory and swap together, whichever is written first. */
static void test_memory_up_and_down(void **state)
{
	const struct cgroup_resources small = LIST(N(MEMORY_LIMIT, 32 << 20)), large = LIST(N(MEMORY_LIMIT, 96 << 20));
	const struct cgroup_resources swap = LIST(N(MEMORY_SWAP, 256LL << 20));
	const struct cgroup_resources none = LIST(N(MEMORY_LIMIT, -1));

	(void)state;
	must_apply(&small);
	must_update(&small, &large);
	assert_string_equal(held(CGROUP_MEMORY, "memory.limit_in_bytes", "memory.max"), "100663296");
	must_update(&large, &small);
	assert_string_equal(held(CGROUP_MEMORY, "memory.limit_in_bytes", "memory.max"), "33554432");
	must_update(&small, &swap);
	if (*held(CGROUP_MEMORY, "memory.memsw.limit_in_bytes", "memory.swap.max"))
		assert_string_equal(held(CGROUP_MEMORY, "memory.memsw.limit_in_bytes", "memory.swap.max"),
				    cgroup_on_v1(&host, CGROUP_MEMORY) ? "268435456" : "234881024");
	/* v2's number follows from both: a new limit changes it, though the swap that was asked for stays. */
	const struct cgroup_resources both = LIST(N(MEMORY_LIMIT, 32 << 20), N(MEMORY_SWAP, 256LL << 20));
	must_update(&both, &large);
	if (!cgroup_on_v1(&host, CGROUP_MEMORY) && *held(CGROUP_MEMORY, "", "memory.swap.max"))
		assert_string_equal(held(CGROUP_MEMORY, "", "memory.swap.max"), "167772160");
	must_update(&large, &none);
	if (cgroup_on_v1(&host, CGROUP_MEMORY))
		assert_string_equal(held(CGROUP_MEMORY, "memory.limit_in_bytes", ""), "9223372036854771712");
	else
		assert_string_equal(held(CGROUP_MEMORY, "", "memory.max"), "max");
	/* No swap followed from the limit, and goes with it. */
	if (!cgroup_on_v1(&host, CGROUP_MEMORY) && *held(CGROUP_MEMORY, "", "memory.swap.max"))
		assert_string_equal(held(CGROUP_MEMORY, "", "memory.swap.max"), "max");
	end();
}

static void test_cpu_changes(void **state)
{
	const struct cgroup_resources first = LIST(N(CPU_QUOTA, 50000), N(CPU_BURST, 40000));
	const struct cgroup_resources less = LIST(N(CPU_QUOTA, 20000), N(CPU_BURST, 10000));
	const struct cgroup_resources period = LIST(N(CPU_PERIOD, 20000));
	const struct cgroup_resources none = LIST(N(CPU_QUOTA, -1));

	(void)state;
	must_apply(&first);
	must_update(&first, &less);
	must_update(&less, &period);
	if (cgroup_on_v1(&host, CGROUP_CPU)) {
		assert_string_equal(held(CGROUP_CPU, "cpu.cfs_period_us", ""), "20000");
		assert_string_equal(held(CGROUP_CPU, "cpu.cfs_quota_us", ""), "20000");
	} else {
		assert_string_equal(held(CGROUP_CPU, "", "cpu.max"), "20000 20000");
	}
	must_update(&less, &first); /* back, and the burst above the old quota */
	must_update(&first, &none);
	assert_string_equal(held(CGROUP_CPU, "cpu.cfs_quota_us", "cpu.max"),
			    cgroup_on_v1(&host, CGROUP_CPU) ? "-1" : "max 100000");
	end();
}

/* The last of several is refused: what was written before it is as it was. */
static void test_rollback(void **state)
{
	const struct cgroup_resources first = LIST(N(MEMORY_LIMIT, 32 << 20), N(PIDS_LIMIT, 50), N(CPU_SHARES, 100),
						   { .resource = CGROUP_CPUSET_CPUS, .text = "0" });
	const struct cgroup_resources bad = LIST(N(MEMORY_LIMIT, 64 << 20), N(CPU_SHARES, 2048),
						 { .resource = CGROUP_CPUSET_CPUS, .text = "900" }, N(PIDS_LIMIT, 60));
	struct err err = ERR_INIT;
	char shares[64];

	(void)state;
	must_apply(&first);
	snprintf(shares, sizeof(shares), "%s", held(CGROUP_CPU, "cpu.shares", "cpu.weight"));
	assert_true(cgroup_update_limits(&host, group, &first, &bad, NULL, &err) < 0);
	assert_int_equal(err.id, ERR_ID_LIMIT_REFUSED);
	assert_non_null(strstr(err.message, "cpuset.cpus"));
	assert_non_null(strstr(err.message, "900"));
	assert_null(strstr(err.message, "could not be put back"));
	assert_string_equal(held(CGROUP_MEMORY, "memory.limit_in_bytes", "memory.max"), "33554432");
	assert_string_equal(held(CGROUP_CPU, "cpu.shares", "cpu.weight"), shares);
	assert_string_equal(held(CGROUP_PIDS, "pids.max", "pids.max"), "50");
	assert_string_equal(held(CGROUP_CPUSET, "cpuset.cpus", "cpuset.cpus"), "0");
	end();
}

/* Who fails after the change has what brings every file back, also one that the group had no limit in. */
static void test_undo(void **state)
{
	const struct cgroup_resources first = LIST(N(MEMORY_LIMIT, 32 << 20), N(CPU_PERIOD, 50000));
	const struct cgroup_resources changes =
		LIST(N(MEMORY_LIMIT, 64 << 20), N(CPU_SHARES, 2048), N(CPU_QUOTA, 25000));
	char shares[64], quota[64];
	struct cgroup_undo undo = { 0 };
	struct err err = ERR_INIT;

	(void)state;
	must_apply(&first);
	snprintf(shares, sizeof(shares), "%s", held(CGROUP_CPU, "cpu.shares", "cpu.weight"));
	snprintf(quota, sizeof(quota), "%s", held(CGROUP_CPU, "cpu.cfs_quota_us", "cpu.max"));
	assert_int_equal(cgroup_update_limits(&host, group, &first, &changes, &undo, &err), 0);
	assert_string_not_equal(held(CGROUP_CPU, "cpu.shares", "cpu.weight"), shares);
	assert_string_not_equal(held(CGROUP_CPU, "cpu.cfs_quota_us", "cpu.max"), quota);
	cgroup_undo_update(&host, group, &undo, &err);
	assert_string_equal(err.message, "");
	assert_string_equal(held(CGROUP_CPU, "cpu.shares", "cpu.weight"), shares);
	assert_string_equal(held(CGROUP_CPU, "cpu.cfs_quota_us", "cpu.max"), quota);
	assert_string_equal(held(CGROUP_MEMORY, "memory.limit_in_bytes", "memory.max"), "33554432");
	cgroup_undo_done(&undo);
	end();
}

/* What the kernel took as another value is put back as well: huge pages are counted whole. */
static void test_rollback_of_rounded(void **state)
{
	const struct cgroup_resources first =
		LIST({ .resource = CGROUP_UNIFIED, .text = "hugetlb.2MB.max", .value_text = "4M" });
	const struct cgroup_resources odd =
		LIST({ .resource = CGROUP_UNIFIED, .text = "hugetlb.2MB.max", .value_text = "3M" });
	struct err err = ERR_INIT;

	(void)state;
	must_apply(&first);
	assert_true(cgroup_update_limits(&host, group, &first, &odd, NULL, &err) < 0);
	assert_int_equal(err.id, ERR_ID_LIMIT_NOT_APPLIED);
	assert_string_equal(held(CGROUP_HUGETLB, "", "hugetlb.2MB.max"), "4194304");
	end();
}

/* A process that holds 16 MiB in the group. */
static pid_t user_of_memory(void)
{
	int tasks[CGROUP_CONTROLLER_COUNT] = { [0 ... CGROUP_CONTROLLER_COUNT - 1] = FD_NONE };
	char path[2 * CGROUP_PATH_MAX], c;
	int gate[2];
	pid_t pid;

	assert_int_equal(pipe2(gate, O_CLOEXEC), 0);
	assert_int_equal(cgroup_open_tasks_v1(&host, group, 1U << CGROUP_MEMORY, tasks, NULL), 0);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		snprintf(path, sizeof(path), "%s%s/cgroup.procs", host.v2_mount, group);
		if (cgroup_enter_v1(&host, group, tasks, NULL) < 0 ||
		    (!cgroup_on_v1(&host, CGROUP_MEMORY) && file_write_at(AT_FDCWD, path, "0", NULL) < 0))
			_exit(1);
		char *p =
			mmap(NULL, 16 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
		if (p == MAP_FAILED || write(gate[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	cgroup_close_tasks(tasks);
	close(gate[1]);
	assert_int_equal(read(gate[0], &c, 1), 1);
	close(gate[0]);
	return pid;
}

static void test_check_before_update(void **state)
{
	const struct cgroup_resources first = LIST(N(MEMORY_LIMIT, 64 << 20));
	struct cgroup_resources less = LIST(N(MEMORY_LIMIT, 8 << 20));
	struct err err = ERR_INIT;
	pid_t pid;

	(void)state;
	must_apply(&first);
	pid = user_of_memory();
	less.check_before_update = true;
	assert_true(cgroup_update_limits(&host, group, &first, &less, NULL, &err) < 0);
	assert_int_equal(err.id, ERR_ID_LIMIT_BELOW_USE);
	assert_string_equal(held(CGROUP_MEMORY, "memory.limit_in_bytes", "memory.max"), "67108864");
	assert_int_equal(kill(pid, 0), 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	must_update(&first, &less);
	end();
}

/* v1: processes that run are not moved into a group that the container was not started in. */
static void test_no_group(void **state)
{
	const struct cgroup_resources first = LIST(N(PIDS_LIMIT, 50)), other = LIST(N(MEMORY_LIMIT, 64 << 20));
	struct err err = ERR_INIT;

	(void)state;
	must_apply(&first);
	if (!cgroup_on_v1(&host, CGROUP_MEMORY)) { /* v2 enables the controller */
		must_update(&first, &other);
		assert_string_equal(held(CGROUP_MEMORY, "", "memory.max"), "67108864");
	} else {
		assert_true(cgroup_update_limits(&host, group, &first, &other, NULL, &err) < 0);
		assert_int_equal(err.id, ERR_ID_NO_V1_GROUP);
		assert_non_null(strstr(err.message, "--memory"));
	}
	end();
}

static void test_absent_things(void **state)
{
	const struct {
		struct cgroup_value value;
		const char *word;
	} cases[] = {
		{ { .resource = CGROUP_IO_READ_BPS, .number = 1 << 20, .major = 4000, .minor = 7 },
		  "no such block device" },
		{ { .resource = CGROUP_CPUSET_CPUS, .text = "900" }, "the group around it has" },
		{ { .resource = CGROUP_CPUSET_MEMS, .text = "60" }, "the group around it has" },
		{ { .resource = CGROUP_HUGETLB_LIMIT, .text = "3MB", .number = 0 }, "huge pages" },
		{ { .resource = CGROUP_UNIFIED, .text = "memory.nonsense", .value_text = "1" }, "no such file" },
		{ { .resource = CGROUP_NET_PRIORITY, .text = "nonsense0", .number = 1 }, "no interface" },
		{ { .resource = CGROUP_RDMA_HANDLES, .text = "nonsense0", .number = 1 }, "no rdma device" },
		{ { .resource = CGROUP_CPU_RT_RUNTIME, .number = 1000 }, "the group around it has 0: write" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct cgroup_resources r = list_of(&cases[i].value, 1);
		struct err err = ERR_INIT;

		if (cgroup_check_limits(&host, parent, &r, &err) < 0) {
			print_message("not here: %s\n", err.message);
			assert_true(err.id != ERR_ID_NONE);
			continue;
		}
		assert_true(cgroup_apply_limits(&host, group, &r, &err) < 0);
		if (!strstr(err.message, cases[i].word))
			fail_msg("case %zu: %s (%s)", i, err.message, strerror(err.errnum));
		assert_true(err.id == ERR_ID_LIMIT_NOT_APPLIED || err.id == ERR_ID_LIMIT_REFUSED ||
			    err.id == ERR_ID_LIMIT_NO_FILE);
		end();
	}
}

/* Processors that the kernel has and the group around has not. v2 takes the list, and the group has what is around. */
static void test_not_of_the_group_around(void **state)
{
	const struct cgroup_resources outer = LIST({ .resource = CGROUP_CPUSET_CPUS, .text = "0" });
	const struct cgroup_resources inner = LIST({ .resource = CGROUP_CPUSET_CPUS, .text = "1" });
	const struct cgroup_resources both = LIST({ .resource = CGROUP_CPUSET_CPUS, .text = "0-1" });
	struct err err = ERR_INIT;
	char inside[sizeof(group) + 8];

	(void)state;
	if (sysconf(_SC_NPROCESSORS_CONF) < 2) {
		print_message("skipped: one processor\n");
		skip();
	}
	must_apply(&outer);
	snprintf(inside, sizeof(inside), "%s/in", group);
	assert_true(cgroup_apply_limits(&host, inside, &inner, &err) < 0);
	assert_int_equal(err.id, cgroup_on_v1(&host, CGROUP_CPUSET) ? ERR_ID_LIMIT_REFUSED : ERR_ID_LIMIT_NOT_APPLIED);
	/* Some of what was asked for is not more than was asked for; v1 refuses it. */
	if (!cgroup_on_v1(&host, CGROUP_CPUSET)) {
		err = ERR_INIT;
		if (cgroup_apply_limits(&host, inside, &both, &err) < 0)
			fail_msg("%s", err.message);
	}
	end();
}

/* A weight for one disk needs a scheduler that knows weights; without one nothing is dropped in silence. */
static void test_weight_of_a_disk(void **state)
{
	const struct cgroup_resources r =
		LIST({ .resource = CGROUP_IO_WEIGHT_DEVICE, .number = 200, .major = disk_major, .minor = disk_minor });
	struct err err = ERR_INIT;

	(void)state;
	if (!disk_major || cgroup_check_limits(&host, parent, &r, &err) < 0) {
		print_message("skipped: no disk, or %s\n", err.message);
		skip();
	}
	if (cgroup_apply_limits(&host, group, &r, &err) < 0 && !strstr(err.message, "by weight"))
		fail_msg("%s (%s)", err.message, strerror(err.errnum));
	print_message("%s\n", err.message);
	end();
}

/* Controllers that no hierarchy here has, mounted as v1 where nobody else sees it. */
static int mounted_apart(void)
{
	const struct cgroup_value values[] = { N(NET_CLASS, 0x100001),
					       { .resource = CGROUP_NET_PRIORITY, .text = "lo", .number = 6 } };
	struct err err = ERR_INIT;
	int status = 0;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", "/mnt", "tmpfs", 0, NULL) < 0 || mkdir("/mnt/net", 0755) < 0 ||
	    mount("none", "/mnt/net", "cgroup", 0, "net_cls,net_prio") < 0)
		return 77;
	if (cgroup_probe(arena, &host, &err) < 0)
		return 1;
	const struct cgroup_resources r = list_of(values, 2);
	if (cgroup_check_limits(&host, parent, &r, &err) < 0 || cgroup_apply_limits(&host, group, &r, &err) < 0) {
		fprintf(stderr, "%s: %s\n", err.message, strerror(err.errnum));
		return 2;
	}
	if (!streq(held(CGROUP_NET_CLS, "net_cls.classid", ""), "1048577"))
		status = 3;
	else if (!strstr(held(CGROUP_NET_PRIO, "net_prio.ifpriomap", ""), "lo 6"))
		status = 4;
	if (cgroup_destroy(&host, group, 1000, &err) < 0 || cgroup_destroy(&host, parent, 1000, &err) < 0)
		status = 5;
	umount2("/mnt/net", 0);
	return status;
}

static void test_network_v1(void **state)
{
	int status;
	const pid_t pid = fork();

	(void)state;
	if (pid == 0)
		_exit(mounted_apart());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77) {
		print_message("skipped: no net_cls and net_prio, or no mount namespaces\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* The first whole disk that this host has. */
static void find_disk(void)
{
	_cleanup_closedir_ DIR *dir = opendir("/sys/block");

	for (struct dirent *d; dir && (d = readdir(dir));) {
		_cleanup_free_ char *text = NULL;
		char path[300];

		snprintf(path, sizeof(path), "/sys/block/%s/dev", d->d_name);
		if (d->d_name[0] != '.' && file_read_virtual_at(AT_FDCWD, path, 64, &text, NULL, NULL) == 0 &&
		    sscanf(text, "%" SCNu32 ":%" SCNu32, &disk_major, &disk_minor) == 2)
			return;
	}
}

static int set_up(void **state)
{
	struct err err = ERR_INIT;
	char chosen[CGROUP_PATH_MAX];

	(void)state;
	arena = arena_new();
	if (!arena || cgroup_probe(arena, &host, &err) < 0)
		return -1;
	snprintf(parent, sizeof(parent), "/nsrun-test-%d", getpid());
	snprintf(group, sizeof(group), "%s/c", parent);
	find_disk();
	if (geteuid() == 0 && cgroup_choose_parent(&host, chosen, sizeof(chosen), &err) == 0)
		return 0;
	print_message("skipped: not root, or no writable control groups (%s)\n", err.message);
	exit(0);
}

static int tear_down(void **state)
{
	(void)state;
	const int r = cgroup_destroy(&host, parent, 2000, NULL);
	arena_free(arena);
	return r;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_resource),	    cmocka_unit_test(test_memory_up_and_down),
		cmocka_unit_test(test_cpu_changes),	    cmocka_unit_test(test_rollback),
		cmocka_unit_test(test_rollback_of_rounded), cmocka_unit_test(test_undo),
		cmocka_unit_test(test_check_before_update), cmocka_unit_test(test_no_group),
		cmocka_unit_test(test_absent_things),	    cmocka_unit_test(test_not_of_the_group_around),
		cmocka_unit_test(test_weight_of_a_disk),    cmocka_unit_test(test_network_v1),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
