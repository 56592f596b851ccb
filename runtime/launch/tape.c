/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/launch/tape.h>

#include <sys/mman.h>
#include <time.h>

static int map(bool timed, int flags, int fd, struct tape **ret, struct err *err)
{
	struct tape *tape = mmap(NULL, sizeof(*tape), PROT_READ | PROT_WRITE, MAP_SHARED | flags, fd, 0);

	if (tape == MAP_FAILED)
		return err_system(err, "shared page for the launch");
	tape->timed = timed;
	*ret = tape;
	return 0;
}

int tape_new(bool timed, struct tape **ret, struct err *err)
{
	return map(timed, MAP_ANONYMOUS, -1, ret, err);
}

int tape_new_shared(bool timed, struct tape **ret, int *ret_fd, struct err *err)
{
	_cleanup_close_ int fd = memfd_create("nsrun-tape", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, sizeof(struct tape)) < 0)
		return err_system(err, "shared page for the launch");
	const int r = map(timed, 0, fd, ret, err);
	if (r == 0)
		*ret_fd = TAKE_FD(fd);
	return r;
}

int64_t tape_now(const struct tape *tape)
{
	struct timespec t;

	if (!tape->timed)
		return 0;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void tape_free(struct tape *tape)
{
	if (tape)
		munmap(tape, sizeof(*tape));
}
