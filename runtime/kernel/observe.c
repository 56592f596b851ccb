/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/kernel/observe.h>

#include <nsrun/base/file.h>
#include <nsrun/base/procstat.h>
#include <nsrun/base/strings.h>
#include <nsrun/kernel/caps.h>
#include <nsrun/kernel/rlimit.h>

#include <ctype.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/nsfs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#define FILE_MAX_SIZE ((size_t)16 << 20)

int observe_file(pid_t pid, const char *name, char **ret, struct err *err)
{
	char path[PATH_MAX];
	size_t size;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	return file_read_virtual_at(AT_FDCWD, path, FILE_MAX_SIZE, ret, &size, err);
}

static int open_ns(pid_t pid, const char *name, int *ret, struct err *err)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, name);
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_system(err, "%s", path);
	*ret = fd;
	return 0;
}

static int inode_of(int fd, const char *name, ino_t *ret, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_system(err, "%s namespace", name);
	*ret = st.st_ino;
	return 0;
}

int observe_ns_inode(pid_t pid, const char *name, ino_t *ret, struct err *err)
{
	_cleanup_close_ int fd = FD_NONE;

	const int r = open_ns(pid, name, &fd, err);
	return r < 0 ? r : inode_of(fd, name, ret, err);
}

/* ---- namespaces ---- */

static int read_ns(pid_t pid, const struct observe_term *term, FILE *out, struct err *err)
{
	_cleanup_close_ int fd = FD_NONE, owner = FD_NONE;
	const char *name = term->property->name;
	ino_t inode;

	int r = open_ns(pid, name, &fd, err);
	if (r < 0)
		return r;
	if (term->more) {
		/* ioctl_ns(2): EPERM where the owner is outside of this process' own user namespace. */
		owner = ioctl(fd, streq(name, "user") ? NS_GET_PARENT : NS_GET_USERNS);
		if (owner < 0)
			return err_system(err, "%s namespace of process %d: its owner", name, (int)pid);
	}
	r = inode_of(owner >= 0 ? owner : fd, name, &inode, err);
	if (r == 0)
		fprintf(out, "%ju", (uintmax_t)inode);
	return r;
}

/* ---- /proc/PID/status ---- */

/* The value of a line "KEY:\tVALUE", which is cut off in place; NULL: there is none. */
static char *status_value(char *text, const char *key)
{
	const size_t len = strlen(key);

	for (char *line = text; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
		if (strncmp(line, key, len) != 0 || line[len] != ':')
			continue;
		char *value = line + len + 1;

		value[strcspn(value, "\n")] = '\0';
		return value + strspn(value, " \t");
	}
	return NULL;
}

static int read_status(pid_t pid, const char *key, char **ret_memory, char **ret, struct err *err)
{
	const int r = observe_file(pid, "status", ret_memory, err);

	if (r < 0)
		return r;
	*ret = status_value(*ret_memory, key);
	if (!*ret)
		return err_set(err, ERR_SYSTEM, ERR_ID_NONE, ENODATA, "/proc/%d/status: %s", (int)pid, key);
	return 0;
}

static int read_no_new_privs(pid_t pid, const struct observe_term *term, FILE *out, struct err *err)
{
	_cleanup_free_ char *memory = NULL;
	char *value;

	(void)term;
	const int r = read_status(pid, "NoNewPrivs", &memory, &value, err);
	if (r == 0)
		fputs(value, out);
	return r;
}

static int read_seccomp(pid_t pid, const struct observe_term *term, FILE *out, struct err *err)
{
	_cleanup_free_ char *memory = NULL;
	char *value;

	(void)term;
	const int r = read_status(pid, "Seccomp", &memory, &value, err);
	if (r == 0)
		fputs(value, out);
	return r;
}

static int read_process(pid_t pid, const struct observe_term *term, FILE *out, struct err *err)
{
	_cleanup_free_ char *memory = NULL;
	char *value;

	if (!term->more) {
		fprintf(out, "%d", (int)pid);
		return 0;
	}
	const int r = read_status(pid, "NSpid", &memory, &value, err);
	if (r < 0)
		return r;
	/* From this procfs' namespace inwards: proc_pid_status(5). */
	const char *last = strrchr(value, '\t');
	fputs(last ? last + 1 : value, out);
	return 0;
}

/* An id as the process' own user namespace numbers it: by its map, which is shown with ours outside. */
static int id_inside(pid_t pid, const char *map_name, uint32_t id, FILE *out, struct err *err)
{
	_cleanup_free_ char *map = NULL;
	char *save = NULL;

	const int r = observe_file(pid, map_name, &map, err);
	if (r < 0)
		return r;
	for (char *line = strtok_r(map, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		uint32_t in, outside, count;

		if (sscanf(line, "%" SCNu32 " %" SCNu32 " %" SCNu32, &in, &outside, &count) == 3 && id >= outside &&
		    id - outside < count) {
			fprintf(out, "%" PRIu32, in + (id - outside));
			return 0;
		}
	}
	fputs("none", out);
	return 0;
}

static int read_id(pid_t pid, const struct observe_term *term, FILE *out, struct err *err)
{
	const bool gid = term->property->name[0] == 'g';
	_cleanup_free_ char *memory = NULL;
	uint32_t real, effective;
	char *value;

	const int r = read_status(pid, gid ? "Gid" : "Uid", &memory, &value, err);
	if (r < 0)
		return r;
	if (sscanf(value, "%" SCNu32 " %" SCNu32, &real, &effective) != 2)
		return err_set(err, ERR_SYSTEM, ERR_ID_NONE, ENODATA, "/proc/%d/status: %s", (int)pid, value);
	if (term->more)
		return id_inside(pid, gid ? "gid_map" : "uid_map", effective, out, err);
	fprintf(out, "%" PRIu32, effective);
	return 0;
}

static int compare_words(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int read_caps(pid_t pid, const struct observe_term *term, FILE *out, struct err *err)
{
	static const char *const keys[][2] = {
		{ "eff", "CapEff" }, { "bnd", "CapBnd" }, { "prm", "CapPrm" }, { "inh", "CapInh" }, { "amb", "CapAmb" }
	};
	_cleanup_free_ char *memory = NULL;
	const char *names[64];
	char *value = NULL;
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (streq(keys[i][0], term->more)) {
			const int r = read_status(pid, keys[i][1], &memory, &value, err);

			if (r < 0)
				return r;
		}
	const uint64_t mask = value ? strtoull(value, NULL, 16) : 0;
	for (unsigned cap = 0; cap < 64; cap++)
		if (mask & UINT64_C(1) << cap && caps_name(cap))
			names[n++] = caps_name(cap);
	qsort(names, n, sizeof(names[0]), compare_words);
	for (size_t i = 0; i < n; i++)
		fprintf(out, "%s%s", i ? " " : "", names[i]);
	return 0;
}

/* ---- other files of /proc/PID ---- */

/* Lines joined by ";", runs of blanks become one. */
static void put_lines(char *text, FILE *out)
{
	char *lines = NULL, *words = NULL;
	bool first_line = true;

	for (char *line = strtok_r(text, "\n", &lines); line; line = strtok_r(NULL, "\n", &lines)) {
		bool first_word = true;

		if (!first_line)
			fputc(';', out);
		first_line = false;
		for (char *word = strtok_r(line, " \t", &words); word; word = strtok_r(NULL, " \t", &words)) {
			fprintf(out, "%s%s", first_word ? "" : " ", word);
			first_word = false;
		}
	}
}

/* Of a property that is called like its file. */
static int read_lines(pid_t pid, const struct observe_term *term, FILE *out, struct err *err)
{
	_cleanup_free_ char *text = NULL;

	const int r = observe_file(pid, term->property->name, &text, err);
	if (r == 0)
		put_lines(text, out);
	return r;
}

static int read_label(pid_t pid, const struct observe_term *term, FILE *out, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	struct err ignored = ERR_INIT;

	(void)term;
	const int r = observe_file(pid, "attr/current", &text, &ignored);
	if (r == -EINVAL || r == -ENOENT) { /* no security module has labels */
		fputs("none", out);
		return 0;
	}
	if (r < 0) {
		*err = ignored;
		return r;
	}
	text[strcspn(text, "\n")] = '\0';
	fputs(*text ? text : "none", out);
	return 0;
}

static int read_offset(pid_t pid, const struct observe_term *term, FILE *out, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	char *save = NULL;

	const int r = observe_file(pid, "timens_offsets", &text, err);
	if (r < 0)
		return r;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char clock[16];
		int64_t seconds;

		if (sscanf(line, "%15s %" SCNd64, clock, &seconds) == 2 && streq(clock, term->property->name)) {
			fprintf(out, "%" PRId64, seconds);
			return 0;
		}
	}
	fputs("none", out);
	return 0;
}

static int read_fds(pid_t pid, const struct observe_term *term, FILE *out, struct err *err)
{
	_cleanup_closedir_ DIR *dir = NULL;
	char path[64];
	unsigned n = 0;

	(void)term;
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	if (!dir)
		return err_system(err, "%s", path);
	for (const struct dirent *entry; (entry = readdir(dir));)
		n += isdigit((unsigned char)entry->d_name[0]) != 0;
	fprintf(out, "%u", n);
	return 0;
}

static void put_limit(rlim_t limit, FILE *out)
{
	if (limit == RLIM_INFINITY)
		fputs("max", out);
	else
		fprintf(out, "%ju", (uintmax_t)limit);
}

static int read_limit(pid_t pid, const struct observe_term *term, FILE *out, struct err *err)
{
	struct rlimit limit;

	for (int resource = 0; resource < RLIM_NLIMITS; resource++) {
		const char *name = rlimit_name(resource);

		if (!name || !streq(name, term->argument))
			continue;
		if (prlimit(pid, (enum __rlimit_resource)resource, NULL, &limit) < 0)
			return err_system(err, "limit %s of process %d", name, (int)pid);
		put_limit(term->more ? limit.rlim_max : limit.rlim_cur, out);
		return 0;
	}
	return err_input(err, "limit:%s: there is no such resource limit (getrlimit(2))", term->argument);
}

/* ---- processes ---- */

static int compare_pids(const void *a, const void *b)
{
	return *(const pid_t *)a < *(const pid_t *)b ? -1 : *(const pid_t *)a > *(const pid_t *)b;
}

int observe_processes(pid_t pid, int (*each)(pid_t pid, void *data), void *data, struct err *err)
{
	_cleanup_closedir_ DIR *dir = opendir("/proc");
	_cleanup_free_ pid_t *list = NULL;
	size_t n = 0, room = 0;
	ino_t wanted;

	int r = observe_ns_inode(pid, "pid", &wanted, err);
	if (r < 0)
		return r;
	if (!dir)
		return err_system(err, "/proc");
	for (const struct dirent *entry; (entry = readdir(dir));) {
		uint32_t other;
		ino_t inode;

		if (parse_u32(entry->d_name, &other) < 0 || observe_ns_inode((pid_t)other, "pid", &inode, NULL) < 0 ||
		    inode != wanted)
			continue;
		if (n == room) {
			room = room ? room * 2 : 64;
			pid_t *more = reallocarray(list, room, sizeof(*list));
			if (!more)
				return err_oom(err);
			list = more;
		}
		list[n++] = (pid_t)other;
	}
	if (list)
		qsort(list, n, sizeof(*list), compare_pids);
	for (size_t i = 0; i < n; i++) {
		r = each(list[i], data);
		if (r != 0)
			return r;
	}
	return 0;
}

struct comms {
	char (*names)[64];
	size_t n, room;
	unsigned zombies;
	const char *wanted;
	pid_t found;
};

static int take_comm(pid_t pid, void *data)
{
	struct comms *comms = data;
	struct procstat stat;

	if (procstat_read(pid, &stat, NULL) < 0)
		return 0; /* it has ended */
	comms->zombies += stat.state == 'Z';
	if (comms->wanted && stat.state != 'Z' && streq(stat.comm, comms->wanted)) {
		comms->found = pid;
		return 1;
	}
	if (comms->n == comms->room) {
		comms->room = comms->room ? comms->room * 2 : 64;
		void *more = reallocarray(comms->names, comms->room, sizeof(comms->names[0]));
		if (!more)
			return -ENOMEM;
		comms->names = more;
	}
	for (char *c = stat.comm; *c; c++) /* a name is one word of the set */
		if (isspace((unsigned char)*c))
			*c = '_';
	memcpy(comms->names[comms->n++], stat.comm, sizeof(stat.comm));
	return 0;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(a, b);
}

static int read_processes(pid_t pid, const struct observe_term *term, FILE *out, struct err *err)
{
	struct comms comms = { 0 };

	int r = observe_processes(pid, take_comm, &comms, err);
	if (r == -ENOMEM)
		r = err_oom(err);
	if (r == 0 && streq(term->property->name, "zombies"))
		fprintf(out, "%u", comms.zombies);
	else if (r == 0 && comms.n) {
		qsort(comms.names, comms.n, sizeof(comms.names[0]), compare_names);
		for (size_t i = 0; i < comms.n; i++)
			fprintf(out, "%s%s", i ? " " : "", comms.names[i]);
	}
	free(comms.names);
	return r;
}

int observe_find(pid_t pid, const char *comm, pid_t *ret, struct err *err)
{
	struct comms comms = { .wanted = comm };

	const int r = observe_processes(pid, take_comm, &comms, err);
	free(comms.names);
	if (r < 0)
		return r == -ENOMEM ? err_oom(err) : r;
	if (!comms.found)
		return err_set(err, ERR_SYSTEM, ERR_ID_NONE, ESRCH, "process %s in the pid namespace of process %d",
			       comm, (int)pid);
	*ret = comms.found;
	return 0;
}

/* ---- the table ---- */

static const char *const owner[] = { "owner", NULL };
static const char *const inner[] = { "inner", NULL };
static const char *const cap_kinds[] = { "eff", "bnd", "prm", "inh", "amb", NULL };
static const char *const options[] = { "options", NULL };
static const char *const attributes[] = { "uid", "gid", "mode", "size", "text", NULL };
static const char *const peers[] = { "peers", NULL };
static const char *const hard[] = { "hard", NULL };

#define NAMESPACE(word)                                                                                \
	{                                                                                              \
		word, OBSERVE_NUMBER, false, false, owner, "the " word " namespace, by inode", read_ns \
	}

const struct observe_property observe_properties[] = {
	NAMESPACE("uts"),
	NAMESPACE("ipc"),
	NAMESPACE("mnt"),
	NAMESPACE("pid"),
	NAMESPACE("net"),
	NAMESPACE("user"),
	NAMESPACE("cgroup"),
	NAMESPACE("time"),
	{ "hostname", OBSERVE_TEXT, false, false, NULL, "of its UTS namespace", observe_hostname },
	{ "domainname", OBSERVE_TEXT, false, false, NULL, "of its UTS namespace", observe_domainname },
	{ "process", OBSERVE_NUMBER, false, false, inner, "its pid here; in its own pid namespace", read_process },
	{ "uid", OBSERVE_NUMBER, false, false, inner, "effective user id here; in its own user namespace", read_id },
	{ "gid", OBSERVE_NUMBER, false, false, inner, "effective group id here; in its own user namespace", read_id },
	{ "uid_map", OBSERVE_TEXT, false, false, NULL, "lines joined by ;", read_lines },
	{ "gid_map", OBSERVE_TEXT, false, false, NULL, "lines joined by ;", read_lines },
	{ "setgroups", OBSERVE_TEXT, false, false, NULL, "allow or deny", read_lines },
	{ "caps", OBSERVE_SET, false, true, cap_kinds, "a capability set", read_caps },
	{ "no_new_privs", OBSERVE_NUMBER, false, false, NULL, "0 or 1", read_no_new_privs },
	{ "seccomp", OBSERVE_NUMBER, false, false, NULL, "0: none, 1: strict, 2: a filter", read_seccomp },
	{ "processes", OBSERVE_SET, false, false, NULL, "names of all in its pid namespace", read_processes },
	{ "zombies", OBSERVE_NUMBER, false, false, NULL, "how many of them nobody has waited for", read_processes },
	{ "mount", OBSERVE_TEXT, true, false, options, "type of the file system mounted exactly there", observe_mount },
	{ "propagation", OBSERVE_TEXT, true, false, NULL, "of the mount there: private, shared, slave",
	  observe_propagation },
	{ "file", OBSERVE_TEXT, true, false, attributes, "type of what is there", observe_path },
	{ "links", OBSERVE_SET, false, false, peers, "network devices", observe_links },
	{ "link", OBSERVE_TEXT, true, false, NULL, "up, down or none", observe_link },
	{ "addresses", OBSERVE_SET, false, false, NULL, "DEVICE:ADDRESS/PREFIX", observe_addresses },
	{ "cgroup.path", OBSERVE_TEXT, false, false, NULL, "its control group", observe_cgroup_path },
	{ "cgroup", OBSERVE_TEXT, true, false, NULL, "a file of its control group, by its v2 name",
	  observe_cgroup_file },
	{ "oom_kills", OBSERVE_NUMBER, false, false, NULL, "processes of its group that were killed for want of memory",
	  observe_oom_kills },
	{ "boottime", OBSERVE_NUMBER, false, false, NULL, "offset of its time namespace, seconds", read_offset },
	{ "monotonic", OBSERVE_NUMBER, false, false, NULL, "offset of its time namespace, seconds", read_offset },
	{ "sysctl", OBSERVE_TEXT, true, false, NULL, "a file of /proc/sys as its namespaces have it", observe_sysctl },
	{ "fds", OBSERVE_NUMBER, false, false, NULL, "open descriptors", read_fds },
	{ "label", OBSERVE_TEXT, false, false, NULL, "of the security module", read_label },
	{ "oom_score_adj", OBSERVE_NUMBER, false, false, NULL, "", read_lines },
	{ "limit", OBSERVE_NUMBER, true, false, hard, "a resource limit", read_limit },
};
const size_t observe_properties_count = ARRAY_LEN(observe_properties);

static const struct observe_property *find_property(const char *name, size_t len, bool argument)
{
	for (size_t i = 0; i < observe_properties_count; i++) {
		const struct observe_property *p = &observe_properties[i];

		if (strlen(p->name) == len && memcmp(p->name, name, len) == 0 && p->argument == argument)
			return p;
	}
	return NULL;
}

static bool is_one_of(const char *word, const char *const *list)
{
	for (; list && *list; list++)
		if (streq(*list, word))
			return true;
	return false;
}

static int unknown(const char *text, size_t len, struct err *err)
{
	const char *names[ARRAY_LEN(observe_properties) + 1] = { NULL };
	_cleanup_free_ char *word = strndup(text, len);

	for (size_t i = 0; i < observe_properties_count; i++)
		names[i] = observe_properties[i].name;
	const char *near = word ? nearest_word(word, names) : NULL;
	return err_input(err, "%s: there is no such property%s%s", text, near ? "; did you mean " : "",
			 near ? near : "");
}

int observe_parse(const char *text, struct observe_term *ret, struct err *err)
{
	const char *colon = strchr(text, ':');
	struct observe_term term = { 0 };
	size_t len = colon ? (size_t)(colon - text) : strlen(text);

	term.property = find_property(text, len, colon != NULL);
	if (!term.property && !colon) {
		const char *dot = strrchr(text, '.');

		len = dot ? (size_t)(dot - text) : len;
		term.property = find_property(text, len, false);
	}
	if (!term.property)
		return unknown(text, len, err);
	term.memory = strdup(text);
	if (!term.memory)
		return err_oom(err);
	char *rest = term.memory + len;
	if (colon) {
		char *dot = strrchr(rest + 1, '.');

		term.argument = rest + 1;
		if (dot && is_one_of(dot + 1, term.property->more)) {
			*dot = '\0';
			term.more = dot + 1;
		}
	} else if (*rest == '.') {
		term.more = rest + 1;
	}
	int r = 0;
	if (colon && !*term.argument)
		r = err_input(err, "%s: something is wanted behind the colon", text);
	else if (term.more && !is_one_of(term.more, term.property->more))
		r = err_input(err, "%s: there is no .%s of it", text, term.more);
	else if (!term.more && term.property->more_needed)
		r = err_input(err, "%s: .%s or another one is wanted behind it", text, term.property->more[0]);
	if (r < 0) {
		free(term.memory);
		return r;
	}
	*ret = term;
	return 0;
}

void observe_term_done(struct observe_term *term)
{
	free(term->memory);
	*term = (struct observe_term){ 0 };
}

int observe(pid_t pid, const struct observe_term *term, char **ret, struct err *err)
{
	char *text = NULL;
	size_t size = 0;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	if (access(path, F_OK) < 0)
		return err_set(err, ERR_SYSTEM, ERR_ID_NONE, ESRCH, "process %d", (int)pid);
	FILE *out = open_memstream(&text, &size);
	if (!out)
		return err_oom(err);
	int r = term->property->read(pid, term, out, err);
	if (fclose(out) != 0 && r == 0)
		r = err_oom(err);
	if (r < 0) {
		free(text);
		return r;
	}
	for (; size && text[size - 1] == '\n'; size--)
		text[size - 1] = '\0';
	*ret = text;
	return 0;
}
