/* Orders to purge, and to check, as the admin listener gets them. What is accepted asks for
 * something, within the limits; what is not is answered. */
#include <jansson.h>

#include "daemon/admin_check.h"
#include "daemon/admin_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
order_check(struct slice body)
{
    uint64_t rate = 7;
    json_t *answer = NULL;

    if (admin_check_order(body, &rate, &answer) == OK)
        ASSERT(answer == NULL && (body.len > 0 || rate == 7));
    else
        ASSERT(rate == 7 && json_is_string(json_object_get(answer, "error")) &&
               json_is_string(json_object_get(answer, "hint")));
    json_decref(answer);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct admin_order order;
    json_t *answer = NULL;
    struct arena arena;
    enum err rc;

    arena_init(&arena, 0);
    rc = admin_order_parse(&arena, NULL, slice_of(data, len), &order, &answer);
    if (rc == OK) {
        ASSERT(answer == NULL && order.what != NULL);
        ASSERT(order.rows_n > 0 && order.items_n <= ADMIN_PURGE_ITEMS_MAX);
    } else {
        ASSERT(rc == ERR_SYNTAX && json_is_string(json_object_get(answer, "error")));
        ASSERT(json_is_string(json_object_get(answer, "hint")));
    }
    json_decref(answer);
    json_decref(admin_text(slice_of(data, len)));
    order_check(slice_of(data, len));
    arena_fini(&arena);
    return 0;
}
