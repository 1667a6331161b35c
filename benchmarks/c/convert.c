/*
 * Convert in memory, into nothing: split at From_ lines after an empty line, take the writer's ">" away (mboxrd),
 * end each line in CRLF. No date is looked at, nothing else is decided, checked or kept.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { CHUNK = 1 << 16 };

static char input[2 * CHUNK], output[4 * CHUNK];

int main(int argc, char **argv)
{
    long messages = 0;
    size_t kept = 0, made = 0;
    int blank = 1, inside = 0; /* was the line before empty; does the next one go on with a line that was cut */
    ssize_t got;
    int file;

    if (argc != 2 || (file = open(argv[1], O_RDONLY)) < 0)
        return 2;
    while ((got = read(file, input + kept, CHUNK)) > 0) {
        char *at = input, *end = input + kept + got, *stop;
        while ((stop = memchr(at, '\n', (size_t)(end - at))) != NULL) {
            char *text = at;
            size_t length = (size_t)(stop - at);
            at = stop + 1;
            if (length && text[length - 1] == '\r')
                length--;
            if (!inside && blank && length > 4 && memcmp(text, "From ", 5) == 0) {
                messages++;
                made = 0;
            } else {
                if (!inside && length && *text == '>') {
                    size_t quotes = strspn(text, ">");
                    if (length >= quotes + 5 && memcmp(text + quotes, "From ", 5) == 0)
                        text++, length--;
                }
                if (made + length + 2 > sizeof output)
                    made = 0;
                memcpy(output + made, text, length);
                memcpy(output + made + length, "\r\n", 2);
                made += length + 2;
            }
            blank = !inside && length == 0;
            inside = 0;
        }
        kept = (size_t)(end - at);
        if (kept > CHUNK) { /* a line that is longer than a chunk goes on in pieces */
            memcpy(output, at, kept);
            kept = 0;
            inside = 1;
        } else
            memmove(input, at, kept);
    }
    printf("%ld\n", messages);
    return got < 0;
}
