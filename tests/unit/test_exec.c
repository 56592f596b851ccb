/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/kernel/exec.h>

#include <elf.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

static char dir[] = "/tmp/nsrun-exec-XXXXXX";

static void put(const char *name, const void *data, size_t size, mode_t mode)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, size), size);
	fchmod(fd, mode);
	close(fd);
}

static void put_text(const char *name, const char *text)
{
	put(name, text, strlen(text), 0755);
}

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/nsrun-exec-XXXXXX");
	return mkdtemp(dir) && chmod(dir, 0755) == 0 && chdir(dir) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return chdir("/") == 0 ? system(command) : -1;
}

/* Executes the file for real, so that the explanation is held against what this kernel says. */
static int exec_errno(const char *file)
{
	char *const argv[] = { (char *)file, NULL };
	int pair[2], e = 0;
	pid_t pid;

	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		execve(file, argv, argv + 1);
		e = errno;
		if (write(pair[1], &e, sizeof(e)) < 0)
			_exit(2);
		_exit(1);
	}
	close(pair[1]);
	if (read(pair[0], &e, sizeof(e)) < 0)
		e = -1;
	close(pair[0]);
	waitpid(pid, NULL, 0);
	return e;
}

static void explained(const char *file, int errnum, enum err_kind kind, enum err_id id, const char *word)
{
	struct err err = ERR_INIT;
	int got = exec_errno(file);

	if (got != errnum)
		fail_msg("%s: the kernel says %s", file, strerror(got));
	assert_int_equal(exec_explain_failure(file, errnum, &err), -errnum);
	if (err.kind != kind || err.id != id || err.errnum != errnum || (word && !strstr(err.message, word)))
		fail_msg("%s: kind %d id %s errno %d: %s", file, err.kind, err_id_word(err.id), err.errnum,
			 err.message);
}

static void find(void **state)
{
	struct err err = ERR_INIT;
	char *path = NULL;

	(void)state;
	mkdir("a", 0755);
	mkdir("b", 0755);
	mkdir("a/tool", 0755); /* a directory of that name is passed over */
	put("b/tool", "#!/bin/sh\n", 10, 0755);
	put("a/data", "x", 1, 0644);
	put("here", "#!/bin/sh\n", 10, 0755);
	assert_int_equal(exec_find("tool", "a:missing:b", &path, &err), 0);
	assert_string_equal(path, "b/tool");
	free(path);
	assert_int_equal(exec_find("./b/tool", "a", &path, &err), 0);
	assert_string_equal(path, "./b/tool");
	free(path);
	assert_int_equal(exec_find("here", "a:", &path, &err), 0); /* empty element: the working directory */
	assert_string_equal(path, "./here");
	free(path);
	assert_int_equal(exec_find("sh", NULL, &path, &err), 0);
	free(path);

	path = (char *)"untouched";
	assert_int_equal(exec_find("none", "a:b", &path, &err), -ENOENT);
	assert_int_equal(err.kind, ERR_NOT_FOUND);
	assert_int_equal(err_exit_status(&err), 127);
	err = ERR_INIT;
	assert_int_equal(exec_find("data", "a:b", &path, &err), -EACCES);
	assert_int_equal(err.kind, ERR_NOT_EXECUTABLE);
	assert_int_equal(err.id, ERR_ID_CMD_NOT_EXECUTABLE);
	assert_int_equal(err_exit_status(&err), 126);
	err = ERR_INIT;
	assert_int_equal(exec_find("", "a:b", &path, &err), -ENOENT);
	err = ERR_INIT;
	assert_int_equal(exec_find("./none", "a:b", &path, &err), -ENOENT);
	assert_int_equal(err.kind, ERR_NOT_FOUND);
	err = ERR_INIT;
	assert_int_equal(exec_find("./a", "a:b", &path, &err), -EACCES);
	assert_non_null(strstr(err.message, "directory"));
	err = ERR_INIT;
	assert_int_equal(exec_find("here/x", "a:b", &path, &err), -ENOTDIR);
	assert_int_equal(err.kind, ERR_NOT_FOUND);
	assert_string_equal(path, "untouched");
}

static void find_hostile(void **state)
{
	_cleanup_free_ char *dirs = malloc(20000), *cmd = malloc(20000);
	struct err err = ERR_INIT;
	char *path = NULL;

	(void)state;
	alarm(10);
	mkfifo("pipe", 0777);
	assert_int_equal(symlink("loop", "loop"), 0);
	assert_int_equal(exec_find("./pipe", "", &path, &err), -EACCES);
	assert_int_equal(err.kind, ERR_NOT_EXECUTABLE);
	err = ERR_INIT;
	assert_int_equal(exec_find("./loop", "", &path, &err), -ELOOP);
	assert_true(err_is_set(&err));
	memset(dirs, 'd', 19999);
	dirs[19999] = '\0';
	memcpy(dirs + 19990, ":/bin", 6);
	assert_int_equal(exec_find("sh", dirs, &path, &err), 0); /* an element longer than any path is passed over */
	assert_string_equal(path, "/bin/sh");
	free(path);
	memset(cmd, 'c', 19999);
	cmd[19999] = '\0';
	err = ERR_INIT;
	assert_int_equal(exec_find(cmd, "/bin", &path, &err), -ENAMETOOLONG);
	assert_true(err_is_set(&err));
	cmd[0] = '/';
	err = ERR_INIT;
	assert_int_equal(exec_find(cmd, "/bin", &path, &err), -ENAMETOOLONG);
	assert_true(err_is_set(&err));
	alarm(0);
}

static void scripts(void **state)
{
	char line[600];

	(void)state;
	put_text("missing", "#!/no/such/interpreter -x\necho\n");
	explained("./missing", ENOENT, ERR_NOT_EXECUTABLE, ERR_ID_INTERPRETER_MISSING, "/no/such/interpreter,");
	put_text("spaces", "#! \t /no/such\t arg\necho\n");
	explained("./spaces", ENOENT, ERR_NOT_EXECUTABLE, ERR_ID_INTERPRETER_MISSING, "names /no/such,");
	put_text("unended", "#!/no/such");
	explained("./unended", ENOENT, ERR_NOT_EXECUTABLE, ERR_ID_INTERPRETER_MISSING, "names /no/such,");
	put_text("crlf", "#!/bin/sh\r\necho\r\n");
	explained("./crlf", ENOENT, ERR_NOT_EXECUTABLE, ERR_ID_SCRIPT_CRLF, "\"/bin/sh\\r\"");
	put_text("nobody", "#!\necho\n");
	explained("./nobody", ENOEXEC, ERR_NOT_EXECUTABLE, ERR_ID_NONE, "names no interpreter");
	put_text("text", "echo hello\n");
	explained("./text", ENOEXEC, ERR_NOT_EXECUTABLE, ERR_ID_NO_INTERPRETER_LINE, "without a #! line");
	put_text("empty", "");
	explained("./empty", ENOEXEC, ERR_NOT_EXECUTABLE, ERR_ID_NO_INTERPRETER_LINE, "empty");
	put("plain", "x", 1, 0644);
	put_text("interpreter-plain", "#!./plain\n");
	explained("./interpreter-plain", EACCES, ERR_NOT_EXECUTABLE, ERR_ID_CMD_NOT_EXECUTABLE,
		  "./plain, the interpreter of");
	put_text("interpreter-text", "#!./text\n");
	explained("./interpreter-text", ENOEXEC, ERR_NOT_EXECUTABLE, ERR_ID_NO_INTERPRETER_LINE,
		  "./text, the interpreter of");
	put_text("second", "#!./missing\n");
	explained("./second", ENOENT, ERR_NOT_EXECUTABLE, ERR_ID_INTERPRETER_MISSING, "./missing: its #! line");
	put_text("self", "#!./self\n");
	explained("./self", ELOOP, ERR_NOT_EXECUTABLE, ERR_ID_NONE, "more than 5 deep");

	/* at, one below and beyond the 256 bytes that the kernel reads */
	for (int len = 250; len <= 260; len++) {
		int e;
		struct err err = ERR_INIT;

		memset(line, 'i', sizeof(line));
		memcpy(line, "#!/", 3);
		line[len] = '\n';
		put("long", line, (size_t)len + 1, 0755);
		e = exec_errno("./long");
		exec_explain_failure("./long", e, &err);
		if (err.id != (e == ENOENT ? ERR_ID_INTERPRETER_MISSING : ERR_ID_NONE) ||
		    err.kind != ERR_NOT_EXECUTABLE)
			fail_msg("#! line of %d bytes: %s: %s", len, strerror(e), err.message);
		line[len] = ' ';
		put("long", line, sizeof(line), 0755);
		e = exec_errno("./long");
		err = ERR_INIT;
		exec_explain_failure("./long", e, &err);
		if (err.id != (e == ENOENT ? ERR_ID_INTERPRETER_MISSING : ERR_ID_NONE) ||
		    err.kind != ERR_NOT_EXECUTABLE)
			fail_msg("#! name of %d bytes: %s: %s", len, strerror(e), err.message);
	}
}

static void put_elf(const char *name, unsigned class, uint16_t machine, const char *interpreter)
{
	struct {
		Elf64_Ehdr h;
		Elf64_Phdr p[2];
		char interp[64], code[64];
	} elf = { 0 };

	memcpy(elf.h.e_ident, ELFMAG, SELFMAG);
	elf.h.e_ident[EI_CLASS] = (unsigned char)class;
	elf.h.e_ident[EI_DATA] = ELFDATA2LSB;
	elf.h.e_ident[EI_VERSION] = EV_CURRENT;
	elf.h.e_type = ET_EXEC;
	elf.h.e_machine = machine;
	elf.h.e_version = EV_CURRENT;
	elf.h.e_ehsize = sizeof(elf.h);
	elf.h.e_phoff = sizeof(elf.h);
	elf.h.e_phentsize = sizeof(elf.p[0]);
	elf.h.e_phnum = 2;
	elf.h.e_entry = 0x400000;
	elf.p[0] = (Elf64_Phdr){ .p_type = interpreter ? PT_INTERP : PT_NULL,
				 .p_offset = offsetof(__typeof__(elf), interp),
				 .p_filesz = interpreter ? strlen(interpreter) + 1 : 0 };
	elf.p[1] = (Elf64_Phdr){ .p_type = PT_LOAD,
				 .p_flags = PF_R | PF_X,
				 .p_vaddr = 0x400000,
				 .p_filesz = sizeof(elf),
				 .p_memsz = sizeof(elf),
				 .p_align = 4096 };
	if (interpreter)
		snprintf(elf.interp, sizeof(elf.interp), "%s", interpreter);
	put(name, &elf, sizeof(elf), 0755);
}

static void programs(void **state)
{
#if defined(__x86_64__)
	const uint16_t native = EM_X86_64, other = EM_AARCH64;
	const char *other_name = "aarch64";
#elif defined(__aarch64__)
	const uint16_t native = EM_AARCH64, other = EM_X86_64;
	const char *other_name = "x86-64";
#else
	print_message("the ELF files of this test are for x86-64 and aarch64\n");
	skip();
	const uint16_t native = 0, other = 0;
	const char *other_name = "";
#endif
	struct err err = ERR_INIT;
	char huge[64] = { 0 };

	(void)state;
	put_elf("noloader", ELFCLASS64, native, "/lib/no-such-loader.so");
	explained("./noloader", ENOENT, ERR_NOT_EXECUTABLE, ERR_ID_LOADER_MISSING, "/lib/no-such-loader.so");
	put_elf("foreign", ELFCLASS64, other, NULL);
	explained("./foreign", ENOEXEC, ERR_NOT_EXECUTABLE, ERR_ID_WRONG_ARCH, other_name);
	put_elf("ppc", ELFCLASS32, EM_PPC, NULL);
	explained("./ppc", ENOEXEC, ERR_NOT_EXECUTABLE, ERR_ID_WRONG_ARCH, "ppc");
	put("cut", ELFMAG "\002\001\001", 7, 0755);
	explained("./cut", ENOEXEC, ERR_NOT_EXECUTABLE, ERR_ID_WRONG_ARCH, "cut off");
	put("binary", "\0\1\2\3", 4, 0755);
	explained("./binary", ENOEXEC, ERR_NOT_EXECUTABLE, ERR_ID_WRONG_ARCH, "known format");
	put_text("foreign-interpreter", "#!./foreign\n");
	explained("./foreign-interpreter", ENOEXEC, ERR_NOT_EXECUTABLE, ERR_ID_WRONG_ARCH, "the interpreter of");
	put("data", "x", 1, 0644);
	put_elf("badloader", ELFCLASS64, native, "./data");
	explained("./badloader", EACCES, ERR_NOT_EXECUTABLE, ERR_ID_NONE, "its ELF loader ./data");
	/* Headers that point beyond everything are read without harm, whatever errno is claimed. */
	memcpy(huge, ELFMAG "\002\001\001", 7);
	memset(huge + 18, 0xff, sizeof(huge) - 18);
	memcpy(huge + 18, &native, 2);
	put("huge", huge, sizeof(huge), 0755);
	assert_int_equal(exec_explain_failure("./huge", ENOENT, &err), -ENOENT);
	assert_int_equal(err.kind, ERR_NOT_EXECUTABLE);
}

static void other_reasons(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	explained("./none", ENOENT, ERR_NOT_FOUND, ERR_ID_CMD_NOT_FOUND, "./none");
	assert_int_equal(symlink("nothing", "dangling"), 0);
	explained("./dangling", ENOENT, ERR_NOT_FOUND, ERR_ID_CMD_NOT_FOUND, "symbolic link");
	mkdir("d", 0755);
	explained("./d", EACCES, ERR_NOT_EXECUTABLE, ERR_ID_CMD_NOT_EXECUTABLE, "a directory");
	put("nox", "#!/bin/sh\n", 10, 0644);
	explained("./nox", EACCES, ERR_NOT_EXECUTABLE, ERR_ID_CMD_NOT_EXECUTABLE, "permission");
	alarm(10);
	mkfifo("pipe", 0777);
	explained("./pipe", EACCES, ERR_NOT_EXECUTABLE, ERR_ID_CMD_NOT_EXECUTABLE, "not a regular file");
	explained("/dev/zero", EACCES, ERR_NOT_EXECUTABLE, ERR_ID_CMD_NOT_EXECUTABLE, "not a regular file");
	alarm(0);
	assert_int_equal(symlink("loop", "loop"), 0);
	explained("./loop", ELOOP, ERR_NOT_EXECUTABLE, ERR_ID_NONE, "./loop");
	assert_int_equal(exec_explain_failure("/bin/sh", E2BIG, &err), -E2BIG);
	assert_non_null(strstr(err.message, "128 KiB"));
	err = ERR_INIT; /* an errno that a filter made up */
	assert_int_equal(exec_explain_failure("/bin/sh", EPERM, &err), -EPERM);
	assert_int_equal(err.kind, ERR_NOT_EXECUTABLE);
}

static void noexec(void **state)
{
	pid_t pid;
	int status;

	(void)state;
	if (geteuid() != 0) {
		print_message("a mount with noexec needs root\n");
		skip();
	}
	pid = fork();
	if (pid == 0) {
		struct err err = ERR_INIT;
		char *path;

		if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		    mkdir("m", 0755) < 0 || mount("none", "m", "tmpfs", MS_NOEXEC, NULL) < 0)
			_exit(77);
		put_text("m/tool", "#!/bin/sh\n");
		if (exec_errno("m/tool") != EACCES || exec_find("m/tool", "", &path, &err) != -EACCES)
			_exit(1);
		_exit(err.id == ERR_ID_MOUNT_NOEXEC && err.kind == ERR_NOT_EXECUTABLE ? 0 : 2);
	}
	waitpid(pid, &status, 0);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
		print_message("mounting is not possible here\n");
		skip();
	}
	assert_int_equal(status, 0);
}

static void closes_all_above(void **state)
{
	(void)state;
	const pid_t pid = fork();
	if (pid == 0) {
		struct err err = ERR_INIT;
		const int low = dup(1), high = fcntl(1, F_DUPFD, 500);

		if (low < 3 || high < 500 || exec_close_from(low + 1, FD_NONE, &err) < 0)
			_exit(1);
		if (fcntl(low, F_GETFD) < 0 || fcntl(high, F_GETFD) >= 0 || fcntl(1, F_GETFD) < 0)
			_exit(2);
		_exit(0);
	}
	int status = -1;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(find, setup, teardown),
		cmocka_unit_test_setup_teardown(find_hostile, setup, teardown),
		cmocka_unit_test_setup_teardown(scripts, setup, teardown),
		cmocka_unit_test_setup_teardown(programs, setup, teardown),
		cmocka_unit_test_setup_teardown(other_reasons, setup, teardown),
		cmocka_unit_test_setup_teardown(noexec, setup, teardown),
		cmocka_unit_test(closes_all_above),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
