/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Device rules on cgroup v1: security/device_cgroup.c. A group has one general rule, allow or deny, and exceptions from it, by type and numbers or "*".
 * Where the general rule is deny, one exception must hold all that is asked for; where it is allow, each exception takes its part away.
 */
#include <nsrun/kernel/devices.h>

#include <nsrun/base/file.h>
#include <nsrun/base/strings.h>

#include <string.h>

#define LIST_MAX (1U << 20)

static bool is_general(const struct device_cell *cell)
{
	return cell->major == DEVICE_ANY && cell->minor == DEVICE_ANY;
}

/* Is the general rule "allow"? */
static bool allows_all(const struct device_policy *policy)
{
	for (size_t i = 0; i < policy->n; i++)
		if (is_general(&policy->cells[i]) && policy->cells[i].access != DEVICE_ALL)
			return false;
	return true;
}

static bool holds(int64_t general, int64_t number)
{
	return general == DEVICE_ANY || general == number;
}

/* What both rules cover: one number of each pair is "*" or the same. */
static bool overlap(const struct device_cell *a, const struct device_cell *b, struct device_cell *ret)
{
	if (a->type != b->type || (!holds(a->major, b->major) && !holds(b->major, a->major)) ||
	    (!holds(a->minor, b->minor) && !holds(b->minor, a->minor)))
		return false;
	*ret = (struct device_cell){ a->type, a->major == DEVICE_ANY ? b->major : a->major,
				     a->minor == DEVICE_ANY ? b->minor : a->minor, 0 };
	return true;
}

/* The first cell that covers it decides: they are in that order. */
static unsigned access_in(const struct device_policy *policy, const struct device_cell *part)
{
	size_t i = 0;

	while (policy->cells[i].type != part->type || !holds(policy->cells[i].major, part->major) ||
	       !holds(policy->cells[i].minor, part->minor))
		i++;
	return policy->cells[i].access;
}

int devices_v1_check(const struct device_policy *policy, struct err *err)
{
	const bool allow = allows_all(policy);
	char text[2][DEVICE_TEXT_MAX];

	for (size_t i = 0; i < policy->n; i++)
		for (size_t k = i + 1; k < policy->n; k++) {
			const struct device_cell *a = &policy->cells[i], *b = &policy->cells[k];
			struct device_cell both;

			if (!overlap(a, b, &both))
				continue;
			/* Exceptions add up: where two hold, both allow, or both take away. */
			both.access = access_in(policy, &both);
			if (allow ? (both.access & ~(a->access & b->access)) == 0
				  : ((a->access | b->access) & ~both.access) == 0)
				continue;
			return err_refused(err, ERR_ID_DEVICE_RULES_V1, "device rules: \"%s\" within \"%s\"",
					   device_cell_text(a, text[0]), device_cell_text(b, text[1]));
		}
	return 0;
}

/* What is written for a cell: to devices.allow where the general rule is deny, else what it takes away to devices.deny. */
static bool exception_of(const struct device_cell *cell, bool allow, char text[DEVICE_TEXT_MAX])
{
	struct device_cell exception = *cell;

	if (allow)
		exception.access = DEVICE_ALL & ~cell->access;
	if (!exception.access)
		return false;
	device_cell_text(&exception, text);
	return true;
}

static int write_rule(int group_fd, bool allow, const char *rule, struct err *err)
{
	const char *file = allow ? "devices.allow" : "devices.deny";
	struct err refused = ERR_INIT;

	const int r = file_write_at(group_fd, file, rule, &refused);
	/* EPERM: the group around does not have it (devcgroup_update_access()). */
	return r < 0 ? err_set(err, ERR_SYSTEM, ERR_ID_DEVICE_FILTER, -r, "device rules: \"%s\" to %s", rule, file) : 0;
}

static bool has_line(const char *list, const char *line)
{
	const size_t n = strlen(line);

	for (const char *p = list; p && *p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL)
		if (strncmp(p, line, n) == 0 && (p[n] == '\n' || p[n] == '\0'))
			return true;
	return false;
}

/* devices.list has the exceptions where the general rule is deny, and "a *:* rwm" otherwise, whatever exceptions there are. */
static int check_list(int group_fd, const struct device_policy *policy, struct err *err)
{
	const bool allow = allows_all(policy);
	_cleanup_free_ char *list = NULL;
	char text[DEVICE_TEXT_MAX];
	size_t expected = 0, lines = 0;

	const int r = file_read_virtual_at(group_fd, "devices.list", LIST_MAX, &list, NULL, err);
	if (r < 0)
		return r;
	for (const char *p = list; *p; p++)
		lines += *p == '\n';
	for (size_t i = 0; !allow && i < policy->n; i++) {
		if (!exception_of(&policy->cells[i], false, text))
			continue;
		expected++;
		if (!has_line(list, text))
			return err_set(err, ERR_SYSTEM, ERR_ID_DEVICE_FILTER, EIO,
				       "device rules: devices.list lacks \"%s\"", text);
	}
	if (allow ? !has_line(list, "a *:* rwm") : lines != expected)
		return err_set(err, ERR_SYSTEM, ERR_ID_DEVICE_FILTER, EIO, "device rules: devices.list has %zu rules",
			       lines);
	return 0;
}

int devices_v1_write(int group_fd, const struct device_policy *policy, struct err *err)
{
	const bool allow = allows_all(policy);
	char text[DEVICE_TEXT_MAX];

	int r = devices_v1_check(policy, err);
	/* A new group has what the one around it has. */
	if (r == 0)
		r = write_rule(group_fd, allow, "a", err);
	for (size_t i = 0; r == 0 && i < policy->n; i++)
		if (exception_of(&policy->cells[i], allow, text))
			r = write_rule(group_fd, !allow, text, err);
	return r < 0 ? r : check_list(group_fd, policy, err);
}

/* The part of the exception for this cell that the other policy does not have as an exception of the very same numbers: the kernel finds them by these. */
static bool difference(const struct device_cell *cell, const struct device_policy *other, bool allow,
		       char text[DEVICE_TEXT_MAX])
{
	struct device_cell part = *cell;
	unsigned has = 0;

	for (size_t i = 0; i < other->n; i++) {
		const struct device_cell *same = &other->cells[i];

		if (same->type == cell->type && same->major == cell->major && same->minor == cell->minor)
			has = allow ? DEVICE_ALL & ~same->access : same->access;
	}
	part.access = (allow ? DEVICE_ALL & ~cell->access : cell->access) & ~has;
	if (!part.access)
		return false;
	device_cell_text(&part, text);
	return true;
}

int devices_v1_replace(int group_fd, const struct device_policy *before, const struct device_policy *policy,
		       struct err *err)
{
	const bool allow = allows_all(policy);
	char text[DEVICE_TEXT_MAX];

	/* A change of the general rule drops all exceptions. To "deny" nothing opens in between; to "allow" what shall stay denied is open until its
	 * exceptions are written, and the kernel has no way around that. */
	if (allow != allows_all(before))
		return devices_v1_write(group_fd, policy, err);
	int r = devices_v1_check(policy, err);
	for (size_t i = 0; r == 0 && i < policy->n; i++)
		if (difference(&policy->cells[i], before, allow, text))
			r = write_rule(group_fd, !allow, text, err);
	for (size_t i = 0; r == 0 && i < before->n; i++)
		if (difference(&before->cells[i], policy, allow, text))
			r = write_rule(group_fd, allow, text, err);
	return r < 0 ? r : check_list(group_fd, policy, err);
}
