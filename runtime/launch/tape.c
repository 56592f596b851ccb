/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/launch/tape.h>

#include <sys/mman.h>

int tape_new(bool timed, struct tape **ret, struct err *err)
{
	struct tape *tape = mmap(NULL, sizeof(*tape), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (tape == MAP_FAILED)
		return err_system(err, "shared page for the launch");
	tape->timed = timed;
	*ret = tape;
	return 0;
}

void tape_free(struct tape *tape)
{
	if (tape)
		munmap(tape, sizeof(*tape));
}
