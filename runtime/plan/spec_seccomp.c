/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/plan/spec.h>

#include <nsrun/plan/seccomp_json_read.h>

#include <seccomp.h>

/* The newest name: of two words for one value it is the last. */
static const char *word_of(const struct profile_word *words, uint32_t value)
{
	const char *found = NULL;

	for (; words->name; words++)
		if (words->value == value)
			found = words->name;
	return found;
}

/* An action carries its number in the low 16 bits (seccomp(2)). */
static void put_action(json_t *object, const char *key, const char *number_key, uint32_t action)
{
	const uint32_t base = action & 0xffff0000U, number = action & 0xffffU;
	const bool numbered = base == SCMP_ACT_ERRNO(0) || base == SCMP_ACT_TRACE(0);

	json_object_set_new(object, key, json_string(word_of(profile_actions, numbered ? base : action)));
	if (numbered)
		json_object_set_new(object, number_key, json_integer(number));
}

static json_t *args_of(const struct seccomp_rule *rule)
{
	json_t *args = json_array();

	for (size_t i = 0; i < rule->n_args; i++) {
		const struct seccomp_arg *arg = &rule->args[i];
		json_t *object = json_pack("{s:i, s:I, s:s}", "index", (int)arg->index, "value", (json_int_t)arg->value,
					   "op", word_of(profile_operators, (uint32_t)arg->op));

		if (arg->op == SCMP_CMP_MASKED_EQ)
			json_object_set_new(object, "valueTwo", json_integer((json_int_t)arg->value_two));
		json_array_append_new(args, object);
	}
	return args;
}

static json_t *syscall_of(const struct seccomp_rule *rule)
{
	json_t *object = json_object(), *names = json_array();

	for (const char *const *name = rule->names; *name; name++)
		json_array_append_new(names, json_string(*name));
	json_object_set_new(object, "names", names);
	put_action(object, "action", "errnoRet", rule->action);
	if (rule->n_args)
		json_object_set_new(object, "args", args_of(rule));
	return object;
}

json_t *spec_seccomp(const struct seccomp_rules *rules)
{
	json_t *object = json_object(), *archs = json_array(), *syscalls = json_array();

	put_action(object, "defaultAction", "defaultErrnoRet", rules->default_action);
	json_array_append_new(archs, json_string(word_of(profile_archs, seccomp_arch_native())));
	for (size_t i = 0; i < rules->n_archs; i++)
		json_array_append_new(archs, json_string(word_of(profile_archs, rules->archs[i])));
	json_object_set_new(object, "architectures", archs);
	if (rules->flags) {
		json_t *flags = json_array();

		for (const struct profile_word *word = profile_flags; word->name; word++)
			if (rules->flags & word->value)
				json_array_append_new(flags, json_string(word->name));
		json_object_set_new(object, "flags", flags);
	}
	for (size_t i = 0; i < rules->n_rules; i++)
		json_array_append_new(syscalls, syscall_of(&rules->rules[i]));
	json_object_set_new(object, "syscalls", syscalls);
	return object;
}
