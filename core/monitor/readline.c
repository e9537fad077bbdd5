/*
 * The line editor of the human monitor: echo, cursor keys, history, and the usual control keys (a b
 * d e f k u h p n). After a change other than at the end of the line, the whole line is drawn
 * again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/monitor_impl.h"

static void put(struct monitor *mon, const char *s)
{
    monitor_write(mon, s, strlen(s));
}

static void redraw(struct monitor *mon)
{
    struct readline *rl = &mon->rl;
    put(mon, "\r" HMP_PROMPT);
    monitor_write(mon, rl->line, rl->len);
    put(mon, "\033[K");
    if (rl->cursor < rl->len) {
        char move[32];
        snprintf(move, sizeof move, "\033[%zuD", rl->len - rl->cursor);
        put(mon, move);
    }
}

void readline_show_prompt(struct monitor *mon)
{
    put(mon, HMP_PROMPT);
    monitor_write(mon, mon->rl.line, mon->rl.len);
}

static void insert(struct monitor *mon, char c)
{
    struct readline *rl = &mon->rl;
    if (rl->len >= LINE_SIZE - 1)
        return;
    memmove(rl->line + rl->cursor + 1, rl->line + rl->cursor, rl->len - rl->cursor);
    rl->line[rl->cursor++] = c;
    rl->len++;
    if (rl->cursor == rl->len)
        monitor_write(mon, &c, 1);
    else
        redraw(mon);
}

static void erase(struct readline *rl, size_t from, size_t to)
{
    memmove(rl->line + from, rl->line + to, rl->len - to);
    rl->len -= to - from;
    rl->cursor = from;
}

static void remember(struct readline *rl)
{
    int n = rl->history_count;
    if (!rl->len || (n && !strcmp(rl->history[n - 1], rl->line)))
        return;
    if (n == HISTORY_SIZE) {
        free(rl->history[0]);
        memmove(rl->history, rl->history + 1, (HISTORY_SIZE - 1) * sizeof rl->history[0]);
        n = --rl->history_count;
    }
    rl->history[n] = strdup(rl->line);
    if (rl->history[n])
        rl->history_count++;
}

static void recall(struct monitor *mon, int step)
{
    struct readline *rl = &mon->rl;
    int at = rl->history_at + step;
    if (at < 0 || at > rl->history_count)
        return;
    rl->history_at = at;
    rl->len = 0;
    if (at < rl->history_count) {
        rl->len = strlen(rl->history[at]);
        memcpy(rl->line, rl->history[at], rl->len);
    }
    rl->cursor = rl->len;
    redraw(mon);
}

/* A key by its Emacs letter: what Ctrl-letter and the cursor keys do. */
static void edit(struct monitor *mon, char key)
{
    struct readline *rl = &mon->rl;
    switch (key) {
    case 'a': rl->cursor = 0; break;
    case 'e': rl->cursor = rl->len; break;
    case 'b': rl->cursor -= rl->cursor > 0; break;
    case 'f': rl->cursor += rl->cursor < rl->len; break;
    case 'd':
        if (rl->cursor < rl->len)
            erase(rl, rl->cursor, rl->cursor + 1);
        break;
    case 'h':
        if (rl->cursor)
            erase(rl, rl->cursor - 1, rl->cursor);
        break;
    case 'k': rl->len = rl->cursor; break;
    case 'u': erase(rl, 0, rl->cursor); break;
    case 'p': recall(mon, -1); return;
    case 'n': recall(mon, 1); return;
    default: return;
    }
    redraw(mon);
}

static void end_escape(struct monitor *mon, char c)
{
    mon->rl.state = RL_TEXT;
    switch (c) {
    case 'A': edit(mon, 'p'); break;
    case 'B': edit(mon, 'n'); break;
    case 'C': edit(mon, 'f'); break;
    case 'D': edit(mon, 'b'); break;
    case 'F': edit(mon, 'e'); break;
    case 'H': edit(mon, 'a'); break;
    case '~':
        edit(mon, mon->rl.csi == 1 ? 'a' : mon->rl.csi == 3 ? 'd' : mon->rl.csi == 4 ? 'e' : 0);
        break;
    }
}

void readline_input(struct monitor *mon, char c,
                    void (*execute)(struct monitor *mon, const char *line))
{
    struct readline *rl = &mon->rl;
    unsigned char u = (unsigned char)c;
    if (rl->state == RL_ESC) {
        rl->state = c == '[' || c == 'O' ? RL_CSI : RL_TEXT;
        rl->csi = 0;
    } else if (rl->state == RL_CSI) {
        if (c >= '0' && c <= '9')
            rl->csi = (rl->csi * 10 + (c - '0')) % 100;
        else
            end_escape(mon, c);
    } else if (c == '\r' || c == '\n') {
        char line[LINE_SIZE];
        rl->line[rl->len] = 0;
        memcpy(line, rl->line, rl->len + 1);
        remember(rl);
        rl->len = rl->cursor = 0;
        rl->history_at = rl->history_count;
        put(mon, "\r\n");
        execute(mon, line);
        readline_show_prompt(mon);
    } else if (c == '\033') {
        rl->state = RL_ESC;
    } else if (u == 127) {
        edit(mon, 'h');
    } else if (u < 32) {
        edit(mon, (char)(u + 'a' - 1));
    } else {
        insert(mon, c);
    }
}

void readline_free(struct readline *rl)
{
    for (int i = 0; i < rl->history_count; i++)
        free(rl->history[i]);
}
