// Forks four children that allocate and end, with threads that allocate meanwhile.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile int over;

static void *churn(void *unused) {
    while (!over) free(malloc(100));
    return unused;
}

int main(void) {
    pthread_t thread;
    pthread_create(&thread, 0, churn, 0);
    int failed = 0;
    for (int i = 0; i < 4; i++) {
        pid_t child = fork();
        if (child == 0) {
            for (int j = 0; j < 10000; j++) free(malloc(j));
            _exit(0);
        }
        int status;
        waitpid(child, &status, 0);
        failed |= status;
    }
    over = 1;
    pthread_join(thread, 0);
    printf("%d\n", failed);
    return failed;
}
