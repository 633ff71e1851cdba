/* The keys that have a table, for who wants to know them at the next start, and tables built at once for keys that had one then. Part of
 * keys.c. Neither is for a thread that has claims to judge: the main thread calls them, a few keys at a time. */

/* A reader like any other: while it announces its epoch nothing is built into a slot that it found (1 in keys.c). */
int32_t cw_keys_list(struct cw_keys_thread *thread, uint32_t first, uint8_t *keys, uint8_t *kinds, uint32_t *heat) {
    uint32_t n = 0;
    if (first > bucket_mask) return -1;
    cw_keys_enter(thread, cw_keys_now());
    for (uint64_t at = first; at < (uint64_t)first + CW_LISTED_BUCKETS && at <= bucket_mask; at++)
        for (int way = 0; way < WAYS; way++) {
            const uint32_t id = (uint32_t)atomic_load(&buckets[at][way]);
            if (!id) continue;
            memcpy(keys + 33 * n, slots[id - 1].key, 33);
            kinds[n] = slots[id - 1].kind;
            heat[n++] = slot_heat(id - 1);
        }
    cw_keys_exit(thread);
    return (int32_t)n;
}

/* Wants a table for each of the points, and builds what makes a whole call of the kernel. */
static void want_points(struct cw_keys_thread *thread, int kind, const uint8_t *const *key, const struct points *p) {
    uint64_t y[8][4];
    const uint32_t good = cw_kernel->decompress(p->count, (const uint64_t(*)[4])p->x, p->odd, y);
    for (int i = 0; i < p->count; i++) {
        uint8_t point[CW_ROW_BYTES];
        if (!(good >> i & 1)) continue;
        memcpy(point, p->x[i], 32);
        memcpy(point + 32, y[i], 32);
        want(thread, kind, key[i], hash(key[i]), due[kind], point);
        if (thread->wanted[kind].count == (uint32_t)cw_kernel->elements) build_wanted(thread, kind);
    }
}
int cw_keys_warm(struct cw_keys_thread *thread, int kind, uint32_t count, const uint8_t *keys) {
    struct cw_wanted *w = &thread->wanted[kind];
    const uint8_t *key[8];
    struct points p = {.count = 0};
    cw_keys_enter(thread, cw_keys_now());
    for (uint32_t i = 0; i < count && !w->pause; i++) {
        uint32_t id;
        const uint8_t *k = keys + 33 * i;
        if ((k[0] == 2 || k[0] == 3) && (!lookup(hash(k), k, &id) || slots[id].kind < kind)) {
            cw_words_from_be(p.x[p.count], k + 1);
            p.odd[p.count] = k[0] & 1;
            key[p.count] = k;
            p.count += cw_words_less(p.x[p.count], cw_p_words);
        }
        if (p.count && (p.count == cw_kernel->elements || i + 1 == count)) {
            want_points(thread, kind, key, &p);
            p.count = 0;
        }
    }
    if (w->count) build_wanted(thread, kind);
    const int had_room = !w->pause;
    w->pause = 0;
    cw_keys_exit(thread);
    return had_room;
}
