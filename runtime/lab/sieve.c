/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/lab/sieve.h>

#include <nsrun/base/cleanup.h>
#include <nsrun/base/strings.h>

#include <string.h>
#include <sys/types.h>

#define PIECE_MAX 8

struct sieve {
	FILE *to;
	bool colour;
	char rest[PIECE_MAX]; /* the beginning of a piece */
	size_t n;
};

static enum lab_piece mark_of(char c)
{
	static const enum lab_piece pieces[] = { LAB_PIECE_STRONG, LAB_PIECE_CODE, LAB_PIECE_NORMAL,
						 LAB_PIECE_HANG_BEGIN, LAB_PIECE_HANG_END };
	static const char marks[] = LAB_STRONG LAB_CODE LAB_NORMAL LAB_HANG_BEGIN LAB_HANG_END;
	const char *found = c ? strchr(marks, c) : NULL;

	return found ? pieces[found - marks] : LAB_PIECE_BAD;
}

static size_t next_character(const char *p, size_t n, bool last, enum lab_piece *ret)
{
	const unsigned char lead = (unsigned char)*p;
	const size_t wanted = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
	char text[5] = "";

	memcpy(text, p, n < wanted ? n : wanted);
	if (n < wanted && !last) {
		bool whole = lead >= 0xc2 && lead <= 0xf4;

		for (size_t i = 1; i < n; i++)
			whole = whole && ((unsigned char)p[i] & 0xc0) == 0x80;
		if (whole)
			return 0;
	}
	const size_t length = utf8_length(text);

	*ret = length == 0 ? LAB_PIECE_BAD : LAB_PIECE_CHAR;
	return length == 0 ? 1 : length;
}

size_t lab_sieve_next(const char *p, size_t n, bool last, enum lab_piece *ret)
{
	if (n == 0)
		return 0;
	switch (*p) {
	case '\n':
		*ret = LAB_PIECE_NEWLINE;
		return 1;
	case '\t':
		*ret = LAB_PIECE_BLANK;
		return 1;
	default:
		break;
	}
	if ((unsigned char)*p < 0x20 || *p == 0x7f) {
		*ret = mark_of(*p);
		return 1;
	}
	return next_character(p, n, last, ret);
}

/* ECMA-48, as every terminal with colour has it. */
static const char *sequence_of(enum lab_piece piece)
{
	return piece == LAB_PIECE_STRONG ? "\033[1m" : piece == LAB_PIECE_CODE ? "\033[36m" : "\033[0m";
}

static void put_piece(const struct sieve *sieve, enum lab_piece piece, const char *p, size_t n)
{
	switch (piece) {
	case LAB_PIECE_CHAR:
	case LAB_PIECE_NEWLINE:
		fwrite(p, 1, n, sieve->to);
		return;
	case LAB_PIECE_BLANK:
		fputc(' ', sieve->to);
		return;
	case LAB_PIECE_STRONG:
	case LAB_PIECE_CODE:
	case LAB_PIECE_NORMAL:
		if (sieve->colour) {
			fputs(sequence_of(piece), sieve->to);
			return;
		}
		break;
	default:
		break;
	}
	fprintf(sieve->to, "\\x%02x", (unsigned char)*p);
}

/* Returns how many bytes were passed on. */
static size_t pass(const struct sieve *sieve, const char *p, size_t n, bool last)
{
	size_t done = 0, length;
	enum lab_piece piece;

	while ((length = lab_sieve_next(p + done, n - done, last, &piece)) > 0) {
		put_piece(sieve, piece, p + done, length);
		done += length;
	}
	return done;
}

static ssize_t sieve_write(void *cookie, const char *buf, size_t size)
{
	struct sieve *sieve = cookie;
	size_t at = 0;

	/* What a piece began with before goes on here. */
	while (sieve->n > 0 && at < size) {
		sieve->rest[sieve->n++] = buf[at++];
		const size_t done = pass(sieve, sieve->rest, sieve->n, sieve->n == PIECE_MAX);

		sieve->n -= done;
		memmove(sieve->rest, sieve->rest + done, sieve->n);
	}
	at += pass(sieve, buf + at, size - at, false);
	memcpy(sieve->rest + sieve->n, buf + at, size - at);
	sieve->n += size - at;
	if (fflush(sieve->to) != 0)
		return 0;
	return (ssize_t)size;
}

static int sieve_close(void *cookie)
{
	struct sieve *sieve = cookie;

	(void)pass(sieve, sieve->rest, sieve->n, true);
	const int r = fflush(sieve->to);

	free(sieve);
	return r;
}

FILE *lab_sieve_open(FILE *to, bool colour)
{
	const cookie_io_functions_t io = { .write = sieve_write, .close = sieve_close };
	struct sieve *sieve = calloc(1, sizeof(*sieve));

	if (!sieve)
		return NULL;
	sieve->to = to;
	sieve->colour = colour;
	FILE *stream = fopencookie(sieve, "w", io);

	if (!stream)
		free(sieve);
	return stream;
}
