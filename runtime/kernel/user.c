/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/kernel/user.h>

#include <nsrun/kernel/idmap.h>
#include <nsrun/kernel/root.h>

#include <string.h>

#define FILE_MAX (16u << 20)
#define NAME_LEN_MAX 64	  /* with the NUL, as in struct user_entry */
#define GROUPS_MAX 65536u /* NGROUPS_MAX: setgroups(2) takes no more */

static const char passwd_path[] = "/etc/passwd", group_path[] = "/etc/group";

/* One half of a spec: a number, or a name. */
struct half {
	bool given, numeric;
	uint32_t id;
	char name[NAME_LEN_MAX];
};

struct spec {
	struct half user, group;
};

/* A field inside the file's buffer: not NUL-terminated. */
struct field {
	const char *s;
	size_t len;
};

static bool field_is(struct field f, const char *text)
{
	return f.len == strlen(text) && memcmp(f.s, text, f.len) == 0;
}

/* Digits alone, no leading zero (which reads as octal to some), at most IDMAP_ID_MAX. */
static bool id_of(struct field f, uint32_t *ret)
{
	uint64_t v = 0;

	if (f.len == 0 || f.len > 10 || (f.len > 1 && f.s[0] == '0'))
		return false;
	for (size_t i = 0; i < f.len; i++) {
		if (f.s[i] < '0' || f.s[i] > '9')
			return false;
		v = v * 10 + (uint64_t)(f.s[i] - '0');
	}
	if (v > IDMAP_ID_MAX)
		return false;
	*ret = (uint32_t)v;
	return true;
}

static int half_parse(struct field f, const char *what, struct half *ret, struct err *err)
{
	struct half half = { .given = true };
	char shown[NAME_LEN_MAX + 4];

	snprintf(shown, sizeof(shown), "%.*s%s", (int)(f.len < NAME_LEN_MAX ? f.len : NAME_LEN_MAX), f.s,
		 f.len > NAME_LEN_MAX ? "..." : "");
	if (f.len == 0)
		return err_input(err, "%s: empty; the form is USER, USER:GROUP, UID or UID:GID", what);
	if (f.s[0] >= '0' && f.s[0] <= '9') {
		/* A word that begins like a number is a number or a mistake ("0x0", "1 ", "4294967295"), never a
		 * name: no container can define a user of that name to mean another one. */
		half.numeric = true;
		if (!id_of(f, &half.id))
			return err_input(err, "%s %s: not a decimal number from 0 to %u", what, shown, IDMAP_ID_MAX);
		*ret = half;
		return 0;
	}
	if (f.len >= NAME_LEN_MAX)
		return err_input(err, "%s %s: longer than %d bytes", what, shown, NAME_LEN_MAX - 1);
	for (size_t i = 0; i < f.len; i++) {
		unsigned char c = (unsigned char)f.s[i];

		if (c <= ' ' || c == 0x7f || strchr(":,/", c) || (i == 0 && strchr("-+", c)))
			return err_input(err, "%s %s: neither a number nor a valid name", what, shown);
	}
	memcpy(half.name, f.s, f.len);
	*ret = half;
	return 0;
}

static int spec_parse(const char *text, struct spec *ret, struct err *err)
{
	struct spec spec = { 0 };
	const char *colon = strchr(text, ':');
	int r;

	r = half_parse((struct field){ text, colon ? (size_t)(colon - text) : strlen(text) }, "user", &spec.user, err);
	if (r < 0)
		return r;
	if (colon) {
		r = half_parse((struct field){ colon + 1, strlen(colon + 1) }, "group", &spec.group, err);
		if (r < 0)
			return r;
	}
	*ret = spec;
	return 0;
}

int user_check_syntax(const char *text, struct err *err)
{
	struct spec spec;

	return text ? spec_parse(text, &spec, err) : 0;
}

/* A file of lines of fields. Absent: no lines. */
struct table {
	char *data;
	size_t size, at;
	bool absent;
};

static void table_freep(struct table *t)
{
	free(t->data);
}

static int table_read(int root_fd, const char *path, struct table *ret, struct err *err)
{
	struct table t = { 0 };
	int r = root_read_file(root_fd, path, FILE_MAX, &t.data, &t.size, err);

	if (r == -ENOENT) {
		t.absent = true;
	} else if (r < 0) {
		return r;
	} else if (memchr(t.data, '\0', t.size)) {
		/* Readers in C end a line there and others do not: two programs would see two different users. */
		free(t.data);
		return err_input(err, "%s: contains a NUL byte", path);
	}
	*ret = t;
	return 0;
}

/* The next line, split at colons into exactly `n` fields; a line with fewer or more comes back with n_found != n. */
static bool table_next(struct table *t, struct field *fields, size_t n, size_t *n_found)
{
	const char *line, *end, *p;

	if (t->at >= t->size)
		return false;
	line = t->data + t->at;
	end = memchr(line, '\n', t->size - t->at);
	if (!end)
		end = t->data + t->size;
	t->at = (size_t)(end - t->data) + 1;
	memset(fields, 0, n * sizeof(*fields));
	*n_found = 0;
	for (p = line;; p++) {
		const char *stop = memchr(p, ':', (size_t)(end - p));

		if (!stop)
			stop = end;
		if (*n_found < n)
			fields[*n_found] = (struct field){ p, (size_t)(stop - p) };
		(*n_found)++;
		if (stop == end)
			return true;
		p = stop;
	}
}

static int field_copy(struct field f, char *buf, size_t size, const char *what, const char *name, struct err *err)
{
	if (f.len >= size)
		return err_set(err, ERR_INPUT, ERR_ID_NONE, ENAMETOOLONG, "%s: the %s of %s has %zu bytes", passwd_path,
			       what, name, f.len);
	memcpy(buf, f.s, f.len);
	buf[f.len] = '\0';
	return 0;
}

/* Fills uid, gid, home, shell and name from passwd(5). A number may be absent there. */
static int find_user(struct table *t, const struct half *user, struct user_entry *entry, struct err *err)
{
	struct field f[7];
	size_t n;

	while (table_next(t, f, ARRAY_LEN(f), &n)) {
		uint32_t uid = 0, gid = 0;
		bool valid = n == ARRAY_LEN(f) && id_of(f[2], &uid) && id_of(f[3], &gid);
		int r;

		if (user->numeric ? !(valid && uid == user->id) : !(n > 1 && field_is(f[0], user->name)))
			continue;
		/* The first line of that name counts (getpwnam(3)). A damaged one is an error: guessing could end
		 * at id 0. */
		if (!valid)
			return err_input(err, "%s: the line of %s is malformed", passwd_path, user->name);
		entry->creds.uid = uid;
		entry->creds.gid = gid;
		r = field_copy(f[5], entry->home, sizeof(entry->home), "home", user->numeric ? "that user" : user->name,
			       err);
		if (r == 0)
			r = field_copy(f[6], entry->shell, sizeof(entry->shell), "shell",
				       user->numeric ? "that user" : user->name, err);
		if (r < 0)
			return r;
		if (entry->home[0] != '/')
			strcpy(entry->home, "/");
		if (f[0].len < sizeof(entry->name)) {
			memcpy(entry->name, f[0].s, f[0].len);
			entry->name[f[0].len] = '\0';
		}
		return 0;
	}
	if (user->numeric) {
		entry->creds.uid = user->id;
		return 0;
	}
	return err_set(err, ERR_INPUT, ERR_ID_UNKNOWN_INSIDE, ENOENT, "user %s: %s %s", user->name, passwd_path,
		       t->absent ? "does not exist in the container" : "of the container has no such user");
}

static int find_group(struct table *t, const struct half *group, gid_t *ret, struct err *err)
{
	struct field f[4];
	uint32_t gid;
	size_t n;

	if (group->numeric) {
		*ret = group->id;
		return 0;
	}
	while (table_next(t, f, ARRAY_LEN(f), &n)) {
		if (n < 2 || !field_is(f[0], group->name))
			continue;
		if (n != ARRAY_LEN(f) || !id_of(f[2], &gid))
			return err_input(err, "%s: the line of %s is malformed", group_path, group->name);
		*ret = gid;
		return 0;
	}
	return err_set(err, ERR_INPUT, ERR_ID_UNKNOWN_INSIDE, ENOENT, "group %s: %s %s", group->name, group_path,
		       t->absent ? "does not exist in the container" : "of the container has no such group");
}

static bool lists_member(struct field members, const char *name)
{
	const char *end = members.s + members.len;

	for (const char *p = members.s; p < end; p++) {
		const char *stop = memchr(p, ',', (size_t)(end - p));

		if (!stop)
			stop = end;
		if (field_is((struct field){ p, (size_t)(stop - p) }, name))
			return true;
		p = stop;
	}
	return false;
}

/* The groups that list the user as a member, without its primary one. */
static int find_memberships(struct table *t, struct user_entry *entry, struct err *err)
{
	_cleanup_free_ gid_t *groups = NULL;
	size_t count = 0, room = 0, n;
	struct field f[4];

	while (table_next(t, f, ARRAY_LEN(f), &n)) {
		uint32_t gid;

		if (n != ARRAY_LEN(f) || !lists_member(f[3], entry->name))
			continue;
		if (!id_of(f[2], &gid))
			return err_input(err, "%s: the line of a group of %s is malformed", group_path, entry->name);
		if (gid == entry->creds.gid)
			continue;
		/* A gid listed twice stays twice: setgroups(2) does not mind, and a search would be quadratic in a
		 * hostile file. */
		if (count == GROUPS_MAX)
			return err_input(err, "%s: %s is in more than %u groups", group_path, entry->name, GROUPS_MAX);
		if (count == room) {
			gid_t *more;

			room = room ? room * 2 : 16;
			more = reallocarray(groups, room, sizeof(*groups));
			if (!more)
				return err_oom(err);
			groups = more;
		}
		groups[count++] = gid;
	}
	entry->creds.n_groups = count;
	entry->creds.groups = TAKE_PTR(groups);
	return 0;
}

int user_resolve(int root_fd, const char *text, struct user_entry *ret, struct err *err)
{
	_cleanup_(table_freep) struct table passwd = { 0 };
	_cleanup_(table_freep) struct table group = { 0 };
	struct user_entry entry = { .home = "/" };
	struct spec spec;
	int r;

	r = spec_parse(text ? text : "0:0", &spec, err);
	if (r < 0)
		return r;
	const bool numbers = spec.user.numeric && spec.group.given && spec.group.numeric;
	/* Of two numbers the file tells the home alone. One that is none (an engine masks it with /dev/null) tells nothing. */
	r = table_read(root_fd, passwd_path, &passwd, numbers ? NULL : err);
	if (r == 0)
		r = find_user(&passwd, &spec.user, &entry, numbers ? NULL : err);
	if (r < 0 && !numbers)
		return r;
	if (r < 0)
		entry = (struct user_entry){ .home = "/", .creds = { .uid = spec.user.id } };
	if (spec.group.given && spec.group.numeric) {
		entry.creds.gid = spec.group.id;
	} else if (spec.group.given || entry.name[0]) {
		r = table_read(root_fd, group_path, &group, err);
		if (r == 0)
			r = spec.group.given ? find_group(&group, &spec.group, &entry.creds.gid, err)
					     : find_memberships(&group, &entry, err);
		if (r < 0)
			return r;
	}
	*ret = entry;
	return 0;
}

int user_check_group_syntax(const char *word, struct err *err)
{
	struct half group;

	return half_parse((struct field){ word, strlen(word) }, "group", &group, err);
}

int user_add_groups(int root_fd, const char *const *words, struct user_entry *user, struct err *err)
{
	_cleanup_(table_freep) struct table table = { 0 };
	size_t n = user->creds.n_groups, asked = 0;

	while (words[asked])
		asked++;
	if (asked > GROUPS_MAX - n)
		return err_input(err, "more than %u groups", GROUPS_MAX);
	gid_t *groups = reallocarray(user->creds.groups, n + asked, sizeof(*groups));
	if (!groups)
		return err_oom(err);
	user->creds.groups = groups;
	for (; *words; words++) {
		struct half group = { 0 };

		int r = half_parse((struct field){ *words, strlen(*words) }, "group", &group, err);
		if (r == 0 && !group.numeric && !table.data && !table.absent)
			r = table_read(root_fd, group_path, &table, err);
		table.at = 0;
		if (r == 0)
			r = find_group(&table, &group, &groups[n], err);
		if (r < 0)
			return r;
		user->creds.n_groups = ++n;
	}
	return 0;
}
