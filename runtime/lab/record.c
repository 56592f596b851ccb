/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/lab/record.h>

#include <nsrun/base/mountinfo.h>
#include <nsrun/base/strings.h>
#include <nsrun/lab/look.h>
#include <nsrun/plan/state.h>

#include <inttypes.h>
#include <string.h>

/* ---- what the kernel says ---- */

/* malloc'd; NULL: it does not say. */
static char *value_of(pid_t pid, const char *property)
{
	struct err ignored = ERR_INIT;
	struct observe_term term;
	char *value = NULL;

	if (observe_parse(property, &term, &ignored) < 0)
		return NULL;
	if (observe(pid, &term, &value, &ignored) < 0)
		value = NULL;
	observe_term_done(&term);
	return value;
}

/* As printable text: what comes from a rootfs or a learner need not be UTF-8. */
static json_t *text_json(const char *text)
{
	const size_t size = strlen(text) * 4 + 1;
	_cleanup_free_ char *escaped = malloc(size);

	if (!escaped)
		return NULL;
	escape_text(text, escaped, size);
	return json_string(escaped);
}

static json_t *number_json(const char *text)
{
	uint64_t number;

	return text && parse_u64(text, &number) == 0 && number < INT64_MAX ? json_integer((json_int_t)number)
									   : json_null();
}

static json_t *namespaces_of(pid_t pid)
{
	static const char *const kinds[] = { "user", "uts", "ipc", "mnt", "pid", "net", "cgroup", "time" };
	json_t *all = json_object();

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		char property[32];

		snprintf(property, sizeof(property), "%s.owner", kinds[i]);
		_cleanup_free_ char *inode = value_of(pid, kinds[i]), *owner = value_of(pid, property);
		if (inode)
			json_object_set_new(
				all, kinds[i],
				json_pack("{s:o, s:o}", "inode", number_json(inode), "owner", number_json(owner)));
	}
	return all;
}

static json_t *map_of(pid_t pid, const char *property)
{
	_cleanup_free_ char *text = value_of(pid, property);
	json_t *map = json_array();
	char *save = NULL;

	for (char *line = text ? strtok_r(text, ";", &save) : NULL; line; line = strtok_r(NULL, ";", &save)) {
		uint32_t inside, outside, count;

		if (sscanf(line, "%" SCNu32 " %" SCNu32 " %" SCNu32, &inside, &outside, &count) == 3)
			json_array_append_new(map, json_pack("[I, I, I]", (json_int_t)inside, (json_int_t)outside,
							     (json_int_t)count));
	}
	return map;
}

static bool is_null(const char *path)
{
	const char *base = strrchr(path, '/');

	return base && streq(base, "/null");
}

/* What is mounted of a file system may be a path of the host, and is left out; that it is /dev/null is told. */
static json_t *mount_json(char *line)
{
	struct mountinfo m;
	int parent = 0;

	if (sscanf(line, "%*d %d", &parent) != 1 || !mountinfo_parse(line, &m))
		return NULL;
	return json_pack("{s:i, s:i, s:o, s:o, s:o, s:b, s:s}", "id", m.id, "parent", parent, "target",
			 text_json(m.target), "type", text_json(m.type), "options", text_json(m.options), "masked",
			 is_null(m.root) && !is_null(m.target), "propagation",
			 m.shared && m.slave ? "shared, slave"
			 : m.shared	     ? "shared"
			 : m.slave	     ? "slave"
					     : "private");
}

static void add_mounts(json_t *record, pid_t pid)
{
	_cleanup_free_ char *text = NULL;
	struct err ignored = ERR_INIT;
	json_t *mounts = json_array();
	json_int_t left_out = 0;

	if (observe_file(pid, "mountinfo", &text, &ignored) < 0)
		text = NULL;
	for (char *p = text, *line; (line = strsep(&p, "\n")) && *line;) {
		if (json_array_size(mounts) >= LAB_MOUNTS_MAX)
			left_out++;
		else
			json_array_append_new(mounts, mount_json(line));
	}
	json_object_set_new(record, "mounts", mounts);
	json_object_set_new(record, "mounts_left_out", json_integer(left_out));
}

/* ---- the network ---- */

/* The word of a set that begins with "NAME:"; what is behind that. NULL: none. */
static const char *word_of(const char *set, const char *name)
{
	const size_t len = strlen(name);

	for (const char *p = set; p && *p; p = strchr(p, ' ') ? strchr(p, ' ') + 1 : NULL)
		if (strncmp(p, name, len) == 0 && p[len] == ':')
			return p + len + 1;
	return NULL;
}

static json_t *addresses_of(const char *set, const char *name)
{
	const size_t len = strlen(name);
	json_t *list = json_array();

	for (const char *p = set; p && *p; p = strchr(p, ' ') ? strchr(p, ' ') + 1 : NULL)
		if (strncmp(p, name, len) == 0 && p[len] == ':')
			json_array_append_new(list, json_stringn(p + len + 1, strcspn(p + len + 1, " ")));
	return list;
}

/* Of the host the other ends alone: what else it is connected with does not belong into a file that is handed in, nor do addresses of a namespace that is the host's, too. */
static json_t *network_of(pid_t pid, const char *other_peers, bool is_hosts)
{
	_cleanup_free_ char *links = value_of(pid, "links"), *peers = value_of(pid, "links.peers");
	_cleanup_free_ char *addresses = is_hosts ? NULL : value_of(pid, "addresses");
	json_t *list = json_array();
	char *save = NULL;

	for (char *name = links ? strtok_r(links, " ", &save) : NULL; name; name = strtok_r(NULL, " ", &save)) {
		const char *ends = word_of(peers, name);
		unsigned index = 0, peer = 0, there, back;
		char property[64];

		if (ends && sscanf(ends, "%u:%u", &index, &peer) != 2)
			index = peer = 0;
		bool known = !other_peers;
		for (const char *p = other_peers; p && *p && index; p = strchr(p, ' ') ? strchr(p, ' ') + 1 : NULL)
			known = known ||
				(sscanf(p, "%*[^:]:%u:%u", &there, &back) == 2 && there == peer && back == index);
		if (!known || json_array_size(list) >= LAB_LINKS_MAX)
			continue;
		snprintf(property, sizeof(property), "link:%s", name);
		_cleanup_free_ char *state = value_of(pid, property);
		json_array_append_new(list, json_pack("{s:o, s:s, s:o, s:I, s:I}", "name", text_json(name), "state",
						      state ? state : "?", "addresses", addresses_of(addresses, name),
						      "index", (json_int_t)index, "peer", (json_int_t)peer));
	}
	return list;
}

static size_t links_in(const json_t *network)
{
	return json_array_size(json_object_get(network, "container")) +
	       json_array_size(json_object_get(network, "host"));
}

static json_t *now_json(void)
{
	char text[STATE_TIME_SIZE];
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	state_format_time(&now, text);
	return json_string(text);
}

/* As it was when it had most links: what a chapter builds it often takes away again. */
static void add_network(json_t *record, pid_t pid)
{
	_cleanup_free_ char *here = value_of(getpid(), "net"), *there = value_of(pid, "net");
	_cleanup_free_ char *peers = value_of(pid, "links.peers");
	const bool apart = here && there && !streq(here, there);
	json_t *network = json_object();

	json_object_set_new(network, "container", network_of(apart ? pid : getpid(), NULL, !apart));
	if (apart)
		json_object_set_new(network, "host", network_of(getpid(), peers ? peers : "", false));
	json_object_set_new(network, "time", now_json());
	if (links_in(json_object_get(record, "network")) > links_in(network))
		json_decref(network);
	else
		json_object_set_new(record, "network", network);
}

/* ---- the tape ---- */

static json_t *row_json(const struct tape *tape, enum step_id id, int64_t first)
{
	const struct tape_record *record = &tape->records[id];
	const uint32_t state = atomic_load_explicit(&record->state, memory_order_acquire);
	const char *error = state == TAPE_FAILED ? strerrorname_np(record->errnum) : NULL;
	char note[TAPE_NOTE_MAX + 1] = "";

	memcpy(note, record->note, TAPE_NOTE_MAX);
	return json_pack("{s:s, s:s, s:s, s:I, s:o, s:s, s:s?, s:o}", "name", score[id].name, "role",
			 role_name(record->role ? (enum role)record->role : score[id].role), "result",
			 state == TAPE_OK	? "ok"
			 : state == TAPE_FAILED ? (error ? error : "failed")
						: "now",
			 "begin", (json_int_t)(record->begin_ns - first), "end",
			 state == TAPE_BEGUN || record->end_ns < record->begin_ns
				 ? json_null()
				 : json_integer(record->end_ns - first),
			 "interface", score[id].interface ? score[id].interface : "", "manual", score[id].manual,
			 "note", text_json(note));
}

static void add_rows(json_t *record, const struct tape *tape)
{
	enum step_id ran[STEP_COUNT];
	const size_t n = lab_tape_order(tape, ran);
	json_t *rows = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(rows, row_json(tape, ran[i], tape->records[ran[0]].begin_ns));
	json_object_set_new(record, "rows", rows);
}

/* ---- a launch ---- */

static void begin(struct lab_session *session, struct lab_container *c)
{
	c->record = json_pack("{s:s, s:s, s:o, s:o}", "chapter", session->recorded, "name", c->name, "command",
			      text_json(c->command ? c->command : ""), "time", now_json());
}

static void take_down(struct lab_session *session, struct lab_container *c)
{
	struct err ignored = ERR_INIT;
	pid_t pid;

	if (!c->record)
		begin(session, c);
	if (!c->record)
		return;
	json_object_set_new(c->record, "state",
			    json_string(c->state == LAB_HELD	  ? "held"
					: c->state == LAB_RUNNING ? "running"
					: c->state == LAB_ENDED	  ? "ended"
								  : "starting"));
	if (c->state == LAB_ENDED)
		json_object_set_new(c->record, "status", json_integer(c->status));
	if (c->tape)
		add_rows(c->record, c->tape);
	if (c->state != LAB_ENDED && lab_session_pid(session, c->name, NULL, &pid, &ignored) == 0) {
		json_t *both =
			json_pack("{s:o, s:o}", "host", namespaces_of(getpid()), "container", namespaces_of(pid));

		json_object_set_new(c->record, "namespaces", both);
		json_object_set_new(c->record, "uid_map", map_of(pid, "uid_map"));
		json_object_set_new(c->record, "gid_map", map_of(pid, "gid_map"));
		add_mounts(c->record, pid);
		add_network(c->record, pid);
	}
}

void lab_record(struct lab_session *session, struct lab_container *c)
{
	if (!session->recorded)
		return;
	take_down(session, c);
	if (c->record)
		lab_records_keep(session->place, session->recorded, &c->record, 1);
}

void lab_record_all(struct lab_session *session)
{
	json_t *records[ARRAY_LEN(session->containers)];
	size_t n = 0;

	for (size_t i = 0; session->recorded && i < session->n; i++) {
		struct lab_container *c = session->containers[i];

		if (lab_session_state(session, c->name, NULL) != LAB_RUNNING)
			continue;
		take_down(session, c);
		if (c->record)
			records[n++] = c->record;
	}
	if (n > 0)
		lab_records_keep(session->place, session->recorded, records, n);
}
