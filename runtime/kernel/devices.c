/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/kernel/devices.h>

#include <nsrun/base/strings.h>

#include <inttypes.h>
#include <string.h>

int device_access_parse(const char *text, unsigned *ret)
{
	static const char letters[] = "mrw"; /* in the order of the bits */
	unsigned access = 0;

	for (; *text; text++) {
		const char *letter = strchr(letters, *text);
		const unsigned bit = letter ? 1U << (letter - letters) : 0;

		if (!bit || (access & bit))
			return -EINVAL;
		access |= bit;
	}
	if (!access)
		return -EINVAL;
	*ret = access;
	return 0;
}

const char *device_access_text(unsigned access, char buf[4])
{
	size_t n = 0;

	if (access & DEVICE_READ)
		buf[n++] = 'r';
	if (access & DEVICE_WRITE)
		buf[n++] = 'w';
	if (access & DEVICE_MKNOD)
		buf[n++] = 'm';
	buf[n] = '\0';
	return buf;
}

/* Numbers as dev_t of the kernel has them (kdev_t.h): 12 bits and 20 bits. A larger one names no device. */
#define MAJOR_MAX ((1U << 12) - 1)
#define MINOR_MAX ((1U << 20) - 1)

static int parse_number(const char *text, uint32_t max, int64_t *ret)
{
	uint32_t number;

	if (streq(text, "*")) {
		*ret = DEVICE_ANY;
		return 0;
	}
	if (parse_u32(text, &number) < 0 || number > max)
		return -EINVAL;
	*ret = number;
	return 0;
}

int device_rule_parse(const char *text, const char *what, struct device_rule *ret, struct err *err)
{
	struct device_rule rule = { true, 'a', DEVICE_ANY, DEVICE_ANY, DEVICE_ALL };
	char copy[DEVICE_TEXT_MAX];
	const size_t n = strlen(text);

	if (streq(text, "a")) {
		*ret = rule;
		return 0;
	}
	if (n >= sizeof(copy) || n < 3 || !strchr("abc", text[0]) || text[1] != ' ')
		goto bad;
	memcpy(copy, text + 2, n - 1);
	char *minor = strchr(copy, ':'), *access = minor ? strchr(minor, ' ') : NULL;
	if (!access)
		goto bad;
	*minor++ = '\0';
	*access++ = '\0';
	rule.type = text[0];
	if (parse_number(copy, MAJOR_MAX, &rule.major) < 0 || parse_number(minor, MINOR_MAX, &rule.minor) < 0 ||
	    device_access_parse(access, &rule.access) < 0)
		goto bad;
	*ret = rule;
	return 0;
bad:
	return err_set(err, ERR_INPUT, ERR_ID_DEVICE_RULE, 0,
		       "%s %.60s: TYPE MAJOR:MINOR ACCESS is wanted, as in \"c 10:200 rwm\": type a, b or c; numbers "
		       "up to %u:%u, or *; some of r, w, m",
		       what, text, MAJOR_MAX, MINOR_MAX);
}

const char *device_cell_text(const struct device_cell *cell, char buf[DEVICE_TEXT_MAX])
{
	char numbers[2][16] = { "*", "*" }, access[4];

	if (cell->major != DEVICE_ANY)
		snprintf(numbers[0], sizeof(numbers[0]), "%" PRIu32, (uint32_t)cell->major);
	if (cell->minor != DEVICE_ANY)
		snprintf(numbers[1], sizeof(numbers[1]), "%" PRIu32, (uint32_t)cell->minor);
	snprintf(buf, DEVICE_TEXT_MAX, "%c %s:%s %s", cell->type, numbers[0], numbers[1],
		 cell->access ? device_access_text(cell->access, access) : "-");
	return buf;
}

/* ---- from rules to cells ---- */

static bool covers(int64_t general, int64_t number)
{
	return general == DEVICE_ANY || general == number;
}

/* 0: MAJOR:MINOR, 1: MAJOR:*, 2: *:MINOR, 3: *:* */
static int generality(const struct device_cell *cell)
{
	return (cell->minor == DEVICE_ANY) + 2 * (cell->major == DEVICE_ANY);
}

static int compare_cells(const void *a, const void *b)
{
	const struct device_cell *x = a, *y = b;

	if (x->type != y->type)
		return x->type == 'c' ? -1 : 1;
	if (generality(x) != generality(y))
		return generality(x) - generality(y);
	if (x->major != y->major)
		return x->major < y->major ? -1 : 1;
	return x->minor == y->minor ? 0 : x->minor < y->minor ? -1 : 1;
}

static bool rule_is_of(const struct device_rule *rule, char type)
{
	return rule->type == 'a' || rule->type == type;
}

/* Of each bit the last rule that covers the cell. */
static unsigned access_by_rules(const struct device_cell *cell, const struct device_rule *rules, size_t n)
{
	unsigned decided = 0, allowed = 0;

	for (size_t i = n; i-- > 0 && decided != DEVICE_ALL;) {
		const unsigned bits = rules[i].access & ~decided;

		if (!bits || !rule_is_of(&rules[i], cell->type) || !covers(rules[i].major, cell->major) ||
		    !covers(rules[i].minor, cell->minor))
			continue;
		decided |= bits;
		if (rules[i].allow)
			allowed |= bits;
	}
	return allowed;
}

/* What decides instead where this cell is left out: `kept` are the cells that are more general. */
static unsigned access_without(const struct device_cell *cell, const struct device_cell *kept, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (kept[i].type == cell->type && covers(kept[i].major, cell->major) &&
		    covers(kept[i].minor, cell->minor))
			return kept[i].access;
	return ~0U;
}

/* The verifier follows 8192 jumps in a row (BPF_COMPLEXITY_LIMIT_JMP_SEQ): one for each cell, and one for each major. */
#define CELLS_MAX (4 * DEVICE_RULES_MAX)

struct cells {
	struct device_cell *array;
	size_t n, room;
};

static void put_cell(struct cells *cells, char type, int64_t major, int64_t minor)
{
	cells->array[cells->n++] = (struct device_cell){ type, major, minor, 0 };
}

/* The places where a verdict can change: those of the rules, and where MAJOR:* and *:MINOR cross, since there one of both is the later one. */
static int find_places(struct cells *cells, const struct device_rule *rules, size_t n, struct err *err)
{
	static const char types[] = { 'c', 'b' };

	for (size_t t = 0; t < sizeof(types); t++) {
		put_cell(cells, types[t], DEVICE_ANY, DEVICE_ANY);
		for (size_t i = 0; i < n; i++) {
			if (!rule_is_of(&rules[i], types[t]))
				continue;
			if (cells->n + n + 2 > cells->room)
				return err_input(err, "device rules: more than %u places where they differ", CELLS_MAX);
			put_cell(cells, types[t], rules[i].major, rules[i].minor);
			if (rules[i].minor != DEVICE_ANY || rules[i].major == DEVICE_ANY)
				continue;
			for (size_t k = 0; k < n; k++)
				if (rule_is_of(&rules[k], types[t]) && rules[k].major == DEVICE_ANY &&
				    rules[k].minor != DEVICE_ANY)
					put_cell(cells, types[t], rules[i].major, rules[k].minor);
		}
	}
	return 0;
}

/* An upper bound, so that the usual short list takes no page that it does not need. */
static size_t room_for(const struct device_rule *rules, size_t n)
{
	size_t whole = 0, all = 0;

	for (size_t i = 0; i < n; i++) {
		whole += rules[i].minor == DEVICE_ANY;
		all += rules[i].major == DEVICE_ANY;
	}
	const size_t room = 2 * (n + 1 + whole * all) + n + 2; /* n + 2 is what find_places() wants to see free */
	return room < CELLS_MAX ? room : CELLS_MAX;
}

int device_policy_make(struct arena *arena, const struct device_rule *rules, size_t n, struct device_policy *ret,
		       struct err *err)
{
	struct cells cells = { .room = room_for(rules, n) };
	struct device_cell *kept;
	size_t n_kept = 0;

	if (n > DEVICE_RULES_MAX)
		return err_set(err, ERR_INPUT, ERR_ID_DEVICE_RULE, 0,
			       "device rules: %zu of them, and at most %u are taken", n, DEVICE_RULES_MAX);
	_cleanup_free_ struct device_cell *array = calloc(cells.room, sizeof(*array));
	cells.array = array;
	if (!array)
		return err_oom(err);
	const int r = find_places(&cells, rules, n, err);
	if (r < 0)
		return r;
	qsort(array, cells.n, sizeof(*array), compare_cells);
	kept = arena_array(arena, cells.n, sizeof(*kept));
	if (!kept)
		return err_oom(err);
	/* From the general to the specific, so that what is kept is final when it is compared with. `kept` grows downwards. */
	struct device_cell *first = kept + cells.n;
	for (size_t i = cells.n; i-- > 0;) {
		struct device_cell cell = array[i];

		if (i + 1 < cells.n && compare_cells(&array[i], &array[i + 1]) == 0)
			continue;
		cell.access = access_by_rules(&cell, rules, n);
		if (access_without(&cell, first, n_kept) == cell.access)
			continue;
		*--first = cell;
		n_kept++;
	}
	*ret = (struct device_policy){ .cells = first, .n = n_kept };
	return 0;
}

int device_policy_ask(const struct device_policy *policy, char type, uint32_t major, uint32_t minor, unsigned access)
{
	const struct device_cell asked = { type, major, minor, 0 };
	const unsigned allowed = access_without(&asked, policy->cells, policy->n);

	return (access & ~allowed) == 0 && allowed != ~0U ? 0 : -EPERM;
}

bool device_policy_is_flat(const struct device_policy *policy, unsigned *ret_access)
{
	if (policy->n != 2 || policy->cells[0].access != policy->cells[1].access)
		return false;
	*ret_access = policy->cells[0].access;
	return true;
}
