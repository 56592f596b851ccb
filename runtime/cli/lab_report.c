/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/cli/lab.h>

#include <nsrun/base/file.h>
#include <nsrun/base/strings.h>
#include <nsrun/cli/report.h>
#include <nsrun/lab/report.h>

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define PAGE_NAME "nsrun-lab-report.html"

/* The file as a whole or not at all. What is no regular file (/dev/null, a pipe) is written to where the caller has named it; under the
   name that nobody has named it could be anybody's. */
static int write_file(const char *path, bool named, const char *text, size_t size, struct err *err)
{
	_cleanup_close_ int fd = FD_NONE;
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *dir = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
	struct stat st;

	if (!dir)
		return err_oom(err);
	if (lstat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
		if (!named)
			return err_input(err, "%s: is there, and is no regular file; -o names another one", path);
		fd = open(path, O_WRONLY | O_TRUNC | O_NOCTTY | O_CLOEXEC);
		if (fd < 0)
			return err_system(err, "%s", path);
		const int r = write_all(fd, text, size);

		return r < 0 ? err_set(err, ERR_SYSTEM, ERR_ID_NONE, -r, "%s", path) : 0;
	}
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_system(err, "%s", dir);
	return file_replace_at(fd, slash ? slash + 1 : path, 0644, text, size, err);
}

static int render(const json_t *document, bool json, bool class, char **ret, size_t *ret_size, struct err *err)
{
	FILE *out = open_memstream(ret, ret_size);

	if (!out)
		return err_oom(err);
	if (json) {
		(void)json_dumpf(document, out, JSON_INDENT(1));
		fputc('\n', out);
	} else if (class) {
		lab_class_page(out, document);
	} else {
		lab_report_page(out, document);
	}
	const bool failed = ferror(out) != 0;

	return fclose(out) != 0 || failed ? err_oom(err) : 0;
}

static int put(const struct lab_options *options, const json_t *document, bool class)
{
	const char *path = options->output ? options->output : options->json == YES ? "-" : PAGE_NAME;
	_cleanup_free_ char *text = NULL;
	struct err err = ERR_INIT;
	size_t size = 0;

	int r = render(document, options->json == YES, class, &text, &size, &err);
	if (r == 0 && streq(path, "-")) {
		fwrite(text, 1, size, stdout);
		return report_flush(stdout, "standard output");
	}
	if (r == 0)
		r = write_file(path, options->output != NULL, text, size, &err);
	if (r < 0)
		return report_error(stderr, &err);
	if (!options->output) {
		printf("Written: %s\n", path);
		return report_flush(stdout, "standard output");
	}
	return 0;
}

/* A chapter's name in the place of a file would make the page of a class of nobody. */
static int want_files(const char *const *files, size_t n, struct err *err)
{
	struct stat st;

	for (size_t i = 0; i < n; i++)
		if (!strpbrk(files[i], "/.") && lstat(files[i], &st) < 0 && errno == ENOENT)
			return err_input(
				err,
				"lab report: there is no file %s; it takes files that learners have handed in, and without one it tells of all chapters",
				files[i]);
	return 0;
}

/* The work of a learner would be gone. */
static int keep_inputs(const struct lab_options *options, const char *const *files, size_t n, struct err *err)
{
	const char *path = options->output ? options->output : options->json == YES ? "-" : PAGE_NAME;
	struct stat output, input;

	if (streq(path, "-") || stat(path, &output) < 0 || !S_ISREG(output.st_mode))
		return 0;
	for (size_t i = 0; i < n; i++)
		if (stat(files[i], &input) == 0 && input.st_dev == output.st_dev && input.st_ino == output.st_ino)
			return err_input(err, "lab report: %s is one of the results, and would be overwritten", path);
	return 0;
}

static void tell_doubts(const json_t *class)
{
	const json_t *learners = json_object_get(class, "learners");

	for (size_t i = 0; i < json_array_size(learners); i++) {
		const json_t *learner = json_array_get(learners, i);
		const char *file = json_string_value(json_object_get(learner, "file"));
		const char *verdict = json_string_value(json_object_get(learner, "verdict"));
		const char *reason = json_string_value(json_object_get(learner, "reason"));
		const char *twin = json_string_value(json_object_get(learner, "same_as"));

		if (!lab_class_is_doubtful(learner) || !file || !verdict)
			continue;
		if (streq(verdict, lab_verdict_word(LAB_FILE_SOUND)))
			fprintf(stderr, "nsrun: %s: the same work as that of %s\n", file, twin ? twin : "");
		else
			fprintf(stderr, "nsrun: %s: %s%s%s\n", file, lab_verdict_text(verdict),
				reason && *reason ? ": " : "", reason ? reason : "");
	}
}

static int report_class(const struct lab_options *options, const char *salt, const char *const *files, size_t n)
{
	json_t *class = lab_class_new(salt);
	struct err err = ERR_INIT;
	int r = class ? want_files(files, n, &err) : err_oom(&err);

	if (r == 0)
		r = keep_inputs(options, files, n, &err);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = lab_class_add(class, files[i], salt, &err);
	int status = r < 0 ? report_error(stderr, &err) : put(options, class, true);
	const unsigned doubtful = lab_class_doubtful(class);

	if (!status && doubtful) {
		tell_doubts(class);
		fprintf(stderr, "nsrun: %u of %zu files are doubtful\n", doubtful, n);
		status = 1;
	}
	json_decref(class);
	return status;
}

static int report_own(const struct lab_options *options, struct lab_place *place, const char *salt)
{
	_cleanup_(lab_progress_done) struct lab_progress progress = { 0 };
	struct err err = ERR_INIT;
	json_t *document = NULL;

	int status = lab_open_progress(place, &progress);
	if (status)
		return status;
	if (lab_report_make(place, &progress, salt, &document, &err) < 0)
		return report_error(stderr, &err);
	status = put(options, document, false);
	json_decref(document);
	return status;
}

int lab_report(const struct lab_options *options, struct lab_place *place, const char *const *files, size_t n)
{
	const char *salt = options->salt ? options->salt : getenv("NSRUN_LAB_SALT");

	if (salt && !*salt)
		salt = NULL;
	return n ? report_class(options, salt, files, n) : report_own(options, place, salt);
}
