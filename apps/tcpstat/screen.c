#include "apps/tcpstat/screen.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <mtcp_api.h>
#include <ncurses.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define PIPE_BYTES    (1 << 20) /* more than any picture has */
#define CLOSE_WAIT_MS 200       /* for a terminal that takes nothing */
#define HEAD_LINES    6

/* The signals whose handlers ncurses sets: they are the program's. */
static const int signals[] = {SIGINT, SIGTERM, SIGTSTP, SIGWINCH};

#define N_SIGNALS (sizeof(signals) / sizeof(signals[0]))

static struct {
    int tty;            /* non-blocking */
    int from_curses;    /* the pipe's end to read from */
    FILE *to_pipe, *in; /* what ncurses has */
    SCREEN *curses;
    struct termios before;
    char out[4096]; /* on its way from the pipe to the terminal */
    size_t out_at, out_end;
} screen;

/* ---- output ---- */

/* A shell's job in the background may not touch its terminal. */
static bool is_in_foreground(void)
{
    pid_t group = tcgetpgrp(screen.tty);

    return group < 0 || group == getpgrp();
}

static bool out_fill(void)
{
    ssize_t n = read(screen.from_curses, screen.out, sizeof(screen.out));

    screen.out_at = 0;
    screen.out_end = n > 0 ? (size_t)n : 0;
    return n > 0;
}

/* False: the terminal takes no more now. */
static bool out_move(void)
{
    while (screen.out_at < screen.out_end || out_fill()) {
        ssize_t n = write(screen.tty, screen.out + screen.out_at, screen.out_end - screen.out_at);
        if (n <= 0)
            return false;
        screen.out_at += (size_t)n;
    }
    return true;
}

bool screen_is_ready(void)
{
    return is_in_foreground() && out_move();
}

/* ---- begin and end ---- */

static int tty_open(const char *path)
{
    if (path[0] == '\0')
        path = isatty(STDOUT_FILENO) ? ttyname(STDOUT_FILENO) : "/dev/tty";
    int fd = open(path != NULL ? path : "/dev/tty", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0 && !isatty(fd)) {
        close(fd);
        errno = ENOTTY;
        return -1;
    }
    return fd;
}

/* Keys come one by one and are not echoed; Ctrl-C still is a signal. */
static void tty_begin(void)
{
    struct termios t;

    tcgetattr(screen.tty, &screen.before);
    t = screen.before;
    t.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    t.c_cc[VMIN] = 0;
    t.c_cc[VTIME] = 0;
    tcsetattr(screen.tty, TCSANOW, &t);
}

static bool pipe_begin(void)
{
    int ends[2];

    if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) < 0)
        return false;
    (void)fcntl(ends[1], F_SETPIPE_SZ, PIPE_BYTES);
    screen.from_curses = ends[0];
    screen.to_pipe = fdopen(ends[1], "w");
    screen.in = fdopen(dup(screen.tty), "r");
    return screen.to_pipe != NULL && screen.in != NULL;
}

static bool curses_begin(void)
{
    struct sigaction before[N_SIGNALS];

    for (size_t i = 0; i < N_SIGNALS; i++)
        sigaction(signals[i], NULL, &before[i]);
    screen.curses = newterm(NULL, screen.to_pipe, screen.in);
    for (size_t i = 0; i < N_SIGNALS; i++)
        sigaction(signals[i], &before[i], NULL);
    if (screen.curses == NULL)
        return false;
    nonl();
    curs_set(0);
    return true;
}

bool screen_open(const char *path, char *err, size_t err_len)
{
    screen.tty = tty_open(path);
    if (screen.tty < 0) {
        snprintf(err, err_len, "%s: %s", path[0] != '\0' ? path : "no terminal", strerror(errno));
        return false;
    }
    const char *why = NULL;
    if (!is_in_foreground())
        why = "the terminal is another job's: start in the foreground";
    else if (!pipe_begin())
        why = strerror(errno);
    else if (!curses_begin())
        why = "ncurses can't use this terminal: look at TERM";
    if (why == NULL) {
        tty_begin();
        return true;
    }
    snprintf(err, err_len, "%s", why);
    close(screen.tty);
    return false;
}

void screen_close(void)
{
    struct pollfd p = {.fd = screen.tty, .events = POLLOUT};

    endwin();
    if (is_in_foreground()) {
        while (!out_move() && poll(&p, 1, CLOSE_WAIT_MS) > 0)
            continue;
        tcsetattr(screen.tty, TCSANOW, &screen.before);
    }
    delscreen(screen.curses);
    fclose(screen.to_pipe);
    fclose(screen.in);
    close(screen.from_curses);
    close(screen.tty);
}

/* ---- keys ---- */

/* An arrow comes as ESC [ C or ESC O C. */
static enum screen_key arrow_key(void)
{
    char c[2];

    if (read(screen.tty, c, 2) != 2 || (c[0] != '[' && c[0] != 'O'))
        return SCREEN_NO_KEY;
    return c[1] == 'C' ? SCREEN_RIGHT : c[1] == 'D' ? SCREEN_LEFT : SCREEN_NO_KEY;
}

enum screen_key screen_key(void)
{
    char c;

    if (!is_in_foreground() || read(screen.tty, &c, 1) != 1)
        return SCREEN_NO_KEY;
    switch (c) {
    case '\033':
        return arrow_key();
    case '<':
    case ',':
        return SCREEN_LEFT;
    case '>':
    case '.':
        return SCREEN_RIGHT;
    case 'r':
        return SCREEN_REVERSE;
    case ' ':
        return SCREEN_PAUSE;
    default:
        return SCREEN_NO_KEY;
    }
}

/* ---- the picture ---- */

static void size_follow(void)
{
    struct winsize w;

    if (ioctl(screen.tty, TIOCGWINSZ, &w) == 0 && w.ws_row > 0 && w.ws_col > 0 &&
        (w.ws_row != LINES || w.ws_col != COLS))
        resizeterm(w.ws_row, w.ws_col);
}

static void draw_histogram(int y, const char *title, const struct histogram *h)
{
    mvprintw(y, 0, "%-14s", title);
    if (h->n > 0)
        printw(" p50 %.3f  p90 %.3f  p99 %.3f  max %.3f ms",
               (double)histogram_percentile(h, 500000) / 1000,
               (double)histogram_percentile(h, 900000) / 1000,
               (double)histogram_percentile(h, 990000) / 1000, (double)h->max / 1000);
}

static uint64_t both(const struct totals *t, enum count c)
{
    return t->count[MOS_SIDE_CLI][c] + t->count[MOS_SIDE_SVR][c];
}

static void draw_head(const struct picture *p, bool is_paused)
{
    const struct totals *t = &p->totals;

    mvprintw(0, 0, "connections %" PRIu64 " open, %" PRIu64 " ended   %s %s%s   < > r space",
             t->n_begun - t->n_ended, t->n_ended, p->live.is_ascending ? "smallest" : "largest",
             column_title(p->live.by), is_paused ? "   PAUSED" : "");
    mvprintw(1, 0,
             "again: fast %" PRIu64 "  timer %" PRIu64 "  for nothing %" PRIu64
             "  SYN, FIN %" PRIu64 "   out of order %" PRIu64 "   zero windows %" PRIu64,
             both(t, COUNT_AGAIN_FAST), both(t, COUNT_AGAIN_TIMER), both(t, COUNT_AGAIN_SPURIOUS),
             both(t, COUNT_AGAIN_CONTROL), both(t, COUNT_OUT_OF_ORDER), both(t, COUNT_ZERO_WINDOW));
    draw_histogram(2, "handshake", &t->handshake);
    draw_histogram(3, "rtt to clients", &t->rtt[MOS_SIDE_CLI]);
    draw_histogram(4, "rtt to servers", &t->rtt[MOS_SIDE_SVR]);
}

/* The column after the first that is drawn, so that the one sorted by is on the screen. */
static int first_column(enum column by)
{
    int room = COLS - column_width(COLUMN_CLIENT);
    int first = (int)by;

    if (by == COLUMN_CLIENT)
        return COLUMN_CLIENT + 1;
    room -= column_width(by) + 1;
    while (first > COLUMN_CLIENT + 1 && room > column_width((enum column)(first - 1)))
        room -= column_width((enum column)-- first) + 1;
    return first;
}

/* One line: row NULL is the headings. */
static void draw_line(int y, const struct picture *p, const struct row *row)
{
    char text[ROW_TEXT_MAX];
    int x = 0, c = COLUMN_CLIENT;

    while (c < COLUMNS && x + column_width((enum column)c) <= COLS) {
        int width = column_width((enum column)c);
        const char *shown = column_title((enum column)c);
        if (row != NULL) {
            row_text(row, (enum column)c, text);
            shown = text;
        }
        if (c == (int)p->live.by)
            attron(A_BOLD);
        mvprintw(y, x, "%*.*s", column_is_text((enum column)c) ? -width : width, width, shown);
        attroff(A_BOLD);
        x += width + 1;
        c = c == COLUMN_CLIENT ? first_column(p->live.by) : c + 1;
    }
}

void screen_draw(const struct picture *p, bool is_paused)
{
    size_follow();
    erase();
    draw_head(p, is_paused);
    attron(A_REVERSE);
    mvhline(HEAD_LINES - 1, 0, ' ', COLS);
    draw_line(HEAD_LINES - 1, p, NULL);
    attroff(A_REVERSE);
    for (unsigned i = 0; i < p->live.n && HEAD_LINES + (int)i < LINES; i++)
        draw_line(HEAD_LINES + (int)i, p, &p->live.row[i]);
    refresh();
    (void)out_move();
}
