/* SPDX-License-Identifier: Apache-2.0 */
/* state.json: plan/container.h has its format. */
#include <nsrun/plan/json_put.h>
#include <nsrun/plan/limits.h>
#include <nsrun/plan/reserve.h>
#include <nsrun/plan/seccomp_builtin.h>
#include <nsrun/plan/state.h>

#include <nsrun/base/file.h>
#include <nsrun/base/strings.h>
#include <nsrun/kernel/cgroup.h>
#include <nsrun/plan/devices.h>

#include <fcntl.h>
#include <inttypes.h>
#include <linux/sched.h>
#include <string.h>

/* Not in the headers of every C library beside <sched.h>. */
#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

#define RECORD_VERSION_ONE_SHOT 2
#define RECORD_VERSION_BUNDLE 3
#define UNDO_VERSION 3

#define ARGV_TEXT_MAX 65536 /* what state.json keeps of a long command */

/* gmtime(3) would read /etc/localtime, in every launch. Years are counted from March on, so that the leap day is the last one. */
void state_format_time(const struct timespec *time, char ret[STATE_TIME_SIZE])
{
	const int64_t days = time->tv_sec / 86400, second = time->tv_sec % 86400;
	const int64_t day = days + 719468; /* since 0000-03-01; 1970-01-01 is the 719468th */
	const int64_t era = day / 146097, of_era = day % 146097;
	const int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	const int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
	const int64_t month = (5 * of_year + 2) / 153; /* 0: March */
	const int64_t calendar = month < 10 ? month + 3 : month - 9;

	snprintf(ret, STATE_TIME_SIZE, "%04d-%02d-%02dT%02d:%02d:%02d.%09uZ",
		 (int)(era * 400 + year + (calendar <= 2)) % 10000, (int)calendar,
		 (int)(of_year - (153 * month + 2) / 5 + 1), (int)(second / 3600), (int)(second / 60 % 60),
		 (int)(second % 60), (unsigned)time->tv_nsec % 1000000000);
}

static int put_process(FILE *f, const char *name, pid_t pid, struct err *err)
{
	uint64_t start;
	int r;

	fprintf(f, ",\n \"%s\": ", name);
	if (pid <= 0) {
		fputs("null", f);
		return 0;
	}
	r = state_start_time(pid, &start, err);
	if (r < 0)
		return r;
	fprintf(f, "{\"pid\": %d, \"start\": %llu}", (int)pid, (unsigned long long)start);
	return 0;
}

static void put_namespaces(FILE *f, const struct plan *plan)
{
	static const struct {
		enum ns_kind kind;
		uint64_t flag;
		const char *name;
	} kinds[] = {
		{ NS_USER, CLONE_NEWUSER, "user" },	  { NS_PID, CLONE_NEWPID, "pid" },
		{ NS_NET, CLONE_NEWNET, "net" },	  { NS_MNT, CLONE_NEWNS, "mnt" },
		{ NS_IPC, CLONE_NEWIPC, "ipc" },	  { NS_UTS, CLONE_NEWUTS, "uts" },
		{ NS_CGROUP, CLONE_NEWCGROUP, "cgroup" }, { NS_TIME, CLONE_NEWTIME, "time" },
	};
	const uint64_t made = plan->namespaces | plan->namespaces_later;

	fputs(",\n \"namespaces\": {", f);
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		const struct plan_namespace *ns = &plan->ns[kinds[i].kind];
		const char *what = (made & kinds[i].flag) ? "new" : ns->use == NS_JOIN && ns->word ? ns->word : "host";

		fprintf(f, "%s\"%s\": ", i ? ", " : "", kinds[i].name);
		json_put_string(f, what);
	}
	fputc('}', f);
}

/* What config.json alone can say, where it does. */
static void put_settings(FILE *f, const struct plan *plan)
{
	const struct memory_policy *policy = plan->memory_policy;

	if (plan->labels.apparmor) {
		fputs(", \"apparmor\": ", f);
		json_put_string(f, plan->labels.apparmor);
	}
	if (plan->labels.selinux) {
		fputs(", \"selinux\": ", f);
		json_put_string(f, plan->labels.selinux);
	}
	if (plan->has_personality)
		fprintf(f, ", \"personality\": %lu", plan->personality);
	if (policy) {
		fprintf(f, ", \"memory_policy\": {\"mode\": %d, \"nodes\": [", policy->mode);
		for (size_t i = 0, n = 0; i < policy->nodes.bits; i++)
			if (number_set_has(&policy->nodes, i))
				fprintf(f, "%s%zu", n++ ? ", " : "", i);
		fputs("]}", f);
	}
}

/* What a further process of the container is given. */
static void put_workload(FILE *f, const struct plan *plan)
{
	fputs(",\n \"process\": {\"env\": ", f);
	json_put_strv(f, plan->env, SIZE_MAX);
	fputs(", \"cwd\": ", f);
	json_put_string(f, plan->workdir ? plan->workdir : "/");
	fputs(", \"user\": ", f);
	json_put_string(f, plan->user ? plan->user : "0:0");
	fputs(", \"groups\": ", f);
	json_put_strv(f, plan->groups, SIZE_MAX);
	fprintf(f, ", \"umask\": %u", plan->umask);
	fprintf(f,
		", \"caps\": {\"bounding\": \"0x%" PRIx64 "\", \"effective\": \"0x%" PRIx64
		"\", \"permitted\": \"0x%" PRIx64 "\", \"inheritable\": \"0x%" PRIx64 "\", \"ambient\": \"0x%" PRIx64
		"\"}",
		plan->caps.bounding, plan->caps.effective, plan->caps.permitted, plan->caps.inheritable,
		plan->caps.ambient);
	fprintf(f, ", \"no_new_privs\": %s, \"seccomp\": ", plan->no_new_privs ? "true" : "false");
	if (plan->seccomp)
		json_put_string(f, plan->seccomp_name);
	else
		fputs("null", f);
	fprintf(f, ", \"seccomp_flags\": %u, \"oom_score_adj\": ", plan->seccomp ? plan->seccomp->flags : 0);
	if (plan->has_oom_score_adj)
		fprintf(f, "%d", plan->oom_score_adj);
	else
		fputs("null", f);
	if (plan->without) {
		fputs(", \"without\": ", f);
		json_put_strv(f, plan->without, SIZE_MAX);
	}
	put_settings(f, plan);
	fputc('}', f);
}

static void put_devices(FILE *f, const struct plan *plan)
{
	char text[DEVICE_TEXT_MAX];

	if (!plan->n_devices && plan->device_filter == DEVICE_FILTER_NONE)
		return;
	fprintf(f, ",\n \"devices\": {\"filter\": \"%s\", \"rules\": [", device_filter_name(plan->device_filter));
	for (size_t i = 0; plan->device_filter != DEVICE_FILTER_NONE && i < plan->device_policy.n; i++)
		fprintf(f, "%s\"%s\"", i ? ", " : "", device_cell_text(&plan->device_policy.cells[i], text));
	fputs("], \"nodes\": [", f);
	for (size_t i = 0; i < plan->n_devices; i++) {
		fputs(i ? ", {\"source\": " : "{\"source\": ", f);
		json_put_string(f, plan->devices[i].path);
		fputs(", \"target\": ", f);
		json_put_string(f, plan->devices[i].target);
		fputc('}', f);
	}
	fputs("]}", f);
}

static void put_life(FILE *f, const struct plan *plan)
{
	fprintf(f, ",\n \"terminal\": %s", plan->terminal ? "true" : "false");
	fprintf(f, ",\n \"keeper\": %s", plan->keeper ? "true" : "false");
	fprintf(f, ",\n \"stop\": {\"signal\": %d, \"timeout\": %u}", plan->stop_signal, plan->stop_timeout);
	fprintf(f, ",\n \"log\": {\"driver\": \"%s\", \"max_size\": %" PRIu64 ", \"max_file\": %u}",
		plan->log.driver == LOG_FILE ? "file" : "none", plan->log.max_size, plan->log.max_file);
}

static void put_exit(FILE *f, bool ended, const struct state_exit *end)
{
	char now[STATE_TIME_SIZE];
	struct timespec time;

	if (!ended) {
		fputs(",\n \"exit\": null", f);
		return;
	}
	clock_gettime(CLOCK_REALTIME, &time);
	state_format_time(&time, now);
	if (!end) {
		fprintf(f, ",\n \"exit\": {\"lost\": true, \"time\": \"%s\"}", now);
		return;
	}
	fprintf(f,
		",\n \"exit\": {\"status\": %d, \"signal\": %d, \"oom_kills\": %" PRIu64 ", \"memory_limit\": %" PRIu64
		", \"forks_refused\": %" PRIu64 ", \"pids_limit\": %" PRIu64 ", \"time\": \"%s\"",
		end->status, end->signal, end->events.oom_kills, end->events.memory_limit, end->events.forks_refused,
		end->events.pids_limit, now);
	if (end->log_error) {
		fputs(", \"log_error\": ", f);
		json_put_string(f, end->log_error);
	}
	fputc('}', f);
}

/* What was asked for: linux.resources of config.json. */
static int put_resources(FILE *f, const struct plan *plan, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	json_t *json;

	if (plan->resources.n == 0) {
		fputs(",\n \"resources\": {}", f);
		return 0;
	}
	json = limits_to_json(&plan->resources);
	text = json ? json_dumps(json, JSON_COMPACT) : NULL;
	json_decref(json);
	if (!text)
		return err_oom(err);
	fprintf(f, ",\n \"resources\": %s", text);
	return 0;
}

static int put_state(FILE *f, const struct plan *plan, const struct reservation *reservation, bool ended,
		     const struct state_exit *end, struct err *err)
{
	char created[STATE_TIME_SIZE], boot[BOOT_ID_SIZE];
	int r;

	state_format_time(&reservation->created, created);
	/* An older nsrun would take a bundle's container, whose owner has ended by design, for a dead one. */
	fprintf(f, "{\"version\": %d", plan_is_bundle(plan) ? RECORD_VERSION_BUNDLE : RECORD_VERSION_ONE_SHOT);
	json_put_optional(f, "id", plan->id);
	json_put_optional(f, "name", plan->name);
	fprintf(f, ",\n \"keep\": %s", plan->keep ? "true" : "false");
	r = put_process(f, "owner", getpid(), err);
	if (r < 0)
		return r;
	/* Start times count from boot: without this one, a record that survives a boot could name a stranger. */
	json_put_optional(f, "boot_id", state_boot_id(boot) ? boot : NULL);
	r = state_put_places(f, plan, &reservation->stood, err);
	if (r == 0)
		r = put_resources(f, plan, err);
	if (r < 0)
		return r;
	json_put_optional(f, "created", created);
	json_put_optional(f, "rootfs", plan->rootfs.path ? plan->rootfs.path : plan->rootfs.source);
	json_put_map(f, "uid_map", &plan->uids);
	json_put_map(f, "gid_map", &plan->gids);
	fputs(",\n \"argv\": ", f);
	json_put_strv(f, plan->argv, ARGV_TEXT_MAX);
	put_namespaces(f, plan);
	put_workload(f, plan);
	put_devices(f, plan);
	put_life(f, plan);
	state_put_bundle(f, plan->bundle, plan->name);
	put_exit(f, ended, end);
	fputs("}\n", f);
	return 0;
}

static int write_state(int dir, const struct plan *plan, const struct reservation *reservation, bool ended,
		       const struct state_exit *end, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	struct err why = ERR_INIT;
	size_t size = 0;
	FILE *f;
	int r;

	f = open_memstream(&text, &size);
	if (!f)
		return err_oom(err);
	r = put_state(f, plan, reservation, ended, end, err);
	if (fclose(f) != 0 && r == 0)
		r = err_oom(err);
	if (r < 0)
		return r;
	r = file_replace_at(dir, "state.json", 0600, text, size, &why);
	if (r < 0)
		return err_set(err, ERR_SYSTEM, r == -ENOSPC || r == -EDQUOT ? ERR_ID_STATE_FULL : ERR_ID_NONE, -r,
			       "%s/state.json", reservation->dir);
	return 0;
}

/* A record that is little, and written once: what is to be undone has to be known also when the other one cannot be read any more,
 * by another version of nsrun, too: its own version stays 3 as long as these keys mean the same. */
static int write_undo(int dir, const struct plan *plan, const struct reservation *reservation, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	char boot[BOOT_ID_SIZE];
	size_t size = 0;
	FILE *f;

	f = open_memstream(&text, &size);
	if (!f)
		return err_oom(err);
	fprintf(f, "{\"version\": %d", UNDO_VERSION);
	json_put_optional(f, "id", plan->id);
	json_put_optional(f, "boot_id", state_boot_id(boot) ? boot : NULL);
	int r = state_put_places(f, plan, &reservation->stood, err);
	json_put_map(f, "uid_map", &plan->uids);
	json_put_map(f, "gid_map", &plan->gids);
	put_namespaces(f, plan);
	fputs(",\n \"bundle\": {\"oci_version\": ", f);
	json_put_string(f, plan->bundle->oci_version ? plan->bundle->oci_version : "");
	fputs(", \"dir\": ", f);
	json_put_string(f, plan->bundle->dir);
	state_put_rdt(f, plan->bundle, plan->name);
	fputs("}}\n", f);
	if (fclose(f) != 0 && r == 0)
		r = err_oom(err);
	return r < 0 ? r : file_replace_at(dir, "undo.json", 0600, text, size, err);
}

int state_record(const struct plan *plan, const struct reservation *reservation, struct err *err)
{
	_cleanup_close_ int dir = FD_NONE;
	int r;

	dir = open(reservation->dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	r = dir < 0 ? err_system(err, "%s", reservation->dir) : 0;
	/* A shipped profile is found again by its name; a file may have changed by the time somebody joins the container. */
	if (r == 0 && plan->seccomp && !builtin_profile_find(plan->seccomp_name))
		r = file_replace_at(dir, "filter.bpf", 0600, plan->seccomp->insns,
				    plan->seccomp->len * sizeof(*plan->seccomp->insns), err);
	if (r == 0 && plan_is_bundle(plan))
		r = write_undo(dir, plan, reservation, err);
	return r < 0 ? r : write_state(dir, plan, reservation, false, NULL, err);
}

int state_record_init(const struct reservation *reservation, pid_t init, bool created, struct err *err)
{
	uint64_t start;
	char text[64];
	int n, r;

	r = state_start_time(init, &start, err);
	if (r < 0)
		return r;
	n = snprintf(text, sizeof(text), "%d %" PRIu64 "%s\n", (int)init, start, created ? " created" : "");
	if (pwrite(reservation->lock_fd, text, (size_t)n, 0) != n)
		return err_system(err, "lock of a container's state directory: init");
	return 0;
}

int state_record_end(int dir_fd, const struct plan *plan, const struct reservation *reservation,
		     const struct state_exit *end, struct err *err)
{
	return write_state(dir_fd, plan, reservation, true, end, err);
}

int state_record_lost(int dir_fd, json_t *state, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	char now[STATE_TIME_SIZE];
	struct timespec time;

	if (json_is_object(json_object_get(state, "exit")))
		return 0; /* its end was known; what it had could not be undone then */
	clock_gettime(CLOCK_REALTIME, &time);
	state_format_time(&time, now);
	if (json_object_set_new(state, "exit", json_pack("{s:b, s:s}", "lost", 1, "time", now)) < 0)
		return err_oom(err);
	text = json_dumps(state, JSON_INDENT(1));
	if (!text)
		return err_oom(err);
	return file_replace_at(dir_fd, "state.json", 0600, text, strlen(text), err);
}

void state_end_files(int dir_fd)
{
	unlinkat(dir_fd, "control", 0);
	unlinkat(dir_fd, "filter.bpf", 0);
	unlinkat(dir_fd, "lock", 0);
}
