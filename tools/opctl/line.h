/* SPDX-License-Identifier: Apache-2.0 */
/* line.h — a line from a person at a terminal, with history and completion; from anything else,
 * a line as it comes. */
#pragma once
#include "tools/opctl/opctl.h"

enum { LINE_BYTES_MAX = 65536, LINE_HISTORY_MAX = 500, LINE_WORDS_MAX = 4096 };

struct line_words { char **items; u32 count; }; /* of malloc, freed by the editor */
struct line_editor {
    bool terminal;
    char *history[LINE_HISTORY_MAX];
    u32 history_count;
    /* Words that begin with `prefix`, in any order; repeats allowed. May be NULL. */
    void (*complete)(void *arg, str prefix, bool line_start, struct line_words *to);
    void *arg;
};
enum line_end { LINE_READ, LINE_OVER /* ^D, end of file */, LINE_DROPPED /* ^C */ };
void line_open(struct line_editor *e);
void line_close(struct line_editor *e);
/* `*out`, without its line end, is valid until the next call; from malloc, kept by the editor. */
enum line_end line_read(struct line_editor *e, const char *prompt, char **out);
void line_remember(struct line_editor *e, const char *text);
void line_history_load(struct line_editor *e, const char *path);
void line_history_save(const struct line_editor *e, const char *path);
void line_word_add(struct line_words *to, str word);
