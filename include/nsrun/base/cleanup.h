/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ownership idiom. A local that owns something carries a _cleanup_ attribute; ownership leaves it only
 * through TAKE_FD or TAKE_PTR, so a reader sees where it moves. Functions hand results out through ret_
 * parameters, which are untouched on failure.
 */
#ifndef NSRUN_BASE_CLEANUP_H
#define NSRUN_BASE_CLEANUP_H

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(f) __attribute__((cleanup(f)))
#define _printf_(fmt, args) __attribute__((format(printf, fmt, args)))
#define _unused_ __attribute__((unused))

/* "No descriptor": -EBADF, so that passing it on by mistake fails with EBADF and never means AT_FDCWD. */
#define FD_NONE (-EBADF)

static inline void closep(int *fd)
{
	if (*fd >= 0) {
		int saved = errno;
		close(*fd);
		errno = saved;
	}
}

static inline void freep(void *p)
{
	free(*(void **)p);
}

static inline void fclosep(FILE **f)
{
	if (*f)
		fclose(*f);
}

static inline void closedirp(DIR **d)
{
	if (*d)
		closedir(*d);
}

#define _cleanup_close_ _cleanup_(closep)
#define _cleanup_free_ _cleanup_(freep)
#define _cleanup_fclose_ _cleanup_(fclosep)
#define _cleanup_closedir_ _cleanup_(closedirp)

#define TAKE_FD(fd)              \
	({                       \
		int *_p = &(fd); \
		int _v = *_p;    \
		*_p = FD_NONE;   \
		_v;              \
	})

#define TAKE_PTR(ptr)                         \
	({                                    \
		__typeof__(ptr) *_p = &(ptr); \
		__typeof__(ptr) _v = *_p;     \
		*_p = NULL;                   \
		_v;                           \
	})

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#endif
