/* SPDX-License-Identifier: Apache-2.0 */
/* oci_plan(): config.json becomes a plan, and what is wrong with it is named. Nothing is launched. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <nsrun/base/strings.h>
#include <nsrun/oci/config.h>

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
	bad("{'linux':{'namespaces':[{'type':'mount','path':'/proc/self/ns/mnt'}]}}", "none can be joined");
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_least), cmocka_unit_test(test_top),     cmocka_unit_test(test_namespaces),
		cmocka_unit_test(test_maps),  cmocka_unit_test(test_process), cmocka_unit_test(test_limits),
		cmocka_unit_test(test_caps),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
