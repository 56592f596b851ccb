/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/plan/mounts.h>

#include <nsrun/base/strings.h>

#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

/* ---- what every kind has ---- */

int plan_mount_attr(const struct plan *plan, const struct mount_options *options, uint64_t usual,
		    struct plan_mount *mount, struct err *err)
{
	if (options->said[SLOT_DEV].choice == CHOICE_YES)
		return err_refused(err, ERR_ID_MOUNT_DEV, "%s %s: dev: %s", options->option, options->text,
				   plan_has_userns(plan)
					   ? "device nodes of a volume are devices of the host"
					   : "they are devices of the host, and nothing here says which may be used");
	if (options->said[SLOT_SUID].choice == CHOICE_YES && plan->no_new_privs)
		return err_refused(err, ERR_ID_MOUNT_SUID, "%s %s: suid", options->option, options->text);
	mount->attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | usual;
	mount_options_attr(options, &mount->attr_set, &mount->attr_clear);
	return 0;
}

/* ---- bind ---- */

/* Docker and podman change the owner of the source. Here it is so already, or it is not and nothing is changed. */
static int check_chown(const struct plan *plan, const struct mount_options *options, const char *source,
		       const struct plan_tree *tree, struct err *err)
{
	struct stat st;

	if (options->said[SLOT_CHOWN].choice != CHOICE_YES)
		return 0;
	if (stat(tree->path, &st) < 0)
		return err_system(err, "%s", source);
	const bool root_runs = streq(plan->user, "0") || str_after(plan->user, "0:") || streq(plan->user, "root");
	const bool owned = tree->view == VIEW_AS_IS	 ? st.st_uid == plan->root_uid
			   : tree->view == VIEW_IDMAPPED ? st.st_uid == 0
							 : !options->said[SLOT_IDMAP].row;
	if (root_runs && owned)
		return 0;
	return err_refused(err, ERR_ID_VOLUME_CHOWN, "%s %s: U: %s would not own it", options->option, options->text,
			   root_runs ? "the container's root" : "the user inside");
}

static int check_label(const struct mount_options *options, struct err *err)
{
	/* The directory exists wherever the kernel has SELinux; the file is there while selinuxfs is mounted, which it is where SELinux is on. */
	if (!options->said[SLOT_LABEL].row || access("/sys/fs/selinux/enforce", F_OK) < 0)
		return 0;
	return err_refused(err, ERR_ID_SELINUX_LABEL, "%s %s: %s: nsrun sets no SELinux labels", options->option,
			   options->text, options->said[SLOT_LABEL].row->word);
}

static int resolve_propagation(const struct plan *plan, const struct mount_options *options, const char *source,
			       struct plan_tree *tree, struct err *err)
{
	const enum mount_choice choice = options->said[SLOT_PROPAGATION].choice;
	bool shared, slave;

	if (choice == CHOICE_NONE || choice == CHOICE_PRIVATE)
		return 0;
	const char *word = options->said[SLOT_PROPAGATION].row->word;
	if (choice == CHOICE_SHARED && (plan_has_userns(plan)))
		return err_refused(err, ERR_ID_PROPAGATION, "%s %s: %s: the container has a user namespace of its own",
				   options->option, options->text, word);
	if (choice == CHOICE_SHARED && plan->performer[WORK_SOURCES] == BY_INIT)
		return err_refused(err, ERR_ID_PROPAGATION, "%s %s: %s: the caller has no mount namespace of its own",
				   options->option, options->text, word);
	_cleanup_close_ int fd = open(tree->path, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return err_system(err, "%s", source);
	const int r = tree_propagation(fd, source, &shared, &slave, err);
	if (r < 0)
		return r;
	if (!shared && !(slave && choice == CHOICE_SLAVE))
		return err_refused(err, ERR_ID_PROPAGATION,
				   "%s %s: %s: the source is on a private mount, to which nothing propagates",
				   options->option, options->text, word);
	const bool readonly = options->said[SLOT_WRITE].choice == CHOICE_NO;
	if (readonly && options->said[SLOT_RECURSE].choice != CHOICE_WRITABLE_BELOW)
		return err_refused(err, ERR_ID_READONLY_SLAVE, "%s %s: ro does not reach mounts that are made later",
				   options->option, options->text);
	tree->propagation = choice == CHOICE_SLAVE ? MS_SLAVE : MS_SHARED;
	return 0;
}

/* What the words alone are wrong about. */
static int check_words(const struct mount_options *options, struct err *err)
{
	const enum mount_choice choice = options->said[SLOT_RECURSE].choice;

	if ((choice != CHOICE_READONLY_BELOW && choice != CHOICE_WRITABLE_BELOW) ||
	    options->said[SLOT_WRITE].choice == CHOICE_NO)
		return 0;
	return err_input(err, "%s %s: %s says something about read-only mounts: add ro", options->option, options->text,
			 options->said[SLOT_RECURSE].row->word);
}

static int resolve_recursion(const struct mount_options *options, const struct plan_tree *tree,
			     struct plan_mount *mount, struct err *err)
{
	const enum mount_choice choice = options->said[SLOT_RECURSE].choice;

	if (choice == CHOICE_YES && !tree->recursive && tree->is_directory)
		return err_refused(err, ERR_ID_IDMAP_BELOW, "%s %s: %s", options->option, options->text,
				   options->said[SLOT_RECURSE].row->word);
	if (choice == CHOICE_WRITABLE_BELOW) {
		mount->attr_set &= ~(uint64_t)MOUNT_ATTR_RDONLY;
		mount->attr_top = MOUNT_ATTR_RDONLY;
	}
	return 0;
}

int plan_bind_mount(struct plan *plan, const struct mount_options *options, const char *source, struct plan_mount *ret,
		    struct err *err)
{
	const bool in_memory = options->said[SLOT_OVERLAY].row;
	const char *idmap = options->said[SLOT_IDMAP].value;
	struct tree_wish wish = {
		.readonly = options->said[SLOT_WRITE].choice == CHOICE_NO && !in_memory,
		.layer = in_memory,
		.idmap_root = idmap && streq(idmap, "root"),
		.idmap = options->said[SLOT_IDMAP].row && !idmap,
		.same_mount = options->said[SLOT_RECURSE].choice == CHOICE_NO,
		.ids = idmap && !streq(idmap, "root") ? idmap : NULL,
	};
	struct plan_mount mount = { .kind = MOUNT_BIND, .first_source = plan->n_sources, .n_sources = 1 };
	struct plan_tree *tree = &plan->sources[plan->n_sources];

	int r = check_words(options, err);
	if (r == 0)
		r = plan_mount_attr(plan, options, 0, &mount, err);
	if (r == 0)
		r = plan_resolve_tree(plan, source, &wish, tree, err);
	if (r == 0)
		r = check_chown(plan, options, source, tree, err);
	if (r == 0)
		r = check_label(options, err);
	if (r == 0)
		r = resolve_propagation(plan, options, source, tree, err);
	if (r == 0)
		r = resolve_recursion(options, tree, &mount, err);
	if (r < 0)
		return r;
	mount.is_directory = tree->is_directory;
	if (in_memory) {
		if (!tree->is_directory || options->said[SLOT_PROPAGATION].row)
			return err_input(err, "%s %s: O: %s", options->option, options->text,
					 tree->is_directory ? "an overlay receives no mounts"
							    : "an overlay is made of directories");
		mount.kind = MOUNT_OVERLAY;
		mount.n_lower = 1;
		mount.in_memory = true;
	}
	plan->n_sources++;
	*ret = mount;
	return 0;
}

/* ---- tmpfs ---- */

/* Bytes, or a part of the host's memory. 0 would be no limit at all (tmpfs(5)). */
static int tmpfs_size(const struct plan *plan, const struct mount_options *options, const char *text, const char **ret,
		      struct err *err)
{
	const size_t n = strlen(text);
	char digits[8];
	uint64_t value;
	int r;

	if (n && n < sizeof(digits) && text[n - 1] == '%') {
		memcpy(digits, text, n - 1);
		digits[n - 1] = '\0';
		r = parse_u64(digits, &value);
		if (r == 0 && value >= 1 && value <= 100)
			return (*ret = text) ? 0 : -EINVAL;
	} else {
		r = parse_size(text, &value);
		if (r == 0 && value >= 1 && value <= INT64_MAX) {
			*ret = arena_printf(plan->arena, "%" PRIu64, value);
			return *ret ? 0 : err_oom(err);
		}
	}
	return err_input(err, "%s %s: size=%s: bytes from 1 with an optional suffix b, k, m, g, t, or 1%% to 100%%",
			 options->option, options->text, text);
}

static int tmpfs_id(const struct plan *plan, const struct mount_options *options, enum mount_slot slot,
		    const struct idmap *map, const char **ret, struct err *err)
{
	const char *text = options->said[slot].value;
	uint32_t id, outside;

	if (!text)
		return 0;
	if (parse_u32(text, &id) < 0)
		return err_input(err, "%s %s: %s=%s: a number is wanted", options->option, options->text,
				 options->said[slot].row->word, text);
	/* An `auto` range has 65536 ids. */
	if (plan->auto_pending ? id >= 65536 : !idmap_to_outside(map, id, &outside))
		return err_set(err, ERR_INPUT, ERR_ID_ID_NOT_MAPPED, 0, "%s %s: %s=%u", options->option, options->text,
			       options->said[slot].row->word, id);
	*ret = text;
	return 0;
}

int plan_tmpfs_mount(struct plan *plan, const struct mount_options *options, struct plan_mount *ret, struct err *err)
{
	struct plan_mount mount = { .kind = MOUNT_TMPFS, .is_directory = true, .mode = "1777" };
	const char *size = options->said[SLOT_SIZE].value, *mode = options->said[SLOT_MODE].value;
	const char *inodes = options->said[SLOT_INODES].value;
	uint64_t count;
	char *end;

	int r = plan_mount_attr(plan, options, MOUNT_ATTR_NOEXEC, &mount, err);
	if (r == 0 && size)
		r = tmpfs_size(plan, options, size, &mount.size, err);
	if (r == 0)
		r = tmpfs_id(plan, options, SLOT_UID, &plan->uids, &mount.uid, err);
	if (r == 0)
		r = tmpfs_id(plan, options, SLOT_GID, &plan->gids, &mount.gid, err);
	if (r < 0)
		return r;
	if (mode) {
		const unsigned long bits = strtoul(mode, &end, 8);

		if (*mode < '0' || *mode > '7' || *end || bits > 07777)
			return err_input(err, "%s %s: %s=%s: an octal number up to 7777 is wanted", options->option,
					 options->text, options->said[SLOT_MODE].row->word, mode);
		mount.mode = mode;
	}
	if (inodes) {
		if (parse_size(inodes, &count) < 0 || count == 0 || count > INT64_MAX)
			return err_input(err, "%s %s: nr_inodes=%s: a number from 1 with an optional suffix k, m, g",
					 options->option, options->text, inodes);
		mount.nr_inodes = arena_printf(plan->arena, "%" PRIu64, count);
		if (!mount.nr_inodes)
			return err_oom(err);
	}
	*ret = mount;
	return 0;
}
