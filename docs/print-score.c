/* SPDX-License-Identifier: Apache-2.0 */
/* Prints the score as the Markdown table of docs/architecture.md. `docs/update` puts it there, and a test compares. */
#include <nsrun/launch/step.h>

#include <stdio.h>

static const char *kind_text(const struct step *step)
{
	switch (step->kind) {
	case STEP_FORK:
		return "forks ";
	case STEP_SYNC:
		return "tells ";
	default:
		return "";
	}
}

int main(void)
{
	puts("| # | row | process | kernel interface | manual | needs | why |");
	puts("| --- | --- | --- | --- | --- | --- | --- |");
	for (enum step_id id = STEP_NONE + 1; id < STEP_COUNT; id++) {
		const struct step *step = &score[id];

		printf("| %d | %s | %s", id, step->name, role_name(step->role));
		if (step->peer)
			printf(", %s%s", kind_text(step), role_name(step->peer));
		printf(" | %s | %s | ", step->interface, step->manual);
		for (size_t i = 0; i < STEP_NEEDS_MAX && step->needs[i] != STEP_NONE; i++)
			printf("%s%s", i ? ", " : "", score[step->needs[i]].name);
		printf(" | %s |\n", step->why);
	}
	return 0;
}
