/* SPDX-License-Identifier: Apache-2.0 */
/* A tape that another process has made and watches: the lab's. */
#include <nsrun/launch/tape.h>

#include <fcntl.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

/* Whoever has the file can neither make it shorter, which would be a SIGBUS for the others, nor longer. */
#define TAPE_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

int tape_new_shared(struct tape **ret, int *ret_fd, struct err *err)
{
	_cleanup_close_ int fd = memfd_create("nsrun-tape", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, sizeof(struct tape)) < 0 || fcntl(fd, F_ADD_SEALS, TAPE_SEALS) < 0)
		return err_system(err, "shared page for the launch");
	struct tape *tape = mmap(NULL, sizeof(*tape), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (tape == MAP_FAILED)
		return err_system(err, "shared page for the launch");
	tape->size = sizeof(*tape);
	tape->rows = STEP_COUNT;
	tape->timed = tape->watchable = true;
	*ret = tape;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int tape_map(int fd, struct tape **ret, struct err *err)
{
	struct stat st;
	struct tape *tape;

	if (fstat(fd, &st) < 0)
		return err_system(err, "shared page for the launch: descriptor %d", fd);
	if (!S_ISREG(st.st_mode) || st.st_size != sizeof(struct tape) ||
	    (fcntl(fd, F_GET_SEALS) & TAPE_SEALS) != TAPE_SEALS)
		return err_input(
			err,
			"shared page for the launch: descriptor %d: a sealed memfd of %zu bytes, for %d rows, is wanted",
			fd, sizeof(struct tape), STEP_COUNT);
	tape = mmap(NULL, sizeof(*tape), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (tape == MAP_FAILED)
		return err_system(err, "shared page for the launch: descriptor %d", fd);
	if (tape->size != sizeof(*tape) || tape->rows != STEP_COUNT) {
		tape_free(tape);
		return err_input(err, "shared page for the launch: descriptor %d: is another version's", fd);
	}
	*ret = tape;
	return 0;
}

/* ---- holding ---- */

static int64_t monotonic_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Not private: the processes share the page alone. Ends early for any reason; callers look again. */
static void wait_turn(struct tape_watch *watch, uint32_t turn, int ms)
{
	const struct timespec timeout = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };

	syscall(SYS_futex, &watch->turn, FUTEX_WAIT, turn, ms < 0 ? NULL : &timeout, NULL, 0);
}

static void tell_turn(struct tape_watch *watch)
{
	atomic_fetch_add_explicit(&watch->turn, 1, memory_order_release);
	syscall(SYS_futex, &watch->turn, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

void tape_stand(struct tape *tape, enum step_id step, enum role role)
{
	struct tape_watch *watch = &tape->watch;
	_Atomic uint32_t *held = &watch->held[role_index(role)];

	if (!atomic_load_explicit(&watch->watched, memory_order_acquire) ||
	    !atomic_load_explicit(&watch->hold[step], memory_order_acquire))
		return;
	atomic_store_explicit(held, step, memory_order_release);
	tell_turn(watch);
	for (;;) {
		/* Read first: a change after it makes the wait return at once (EAGAIN). */
		const uint32_t turn = atomic_load_explicit(&watch->turn, memory_order_acquire);

		if (!atomic_load_explicit(&watch->watched, memory_order_acquire) ||
		    !atomic_load_explicit(&watch->hold[step], memory_order_acquire))
			break;
		wait_turn(watch, turn, -1);
	}
	atomic_store_explicit(held, STEP_NONE, memory_order_release);
	tell_turn(watch);
}

static void set_hold(struct tape *tape, enum step_id step, bool every, const bool *except)
{
	for (enum step_id id = STEP_NONE + 1; id < STEP_COUNT; id++)
		atomic_store_explicit(&tape->watch.hold[id], (every || id == step) && !(except && except[id]),
				      memory_order_release);
	atomic_store_explicit(&tape->watch.watched, every || step != STEP_NONE, memory_order_release);
	tell_turn(&tape->watch);
}

void tape_hold(struct tape *tape, enum step_id step, bool every)
{
	set_hold(tape, step, every, NULL);
}

static enum step_id held_now(const struct tape_watch *watch, enum role *ret_role)
{
	for (unsigned i = 0; i < ROLE_COUNT; i++) {
		const uint32_t step = atomic_load_explicit(&watch->held[i], memory_order_acquire);

		if (step == STEP_NONE || step >= STEP_COUNT ||
		    !atomic_load_explicit(&watch->hold[step], memory_order_acquire))
			continue;
		if (ret_role)
			*ret_role = (enum role)(1U << i);
		return (enum step_id)step;
	}
	return STEP_NONE;
}

enum step_id tape_wait_held(struct tape *tape, int ms, enum role *ret_role)
{
	const int64_t end = monotonic_ms() + ms;

	for (;;) {
		const uint32_t turn = atomic_load_explicit(&tape->watch.turn, memory_order_acquire);
		const enum step_id step = held_now(&tape->watch, ret_role);
		const int64_t left = end - monotonic_ms();

		if (step != STEP_NONE || left <= 0)
			return step;
		wait_turn(&tape->watch, turn, (int)left);
	}
}

void tape_go(struct tape *tape, enum step_id step, bool every)
{
	struct tape_watch *watch = &tape->watch;
	bool stands[STEP_COUNT] = { false };

	/* Before anything changes: a row that is reached by what is let go here must not be taken for one that is to be let go. */
	for (unsigned i = 0; i < ROLE_COUNT; i++) {
		const uint32_t id = atomic_load_explicit(&watch->held[i], memory_order_acquire);

		if (id < STEP_COUNT)
			stands[id] = true;
	}
	set_hold(tape, step, every, stands);
}
