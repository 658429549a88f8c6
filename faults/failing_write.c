/* Preloaded into the server: one write to a regular file fails, or every one is cut in half.

   strace can make a call fail, but tells write(2) on a file from one on a socket or an eventfd only
   by its path, and cannot make it write less than it was asked to.

   FAILING_WRITE_AT: which write fails, from 1.  FAILING_WRITE_ERRNO: how; 0 cuts all in half.
   FAILING_WRITE_REPORT: a file that gets one line for each write that was made to fail or cut. */

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static atomic_int writes;

static int setting(const char *name)
{
    const char *text = getenv(name);
    return text ? atoi(text) : 0;
}

static void report(void)
{
    int file = open(getenv("FAILING_WRITE_REPORT"), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0 || syscall(SYS_write, file, "injected\n", 9) != 9)
        abort();
    close(file);
}

ssize_t write(int descriptor, const void *bytes, size_t length)
{
    struct stat status;
    if (fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode)) {
        int error = setting("FAILING_WRITE_ERRNO");
        if (error == 0) {
            if (length > 1)
                report();
            length = (length + 1) / 2;
        } else if (atomic_fetch_add(&writes, 1) + 1 == setting("FAILING_WRITE_AT")) {
            report();
            errno = error;
            return -1;
        }
    }
    return syscall(SYS_write, descriptor, bytes, length);
}
