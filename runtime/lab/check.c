/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/lab/check.h>

#include <nsrun/base/strings.h>

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const struct {
	const char *text;
	const char *words; /* "wanted: WORDS VALUE" */
} operators[] = {
	[LAB_EQUAL] = { "==", "" },
	[LAB_DIFFERENT] = { "!=", "anything but " },
	[LAB_LESS] = { "<", "less than " },
	[LAB_LESS_EQUAL] = { "<=", "at most " },
	[LAB_GREATER] = { ">", "more than " },
	[LAB_GREATER_EQUAL] = { ">=", "at least " },
	[LAB_HAS] = { "has", "something that has " },
};

const char *lab_namespace_name(const char *property)
{
	static const struct {
		const char *property, *name;
	} names[] = {
		{ "uts", "UTS" },
		{ "ipc", "IPC" },
		{ "mnt", "mount" },
		{ "pid", "PID" },
		{ "net", "network" },
		{ "user", "user" },
		{ "cgroup", "control group" },
		{ "time", "time" },
	};

	for (size_t i = 0; property && i < ARRAY_LEN(names); i++)
		if (streq(property, names[i].property))
			return names[i].name;
	return NULL;
}

/* ---- parsing ---- */

struct token {
	const char *text;
	bool quoted;
};

/* Blanks part tokens; double quotes hold one together. Returns how many, at most `max`; -1: a quote is open, -2: more than `max`. */
static int tokenize(struct arena *arena, const char *text, struct token *ret, int max)
{
	int n = 0;

	for (const char *p = text;;) {
		p += strspn(p, " \t");
		if (!*p)
			return n;
		if (n == max)
			return -2;
		const bool quoted = *p == '"';
		const size_t len = quoted ? strcspn(p + 1, "\"") : strcspn(p, " \t");

		if (quoted && p[1 + len] != '"')
			return -1;
		ret[n++] = (struct token){ arena_strndup(arena, p + quoted, len), quoted };
		p += len + (quoted ? 2 : 0);
	}
}

static bool is_known(const char *subject, size_t len, const char *const *known)
{
	if (len == 4 && strncmp(subject, "host", 4) == 0)
		return true;
	for (; known && *known; known++)
		if (strlen(*known) == len && strncmp(*known, subject, len) == 0)
			return true;
	return false;
}

/* What the session knows by itself, of a container: kernel/observe.h is about processes. */
static bool is_of_session(const char *property)
{
	return streq(property, "state") || streq(property, "exit");
}

static int parse_property(const char *word, struct lab_term *term, struct err *err)
{
	struct observe_term parsed;

	if (is_of_session(term->property)) {
		if (streq(term->subject, "host") || term->comm)
			return err_input(err, "%s: only a container has a state and an exit status", word);
		term->kind = streq(term->property, "exit") ? OBSERVE_NUMBER : OBSERVE_TEXT;
		return 0;
	}
	const int r = observe_parse(term->property, &parsed, err);
	if (r < 0)
		return r;
	term->kind = parsed.property->kind;
	observe_term_done(&parsed);
	return 0;
}

int lab_term_parse(struct arena *arena, const char *word, bool quoted, const char *const *known, struct lab_term *ret,
		   struct err *err)
{
	struct lab_term term = { .text = word, .kind = OBSERVE_TEXT };
	const char *dot = strchr(word, '.');
	const size_t end = strcspn(word, "./");

	/* A number and a path begin otherwise; a word without a dot is a word. */
	if (quoted || !dot || !isalpha((unsigned char)word[0])) {
		*ret = term;
		return 0;
	}
	if (!is_known(word, end, known))
		return err_input(
			err,
			"%s: no `run` before it has made '%.*s': wanted is host, a container's name, or, of text that has a dot, "
			"double quotes",
			word, (int)end, word);
	if (word[end] == '/') {
		if (dot < word + end || dot == word + end + 1)
			return err_input(err, "%s: wanted is NAME/COMM.PROPERTY", word);
		term.comm = arena_strndup(arena, word + end + 1, (size_t)(dot - word) - end - 1);
	}
	term.subject = arena_strndup(arena, word, end);
	term.property = arena_strdup(arena, dot + 1);
	if (!term.subject || !term.property)
		return err_oom(err);
	const int r = parse_property(word, &term, err);
	if (r == 0)
		*ret = term;
	return r;
}

static bool is_number(const char *text)
{
	const char *p = text + (*text == '-');

	if (streq(text, "max"))
		return true;
	return *p && strspn(p, "0123456789") == strlen(p) && strlen(p) < 19;
}

static int operator_of(const char *text)
{
	for (size_t i = 0; i < ARRAY_LEN(operators); i++)
		if (streq(text, operators[i].text))
			return (int)i;
	return -1;
}

static int check_kinds(const struct lab_check *check, struct err *err)
{
	const bool ordered = check->operator>= LAB_LESS && check->operator<= LAB_GREATER_EQUAL;
	const struct lab_term *const terms[] = { &check->left, &check->right };

	if (!check->left.subject && !check->right.subject)
		return err_input(err, "%s: nothing in it is asked of the kernel: wanted is SUBJECT.PROPERTY on a side",
				 check->text);
	for (size_t i = 0; ordered && i < ARRAY_LEN(terms); i++)
		if (terms[i]->subject ? terms[i]->kind == OBSERVE_SET : !is_number(terms[i]->text))
			return err_input(err, "%s: %s compares numbers, and %s is none", check->text,
					 operators[check->operator].text, terms[i]->text);
	return 0;
}

int lab_check_parse(struct arena *arena, const char *text, unsigned line, const char *const *known,
		    struct lab_check *ret, struct err *err)
{
	struct lab_check check = { .line = line, .text = arena_strdup(arena, text) };
	struct token tokens[4];
	const int n = check.text ? tokenize(arena, text, tokens, ARRAY_LEN(tokens)) : 0;

	if (!check.text)
		return err_oom(err);
	if (n == -1)
		return err_input(err, "%s: a double quote is open", text);
	for (int i = 0; i < n; i++)
		if (!tokens[i].text)
			return err_oom(err);
	check.negated = n > 0 && !tokens[0].quoted && streq(tokens[0].text, "not");
	const struct token *t = tokens + check.negated;

	if (n != 3 + check.negated)
		return err_input(err, "%s: wanted is TERM OPERATOR TERM, apart by blanks, or `not` before it", text);
	const int operator= operator_of(t[1].text);

	if (t[1].quoted || operator<0)
		return err_input(err, "%s: '%s' is no operator: wanted is one of == != < <= > >= has", text, t[1].text);
	check.operator=(enum lab_operator) operator;
	int r = lab_term_parse(arena, t[0].text, t[0].quoted, known, &check.left, err);
	if (r == 0)
		r = lab_term_parse(arena, t[2].text, t[2].quoted, known, &check.right, err);
	if (r == 0)
		r = check_kinds(&check, err);
	if (r == 0)
		*ret = check;
	return r;
}

/* ---- comparing ---- */

/* The next word of a set or sentence: its length, 0 at the end. */
static size_t next_word(const char **p)
{
	*p += strspn(*p, " \t");
	return strcspn(*p, " \t");
}

static bool has_word(const char *text, const char *word, size_t len)
{
	for (size_t n; (n = next_word(&text)) > 0; text += n)
		if (n == len && strncasecmp(text, word, len) == 0)
			return true;
	return false;
}

static bool has_words(const char *text, const char *words)
{
	bool some = false;

	for (size_t n; (n = next_word(&words)) > 0; words += n, some = true)
		if (!has_word(text, words, n))
			return false;
	return some;
}

static bool same_words(const char *a, const char *b)
{
	for (;;) {
		const size_t n = next_word(&a), m = next_word(&b);

		if (n != m || strncasecmp(a, b, n) != 0)
			return false;
		if (n == 0)
			return true;
		a += n;
		b += m;
	}
}

/* "max" is more than every number. */
static int compare_numbers(const char *a, const char *b)
{
	const bool a_max = streq(a, "max"), b_max = streq(b, "max");

	if (a_max || b_max)
		return a_max - b_max;
	const long long x = strtoll(a, NULL, 10), y = strtoll(b, NULL, 10);

	return x < y ? -1 : x > y;
}

bool lab_same(const char *a, const char *b)
{
	if (is_number(a) && is_number(b))
		return compare_numbers(a, b) == 0;
	return same_words(a, b) || (has_words(a, b) && has_words(b, a) && strchr(a, ' '));
}

static bool same_exactly(const char *a, const char *b, bool set)
{
	if (is_number(a) && is_number(b))
		return compare_numbers(a, b) == 0;
	if (set)
		return (has_words(a, b) && has_words(b, a)) || (!a[strspn(a, " ")] && !b[strspn(b, " ")]);
	return streq(a, b);
}

static enum lab_verdict compare(const struct lab_check *check, const char *left, const char *right)
{
	const bool set = check->left.kind == OBSERVE_SET || check->right.kind == OBSERVE_SET;
	bool holds;

	switch (check->operator) {
	case LAB_EQUAL:
		holds = same_exactly(left, right, set);
		break;
	case LAB_DIFFERENT:
		holds = !same_exactly(left, right, set);
		break;
	case LAB_HAS:
		holds = set ? has_words(left, right) : strstr(left, right) != NULL;
		break;
	default:
		if (!is_number(left) || !is_number(right))
			return LAB_UNKNOWN;
		const int c = compare_numbers(left, right);

		holds = check->operator== LAB_LESS	   ? c < 0
			: check->operator== LAB_LESS_EQUAL ? c <= 0
			: check->operator== LAB_GREATER	   ? c > 0
							   : c >= 0;
	}
	return holds != check->negated ? LAB_HOLDS : LAB_FAILS;
}

/* ---- telling ---- */

/* "the container box shares the host's UTS namespace": what an inode says to who knows what it is. */
static void tell_namespaces(FILE *out, const struct lab_check *check, const char *left, const char *right)
{
	const struct lab_term *a = &check->left, *b = &check->right;
	const char *kind =
		a->subject && b->subject && streq(a->property, b->property) ? lab_namespace_name(a->property) : NULL;

	if (!kind || streq(a->subject, b->subject))
		return;
	if (streq(a->subject, "host")) {
		const struct lab_term *swap = a;

		a = b;
		b = swap;
	}
	if (streq(left, right))
		fprintf(out, ": %s shares the %s namespace of %s%s", a->subject, kind,
			streq(b->subject, "host") ? "the " : "", b->subject);
	else
		fprintf(out, ": %s has another %s namespace than %s%s", a->subject, kind,
			streq(b->subject, "host") ? "the " : "", b->subject);
}

static void tell_value(FILE *out, const char *text)
{
	char escaped[1024];

	escape_text(text, escaped, sizeof(escaped));
	fputs(*escaped ? escaped : "empty", out);
}

static void tell(FILE *out, const struct lab_check *check, enum lab_verdict verdict, const char *left,
		 const char *right)
{
	const struct lab_term *asked = check->left.subject ? &check->left : &check->right;
	const struct lab_term *other = check->left.subject ? &check->right : &check->left;
	const char *asked_value = check->left.subject ? left : right;
	const char *other_value = check->left.subject ? right : left;

	fprintf(out, "%s is ", asked->text);
	tell_value(out, asked_value);
	if (other->subject) {
		fprintf(out, ", %s is ", other->text);
		tell_value(out, other_value);
	}
	tell_namespaces(out, check, left, right);
	if (verdict == LAB_HOLDS)
		return;
	if (verdict == LAB_UNKNOWN)
		fputs("; that is no number", out);
	fputs("; wanted: ", out);
	if (!check->left.subject || check->negated || other->subject) {
		fputs(check->text, out);
	} else {
		fputs(operators[check->operator].words, out);
		tell_value(out, other_value);
	}
}

static int ask(const struct lab_kernel *kernel, const struct lab_term *term, char **ret, struct err *err)
{
	if (term->subject)
		return kernel->value(kernel->data, term, ret, err);
	*ret = strdup(term->text);
	return *ret ? 0 : err_oom(err);
}

enum lab_verdict lab_check_try(const struct lab_check *check, const struct lab_kernel *kernel, char **ret_story)
{
	_cleanup_free_ char *left = NULL, *right = NULL;
	enum lab_verdict verdict = LAB_UNKNOWN;
	struct err err = ERR_INIT;
	size_t size;
	char *story = NULL;

	int r = ask(kernel, &check->left, &left, &err);
	if (r == 0)
		r = ask(kernel, &check->right, &right, &err);
	if (r == 0)
		verdict = compare(check, left, right);
	if (!ret_story)
		return verdict;
	FILE *out = open_memstream(&story, &size);

	if (out && r == 0) {
		tell(out, check, verdict, left, right);
	} else if (out) {
		char text[ERR_MESSAGE_MAX * 4];

		fprintf(out, "%s; wanted: %s", err_format(&err, text, sizeof(text)), check->text);
	}
	if (out && fclose(out) != 0) {
		free(story);
		story = NULL;
	}
	*ret_story = story;
	return verdict;
}
