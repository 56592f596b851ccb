/* SPDX-License-Identifier: Apache-2.0 */
/* The parsers of what is executed and as what: image configuration, kernel parameters, names, the files of /etc. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <nsrun/base/strings.h>
#include <nsrun/kernel/sysctl.h>
#include <nsrun/plan/process.h>

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>

struct fixture {
	struct arena *arena;
	struct plan plan;
};

static int begin(void **state)
{
	static struct fixture f;

	f = (struct fixture){ .arena = arena_new() };
	f.plan.arena = f.arena;
	f.plan.namespaces = CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS;
	f.plan.rootfs.path = "/nonexistent";
	*state = &f;
	return f.arena ? 0 : -1;
}

static int end(void **state)
{
	struct fixture *f = *state;

	arena_free(f->arena);
	return 0;
}

/* ---- image ---- */

static int parse(struct fixture *f, const char *text, struct image_config *ret, struct err *err)
{
	*err = ERR_INIT;
	return image_config_parse(text, strlen(text), "x.json", f->arena, ret, err);
}

static void image_forms(void **state)
{
	static const char *const forms[] = {
		"{\"config\": {\"User\": \"www\", \"Cmd\": [\"a\", \"b\"]}, \"os\": \"linux\"}",
		"[{\"Config\": {\"User\": \"www\", \"Cmd\": [\"a\", \"b\"]}}]",
		"{\"Config\": {\"User\": \"www\", \"Cmd\": [\"a\", \"b\"]}}",
		"{\"User\": \"www\", \"Cmd\": [\"a\", \"b\"]}",
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		struct image_config image = { 0 };
		struct err err;

		assert_int_equal(parse(f, forms[i], &image, &err), 0);
		assert_string_equal(image.user, "www");
		assert_string_equal(image.cmd[1], "b");
		assert_null(image.cmd[2]);
		assert_null(image.entrypoint);
		assert_null(image.workdir);
	}
}

static void image_says_nothing(void **state)
{
	struct fixture *f = *state;
	struct image_config image = { .user = "old" };
	struct err err;

	assert_int_equal(parse(f,
			       "{\"config\": {\"User\": \"\", \"Env\": null, \"Cmd\": [], \"Entrypoint\": null, "
			       "\"WorkingDir\": \"\", \"Labels\": {}, \"Unknown\": 5}}",
			       &image, &err),
			 0);
	assert_null(image.user);
	assert_null(image.env);
	assert_null(image.cmd);
	assert_null(image.labels);
}

static void image_errors_have_a_path(void **state)
{
	static const struct {
		const char *text, *path;
	} bad[] = {
		{ "{", "x.json:1" },
		{ "[]", "exactly one" },
		{ "{\"a\": 1}", "no image configuration" },
		{ "{\"config\": 1}", "config" },
		{ "{\"config\": {\"User\": []}}", "config.User: a string" },
		{ "{\"Config\": {\"Env\": {}}}", "Config.Env: an array" },
		{ "{\"config\": {\"Env\": [\"A=1\", \"B\"]}}", "config.Env[1]: NAME=VALUE" },
		{ "{\"config\": {\"Cmd\": [1]}}", "config.Cmd[0]: a string" },
		{ "{\"Entrypoint\": \"sh\"}", "x.json: Entrypoint: an array" },
		{ "{\"config\": {\"Labels\": {\"k\": 1}}}", "config.Labels.k: a string" },
		{ "{\"config\": {\"ExposedPorts\": {\"80\": 1}}}", "config.ExposedPorts.80" },
		{ "{\"config\": {\"User\": \"a\", \"User\": \"b\"}}", "duplicate" },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct image_config image = { .user = "untouched" };
		struct err err;

		if (parse(f, bad[i].text, &image, &err) == 0)
			fail_msg("%s was accepted", bad[i].text);
		if (!strstr(err.message, bad[i].path))
			fail_msg("%s: %s", bad[i].text, err.message);
		assert_string_equal(image.user, "untouched");
	}
}

/* ---- kernel parameters ---- */

static const char *sysctl_path(struct fixture *f, const char *text, struct err *err)
{
	const char *const one[] = { text, NULL };
	const struct plan_request request = { .sysctls = one };

	*err = ERR_INIT;
	f->plan.n_sysctls = 0;
	return plan_resolve_sysctls(&f->plan, &request, err) == 0 ? f->plan.sysctls[0].path : NULL;
}

static void sysctl_keys(void **state)
{
	static const char *const good[][2] = {
		{ "net.ipv4.ip_forward=1", "net/ipv4/ip_forward" },
		{ "net/ipv4/ip_forward=1", "net/ipv4/ip_forward" },
		{ "net.ipv4.conf.eth0/100.forwarding=1", "net/ipv4/conf/eth0.100/forwarding" },
		{ "net/ipv4/conf/eth0.100/forwarding=1", "net/ipv4/conf/eth0.100/forwarding" },
		{ "kernel.shmmax=1=2", "kernel/shmmax" },
		{ "fs.mqueue.msg_max=1", "fs/mqueue/msg_max" },
		{ "user.max_user_namespaces=0", "user/max_user_namespaces" },
	};
	static const char *const bad[] = {
		"",
		"=",
		"net",
		"net=1",
		".net.x=1",
		"net..x=1",
		"net.x.=1",
		"net/../x=1",
		"net/./x=1",
		"net//x=1",
		"net.x",
		"net.x=",
		"net.x=a\nb",
		"net.x y=1",
		"kernel.shmmaxx=1",
		"kernel.sem.x=1",
		"kernel.hostname=x",
		"kernel.domainname=x",
		"kernel.panic=1",
		"vm.swappiness=1",
		"fs.mqueue=1",
		"net.\xc3\xa4=1",
	};
	struct fixture *f = *state;
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_string_equal(sysctl_path(f, good[i][0], &err), good[i][1]);
	assert_string_equal(f->plan.sysctls[0].value, "0");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (sysctl_path(f, bad[i], &err) || !*err.message)
			fail_msg("%s was accepted", bad[i]);

	/* Each needs its namespace. */
	f->plan.ns[NS_NET].use = f->plan.ns[NS_USER].use = NS_HOST;
	assert_null(sysctl_path(f, "net.ipv4.ip_forward=1", &err));
	assert_int_equal(err.id, ERR_ID_SYSCTL_NAMESPACE);
	assert_null(sysctl_path(f, "user.max_user_namespaces=0", &err));
	assert_non_null(sysctl_path(f, "kernel.sem=1", &err));
	f->plan.ns[NS_NET].use = NS_NEW;
	f->plan.ns[NS_IPC].use = NS_JOIN; /* another's */
	assert_null(sysctl_path(f, "kernel.sem=1", &err));
	assert_null(sysctl_path(f, "fs.mqueue.msg_max=1", &err));
}

static void sysctl_values_compare(void **state)
{
	(void)state;
	assert_true(sysctl_same("1\n", "1"));
	assert_true(sysctl_same("32000\t1024\t500\n", "32000 1024  500"));
	assert_true(sysctl_same("16", "0x10"));
	assert_true(sysctl_same("cubic\n", "cubic"));
	assert_true(sysctl_same("", " "));
	assert_false(sysctl_same("1", "2"));
	assert_false(sysctl_same("1 2", "1"));
	assert_false(sysctl_same("1", "1 2"));
	assert_false(sysctl_same("cubic", "reno"));
	assert_false(sysctl_same("1x", "1"));
}

static void sysctl_wants_a_procfs(void **state)
{
	struct err err = ERR_INIT;
	const int tmp = open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	assert_true(sysctl_write(tmp, "net/ipv4/ip_forward", "1", &err) < 0);
	assert_int_equal(err.kind, ERR_BUG);
	close(tmp);
	/* A path that leads out of it. */
	const int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	err = ERR_INIT;
	assert_true(sysctl_write(proc, "../../etc/passwd", "1", &err) < 0);
	close(proc);
}

/* ---- the rest ---- */

static int resolve(struct fixture *f, struct plan_request request, struct err *err)
{
	*err = ERR_INIT;
	request.terminal = NO;
	return plan_resolve_process(&f->plan, &request, err);
}

static void words(void **state)
{
	struct fixture *f = *state;
	struct err err;
	static const char *const bad_umasks[] = { "", "8", "1000", "00000", "-1", "0x1", "u=rwx" };
	static const char *const bad_scores[] = { "", "-", "1001", "-1001", "+1", "1.5", "--1" };
	static const char *const bad_timeouts[] = { "", "-1", "1s", "4294967295", "99999999999999999999" };

	assert_int_equal(resolve(f, (struct plan_request){ 0 }, &err), 0);
	assert_true(f->plan.umask == 022 && f->plan.stop_signal == SIGTERM && f->plan.stop_timeout == 10);
	assert_true(!f->plan.has_oom_score_adj && !f->plan.argv && !f->plan.domainname && !f->plan.groups);
	assert_int_equal(resolve(f,
				 (struct plan_request){ .umask = "0027",
							.stop_signal = "rtmin+1",
							.stop_timeout = "0",
							.oom_score_adj = "-1000",
							.domainname = "example.org" },
				 &err),
			 0);
	assert_true(f->plan.umask == 027 && f->plan.stop_signal == SIGRTMIN + 1 && f->plan.stop_timeout == 0);
	assert_true(f->plan.has_oom_score_adj && f->plan.oom_score_adj == -1000);
	for (size_t i = 0; i < ARRAY_LEN(bad_umasks); i++)
		assert_true(resolve(f, (struct plan_request){ .umask = bad_umasks[i] }, &err) < 0);
	for (size_t i = 0; i < ARRAY_LEN(bad_scores); i++)
		assert_true(resolve(f, (struct plan_request){ .oom_score_adj = bad_scores[i] }, &err) < 0);
	for (size_t i = 0; i < ARRAY_LEN(bad_timeouts); i++)
		assert_true(resolve(f, (struct plan_request){ .stop_timeout = bad_timeouts[i] }, &err) < 0);
	assert_true(resolve(f, (struct plan_request){ .stop_signal = "0" }, &err) < 0);
	assert_true(resolve(f, (struct plan_request){ .domainname = "a b" }, &err) < 0);

	const char *const group[] = { "audio", NULL };
	assert_int_equal(resolve(f, (struct plan_request){ .group_add = group }, &err), 0);
	f->plan.deny_setgroups = true;
	assert_true(resolve(f, (struct plan_request){ .group_add = group }, &err) < 0);
	assert_int_equal(err.id, ERR_ID_SETGROUPS_DENIED);
	f->plan.deny_setgroups = false;
	const char *const no_group[] = { "a:b", NULL };
	assert_true(resolve(f, (struct plan_request){ .group_add = no_group }, &err) < 0);
}

static void entrypoint(void **state)
{
	struct fixture *f = *state;
	const char *const cmd[] = { "one", "two", NULL }, *const empty[] = { "", NULL };
	struct err err;

	assert_int_equal(resolve(f, (struct plan_request){ .argv = cmd, .entrypoint = "/bin/e" }, &err), 0);
	assert_string_equal(f->plan.argv[0], "/bin/e");
	assert_string_equal(f->plan.argv[2], "two");
	assert_null(f->plan.argv[3]);
	assert_int_equal(f->plan.image.argv, ORIGIN_OPTION);
	assert_true(resolve(f, (struct plan_request){ .argv = empty }, &err) < 0);
	assert_int_equal(err.kind, ERR_NOT_FOUND);
}

static void env_file(void **state)
{
	struct fixture *f = *state;
	char path[] = "/tmp/nsrun-unit-XXXXXX";
	static const char text[] = "\xef\xbb\xbf"
				   "A=1\r\n#B=2\n\n \tC= 3 \nHOME\nD";
	const int fd = mkostemp(path, O_CLOEXEC);
	const char *const files[] = { path, NULL };
	struct err err;

	assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
	setenv("D", "last line", 1);
	assert_int_equal(resolve(f, (struct plan_request){ .env_files = files }, &err), 0);
	assert_string_equal(f->plan.env[1], "A=1");
	assert_string_equal(f->plan.env[2], "C= 3 ");
	assert_non_null(str_after(f->plan.env[3], "HOME="));
	assert_string_equal(f->plan.env[4], "D=last line");
	assert_null(f->plan.env[5]);
	assert_int_equal(pwrite(fd, "A B=", 4, 0), 4);
	assert_true(resolve(f, (struct plan_request){ .env_files = files }, &err) < 0);
	assert_non_null(strstr(err.message, ":1: "));
	close(fd);
	unlink(path);
}

static int etc(struct fixture *f, const char *host, const char *dns, struct err *err)
{
	const char *const hosts[] = { host, NULL }, *const servers[] = { dns, NULL };
	const struct plan_request request = { .add_hosts = host ? hosts : NULL, .dns = dns ? servers : NULL };

	*err = ERR_INIT;
	return plan_resolve_etc(&f->plan, &request, err);
}

static void hosts_and_servers(void **state)
{
	static const char *const bad_hosts[] = { "",	    "a",	   ":1.2.3.4",	  "a:",
						 "a:1.2.3", "a b:1.2.3.4", "a:::x",	  "-a:::1",
						 "a:[::1",  "a:1.2.3.4x",  "a\n:1.2.3.4", "a:host-gateway" };
	static const char *const bad_servers[] = { "", "x", "1.2.3", "::g", "1.2.3.4 5.6.7.8", "1.2.3.4\nsearch x" };
	struct fixture *f = *state;
	struct err err;

	assert_int_equal(etc(f, NULL, NULL, &err), 0);
	assert_false(f->plan.etc_wanted);
	assert_int_equal(etc(f, "a:[2001:db8::1]", "192.0.2.1", &err), 0);
	assert_true(f->plan.etc_wanted && f->plan.hosts_required && f->plan.resolv_conf_required);
	assert_non_null(strstr(f->plan.hosts, "localhost"));
	assert_non_null(strstr(f->plan.hosts, "\n2001:db8::1\ta\n"));
	assert_string_equal(f->plan.resolv_conf, "nameserver 192.0.2.1\n");
	for (size_t i = 0; i < ARRAY_LEN(bad_hosts); i++)
		if (etc(f, bad_hosts[i], NULL, &err) == 0)
			fail_msg("%s was accepted", bad_hosts[i]);
	for (size_t i = 0; i < ARRAY_LEN(bad_servers); i++)
		if (etc(f, NULL, bad_servers[i], &err) == 0)
			fail_msg("%s was accepted", bad_servers[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(image_forms, begin, end),
		cmocka_unit_test_setup_teardown(image_says_nothing, begin, end),
		cmocka_unit_test_setup_teardown(image_errors_have_a_path, begin, end),
		cmocka_unit_test_setup_teardown(sysctl_keys, begin, end),
		cmocka_unit_test(sysctl_values_compare),
		cmocka_unit_test(sysctl_wants_a_procfs),
		cmocka_unit_test_setup_teardown(words, begin, end),
		cmocka_unit_test_setup_teardown(entrypoint, begin, end),
		cmocka_unit_test_setup_teardown(env_file, begin, end),
		cmocka_unit_test_setup_teardown(hosts_and_servers, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
