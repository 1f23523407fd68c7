/* Small texts of operators: sizes, durations, addresses, networks. */
#include "net/sock.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* An address written out reads as itself. */
static void
check_addr(const struct sock_addr *addr)
{
    char text[SOCK_ADDR_TEXT_MAX], again[SOCK_ADDR_TEXT_MAX];
    size_t len = sock_addr_format(addr, true, text);
    struct sock_addr second;

    ASSERT(len > 0 && len < sizeof(text));
    if (sock_addr_parse(slice_of(text, len), &second) != OK)
        UNREACHABLE();
    ASSERT(
        slice_equal(slice_of(text, len), slice_of(again, sock_addr_format(&second, true, again))));
}

static void
check_net(struct slice text)
{
    struct sock_net net;
    struct sock_addr addr;
    struct slice ip, bits = text;

    if (sock_net_parse(text, &net) != OK)
        return;
    ASSERT(net.bits <= 128);
    (void)slice_cut(&bits, '/', &ip);
    if (sock_addr_from_ip(ip, 80, &addr) != OK)
        UNREACHABLE();
    ASSERT(sock_net_contains(&net, &addr)); /* an address is in every network it begins */
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct slice text = slice_of(data, len), digits = text;
    char buf[U64_DIGITS_MAX];
    struct sock_addr addr;
    uint64_t n = 0, again = 1;

    if (len == 0)
        return 0;
    if (slice_to_u64(text, &n)) {
        ASSERT(slice_to_u64(slice_from_u64(n, buf), &again) && again == n);
        ASSERT(slice_to_bytes(text, &again) == OK && again == n);
    }
    ASSERT(slice_take_u64(&digits, &n) || digits.len == text.len);
    again = n = 7;
    ASSERT(slice_to_bytes(text, &n) == OK || n == 7); /* untouched when it is none */
    ASSERT(slice_to_duration_ms(text, &again) == OK || again == 7);
    if (sock_addr_parse(text, &addr) == OK)
        check_addr(&addr);
    check_net(text);
    return 0;
}
