/* SPDX-License-Identifier: Apache-2.0 */
/* The tape of OCI create, which start reads: as a file, and what is believed of it. */
#include <nsrun/launch/tape.h>

#include <fcntl.h>
#include <limits.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define TAPE_FILE "tape"

int tape_publish(struct tape *tape, int dir_fd, const char *dir, struct err *err)
{
	_cleanup_close_ int fd =
		openat(dir_fd, TAPE_FILE, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, S_IRUSR | S_IWUSR);

	if (fd < 0)
		return err_system(err, "%s/" TAPE_FILE, dir);
	/* Written and not extended: a file with holes would be SIGBUS to init where the file system is full (mmap(2)). */
	const ssize_t n = write(fd, tape, sizeof(*tape));
	if (n >= 0 && n != (ssize_t)sizeof(*tape))
		errno = ENOSPC;
	if (n != (ssize_t)sizeof(*tape) ||
	    mmap(tape, sizeof(*tape), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
		return err_system(err, "%s/" TAPE_FILE, dir);
	return 0;
}

int tape_open(int dir_fd, const char *dir, const struct tape **ret, int *ret_fd, struct err *err)
{
	_cleanup_close_ int fd = openat(dir_fd, TAPE_FILE, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	const struct tape *tape;
	struct stat st;

	if (fd < 0 && errno == ENOENT)
		return -ENOENT;
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_system(err, "%s/" TAPE_FILE, dir);
	if (!S_ISREG(st.st_mode) || st.st_size != (off_t)sizeof(*tape))
		return -ENOENT;
	tape = mmap(NULL, sizeof(*tape), PROT_READ, MAP_SHARED, fd, 0);
	if (tape == MAP_FAILED)
		return err_system(err, "%s/" TAPE_FILE, dir);
	if (tape->size != sizeof(*tape) || tape->rows != STEP_COUNT) {
		tape_close(tape);
		return -ENOENT;
	}
	*ret = tape;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

void tape_close(const struct tape *tape)
{
	munmap((void *)(uintptr_t)tape, sizeof(*tape));
}

/* ---- what it says ---- */

static bool is_row(uint32_t step)
{
	return step > STEP_NONE && step < STEP_COUNT;
}

bool tape_failure(const struct tape *tape, struct err *ret)
{
	if (!atomic_load_explicit(&tape->child_failed, memory_order_acquire))
		return false;
	struct err said = tape->child_error;

	said.message[sizeof(said.message) - 1] = '\0';
	/* Numbers choose from tables. */
	if ((unsigned)said.kind > ERR_BUG || said.kind == ERR_NONE)
		said.kind = ERR_PEER;
	if ((unsigned)said.id >= ERR_ID_COUNT)
		said.id = ERR_ID_NONE;
	if (said.errnum < 0 || said.errnum > SHRT_MAX)
		said.errnum = 0;
	if (said.role != ROLE_INIT && said.role != ROLE_WORKLOAD)
		said.role = ROLE_INIT;
	if (said.step != ERR_STEP_NONE && !is_row((uint32_t)said.step))
		said.step = ERR_STEP_NONE;
	*ret = said;
	return true;
}

enum step_id tape_last_row(const struct tape *tape, enum role *ret_role)
{
	static const enum role roles[] = { ROLE_INIT, ROLE_WORKLOAD };
	uint32_t last = STEP_NONE;

	/* The later one: of a process that has both roles it is where that is, and a workload of its own is made by the last of init's. */
	for (size_t i = 0; i < sizeof(roles) / sizeof(*roles); i++) {
		const uint32_t at = atomic_load_explicit(&tape->at[role_index(roles[i])], memory_order_acquire);

		if (is_row(at) && at > last) {
			last = at;
			*ret_role = roles[i];
		}
	}
	return (enum step_id)last;
}
