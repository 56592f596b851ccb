/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/kernel/exec.h>

#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

/* execve(2) reads this much of the file to decide on a format (BINPRM_BUF_SIZE, since Linux 5.1; 128 before). */
#define HEAD_MAX 256
/* A script whose interpreter is a script ...: ELOOP beyond this (fs/exec.c). */
#define DEPTH_MAX 5
/* Program headers looked at; the kernel takes 64 KiB of them. */
#define PHNUM_MAX 1170

#if defined(__x86_64__)
#define NATIVE_MACHINE EM_X86_64
#define COMPAT_MACHINE EM_386
#elif defined(__aarch64__)
#define NATIVE_MACHINE EM_AARCH64
#define COMPAT_MACHINE EM_ARM
#elif defined(__riscv)
#define NATIVE_MACHINE EM_RISCV
#elif defined(__s390x__)
#define NATIVE_MACHINE EM_S390
#elif defined(__powerpc64__)
#define NATIVE_MACHINE EM_PPC64
#else
#define NATIVE_MACHINE EM_NONE
#endif

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define NATIVE_DATA ELFDATA2LSB
#else
#define NATIVE_DATA ELFDATA2MSB
#endif

static int explain(const char *file, const char *via, int errnum, int depth, struct err *err);

static const char *machine_name(unsigned machine, char *buf, size_t size)
{
	static const struct {
		unsigned machine;
		const char *name;
	} names[] = {
		{ EM_X86_64, "x86-64" },    { EM_386, "x86 (32 bit)" }, { EM_AARCH64, "aarch64" },
		{ EM_ARM, "arm (32 bit)" }, { EM_RISCV, "riscv" },	{ EM_S390, "s390" },
		{ EM_PPC64, "ppc64" },	    { EM_PPC, "ppc" },		{ EM_MIPS, "mips" },
		{ EM_SPARCV9, "sparc64" },  { 258, "loongarch" },
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (names[i].machine == machine)
			return names[i].name;
	snprintf(buf, size, "ELF machine %u", machine);
	return buf;
}

static int refuse(struct err *err, enum err_id id, int errnum, const char *file, const char *via, const char *what)
{
	if (via)
		return err_set(err, ERR_NOT_EXECUTABLE, id, errnum, "%s, the interpreter of %s: %s", file, via, what);
	return err_set(err, ERR_NOT_EXECUTABLE, id, errnum, "%s: %s", file, what);
}

static int bare(struct err *err, int errnum, const char *file, const char *via)
{
	if (via)
		return err_set(err, ERR_NOT_EXECUTABLE, ERR_ID_NONE, errnum, "%s, the interpreter of %s", file, via);
	return err_set(err, ERR_NOT_EXECUTABLE, ERR_ID_NONE, errnum, "%s", file);
}

/* The interpreter of a #! line as load_script (fs/binfmt_script.c) takes it. False: the kernel says ENOEXEC. `head` is
 * HEAD_MAX bytes, filled up with NUL, and one NUL more. */
static bool script_interpreter(const char *head, char *name, size_t size)
{
	const char *start = head + 2, *limit = head + HEAD_MAX - 1, *end, *p;
	size_t len;

	end = memchr(start, '\n', (size_t)(head + HEAD_MAX - start));
	if (!end) {
		/* The first line is longer than what was read: fine as long as the name itself is whole. */
		p = start + strspn(start, " \t");
		p += strcspn(p, " \t");
		if (p > limit)
			return false;
		end = limit;
	}
	while (start < end && (*start == ' ' || *start == '\t'))
		start++;
	for (p = start; p < end && *p != ' ' && *p != '\t' && *p != '\0'; p++)
		;
	len = (size_t)(p - start);
	if (len == 0 || len >= size)
		return false;
	memcpy(name, start, len);
	name[len] = '\0';
	return true;
}

static int explain_script(const char *file, const char *via, const char *head, int errnum, int depth, struct err *err)
{
	char name[HEAD_MAX];
	struct stat st;
	size_t len;

	if (!script_interpreter(head, name, sizeof(name)))
		return refuse(err, ERR_ID_NONE, errnum, file, via,
			      "its #! line names no interpreter, or one that does not end within 256 bytes");
	len = strlen(name);
	if (stat(name, &st) < 0) {
		if (errno != ENOENT && errno != ENOTDIR)
			return bare(err, errnum, name, file);
		if (name[len - 1] == '\r') {
			name[len - 1] = '\0';
			return err_set(err, ERR_NOT_EXECUTABLE, ERR_ID_SCRIPT_CRLF, errnum,
				       "%s: its #! line names \"%s\\r\", with the CR of a CR LF line end", file, name);
		}
		return err_set(err, ERR_NOT_EXECUTABLE, ERR_ID_INTERPRETER_MISSING, errnum,
			       "%s: its #! line names %s, which does not exist", file, name);
	}
	if (depth >= DEPTH_MAX)
		return refuse(err, ERR_ID_NONE, errnum, file, via, "too many interpreters that are scripts themselves");
	return explain(name, file, errnum, depth + 1, err);
}

/* The PT_INTERP of either class. False when there is none, or the file is cut off. */
static bool elf_interpreter(int fd, const unsigned char *head, char *name, size_t size)
{
	bool wide = head[EI_CLASS] == ELFCLASS64;
	Elf64_Ehdr h64;
	Elf32_Ehdr h32;
	uint64_t offset, n, entry;

	memcpy(&h64, head, sizeof(h64));
	memcpy(&h32, head, sizeof(h32));
	offset = wide ? h64.e_phoff : h32.e_phoff;
	n = wide ? h64.e_phnum : h32.e_phnum;
	entry = wide ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
	for (uint64_t i = 0; i < n && i < PHNUM_MAX && offset < INT64_MAX - 65536; i++, offset += entry) {
		Elf64_Phdr p64 = { 0 };
		Elf32_Phdr p32 = { 0 };
		uint64_t at, len;

		if (pread(fd, wide ? (void *)&p64 : (void *)&p32, entry, (off_t)offset) != (ssize_t)entry)
			return false;
		if ((wide ? p64.p_type : p32.p_type) != PT_INTERP)
			continue;
		at = wide ? p64.p_offset : p32.p_offset;
		len = wide ? p64.p_filesz : p32.p_filesz;
		if (len < 2 || len > size || at > INT64_MAX - size)
			return false;
		return pread(fd, name, (size_t)len, (off_t)at) == (ssize_t)len && name[len - 1] == '\0';
	}
	return false;
}

static int explain_elf(int fd, const char *file, const char *via, const unsigned char *head, ssize_t n, int errnum,
		       struct err *err)
{
	char name[PATH_MAX], what[64], buf[32];
	struct stat st;
	uint16_t machine;

	if (n < (ssize_t)sizeof(Elf32_Ehdr))
		return refuse(err, ERR_ID_WRONG_ARCH, errnum, file, via, "an ELF file that is cut off");
	memcpy(&machine, head + offsetof(Elf32_Ehdr, e_machine), sizeof(machine));
	if (head[EI_DATA] != NATIVE_DATA)
		machine = (uint16_t)(machine >> 8 | machine << 8);
	/* A 32-bit program of the same family runs where the kernel has the compatibility layer: only ENOEXEC
	 * accuses it. */
	if (head[EI_DATA] != NATIVE_DATA || (NATIVE_MACHINE != EM_NONE && machine != NATIVE_MACHINE
#ifdef COMPAT_MACHINE
					     && (machine != COMPAT_MACHINE || errnum == ENOEXEC)
#endif
						     )) {
		snprintf(what, sizeof(what), "a program for %s", machine_name(machine, buf, sizeof(buf)));
		return refuse(err, ERR_ID_WRONG_ARCH, errnum, file, via, what);
	}
	if (errnum == ENOEXEC || errnum == EINVAL)
		return refuse(
			err, ERR_ID_WRONG_ARCH, errnum, file, via,
			"an ELF file that the kernel does not accept: damaged, or no executable (an object file, say)");
	if (!elf_interpreter(fd, head, name, sizeof(name)))
		return bare(err, errnum, file, via);
	if (stat(name, &st) < 0) {
		if (errno == ENOENT || errno == ENOTDIR)
			return err_set(err, ERR_NOT_EXECUTABLE, ERR_ID_LOADER_MISSING, errnum,
				       "%s: its ELF loader %s does not exist", file, name);
		return bare(err, errnum, file, via);
	}
	if (errnum == EACCES || errnum == ELIBBAD)
		return err_set(err, ERR_NOT_EXECUTABLE, ERR_ID_NONE, errnum, "%s: its ELF loader %s cannot be executed",
			       file, name);
	return bare(err, errnum, file, via);
}

/* What the content says. Opening cannot hang: the file was regular, and O_NONBLOCK covers an exchange for a FIFO. */
static int explain_content(const char *file, const char *via, int errnum, int depth, struct err *err)
{
	_cleanup_close_ int fd = open(file, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	char head[HEAD_MAX + 1] = { 0 };
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return bare(err, errnum, file, via);
	n = pread(fd, head, HEAD_MAX, 0);
	if (n < 0)
		return bare(err, errnum, file, via);
	if (n >= SELFMAG && memcmp(head, ELFMAG, SELFMAG) == 0)
		return explain_elf(fd, file, via, (unsigned char *)head, n, errnum, err);
	if (n >= 2 && head[0] == '#' && head[1] == '!')
		return explain_script(file, via, head, errnum, depth, err);
	if (errnum == ENOEXEC && n == 0)
		return refuse(err, ERR_ID_NO_INTERPRETER_LINE, errnum, file, via, "an empty file");
	if (errnum == ENOEXEC && !memchr(head, '\0', (size_t)n))
		return refuse(err, ERR_ID_NO_INTERPRETER_LINE, errnum, file, via, "a text without a #! line");
	if (errnum == ENOEXEC)
		return refuse(err, ERR_ID_WRONG_ARCH, errnum, file, via, "no program of a known format");
	return bare(err, errnum, file, via);
}

static int explain(const char *file, const char *via, int errnum, int depth, struct err *err)
{
	struct statvfs fs;
	struct stat st;

	if (stat(file, &st) < 0) {
		/* Anything else, such as a seccomp filter that denies stat(2), proves nothing about the file. */
		if (errno != ENOENT && errno != ENOTDIR)
			return bare(err, errnum, file, via);
		if (lstat(file, &st) == 0)
			return err_set(err, ERR_NOT_FOUND, ERR_ID_CMD_NOT_FOUND, errnum,
				       "%s: a symbolic link to nothing", file);
		return err_set(err, ERR_NOT_FOUND, ERR_ID_CMD_NOT_FOUND, errnum, "%s", file);
	}
	if (S_ISDIR(st.st_mode))
		return refuse(err, ERR_ID_CMD_NOT_EXECUTABLE, errnum, file, via, "a directory");
	if (!S_ISREG(st.st_mode))
		return refuse(err, ERR_ID_CMD_NOT_EXECUTABLE, errnum, file, via, "not a regular file");
	if (errnum == EACCES) {
		if (statvfs(file, &fs) == 0 && (fs.f_flag & ST_NOEXEC))
			return refuse(err, ERR_ID_MOUNT_NOEXEC, errnum, file, via, "it lies on a mount with noexec");
		if ((st.st_mode & 0111) == 0)
			return refuse(err, ERR_ID_CMD_NOT_EXECUTABLE, errnum, file, via,
				      "no execute permission for anybody");
		if (faccessat(AT_FDCWD, file, X_OK, AT_EACCESS) < 0 && errno == EACCES)
			return refuse(err, ERR_ID_CMD_NOT_EXECUTABLE, errnum, file, via,
				      "no execute permission for this user");
	}
	return explain_content(file, via, errnum, depth, err);
}

/* Engines tell by these words of runc's, in lower case, whether their own exit status is 126 or 127. */
void exec_add_words(struct err *err)
{
	const char *words = NULL;

	if (!err || (err->kind != ERR_NOT_FOUND && err->kind != ERR_NOT_EXECUTABLE))
		return;
	switch (err->errnum) {
	case ENOENT:
		words = "no such file or directory";
		break;
	case ENOTDIR:
		words = "not a directory";
		break;
	case EACCES:
		words = "permission denied";
		break;
	case EPERM:
		words = "operation not permitted";
		break;
	case ENOEXEC:
		words = "exec format error";
		break;
	default:
		return;
	}
	if (strstr(err->message, words) || strstr(err->message, "executable file not found in $PATH"))
		return;
	const size_t room = sizeof(err->message) - strlen(words) - sizeof(": ");
	const size_t length = strlen(err->message) < room ? strlen(err->message) : room;

	snprintf(err->message + length, sizeof(err->message) - length, ": %s", words);
}

static int explain_failure(const char *file, int errnum, struct err *err)
{
	struct stat st;

	switch (errnum) {
	case E2BIG:
		return err_set(err, ERR_NOT_EXECUTABLE, ERR_ID_NONE, errnum,
			       "%s: arguments and environment exceed a quarter of the stack limit, or one of them 128 "
			       "KiB (execve(2))",
			       file);
	case ETXTBSY:
		return err_set(err, ERR_NOT_EXECUTABLE, ERR_ID_NONE, errnum, "%s: it is open for writing", file);
	case ELOOP:
		if (stat(file, &st) < 0 && errno == ELOOP)
			return err_set(err, ERR_NOT_EXECUTABLE, ERR_ID_NONE, errnum, "%s", file);
		return err_set(err, ERR_NOT_EXECUTABLE, ERR_ID_NONE, errnum,
			       "%s: its interpreter is a script whose interpreter is a script, more than %d deep", file,
			       DEPTH_MAX);
	case ENOENT:
	case ENOTDIR:
	case EACCES:
	case ENOEXEC:
	case ELIBBAD:
	case EINVAL:
		return explain(file, NULL, errnum, 0, err);
	default:
		return err_set(err, ERR_NOT_EXECUTABLE, ERR_ID_NONE, errnum, "%s", file);
	}
}

int exec_explain_failure(const char *file, int errnum, struct err *err)
{
	const int r = explain_failure(file, errnum, err);

	exec_add_words(err);
	return r;
}
