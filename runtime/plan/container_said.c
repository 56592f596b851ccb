/* SPDX-License-Identifier: Apache-2.0 */
/* What a record says of a container. */
#include <nsrun/plan/container.h>

#include <nsrun/base/strings.h>
#include <nsrun/plan/limits.h>

#include <signal.h>
#include <stdio.h>

#define STOP_SECONDS 10 /* as docker has it */

const char *container_status_name(enum container_status status)
{
	static const char *const names[] = {
		[CONTAINER_STARTING] = "starting", [CONTAINER_RUNNING] = "running", [CONTAINER_ENDED] = "ended",
		[CONTAINER_DEAD] = "dead",	   [CONTAINER_CREATED] = "created", [CONTAINER_STOPPED] = "stopped",
	};

	return names[status];
}

const char *container_status_word(const struct container *container)
{
	return container->paused ? "paused" : container_status_name(container->status);
}

bool container_is_bundle(const struct container *container)
{
	return json_is_object(json_object_get(container->state, "bundle"));
}

const char *container_oci_status(const struct container *container)
{
	return container->status == CONTAINER_STARTING ? "creating" : container_status_word(container);
}

const char *container_label(const struct container *container)
{
	return container->name ? container->name : container->id;
}

const char *container_text(const struct container *container, const char *key)
{
	return json_string_value(json_object_get(container->state, key));
}

bool container_exit(const struct container *container, struct container_exit *ret)
{
	const json_t *end = json_object_get(container->state, "exit");

	if (!json_is_object(end))
		return false;
	*ret = (struct container_exit){
		.status = (int)json_integer_value(json_object_get(end, "status")),
		.signal = (int)json_integer_value(json_object_get(end, "signal")),
		.events = {
			.oom_kills = (uint64_t)json_integer_value(json_object_get(end, "oom_kills")),
			.memory_limit = (uint64_t)json_integer_value(json_object_get(end, "memory_limit")),
			.forks_refused = (uint64_t)json_integer_value(json_object_get(end, "forks_refused")),
			.pids_limit = (uint64_t)json_integer_value(json_object_get(end, "pids_limit")),
		},
		.lost = json_is_true(json_object_get(end, "lost")),
		.time = json_string_value(json_object_get(end, "time")),
	};
	return true;
}

void container_stop_default(const struct container *container, int *ret_signal, unsigned *ret_seconds)
{
	const json_t *stop = json_object_get(container->state, "stop");

	*ret_signal = SIGTERM;
	*ret_seconds = STOP_SECONDS;
	if (!json_is_object(stop))
		return;
	*ret_signal = (int)json_integer_value(json_object_get(stop, "signal"));
	*ret_seconds = (unsigned)json_integer_value(json_object_get(stop, "timeout"));
}

int container_resources(const struct container *container, struct arena *arena, struct cgroup_resources *ret,
			struct err *err)
{
	const json_t *resources = json_object_get(container->state, "resources");
	char where[PLAN_ID_LEN + 64];

	if (!json_is_object(resources)) {
		*ret = (struct cgroup_resources){ 0 };
		return 0;
	}
	snprintf(where, sizeof(where), "%s/state.json: resources", container->id);
	return limits_from_json(arena, resources, where, ret, err);
}

bool container_in_foreground(const struct container *container)
{
	const json_t *keeper = json_object_get(container->state, "keeper");

	/* Version 1 knows no keepers; a record that is not written yet tells nothing. */
	return json_is_boolean(keeper) ? json_is_false(keeper)
				       : json_integer_value(json_object_get(container->state, "version")) == 1;
}

char *container_command(const struct container *container)
{
	const json_t *argv = json_object_get(container->state, "argv"), *word;
	char *text = NULL;
	size_t size, i;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	json_array_foreach(argv, i, word) fprintf(f, "%s%s", i ? " " : "", json_string_value(word));
	if (fclose(f) != 0) {
		free(text);
		return NULL;
	}
	return text;
}
