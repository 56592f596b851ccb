/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/plan/seccomp_json.h>

#include <nsrun/base/strings.h>
#include <nsrun/kernel/caps.h>
#include <nsrun/plan/seccomp_builtin.h>

#include <linux/capability.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static int parse(const char *text, size_t size, struct arena *arena, struct seccomp_profile *ret, struct err *err)
{
	return seccomp_json_parse(text, size, "p.json", arena, ret, err);
}

#define RULE(members) "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[{" members "}]}"
#define NAMED(members) RULE("\"names\":[\"read\"],\"action\":\"SCMP_ACT_ALLOW\"," members)

static void reads_every_field(void **state)
{
	static const char text[] =
		"{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":38,\"flags\":[\"SECCOMP_FILTER_FLAG_LOG\","
		"\"SECCOMP_FILTER_FLAG_SPEC_ALLOW\"],\"architectures\":[\"SCMP_ARCH_X86_64\",\"SCMP_ARCH_X86\"],\"listenerPath\":\"/x\","
		"\"syscalls\":[{\"names\":[\"read\",\"write\"],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":4095,\"comment\":\"c\","
		"\"args\":[{\"index\":5,\"value\":9223372036854775807,\"valueTwo\":7,\"op\":\"SCMP_CMP_MASKED_EQ\"}],"
		"\"includes\":{\"caps\":[\"CAP_CHOWN\",\"CAP_KILL\"],\"arches\":[\"amd64\"],\"minKernel\":\"4.8\"},"
		"\"excludes\":{\"caps\":[\"CAP_SYS_ADMIN\"],\"arches\":[\"s390\",\"s390x\"],\"minKernel\":\"10.20\"}},"
		"{\"name\":\"open\",\"action\":\"SCMP_ACT_TRACE\",\"errnoRet\":9,\"args\":null,\"includes\":{},\"excludes\":null}]}";
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	const struct profile_entry *entry;
	struct seccomp_profile profile;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(parse(text, strlen(text), arena, &profile, &err), 0);
	assert_int_equal(profile.default_action, SCMP_ACT_ERRNO(38));
	assert_int_equal(profile.flags, SECCOMP_FILTER_FLAG_LOG | SECCOMP_FILTER_FLAG_SPEC_ALLOW);
	assert_int_equal(profile.n_archs, 2);
	assert_int_equal(profile.archs[1], SCMP_ARCH_X86);
	assert_int_equal(profile.n_entries, 2);
	entry = &profile.entries[0];
	assert_string_equal(entry->rule.names[1], "write");
	assert_null(entry->rule.names[2]);
	assert_int_equal(entry->rule.action, SCMP_ACT_ERRNO(4095));
	assert_int_equal(entry->rule.n_args, 1);
	assert_int_equal(entry->rule.args[0].index, 5);
	assert_int_equal(entry->rule.args[0].op, SCMP_CMP_MASKED_EQ);
	assert_true(entry->rule.args[0].value == INT64_MAX);
	assert_true(entry->rule.args[0].value_two == 7);
	assert_true(entry->includes.caps == (CAP_MASK(CAP_CHOWN) | CAP_MASK(CAP_KILL)));
	assert_string_equal(entry->includes.arches[0], "amd64");
	assert_int_equal(entry->includes.min_kernel[0], 4);
	assert_int_equal(entry->includes.min_kernel[1], 8);
	assert_string_equal(entry->excludes.arches[1], "s390x");
	assert_int_equal(entry->excludes.min_kernel[1], 20);
	entry = &profile.entries[1];
	assert_string_equal(entry->rule.names[0], "open");
	assert_null(entry->rule.names[1]);
	assert_int_equal(entry->rule.action, SCMP_ACT_TRACE(9));
	assert_int_equal(entry->rule.n_args, 0);
	assert_null(entry->includes.arches);
}

static void defaults_are_the_specifications(void **state)
{
	static const char least[] = "{\"defaultAction\":\"SCMP_ACT_ERRNO\"}";
	static const char kill[] =
		"{\"defaultAction\":\"SCMP_ACT_KILL\",\"syscalls\":[],\"architectures\":[],\"archMap\":null,\"x\":1}";
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	struct seccomp_profile profile;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(parse(least, strlen(least), arena, &profile, &err), 0);
	assert_int_equal(profile.default_action, SCMP_ACT_ERRNO(EPERM));
	assert_int_equal(profile.n_entries, 0);
	assert_int_equal(parse(kill, strlen(kill), arena, &profile, &err), 0);
	assert_int_equal(profile.default_action, SCMP_ACT_KILL_THREAD);
}

static void arch_map_is_for_the_native_one(void **state)
{
	static const char text[] =
		"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"archMap\":["
		"{\"architecture\":\"SCMP_ARCH_S390X\",\"subArchitectures\":[\"SCMP_ARCH_S390\"]},"
		"{\"architecture\":\"SCMP_ARCH_X86_64\",\"subArchitectures\":[\"SCMP_ARCH_X86\",\"SCMP_ARCH_X32\"]},"
		"{\"architecture\":\"SCMP_ARCH_AARCH64\",\"subArchitectures\":[\"SCMP_ARCH_ARM\",\"SCMP_ARCH_ARM\"]},"
		"{\"architecture\":\"SCMP_ARCH_RISCV64\",\"subArchitectures\":null}]}";
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	struct seccomp_profile profile;
	struct seccomp_rules rules;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(parse(text, strlen(text), arena, &profile, &err), 0);
	assert_int_equal(seccomp_profile_resolve(&profile, 0, arena, &rules, &err), 0);
	assert_int_equal(rules.n_archs, 2);
	assert_int_equal(rules.archs[0], seccomp_arch_native() == SCMP_ARCH_X86_64 ? SCMP_ARCH_X86 : SCMP_ARCH_ARM);
}

/* Each is refused, and the message says where and what. */
static const struct {
	const char *text, *path, *hint;
} bad[] = {
	{ "", "line 1", "" },
	{ "{", "line 1", "" },
	{ "[]", "the text", "object" },
	{ "{}", "defaultAction", "missing" },
	{ "{\"defaultAction\":\"SCMP_ACT_ERRNO\"} x", "line 1", "" },
	{ "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultAction\":\"SCMP_ACT_ALLOW\"}", "line 1", "duplicate" },
	{ "{\"defaultAction\":\"SCMP_ACT_ALOW\"}", "defaultAction", "SCMP_ACT_ALLOW" },
	{ "{\"defaultAction\":\"scmp_act_allow\"}", "defaultAction", "unknown action" },
	{ "{\"defaultAction\":1}", "defaultAction", "string" },
	{ "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"defaultErrnoRet\":1}", "defaultErrnoRet", "no error number" },
	{ "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":4096}", "defaultErrnoRet", "4095" },
	{ "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":-1}", "defaultErrnoRet", "negative" },
	{ "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":1.0}", "defaultErrnoRet", "whole number" },
	{ "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"flags\":[\"SECCOMP_FILTER_FLAG_LOGS\"]}", "flags[0]",
	  "SECCOMP_FILTER_FLAG_LOG" },
	{ "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"flags\":\"x\"}", "flags", "list" },
	{ "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"architectures\":[\"x86\"]}", "architectures[0]",
	  "unknown architecture" },
	{ "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"architectures\":[\"SCMP_ARCH_X86\"],\"archMap\":[{}]}", "p.json",
	  "both" },
	{ "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"archMap\":[{}]}", "archMap[0].architecture", "string" },
	{ "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"archMap\":[{\"architecture\":\"SCMP_ARCH_X86\",\"subArchitectures\":5}]}",
	  "archMap[0].subArchitectures", "list" },
	{ "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":{}}", "syscalls", "list" },
	{ "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[5]}", "syscalls[0]", "object" },
	{ RULE("\"action\":\"SCMP_ACT_ALLOW\""), "syscalls[0].names", "list" },
	{ RULE("\"names\":[],\"action\":\"SCMP_ACT_ALLOW\""), "syscalls[0].names", "at least one" },
	{ RULE("\"names\":[\"read\",5],\"action\":\"SCMP_ACT_ALLOW\""), "syscalls[0].names[1]", "string" },
	{ RULE("\"names\":[\"\"],\"action\":\"SCMP_ACT_ALLOW\""), "syscalls[0].names[0]", "not empty" },
	{ RULE("\"names\":[\"read\"],\"name\":\"read\",\"action\":\"SCMP_ACT_ALLOW\""), "syscalls[0]", "both" },
	{ RULE("\"name\":5,\"action\":\"SCMP_ACT_ALLOW\""), "syscalls[0].name", "string" },
	{ RULE("\"names\":[\"read\"]"), "syscalls[0].action", "missing" },
	{ RULE("\"names\":[\"read\"],\"action\":\"ALLOW\""), "syscalls[0].action", "unknown action" },
	{ NAMED("\"errnoRet\":1"), "syscalls[0].errnoRet", "no error number" },
	{ NAMED("\"include\":{}"), "syscalls[0]", "includes" },
	{ NAMED("\"args\":{}"), "syscalls[0].args", "list" },
	{ NAMED("\"args\":[{}]"), "syscalls[0].args[0].index", "whole number" },
	{ NAMED("\"args\":[{\"index\":6,\"value\":1,\"op\":\"SCMP_CMP_EQ\"}]"), "syscalls[0].args[0].index",
	  "at most 5" },
	{ NAMED("\"args\":[{\"index\":0,\"value\":1,\"op\":\"SCMP_CMP_EQUAL\"}]"), "syscalls[0].args[0].op",
	  "SCMP_CMP_EQ" },
	{ NAMED("\"args\":[{\"index\":0,\"op\":\"SCMP_CMP_EQ\"}]"), "syscalls[0].args[0].value", "whole number" },
	{ NAMED("\"args\":[{\"index\":0,\"value\":\"1\",\"op\":\"SCMP_CMP_EQ\"}]"), "syscalls[0].args[0].value",
	  "whole number" },
	{ NAMED("\"args\":[{\"index\":0,\"value\":1,\"valueTwo\":-1,\"op\":\"SCMP_CMP_EQ\"}]"),
	  "syscalls[0].args[0].valueTwo", "negative" },
	{ NAMED("\"args\":[{\"index\":0,\"value\":1,\"value2\":1,\"op\":\"SCMP_CMP_EQ\"}]"), "syscalls[0].args[0]",
	  "unknown key" },
	{ NAMED("\"args\":[{\"index\":0,\"value\":99999999999999999999,\"op\":\"SCMP_CMP_EQ\"}]"), "line 1",
	  "too big" },
	{ NAMED("\"args\":[1,1,1,1,1,1,1]"), "syscalls[0].args", "at most 6" },
	{ NAMED("\"includes\":{\"caps\":[\"CAP_NOPE\"]}"), "syscalls[0].includes.caps", "CAP_NOPE" },
	{ NAMED("\"includes\":{\"caps\":[\"ALL\"]}"), "syscalls[0].includes.caps", "ALL" },
	{ NAMED("\"includes\":{\"minKernel\":\"4\"}"), "syscalls[0].includes.minKernel", "version" },
	{ NAMED("\"includes\":{\"minKernel\":\"4.8.1\"}"), "syscalls[0].includes.minKernel", "version" },
	{ NAMED("\"includes\":{\"minKernel\":4.8}"), "syscalls[0].includes.minKernel", "version" },
	{ NAMED("\"includes\":{\"minKernel\":\".8\"}"), "syscalls[0].includes.minKernel", "version" },
	{ NAMED("\"includes\":{\"minKernel\":\"99999999999999.8\"}"), "syscalls[0].includes.minKernel", "version" },
	{ NAMED("\"excludes\":{\"cap\":[\"CAP_CHOWN\"]}"), "syscalls[0].excludes", "caps" },
	{ NAMED("\"excludes\":[]"), "syscalls[0].excludes", "object" },
	{ NAMED("\"excludes\":{\"arches\":[5]}"), "syscalls[0].excludes.arches[0]", "string" },
	{ RULE("\"names\":[\"re\\u0000ad\"],\"action\":\"SCMP_ACT_ALLOW\""), "line 1", "" },
	{ RULE("\"names\":[\"re\xff\"],\"action\":\"SCMP_ACT_ALLOW\""), "line 1", "" },
};

static void refuses_with_the_place(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		_cleanup_(arena_freep) struct arena *arena = arena_new();
		struct seccomp_profile profile = { .default_action = 42 };
		struct err err = ERR_INIT;

		if (parse(bad[i].text, strlen(bad[i].text), arena, &profile, &err) != -EINVAL)
			fail_msg("accepted: %s", bad[i].text);
		if (strncmp(err.message, "p.json: ", 8) != 0 || !strstr(err.message, bad[i].path) ||
		    !strstr(err.message, bad[i].hint))
			fail_msg("%s: \"%s\" names neither \"%s\" nor \"%s\"", bad[i].text, err.message, bad[i].path,
				 bad[i].hint);
		assert_int_equal(profile.default_action, 42);
	}
}

static void bounds_size_and_depth(void **state)
{
	size_t size = (8U << 20) + 1;
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	_cleanup_free_ char *text = malloc(size);
	struct err err = ERR_INIT, err2 = ERR_INIT;
	struct seccomp_profile profile;

	(void)state;
	assert_non_null(text);
	memset(text, '[', size);
	assert_int_equal(parse(text, size, arena, &profile, &err), -EINVAL);
	assert_non_null(strstr(err.message, "at most 8388608"));
	assert_int_equal(parse(text, size - 1, arena, &profile, &err2), -EINVAL);
	assert_non_null(strstr(err2.message, "depth"));
}

/* Every prefix, every byte exchanged, of the shipped text: no crash under the sanitizers, and never a half-filled result. */
static void survives_mutation(void **state)
{
	static const char replacement[] = { 0, '"', '{', '[', '9', (char)0xff };
	const struct builtin_profile *builtin = builtin_profile_find("docker");
	_cleanup_free_ char *copy = malloc(builtin->size);
	unsigned accepted = 0;

	(void)state;
	assert_non_null(copy);
	for (size_t at = 0; at < builtin->size; at += 7) {
		for (size_t i = 0; i <= ARRAY_LEN(replacement); i++) {
			_cleanup_(arena_freep) struct arena *arena = arena_new();
			struct seccomp_profile profile = { .default_action = 42 };
			bool cut = i == ARRAY_LEN(replacement);
			struct err err = ERR_INIT;

			memcpy(copy, builtin->text, builtin->size);
			if (!cut)
				copy[at] = replacement[i];
			if (parse(copy, cut ? at : builtin->size, arena, &profile, &err) == 0) {
				assert_false(cut);
				accepted++;
			} else {
				assert_true(err_is_set(&err));
				assert_int_equal(profile.default_action, 42);
			}
		}
	}
	assert_true(accepted > 0); /* a letter of a name exchanged is another name, which is skipped */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_every_field),
		cmocka_unit_test(defaults_are_the_specifications),
		cmocka_unit_test(arch_map_is_for_the_native_one),
		cmocka_unit_test(refuses_with_the_place),
		cmocka_unit_test(bounds_size_and_depth),
		cmocka_unit_test(survives_mutation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
