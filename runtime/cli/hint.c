/* SPDX-License-Identifier: Apache-2.0 */
/* Words of other tools, and what to do here instead. */
#include <nsrun/cli/options.h>

#include <nsrun/base/strings.h>
#include <nsrun/cli/commands.h>

#include <string.h>
#include <sys/stat.h>

#define USAGE "nsrun [OPTIONS] ROOTFS [CMD]"

struct foreign_word {
	const char *words; /* separated by blanks */
	const char *instead;
};

static bool is_word_of(const char *words, const char *word)
{
	const size_t len = strlen(word);

	while (*words) {
		const size_t n = strcspn(words, " ");

		if (n == len && memcmp(words, word, n) == 0)
			return true;
		words += n + strspn(words + n, " ");
	}
	return false;
}

static const char *instead_of(const struct foreign_word *rows, size_t n, const char *word)
{
	for (size_t i = 0; i < n; i++)
		if (is_word_of(rows[i].words, word))
			return rows[i].instead;
	return NULL;
}

/* ---- options ---- */

/* `instead` is the name of an option here. */
static const struct foreign_word spellings[] = {
	{ "net", "network" },
	{ "mem memory-limit max-memory ram", "memory" },
	{ "swap", "memory-swap" },
	{ "cpu cpu-limit", "cpus" },
	{ "blkio-weight blkio-weight-device io-weight-device", "io-weight" },
	{ "memory-soft soft-memory memory-low", "memory-reservation" },
	{ "cpu-weight", "cpu-shares" },
	{ "hugepages huge-pages", "hugetlb" },
	{ "cgroup-conf unified", "cgroup" },
	{ "cpuset", "cpuset-cpus" },
	{ "pids max-pids nproc", "pids-limit" },
	{ "entry-point", "entrypoint" },
	{ "work-dir cwd chdir dir directory working-dir", "workdir" },
	{ "readonly ro readonly-rootfs", "read-only" },
	{ "overlay tmp-overlay", "ephemeral" },
	{ "bind ro-bind dev-bind", "volume" },
	{ "uidmap map-users", "uid-map" },
	{ "gidmap map-groups", "gid-map" },
	{ "remap subuidname subgidname private-users map-auto", "userns-remap" },
	{ "stdin", "interactive" },
	{ "terminal pty", "tty" },
	{ "environment setenv", "env" },
	{ "background daemon daemonize", "detach" },
	{ "host-name", "hostname" },
	{ "capability capabilities", "cap-add" },
	{ "drop-capability drop-caps", "cap-drop" },
	{ "seccomp no-new-privileges no-new-privs apparmor", "security-opt" },
	{ "port ports", "publish" },
	{ "init-path as-pid2", "init" },
	{ "gpus", "device" },
	{ "remove", "rm" },
	{ "cgroupns-mode", "cgroupns" },
};

/* `instead` is a sentence. */
static const struct foreign_word habits[] = {
	{ "root root-dir rootfs chroot image", "the root directory is a word behind the options: " USAGE },
	{ "pull platform disable-content-trust", "there is no image store: ROOTFS is a directory" },
	{ "restart", "there is no daemon: a service manager restarts, as systemd does with Restart=" },
	{ "cpu-quota cpu-period cpu-count cpu-percent",
	  "--cpus N is N processors' worth of time, the quota of a period of 100 ms" },
	{ "cpu-rt-runtime cpu-rt-period",
	  "realtime budgets are of cgroup v1 and of kernels with CONFIG_RT_GROUP_SCHED alone; --ulimit rtprio= lets the workload ask for realtime "
	  "scheduling" },
	{ "memory-swappiness",
	  "cgroup v2 has none for a group (vm.swappiness is the host's); --memory-swap says how much swap there is" },
	{ "oom-kill-disable",
	  "cgroup v2 has none: a container that waits for memory would hang; --oom-score-adj says who is killed first" },
	{ "kernel-memory", "kernel memory counts as memory: --memory limits both" },
	{ "health-cmd no-healthcheck health-interval", "there is no daemon that would look at it" },
	{ "runtime", "nsrun is the runtime" },
	{ "unshare-all unshare-user unshare-pid unshare-net fork mount-proc map-root-user",
	  "every namespace is a new one already, with a procfs of its own" },
	{ "die-with-parent", "so it is already" },
	{ "volumes-from", "name each directory by -v SRC:DST" },
	{ "label annotation label-file", "containers have no labels here" },
	{ "link expose publish-all network-alias", "names and ports of containers are not managed here" },
};

static const struct foreign_word letters[] = {
	{ "P", "names and ports of containers are not managed here" },
	{ "l", "containers have no labels here" },
	{ "D", "the root directory is a word behind the options: " USAGE },
	{ "q", "nsrun says nothing of its own unless something is wrong" },
	{ "V", "did you mean --version?" },
};

/* "cap_add" */
static const char *with_dashes(const struct option_table *table, const char *word)
{
	char name[64];
	size_t n = 0;
	const struct option_row *row;

	for (; word[n] && n < sizeof(name) - 1; n++)
		name[n] = (char)(word[n] == '_' ? '-' : word[n]);
	name[n] = '\0';
	row = option_find(table, name);
	return row ? row->name : NULL;
}

int option_hint(const struct option_table *table, const char *word, char *buf, size_t size)
{
	const char *name = with_dashes(table, word), *habit;

	if (!name)
		name = instead_of(spellings, ARRAY_LEN(spellings), word);
	if (!name || !option_find(table, name)) {
		/* Sentences are about the one-shot command. */
		habit = table->command ? NULL : instead_of(habits, ARRAY_LEN(habits), word);
		if (habit) {
			snprintf(buf, size, ": %s", habit);
			return 0;
		}
		name = option_nearest(table, word);
	}
	if (!name)
		return -ENOENT;
	snprintf(buf, size, ": did you mean --%s?", name);
	return 0;
}

int letter_hint(const struct option_table *table, char letter, char *buf, size_t size)
{
	const char word[] = { letter, '\0' };
	const char *habit = table->command ? NULL : instead_of(letters, ARRAY_LEN(letters), word);

	if (!habit)
		return -ENOENT;
	snprintf(buf, size, ": %s", habit);
	return 0;
}

const char *option_spelling(size_t i)
{
	return i < ARRAY_LEN(spellings) ? spellings[i].instead : NULL;
}

/* ---- the first word ---- */

static const char planned_commands[] = "doctor explain features list seccomp secret";

/* Commands of other tools that are a command here by another name. */
static const struct foreign_word synonyms[] = {
	{ "ps list container containers", "ls" },
	{ "remove prune delete system", "rm" },
	{ "enter sh shell", "exec" },
	{ "show info", "inspect" },
	{ "log", "logs" },
	{ "unpause thaw continue unfreeze", "resume" },
	{ "freeze suspend", "pause" },
};

static const struct foreign_word strangers[] = {
	{ "run create start restart", "containers are not made beforehand: " USAGE " makes and starts one" },
	{ "docker podman nerdctl crictl bwrap runc crun", "leave the word away: " USAGE },
	{ "sudo", "it stands before nsrun" },
	{ "build buildx", "and nsrun builds no images; rootfs-scripts make a rootfs" },
	{ "image images pull push rmi tag login logout manifest search history",
	  "and no command of nsrun, which keeps no images; rootfs-scripts make a rootfs" },
	{ "load save import", "and no command of nsrun, which keeps no images; tar(1) unpacks one into a directory" },
	{ "cp diff commit export",
	  "and no command of nsrun: the rootfs is a directory, which cp(1), diff(1) and tar(1) know" },
	{ "network port", "and no command of nsrun; the option --network chooses one for a container" },
	{ "volume", "and no command of nsrun: volumes are directories: -v SRC:DST" },
	{ "compose stack swarm service kube play", "and no command of nsrun, which runs one container at a time" },
	{ "rename", "and no command of nsrun" },
};

static const char well_known_images[] =
	"alpine almalinux amazonlinux archlinux busybox centos debian fedora golang hello-world httpd kali mariadb memcached mongo "
	"mysql nginx node opensuse perl php postgres python redis rockylinux ruby rust traefik ubuntu";

/* "alpine:3.19", "docker.io/library/alpine", "name@sha256:..." */
static bool looks_like_image(const char *word)
{
	if (word[0] == '/' || word[0] == '.')
		return false;
	return is_word_of(well_known_images, word) || strchr(word, ':') || str_after(word, "docker.io/") ||
	       str_after(word, "library/") || str_after(word, "quay.io/") || str_after(word, "ghcr.io/");
}

const struct command_row *command_find(const char *word)
{
	for (const struct command_row *row = commands; row->name; row++)
		if (streq(word, row->name))
			return row;
	return NULL;
}

const char *command_nearest(const char *word)
{
	const char *names[64] = { NULL };
	size_t n = 0;

	for (const struct command_row *row = commands; row->name && n < ARRAY_LEN(names) - 1; row++)
		names[n++] = row->name;
	return nearest_word(word, names);
}

static int missing(struct err *err, const char *word, const char *why)
{
	return err_set(err, ERR_INPUT, ERR_ID_ROOTFS_MISSING, ENOENT, "%s: no directory of that name%s%s", word,
		       str_after(why, "and ") ? ", " : ": ", why);
}

static int did_you_mean(struct err *err, const char *word, const char *command)
{
	return err_set(err, ERR_INPUT, ERR_ID_UNKNOWN_OPTION, ENOENT,
		       "%s: no directory of that name: did you mean nsrun %s?", word, command);
}

int rootfs_word_check(const char *rootfs, struct err *err)
{
	const char *other, *stranger;
	struct stat st;

	if (stat(rootfs, &st) == 0 || errno != ENOENT)
		return 0;
	/* docker's word, with docker's options before it: not the command of that name, which takes a bundle. */
	stranger = instead_of(strangers, ARRAY_LEN(strangers), rootfs);
	if (stranger)
		return missing(err, rootfs, stranger);
	/* Behind an option it is not the first word, which alone can be a command. */
	other = command_find(rootfs) ? rootfs : instead_of(synonyms, ARRAY_LEN(synonyms), rootfs);
	if (other && command_find(other))
		return did_you_mean(err, rootfs, other);
	if (other || is_word_of(planned_commands, rootfs))
		return err_set(err, ERR_INPUT, ERR_ID_NOT_BUILT, ENOENT,
			       "%s: no directory of that name, and a command that is planned, not built yet", rootfs);
	if (looks_like_image(rootfs))
		return missing(err, rootfs,
			       "it looks like an image, and nsrun takes the directory that one was unpacked to");
	if (!strchr(rootfs, '/') && command_nearest(rootfs))
		return did_you_mean(err, rootfs, command_nearest(rootfs));
	return 0;
}
