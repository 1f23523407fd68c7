/* Which other codings of an object on its way in were asked for: their strong forms can be made
 * when it is stored. */
#include "proxy/fill_impl.h"
#include "proxy/variants.h"

static void
tell(struct fill *fill, unsigned wanted)
{
    for (unsigned i = 0; i < CODING_COUNT; i++)
        if ((wanted & CODING_BIT(i)) != 0)
            variants_want(fill->variants, &fill->key, fill->head->variant, fill->head->family,
                          (enum http_coding)i, fill->coding);
}

/* The first is told of at once; what comes later of the same is a hit, and tells for itself. */
void
fill_want(struct fill *fill, struct variants *variants, const struct coding_settings *settings,
          enum http_coding coding)
{
    bool settled;

    ASSERT_TAG(fill, FILL_TAG);
    ASSERT(fill->head != NULL && fill->head->family != 0);
    (void)pthread_mutex_lock(&fill->lock);
    if (!fill->storing || fill->moved) { /* under another key it is for hits to say */
        (void)pthread_mutex_unlock(&fill->lock);
        return;
    }
    fill->variants = variants;
    fill->coding = settings;
    settled = fill->settled && fill->fate == REASON_STORED;
    if (!settled)
        fill->wanted |= CODING_BIT(coding);
    (void)pthread_mutex_unlock(&fill->lock);
    if (settled)
        tell(fill, CODING_BIT(coding));
}

void
fill_tell_wanted(struct fill *fill)
{
    unsigned wanted;

    (void)pthread_mutex_lock(&fill->lock);
    wanted = fill->wanted;
    fill->wanted = 0;
    (void)pthread_mutex_unlock(&fill->lock);
    if (wanted != 0)
        tell(fill, wanted);
}
