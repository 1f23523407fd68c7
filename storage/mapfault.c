/* The signals of a damaged file. What the handler needs is made before: it may call
 * nothing but what is safe in a handler. */
#include "storage/mapfault.h"

#include <fcntl.h>
#include <link.h>
#include <lmdb.h>
#include <signal.h>
#include <stdio.h>
#include <ucontext.h>
#include <unistd.h>

/* A value's length in a damaged tree has 32 bits: so far beyond the map may somebody look. */
#define BEYOND_MAX (4ULL << 30)

enum { MARK_PATH_LEN = 4096 };

static struct {
    volatile sig_atomic_t on;
    uintptr_t from, to;           /* the map, generously */
    uintptr_t code_from, code_to; /* LMDB */
    char mark[MARK_PATH_LEN];
    char text[MARK_PATH_LEN + 256];
    size_t text_len;
} watched;

static const int numbers[] = {SIGBUS, SIGSEGV, SIGABRT};
static struct sigaction before[ARRAY_LEN(numbers)];
static _Thread_local volatile sig_atomic_t own_thread;

static void
mark_path(const char *path, char out[MARK_PATH_LEN])
{
    (void)snprintf(out, MARK_PATH_LEN, "%s/data.mdb.unreadable", path);
}

void
mapfault_leave_mark(void)
{
    int fd;

    if (!watched.on)
        return;
    fd = open(watched.mark, O_WRONLY | O_CREAT | O_CLOEXEC, 0640);
    if (fd != -1)
        (void)close(fd);
    (void)!write(STDERR_FILENO, watched.text, watched.text_len);
}

/* Where LMDB's code lies. */
static int
find_code(struct dl_phdr_info *info, size_t len, void *arg)
{
    uintptr_t inside = (uintptr_t)mdb_txn_begin;

    (void)len;
    (void)arg;
    for (size_t i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        uintptr_t from = info->dlpi_addr + part->p_vaddr;

        if (part->p_type != PT_LOAD || inside < from || inside >= from + part->p_memsz)
            continue;
        watched.code_from = from;
        watched.code_to = from + part->p_memsz;
        return 1;
    }
    return 0;
}

static bool
is_in_lmdb(const void *context)
{
    const ucontext_t *at = context;
    uintptr_t code = 0;

#if defined(__x86_64__)
    code = (uintptr_t)at->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
    code = (uintptr_t)at->uc_mcontext.pc;
#endif
    (void)at;
    return code >= watched.code_from && code < watched.code_to;
}

/* What was to happen without us happens when the instruction is tried again, or abort goes on. */
static void
on_signal(int number, siginfo_t *info, void *context)
{
    uintptr_t at = (uintptr_t)info->si_addr;

    if (own_thread || is_in_lmdb(context) ||
        (number != SIGABRT && at >= watched.from && at < watched.to))
        mapfault_leave_mark();
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        if (numbers[i] == number)
            (void)sigaction(number, &before[i], NULL);
}

static void
install(void)
{
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_NODEFER};

    (void)sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        struct sigaction now;

        if (sigaction(numbers[i], NULL, &now) == 0 && now.sa_sigaction == on_signal)
            continue;
        before[i] = now;
        (void)sigaction(numbers[i], &action, NULL);
    }
}

void
mapfault_watch(const char *path)
{
    int len;

    watched.on = 0;
    watched.from = watched.to = watched.code_from = watched.code_to = 0;
    (void)dl_iterate_phdr(find_code, NULL);
    mark_path(path, watched.mark);
    len = snprintf(watched.text, sizeof(watched.text),
                   "brink: the store's file in %s cannot be read: it was cut or is damaged, or its "
                   "disk fails (see the kernel's log). brink ends; its next start sets the file "
                   "aside and begins anew.\n",
                   path);
    watched.text_len = len < 0 ? 0 : (size_t)len;
    install();
    watched.on = 1;
}

void
mapfault_forget(void)
{
    watched.on = 0;
}

void
mapfault_map(const void *at, uint64_t map_len)
{
    uintptr_t middle = (uintptr_t)at;

    watched.from = middle > map_len ? middle - map_len : 0;
    watched.to = middle + map_len + BEYOND_MAX;
}

void
mapfault_own(bool own)
{
    own_thread = own;
}

bool
mapfault_take_mark(const char *path)
{
    char mark[MARK_PATH_LEN];

    mark_path(path, mark);
    return unlink(mark) == 0;
}
