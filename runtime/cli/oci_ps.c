/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/cli/commands.h>

#include <nsrun/base/strings.h>
#include <nsrun/cli/containers.h>
#include <nsrun/cli/help.h>
#include <nsrun/cli/report.h>
#include <nsrun/plan/container_show.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct ps_line {
	enum tristate help;
	const char *format;
};

static const struct option_row rows[] = {
	COMMAND_OPTION(struct ps_line, format, "format", 'f', "FORMAT", STRING, "table, or json: the process ids",
		       "--format json", .values = (const char *const[]){ "table", "json", NULL }),
	OPTION_HELP_ROW,
};
const struct option_table ps_options = { .rows = rows, .count = ARRAY_LEN(rows), .command = "ps", .one_dash = true };

static void print_pids(const struct container_process *processes, size_t n)
{
	putchar('[');
	for (size_t i = 0; i < n; i++)
		printf("%s%d", i ? "," : "", (int)processes[i].pid);
	puts("]");
}

static bool is_among(const struct container_process *processes, size_t n, long pid)
{
	for (size_t i = 0; i < n; i++)
		if (processes[i].pid == pid)
			return true;
	return false;
}

/* The lines of ps(1) whose column PID is one of the container's; the first line is the titles. */
static int print_lines(FILE *in, const struct container_process *processes, size_t n, struct err *err)
{
	_cleanup_free_ char *line = NULL;
	size_t size = 0, column = SIZE_MAX;
	bool first = true;

	while (getline(&line, &size, in) > 0) {
		_cleanup_free_ char *copy = strdup(line);
		char *rest = copy, *word;
		long pid = -1;

		if (!copy)
			return err_oom(err);
		for (size_t i = 0; (word = strsep(&rest, " \t\n"));) {
			if (!*word)
				continue;
			if (first && streq(word, "PID"))
				column = i;
			else if (!first && i == column)
				pid = strtol(word, NULL, 10);
			i++;
		}
		if (first && column == SIZE_MAX)
			return err_input(err, "ps: its output has no column PID");
		if (first || is_among(processes, n, pid))
			fputs(line, stdout);
		first = false;
	}
	return 0;
}

/* Of the host: procps knows how to show a process; nsrun knows which ones. */
static int print_by_ps(const char *const *options, const struct container_process *processes, size_t n, struct err *err)
{
	static const char *const usual[] = { "-ef", NULL };
	const char *argv[64] = { "ps" };
	int pipes[2], status;
	size_t words = 1;

	for (const char *const *o = *options ? options : usual; *o; o++) {
		if (words + 1 >= ARRAY_LEN(argv))
			return err_input(err, "ps: more than %zu options", ARRAY_LEN(argv) - 2);
		argv[words++] = *o;
	}
	if (pipe2(pipes, O_CLOEXEC) < 0)
		return err_system(err, "ps: pipe");
	fflush(stdout);
	const pid_t pid = fork();
	if (pid == 0) {
		if (dup2(pipes[1], STDOUT_FILENO) >= 0)
			execvp(argv[0], (char *const *)argv);
		_exit(127);
	}
	close(pipes[1]);
	_cleanup_fclose_ FILE *in = fdopen(pipes[0], "r");
	int r = pid < 0 || !in ? err_system(err, "ps") : print_lines(in, processes, n, err);
	/* One that is still writing must not wait for a reader that has left. */
	if (in)
		fclose(TAKE_PTR(in));
	else
		close(pipes[0]);
	while (pid > 0 && waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_system(err, "ps: wait");
	if (r == 0 && (!WIFEXITED(status) || WEXITSTATUS(status) != 0))
		r = err_input(err, "ps %s: the program of the host failed (status %d)", argv[1],
			      WIFEXITED(status) ? WEXITSTATUS(status) : -1);
	return r;
}

/* Options of ps(1) stand behind the id: the table's own end there. */
static int split(int argc, char *const *argv, struct ps_line *line, const char **ret_id, struct err *err)
{
	int at = 0;
	struct err why = ERR_INIT;
	const int r = options_parse(&ps_options, argc, argv, line, &at, &why);

	if (r < 0) /* docker's ps is another command */
		return err_set(err, why.kind, why.id, 0, "ps: %s; nsrun ls lists the containers", why.message);
	if (line->help == YES)
		return 0;
	if (at >= argc)
		return err_input(err, "ps: which container's processes? nsrun ls lists the containers");
	*ret_id = argv[at];
	return at + 1;
}

int command_ps(int argc, char *const *argv)
{
	_cleanup_(container_done) struct container container = { 0 };
	struct container_process *processes = NULL;
	struct ps_line line = { 0 };
	struct err err = ERR_INIT;
	const char *id = NULL;
	size_t n = 0;
	int at = split(argc, argv, &line, &id, &err), r = at;

	if (r >= 0 && !id) {
		help_command(stdout, command_find("ps"));
		return report_flush(stdout, "standard output");
	}
	/* "ps ID --format json": the flag, and not an option of ps(1), which has none of that name with that value. */
	if (r >= 0 && !line.format && at + 1 < argc && (streq(argv[at], "--format") || streq(argv[at], "-f")) &&
	    (streq(argv[at + 1], "json") || streq(argv[at + 1], "table"))) {
		line.format = argv[at + 1];
		at += 2;
	} else if (r >= 0 && at < argc && streq(argv[at], "--format=json")) {
		line.format = "json";
		at++;
	}
	if (r >= 0)
		r = container_find(id, &container, &err);
	if (r >= 0)
		r = container_processes(&container, &processes, &n, &err);
	if (r >= 0 && line.format && streq(line.format, "json"))
		print_pids(processes, n);
	else if (r >= 0)
		r = print_by_ps((const char *const *)argv + at, processes, n, &err);
	container_processes_free(processes, n);
	return r < 0 ? report_error(stderr, &err) : report_flush(stdout, "standard output");
}
