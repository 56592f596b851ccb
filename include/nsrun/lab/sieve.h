/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What may reach a terminal. All text of the lab goes through here last, whoever it comes from: a container can choose its host name and what its programs
 * print, and a terminal does what control characters say (console_codes(4)).
 */
#ifndef NSRUN_LAB_SIEVE_H
#define NSRUN_LAB_SIEVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Marks that text.c writes: bytes that say nothing to a terminal. A view makes of them what it has. */
#define LAB_STRONG "\001"
#define LAB_CODE "\002"
#define LAB_NORMAL "\003"
/* Around what begins the further lines of one that the view wraps by itself. */
#define LAB_HANG_BEGIN "\004"
#define LAB_HANG_END "\005"

enum lab_piece {
	LAB_PIECE_CHAR, /* a character that can be shown, of 1 to 4 bytes */
	LAB_PIECE_NEWLINE,
	LAB_PIECE_BLANK, /* a tab */
	LAB_PIECE_STRONG,
	LAB_PIECE_CODE,
	LAB_PIECE_NORMAL,
	LAB_PIECE_HANG_BEGIN,
	LAB_PIECE_HANG_END,
	LAB_PIECE_BAD, /* one byte, to be shown as \xNN */
};

/* How many of the `n` bytes the first piece has; 0: more are needed to tell (not with `last`). */
size_t lab_sieve_next(const char *p, size_t n, bool last, enum lab_piece *ret);
/* A stream to another one, which is flushed with it and stays open. With `colour` marks become sequences of the terminal. NULL without memory. */
FILE *lab_sieve_open(FILE *to, bool colour);

#endif
