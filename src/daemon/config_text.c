/* One pass over a configuration file: comments become blanks, brackets and quotes are balanced.
 * The rules of words, quotes and comments are those of libconfuse's scanner. */
#include "daemon/config_text.h"

#include <string.h>

enum { DEPTH_MAX = 16 };

struct scan {
    char *text;
    size_t len, at;
    unsigned line;
    bool in_word; /* the last byte belongs to an unquoted word, where // begins no comment */
    char last, before_last; /* bytes that are neither blank nor comment */
    unsigned depth;
    unsigned opened_on[DEPTH_MAX];
    struct config_text_fault *fault;
};

static void
refuse(struct scan *scan, unsigned line, const char *what)
{
    if (scan->fault->what != NULL)
        return;
    scan->fault->line = line;
    scan->fault->what = what;
}

static bool
looking_at(const struct scan *scan, const char *text)
{
    size_t len = strlen(text);

    return scan->len - scan->at >= len && memcmp(scan->text + scan->at, text, len) == 0;
}

static void
blank_line_comment(struct scan *scan)
{
    while (scan->at < scan->len && scan->text[scan->at] != '\n')
        scan->text[scan->at++] = ' ';
}

static void
blank_block_comment(struct scan *scan)
{
    unsigned began = scan->line;

    while (scan->at < scan->len && !looking_at(scan, "*/")) {
        if (scan->text[scan->at] == '\n')
            scan->line++;
        else
            scan->text[scan->at] = ' ';
        scan->at++;
    }
    if (scan->at == scan->len) {
        refuse(scan, began, "this comment never ends; close it with */");
        return;
    }
    scan->text[scan->at] = scan->text[scan->at + 1] = ' ';
    scan->at += 2;
}

static void
skip_quoted(struct scan *scan)
{
    char quote = scan->text[scan->at++];
    unsigned began = scan->line;

    for (; scan->at < scan->len && scan->text[scan->at] != quote; scan->at++) {
        if (scan->text[scan->at] == '\\' && scan->at + 1 < scan->len)
            scan->at++;
        if (scan->text[scan->at] == '\n')
            scan->line++;
    }
    if (scan->at == scan->len)
        refuse(scan, began, "this quote is never closed; end the text with the same quote");
    else
        scan->at++;
}

static void
count_bracket(struct scan *scan, char c)
{
    if (c == '}' && scan->last == '{' && scan->before_last == '=')
        refuse(scan, scan->line, "this list is empty, which would mean its default; write {\"\"}");
    if (c == '{') {
        if (scan->depth < DEPTH_MAX)
            scan->opened_on[scan->depth] = scan->line;
        scan->depth++;
    } else if (scan->depth == 0) {
        refuse(scan, scan->line, "this } closes nothing; take it away");
    } else {
        scan->depth--;
    }
}

static void
note_byte(struct scan *scan, char c)
{
    if (c == ' ' || c == '\t' || c == '\r' || c == '\n')
        return;
    scan->before_last = scan->last;
    scan->last = c;
}

static void
scan_byte(struct scan *scan)
{
    char c = scan->text[scan->at];

    if (c == '#' || (!scan->in_word && looking_at(scan, "//"))) {
        blank_line_comment(scan);
        return;
    }
    if (!scan->in_word && looking_at(scan, "/*")) {
        blank_block_comment(scan);
        return;
    }
    if (c == '"' || c == '\'') {
        skip_quoted(scan);
        note_byte(scan, c);
        scan->in_word = false;
        return;
    }
    if (c == '{' || c == '}')
        count_bracket(scan, c);
    if (c == '\n')
        scan->line++;
    note_byte(scan, c);
    if (c == '\0')
        refuse(scan, scan->line, "a byte of zero; this is not a text file");
    scan->in_word = strchr(" \t\r\n={}()+,", c) == NULL;
    scan->at++;
}

void
config_text_prepare(char *text, size_t len, struct config_text_fault *fault)
{
    struct scan scan = {.text = text, .len = len, .line = 1, .fault = fault};

    *fault = (struct config_text_fault){0, NULL};
    while (scan.at < scan.len)
        scan_byte(&scan);
    if (scan.depth > 0)
        refuse(&scan, scan.opened_on[scan.depth < DEPTH_MAX ? scan.depth - 1 : DEPTH_MAX - 1],
               "this { is never closed; write } where its section ends");
}
