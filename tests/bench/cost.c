/* cost <file> <program> <argument>...: runs the program and appends to the file what it and all that it started
   cost: wall time and CPU time in milliseconds, the most memory of one process in KiB. Ends as the program did.
   In C, because Rust's standard library cannot ask for this; small, because a process begins with the peak of
   the one that started it. */

#include <stdio.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double milliseconds(struct timeval time) { return time.tv_sec * 1e3 + time.tv_usec / 1e3; }

int main(int count, char **words) {
    struct timespec began, ended;
    struct rusage usage;
    int status;
    if (count < 3) return 129;
    clock_gettime(CLOCK_MONOTONIC, &began);
    pid_t child = fork();
    if (child < 0) return 128;
    if (child == 0) {
        execvp(words[2], words + 2);
        _exit(127);
    }
    if (wait4(child, &status, 0, &usage) != child) return 128;
    clock_gettime(CLOCK_MONOTONIC, &ended);
    FILE *file = fopen(words[1], "a");
    if (file == NULL) return 128;
    fprintf(file, "%.3f %.3f %ld\n", (ended.tv_sec - began.tv_sec) * 1e3 + (ended.tv_nsec - began.tv_nsec) / 1e6,
            milliseconds(usage.ru_utime) + milliseconds(usage.ru_stime), usage.ru_maxrss);
    if (fclose(file) != 0) return 128;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}
