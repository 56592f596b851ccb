/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/base/mountinfo.h>

#include <nsrun/base/cleanup.h>

#include <stdlib.h>
#include <string.h>

static void decode_octal(char *s)
{
	char *out = s;

	while (*s) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' && s[3] >= '0' &&
		    s[3] <= '7') {
			*out++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 4;
		} else {
			*out++ = *s++;
		}
	}
	*out = '\0';
}

bool mountinfo_parse(char *line, struct mountinfo *ret)
{
	/* Fields: id parent device root mount-point options [optional ...] - type source super-options. Spaces inside of a field are
	 * escaped, so the first " - " is the separator. */
	char *tail = strstr(line, " - "), *save = NULL, *field[5];

	if (!tail)
		return false;
	*tail = '\0';
	const char *type = strtok_r(tail + 3, " ", &save);
	if (!type || !strtok_r(NULL, " ", &save))
		return false;
	const char *options = strtok_r(NULL, " ", &save); /* an empty source takes its place */
	for (size_t i = 0; i < ARRAY_LEN(field); i++) {
		field[i] = strtok_r(i ? NULL : line, " ", &save);
		if (!field[i])
			return false;
	}
	bool shared = false, slave = false;
	const char *of_mount = strtok_r(NULL, " ", &save);
	for (const char *optional; (optional = strtok_r(NULL, " ", &save));) {
		shared |= strncmp(optional, "shared:", 7) == 0;
		slave |= strncmp(optional, "master:", 7) == 0;
	}
	decode_octal(field[3]);
	decode_octal(field[4]);
	*ret = (struct mountinfo){
		.id = atoi(field[0]),
		.device = field[2],
		.root = field[3],
		.target = field[4],
		.type = type,
		.options = of_mount ? of_mount : "",
		.super_options = options ? options : "",
		.shared = shared,
		.slave = slave,
	};
	return true;
}
