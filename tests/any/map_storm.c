/* Four threads map and unmap, and so does a handler of signals that come all the time. */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/time.h>

#define PAGE 4096

static char *map(void) {
    return mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void in_handler(int signal) {
    (void)signal;
    char *block = map();
    munmap(block, 2 * PAGE);
}

static void *thread(void *unused) {
    for (int i = 0; i < 5000; i++) {
        char *block = map();
        block[0] = 1;
        munmap(block + PAGE, PAGE);
        munmap(block, PAGE);
    }
    return unused;
}

int main(void) {
    signal(SIGALRM, in_handler);
    struct itimerval often = {{0, 500}, {0, 500}};
    setitimer(ITIMER_REAL, &often, NULL);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, thread, NULL);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    puts("done");
    return 0;
}
