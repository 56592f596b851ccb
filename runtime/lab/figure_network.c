/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/lab/html.h>

#include <string.h>

#define LINKS_MAX 64
#define SIDE 400
#define RIGHT (FIGURE_WIDTH - FIGURE_PAD - SIDE)
#define HEAD 30
#define ROW 44
#define GAP 8

static size_t count(const json_t *links)
{
	return json_array_size(links) < LINKS_MAX ? json_array_size(links) : LINKS_MAX;
}

static double y_of(size_t at)
{
	return FIGURE_PAD + HEAD + (double)at * (ROW + GAP);
}

static void put_addresses(struct figure *figure, double x, double y, const json_t *list)
{
	char text[512] = "";
	size_t used = 0;

	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *address = json_string_value(json_array_get(list, i));
		const int n = address ? snprintf(text + used, sizeof(text) - used, "%s%s", used ? "  " : "", address) : 0;

		if (n < 0 || (size_t)n >= sizeof(text) - used)
			break;
		used += (size_t)n;
	}
	figure_text(figure, "dim", FIGURE_START, x, y, SIDE - 40, *text ? text : "no address");
}

static void draw_side(struct figure *figure, const json_t *links, const char *class, double x, const char *title)
{
	const size_t n = count(links);

	figure_rect(figure, "area", x, FIGURE_PAD, SIDE, HEAD + (double)(n ? n : 1) * (ROW + GAP));
	figure_text(figure, "strong", FIGURE_START, x + 12, FIGURE_PAD + 20, SIDE - 24, title);
	if (n == 0)
		figure_text(figure, "dim", FIGURE_START, x + 12, y_of(0) + 18, SIDE - 24, "nothing that is connected with it");
	for (size_t i = 0; i < n; i++) {
		const json_t *link = json_array_get(links, i);

		figure_rect(figure, class, x + 12, y_of(i), SIDE - 24, ROW);
		figure_printf(figure, "strong", FIGURE_START, x + 20, y_of(i) + 18, SIDE - 40, "%s  %s",
			      text_in(link, "name"), text_in(link, "state"));
		put_addresses(figure, x + 20, y_of(i) + 35, json_object_get(link, "addresses"));
	}
}

static void draw_wires(struct figure *figure, const json_t *here, const json_t *there)
{
	for (size_t i = 0; i < count(here); i++)
		for (size_t k = 0; k < count(there); k++) {
			const json_t *a = json_array_get(here, i), *b = json_array_get(there, k);
			const int64_t index = number_in(a, "index"), peer = number_in(a, "peer");

			if (index && peer && number_in(b, "index") == peer && number_in(b, "peer") == index)
				figure_line(figure, "wire", FIGURE_PAD + SIDE - 12, y_of(i) + ROW / 2.0, RIGHT + 12,
					    y_of(k) + ROW / 2.0);
		}
}

void figure_network(FILE *page, const json_t *launch)
{
	const json_t *network = json_object_get(launch, "network");
	const json_t *host = json_object_get(network, "host"), *container = json_object_get(network, "container");
	struct figure figure;

	if (!json_is_array(container))
		return;
	figure_begin(&figure);
	if (json_is_array(host)) {
		draw_side(&figure, host, "link host", FIGURE_PAD, "the host's network namespace");
		draw_side(&figure, container, "link box", RIGHT, "the container's network namespace");
		draw_wires(&figure, host, container);
	} else {
		draw_side(&figure, container, "link both", FIGURE_PAD, "one network namespace: the host's");
	}
	figure_end(&figure, page, "network", "Network.",
		   json_is_array(host) ?
			   "Of the host only what is connected with the container is shown: the other end of a pair of veth(4)." :
			   "The container was left in the network namespace of the host.");
}
