/* Which time is it, and where is a host, for a process that a test starts with this in its LD_PRELOAD?
 *
 * DFM_TEST_AHEAD says how many seconds its clock is ahead, DFM_TEST_HOST the name of a host, and DFM_TEST_ADDRESS the
 * file that says where that is now. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

int clock_gettime(clockid_t clock, struct timespec *now) {
    int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
    int failed = real(clock, now);
    const char *ahead = getenv("DFM_TEST_AHEAD");
    if (!failed && ahead && clock == CLOCK_REALTIME) {
        now->tv_sec += atol(ahead);
    }
    return failed;
}

int gettimeofday(struct timeval *now, void *zone) {
    struct timespec precise;
    int failed = clock_gettime(CLOCK_REALTIME, &precise);
    (void)zone;
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return failed;
}

time_t time(time_t *now) {
    struct timespec precise;
    clock_gettime(CLOCK_REALTIME, &precise);
    if (now) {
        *now = precise.tv_sec;
    }
    return precise.tv_sec;
}

int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **found) {
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **) = dlsym(RTLD_NEXT, "getaddrinfo");
    const char *moved = getenv("DFM_TEST_HOST"), *path = getenv("DFM_TEST_ADDRESS");
    char address[64] = "";
    if (host && moved && path && !strcmp(host, moved)) {
        FILE *file = fopen(path, "r");
        if (!file || fscanf(file, "%63s", address) != 1) {
            *address = 0;
        }
        if (file) {
            fclose(file);
        }
        if (!*address) {
            return EAI_NONAME;
        }
    }
    return real(*address ? address : host, service, hints, found);
}
