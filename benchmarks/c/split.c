/*
 * The floor of converting: read, split where the caller says, LF to CRLF, one file a message.
 *
 *     split MBOX OFFSETS DEST lf|crlf
 *
 * OFFSETS holds native unsigned 64-bit integers: where each message begins, and where the file ends.
 * Each message is written under a temporary name, gets its time and then its name. The From_ line
 * and the empty line at the end stay out. Nothing is searched, decided, unquoted or named after.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHUNK = 1 << 16 };

static char input[CHUNK], output[2 * CHUNK];

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void write_all(int file, const char *data, size_t length)
{
    while (length) {
        ssize_t done = write(file, data, length);
        if (done < 0)
            fail("write");
        data += done;
        length -= (size_t)done;
    }
}

static size_t to_crlf(const char *data, size_t length)
{
    const char *end = data + length;
    char *out = output;
    while (data < end) {
        const char *line = memchr(data, '\n', (size_t)(end - data));
        size_t span = (size_t)((line ? line : end) - data);
        memcpy(out, data, span);
        out += span;
        data += span;
        if (line) {
            *out++ = '\r';
            *out++ = '\n';
            data++;
        }
    }
    return (size_t)(out - output);
}

int main(int argc, char **argv)
{
    struct stat about;
    struct timespec times[2] = {{1552986831, 0}, {1552986831, 0}};
    uint64_t *offsets, position = 0; /* position: of input[at] in the source */
    size_t count, at = 0, have = 0;
    int source, list, folder, crlf;

    if (argc != 5)
        return 2;
    crlf = strcmp(argv[4], "crlf") == 0;
    if ((source = open(argv[1], O_RDONLY)) < 0 || (list = open(argv[2], O_RDONLY)) < 0)
        fail("open");
    if ((folder = open(argv[3], O_RDONLY | O_DIRECTORY)) < 0 || fstat(list, &about) < 0)
        fail(argv[3]);
    if ((offsets = malloc((size_t)about.st_size)) == NULL)
        fail("malloc");
    if (read(list, offsets, (size_t)about.st_size) != about.st_size)
        fail(argv[2]);
    count = (size_t)about.st_size / sizeof *offsets;

    for (size_t number = 0; number + 1 < count; number++) {
        uint64_t end = offsets[number + 1] - (crlf ? 2 : 1); /* without the empty line */
        char name[32];
        int in_from_line = 1;
        int file = openat(folder, "unfinished.tmp", O_WRONLY | O_CREAT | O_TRUNC, 0666);
        if (file < 0)
            fail("openat");
        while (position < offsets[number + 1]) {
            size_t span;
            if (at == have) {
                ssize_t got = read(source, input, CHUNK);
                if (got <= 0)
                    fail("read");
                have = (size_t)got;
                at = 0;
            }
            span = have - at;
            if (span > offsets[number + 1] - position)
                span = (size_t)(offsets[number + 1] - position);
            if (in_from_line) {
                char *line = memchr(input + at, '\n', span);
                if (line) {
                    span = (size_t)(line + 1 - (input + at));
                    in_from_line = 0;
                }
            } else if (position < end) {
                size_t wanted = span < end - position ? span : (size_t)(end - position);
                if (crlf)
                    write_all(file, input + at, wanted);
                else
                    write_all(file, output, to_crlf(input + at, wanted));
            }
            at += span;
            position += span;
        }
        snprintf(name, sizeof name, "%08zu.eml", number + 1);
        if (futimens(file, times) < 0 || close(file) < 0)
            fail("close");
        if (renameat(folder, "unfinished.tmp", folder, name) < 0)
            fail("rename");
    }
    printf("%zu\n", count ? count - 1 : 0);
    return 0;
}
