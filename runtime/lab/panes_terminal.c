/* SPDX-License-Identifier: Apache-2.0 */
/* The terminal of the view in panes: taken, lent, and given back whatever happens. */
#include <nsrun/lab/panes.h>

#ifdef NSRUN_NCURSES

#define NCURSES_NOMACROS
#define NCURSES_WIDECHAR 1
#include <curses.h>
#include <term.h>
#undef columns
#undef lines

#include <nsrun/base/strings.h>
#include <nsrun/kernel/tty.h>

#include <locale.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

#define LEAVE_MAX 256
#define ESCAPE_MS 50
#define TICK_MS 1000

static const int ends[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL };
#define ENDS ARRAY_LEN(ends)

struct panes_terminal {
	SCREEN *screen;
	FILE *in, *out;
	struct termios saved, changed;
	struct sigaction before[ENDS];
	struct sigaction stop_before, stop; /* SIGTSTP: ncurses' own handler leaves the screen and comes back */
	struct tty_guard guard;
	char *locale;
	char leave[LEAVE_MAX];
	bool bold;
};

/* What a signal handler may look at: whoever has the screen; NULL: nobody. */
static struct panes_terminal *volatile owner;

static void hand_back(int number, siginfo_t *info, void *context)
{
	struct panes_terminal *t = owner;
	const int saved = errno;
	size_t i = 0;

	owner = NULL;
	if (t) {
		if (write(fileno(t->out), t->leave, strlen(t->leave)) < 0) {
			/* it was hung up */
		}
		(void)tcsetattr(fileno(t->in), TCSANOW, &t->saved);
		(void)send(t->guard.control_fd, "r", 1, MSG_NOSIGNAL);
		while (i < ENDS && ends[i] != number)
			i++;
	}
	(void)context;
	/* Ends as it would have without a screen: a signal that was sent, when it is unblocked; one of the processor, when the instruction is done again. */
	if (!t || i == ENDS || sigaction(number, &t->before[i], NULL) < 0)
		(void)signal(number, SIG_DFL);
	if (info->si_code <= 0 || info->si_code == SI_KERNEL)
		(void)raise(number);
	errno = saved;
}

static void watch_signals(struct panes_terminal *t)
{
	struct sigaction action = { .sa_sigaction = hand_back, .sa_flags = SA_SIGINFO };

	sigfillset(&action.sa_mask);
	for (size_t i = 0; i < ENDS; i++)
		if (t->before[i].sa_handler != SIG_IGN)
			(void)sigaction(ends[i], &action, NULL);
}

/* What terminfo(5) has for a name, without its pauses: they are for terminals of paper. */
static void add_sequence(struct panes_terminal *t, const char *sequence)
{
	size_t n = strlen(t->leave);

	if (!sequence || sequence == (const char *)-1)
		return;
	for (const char *p = sequence; *p && n + 1 < LEAVE_MAX; p++) {
		const char *end = p[0] == '$' && p[1] == '<' ? strchr(p, '>') : NULL;

		if (end)
			p = end;
		else
			t->leave[n++] = *p;
	}
	t->leave[n] = '\0';
}

void panes_terminal_resized(struct panes_terminal *t)
{
	const char *move = tigetstr("cup");
	int rows, columns;

	panes_terminal_size(&rows, &columns);
	t->leave[0] = '\0';
	add_sequence(t, tigetstr("sgr0"));
	add_sequence(t, tigetstr("rmacs"));
	add_sequence(t, tigetstr("rmkx"));
	add_sequence(t, tigetstr("cnorm"));
	/* The last line, where there is no other screen to go back from. */
	if (move && move != (const char *)-1)
		add_sequence(t, tparm(move, (long)rows - 1, 0L, 0L, 0L, 0L, 0L, 0L, 0L, 0L));
	add_sequence(t, tigetstr("el"));
	add_sequence(t, tigetstr("rmcup"));
}

static void set_modes(bool colour)
{
	(void)cbreak();
	(void)noecho();
	(void)nonl();
	(void)keypad(stdscr, TRUE);
	(void)set_escdelay(ESCAPE_MS);
	wtimeout(stdscr, TICK_MS);
	if (colour && has_colors() && start_color() == OK) {
		(void)use_default_colors();
		(void)init_pair(1, COLOR_CYAN, -1);
	}
}

/* Started when the mode is set: the guard knows by it whether the terminal is still the lab's. */
static int guard(struct panes_terminal *t, struct err *err)
{
	const int fd = fileno(t->in);

	(void)wrefresh(stdscr);
	if (tcgetattr(fd, &t->changed) < 0)
		return err_system(err, "terminal: tcgetattr");
	return tty_guard_start_screen(fd, &t->saved, &t->changed, t->leave, &t->guard, err);
}

int panes_terminal_open(FILE *in, FILE *out, bool colour, struct panes_terminal **ret, struct err *err)
{
	struct panes_terminal *t = calloc(1, sizeof(*t));
	const char *locale;

	if (!t)
		return err_oom(err);
	t->in = in;
	t->out = out;
	t->guard = TTY_GUARD_NONE;
	locale = setlocale(LC_CTYPE, NULL);
	t->locale = locale ? strdup(locale) : NULL;
	(void)setlocale(LC_CTYPE, "");
	(void)fflush(out);
	/* In the background: stopped here until `fg`. */
	int r = tty_save(fileno(in), &t->saved, err);

	for (size_t i = 0; i < ENDS; i++)
		(void)sigaction(ends[i], NULL, &t->before[i]);
	(void)sigaction(SIGTSTP, NULL, &t->stop_before);
	t->screen = r == 0 ? newterm(NULL, out, in) : NULL;
	if (!t->screen) {
		if (r == 0)
			r = err_input(err, "--view panes: this terminal has no screen that can be written to anywhere");
		free(t->locale);
		free(t);
		return r;
	}
	(void)sigaction(SIGTSTP, NULL, &t->stop);
	set_modes(colour);
	panes_terminal_resized(t);
	const char *bold = tigetstr("bold");

	t->bold = bold && bold != (const char *)-1;
	owner = t;
	watch_signals(t);
	r = guard(t, err);
	if (r < 0)
		panes_terminal_close(t);
	else
		*ret = t;
	return r;
}

void panes_terminal_close(struct panes_terminal *t)
{
	(void)endwin();
	owner = NULL;
	(void)tcsetattr(fileno(t->in), TCSADRAIN, &t->saved);
	tty_guard_end(&t->guard);
	for (size_t i = 0; i < ENDS; i++)
		(void)sigaction(ends[i], &t->before[i], NULL);
	(void)sigaction(SIGTSTP, &t->stop_before, NULL);
	delscreen(t->screen);
	if (t->locale)
		(void)setlocale(LC_CTYPE, t->locale);
	free(t->locale);
	free(t);
}

void panes_terminal_leave(struct panes_terminal *t)
{
	(void)def_prog_mode();
	(void)endwin();
	/* Who comes back from ^Z would draw over whoever has the terminal. */
	(void)sigaction(SIGTSTP, &t->stop_before, NULL);
	owner = NULL;
	tty_guard_end(&t->guard);
}

void panes_terminal_return(struct panes_terminal *t)
{
	(void)reset_prog_mode();
	(void)sigaction(SIGTSTP, &t->stop, NULL);
	owner = t;
	(void)clearok(stdscr, TRUE);
	/* Without the guard all else still gives the terminal back. */
	(void)guard(t, NULL);
}

bool panes_terminal_has_bold(const struct panes_terminal *t)
{
	return t->bold;
}

void panes_terminal_size(int *ret_rows, int *ret_columns)
{
	getmaxyx(stdscr, *ret_rows, *ret_columns);
}

const char *lab_panes_lack(FILE *in, FILE *out)
{
	const char *term = getenv("TERM");
	int error = 0;

	if (!isatty(fileno(in)) || !isatty(fileno(out)))
		return "standard input and output are not a terminal";
	if (!term || !*term || streq(term, "dumb"))
		return "TERM says that the terminal can only print lines";
	if (setupterm(term, fileno(out), &error) != OK)
		return "terminfo(5) has no entry for what TERM says";
	const char *move = tigetstr("cup"), *wipe = tigetstr("clear");
	const bool able = move && move != (const char *)-1 && wipe && wipe != (const char *)-1;

	(void)del_curterm(cur_term);
	return able ? NULL : "a terminal as TERM says cannot be written to anywhere";
}

#else

const char *lab_panes_lack(FILE *in, FILE *out)
{
	(void)in;
	(void)out;
	return "this nsrun was built without ncurses";
}

#endif
