/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel says of this process and of a child in namespaces of its own, against the same asked in other ways. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <nsrun/base/strings.h>
#include <nsrun/kernel/observe.h>

#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>

static char *value(pid_t pid, const char *text)
{
	struct observe_term term;
	struct err err = ERR_INIT;
	char *ret = NULL;

	if (observe_parse(text, &term, &err) < 0)
		fail_msg("%s: %s", text, err.message);
	if (observe(pid, &term, &ret, &err) < 0)
		fail_msg("%s: %s", text, err.message);
	observe_term_done(&term);
	return ret;
}

static void is(pid_t pid, const char *text, const char *wanted)
{
	_cleanup_free_ char *got = value(pid, text);

	assert_string_equal(got, wanted);
}

static void has(pid_t pid, const char *text, const char *part)
{
	_cleanup_free_ char *got = value(pid, text);

	if (!strstr(got, part))
		fail_msg("%s is %s, without %s", text, got, part);
}

static void refuses(const char *text, const char *why)
{
	struct observe_term term;
	struct err err = ERR_INIT;

	assert_true(observe_parse(text, &term, &err) < 0);
	if (!strstr(err.message, why))
		fail_msg("%s: %s", text, err.message);
}

static void words_that_are_none(void **state)
{
	(void)state;
	refuses("hostnme", "hostname");
	refuses("hostname.owner", "no .owner");
	refuses("caps", ".eff");
	refuses("caps.foo", "no .foo");
	refuses("mount", "no such property");
	refuses("mount:", "behind the colon");
	refuses("uid:3", "no such property");
	refuses("", "no such property");
	refuses(".", "no such property");
}

static void of_this_process(void **state)
{
	const pid_t self = getpid();
	struct utsname names;
	char text[64];
	struct stat st;

	(void)state;
	uname(&names);
	is(self, "hostname", names.nodename);
	is(self, "domainname", names.domainname);
	snprintf(text, sizeof(text), "%d", (int)self);
	is(self, "process", text);
	snprintf(text, sizeof(text), "%u", (unsigned)geteuid());
	is(self, "uid", text);
	snprintf(text, sizeof(text), "%d", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	is(self, "no_new_privs", text);
	assert_int_equal(stat("/proc/self/ns/uts", &st), 0);
	snprintf(text, sizeof(text), "%ju", (uintmax_t)st.st_ino);
	is(self, "uts", text);
	is(self, "mount:/proc", "proc");
	is(self, "mount:/proc/no-such", "none");
	is(self, "file:/etc/passwd", "file");
	is(self, "file:/etc/passwd.uid", "0");
	is(self, "file:/dev/null", "char");
	is(self, "file:/no-such", "none");
	has(self, "file:/etc/passwd.text", "root:");
	has(self, "links", "lo");
	has(self, "sysctl:kernel.ostype", "Linux");
	has(self, "cgroup.path", "/");
	struct rlimit limit;
	getrlimit(RLIMIT_NOFILE, &limit);
	snprintf(text, sizeof(text), "%ju", (uintmax_t)limit.rlim_cur);
	is(self, "limit:nofile", text);
}

/* The child says "in" once it is there, and lives until it is killed. */
static pid_t inside(int flags, bool *ret_possible)
{
	int fds[2];
	char byte = 0;

	assert_int_equal(pipe(fds), 0);
	const pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(fds[0]);
		if (unshare(flags) < 0 || sethostname("observed", 8) < 0 || write(fds[1], "i", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(fds[1]);
	*ret_possible = read(fds[0], &byte, 1) == 1;
	close(fds[0]);
	return pid;
}

static void of_other_namespaces(void **state)
{
	bool possible;
	const pid_t pid = inside(CLONE_NEWUSER | CLONE_NEWUTS | CLONE_NEWNET | CLONE_NEWIPC, &possible);

	(void)state;
	if (possible) {
		_cleanup_free_ char *here = value(getpid(), "uts"), *there = value(pid, "uts"),
				    *user = value(pid, "user");

		assert_string_not_equal(here, there);
		is(pid, "uts.owner", user);
		is(pid, "net.owner", user);
		is(pid, "hostname", "observed");
		is(pid, "sysctl:kernel.hostname", "observed");
		is(pid, "links", "lo");
		is(pid, "link:lo", "down");
		is(pid, "link:eth9", "none");
		is(pid, "addresses", "");
		is(pid, "uid_map", "");
		is(pid, "uid.inner", "none");
		has(pid, "caps.eff", "CAP_SYS_ADMIN");
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	if (!possible)
		skip();
}

static void one_that_has_ended(void **state)
{
	struct observe_term term;
	struct err err = ERR_INIT;
	char *ret = NULL;

	(void)state;
	const pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	waitpid(pid, NULL, 0);
	for (size_t i = 0; i < observe_properties_count; i++) {
		const struct observe_property *p = &observe_properties[i];
		char text[64];

		snprintf(text, sizeof(text), "%s%s%s%s", p->name, p->argument ? ":nofile" : "",
			 p->more_needed ? "." : "", p->more_needed ? p->more[0] : "");
		assert_int_equal(observe_parse(text, &term, &err), 0);
		if (observe(pid, &term, &ret, &err) >= 0)
			fail_msg("%s of nobody: %s", text, ret);
		assert_int_equal(err.errnum, ESRCH);
		observe_term_done(&term);
		err = ERR_INIT;
	}
}

static void found_by_name(void **state)
{
	struct err err = ERR_INIT;
	char comm[32];
	pid_t found = 0;

	(void)state;
	prctl(PR_GET_NAME, comm);
	snprintf(comm, sizeof(comm), "observe%d", (int)getpid() % 100000);
	prctl(PR_SET_NAME, comm);
	assert_int_equal(observe_find(getpid(), comm, &found, &err), 0);
	assert_int_equal(found, getpid());
	assert_int_equal(observe_find(getpid(), "no such name", &found, &err), -ESRCH);
	has(getpid(), "processes", comm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_that_are_none), cmocka_unit_test(of_this_process),
		cmocka_unit_test(of_other_namespaces), cmocka_unit_test(one_that_has_ended),
		cmocka_unit_test(found_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
