/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/lab/session.h>

#include <nsrun/base/strings.h>
#include <nsrun/lab/record.h>
#include <nsrun/plan/container.h>
#include <nsrun/plan/container_group.h>

#include <fcntl.h>
#include <string.h>
#include <sys/random.h>

static int make_token(char *ret, size_t size, struct err *err)
{
	uint64_t random[2];

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return err_system(err, "getrandom");
	snprintf(ret, size, "%016llx%016llx", (unsigned long long)random[0], (unsigned long long)random[1]);
	return 0;
}

static void quietly(struct lab_session *session, const char *const *argv)
{
	_cleanup_free_ char *text = NULL;
	int status;

	(void)lab_capture(argv, session->place->dir_fd, LAB_COMMAND_SECONDS, &status, &text, NULL);
}

/* A bundle's container is removed by another command, which takes no id of nsrun's. */
static void removal_of(const struct lab_session *session, const struct container *c, const char *ret[5])
{
	const bool bundle = container_is_bundle(c);

	ret[0] = session->place->program;
	ret[1] = bundle ? "delete" : "rm";
	ret[2] = bundle ? "--force" : "-f";
	ret[3] = bundle ? container_label(c) : c->id;
	ret[4] = NULL;
}

/* What an earlier lab left when its guardian was killed, too, and what a learner has started on his own. */
static void tidy(struct lab_session *session)
{
	const char *const program = session->place->program;
	struct container *list = NULL;
	const char *argv[5];
	size_t n = 0;

	if (container_list(&list, &n, NULL, NULL, NULL) == 0)
		for (size_t i = 0; i < n; i++) {
			removal_of(session, &list[i], argv);
			quietly(session, argv);
		}
	containers_free(list, n);
	quietly(session, (const char *const[]){ program, "gc", NULL });
}

int lab_session_guard(struct lab_session *session, struct err *err)
{
	siginfo_t info;

	if (pidref_valid(&session->guardian)) {
		if (!pidref_ended(&session->guardian))
			return 0;
		/* Nothing ends it but its lab, and who kills it from outside: the kernel for want of memory, for one. */
		(void)pidref_wait(&session->guardian, &info, WEXITED, NULL);
		pidref_close(&session->guardian);
		closep(&session->guardian_pipe);
		session->guardian_pipe = FD_NONE;
	}
	return lab_guardian_start(session->place->program, session->token, session->place->lock_fd,
				  &session->guardian_pipe, &session->guardian, err);
}

/* With a guardian, but without a rootfs. */
static int begin(struct lab_place *place, struct lab_session **ret, struct err *err)
{
	struct lab_session *session = calloc(1, sizeof(*session));

	if (!session)
		return err_oom(err);
	session->place = place;
	session->guardian = PIDREF_NONE;
	session->guardian_pipe = FD_NONE;
	int r = make_token(session->token, sizeof(session->token), err);
	if (r == 0)
		r = lab_place_enter(place, session->token, err);
	if (r == 0)
		r = lab_session_guard(session, err);
	if (r < 0)
		lab_session_close(session);
	else
		*ret = session;
	return r;
}

int lab_session_open(struct lab_place *place, struct lab_session **ret, struct err *err)
{
	struct lab_session *session = NULL;

	int r = begin(place, &session, err);
	if (r < 0)
		return r;
	r = lab_place_furnish(place, err);
	if (r < 0) {
		lab_session_close(session);
		return r;
	}
	tidy(session);
	*ret = session;
	return 0;
}

int lab_session_reset(struct lab_place *place, struct err *err)
{
	struct lab_session *session = NULL;

	int r = begin(place, &session, err);
	if (r < 0)
		return r;
	tidy(session);
	struct container *list = NULL;
	size_t n = 0;

	(void)container_list(&list, &n, NULL, NULL, NULL);
	if (n > 0)
		r = err_set(err, ERR_SYSTEM, ERR_ID_NONE, EBUSY, "%s: container %s could not be removed", place->state,
			    list[0].id);
	containers_free(list, n);
	if (r == 0)
		r = lab_place_strip(place, err);
	lab_session_close(session);
	return r;
}

static void container_free(struct lab_container *c)
{
	lab_process_done(&c->nsrun);
	tape_free(c->tape);
	json_decref(c->record);
	free(c->command);
	free(c->name);
	free(c);
}

static void put_quoted(FILE *out, const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=:,./@%^";

	if (*word && !word[strspn(word, plain)]) {
		fputs(word, out);
		return;
	}
	fputc('\'', out);
	for (const char *p = word; *p; p++)
		fputs(*p == '\'' ? "'\\''" : (const char[]){ *p, '\0' }, out);
	fputc('\'', out);
}

/* Words as a line that a shell would part into the same. */
static char *join(char *const *words)
{
	char *line = NULL;
	size_t size;
	FILE *out = open_memstream(&line, &size);

	if (!out)
		return NULL;
	for (size_t i = 0; words[i]; i++) {
		if (i)
			fputc(' ', out);
		put_quoted(out, words[i]);
	}
	return fclose(out) == 0 ? line : NULL;
}

void lab_session_clear(struct lab_session *session)
{
	while (session->n > 0)
		(void)lab_session_end(session, session->containers[session->n - 1]->name, NULL);
	tidy(session);
}

void lab_session_close(struct lab_session *session)
{
	siginfo_t info;

	if (!session)
		return;
	while (session->n > 0)
		(void)lab_session_end(session, session->containers[session->n - 1]->name, NULL);
	/* It ends what commands have left in the background, too. */
	if (pidref_valid(&session->guardian))
		(void)lab_session_guard(session, NULL);
	closep(&session->guardian_pipe);
	if (pidref_valid(&session->guardian))
		(void)pidref_wait(&session->guardian, &info, WEXITED, NULL);
	pidref_close(&session->guardian);
	free(session);
}

struct lab_container *lab_session_find(struct lab_session *session, const char *name)
{
	for (size_t i = 0; i < session->n; i++)
		if (streq(session->containers[i]->name, name))
			return session->containers[i];
	return NULL;
}

/* ---- starting, holding, ending ---- */

/* An option of the launch alone: a command of nsrun has no rows that could be shown, but those of `exec`. */
static bool takes_tape(char *const *words)
{
	return words[0] && words[1] && (words[1][0] == '-' || strchr(words[1], '/') || streq(words[1], "rootfs"));
}

static int start(struct lab_session *session, char *const *words, enum step_id hold, struct lab_container *c,
		 struct err *err)
{
	_cleanup_free_ const char **argv = NULL;
	_cleanup_close_ int fd = FD_NONE;
	char number[16];
	size_t n = 0, at = 0;

	while (words[n])
		n++;
	argv = calloc(n + 3, sizeof(*argv));
	if (!argv)
		return err_oom(err);
	if (takes_tape(words)) {
		const int r = tape_new_shared(&c->tape, &fd, err);

		if (r < 0)
			return r;
		tape_hold(c->tape, hold, false);
		snprintf(number, sizeof(number), "%d", fd);
	}
	argv[at++] = session->place->program;
	if (c->tape) {
		argv[at++] = "--tape";
		argv[at++] = number;
	}
	for (size_t i = 1; i < n; i++)
		argv[at++] = words[i];
	const struct lab_spawn how = { .argv = argv, .dir_fd = session->place->dir_fd, .keep_fd = fd };

	return lab_spawn(&how, &c->nsrun, err);
}

int lab_session_run(struct lab_session *session, char *const *words, enum step_id hold, struct lab_container **ret,
		    struct err *err)
{
	const char *name = lab_name_of(words);
	struct lab_container *c = name ? lab_session_find(session, name) : NULL;
	int r = 0;

	if (!name)
		return err_input(err, "nsrun: wanted is a --name, by which it is called here");
	if (c && lab_container_look(c, 0) != LAB_ENDED)
		return err_input(err, "%s: it %s; `end %s` ends it", name,
				 c->state == LAB_HELD ? "is held" : "runs already", name);
	/* The name is kept with the record of one that has ended. */
	if (c || lab_state_of_record(name, NULL, NULL) == LAB_ENDED)
		r = lab_session_end(session, name, err);
	if (r == 0)
		r = lab_session_guard(session, err);
	if (r < 0)
		return r;
	if (session->n == ARRAY_LEN(session->containers))
		return err_input(err, "%s: a lab has at most %zu containers", name, session->n);
	c = calloc(1, sizeof(*c));
	if (!c || !(c->name = strdup(name))) {
		free(c);
		return err_oom(err);
	}
	c->nsrun = LAB_PROCESS_NONE;
	c->state = LAB_STARTING;
	c->command = join(words);
	r = start(session, words, hold, c, err);
	if (r < 0) {
		container_free(c);
		return r;
	}
	session->containers[session->n++] = c;
	*ret = c;
	r = lab_container_await(c, err);
	lab_record(session, c);
	return r;
}

int lab_session_go(struct lab_session *session, struct lab_container *c, enum step_id step, bool every, struct err *err)
{
	if (lab_container_look(c, 0) != LAB_HELD)
		return err_input(err, "%s: it is not held: %s", c->name,
				 c->state == LAB_ENDED ? "it has ended" : "it goes on by itself");
	tape_go(c->tape, step, every);
	const int r = lab_container_await(c, err);

	lab_record(session, c);
	return r;
}

/* Its record, and whatever runs in it; nothing where there is none. *ret_text: what the command says; its status is returned, or -errno. */
static int remove_container(struct lab_session *session, const char *name, char **ret_text, struct err *err)
{
	_cleanup_(container_done) struct container container = { 0 };
	const char *argv[5];
	int status = 0;

	free(TAKE_PTR(*ret_text));
	if (container_find(name, &container, NULL) < 0)
		return 0;
	removal_of(session, &container, argv);
	const int r = lab_capture(argv, session->place->dir_fd, LAB_COMMAND_SECONDS, &status, ret_text, err);

	return r < 0 ? r : status;
}

int lab_session_end(struct lab_session *session, const char *name, struct err *err)
{
	const char *const gc[] = { session->place->program, "gc", NULL };
	_cleanup_free_ char *text = NULL;
	struct lab_container *c = lab_session_find(session, name);
	const enum lab_state state = lab_session_state(session, name, NULL);
	siginfo_t info;
	int r = 0;

	if (state == LAB_NONE && !c)
		return err_input(err, "%s: no container has this name", name);
	/* As it is before that: a learner may have changed something. */
	if (c)
		lab_record(session, c);
	/* A launch that is not finished ends with its nsrun; what it had made is for gc to find. */
	const bool unfinished = state == LAB_HELD || state == LAB_STARTING;

	if (c && unfinished)
		(void)pidref_kill(&c->nsrun.ref, SIGKILL, NULL);
	else
		r = remove_container(session, name, &text, err);
	if (c && pidref_valid(&c->nsrun.ref)) {
		if (r != 0)
			(void)pidref_kill(&c->nsrun.ref, SIGKILL, NULL);
		(void)pidref_wait(&c->nsrun.ref, &info, WEXITED, NULL);
	}
	if (unfinished || r > 0) {
		quietly(session, gc);
		r = remove_container(session, name, &text, err);
	}
	if (r > 0)
		r = err_input(err, "%s: it could not be removed: %s", name, text ? text : "nothing was said");
	size_t kept = 0;

	for (size_t i = 0; i < session->n; i++)
		if (session->containers[i] != c)
			session->containers[kept++] = session->containers[i];
	session->n = kept;
	if (c)
		container_free(c);
	return r;
}
