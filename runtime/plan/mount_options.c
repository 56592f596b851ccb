/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/plan/mount_options.h>

#include <nsrun/base/strings.h>

#include <string.h>
#include <sys/mount.h>

#define WORD(w, kinds_, slot_, choice_, set, clear, text)                                                            \
	{                                                                                                            \
		.word = (w), .kinds = (kinds_), .slot = SLOT_##slot_, .choice = CHOICE_##choice_, .attr_set = (set), \
		.attr_clear = (clear), .meaning = (text)                                                             \
	}
#define BOOL(w, kinds_, slot_, choice_, set, clear, text)                                                              \
	{                                                                                                              \
		.word = (w), .value = VALUE_BOOL, .kinds = (kinds_), .slot = SLOT_##slot_, .choice = CHOICE_##choice_, \
		.attr_set = (set), .attr_clear = (clear), .meaning = (text)                                            \
	}
#define TEXT(w, kinds_, slot_, text)                                                                             \
	{                                                                                                        \
		.word = (w), .value = VALUE_TEXT, .kinds = (kinds_), .slot = SLOT_##slot_, .choice = CHOICE_YES, \
		.meaning = (text)                                                                                \
	}
#define PLACE(w, kinds_, slot_, text)                                                                          \
	{                                                                                                      \
		.word = (w), .value = VALUE_TEXT, .kinds = (kinds_), .only_mount = true, .slot = SLOT_##slot_, \
		.choice = CHOICE_YES, .meaning = (text)                                                        \
	}

#define BIND KIND(BIND)
#define TMPFS KIND(TMPFS)
#define OVERLAY KIND(OVERLAY)
#define RO MOUNT_ATTR_RDONLY

/* clang-format off */
const struct mount_word mount_words[] = {
	PLACE("type", KINDS_ALL, TYPE, "bind, tmpfs or overlay"),
	PLACE("source", BIND, SOURCE, "directory or file of the host; it must exist"),
	PLACE("src", BIND, SOURCE, "source"),
	PLACE("target", KINDS_ALL, TARGET, "where it is mounted, made where it is missing"),
	PLACE("destination", KINDS_ALL, TARGET, "target"),
	PLACE("dst", KINDS_ALL, TARGET, "target"),

	BOOL("ro", KINDS_ALL, WRITE, NO, RO, 0, "read-only, with everything mounted below"),
	BOOL("readonly", KINDS_ALL, WRITE, NO, RO, 0, "ro"),
	WORD("rro", BIND, WRITE, NO, RO, 0, "ro"),
	BOOL("rw", KINDS_ALL, WRITE, YES, 0, 0, "writable (default)"),

	WORD("rbind", BIND, RECURSE, YES, 0, 0, "with what is mounted below the source (default where ids are not changed; refused where they are)"),
	WORD("bind", BIND, RECURSE, NO, 0, 0, "without what is mounted below the source"),
	BOOL("bind-nonrecursive", BIND, RECURSE, NO, 0, 0, "bind"),
	WORD("bind-recursive=enabled", BIND, RECURSE, YES, 0, 0, "rbind"),
	WORD("bind-recursive=disabled", BIND, RECURSE, NO, 0, 0, "bind"),
	WORD("bind-recursive=readonly", BIND, RECURSE, READONLY_BELOW, 0, 0, "with ro: read-only below, too, as ro is anyway"),
	WORD("bind-recursive=writable", BIND, RECURSE, WRITABLE_BELOW, 0, 0, "with ro: what is mounted below stays as it is"),

	WORD("private", BIND, PROPAGATION, PRIVATE, 0, 0, "mounts made later on either side stay there (default)"),
	WORD("rprivate", BIND, PROPAGATION, PRIVATE, 0, 0, "private"),
	WORD("slave", BIND, PROPAGATION, SLAVE, 0, 0, "mounts that the host makes below the source later appear inside, as the host made them"),
	WORD("rslave", BIND, PROPAGATION, SLAVE, 0, 0, "slave; both cover what is mounted below the source"),
	WORD("shared", BIND, PROPAGATION, SHARED, 0, 0, "in both directions; without a user namespace only"),
	WORD("rshared", BIND, PROPAGATION, SHARED, 0, 0, "shared; both cover what is mounted below the source"),
	{ .word = "bind-propagation", .value = VALUE_WORD, .kinds = BIND, .slot = SLOT_PROPAGATION, .meaning = "one of these six" },

	BOOL("nosuid", KINDS_ALL, SUID, NO, MOUNT_ATTR_NOSUID, 0, "set-uid bits and file capabilities count for nothing (default)"),
	WORD("suid", KINDS_ALL, SUID, YES, 0, MOUNT_ATTR_NOSUID, "they count; only with --security-opt no-new-privileges=false"),
	BOOL("nodev", KINDS_ALL, DEV, NO, MOUNT_ATTR_NODEV, 0, "device nodes cannot be opened (always)"),
	WORD("dev", KINDS_ALL, DEV, YES, 0, MOUNT_ATTR_NODEV, "refused: nodes of a volume are devices of the host"),
	BOOL("noexec", KINDS_ALL, EXEC, NO, MOUNT_ATTR_NOEXEC, 0, "nothing in it can be executed (default of tmpfs)"),
	WORD("exec", KINDS_ALL, EXEC, YES, 0, MOUNT_ATTR_NOEXEC, "programs in it can be executed (default but for tmpfs)"),
	WORD("noatime", KINDS_ALL, ATIME, NO, MOUNT_ATTR_NOATIME, MOUNT_ATTR__ATIME, "reading leaves access times alone"),
	WORD("relatime", KINDS_ALL, ATIME, YES, MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME, "access times are renewed once a day or after a change"),
	WORD("strictatime", KINDS_ALL, ATIME, ALWAYS, MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME, "access times are renewed by every read"),
	BOOL("nosymfollow", KINDS_ALL, SYMLINKS, NO, MOUNT_ATTR_NOSYMFOLLOW, 0, "symbolic links in it lead nowhere"),

	TEXT("idmap=", BIND, IDMAP, "root: idmap, also where others can reach what the container writes; uids=DISK-HOST-COUNT#...;gids=... or "
	     "uids=@DISK-CONTAINER-COUNT: exactly these ids"),
	WORD("idmap", BIND, IDMAP, YES, 0, 0, "ids on disk are the container's own; under the same rule as for trees of host root"),
	WORD("U", BIND, CHOWN, YES, 0, 0, "the container's root owns it: nsrun changes no owner, and refuses where that is not so already"),
	BOOL("chown", BIND, CHOWN, YES, 0, 0, "U"),
	WORD("z", BIND, LABEL, YES, 0, 0, "SELinux label: nothing to do where SELinux is off, refused where it is on"),
	WORD("Z", BIND, LABEL, NO, 0, 0, "z"),
	WORD("relabel=shared", BIND, LABEL, YES, 0, 0, "z"),
	WORD("relabel=private", BIND, LABEL, NO, 0, 0, "Z"),
	WORD("nocopy", BIND, COPY, NO, 0, 0, "nothing of the rootfs is copied into it (nothing ever is)"),
	WORD("notmpcopyup", TMPFS, COPY, NO, 0, 0, "nocopy"),
	WORD("O", BIND, OVERLAY, YES, 0, 0, "an overlay in memory takes every write: the source is never changed"),

	TEXT("lowerdir", OVERLAY, LOWER, "directories of the host to be seen, topmost first, with colons between (\\: for one in a name)"),
	TEXT("upperdir", OVERLAY, UPPER, "directory that takes the writes; without it the overlay is read-only"),
	TEXT("workdir", OVERLAY, WORK, "empty directory beside upperdir, for overlayfs itself"),

	TEXT("size", TMPFS, SIZE, "bytes with a suffix, or a part of the host's memory such as 10% (default: 50%)"),
	TEXT("tmpfs-size", TMPFS, SIZE, "size"),
	TEXT("mode", TMPFS, MODE, "permissions of its root, octal (default: 1777)"),
	TEXT("tmpfs-mode", TMPFS, MODE, "mode"),
	TEXT("nr_inodes", TMPFS, INODES, "how many files it can have, with a suffix"),
	TEXT("uid", TMPFS, UID, "owner of its root, a number of the container (default: 0)"),
	TEXT("gid", TMPFS, GID, "group of its root, a number of the container (default: 0)"),
};
/* clang-format on */
const size_t mount_words_count = ARRAY_LEN(mount_words);

const char *mount_kind_name(enum mount_kind kind)
{
	static const char *const names[MOUNT_KIND_COUNT] = { "bind", "tmpfs", "overlay" };

	return names[kind];
}

static bool usable(const struct mount_options *options, const struct mount_word *row)
{
	return (row->kinds & options->kinds) && !(row->only_mount && !streq(options->option, "--mount"));
}

static int refuse_unknown(const struct mount_options *options, const char *word, struct err *err)
{
	const char *known[ARRAY_LEN(mount_words) + 1];
	size_t n = 0;

	for (size_t i = 0; i < mount_words_count; i++)
		if (usable(options, &mount_words[i]))
			known[n++] = mount_words[i].word;
	known[n] = NULL;
	char name[32]; /* without its value, as most stand in the table */
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(word, "="), word);
	const char *near = nearest_word(name, known);
	return err_set(err, ERR_INPUT, ERR_ID_MOUNT_OPTION, 0, "%s %s: unknown option %s%s%s%s", options->option,
		       options->text, word, near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
}

/* A word as it stands ("bind-recursive=writable"), or its name before "=". idmap has both forms. */
static const struct mount_word *find(const struct mount_options *options, const char *word, const char *equals)
{
	const size_t length = equals ? (size_t)(equals - word) : strlen(word);

	for (size_t i = 0; i < mount_words_count; i++) {
		const struct mount_word *row = &mount_words[i];
		const size_t n = strcspn(row->word, "=");

		if (!usable(options, row))
			continue;
		if (streq(row->word, word))
			return row;
		if (equals && n == length && strncmp(row->word, word, n) == 0 && row->value != VALUE_NONE &&
		    (!row->word[n] || !row->word[n + 1]))
			return row;
	}
	return NULL;
}

static enum mount_choice opposite(enum mount_choice choice)
{
	return choice == CHOICE_YES ? CHOICE_NO : CHOICE_YES;
}

static int read_value(const struct mount_options *options, const struct mount_word **row, const char *value,
		      enum mount_choice *choice, struct err *err)
{
	*choice = (*row)->choice;
	switch ((*row)->value) {
	case VALUE_NONE:
		return 0;
	case VALUE_BOOL:
		if (!value || streq(value, "true") || streq(value, "1"))
			return 0;
		if (!streq(value, "false") && !streq(value, "0"))
			return err_input(err, "%s %s: %s=%s: true or false is wanted", options->option, options->text,
					 (*row)->word, value);
		*choice = opposite(*choice);
		return 0;
	case VALUE_TEXT:
		if (value && *value)
			return 0;
		return err_input(err, "%s %s: %.*s=VALUE is wanted", options->option, options->text,
				 (int)strcspn((*row)->word, "="), (*row)->word);
	case VALUE_WORD:
		for (size_t i = 0; value && i < mount_words_count; i++)
			if (mount_words[i].slot == (*row)->slot && mount_words[i].value == VALUE_NONE &&
			    streq(mount_words[i].word, value)) {
				*row = &mount_words[i];
				*choice = (*row)->choice;
				return 0;
			}
		return err_input(err, "%s %s: %s: private, rprivate, slave, rslave, shared or rshared is wanted",
				 options->option, options->text, (*row)->word);
	}
	return err_bug(err, "%s: a row without a kind of value", (*row)->word);
}

int mount_options_read(struct mount_options *options, char *word, struct err *err)
{
	char *equals = strchr(word, '=');
	const struct mount_word *row = find(options, word, equals);
	enum mount_choice choice;

	if (!*word)
		return err_input(err, "%s %s: an empty option", options->option, options->text);
	if (!row) {
		const struct mount_options any = { .option = "--mount", .kinds = KINDS_ALL };
		const struct mount_word *other = find(&any, word, equals);

		if (other && other->only_mount)
			return err_input(err, "%s %s: %s is a word of --mount", options->option, options->text,
					 other->word);
		for (enum mount_kind kind = 0; other && kind < MOUNT_KIND_COUNT; kind++)
			if (other->kinds & (1U << kind))
				return err_input(err, "%s %s: %s is a word of %s mounts", options->option,
						 options->text, other->word, mount_kind_name(kind));
		return refuse_unknown(options, word, err);
	}
	const char *value = equals && row->value != VALUE_NONE ? equals + 1 : NULL;
	const int r = read_value(options, &row, value, &choice, err);
	if (r < 0)
		return r;
	const struct mount_word *before = options->said[row->slot].row;
	const char *old = options->said[row->slot].value;
	if (row->value != VALUE_TEXT)
		value = NULL;
	if (before && (options->said[row->slot].choice != choice || !old != !value || (old && !streq(old, value))))
		return err_input(err, "%s %s: %s and %s contradict each other", options->option, options->text,
				 before->word, word);
	options->said[row->slot].row = row;
	options->said[row->slot].choice = choice;
	options->said[row->slot].value = value;
	return 0;
}

int mount_options_check(const struct mount_options *options, enum mount_kind kind, struct err *err)
{
	for (size_t i = 0; i < SLOT_COUNT; i++) {
		const struct mount_word *row = options->said[i].row;

		if (row && !(row->kinds & (1U << kind)))
			return err_input(err, "%s %s: %s is no word of type=%s", options->option, options->text,
					 row->word, mount_kind_name(kind));
	}
	return 0;
}

void mount_options_attr(const struct mount_options *options, uint64_t *set, uint64_t *clear)
{
	for (size_t i = 0; i < SLOT_COUNT; i++) {
		const struct mount_word *row = options->said[i].row;

		if (!row)
			continue;
		if (options->said[i].choice != row->choice) { /* "ro=false" */
			*set &= ~row->attr_set;
			continue;
		}
		*set = (*set & ~row->attr_clear) | row->attr_set;
		*clear |=
			row->attr_clear; /* what the source's own mount has goes as well, or what was said would not be true */
	}
}

int mount_csv_field(const struct mount_options *options, char **state, char **ret, struct err *err)
{
	char *in = *state, *out = in;

	if (*in != '"') {
		*ret = strsep(state, ",");
		return 0;
	}
	for (in++; *in && !(in[0] == '"' && in[1] != '"'); in++) {
		in += in[0] == '"';
		*out++ = *in;
	}
	if (*in != '"' || (in[1] && in[1] != ','))
		return err_input(err, "%s %s: a quoted field ends in a double quote before a comma", options->option,
				 options->text);
	*ret = *state;
	*state = in[1] ? in + 2 : NULL;
	*out = '\0';
	return 0;
}
