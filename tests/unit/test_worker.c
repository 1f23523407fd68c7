/* The workers' end: who has come is answered, and what the store says too late is no leak. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "base/log.h"
#include "daemon/worker.h"
#include "net/sock.h"
#include "storage/store.h"

/* --- a disk that can be held up: liblmdb finds this one before libc's --- */

static atomic_bool disk_held;
static sem_t disk_asked, disk_let_go;

int fdatasync(int fd);

int
fdatasync(int fd)
{
    if (atomic_load(&disk_held)) {
        (void)sem_post(&disk_asked);
        (void)sem_wait(&disk_let_go);
    }
    return (int)syscall(SYS_fdatasync, fd);
}

/* --- a daemon without its main --- */

struct fixture {
    char path[64];
    struct config *config;
    struct listeners *listeners;
    struct store *store;
    struct loop *home;
    struct workers *workers;
    struct sock_addr addr;
};

static int
set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    const char *const listens[] = {"127.0.0.1:0"}, *const sets[] = {"shutdown_timeout=60s"};
    struct config_args args = {.listens = listens,
                               .listens_n = ARRAY_LEN(listens),
                               .origin = "http://127.0.0.1:1",
                               .store_path = fixture->path,
                               .store_size = "16MB",
                               .workers = "1",
                               .sets = sets,
                               .sets_n = ARRAY_LEN(sets)};
    char why[256], text[256];

    log_set_level(LOG_ERROR);
    (void)snprintf(fixture->path, sizeof(fixture->path), "/tmp/brink-worker-XXXXXX");
    assert_non_null(mkdtemp(fixture->path));
    assert_int_equal(config_load(&args, stderr, &fixture->config), OK);
    assert_int_equal(listeners_open(fixture->config, why, sizeof(why), &fixture->listeners), OK);
    assert_int_equal(store_open(&fixture->config->store, &fixture->store, why, sizeof(why)), OK);
    assert_int_equal(loop_new(&fixture->home), OK);
    assert_int_equal(workers_new(fixture->config, fixture->listeners, fixture->store, fixture->home,
                                 &fixture->workers),
                     OK);
    listeners_format(fixture->listeners, text, sizeof(text));
    assert_int_equal(sock_addr_parse(slice_from_str(text), &fixture->addr), OK);
    *state = fixture;
    return 0;
}

static int
tear_down(void **state)
{
    struct fixture *fixture = *state;
    char command[128];

    store_close(&fixture->store);
    workers_free(&fixture->workers);
    loop_free(&fixture->home);
    listeners_close(&fixture->listeners);
    config_free(&fixture->config);
    (void)snprintf(command, sizeof(command), "rm -rf %s", fixture->path);
    assert_int_equal(system(command), 0);
    free(fixture);
    return 0;
}

static void
on_gone(void *arg)
{
    struct fixture *fixture = arg;

    loop_stop(fixture->home);
}

static void
wait_gone(struct fixture *fixture)
{
    loop_run(fixture->home);
    workers_join(fixture->workers);
}

static int
connected(const struct fixture *fixture, const char *request)
{
    int fd = socket(fixture->addr.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval limit = {.tv_sec = 30};

    assert_int_not_equal(fd, -1);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
    assert_int_equal(
        connect(fd, (const struct sockaddr *)&fixture->addr.storage, fixture->addr.len), 0);
    assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
    return fd;
}

/* What comes until the end of the connection, which has to be an orderly one. */
static void
read_to_end(int fd, char *out, size_t cap)
{
    size_t len = 0;
    ssize_t n;

    while ((n = recv(fd, out + len, cap - 1 - len, 0)) > 0)
        len += (size_t)n;
    if (n == -1)
        fail_msg("%s instead of the end", strerror(errno));
    out[len] = '\0';
    assert_int_equal(close(fd), 0);
}

/* --- tests --- */

/* More than are accepted in a turn: those in the kernel's queue would be reset with the listener.
 * RFC 9112 section 9.6. */
static void
who_has_come_before_the_end_is_answered(void **state)
{
    enum { CLIENTS = 200 };
    struct fixture *fixture = *state;
    int fds[CLIENTS];

    for (size_t i = 0; i < CLIENTS; i++)
        fds[i] = connected(fixture, i % 10 == 9 ? ""
                                                : "GET / HTTP/1.1\r\nHost: a\r\n"
                                                  "Cache-Control: only-if-cached\r\n\r\n");
    workers_stop(fixture->workers, on_gone, fixture);
    assert_int_equal(workers_start(fixture->workers), OK);
    for (size_t i = 0; i < CLIENTS; i++) {
        char answer[4096];

        read_to_end(fds[i], answer, sizeof(answer));
        if (i % 10 == 9) {
            assert_string_equal(answer, "");
            continue;
        }
        assert_memory_equal(answer, "HTTP/1.1 504 ", 13);
        assert_non_null(strstr(answer, "\r\nConnection: close\r\n"));
    }
    wait_gone(fixture);
}

/* The worker is cut while the disk keeps a purge waiting: its message finds nobody. */
static void
a_purge_that_ends_after_its_worker_is_no_leak(void **state)
{
    struct fixture *fixture = *state;
    char answer[256];
    int fd;

    assert_int_equal(sem_init(&disk_asked, 0, 0), 0);
    assert_int_equal(sem_init(&disk_let_go, 0, 0), 0);
    assert_int_equal(workers_start(fixture->workers), OK);
    atomic_store(&disk_held, true);
    fd = connected(fixture, "PURGE /a HTTP/1.1\r\nHost: a\r\nSurrogate-Key: red\r\n\r\n");
    assert_int_equal(sem_wait(&disk_asked), 0);
    workers_stop(fixture->workers, on_gone, fixture);
    workers_hurry(fixture->workers);
    wait_gone(fixture);
    assert_int_equal(recv(fd, answer, sizeof(answer), 0), -1); /* cut: nothing was acknowledged */
    assert_int_equal(errno, ECONNRESET);
    assert_int_equal(close(fd), 0);
    atomic_store(&disk_held, false);
    assert_int_equal(sem_post(&disk_let_go), 0);
}

static void
hurrying_workers_that_have_ended_does_nothing(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(workers_start(fixture->workers), OK);
    workers_stop(fixture->workers, on_gone, fixture);
    wait_gone(fixture);
    workers_hurry(fixture->workers);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(who_has_come_before_the_end_is_answered, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_purge_that_ends_after_its_worker_is_no_leak, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(hurrying_workers_that_have_ended_does_nothing, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
