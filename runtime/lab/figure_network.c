/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/lab/html.h>

#include <string.h>

#define LINKS_MAX 64
#define SIDE 400
#define RIGHT (FIGURE_WIDTH - FIGURE_PAD - SIDE)
#define HEAD 30
#define ROW 44
#define SLIM 26 /* without addresses */
#define GAP 8

static size_t count(const json_t *links)
{
	return json_array_size(links) < LINKS_MAX ? json_array_size(links) : LINKS_MAX;
}

static double y_of(size_t at, double row)
{
	return FIGURE_PAD + HEAD + (double)at * (row + GAP);
}

static void put_addresses(struct figure *figure, double x, double y, const json_t *list)
{
	char text[512] = "";
	size_t used = 0;

	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *address = json_string_value(json_array_get(list, i));
		const int n =
			address ? snprintf(text + used, sizeof(text) - used, "%s%s", used ? "  " : "", address) : 0;

		if (n < 0 || (size_t)n >= sizeof(text) - used)
			break;
		used += (size_t)n;
	}
	figure_text(figure, "dim", FIGURE_START, x, y, SIDE - 40, *text ? text : "no address");
}

static bool is_cable(const json_t *a, const json_t *b)
{
	const int64_t index = number_in(a, "index"), peer = number_in(a, "peer");

	return index && peer && number_in(b, "index") == peer && number_in(b, "peer") == index;
}

static const json_t *other_end(const json_t *link, const json_t *links)
{
	for (size_t i = 0; i < count(links); i++)
		if (is_cable(link, json_array_get(links, i)))
			return json_array_get(links, i);
	return NULL;
}

/* Where its cable leads, unless a line shows it. */
static void put_link(struct figure *figure, double x, double y, const json_t *link, const json_t *here,
		     const json_t *there)
{
	const json_t *near = other_end(link, here);
	const char *name = text_in(link, "name"), *state = text_in(link, "state");

	if (!number_in(link, "peer") || other_end(link, there))
		figure_printf(figure, "strong", FIGURE_START, x, y, SIDE - 40, "%s (%s)", name, state);
	else if (near)
		figure_printf(figure, "strong", FIGURE_START, x, y, SIDE - 40, "%s (%s), other end: %s", name, state,
			      text_in(near, "name"));
	else
		figure_printf(figure, "strong", FIGURE_START, x, y, SIDE - 40,
			      "%s (%s), other end: link %lld elsewhere", name, state,
			      (long long)number_in(link, "peer"));
}

static void draw_side(struct figure *figure, const json_t *links, const json_t *there, const char *class, double x,
		      const char *title)
{
	const size_t n = count(links);
	const double row = there ? ROW : SLIM;

	figure_rect(figure, "area", x, FIGURE_PAD, SIDE, HEAD + (double)(n ? n : 1) * (row + GAP));
	figure_text(figure, "strong", FIGURE_START, x + 12, FIGURE_PAD + 20, SIDE - 24, title);
	if (n == 0)
		figure_text(figure, "dim", FIGURE_START, x + 12, y_of(0, row) + 18, SIDE - 24,
			    "nothing that is connected with it");
	for (size_t i = 0; i < n; i++) {
		const json_t *link = json_array_get(links, i);
		char classes[32];

		snprintf(classes, sizeof(classes), "link %s", class);
		figure_rect(figure, classes, x + 12, y_of(i, row), SIDE - 24, row);
		put_link(figure, x + 20, y_of(i, row) + 18, link, links, there);
		if (there)
			put_addresses(figure, x + 20, y_of(i, row) + 35, json_object_get(link, "addresses"));
	}
}

static void draw_wires(struct figure *figure, const json_t *here, const json_t *there)
{
	for (size_t i = 0; i < count(here); i++)
		for (size_t k = 0; k < count(there); k++)
			if (is_cable(json_array_get(here, i), json_array_get(there, k)))
				figure_line(figure, "wire", FIGURE_PAD + SIDE - 12, y_of(i, ROW) + ROW / 2.0,
					    RIGHT + 12, y_of(k, ROW) + ROW / 2.0);
}

void figure_network(FILE *page, const json_t *launch)
{
	const json_t *network = json_object_get(launch, "network");
	const json_t *host = json_object_get(network, "host"), *container = json_object_get(network, "container");
	struct figure figure;

	if (!json_is_array(container))
		return;
	figure_begin(&figure, page, "network", "Network.");
	if (json_is_array(host)) {
		draw_side(&figure, host, container, "host", FIGURE_PAD, "the host's network namespace");
		draw_side(&figure, container, host, "box", RIGHT, "the container's network namespace");
		draw_wires(&figure, host, container);
	} else {
		draw_side(&figure, container, NULL, "both", FIGURE_PAD, "one network namespace: the host's");
	}
	figure_end(
		&figure,
		json_is_array(host)
			? "When it had most links. A link is in one network namespace. A pair of veth(4) is a cable: its ends may be in two. Of the host only such ends are shown."
			: "The container was left in the network namespace of the host, so all of the host's links are its own. Their addresses are not taken down.");
}
