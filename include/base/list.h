/* Intrusive doubly linked lists. A link that is on no list points to itself. */
#ifndef BRINK_BASE_LIST_H
#define BRINK_BASE_LIST_H

#include "base/check.h"

struct list {
    struct list *prev, *next;
};

static inline void
list_init(struct list *link)
{
    link->prev = link->next = link;
}

static inline bool
list_empty(const struct list *head)
{
    return head->next == head;
}

static inline void
list_push(struct list *head, struct list *link) /* at the end */
{
    link->prev = head->prev;
    link->next = head;
    head->prev->next = link;
    head->prev = link;
}

static inline void
list_remove(struct list *link) /* harmless on a link that is on no list */
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
    list_init(link);
}

#define LIST_FIRST(head, type, member)                                                             \
    (list_empty(head) ? NULL : CONTAINER_OF((head)->next, type, member))
#define LIST_LAST(head, type, member)                                                              \
    (list_empty(head) ? NULL : CONTAINER_OF((head)->prev, type, member))

/* The body may remove `link` itself, nothing else. */
#define LIST_FOREACH(head, link)                                                                   \
    for (struct list *link = (head)->next, *link##_next = link->next; link != (head);              \
         link = link##_next, link##_next = link->next)

#endif
