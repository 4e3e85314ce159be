/*
 * Intrusive doubly linked list with a head node, and container_of. Header only.
 * A node that is on no list points to itself (after list_node_init or list_del).
 */
#ifndef MTCP_BASE_LIST_H
#define MTCP_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

struct list_node {
    struct list_node *prev, *next;
};

static inline void list_init(struct list_node *head)
{
    head->prev = head->next = head;
}

static inline void list_node_init(struct list_node *n)
{
    list_init(n);
}

static inline bool list_is_empty(const struct list_node *head)
{
    return head->next == head;
}

/* Is the node on a list? (Needs list_node_init before first use.) */
static inline bool list_is_linked(const struct list_node *n)
{
    return n->next != n;
}

static inline void list_insert_before(struct list_node *at, struct list_node *n)
{
    n->prev = at->prev;
    n->next = at;
    at->prev->next = n;
    at->prev = n;
}

static inline void list_push_tail(struct list_node *head, struct list_node *n)
{
    list_insert_before(head, n);
}

static inline void list_push_head(struct list_node *head, struct list_node *n)
{
    list_insert_before(head->next, n);
}

/* Takes the node off its list; harmless when it is on none. */
static inline void list_del(struct list_node *n)
{
    n->prev->next = n->next;
    n->next->prev = n->prev;
    list_init(n);
}

/* Takes the first node off, or returns NULL. */
static inline struct list_node *list_pop_head(struct list_node *head)
{
    struct list_node *n = head->next;
    if (n == head)
        return NULL;
    list_del(n);
    return n;
}

/* Moves every node of `from` to the tail of `to`. */
static inline void list_splice_tail(struct list_node *to, struct list_node *from)
{
    if (list_is_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}

#define LIST_FOREACH(n, head) for (struct list_node *n = (head)->next; n != (head); n = n->next)

/* As LIST_FOREACH; the body may take `n` off the list. */
#define LIST_FOREACH_SAFE(n, head)                                                                 \
    for (struct list_node *n = (head)->next, *n##_next = n->next; n != (head);                     \
         n = n##_next, n##_next = n->next)

#endif
