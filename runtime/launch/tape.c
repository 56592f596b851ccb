/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/launch/tape.h>

#include <sys/mman.h>
#include <time.h>

int tape_new(bool timed, struct tape **ret, struct err *err)
{
	struct tape *tape = mmap(NULL, sizeof(*tape), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (tape == MAP_FAILED)
		return err_system(err, "shared page for the launch");
	tape->size = sizeof(*tape);
	tape->rows = STEP_COUNT;
	tape->timed = timed;
	*ret = tape;
	return 0;
}

int64_t tape_now(const struct tape *tape)
{
	struct timespec t;

	if (!tape->timed)
		return 0;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void tape_await(const struct tape *tape, enum step_id step, unsigned ms)
{
	static const struct timespec instant = { .tv_nsec = 1000000 };

	while (ms-- > 0 && atomic_load_explicit(&tape->records[step].state, memory_order_acquire) == TAPE_NOT_RUN)
		nanosleep(&instant, NULL);
}

void tape_free(struct tape *tape)
{
	if (tape)
		munmap(tape, sizeof(*tape));
}
