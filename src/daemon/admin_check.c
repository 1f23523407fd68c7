/* Orders to check the store, read strictly, and what a check tells of itself. */
#include "daemon/admin_check.h"

#include <jansson.h>

#include "daemon/admin_json.h"

static const char order_hint[] = "send no body, or {\"rate\": \"50MB\"}; \"0\" is no limit";

static enum err
read_rate(const json_t *root, uint64_t *rate, json_t **out_answer)
{
    const json_t *value = json_object_get(root, "rate");
    const char *name;
    json_t *other;

    json_object_foreach((json_t *)(uintptr_t)root, name, other)
    {
        if (strcmp(name, "rate") == 0)
            continue;
        *out_answer = admin_error(order_hint, "unknown member \"%.64s\"", name);
        return ERR_SYNTAX;
    }
    if (value == NULL)
        return OK;
    if (json_is_string(value) &&
        slice_to_bytes(slice_of(json_string_value(value), json_string_length(value)), rate) == OK)
        return OK;
    *out_answer = admin_error(order_hint, "\"rate\" is not a size");
    return ERR_SYNTAX;
}

enum err
admin_check_order(struct slice body, uint64_t *rate, json_t **out_answer)
{
    json_error_t error;
    json_t *root;
    enum err rc = ERR_SYNTAX;

    if (body.len == 0)
        return OK;
    root = json_loadb(body.ptr, body.len, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL)
        *out_answer = admin_error(order_hint, "malformed JSON at line %d", error.line);
    else if (!json_is_object(root))
        *out_answer = admin_error(order_hint, "the body is not an object");
    else
        rc = read_rate(root, rate, out_answer);
    json_decref(root);
    return rc;
}

json_t *
admin_check_status(const struct store_check *check)
{
    static const char *const states[] = {"none", "running", "done", "stopped", "failed"};
    bool counted = check->state == STORE_CHECK_DONE;
    uint64_t lost = check->file_pages - check->used_pages - check->free_pages;

    return json_pack("{s:s, s:s?, s:f, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", //
                     "state", states[check->state],                                             //
                     "why", check->state == STORE_CHECK_FAILED ? err_text(check->rc) : NULL,    //
                     "done", check->permille / 1000.0,                                          //
                     "objects", (json_int_t)check->objects,                                     //
                     "members", (json_int_t)check->members,                                     //
                     "bytes", (json_int_t)check->bytes,                                         //
                     "bad", (json_int_t)check->bad,                                             //
                     "rate", (json_int_t)check->rate,                                           //
                     "used_pages", (json_int_t)(counted ? check->used_pages : 0),               //
                     "free_pages", (json_int_t)(counted ? check->free_pages : 0),               //
                     "file_pages", (json_int_t)(counted ? check->file_pages : 0),               //
                     "lost_pages", (json_int_t)(counted ? lost : 0),                            //
                     "began_s", (json_int_t)check->began_s,                                     //
                     "ended_s", (json_int_t)check->ended_s);
}
