/* SPDX-License-Identifier: Apache-2.0 */
/* Terms of a chapter asked of the kernel, and commands on both sides. */
#include <nsrun/lab/session.h>

#include <nsrun/base/clock.h>
#include <nsrun/base/procstat.h>
#include <nsrun/base/strings.h>
#include <nsrun/plan/container.h>

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define RECORD_MS 2000

/* Its inode; 0: it cannot be told. */
static ino_t pid_namespace(pid_t pid)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/ns/pid", pid);
	return stat(path, &st) == 0 ? st.st_ino : 0;
}

/* Is `pid` below `top`, in the tree of processes? */
static bool is_below(pid_t pid, pid_t top)
{
	struct procstat stat;

	for (int depth = 0; pid > 1 && depth < 64; depth++) {
		if (pid == top)
			return true;
		if (procstat_read(pid, &stat, NULL) < 0)
			return false;
		pid = stat.ppid;
	}
	return false;
}

/* The lowest number of a process so called, and not a zombie, in the pid namespace of `init`; in the lab's own one, below init. When there is none,
 * one below init in a namespace of its own: a container in the container. */
static pid_t find_called(pid_t init, const char *comm)
{
	_cleanup_closedir_ DIR *proc = opendir("/proc");
	const ino_t wanted = pid_namespace(init);
	const bool shared = wanted == pid_namespace(getpid());
	struct procstat stat;
	pid_t found = 0, nested = 0;

	if (!proc || !wanted)
		return 0;
	for (struct dirent *entry; (entry = readdir(proc));) {
		uint32_t pid;

		if (parse_u32(entry->d_name, &pid) < 0 || (found && (pid_t)pid > found) ||
		    procstat_read((pid_t)pid, &stat, NULL) < 0 || stat.state == 'Z' || !streq(stat.comm, comm))
			continue;
		if (shared ? is_below((pid_t)pid, init) : pid_namespace((pid_t)pid) == wanted)
			found = (pid_t)pid;
		else if ((!nested || (pid_t)pid < nested) && is_below((pid_t)pid, init))
			nested = (pid_t)pid;
	}
	return found ? found : nested;
}

static int pid_of_init(struct lab_session *session, const char *name, pid_t *ret, struct err *err)
{
	struct lab_container *c = lab_session_find(session, name);
	/* Init may be held before runtime, which works beside it, has recorded its number (row state.init). */
	const bool is_coming = c && c->state == LAB_HELD && c->held_role != ROLE_RUNTIME;
	const uint64_t end = now_ms() + (is_coming ? RECORD_MS : 0);

	for (;;) {
		_cleanup_(container_done) struct container container = { 0 };

		if (container_find(name, &container, NULL) == 0 && container.init) {
			*ret = container.init;
			return 0;
		}
		if (now_ms() >= end)
			break;
		usleep(10000);
	}
	return err_set(err, ERR_INPUT, ERR_ID_NONE, ESRCH, "%s: it has no process 1%s", name,
		       c && c->state == LAB_HELD ? " yet: its launch is held before that" : ": it does not run");
}

int lab_session_pid(struct lab_session *session, const char *subject, const char *comm, pid_t *ret, struct err *err)
{
	pid_t init = 0;

	if (streq(subject, "host")) {
		*ret = getpid();
		return 0;
	}
	const int r = pid_of_init(session, subject, &init, err);
	if (r < 0 || !comm) {
		if (r == 0)
			*ret = init;
		return r;
	}
	const pid_t pid = find_called(init, comm);

	if (!pid)
		return err_set(err, ERR_INPUT, ERR_ID_NONE, ESRCH, "%s/%s: no process in it is called so", subject,
			       comm);
	*ret = pid;
	return 0;
}

static int value_of_session(struct lab_session *session, const struct lab_term *term, char **ret, struct err *err)
{
	int status = 0;

	if (streq(term->property, "state")) {
		*ret = strdup(lab_session_state_word(session, term->subject));
		return *ret ? 0 : err_oom(err);
	}
	if (lab_session_state(session, term->subject, &status) != LAB_ENDED)
		return err_set(err, ERR_INPUT, ERR_ID_NONE, ESRCH, "%s: it has not ended", term->subject);
	if (status == LAB_STATUS_LOST)
		return err_set(err, ERR_INPUT, ERR_ID_NONE, ENODATA, "%s: nobody has waited for its exit status",
			       term->subject);
	if (asprintf(ret, "%d", status) < 0)
		return err_oom(err);
	return 0;
}

int lab_session_value(void *data, const struct lab_term *term, char **ret, struct err *err)
{
	struct lab_session *session = data;
	struct observe_term parsed;
	pid_t pid = 0;

	if (streq(term->property, "state") || streq(term->property, "exit"))
		return value_of_session(session, term, ret, err);
	int r = lab_session_pid(session, term->subject, term->comm, &pid, err);
	if (r == 0)
		r = observe_parse(term->property, &parsed, err);
	if (r < 0)
		return r;
	r = observe(pid, &parsed, ret, err);
	observe_term_done(&parsed);
	return r;
}

/* ---- commands ---- */

/* Words for execve: sh on the host, or nsrun exec. `line` NULL: a shell. */
static void words_of(struct lab_session *session, const char *name, const char *line, const char *ret[9])
{
	size_t n = 0;

	if (name) {
		ret[n++] = session->place->program;
		ret[n++] = "exec";
		ret[n++] = name;
	}
	ret[n++] = "/bin/sh";
	if (line) {
		ret[n++] = "-c";
		ret[n++] = line;
	}
	ret[n] = NULL;
}

int lab_session_sh(struct lab_session *session, const char *name, const char *line, int *ret_status, char **ret_text,
		   struct err *err)
{
	const char *argv[9];

	const int r = lab_session_guard(session, err);
	if (r < 0)
		return r;
	words_of(session, name, line, argv);
	return lab_capture(argv, session->place->dir_fd, LAB_COMMAND_SECONDS, ret_status, ret_text, err);
}

int lab_session_sh_terminal(struct lab_session *session, const char *name, const char *line, int *ret_status,
			    struct err *err)
{
	const char *argv[9];

	const int r = lab_session_guard(session, err);
	if (r < 0)
		return r;
	words_of(session, name, line, argv);
	return lab_with_terminal(argv, session->place->dir_fd, ret_status, err);
}
