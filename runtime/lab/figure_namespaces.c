/* SPDX-License-Identifier: Apache-2.0 */
/* Namespaces within the user namespaces that own them. */
#include <nsrun/lab/html.h>

#include <nsrun/base/strings.h>

#include <string.h>

#define NODES_MAX 64
#define CHIP_MIN 165
#define CHIP_HEIGHT 42
#define GAP 8
#define HEAD 26
#define INDENT 14
#define LEGEND 24
#define DEPTH_MAX 8

struct node {
	const char *kind;
	int64_t inode, owner; /* owner 0: the kernel does not tell */
	bool host, container, drawn;
};

struct tree {
	struct node nodes[NODES_MAX];
	size_t n;
};

static struct node *node_of(struct tree *tree, const char *kind, int64_t inode)
{
	for (size_t i = 0; i < tree->n; i++)
		if (tree->nodes[i].inode == inode)
			return &tree->nodes[i];
	if (tree->n == NODES_MAX)
		return NULL;
	tree->nodes[tree->n] = (struct node){ .kind = kind, .inode = inode };
	return &tree->nodes[tree->n++];
}

static void take(struct tree *tree, json_t *side, bool host)
{
	static const char *const kinds[] = { "user", "uts", "ipc", "mnt", "pid", "net", "cgroup", "time" };

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		const json_t *object = json_object_get(side, kinds[i]);
		const int64_t inode = number_in(object, "inode"), owner = number_in(object, "owner");
		struct node *node = inode ? node_of(tree, kinds[i], inode) : NULL;

		if (!node)
			continue;
		node->host = node->host || host;
		node->container = node->container || !host;
		if (owner && owner != inode) {
			node->owner = owner;
			/* One that is between: neither side is in it. */
			(void)node_of(tree, "user", owner);
		}
	}
}

static bool is_user(const struct node *node)
{
	return streq(node->kind, "user");
}

static unsigned owned(const struct tree *tree, int64_t owner)
{
	unsigned n = 0;

	for (size_t i = 0; i < tree->n; i++)
		n += !is_user(&tree->nodes[i]) && tree->nodes[i].owner == owner;
	return n;
}

static unsigned columns_in(double width)
{
	return (unsigned)((width - 2 * INDENT + GAP) / (CHIP_MIN + GAP));
}

/* The columns fill the frame. */
static double chip_width(double width)
{
	const unsigned columns = columns_in(width);

	return (width - 2 * INDENT - (columns - 1) * GAP) / columns;
}

static double chips_height(unsigned n, double width)
{
	const unsigned columns = columns_in(width);

	return n ? (n + columns - 1) / columns * (CHIP_HEIGHT + GAP) : 0;
}

static double box_height(const struct tree *tree, const struct node *user, double width, unsigned depth)
{
	double height = HEAD + chips_height(owned(tree, user->inode), width) + GAP;

	for (size_t i = 0; depth < DEPTH_MAX && i < tree->n; i++) {
		const struct node *node = &tree->nodes[i];

		if (is_user(node) && node->owner == user->inode && !node->drawn)
			height += box_height(tree, node, width - 2 * INDENT, depth + 1) + GAP;
	}
	return height;
}

static const char *whose(const struct node *node)
{
	return node->host && node->container ? "of both"
	       : node->host		     ? "the host's"
	       : node->container	     ? "the container's"
					     : "between them";
}

static void draw_chips(struct figure *figure, struct tree *tree, int64_t owner, double x, double y, double width)
{
	const unsigned columns = columns_in(width);
	const double chip = chip_width(width);
	unsigned at = 0;

	for (size_t i = 0; i < tree->n; i++) {
		struct node *node = &tree->nodes[i];

		if (is_user(node) || node->owner != owner || node->drawn)
			continue;
		const unsigned line = at / columns, column = at % columns;
		const double left = x + INDENT + column * (chip + GAP), top = y + line * (CHIP_HEIGHT + GAP);
		char class[32];

		snprintf(class, sizeof(class), "ns %s",
			 node->host && node->container ? "both"
			 : node->host		       ? "host"
						       : "box");
		figure_rect(figure, class, left, top, chip, CHIP_HEIGHT);
		figure_printf(figure, "strong", FIGURE_START, left + 8, top + 17, chip - 16, "%s %lld", node->kind,
			      (long long)node->inode);
		figure_text(figure, "dim", FIGURE_START, left + 8, top + 34, chip - 16, whose(node));
		node->drawn = true;
		at++;
	}
}

static void draw_user(struct figure *figure, struct tree *tree, struct node *user, double x, double y, double width,
		      unsigned depth)
{
	const unsigned n = owned(tree, user->inode);

	user->drawn = true;
	figure_rect(figure, "ns area", x, y, width, box_height(tree, user, width, depth));
	figure_printf(figure, "strong", FIGURE_START, x + INDENT, y + 18, width - 2 * INDENT, "user namespace %lld, %s",
		      (long long)user->inode, whose(user));
	draw_chips(figure, tree, user->inode, x, y + HEAD, width);
	y += HEAD + chips_height(n, width);
	for (size_t i = 0; depth < DEPTH_MAX && i < tree->n; i++) {
		struct node *node = &tree->nodes[i];

		if (!is_user(node) || node->owner != user->inode || node->drawn)
			continue;
		const double height = box_height(tree, node, width - 2 * INDENT, depth + 1);

		draw_user(figure, tree, node, x + INDENT, y, width - 2 * INDENT, depth + 1);
		y += height + GAP;
	}
}

static bool has_parent(const struct tree *tree, const struct node *user)
{
	for (size_t i = 0; i < tree->n; i++)
		if (&tree->nodes[i] != user && is_user(&tree->nodes[i]) && tree->nodes[i].inode == user->owner)
			return true;
	return false;
}

void figure_namespaces(FILE *page, const json_t *launch)
{
	const json_t *namespaces = json_object_get(launch, "namespaces");
	struct figure figure;
	struct tree tree = { .n = 0 };
	double y = FIGURE_PAD;

	take(&tree, json_object_get(namespaces, "host"), true);
	take(&tree, json_object_get(namespaces, "container"), false);
	if (tree.n == 0)
		return;
	figure_begin(&figure, page, "namespaces", "Namespaces by owner.");
	double x = figure_legend(&figure, "box", FIGURE_PAD, y + 12, "the container's own");

	x = figure_legend(&figure, "both", x, y + 12, "shared by host and container");
	figure_legend(&figure, "host", x, y + 12, "the host's");
	y += LEGEND;
	/* Roots first, then what a damaged file has left without one. */
	for (int pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < tree.n; i++) {
			struct node *node = &tree.nodes[i];

			if (!is_user(node) || node->drawn || (pass == 0 && has_parent(&tree, node)))
				continue;
			const double height = box_height(&tree, node, FIGURE_WIDTH - 2 * FIGURE_PAD, 0);

			draw_user(&figure, &tree, node, FIGURE_PAD, y, FIGURE_WIDTH - 2 * FIGURE_PAD, 0);
			y += height + GAP;
		}
	const unsigned n = owned(&tree, 0);

	if (n) {
		const double width = FIGURE_WIDTH - 2 * FIGURE_PAD;

		figure_rect(&figure, "area unknown", FIGURE_PAD, y, width, HEAD + chips_height(n, width) + GAP);
		figure_text(&figure, "dim", FIGURE_START, FIGURE_PAD + INDENT, y + 18, width - 2 * INDENT,
			    "owner not told: it is outside of the user namespace from which the lab looked");
		draw_chips(&figure, &tree, 0, FIGURE_PAD, y + HEAD, width);
	}
	figure_end(
		&figure,
		"A frame is a user namespace, and owns what is drawn in it: a capability that a process has there counts for what the frame holds, and for nothing outside. "
		"The numbers are inodes: two processes are in the same namespace when they have the same number (namespaces(7)).");
}
