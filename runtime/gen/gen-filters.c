/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Build-time tool: gen-filters OUTPUT.c NAME=PROFILE.json...
 *
 * Compiling 330 rules costs libseccomp some 6 ms, three times what a whole launch may take. So the filters that nearly every
 * launch wants are compiled here, for the architecture of the build: each profile with each of the capability sets below. The text
 * of the profiles goes along, for every other set. tests/unit/test_seccomp.c compares these filters with freshly compiled ones.
 */
#include <nsrun/base/file.h>
#include <nsrun/kernel/caps.h>
#include <nsrun/plan/seccomp_json.h>

#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <linux/capability.h>
#include <string.h>

#define MAX_PROFILES 8

/* nsrun's default set (docs/architecture.md), and what Docker adds to it. */
#define CAPS_NSRUN                                                                                           \
	(CAP_MASK(CAP_CHOWN) | CAP_MASK(CAP_DAC_OVERRIDE) | CAP_MASK(CAP_FOWNER) | CAP_MASK(CAP_FSETID) |    \
	 CAP_MASK(CAP_KILL) | CAP_MASK(CAP_NET_BIND_SERVICE) | CAP_MASK(CAP_SETGID) | CAP_MASK(CAP_SETUID) | \
	 CAP_MASK(CAP_SETPCAP) | CAP_MASK(CAP_SYS_CHROOT))
#define CAPS_DOCKER \
	(CAPS_NSRUN | CAP_MASK(CAP_MKNOD) | CAP_MASK(CAP_NET_RAW) | CAP_MASK(CAP_AUDIT_WRITE) | CAP_MASK(CAP_SETFCAP))

#define N_CAP_SETS 2
static const uint64_t cap_sets[N_CAP_SETS] = { CAPS_NSRUN, CAPS_DOCKER };

/* The oldest kernel that nsrun supports: conditions on older ones hold everywhere. */
static const unsigned kernel_floor[2] = { 6, 1 };

struct source {
	const char *name;
	const char *path;
	char *text;
	size_t size;
};

/* Without white space: the text is for the parser alone here. */
static int write_text(FILE *out, size_t index, const struct source *source)
{
	json_t *root = json_loadb(source->text, source->size, JSON_REJECT_DUPLICATES, NULL);
	_cleanup_free_ char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;

	json_decref(root);
	if (!text)
		return -ENOMEM;
	fprintf(out, "static const char text_%zu[] = {", index);
	for (size_t i = 0; text[i]; i++)
		fprintf(out, "%s%d,", i % 32 == 0 ? "\n\t" : "", text[i]);
	fprintf(out, "\n};\n");
	return ferror(out) ? -EIO : 0;
}

static void write_filter(FILE *out, size_t index, size_t set, const struct seccomp_program *program)
{
	fprintf(out, "static const struct sock_filter filter_%zu_%zu[] = {", index, set);
	for (unsigned i = 0; i < program->len; i++)
		fprintf(out, "%s{ 0x%02x, %u, %u, 0x%x },", i % 4 == 0 ? "\n\t" : " ", program->insns[i].code,
			program->insns[i].jt, program->insns[i].jf, program->insns[i].k);
	fprintf(out, "\n};\n");
}

static bool same_program(const struct seccomp_program *a, const struct seccomp_program *b)
{
	return a->len == b->len && memcmp(a->insns, b->insns, a->len * sizeof(*a->insns)) == 0;
}

static void write_row(FILE *table, size_t index, size_t set, size_t filter, const struct source *source,
		      const struct kernel_range *range, const struct seccomp_program *program)
{
	fprintf(table, "\t{ \"%s\", 0x%" PRIx64 "ULL, { { %uU, %uU }, { %uU, %uU } },\n", source->name, cap_sets[set],
		range->from[0], range->from[1], range->before[0], range->before[1]);
	fprintf(table, "\t  { .len = %u, .insns = filter_%zu_%zu, .flags = %u } },\n", program->len, index, filter,
		program->flags);
}

static int write_filters(FILE *out, FILE *table, size_t index, const struct source *source,
			 const struct seccomp_profile *profile, struct arena *arena, struct err *err)
{
	struct seccomp_program programs[N_CAP_SETS] = { 0 };
	int r = 0;

	for (size_t set = 0; set < N_CAP_SETS && r == 0; set++) {
		struct seccomp_rules rules;
		struct kernel_range range;
		size_t same = 0;

		r = seccomp_profile_resolve_for(profile, cap_sets[set], kernel_floor, arena, &rules, &range, err);
		if (r == 0)
			r = seccomp_compile(&rules, &programs[set], err);
		if (r < 0)
			break;
		/* Sets that no condition of the profile tells apart share one filter. */
		while (same < set && !same_program(&programs[same], &programs[set]))
			same++;
		if (same == set)
			write_filter(out, index, set, &programs[set]);
		write_row(table, index, set, same, source, &range, &programs[set]);
	}
	for (size_t set = 0; set < N_CAP_SETS; set++)
		seccomp_program_free(&programs[set]);
	return r;
}

static int write_source(FILE *out, FILE *table, size_t index, const struct source *source, struct err *err)
{
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	struct seccomp_profile profile;
	int r;

	if (!arena)
		return err_oom(err);
	r = seccomp_json_parse(source->text, source->size, source->path, arena, &profile, err);
	if (r < 0)
		return r;
	r = write_text(out, index, source);
	if (r < 0)
		return err_set(err, ERR_SYSTEM, ERR_ID_NONE, -r, "writing the text of %s", source->path);
	return write_filters(out, table, index, source, &profile, arena, err);
}

static int write_all_sources(FILE *out, const struct source *sources, size_t n, struct err *err)
{
	_cleanup_free_ char *rows = NULL;
	size_t size;
	FILE *table = open_memstream(&rows, &size);
	int r = 0;

	if (!table)
		return err_oom(err);
	fprintf(out, "/* Made by gen-filters; not to be edited. */\n#include <nsrun/plan/seccomp_builtin.h>\n\n");
	for (size_t i = 0; i < n && r == 0; i++)
		r = write_source(out, table, i, &sources[i], err);
	if (fclose(table) != 0 && r == 0)
		r = err_oom(err);
	if (r < 0)
		return r;
	fprintf(out, "\nconst struct builtin_filter builtin_filters[] = {\n%s};\n", rows);
	fprintf(out, "const size_t n_builtin_filters = sizeof(builtin_filters) / sizeof(builtin_filters[0]);\n");
	fprintf(out, "\nconst struct builtin_profile builtin_profiles[] = {\n");
	for (size_t i = 0; i < n; i++)
		fprintf(out, "\t{ \"%s\", text_%zu, sizeof(text_%zu) },\n", sources[i].name, i, i);
	fprintf(out, "};\nconst size_t n_builtin_profiles = sizeof(builtin_profiles) / sizeof(builtin_profiles[0]);\n");
	return 0;
}

static int generate(int argc, char **argv, struct err *err)
{
	struct source sources[MAX_PROFILES] = { 0 };
	size_t n = 0;
	FILE *out;
	int r = 0;

	for (int i = 2; i < argc && n < MAX_PROFILES && r == 0; i++, n++) {
		char *equals = strchr(argv[i], '=');

		if (!equals)
			return err_input(err, "%s: NAME=FILE is expected", argv[i]);
		*equals = '\0';
		sources[n].name = argv[i];
		sources[n].path = equals + 1;
		r = file_read_at(AT_FDCWD, sources[n].path, 8U << 20, &sources[n].text, &sources[n].size, err);
	}
	out = r == 0 ? fopen(argv[1], "we") : NULL;
	if (r == 0 && !out)
		r = err_system(err, "%s", argv[1]);
	if (r == 0)
		r = write_all_sources(out, sources, n, err);
	if (out && fclose(out) != 0 && r == 0)
		r = err_system(err, "%s", argv[1]);
	for (size_t i = 0; i < n; i++)
		free(sources[i].text);
	return r;
}

int main(int argc, char **argv)
{
	struct err err = ERR_INIT;
	char line[ERR_MESSAGE_MAX * 2];

	if (argc < 3) {
		fprintf(stderr, "usage: gen-filters OUTPUT.c NAME=PROFILE.json...\n");
		return 2;
	}
	if (generate(argc, argv, &err) < 0) {
		fprintf(stderr, "gen-filters: %s\n", err_format(&err, line, sizeof(line)));
		return 1;
	}
	return 0;
}
