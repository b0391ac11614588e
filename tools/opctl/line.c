/* SPDX-License-Identifier: Apache-2.0 */
/* line.c — a small line editor for terminals that know ANSI sequences.
 *
 *   ^A ^E Home End     ends of the line          ^P ^N Up Down   history
 *   ^B ^F Left Right   one character             TAB             complete the word before the
 * cursor ^H Backspace ^D    delete                    ^L              clear the screen ^K ^U ^W to
 * the end, all, a word   ^C              drop the line
 *
 * One row of the screen is used; what does not fit is scrolled. The text is UTF-8: the cursor
 * stands between characters, never within one. Whatever arrives, the terminal is left as it was
 * found. */
#include "tools/opctl/line.h"
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

struct edit {
    struct line_editor *of;
    const char *prompt;
    char text[LINE_BYTES_MAX];
    size_t len, at;
    u32 history; /* which entry is shown; history_count: none */
    char kept[LINE_BYTES_MAX]; /* what was typed before history was looked at */
};

static struct edit line; /* one person, one terminal */

void line_open(struct line_editor *e) {
    *e = (struct line_editor){.terminal = isatty(0) && isatty(1)};
}

void line_close(struct line_editor *e) {
    for (u32 i = 0; i < e->history_count; i++) free(e->history[i]);
    e->history_count = 0;
}

void line_remember(struct line_editor *e, const char *text) {
    bool again = e->history_count && !strcmp(e->history[e->history_count - 1], text);
    if (!*text || again) return;
    char *copy = strdup(text);
    if (!copy) return;
    if (e->history_count == LINE_HISTORY_MAX) {
        free(e->history[0]);
        memmove(e->history, e->history + 1, (LINE_HISTORY_MAX - 1) * sizeof *e->history);
        e->history_count--;
    }
    e->history[e->history_count++] = copy;
}

void line_history_load(struct line_editor *e, const char *path) {
    FILE *f = fopen(path, "r");
    char *text = NULL;
    size_t room = 0;
    for (ssize_t n; f && (n = getline(&text, &room, f)) > 0;) {
        if (text[n - 1] == '\n') text[n - 1] = 0;
        line_remember(e, text);
    }
    free(text);
    if (f) fclose(f);
}

void line_history_save(const struct line_editor *e, const char *path) {
    FILE *f = fopen(path, "w");
    for (u32 i = 0; f && i < e->history_count; i++) fprintf(f, "%s\n", e->history[i]);
    if (f) fclose(f);
}

void line_word_add(struct line_words *to, str word) {
    if (to->count >= LINE_WORDS_MAX) return;
    if ((to->count & (to->count - 1)) == 0) {
        char **more = realloc(to->items, (to->count ? to->count * 2 : 1) * sizeof *more);
        if (!more) return;
        to->items = more;
    }
    char *copy = strndup(word.ptr ? word.ptr : "", word.len);
    if (copy) to->items[to->count++] = copy;
}

/* ---- The screen ---- */

static bool is_tail(char c) {
    return ((u8)c & 0xc0) == 0x80;
}

static size_t columns(const char *s, size_t n) {
    size_t count = 0;
    for (size_t i = 0; i < n; i++) count += !is_tail(s[i]);
    return count;
}

static void put(const char *s, size_t n) {
    while (n) {
        ssize_t done = write(1, s, n);
        if (done <= 0) return;
        s += done, n -= (size_t)done;
    }
}

static void show(const struct edit *l) {
    struct winsize size;
    size_t width = ioctl(1, TIOCGWINSZ, &size) || !size.ws_col ? 80 : size.ws_col;
    size_t prompt = columns(l->prompt, strlen(l->prompt)), from = 0, to = l->len;
    size_t room = width > prompt + 1 ? width - prompt - 1 : 1;
    while (columns(l->text + from, l->at - from) > room) {
        from++;
        while (from < l->len && is_tail(l->text[from])) from++;
    }
    while (columns(l->text + from, to - from) > room) {
        to--;
        while (to > from && is_tail(l->text[to])) to--;
    }
    char move[32];
    put("\r", 1);
    put(l->prompt, strlen(l->prompt));
    put(l->text + from, to - from);
    int n = snprintf(move, sizeof move, "\x1b[0K\r\x1b[%zuC",
                     prompt + columns(l->text + from, l->at - from));
    put(move, (size_t)n);
}

/* ---- Changing the text ---- */

static size_t before(const struct edit *l, size_t at) {
    if (!at) return 0;
    at--;
    while (at && is_tail(l->text[at])) at--;
    return at;
}

static size_t behind(const struct edit *l, size_t at) {
    if (at == l->len) return at;
    at++;
    while (at < l->len && is_tail(l->text[at])) at++;
    return at;
}

static void insert(struct edit *l, const char *s, size_t n) {
    if (l->len + n >= sizeof l->text) return;
    memmove(l->text + l->at + n, l->text + l->at, l->len - l->at);
    memcpy(l->text + l->at, s, n);
    l->len += n, l->at += n;
}

static void cut(struct edit *l, size_t from, size_t to) {
    memmove(l->text + from, l->text + to, l->len - to);
    l->len -= to - from;
    l->at = from;
}

static void cut_word(struct edit *l) {
    size_t from = l->at;
    while (from && l->text[from - 1] == ' ') from--;
    while (from && l->text[from - 1] != ' ') from--;
    cut(l, from, l->at);
}

static void recall(struct edit *l, int step) {
    struct line_editor *e = l->of;
    if ((step < 0 && !l->history) || (step > 0 && l->history == e->history_count)) return;
    if (l->history == e->history_count) {
        memcpy(l->kept, l->text, l->len);
        l->kept[l->len] = 0;
    }
    l->history += (u32)step;
    const char *text = l->history == e->history_count ? l->kept : e->history[l->history];
    l->len = l->at = 0;
    insert(l, text, strlen(text));
}

/* ---- Completion ---- */

static int word_order(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_word(char c) {
    return c == '_' || c == '.' || c == '-' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
           (c >= 'A' && c <= 'Z');
}

static u32 without_repeats(struct line_words *w) {
    u32 n = 0;
    for (u32 i = 0; i < w->count; i++) {
        if (n && !strcmp(w->items[n - 1], w->items[i])) free(w->items[i]);
        else w->items[n++] = w->items[i];
    }
    return n;
}

static void list_words(const struct edit *l, const struct line_words *w) {
    put("\r\n", 2);
    for (u32 i = 0; i < w->count; i++) {
        put(w->items[i], strlen(w->items[i]));
        put(i + 1 < w->count ? "  " : "\r\n", 2);
    }
    show(l);
}

/* As far as all candidates agree; when that adds nothing they are listed. */
static void complete(struct edit *l) {
    struct line_words words = {0};
    size_t from = l->at;
    if (!l->of->complete) return;
    while (from && is_word(l->text[from - 1])) from--;
    l->of->complete(l->of->arg, str_of(l->text + from, l->at - from), from == 0, &words);
    if (words.count) qsort(words.items, words.count, sizeof *words.items, word_order);
    words.count = without_repeats(&words);
    size_t same = words.count ? strlen(words.items[0]) : 0;
    for (u32 i = 1; i < words.count; i++) {
        size_t n = 0;
        while (n < same && words.items[i][n] == words.items[0][n]) n++;
        same = n;
    }
    if (words.count && same > l->at - from)
        insert(l, words.items[0] + (l->at - from), same - (l->at - from));
    else if (words.count > 1) list_words(l, &words);
    for (u32 i = 0; i < words.count; i++) free(words.items[i]);
    free(words.items);
}

/* ---- Keys ---- */

static int key(void) {
    u8 c;
    return read(0, &c, 1) == 1 ? c : -1;
}

static void escape_key(struct edit *l) {
    int first = key(), second = first == '[' || first == 'O' ? key() : -1;
    if (second >= '0' && second <= '9' && key() == '~')
        second = second == '3'                    ? 'X'
                 : second == '1' || second == '7' ? 'H'
                 : second == '4' || second == '8' ? 'F'
                                                  : 0;
    switch (second) {
    case 'A': recall(l, -1); break;
    case 'B': recall(l, 1); break;
    case 'C': l->at = behind(l, l->at); break;
    case 'D': l->at = before(l, l->at); break;
    case 'H': l->at = 0; break;
    case 'F': l->at = l->len; break;
    case 'X': cut(l, l->at, behind(l, l->at)); break;
    default: break;
    }
}

enum {
    CTRL_A = 1,
    CTRL_B,
    CTRL_C,
    CTRL_D,
    CTRL_E,
    CTRL_F,
    CTRL_H = 8,
    TAB,
    NEWLINE,
    CTRL_K,
    CTRL_L,
    RETURN,
    CTRL_N,
    CTRL_P = 16,
    CTRL_U = 21,
    CTRL_W = 23,
    ESCAPE = 27,
    DELETE = 127
};

/* False: the line is at its end, as `*end` says. */
static bool type_key(struct edit *l, int c, enum line_end *end) {
    char byte = (char)c;
    switch (c) {
    case RETURN:
    case NEWLINE: *end = LINE_READ; return false;
    case CTRL_C: *end = LINE_DROPPED; return false;
    case -1: *end = LINE_OVER; return false;
    case CTRL_D:
        *end = LINE_OVER;
        if (!l->len) return false;
        cut(l, l->at, behind(l, l->at));
        break;
    case CTRL_A: l->at = 0; break;
    case CTRL_E: l->at = l->len; break;
    case CTRL_B: l->at = before(l, l->at); break;
    case CTRL_F: l->at = behind(l, l->at); break;
    case CTRL_H:
    case DELETE: cut(l, before(l, l->at), l->at); break;
    case CTRL_K: cut(l, l->at, l->len); break;
    case CTRL_U: cut(l, 0, l->len); break;
    case CTRL_W: cut_word(l); break;
    case CTRL_P: recall(l, -1); break;
    case CTRL_N: recall(l, 1); break;
    case CTRL_L: put("\x1b[H\x1b[2J", 7); break;
    case TAB: complete(l); break;
    case ESCAPE: escape_key(l); break;
    default:
        if (c >= ' ') insert(l, &byte, 1);
    }
    return true;
}

static enum line_end read_plain(char **out) {
    static char *text;
    static size_t room;
    ssize_t n = getline(&text, &room, stdin);
    if (n <= 0) {
        free(text);
        text = NULL, room = 0;
        return LINE_OVER;
    }
    if (text[n - 1] == '\n') text[n - 1] = 0;
    *out = text;
    return LINE_READ;
}

enum line_end line_read(struct line_editor *e, const char *prompt, char **out) {
    struct termios was, raw;
    enum line_end end = LINE_READ;
    if (!e->terminal || tcgetattr(0, &was)) return read_plain(out);
    raw = was;
    raw.c_iflag &= ~(tcflag_t)(ICRNL | IXON | INLCR | BRKINT);
    raw.c_lflag &= ~(tcflag_t)(ECHO | ICANON | ISIG | IEXTEN);
    raw.c_cc[VMIN] = 1, raw.c_cc[VTIME] = 0;
    fflush(stdout);
    tcsetattr(0, TCSADRAIN, &raw);
    line.of = e, line.prompt = prompt, line.len = line.at = 0, line.history = e->history_count;
    do show(&line);
    while (type_key(&line, key(), &end));
    line.text[line.len] = 0;
    line.at = line.len;
    show(&line);
    put("\r\n", 2);
    tcsetattr(0, TCSADRAIN, &was);
    *out = line.text;
    return end;
}
