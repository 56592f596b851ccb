/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/plan/bundle.h>

const char *hook_kind_name(enum hook_kind kind)
{
	static const char *const names[HOOK_KIND_COUNT] = {
		[HOOK_PRESTART] = "prestart",
		[HOOK_CREATE_RUNTIME] = "createRuntime",
		[HOOK_CREATE_CONTAINER] = "createContainer",
		[HOOK_START_CONTAINER] = "startContainer",
		[HOOK_POSTSTART] = "poststart",
		[HOOK_POSTSTOP] = "poststop",
	};

	return names[kind];
}
