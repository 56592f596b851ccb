/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/cli/options.h>

#include <nsrun/base/strings.h>
#include <nsrun/cli/commands.h>

#include <string.h>
#include <sys/stat.h>

static const char *const planned_commands[] = {
	"attach",   "checkpoint", "create", "delete", "doctor", "events",  "exec",   "explain",
	"features", "inspect",	  "kill",   "lab",    "list",	"logs",	   "ls",     "pause",
	"ps",	    "restore",	  "resume", "rm",     "run",	"seccomp", "secret", "spec",
	"start",    "state",	  "stats",  "stop",   "top",	"update",  "wait",   NULL,
};

static const char *const image_commands[] = {
	"build",   "commit", "compose", "container", "cp",	 "diff",    "export",  "history", "image", "images",
	"import",  "load",   "login",	"logout",    "manifest", "network", "port",    "pull",	  "push",  "rename",
	"restart", "rmi",    "save",	"search",    "system",	 "tag",	    "unpause", "volume",  NULL,
};

static bool is_among(const char *const *words, const char *word)
{
	for (; *words; words++)
		if (streq(*words, word))
			return true;
	return false;
}

/* "alpine:3.19", "docker.io/library/alpine", "name@sha256:..." */
static bool looks_like_image(const char *word)
{
	if (word[0] == '/' || word[0] == '.')
		return false;
	return strchr(word, ':') || str_after(word, "docker.io/") || str_after(word, "quay.io/") ||
	       str_after(word, "ghcr.io/");
}

static const char *nearest_command(const char *word)
{
	for (const struct command_row *row = commands; row->name; row++) {
		const char *const known[] = { row->name, NULL };

		if (nearest_word(word, known))
			return row->name;
	}
	return NULL;
}

int rootfs_word_check(const char *rootfs, struct err *err)
{
	struct stat st;

	if (stat(rootfs, &st) == 0 || errno != ENOENT)
		return 0;
	if (streq(rootfs, "help") || streq(rootfs, "version"))
		return err_set(err, ERR_INPUT, ERR_ID_UNKNOWN_OPTION, ENOENT,
			       "%s: no directory of that name: did you mean nsrun --%s?", rootfs, rootfs);
	if (streq(rootfs, "run"))
		return err_set(err, ERR_INPUT, ERR_ID_ROOTFS_MISSING, ENOENT,
			       "run: no directory of that name, and the command run is planned and not built yet; to "
			       "run CMD now: "
			       "nsrun [OPTIONS] ROOTFS [CMD]");
	if (is_among(planned_commands, rootfs))
		return err_set(err, ERR_INPUT, ERR_ID_NOT_BUILT, ENOENT,
			       "%s: no directory of that name, and a command that is planned, not built yet", rootfs);
	if (is_among(image_commands, rootfs))
		return err_set(err, ERR_INPUT, ERR_ID_ROOTFS_MISSING, ENOENT,
			       "%s: no directory of that name, and no command of nsrun, which keeps no images", rootfs);
	if (looks_like_image(rootfs))
		return err_set(err, ERR_INPUT, ERR_ID_ROOTFS_MISSING, ENOENT,
			       "%s: no directory of that name; it looks like an image, and nsrun takes the directory "
			       "that an image "
			       "was unpacked to",
			       rootfs);
	if (!strchr(rootfs, '/') && nearest_command(rootfs))
		return err_set(err, ERR_INPUT, ERR_ID_ROOTFS_MISSING, ENOENT,
			       "%s: no directory of that name: did you mean nsrun %s?", rootfs,
			       nearest_command(rootfs));
	return 0;
}
