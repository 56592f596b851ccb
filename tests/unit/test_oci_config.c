/* SPDX-License-Identifier: Apache-2.0 */
/* oci_plan(): config.json becomes a plan, and what is wrong with it is named. Nothing is launched. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <nsrun/base/strings.h>
#include <nsrun/oci/config.h>
#include <nsrun/plan/json_whole.h>
#include <nsrun/plan/limits.h>

#include <fcntl.h>
#include <glob.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char bundle[64];

static int begin(void **state)
{
	char path[128];

	(void)state;
	snprintf(bundle, sizeof(bundle), "/var/tmp/nsrun-unit-XXXXXX");
	if (!mkdtemp(bundle))
		return -1;
	snprintf(path, sizeof(path), "%s/rootfs", bundle);
	return mkdir(path, 0755);
}

static int end(void **state)
{
	char path[128];

	(void)state;
	snprintf(path, sizeof(path), "%s/rootfs", bundle);
	return rmdir(path) < 0 || rmdir(bundle) < 0 ? -1 : 0;
}

/* A document in words with ' for ". */
static json_t *document(const char *text)
{
	char *copy = strdup(text);
	json_t *json;
	struct err err = ERR_INIT;

	for (char *p = copy; *p; p++)
		if (*p == '\'')
			*p = '"';
	if (json_at_parse(copy, strlen(copy), "test", &json, &err) < 0)
		fail_msg("%s: %s", copy, err.message);
	free(copy);
	return json;
}

#define BASE                                                                              \
	"{'ociVersion':'1.2.0','root':{'path':'rootfs'},'process':{'args':['/bin/true']," \
	"'cwd':'/'},'linux':{'namespaces':[{'type':'mount'},{'type':'pid'},{'type':'uts'}]}}"

/* `base` with the members of `change` laid over it: objects are merged, null takes away. */
static void lay_over(json_t *base, const json_t *change)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)change, key, value)
	{
		json_t *under = json_object_get(base, key);

		if (json_is_null(value))
			json_object_del(base, key);
		else if (json_is_object(value) && json_is_object(under))
			lay_over(under, value);
		else
			json_object_set(base, key, value);
	}
}

static int plan_of(const char *change, struct plan **ret, struct err *err)
{
	const struct bundle_request request = { .id = "unit", .bundle = bundle, .cgroup_manager = "disabled" };
	json_t *base = document(BASE), *over = document(change);

	lay_over(base, over);
	const int r = oci_plan_document(&request, bundle, base, ret, err);
	json_decref(base);
	json_decref(over);
	return r;
}

static struct plan *good(const char *change)
{
	struct err err = ERR_INIT;
	struct plan *plan = NULL;

	if (plan_of(change, &plan, &err) < 0)
		fail_msg("%s: %s", change, err.message);
	return plan;
}

static void bad(const char *change, const char *wanted)
{
	struct err err = ERR_INIT;
	struct plan *plan = NULL;

	if (plan_of(change, &plan, &err) == 0)
		fail_msg("%s: was taken", change);
	if (!strstr(err.message, wanted))
		fail_msg("%s: \"%s\" has no \"%s\"", change, err.message, wanted);
}

static void test_least(void **state)
{
	(void)state;
	struct plan *plan = good("{}");
	assert_true(plan_is_bundle(plan));
	assert_string_equal(plan->name, "unit");
	assert_string_equal(plan->argv[0], "/bin/true");
	assert_string_equal(plan->user, "0:0");
	assert_null(plan->env[0]);
	assert_int_equal(plan->caps.permitted, 0);
	assert_null(plan->hostname);
	assert_true(plan_owns_ns(plan, NS_PID));
	assert_int_equal(plan->ns[NS_NET].use, NS_HOST);
	assert_int_equal(plan->namespaces, CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS);
	assert_int_equal(plan->stop_signal, SIGTERM);
	assert_string_equal(plan->bundle->annotations, "{}");
	plan_free(plan);
}

static void test_top(void **state)
{
	(void)state;
	bad("{'ociVersion':null}", "ociVersion is missing");
	bad("{'ociVersion':2}", "config.json: ociVersion: a string is wanted, this is an integer");
	bad("{'ociVersion':'2.0.0'}", "config.json: ociVersion: '2.0.0'");
	bad("{'ociVersion':'1'}", "ociVersion");
	bad("{'ociVersion':'1.0'}", "ociVersion");
	plan_free(good("{'ociVersion':'1.0.0-rc5-dev'}"));
	plan_free(good("{'ociVersion':'1.99.0'}"));
	bad("{'root':null}", "root is missing");
	bad("{'root':{'path':null}}", "root: path is missing");
	bad("{'root':{'path':'nowhere'}}", "root.path: rootfs");
	bad("{'root':[]}", "root: an object is wanted, this is an array");
	bad("{'root':{'readonly':'yes'}}", "root.readonly: a boolean is wanted");
	bad("{'process':null}", "process is missing");
	bad("{'linux':3}", "linux: an object is wanted");
	bad("{'hostname':7}", "hostname: a string is wanted");
	bad("{'hostname':'a','linux':{'namespaces':[{'type':'mount'}]}}", "hostname: linux.namespaces has no uts");
	bad("{'domainname':'a','linux':{'namespaces':[{'type':'mount'}]}}", "domainname: linux.namespaces has no uts");
	bad("{'annotations':{'a':1}}", "annotations.a: a string is wanted");
	struct plan *plan =
		good("{'hostname':'h','domainname':'d','annotations':{'a':'b',"
		     "'org.opencontainers.image.stopSignal':'SIGQUIT'},'unknown':[1],'root':{'readonly':true}}");
	assert_string_equal(plan->hostname, "h");
	assert_string_equal(plan->domainname, "d");
	assert_int_equal(plan->stop_signal, SIGQUIT);
	assert_true(plan->bundle->root_readonly);
	plan_free(plan);
}

static void test_namespaces(void **state)
{
	(void)state;
	bad("{'linux':{'namespaces':null}}", "linux.namespaces is missing");
	bad("{'linux':{'namespaces':[]}}", "no mount namespace");
	bad("{'linux':{'namespaces':[{'type':'mount'},{'type':'mount'}]}}",
	    "linux.namespaces[1].type: a mount namespace");
	bad("{'linux':{'namespaces':[{'type':'mount'},{'path':'/x'}]}}", "linux.namespaces[1]: type is missing");
	bad("{'linux':{'namespaces':[{'type':'mount'},{'type':'net'}]}}", "linux.namespaces[1].type: 'net'");
	bad("{'linux':{'namespaces':[{'type':'mount'},{'type':'pid','path':'x'}]}}", "linux.namespaces[1].path: 'x'");
	bad("{'linux':{'namespaces':[{'type':'mount'},{'type':'pid','path':'/proc/self/ns/net'}]}}",
	    "linux.namespaces[1].path: /proc/self/ns/net: is a network namespace");
	bad("{'linux':{'namespaces':[{'type':'mount'},{'type':'pid','path':'/etc/passwd'}]}}", "is no namespace");
	bad("{'linux':{'namespaces':[{'type':'mount','path':'/proc/self/ns/mnt'}]}}", "caller's own mount namespace");
	bad("{'linux':{'uidMappings':[{'containerID':0,'hostID':1,'size':1}]}}",
	    "linux.uidMappings: no user namespace");
	bad("{'linux':{'namespaces':[{'type':'mount'},{'type':'user'}]}}", "linux.uidMappings: missing");
	bad("{'linux':{'timeOffsets':{'monotonic':{'secs':1}}}}",
	    "linux.timeOffsets: linux.namespaces has no new time");
	bad("{'linux':{'namespaces':[{'type':'mount'},{'type':'time'}],'timeOffsets':{'realtime':{'secs':1}}}}",
	    "linux.timeOffsets.realtime: this clock");
	bad("{'linux':{'namespaces':[{'type':'mount'},{'type':'time'}],'timeOffsets':{'boottime':{'nanosecs':1000000000}}}}",
	    "linux.timeOffsets.boottime.nanosecs: 1000000000 is out of range");
	struct plan *plan =
		good("{'linux':{'namespaces':[{'type':'mount'},{'type':'network','path':'/proc/self/ns/net'},"
		     "{'type':'time'}],'timeOffsets':{'monotonic':{'secs':5,'nanosecs':6}}}}");
	assert_int_equal(plan->ns[NS_NET].use, NS_HOST); /* it is our own */
	assert_int_equal(plan->monotonic.seconds, 5);
	assert_int_equal(plan->monotonic.nanoseconds, 6);
	plan_free(plan);
}

static void test_maps(void **state)
{
#define WITH_MAPS(uids, gids) \
	"{'linux':{'namespaces':[{'type':'mount'},{'type':'user'}],'uidMappings':[" uids "],'gidMappings':[" gids "]}}"
	(void)state;
	if (geteuid() != 0)
		return;
	bad(WITH_MAPS("{'containerID':0,'hostID':1}", ""), "linux.uidMappings[0]: size is missing");
	bad(WITH_MAPS("{'containerID':-1,'hostID':1,'size':1}", ""),
	    "linux.uidMappings[0].containerID: -1 is out of range");
	bad(WITH_MAPS("{'containerID':0,'hostID':1,'size':0}", ""), "linux.uidMappings[0].size: 0 is out of range");
	bad(WITH_MAPS("{'containerID':0,'hostID':1,'size':1}", ""), "linux.gidMappings: missing");
	bad(WITH_MAPS("{'containerID':0,'hostID':1,'size':9},{'containerID':5,'hostID':100,'size':9}",
		      "{'containerID':0,'hostID':1,'size':9}"),
	    "linux.uidMappings: ");
	bad(WITH_MAPS("{'containerID':1,'hostID':1,'size':1}", "{'containerID':0,'hostID':1,'size':1}"), "no id 0");
	struct plan *plan =
		good(WITH_MAPS("{'containerID':0,'hostID':100000,'size':65536}",
			       "{'containerID':0,'hostID':0,'size':1},{'containerID':1,'hostID':200000,'size':9}"));
	assert_true(plan->namespaces & CLONE_NEWUSER);
	assert_int_equal(plan->root_uid, 100000);
	assert_int_equal(plan->root_gid, 0);
	assert_int_equal(plan->rootfs.view, VIEW_AS_IS);
	plan_free(plan);
}

static void test_process(void **state)
{
	(void)state;
	bad("{'process':{'args':null}}", "process: args is missing");
	bad("{'process':{'args':[]}}", "process.args: at least one word");
	bad("{'process':{'args':['']}}", "process.args[0]: ");
	bad("{'process':{'args':[1]}}", "process.args[0]: a string is wanted, this is an integer");
	bad("{'process':{'cwd':null}}", "process: cwd is missing");
	bad("{'process':{'cwd':'tmp'}}", "process.cwd: 'tmp': Cwd must be an absolute path");
	bad("{'process':{'env':['A']}}", "process.env[0]: 'A'");
	bad("{'process':{'env':['=1']}}", "process.env[0]");
	bad("{'process':{'user':{'uid':-1}}}", "process.user.uid: -1 is out of range");
	bad("{'process':{'user':{'uid':4294967295}}}", "process.user.uid: 4294967295 is out of range");
	bad("{'process':{'user':{'uid':'root'}}}", "process.user.uid: an integer is wanted");
	bad("{'process':{'user':{'uid':18446744073709551615}}}",
	    "process.user.uid: 18446744073709551615 is out of range");
	bad("{'process':{'user':{'umask':512}}}", "process.user.umask: 512 is out of range");
	bad("{'process':{'user':{'additionalGids':[1.5]}}}", "process.user.additionalGids[0]: an integer is wanted");
	bad("{'process':{'noNewPrivileges':1}}", "process.noNewPrivileges: a boolean");
	bad("{'process':{'oomScoreAdj':1001}}", "process.oomScoreAdj: 1001 is out of range");
	bad("{'process':{'terminal':true,'consoleSize':{'height':65536}}}", "process.consoleSize.height: 65536");
	struct plan *plan = good("{'process':{'args':['a','b'],'env':['A=1','B=2','A=3'],'user':{'uid':5,'gid':6,"
				 "'umask':63,'additionalGids':[7,8]},'noNewPrivileges':true,'oomScoreAdj':500,"
				 "'terminal':true,'consoleSize':{'height':10,'width':20}}}");
	assert_string_equal(plan->argv[1], "b");
	assert_null(plan->argv[2]);
	assert_string_equal(plan->env[0], "B=2");
	assert_string_equal(plan->env[1], "A=3");
	assert_null(plan->env[2]);
	assert_string_equal(plan->user, "5:6");
	assert_int_equal(plan->umask, 077);
	assert_string_equal(plan->groups[1], "8");
	assert_true(plan->no_new_privs);
	assert_int_equal(plan->oom_score_adj, 500);
	assert_true(plan->terminal);
	assert_int_equal(plan->bundle->console_columns, 20);
	plan_free(plan);
}

static void test_limits(void **state)
{
	(void)state;
	bad("{'process':{'rlimits':[{'type':'RLIMIT_FOO','soft':1,'hard':1}]}}",
	    "process.rlimits[0].type: 'RLIMIT_FOO'");
	bad("{'process':{'rlimits':[{'type':'RLIMIT_CORE','soft':1}]}}", "process.rlimits[0]: hard is missing");
	bad("{'process':{'rlimits':[{'type':'RLIMIT_CORE','soft':2,'hard':1}]}}", "process.rlimits[0]: the soft limit");
	bad("{'process':{'rlimits':[{'type':'RLIMIT_CORE','soft':-1,'hard':1}]}}",
	    "process.rlimits[0].soft: -1 is negative");
	bad("{'process':{'rlimits':[{'type':'RLIMIT_CORE','soft':0,'hard':1},{'type':'RLIMIT_CORE','soft':0,'hard':1}]}}",
	    "process.rlimits[1]: core is limited already");
	struct plan *plan =
		good("{'process':{'rlimits':[{'type':'RLIMIT_CORE','soft':0,'hard':9223372036854775808}]}}");
	assert_int_equal(plan->n_rlimits, 1);
	assert_true(plan->rlimits[0].limit.rlim_max == UINT64_C(9223372036854775808));
	plan_free(plan);
}

static void test_caps(void **state)
{
	(void)state;
	if (geteuid() != 0)
		return;
	bad("{'process':{'capabilities':{'effective':['CAP_CHOWN']}}}", "process.capabilities.effective: CAP_CHOWN");
	bad("{'process':{'capabilities':{'bounding':'ALL'}}}", "process.capabilities.bounding: an array");
	struct plan *plan =
		good("{'process':{'capabilities':{'bounding':['CAP_CHOWN','CAP_NO_SUCH'],'permitted':['CAP_CHOWN'],"
		     "'inheritable':['CAP_CHOWN'],'ambient':['CAP_CHOWN','CAP_KILL']}}}");
	assert_int_equal(plan->caps.bounding, CAP_MASK(CAP_CHOWN));
	assert_int_equal(plan->caps.ambient, CAP_MASK(CAP_CHOWN));
	assert_int_equal(plan->caps.effective, 0);
	assert_int_equal(plan->bundle->n_warnings, 2);
	assert_string_equal(plan->bundle->warnings[0],
			    "process.capabilities.bounding[1]: CAP_NO_SUCH: this kernel has no such capability");
	plan_free(plan);
}

static void test_hooks(void **state)
{
	(void)state;
	bad("{'hooks':{'createRuntime':[{'path':'x'}]}}", "hooks.createRuntime[0].path: 'x' is not absolute");
	bad("{'hooks':{'poststop':[{'path':'/x','timeout':'1'}]}}", "hooks.poststop[0].timeout: an integer is wanted");
	struct plan *plan = good("{'hooks':{'prestart':[{'path':'/a'},{'path':'/b','args':['c','d'],'env':['E=f'],"
				 "'timeout':7}],'poststop':[]}}");
	const struct plan_hooks *hooks = &plan->bundle->hooks[HOOK_PRESTART];
	assert_int_equal(hooks->n, 2);
	assert_null(hooks->hooks[0].argv);
	assert_null(hooks->hooks[0].env[0]);
	assert_int_equal(hooks->hooks[0].timeout, 0);
	assert_string_equal(hooks->hooks[1].argv[1], "d");
	assert_string_equal(hooks->hooks[1].env[0], "E=f");
	assert_int_equal(hooks->hooks[1].timeout, 7);
	assert_int_equal(plan->bundle->hooks[HOOK_POSTSTOP].n, 0);
	plan_free(plan);
}

static void test_sysctl(void **state)
{
	(void)state;
	bad("{'linux':{'sysctl':{'kernel.panic':'1'}}}", "linux.sysctl.kernel.panic: no namespace covers it");
	bad("{'linux':{'sysctl':{'net.x':'1'}}}", "linux.sysctl.net.x: it would change a network namespace");
	bad("{'domainname':'a','linux':{'sysctl':{'kernel.domainname':'b'}}}",
	    "linux.sysctl.kernel.domainname: domainname");
	struct plan *plan = good("{'linux':{'namespaces':[{'type':'mount'},{'type':'network'},{'type':'uts'}],"
				 "'sysctl':{'net.ipv4.ip_forward':'1','kernel.domainname':'d'}}}");
	assert_int_equal(plan->n_sysctls, 1);
	assert_string_equal(plan->sysctls[0].path, "net/ipv4/ip_forward");
	assert_string_equal(plan->domainname, "d");
	plan_free(plan);
}

/* exec --process: what it does not say stays. */
static void test_process_alone(void **state)
{
	json_t *json = document("{'args':['x'],'cwd':'/tmp','env':['A=b'],'user':{'uid':1,'gid':2},"
				"'rlimits':[{'type':'RLIMIT_CORE','soft':0,'hard':0}]}");
	const struct json_at at = { .value = json, .key = "process.json" };
	struct err err = ERR_INIT;

	(void)state;
	struct plan *plan =
		good("{'process':{'noNewPrivileges':true,'user':{'umask':63},'rlimits':["
		     "{'type':'RLIMIT_CORE','soft':0,'hard':1},{'type':'RLIMIT_NOFILE','soft':9,'hard':9}]}}");
	plan->caps.permitted = CAP_MASK(CAP_KILL);
	assert_int_equal(oci_plan_process(&at, plan, &err), 0);
	assert_string_equal(plan->argv[0], "x");
	assert_string_equal(plan->workdir, "/tmp");
	assert_string_equal(plan->user, "1:2");
	assert_int_equal(plan->umask, 077);
	assert_true(plan->no_new_privs);
	assert_int_equal(plan->caps.permitted, CAP_MASK(CAP_KILL));
	assert_int_equal(plan->n_rlimits, 2);
	assert_int_equal(plan->rlimits[0].limit.rlim_max, 0);
	assert_int_equal(plan->rlimits[1].limit.rlim_max, 9);
	json_decref(json);
	json = document("{'args':['x'],'cwd':'tmp'}");
	const struct json_at wrong = { .value = json, .key = "process.json" };
	assert_true(oci_plan_process(&wrong, plan, &err) < 0);
	assert_string_equal(err.message, "process.json: cwd: 'tmp': Cwd must be an absolute path");
	json_decref(json);
	plan_free(plan);
}

/* Paths and limits of another machine. */
static void adapt(json_t *config)
{
	json_t *linux_ = json_object_get(config, "linux"), *entry;
	size_t i;

	json_object_set_new(json_object_get(config, "root"), "path", json_string("rootfs"));
	json_object_del(json_object_get(config, "process"), "rlimits");
	json_array_foreach(json_object_get(linux_, "namespaces"), i, entry) json_object_del(entry, "path");
	json_array_foreach(json_object_get(config, "mounts"), i, entry)
	{
		const char *source = json_string_value(json_object_get(entry, "source"));

		if (source && *source == '/' && strncmp(source, "/dev/", 5) != 0)
			json_object_set_new(entry, "source", json_string("/etc"));
	}
}

/* What engines wrote. */
static void test_documents(void **state)
{
	const struct bundle_request request = { .id = "unit", .console_socket = "/x", .gated = true };
	glob_t found;

	(void)state;
	if (geteuid() != 0)
		return;
	assert_int_equal(glob(TEST_DATA "/oci/*-config-*.json", 0, NULL, &found), 0);
	assert_true(found.gl_pathc > 20);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		struct err err = ERR_INIT;
		struct plan *plan = NULL;
		json_t *json = NULL;

		if (json_at_load(AT_FDCWD, found.gl_pathv[i], OCI_CONFIG_MAX, "test", &json, &err) < 0)
			fail_msg("%s: %s", found.gl_pathv[i], err.message);
		adapt(json);
		if (oci_plan_document(&request, bundle, json, &plan, &err) < 0)
			fail_msg("%s: %s", found.gl_pathv[i], err.message);
		plan_free(plan);
		json_decref(json);
	}
	globfree(&found);
}

static void test_resources(void **state)
{
	struct err err = ERR_INIT;
	struct cgroup_resources got = { 0 };
	struct arena *arena = arena_new();
	json_t *json = document(
		"{'memory':{'limit':0,'swap':-1,'disableOOMKiller':false},'cpu':{'shares':1,'idle':0,'cpus':''},"
		"'pids':{'limit':5},'blockIO':{'weight':0}}");

	(void)state;
	bad("{'linux':{'resources':{'pids':{'limit':5}}}}", "linux.resources.pids.limit: --cgroup-manager=disabled");
	assert_int_equal(limits_from_oci(arena, json, "x.", true, &got, &err), 0);
	assert_int_equal(got.n, 2);
	assert_int_equal(cgroup_resources_number(&got, CGROUP_CPU_SHARES, 0), 2);
	assert_int_equal(cgroup_resources_number(&got, CGROUP_PIDS_LIMIT, 0), 5);
	/* An update may take a limit away. */
	assert_int_equal(limits_from_oci(arena, json, "x.", false, &got, &err), 0);
	assert_int_equal(cgroup_resources_number(&got, CGROUP_MEMORY_SWAP, 0), -1);
	json_decref(json);
	arena_free(arena);
}

static void test_numbers(void **state)
{
	static const struct {
		const char *text;
		bool whole;
		uint64_t value;
	} cases[] = {
		{ "0", true, 0 },
		{ "9223372036854775807", true, INT64_MAX },
		{ "9223372036854775808", true, (uint64_t)INT64_MAX + 1 },
		{ "18446744073709551615", true, UINT64_MAX },
		{ "-1", false, 0 },
		{ "1.5", false, 0 },
		{ "'18446744073709551615'", false, 0 },
	};
	struct err err = ERR_INIT;
	json_t *json;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char text[64];
		uint64_t value = 0;

		snprintf(text, sizeof(text), "[%s,'9223372036854775808 \\\\\\'']", cases[i].text);
		for (char *p = text; *p; p++)
			if (*p == '\'')
				*p = '"';
		if (json_at_parse(text, strlen(text), "test", &json, &err) < 0)
			fail_msg("%s: %s", text, err.message);
		assert_int_equal(json_is_u64(json_array_get(json, 0), &value), cases[i].whole);
		assert_true(value == cases[i].value);
		assert_string_equal(json_string_value(json_array_get(json, 1)), "9223372036854775808 \\\"");
		json_decref(json);
	}
	assert_true(json_at_parse("[18446744073709551616]", 22, "test", &json, &err) < 0);
	assert_true(json_at_parse("[9223372036854775808", 20, "test", &json, &err) < 0);
	assert_true(json_at_parse("\"9223372036854775808", 20, "test", &json, &err) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_least),	   cmocka_unit_test(test_top),
		cmocka_unit_test(test_namespaces), cmocka_unit_test(test_maps),
		cmocka_unit_test(test_process),	   cmocka_unit_test(test_limits),
		cmocka_unit_test(test_caps),	   cmocka_unit_test(test_hooks),
		cmocka_unit_test(test_sysctl),	   cmocka_unit_test(test_process_alone),
		cmocka_unit_test(test_documents),  cmocka_unit_test(test_resources),
		cmocka_unit_test(test_numbers),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
