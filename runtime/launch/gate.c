/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/launch/gate.h>

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>

#define GATE_FIFO "gate"
#define GATE_START 's'

int gate_open(const char *dir, struct tape *tape, int *ret_gate, struct err *err)
{
	_cleanup_close_ int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_close_ int fd = FD_NONE;

	if (dir_fd < 0)
		return err_system(err, "%s", dir);
	const int r = tape_publish(tape, dir_fd, dir, err);
	if (r < 0)
		return r;
	/* For both directions: a reader that has no writer is at the end of the file, and its read(2) would not wait. */
	if (mkfifoat(dir_fd, GATE_FIFO, S_IRUSR | S_IWUSR) == 0)
		fd = openat(dir_fd, GATE_FIFO, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_system(err, "%s/" GATE_FIFO, dir);
	*ret_gate = TAKE_FD(fd);
	return 0;
}

int gate_wait(int gate, struct err *err)
{
	char word;
	ssize_t n;

	do
		n = read(gate, &word, sizeof(word));
	while ((n == 1 && word != GATE_START) || (n < 0 && errno == EINTR));
	return n == 1 ? 0 : err_system(err, "gate: waiting for start");
}

/* ---- start ---- */

static bool is_past_gate(const struct tape *tape)
{
	const uint32_t state = atomic_load_explicit(&tape->records[STEP_GATE_WAIT].state, memory_order_acquire);

	return state == TAPE_OK || state == TAPE_FAILED;
}

/* -EALREADY: nobody waits there any more. */
static int open_gate(int dir_fd, const char *label, int *ret_gate, struct err *err)
{
	_cleanup_close_ int fd = openat(dir_fd, GATE_FIFO, O_WRONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	/* fifo(7): ENXIO without a reader */
	if (fd < 0)
		return errno == ENXIO || errno == ENOENT ? -EALREADY : err_system(err, "gate of %s", label);
	if (fstat(fd, &st) < 0 || !S_ISFIFO(st.st_mode))
		return err_input(err, "gate of %s: it is no fifo", label);
	*ret_gate = TAKE_FD(fd);
	return 0;
}

/* Until nobody reads the fifo any more. */
static int await_end(int gate, const char *label, struct err *err)
{
	struct pollfd end = { .fd = gate };

	while (poll(&end, 1, -1) < 0)
		if (errno != EINTR)
			return err_system(err, "gate of %s: waiting", label);
	return 0;
}

static int judge(const struct tape *tape, const char *label, struct err *err)
{
	enum role role = ROLE_WORKLOAD;

	if (tape_failure(tape, err))
		return err->errnum > 0 ? -err->errnum : -EINVAL;
	if (atomic_load_explicit(&tape->records[STEP_WORKLOAD_EXEC].state, memory_order_acquire) == TAPE_BEGUN)
		return 0;
	const enum step_id last = tape_last_row(tape, &role);
	const int r = err_set(err, ERR_PEER, ERR_ID_NONE, ESRCH,
			      "%s: its init was killed before it executed the workload", label);
	err->step = last > STEP_NONE ? last : STEP_GATE_WAIT;
	err->role = (int)role;
	return r;
}

static int pass(int dir_fd, const struct tape *tape, const char *label, struct err *err)
{
	static const char word = GATE_START;
	_cleanup_close_ int gate = FD_NONE;
	ssize_t n;

	int r = is_past_gate(tape) ? -EALREADY : open_gate(dir_fd, label, &gate, err);
	if (r < 0)
		return r;
	do
		n = write(gate, &word, sizeof(word));
	while (n < 0 && errno == EINTR);
	/* EPIPE: init has ended meanwhile (SIGPIPE is ignored: main.c); EAGAIN: the fifo is full of words that are for init. */
	if (n < 0 && errno != EPIPE)
		return err_system(err, "gate of %s: saying start", label);
	r = await_end(gate, label, err);
	return r < 0 ? r : judge(tape, label, err);
}

int gate_start(const struct container *container, struct err *err)
{
	_cleanup_close_ int dir = open(container->dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	const char *label = container_label(container);
	_cleanup_close_ int file = FD_NONE;
	const struct tape *tape;

	if (dir < 0)
		return err_system(err, "%s", container->dir);
	int r = tape_open(dir, container->dir, &tape, &file, err);
	if (r == -ENOENT && !err_is_set(err))
		return err_input(err, "%s: it was created by another build of nsrun: delete it, and create it again",
				 label);
	if (r < 0)
		return r;
	if (flock(file, LOCK_EX | LOCK_NB) == 0)
		r = pass(dir, tape, label, err);
	else
		r = errno == EWOULDBLOCK ? -EALREADY : err_system(err, "%s/tape: lock", container->dir);
	tape_close(tape);
	return r;
}
