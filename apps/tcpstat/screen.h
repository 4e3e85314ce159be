/*
 * The table in a terminal. Nothing here waits: what ncurses draws goes into a pipe, from there to
 * the terminal as far as that takes it, and nothing more is drawn before all of it is out. One per
 * process.
 */
#ifndef TCPSTAT_SCREEN_H
#define TCPSTAT_SCREEN_H

#include "apps/tcpstat/board.h"

#include <stdbool.h>
#include <stddef.h>

enum screen_key { SCREEN_NO_KEY, SCREEN_LEFT, SCREEN_RIGHT, SCREEN_REVERSE, SCREEN_PAUSE };

/* `path`: a terminal; "": standard output when it is one, else /dev/tty. False: there is none, and
 * why is in `err`. */
bool screen_open(const char *path, char *err, size_t err_len);
void screen_close(void);

/* Moves output on. False: the terminal has not taken all of it, so it is no time to draw. */
bool screen_is_ready(void);

/* The next key that was pressed. */
enum screen_key screen_key(void);

/* Draws the live connections, which are sorted. */
void screen_draw(const struct picture *p, bool is_paused);

#endif
