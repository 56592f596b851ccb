/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/kernel/self.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U /* since 6.3; without it vm.memfd_noexec=1 makes the copy non-executable */
#endif

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

static int open_self(void)
{
	return open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
}

int self_stat(struct stat *ret, struct err *err)
{
	if (stat("/proc/self/exe", ret) < 0)
		return err_system(err, "/proc/self/exe");
	return 0;
}

bool self_is_sealed(void)
{
	_cleanup_close_ int fd = open_self();
	const int seals = fd >= 0 ? fcntl(fd, F_GET_SEALS) : -1; /* EINVAL for a file that is no memfd */

	return seals >= 0 && (seals & SEALS) == SEALS;
}

int self_reexecute_sealed(char *const argv[], struct err *err)
{
	_cleanup_close_ int self = open_self();
	struct stat st;

	if (self < 0 || fstat(self, &st) < 0)
		return err_system_id(err, ERR_ID_SELF_UNPROTECTED, "/proc/self/exe");

	_cleanup_close_ int copy = memfd_create("nsrun", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
	if (copy < 0 && errno == EINVAL)
		copy = memfd_create("nsrun", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (copy < 0)
		return err_system_id(err, ERR_ID_SELF_UNPROTECTED, "copy of nsrun in memory");
	for (off_t left = st.st_size; left > 0;) {
		const ssize_t n = sendfile(copy, self, NULL, (size_t)left);

		if (n <= 0)
			return err_system_id(err, ERR_ID_SELF_UNPROTECTED, "copy of nsrun in memory");
		left -= n;
	}
	if (fcntl(copy, F_ADD_SEALS, SEALS) < 0)
		return err_system_id(err, ERR_ID_SELF_UNPROTECTED, "sealing the copy of nsrun");
	fexecve(copy, argv, environ);
	return err_system_id(err, ERR_ID_SELF_UNPROTECTED, "executing the copy of nsrun");
}
