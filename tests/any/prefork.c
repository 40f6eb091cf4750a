// A server that forks its workers before it serves, and what stands in a pipeline.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORKERS 8

static void *volatile kept, *volatile start;

static void configure(size_t bytes) {
    kept = malloc(bytes); // the configuration, before any worker is there
}

static void serve(size_t bytes) {
    start = malloc(70000); // the recording of a worker begins with this
    kept = malloc(bytes); // a cache of each worker's own
    void *volatile request = malloc(200000); // a request
    free(request); // is answered
}

static void pass(size_t bytes) {
    kept = malloc(bytes); // what a part of the pipeline keeps
    char line[16];
    while (fgets(line, sizeof line, stdin)) {}
    puts("through");
}

int main(int argc, char **argv) {
    if (argc > 1) {
        pass(strtoul(argv[1], 0, 10));
        return 0;
    }
    configure(1 << 20);
    int full[2], over[2];
    if (pipe(full) || pipe(over)) return 1;
    for (int worker = 1; worker <= WORKERS; worker++) {
        if (fork() == 0) {
            close(over[1]);
            serve(100000 * worker);
            // All have their caches before any of them ends.
            char byte = 0;
            return write(full[1], &byte, 1) != 1 || read(over[0], &byte, 1) != 0;
        }
    }
    char byte;
    for (int worker = 0; worker < WORKERS; worker++)
        if (read(full[0], &byte, 1) != 1) return 1;
    close(over[1]);
    int failed = 0, status;
    while (wait(&status) > 0) failed |= status;
    return failed;
}
