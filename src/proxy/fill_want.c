/* Which other codings of an object on its way in were asked for: their strong forms can be made
 * when it is stored. */
#include "proxy/fill_impl.h"
#include "proxy/variants.h"

/* What is told, out of the lock. */
struct wish {
    struct variants *variants;
    const struct coding_settings *settings;
    unsigned codings;
};

static void
tell(struct fill *fill, const struct wish *wish)
{
    for (unsigned i = 0; i < CODING_COUNT; i++)
        if ((wish->codings & CODING_BIT(i)) != 0)
            variants_want(wish->variants, &fill->key, fill->head->variant, fill->head->family,
                          (enum http_coding)i, wish->settings);
}

/* Before its commit it waits for that; afterwards it is told at once. */
void
fill_want(struct fill *fill, struct variants *variants, const struct coding_settings *settings,
          enum http_coding coding)
{
    struct wish wish = {variants, settings, 0};

    ASSERT_TAG(fill, FILL_TAG);
    ASSERT(fill->head != NULL && fill->head->family != 0);
    (void)pthread_mutex_lock(&fill->lock);
    if (fill->storing && !fill->moved) { /* under another key it is for hits to say */
        fill->variants = variants;
        fill->coding = settings;
        if (fill->settled && fill->fate == REASON_STORED)
            wish.codings = CODING_BIT(coding);
        else
            fill->wanted |= CODING_BIT(coding);
    }
    (void)pthread_mutex_unlock(&fill->lock);
    tell(fill, &wish);
}

void
fill_tell_wanted(struct fill *fill)
{
    struct wish wish;

    (void)pthread_mutex_lock(&fill->lock);
    wish = (struct wish){fill->variants, fill->coding, fill->wanted};
    fill->wanted = 0;
    (void)pthread_mutex_unlock(&fill->lock);
    tell(fill, &wish);
}
