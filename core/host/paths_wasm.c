/*
 * Where files are under WebAssembly: the loader mounts what belongs to the program in /share.
 */
#include "host/host.h"

const char *host_share_dir(void)
{
    return "/share";
}
