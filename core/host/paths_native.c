/*
 * Where files are on Linux.
 */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host/host.h"

const char *host_share_dir(void)
{
    static char dir[PATH_MAX + 8];
    if (!dir[0]) {
        char exe[PATH_MAX];
        ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
        if (n <= 0)
            return NULL;
        exe[n] = 0;
        char *slash = strrchr(exe, '/');
        if (!slash)
            return NULL;
        *slash = 0;
        snprintf(dir, sizeof dir, "%s/share", exe);
    }
    return dir;
}
