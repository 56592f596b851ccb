/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/plan/ids.h>

#include <nsrun/base/file.h>
#include <nsrun/base/strings.h>

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SUBID_FILE_MAX (4u << 20)
#define SUBID_LINES_MAX 65536

const struct id_files id_files_host = {
	.subid = { [SUBID_UID] = "/etc/subuid", [SUBID_GID] = "/etc/subgid" },
	.passwd = "/etc/passwd",
	.group = "/etc/group",
	.nsswitch = "/etc/nsswitch.conf",
};

void subid_lines_free(struct subid_line *lines, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(lines[i].owner);
	free(lines);
}

bool subid_owner_is(const char *owner, const char *name, uint32_t id)
{
	char number[11];

	if (name && streq(owner, name))
		return true;
	snprintf(number, sizeof(number), "%u", id);
	return streq(owner, number);
}

/* What is wrong with the line, or NULL. Fields are cut in place. */
static const char *parse_line(char *text, size_t len, struct subid_range *ret)
{
	char *first, *count;
	uint32_t f, c;

	if (memchr(text, '\0', len))
		return "it holds a NUL byte";
	first = strchr(text, ':');
	count = first ? strchr(first + 1, ':') : NULL;
	if (!count || strchr(count + 1, ':'))
		return "it has not three fields";
	*first++ = '\0';
	*count++ = '\0';
	if (!*text)
		return "the owner is empty";
	if (parse_u32(first, &f) < 0)
		return "FIRST is no 32-bit number";
	if (parse_u32(count, &c) < 0)
		return "COUNT is no 32-bit number";
	if (c == 0)
		return "COUNT is 0";
	if ((uint64_t)f + c - 1 > IDMAP_ID_MAX)
		return "it ends beyond the last id, 4294967294";
	*ret = (struct subid_range){ f, c };
	return NULL;
}

static int add_line(struct subid_line **lines, size_t *n, size_t *room, const char *owner,
		    const struct subid_range *range, unsigned line)
{
	char *copy;

	if (*n == *room) {
		size_t more = *room ? 2 * *room : 16;
		struct subid_line *grown = reallocarray(*lines, more, sizeof(**lines));

		if (!grown)
			return -ENOMEM;
		*lines = grown;
		*room = more;
	}
	copy = strdup(owner);
	if (!copy)
		return -ENOMEM;
	(*lines)[(*n)++] = (struct subid_line){ copy, *range, line };
	return 0;
}

int subid_read_file(const char *path, struct subid_line **ret, size_t *ret_n, struct err *err)
{
	_cleanup_free_ char *data = NULL;
	struct subid_line *lines = NULL;
	size_t size, n = 0, room = 0;
	unsigned number = 0;
	struct err read_err = ERR_INIT;
	int r;

	r = file_read_at(AT_FDCWD, path, SUBID_FILE_MAX, &data, &size, &read_err);
	if (r == -ENOENT) {
		*ret = NULL;
		*ret_n = 0;
		return 0;
	}
	if (r == -EFBIG)
		return err_set(err, ERR_INPUT, ERR_ID_SUBID_MALFORMED, EFBIG, "%s: longer than %u bytes", path,
			       SUBID_FILE_MAX);
	if (r < 0) {
		if (err && !err_is_set(err))
			*err = read_err;
		return r;
	}
	for (char *p = data, *end = data + size; p < end;) {
		char *eol = memchr(p, '\n', (size_t)(end - p));
		size_t len = (size_t)((eol ? eol : end) - p);
		struct subid_range range;
		const char *why;

		p[len] = '\0'; /* the buffer has one byte more than the file */
		number++;
		if (len > 0 && p[0] != '#') {
			why = parse_line(p, len, &range);
			if (why) {
				r = err_set(err, ERR_INPUT, ERR_ID_SUBID_MALFORMED, 0, "%s:%u: %s", path, number, why);
				goto fail;
			}
			if (n == SUBID_LINES_MAX) {
				r = err_set(err, ERR_INPUT, ERR_ID_SUBID_MALFORMED, 0, "%s:%u: more than %d ranges",
					    path, number, SUBID_LINES_MAX);
				goto fail;
			}
			r = add_line(&lines, &n, &room, p, &range, number);
			if (r < 0) {
				err_oom(err);
				goto fail;
			}
		}
		p += len + 1;
	}
	*ret = lines;
	*ret_n = n;
	return 0;
fail:
	subid_lines_free(lines, n);
	return r;
}

bool subid_uses_plugin(const char *nsswitch)
{
	_cleanup_free_ char *data = NULL;
	char *save, *line;
	size_t size;

	if (file_read_at(AT_FDCWD, nsswitch, 1 << 20, &data, &size, NULL) < 0)
		return false;
	for (line = strtok_r(data, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		const char *rest;

		line += strspn(line, " \t");
		rest = str_after(line, "subid:");
		if (!rest)
			continue;
		rest += strspn(rest, " \t");
		/* shadow takes the first source alone (nss.c of libsubid); so it is here. */
		if (*rest == '\0' || *rest == '#')
			return false;
		return strcspn(rest, " \t\r#") != 5 || strncmp(rest, "files", 5) != 0;
	}
	return false;
}

/* struct subid_range of <shadow/subid.h>, whose name is taken here. */
struct plugin_range {
	unsigned long start, count;
};
typedef int (*plugin_query)(const char *owner, struct plugin_range **ranges);
typedef bool (*plugin_init)(const char *progname, FILE *log);

/* Interface 4 gave the functions their present names; 3 has the same types (shadow 4.9 to 4.12). */
static const struct plugin_abi {
	const char *file, *init, *query[2];
} plugin_abis[] = {
	{ "libsubid.so.5", "subid_init", { "subid_get_uid_ranges", "subid_get_gid_ranges" } },
	{ "libsubid.so.4", "subid_init", { "subid_get_uid_ranges", "subid_get_gid_ranges" } },
	{ "libsubid.so.3", "libsubid_init", { "get_subuid_ranges", "get_subgid_ranges" } },
};

/* The library is never unloaded: its plug-in may have started threads or left handlers that point into it. */
static int plugin_load(enum subid_kind kind, plugin_query *ret, struct err *err)
{
	const struct plugin_abi *abi = plugin_abis;
	void *library = NULL;
	plugin_init init;

	for (size_t i = 0; i < ARRAY_LEN(plugin_abis) && !library; i++) {
		abi = &plugin_abis[i];
		library = dlopen(abi->file, RTLD_NOW | RTLD_LOCAL);
	}
	if (!library)
		return err_input(err,
				 "/etc/nsswitch.conf: its subid line names a plug-in, and libsubid cannot be loaded "
				 "(install libsubid4 or shadow-utils-subid, or write \"subid: files\")");
	init = (plugin_init)dlsym(library, abi->init);
	*ret = (plugin_query)dlsym(library, abi->query[kind]);
	if (!*ret)
		return err_input(err, "%s: has no function %s", abi->file, abi->query[kind]);
	if (init)
		init(NULL, NULL); /* otherwise it prints to standard error */
	return 0;
}

int subid_plugin_ranges(enum subid_kind kind, const char *owner, struct subid_ranges *ret, struct err *err)
{
	struct subid_range *ranges = NULL;
	_cleanup_free_ struct plugin_range *found = NULL;
	plugin_query query = NULL;
	int n, r;

	r = plugin_load(kind, &query, err);
	if (r < 0)
		return r;
	n = query(owner, &found);
	if (n < 0)
		return err_input(
			err, "%s: libsubid's plug-in (/etc/nsswitch.conf) failed for this owner, or does not know it",
			owner);
	if (n > 0) {
		ranges = calloc((size_t)n, sizeof(*ranges));
		if (!ranges || !found) {
			free(ranges);
			return err_oom(err);
		}
	}
	for (int i = 0; i < n; i++) {
		if (found[i].count == 0 || found[i].start > IDMAP_ID_MAX || found[i].count > IDMAP_ID_MAX ||
		    found[i].start + found[i].count - 1 > IDMAP_ID_MAX) {
			r = err_set(err, ERR_INPUT, ERR_ID_SUBID_MALFORMED, 0,
				    "%s: libsubid's plug-in gave the impossible range %lu:%lu", owner, found[i].start,
				    found[i].count);
			free(ranges);
			return r;
		}
		ranges[i] = (struct subid_range){ (uint32_t)found[i].start, (uint32_t)found[i].count };
	}
	*ret = (struct subid_ranges){ (size_t)n, ranges };
	return 0;
}

/* A range that somebody else has too would let two users' containers change each other's files. The owner's own line twice is refused as
 * well: laid end to end, the kernel would not take the map. */
static int refuse_overlap(const char *path, const struct subid_line *lines, size_t n, const char *name, uint32_t id,
			  struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		if (!subid_owner_is(lines[i].owner, name, id))
			continue;
		for (size_t j = 0; j < n; j++) {
			const struct subid_range *a = &lines[i].range, *b = &lines[j].range;

			if (j != i && (uint64_t)a->first < (uint64_t)b->first + b->count &&
			    (uint64_t)b->first < (uint64_t)a->first + a->count)
				return err_set(err, ERR_INPUT, ERR_ID_SUBID_OVERLAP, 0,
					       "%s:%u: the range of %s, %u:%u, overlaps %u:%u of %s in line %u", path,
					       lines[i].line, lines[i].owner, a->first, a->count, b->first, b->count,
					       lines[j].owner, lines[j].line);
		}
	}
	return 0;
}

int subid_ranges_in(const struct id_files *files, enum subid_kind kind, const char *name, uint32_t id,
		    struct subid_ranges *ret, struct err *err)
{
	struct subid_ranges found = { 0 };
	struct subid_line *lines;
	size_t n;
	int r;

	if (subid_uses_plugin(files->nsswitch)) {
		char number[11];

		snprintf(number, sizeof(number), "%u", id);
		return subid_plugin_ranges(kind, name ? name : number, ret, err);
	}
	r = subid_read_file(files->subid[kind], &lines, &n, err);
	if (r < 0)
		return r;
	found.ranges = n ? calloc(n, sizeof(*found.ranges)) : NULL;
	if (n && !found.ranges)
		r = err_oom(err);
	else
		r = refuse_overlap(files->subid[kind], lines, n, name, id, err);
	for (size_t i = 0; i < n && r == 0; i++)
		if (subid_owner_is(lines[i].owner, name, id))
			found.ranges[found.n++] = lines[i].range;
	subid_lines_free(lines, n);
	if (r < 0) {
		free(found.ranges);
		return r;
	}
	*ret = found;
	return 0;
}
