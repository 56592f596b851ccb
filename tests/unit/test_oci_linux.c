/* SPDX-License-Identifier: Apache-2.0 */
/* What config.json says of scheduler, processors, memory, personality, labels, resctrl and network devices: as it is read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <nsrun/kernel/lsm.h>
#include <nsrun/oci/config.h>

#include <linux/ioprio.h>
#include <linux/sched.h>
#include <string.h>
#include <sys/personality.h>

struct read {
	struct arena *arena;
	json_t *document;
	struct plan plan;
	struct plan_bundle bundle;
	struct oci_reader reader;
	struct plan_enter enter;
};

/* `process` and `linux` are the members of these objects, in JSON with ' for ". */
static int read_config(struct read *r, const char *process, const char *linux_, bool exec, struct err *err)
{
	char text[8192];
	struct json_at at;

	*err = ERR_INIT;
	*r = (struct read){ .arena = arena_new() };
	snprintf(text, sizeof(text), "{\"process\":{%s},\"linux\":{%s}}", process, linux_);
	for (char *c = text; *c; c++)
		if (*c == '\'')
			*c = '"';
	assert_int_equal(json_at_parse(text, strlen(text), "config.json", &r->document, err), 0);
	r->plan.arena = r->arena;
	r->plan.bundle = &r->bundle;
	r->plan.enter = exec ? &r->enter : NULL;
	r->reader = (struct oci_reader){
		.plan = &r->plan,
		.bundle = &r->bundle,
		.config = { .value = r->document, .key = "config.json" },
	};
	json_at_key(&r->reader.config, "linux", &r->reader.linux_);
	json_at_key(&r->reader.config, "process", &at);
	const int result = oci_read_settings(&at, &r->plan, err);
	return result < 0 ? result : oci_read_linux(&r->reader, err);
}

static void read_end(struct read *r)
{
	json_decref(r->document);
	arena_free(r->arena);
}

static void refused(const char *process, const char *linux_, const char *message)
{
	struct read r;
	struct err err;

	const int result = read_config(&r, process, linux_, false, &err);
	if (result >= 0)
		fail_msg("accepted: {%s} {%s}", process, linux_);
	if (!strstr(err.message, message))
		fail_msg("{%s} {%s}: \"%s\" is not in \"%s\"", process, linux_, message, err.message);
	read_end(&r);
}

static void schedulers(void **state)
{
	struct read r;
	struct err err;

	(void)state;
	assert_int_equal(read_config(&r,
				     "'scheduler':{'policy':'SCHED_FIFO','priority':7,"
				     "'flags':['SCHED_FLAG_RESET_ON_FORK','SCHED_FLAG_KEEP_PARAMS']}",
				     "", false, &err),
			 0);
	assert_int_equal(r.plan.scheduler->policy, SCHED_FIFO);
	assert_int_equal(r.plan.scheduler->priority, 7);
	assert_true(r.plan.scheduler->flags == (SCHED_FLAG_RESET_ON_FORK | SCHED_FLAG_KEEP_PARAMS));
	read_end(&r);
	assert_int_equal(read_config(&r, "'scheduler':{'policy':'SCHED_BATCH','nice':-3}", "", false, &err), 0);
	assert_int_equal(r.plan.scheduler->policy, SCHED_BATCH);
	assert_int_equal(r.plan.scheduler->nice, -3);
	read_end(&r);
	assert_int_equal(read_config(&r,
				     "'scheduler':{'policy':'SCHED_DEADLINE','runtime':10000000,'deadline':20000000,"
				     "'period':30000000,'flags':['SCHED_FLAG_RECLAIM']}",
				     "", false, &err),
			 0);
	assert_int_equal(r.plan.scheduler->policy, SCHED_DEADLINE);
	assert_true(r.plan.scheduler->runtime == 10000000 && r.plan.scheduler->deadline == 20000000 &&
		    r.plan.scheduler->period == 30000000);
	read_end(&r);
	assert_int_equal(read_config(&r, "'scheduler':null", "", false, &err), 0);
	assert_null(r.plan.scheduler);
	read_end(&r);

	refused("'scheduler':7", "", "config.json: process.scheduler: an object is wanted, this is an integer");
	refused("'scheduler':{}", "", "config.json: process.scheduler: \"policy\" is missing");
	refused("'scheduler':{'policy':'SCHED_OTHE'}", "", "process.scheduler.policy: 'SCHED_OTHE' is unknown");
	refused("'scheduler':{'policy':'SCHED_ISO'}", "", "process.scheduler.policy: Linux has reserved");
	refused("'scheduler':{'policy':'SCHED_OTHER','nice':20}", "", "process.scheduler.nice: 20 is out of range");
	refused("'scheduler':{'policy':'SCHED_OTHER','priority':1}", "", "process.scheduler.priority: SCHED_OTHER has");
	refused("'scheduler':{'policy':'SCHED_RR'}", "", "process.scheduler: SCHED_RR takes a priority");
	refused("'scheduler':{'policy':'SCHED_RR','priority':100}", "", "process.scheduler.priority: SCHED_RR takes");
	refused("'scheduler':{'policy':'SCHED_IDLE','period':1}", "", "are of SCHED_DEADLINE");
	refused("'scheduler':{'policy':'SCHED_DEADLINE','runtime':3,'deadline':2}", "", "takes a runtime above 0");
	refused("'scheduler':{'policy':'SCHED_OTHER','flags':['SCHED_FLAG_RECLAIM','X']}", "",
		"process.scheduler.flags[1]: 'X' is");
	refused("'scheduler':{'policy':'SCHED_OTHER','flags':['SCHED_FLAG_UTIL_CLAMP_MIN']}", "",
		"process.scheduler.flags[0]: SCHED_FLAG_UTIL_CLAMP_MIN goes with");
	refused("'scheduler':{'policy':'SCHED_OTHER','flags':'X'}", "", "process.scheduler.flags: an array is wanted");
}

static void deadlines_and_hooks(void **state)
{
	static const struct plan_hook hook = { .path = "/bin/true" };
	struct read r;
	struct err err;

	(void)state;
	assert_int_equal(read_config(&r, "'scheduler':{'policy':'SCHED_DEADLINE','runtime':1000000,'deadline':1000000}",
				     "", false, &err),
			 0);
	r.bundle.hooks[HOOK_START_CONTAINER] = (struct plan_hooks){ .n = 1, .hooks = &hook };
	assert_true(oci_read_linux(&r.reader, &err) < 0);
	assert_non_null(strstr(err.message, "hooks.startContainer"));
	read_end(&r);
}

static void io_priorities(void **state)
{
	struct read r;
	struct err err;

	(void)state;
	assert_int_equal(read_config(&r, "'ioPriority':{'class':'IOPRIO_CLASS_IDLE','priority':0}", "", false, &err),
			 0);
	assert_int_equal(r.plan.io_priority->class, IOPRIO_CLASS_IDLE);
	read_end(&r);
	assert_int_equal(read_config(&r, "'ioPriority':{'class':'IOPRIO_CLASS_RT','priority':7}", "", false, &err), 0);
	assert_int_equal(r.plan.io_priority->class, IOPRIO_CLASS_RT);
	assert_int_equal(r.plan.io_priority->level, 7);
	read_end(&r);
	refused("'ioPriority':{'priority':0}", "", "process.ioPriority: \"class\" is missing");
	refused("'ioPriority':{'class':'IOPRIO_CLASS_BEST'}", "", "process.ioPriority.class: 'IOPRIO_CLASS_BEST'");
	refused("'ioPriority':{'class':'IOPRIO_CLASS_BE','priority':8}", "", "process.ioPriority.priority: 8 is out");
}

static void processors(void **state)
{
	struct read r;
	struct err err;

	(void)state;
	assert_int_equal(read_config(&r, "'execCPUAffinity':{'initial':'0','final':'1-2,66'}", "", true, &err), 0);
	assert_int_equal(r.plan.exec_affinity->initial.words[0], 1);
	assert_int_equal(r.plan.exec_affinity->final.words[0], 6);
	assert_int_equal(r.plan.exec_affinity->final.words[1], 4);
	read_end(&r);
	/* It is not for the container's first process, and an empty list says nothing. */
	assert_int_equal(read_config(&r, "'execCPUAffinity':{'initial':'0'}", "", false, &err), 0);
	assert_null(r.plan.exec_affinity);
	read_end(&r);
	assert_int_equal(read_config(&r, "'execCPUAffinity':{'initial':'','final':''}", "", true, &err), 0);
	assert_null(r.plan.exec_affinity);
	read_end(&r);
	for (const char *const *bad = (const char *const[]){ "x", "0-", "-1", "1,", ",1", "3-1", "8192", "1 2",
							     "99999999999999999999", NULL };
	     *bad; bad++) {
		char text[128];

		snprintf(text, sizeof(text), "'execCPUAffinity':{'final':'%s'}", *bad);
		refused(text, "", "process.execCPUAffinity.final: ");
	}
}

static void labels(void **state)
{
	struct read r;
	struct err err;

	(void)state;
	assert_int_equal(read_config(&r, "'apparmorProfile':'','selinuxLabel':''", "'mountLabel':''", false, &err), 0);
	assert_null(r.plan.labels.apparmor);
	assert_null(r.plan.labels.selinux);
	read_end(&r);
	refused("'apparmorProfile':3", "", "process.apparmorProfile: a string is wanted");
	if (!lsm_enabled(LSM_APPARMOR)) {
		refused("'apparmorProfile':'docker-default'", "",
			"process.apparmorProfile: 'docker-default': AppArmor is not active on this host");
		assert_int_equal(read_config(&r, "'apparmorProfile':'unconfined'", "", false, &err), 0);
		read_end(&r);
	}
	if (!lsm_enabled(LSM_SELINUX)) {
		refused("'selinuxLabel':'a:b:c:s0'", "", "process.selinuxLabel: 'a:b:c:s0': SELinux is not active");
		refused("", "'mountLabel':'a:b:c:s0'", "linux.mountLabel: 'a:b:c:s0': SELinux is not active");
	}
}

static void network_devices(void **state)
{
	struct read r;
	struct err err;

	(void)state;
	assert_int_equal(
		read_config(&r, "", "'netDevices':{'eth0':{},'eth1':{'name':'net%d'},'eth2':{'name':''}}", false, &err),
		0);
	assert_int_equal(r.bundle.n_netdevs, 3);
	for (size_t i = 0; i < 3; i++) {
		const struct bundle_netdev *d = &r.bundle.netdevs[i];

		assert_string_equal(d->name, strcmp(d->host_name, "eth1") ? d->host_name : "net%d");
	}
	read_end(&r);
	refused("", "'netDevices':[]", "linux.netDevices: an object is wanted");
	refused("", "'netDevices':{'eth0':'x'}", "linux.netDevices.eth0: an object is wanted");
	refused("", "'netDevices':{'a/b':{}}", "linux.netDevices.a/b: this is no name");
	refused("", "'netDevices':{'e%d':{}}", "linux.netDevices.e%d: this is no name");
	refused("", "'netDevices':{'':{}}", "this is no name");
	refused("", "'netDevices':{'sixteen-letters-':{}}", "this is no name");
	refused("", "'netDevices':{'eth0':{'name':'a%s'}}", "linux.netDevices.eth0.name: 'a%s' is no name");
	refused("", "'netDevices':{'eth0':{'name':'a%d%d'}}", "is no name");
	refused("", "'netDevices':{'eth0':{'name':'..'}}", "is no name");
	refused("", "'netDevices':{'eth0':{'name':'x'},'eth1':{'name':'x'}}", "would both be called x");

	assert_int_equal(read_config(&r, "", "", false, &err), 0);
	read_end(&r);
}

static void rdt(void **state)
{
	struct read r;
	struct err err;

	(void)state;
	assert_int_equal(read_config(&r, "",
				     "'intelRdt':{'closID':'gold','l3CacheSchema':'L3:0=ff\\nMB:0=1','memBwSchema':"
				     "'MB:0=20','schemata':['L2:0=f','L3CODE:0=1\\nX:0=2'],'enableMonitoring':true}",
				     false, &err),
			 0);
	assert_string_equal(r.bundle.rdt->clos_id, "gold");
	assert_true(r.bundle.rdt->monitoring);
	assert_string_equal(r.bundle.rdt->schemata[0], "L3:0=ff");
	assert_string_equal(r.bundle.rdt->schemata[1], "MB:0=20");
	assert_string_equal(r.bundle.rdt->schemata[2], "L2:0=f");
	assert_string_equal(r.bundle.rdt->schemata[3], "L3CODE:0=1");
	assert_string_equal(r.bundle.rdt->schemata[4], "X:0=2");
	assert_null(r.bundle.rdt->schemata[5]);
	read_end(&r);
	/* Without memBwSchema the lines of l3CacheSchema are written as they are. */
	assert_int_equal(read_config(&r, "", "'intelRdt':{'l3CacheSchema':'MB:0=1','enableCMT':true}", false, &err), 0);
	assert_null(r.bundle.rdt->clos_id);
	assert_string_equal(r.bundle.rdt->schemata[0], "MB:0=1");
	assert_true(r.bundle.rdt->monitoring);
	read_end(&r);
	assert_int_equal(read_config(&r, "", "'intelRdt':{'closID':'/'}", false, &err), 0);
	assert_string_equal(r.bundle.rdt->clos_id, "/");
	assert_null(r.bundle.rdt->schemata);
	read_end(&r);
	refused("", "'intelRdt':[]", "linux.intelRdt: an object");
	refused("", "'intelRdt':{'closID':'a/b'}", "linux.intelRdt.closID: 'a/b' is no name of a group");
	refused("", "'intelRdt':{'closID':'..'}", "linux.intelRdt.closID: ");
	refused("", "'intelRdt':{'closID':'info'}", "linux.intelRdt.closID: ");
	refused("", "'intelRdt':{'memBwSchema':'L3:0=1'}", "linux.intelRdt.memBwSchema: it is one line");
	refused("", "'intelRdt':{'memBwSchema':'MB:0=1\\nMB:1=1'}", "linux.intelRdt.memBwSchema: it is one line");
	refused("", "'intelRdt':{'schemata':'L3:0=1'}", "linux.intelRdt.schemata: an array");
	refused("", "'intelRdt':{'schemata':['x']}", "linux.intelRdt.schemata[0]: 'x' is no line");
}

static void memory_policies(void **state)
{
	struct read r;
	struct err err;

	(void)state;
	assert_int_equal(
		read_config(&r, "",
			    "'memoryPolicy':{'mode':'MPOL_BIND','nodes':'0-1,3','flags':['MPOL_F_STATIC_NODES',"
			    "'MPOL_F_NUMA_BALANCING']}",
			    false, &err),
		0);
	assert_int_equal(r.plan.memory_policy->mode, 2 | 1 << 15 | 1 << 13);
	assert_int_equal(r.plan.memory_policy->nodes.words[0], 0xb);
	read_end(&r);
	assert_int_equal(read_config(&r, "", "'memoryPolicy':{'mode':'MPOL_LOCAL','nodes':''}", false, &err), 0);
	assert_int_equal(r.plan.memory_policy->mode, 4);
	assert_null(r.plan.memory_policy->nodes.words);
	read_end(&r);
	assert_int_equal(
		read_config(&r, "", "'memoryPolicy':{'mode':'MPOL_WEIGHTED_INTERLEAVE','nodes':'0'}", false, &err), 0);
	assert_int_equal(r.plan.memory_policy->mode, 6);
	read_end(&r);
	refused("", "'memoryPolicy':{'nodes':'0'}", "linux.memoryPolicy: \"mode\" is missing");
	refused("", "'memoryPolicy':{'mode':'MPOL_BIN','nodes':'0'}", "linux.memoryPolicy.mode: 'MPOL_BIN' is unknown");
	refused("", "'memoryPolicy':{'mode':'MPOL_BIND'}", "linux.memoryPolicy: this mode takes \"nodes\"");
	refused("", "'memoryPolicy':{'mode':'MPOL_LOCAL','nodes':'0'}", "linux.memoryPolicy.nodes: ");
	refused("", "'memoryPolicy':{'mode':'MPOL_BIND','nodes':'1024'}", "linux.memoryPolicy.nodes: '1024'");
	refused("", "'memoryPolicy':{'mode':'MPOL_BIND','nodes':'0','flags':['MPOL_F_X']}",
		"linux.memoryPolicy.flags[0]: ");
	refused("",
		"'memoryPolicy':{'mode':'MPOL_BIND','nodes':'0','flags':['MPOL_F_STATIC_NODES','MPOL_F_RELATIVE_NODES']"
		"}",
		"linux.memoryPolicy.flags: ");
}

static void personalities(void **state)
{
	struct read r;
	struct err err;

	(void)state;
	assert_int_equal(read_config(&r, "", "'personality':{'domain':'LINUX32','flags':[]}", false, &err), 0);
	assert_true(r.plan.has_personality);
	assert_int_equal(r.plan.personality, PER_LINUX32);
	read_end(&r);
	assert_int_equal(read_config(&r, "", "'personality':{'domain':'LINUX'}", false, &err), 0);
	assert_true(r.plan.has_personality);
	assert_int_equal(r.plan.personality, PER_LINUX);
	read_end(&r);
	refused("", "'personality':{}", "linux.personality: \"domain\" is missing");
	refused("", "'personality':{'domain':'SVR4'}", "linux.personality.domain: 'SVR4'");
	refused("", "'personality':{'domain':'LINUX','flags':['X']}", "linux.personality.flags: ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(schedulers),	 cmocka_unit_test(deadlines_and_hooks),
		cmocka_unit_test(io_priorities), cmocka_unit_test(processors),
		cmocka_unit_test(labels),	 cmocka_unit_test(network_devices),
		cmocka_unit_test(rdt),		 cmocka_unit_test(memory_policies),
		cmocka_unit_test(personalities),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
