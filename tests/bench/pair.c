/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compares two commands: runs A, B, A, B, ... so that whatever disturbs the machine disturbs both, and takes the median of the ratios of
 * neighbours, which a few outliers do not move.
 *
 *	pair [-n PAIRS] [-w WARM_UP_PAIRS] A [ARG...] -- B [ARG...]
 *
 * Prints one line of JSON, times in microseconds of wall time from vfork(2) to waitpid(2). Output of the commands is thrown away.
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double run(char **argv, const posix_spawn_file_actions_t *actions)
{
	struct timespec a, b;
	int status, r;
	pid_t pid;

	clock_gettime(CLOCK_MONOTONIC, &a);
	r = posix_spawnp(&pid, argv[0], actions, NULL, argv, environ);
	if (r) {
		fprintf(stderr, "pair: %s: %s\n", argv[0], strerror(r));
		exit(1);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			exit(1);
	clock_gettime(CLOCK_MONOTONIC, &b);
	if (!WIFEXITED(status) || WEXITSTATUS(status)) {
		/* A failing command is fast: its time would mean nothing. */
		fprintf(stderr, "pair: %s ended with wait status 0x%x\n", argv[0], (unsigned)status);
		exit(1);
	}
	return (double)(b.tv_sec - a.tv_sec) * 1e6 + (double)(b.tv_nsec - a.tv_nsec) / 1e3;
}

static int compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *v, size_t n)
{
	qsort(v, n, sizeof(*v), compare);
	return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

static long number(const char *s)
{
	char *end;
	long n = strtol(s, &end, 10);

	if (*end || n < 0 || n > 1000000) {
		fprintf(stderr, "pair: %s: not a number of pairs\n", s);
		exit(2);
	}
	return n;
}

int main(int argc, char **argv)
{
	posix_spawn_file_actions_t actions;
	size_t n = 100, warm_up = 5;
	double *a, *b, *ratio;
	char **second = NULL;
	int c;

	while ((c = getopt(argc, argv, "+n:w:")) != -1) {
		if (c == 'n')
			n = (size_t)number(optarg);
		else if (c == 'w')
			warm_up = (size_t)number(optarg);
		else
			return 2;
	}
	for (int i = optind; i < argc && !second; i++)
		if (strcmp(argv[i], "--") == 0) {
			argv[i] = NULL;
			second = argv + i + 1;
		}
	if (n == 0 || !second || !*second || optind >= argc || !argv[optind]) {
		fprintf(stderr, "usage: pair [-n PAIRS] [-w WARM_UP_PAIRS] A [ARG...] -- B [ARG...]\n");
		return 2;
	}
	a = calloc(n, sizeof(*a));
	b = calloc(n, sizeof(*b));
	ratio = calloc(n, sizeof(*ratio));
	if (!a || !b || !ratio)
		return 1;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
	for (size_t i = 0; i < warm_up; i++) {
		run(argv + optind, &actions);
		run(second, &actions);
	}
	for (size_t i = 0; i < n; i++) {
		a[i] = run(argv + optind, &actions);
		b[i] = run(second, &actions);
		ratio[i] = a[i] / b[i];
	}
	posix_spawn_file_actions_destroy(&actions);
	const double ma = median(a, n), mb = median(b, n), mr = median(ratio, n);

	printf("{\"pairs\": %zu, \"a\": {\"median\": %.1f, \"min\": %.1f, \"max\": %.1f}, "
	       "\"b\": {\"median\": %.1f, \"min\": %.1f, \"max\": %.1f}, \"ratio\": %.3f}\n",
	       n, ma, a[0], a[n - 1], mb, b[0], b[n - 1], mr);
	free(a);
	free(b);
	free(ratio);
	return 0;
}
