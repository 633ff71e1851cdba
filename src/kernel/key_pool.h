/* The memory of the key tables, and the index of the keys that have one. Part of keys.c, which explains how threads meet here.
 *
 * There is one pool for all kinds of table: chunks of 2 MB, each of which holds tables of one kind for as long as it is in use. A chunk changes
 * its kind by being closed: all its keys leave the index, and once no reader can be left in it, it is empty again. A slot is one place
 * for a table in a chunk: CHUNK_SLOTS numbers a chunk, of which a chunk of large tables uses the first few. */
#define THREADS_MAX 256
#define WAYS 8
#ifndef CHUNK_SLOTS /* the test of thread orders has few */
#define CHUNK_BYTES ((size_t)2 << 20)
#define CHUNK_SLOTS 192   /* of the smallest tables, 191 fit */
#endif
#define CHUNKS_MIN 10     /* so that every kind can have some */
#define LIMIT_MIN 2
#define SCAN_MAX 16       /* slots that are looked at for the coldest one */
#define CHUNKS_TRIED 4
#define SKETCH_PLACES 32  /* a bucket, 4 MB a GiB: of two keys in turns in one place neither gets hot, so few may share one */
#define AGE_HITS 256      /* valid claims a table, on average, in which heat halves */
#define AGE_TABLES_MIN 4096
#define HEAT_MAX 0xFFFFFF
#define EVICT_HEAT 8      /* how much hotter a key has to be than twice the one whose place it takes, so that equals do not change places for ever */
#define NONE UINT32_MAX

struct slot {
    uint8_t key[33];
    uint8_t kind;
    uint8_t next;          /* waiting: the slot of this chunk that was retired after it, + 1 */
    _Atomic uint32_t heat; /* the age it was noted in (8 bits) and the heat then (24) */
    uint64_t hash, retired;
} __attribute__((aligned(64)));

struct chunk {
    int8_t kind;     /* -1: empty */
    uint8_t closing; /* no longer used; empty when nothing in it lives and nobody reads it */
    uint8_t fresh;   /* slots from here on have not been used since it was empty */
    uint8_t live;    /* slots given to a builder and not retired since */
    uint8_t head, tail; /* retired slots in the order of their retirement, + 1 */
    int8_t heir;     /* closing: the kind that it was closed for; -1: none */
    uint32_t next, previous; /* in the ring of its kind, or among empty or closing ones */
};
struct ring { uint32_t hand, recent, chunks, clock, live; }; /* of the chunks of a kind. recent: where a slot was retired last; live: as theirs */

static uint8_t *tables;
static struct slot *slots;
static struct chunk *chunks;
static struct ring rings[CW_KEY_KINDS];
static uint32_t chunk_count, chunk_limit, chunks_used, chunks_fresh, empty_chunks, closing_first, closing_last, close_hand;
static uint32_t capacity[CW_KEY_KINDS]; /* of a chunk */
static size_t table_bytes[CW_KEY_KINDS];
static uint64_t live_tables, hits_since_age;
static _Atomic uint64_t (*buckets)[WAYS];
static uint64_t bucket_mask, hash_key[4];
static _Atomic uint32_t *sketch, age;
static uint64_t sketch_mask;
static _Atomic uint64_t epoch = 1;
static struct { _Atomic uint64_t epoch; char pad[56]; } announced[THREADS_MAX]; /* 0: not reading; own cache line each */
static _Atomic int taken[THREADS_MAX], places; /* places: one more than the highest place ever taken */
static atomic_flag lock = ATOMIC_FLAG_INIT;
static _Atomic uint64_t hits[CW_KEY_KINDS], builds[CW_KEY_KINDS], misses, evictions, refused, used;
/* What a claim saves with a table of the kind rather than with the next smaller one, by its additional bytes: points a megabyte. */
static const uint32_t worth[CW_KEY_KINDS] = {[CW_TINY] = 18000, [CW_SMALL] = 2300, [CW_LARGE] = 190, [CW_HUGE] = 23};

#define COUNT(counter, n) atomic_fetch_add_explicit(&(counter), n, memory_order_relaxed)

static void acquire(void) {
    while (atomic_flag_test_and_set_explicit(&lock, memory_order_acquire)) {
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
    }
}
static void release(void) { atomic_flag_clear_explicit(&lock, memory_order_release); }

static uint32_t chunk_of(uint32_t id) { return id / CHUNK_SLOTS; }
static uint8_t *slot_table(uint32_t id, int kind) {
    return tables + (size_t)chunk_of(id) * CHUNK_BYTES + (size_t)(id % CHUNK_SLOTS) * table_bytes[kind];
}

/* Maps room for `count` chunks, found through `sets` buckets (a power of two). */
static int open_pool(uint32_t count, uint64_t sets) {
    for (int kind = 0; kind < CW_KEY_KINDS; kind++) {
        table_bytes[kind] = (size_t)cw_table_rows(kind) * CW_ROW_BYTES;
        capacity[kind] = (uint32_t)(CHUNK_BYTES / table_bytes[kind]);
        if (capacity[kind] > CHUNK_SLOTS) capacity[kind] = CHUNK_SLOTS;
        rings[kind].hand = rings[kind].recent = NONE;
    }
    chunk_count = chunk_limit = count;
    empty_chunks = closing_first = closing_last = NONE;
    bucket_mask = sets - 1;
    sketch_mask = SKETCH_PLACES * sets - 1;
    tables = cw_map(count * CHUNK_BYTES);
    slots = cw_map((size_t)count * CHUNK_SLOTS * sizeof *slots);
    chunks = cw_map(count * sizeof *chunks);
    buckets = cw_map(sets * sizeof *buckets);
    sketch = cw_map(SKETCH_PLACES * sets * sizeof *sketch);
    return tables && slots && chunks && buckets && sketch;
}

static uint64_t oldest_reader(void) {
    uint64_t oldest = UINT64_MAX;
    for (int i = 0; i < atomic_load(&places); i++) {
        uint64_t e = atomic_load(&announced[i].epoch);
        if (e && e < oldest) oldest = e;
    }
    return oldest;
}

/* Heat: how many valid claims of late. All of it halves with each age, when it is next looked at. */
static uint32_t aged(uint32_t value, uint32_t noted, uint32_t now) {
    const uint32_t ages = (now - noted) & 255;
    return ages < 24 ? value >> ages : 0;
}
static uint32_t now_age(void) { return atomic_load_explicit(&age, memory_order_relaxed) & 255; }
static uint32_t slot_heat(uint32_t id) {
    const uint32_t word = atomic_load_explicit(&slots[id].heat, memory_order_relaxed);
    return aged(word & HEAT_MAX, word >> 24, now_age());
}
static void set_heat(uint32_t id, uint32_t heat) {
    atomic_store_explicit(&slots[id].heat, now_age() << 24 | (heat < HEAT_MAX ? heat : HEAT_MAX), memory_order_relaxed);
}
/* The heat of keys without a table, in a sketch: a word a place has a tag (16 bits), an age and the heat (8 each). It decides nothing but who gets a
 * table, so two keys may share a place, and writers may overwrite each other. */
static uint32_t note_key(uint64_t h, uint32_t more) {
    _Atomic uint32_t *place = &sketch[h >> 20 & sketch_mask];
    const uint32_t word = atomic_load_explicit(place, memory_order_relaxed), tag = (uint32_t)(h >> 48), now = now_age();
    uint32_t heat = aged(word & 255, word >> 8 & 255, now);
    if (word >> 16 != tag) {
        if (heat > more) { /* another key, which is hotter, stays */
            atomic_store_explicit(place, (word & 0xFFFF0000) | now << 8 | (heat - 1), memory_order_relaxed);
            return more;
        }
        heat = 0;
    }
    heat = heat + more < 255 ? heat + more : 255;
    atomic_store_explicit(place, tag << 16 | now << 8 | heat, memory_order_relaxed);
    return heat;
}

/* Keyed by random words of this process, so that nobody can choose keys that share a bucket. */
static uint64_t hash(const uint8_t *key) {
    uint64_t w[4];
    memcpy(w, key + 1, 32);
    cw_u128 a = (cw_u128)(w[0] ^ hash_key[0]) * (w[1] ^ hash_key[1]), b = (cw_u128)(w[2] ^ hash_key[2]) * (w[3] ^ hash_key[3]);
    uint64_t h = (uint64_t)a ^ (uint64_t)(a >> 64) ^ ((uint64_t)b + (uint64_t)(b >> 64)) ^ key[0];
    a = (cw_u128)(h ^ hash_key[2]) * 0x9E3779B97F4A7C15ULL;
    return (uint64_t)a ^ (uint64_t)(a >> 64);
}

/* Returns the place of a key in the index, or 0. */
static _Atomic uint64_t *lookup(uint64_t h, const uint8_t *key, uint32_t *id) {
    _Atomic uint64_t *bucket = buckets[h & bucket_mask];
    for (int i = 0; i < WAYS; i++) {
        const uint64_t word = atomic_load(&bucket[i]);
        if ((uint32_t)word == 0 || word >> 32 != h >> 32) continue;
        *id = (uint32_t)word - 1;
        if (memcmp(slots[*id].key, key, 33) == 0) return &bucket[i];
    }
    return 0;
}

/* Under the lock. The index leads to slot `id` no more, or never did: it may be used again when all present readers are gone. */
static void retire(uint32_t id) {
    struct chunk *c = &chunks[chunk_of(id)];
    const uint8_t place = (uint8_t)(id % CHUNK_SLOTS + 1);
    slots[id].retired = atomic_fetch_add(&epoch, 1);
    slots[id].next = 0;
    if (c->head) slots[id - id % CHUNK_SLOTS + c->tail - 1].next = place;
    else c->head = place;
    c->tail = place;
    c->live--;
    if (!c->closing) rings[c->kind].live--;
    live_tables--;
    rings[c->kind].recent = chunk_of(id);
    used -= table_bytes[c->kind];
}
/* Under the lock. Changes a word of the index, and only then retires the slot it led to: a reader that announces the epoch
 * after that slot's can no longer find it. */
static void replace(_Atomic uint64_t *word, uint64_t value) {
    const uint32_t before = (uint32_t)atomic_load(word);
    atomic_store(word, value);
    if (before) retire(before - 1);
}
/* Under the lock. Takes slot `id` out of the index, if it is there. Its key keeps its heat. */
static int unlink_slot(uint32_t id) {
    uint32_t found, heat;
    _Atomic uint64_t *word = lookup(slots[id].hash, slots[id].key, &found);
    if (!word || found != id) return 0;
    heat = slot_heat(id);
    note_key(slots[id].hash, heat < 255 ? heat : 255);
    replace(word, 0);
    COUNT(evictions, 1);
    return 1;
}

/* Under the lock. Puts a chunk into its kind's ring, or takes it out. */
static void enter_ring(uint32_t c, int kind) {
    struct ring *r = &rings[kind];
    chunks[c].kind = (int8_t)kind;
    if (r->hand == NONE) chunks[c].next = chunks[c].previous = c;
    else {
        const uint32_t after = chunks[r->hand].next;
        chunks[c].next = after, chunks[c].previous = r->hand;
        chunks[r->hand].next = chunks[after].previous = c;
    }
    r->hand = c;
    r->clock = 0;
    r->chunks++;
}
static void leave_ring(uint32_t c) {
    struct ring *r = &rings[chunks[c].kind];
    chunks[chunks[c].previous].next = chunks[c].next;
    chunks[chunks[c].next].previous = chunks[c].previous;
    if (r->hand == c) r->hand = chunks[c].next, r->clock = 0;
    if (--r->chunks == 0) r->hand = NONE;
    r->live -= chunks[c].live;
}
/* Under the lock. Makes the longest closing chunk an empty one, or one of the kind that it was closed for: left to whoever asks first, it would go
 * to tables that are worth less, and be closed for the same kind again, in circles. Returns 0 when none can be. */
static int empty_closing(void) {
    const uint32_t c = closing_first;
    if (c == NONE || chunks[c].live) return 0;
    if (chunks[c].tail && oldest_reader() <= slots[(size_t)c * CHUNK_SLOTS + chunks[c].tail - 1].retired) return 0;
    closing_first = chunks[c].next;
    if (closing_first == NONE) closing_last = NONE;
    const int heir = chunks[c].heir;
    if (heir >= 0 && chunks_used <= chunk_limit) {
        chunks[c] = (struct chunk){0};
        enter_ring(c, heir);
        return 1;
    }
    chunks[c] = (struct chunk){.kind = -1, .next = empty_chunks};
    empty_chunks = c;
    chunks_used--;
    return 1;
}
/* Under the lock. Every key of the chunk leaves the index; what is still being built in it is retired when it is published. */
static void close_chunk(uint32_t c, int heir) {
    leave_ring(c);
    chunks[c].closing = 1;
    chunks[c].heir = (int8_t)heir;
    chunks[c].next = NONE;
    for (uint32_t i = 0; i < chunks[c].fresh; i++) unlink_slot(c * CHUNK_SLOTS + i);
    if (closing_last == NONE) closing_first = c;
    else chunks[closing_last].next = c;
    closing_last = c;
}
/* Under the lock. Whether at most half of a chunk is in use, and the others of its kind have room for that twice over. Keys that get larger
 * tables leave such chunks behind. */
static int is_spare(uint32_t c) {
    const struct ring *r = &rings[chunks[c].kind];
    const uint32_t most = capacity[chunks[c].kind];
    return 2 * chunks[c].live <= most && (r->chunks - 1) * most >= r->live + chunks[c].live;
}
/* Under the lock. A chunk's heat a table: the mean of some. */
static uint64_t chunk_worth(uint32_t c) {
    if (is_spare(c)) return 0;
    const uint32_t count = chunks[c].fresh, step = count / SCAN_MAX + 1;
    uint64_t sum = 0, seen = 0;
    for (uint32_t i = close_hand % step; i < count; i += step, seen++) {
        uint32_t found, id = c * CHUNK_SLOTS + i;
        if (lookup(slots[id].hash, slots[id].key, &found) && found == id) sum += slot_heat(id);
    }
    return seen ? sum * worth[chunks[c].kind] / seen : 0;
}
/* Under the lock. Of the next few chunks closes the one of least worth, if that is less than `most`, for tables of `kind` (-1: for none). Chunks of
 * that kind stay. */
static int close_one(int kind, uint64_t most) {
    uint32_t least = NONE;
    for (int i = 0; i < CHUNKS_TRIED && chunks_fresh; i++) {
        const uint32_t c = close_hand++ % chunks_fresh;
        if (chunks[c].kind < 0 || chunks[c].closing || chunks[c].kind == kind) continue;
        const uint64_t value = chunk_worth(c);
        if (value < most) most = value, least = c;
    }
    if (least != NONE) close_chunk(least, kind);
    return least != NONE;
}
/* Under the lock. The coldest of some tables of a kind goes, if it is much colder than `heat`. */
static int evict_one(int kind, uint32_t heat) {
    struct ring *r = &rings[kind];
    uint32_t coldest = 0, lowest = UINT32_MAX;
    if (r->hand == NONE) return 0;
    for (int i = 0; i < SCAN_MAX; i++) {
        if (r->clock >= chunks[r->hand].fresh) r->hand = chunks[r->hand].next, r->clock = 0;
        if (r->clock >= chunks[r->hand].fresh) break;
        const uint32_t id = r->hand * CHUNK_SLOTS + r->clock++;
        uint32_t found;
        if (!lookup(slots[id].hash, slots[id].key, &found) || found != id) continue;
        const uint32_t h = slot_heat(id);
        if (h < lowest) lowest = h, coldest = id;
    }
    return lowest != UINT32_MAX && 2 * lowest + EVICT_HEAT <= heat && unlink_slot(coldest);
}

/* Under the lock. A slot of chunk `c` that can be built into now, or -1. */
static int64_t slot_in(uint32_t c) {
    struct chunk *k = &chunks[c];
    const uint32_t first = c * CHUNK_SLOTS;
    if (k->head && oldest_reader() > slots[first + k->head - 1].retired) {
        const uint32_t id = first + k->head - 1;
        k->head = slots[id].next;
        if (!k->head) k->tail = 0;
        return id;
    }
    return k->fresh < capacity[k->kind] ? (int64_t)first + k->fresh++ : -1;
}
static int64_t slot_of_kind(int kind) {
    struct ring *r = &rings[kind];
    int64_t id = -1;
    if (r->recent != NONE && chunks[r->recent].kind == kind && !chunks[r->recent].closing) id = slot_in(r->recent);
    for (int i = 0; i < CHUNKS_TRIED && id < 0 && r->hand != NONE; i++) {
        id = slot_in(r->hand);
        if (id < 0) r->hand = chunks[r->hand].next, r->clock = 0;
    }
    return id;
}
/* Under the lock. Gives the kind an empty chunk, if there is one. */
static int add_chunk(int kind) {
    uint32_t c = empty_chunks;
    if (chunks_used >= chunk_limit) return 0;
    if (c != NONE) empty_chunks = chunks[c].next;
    else if (chunks_fresh < chunk_count) c = chunks_fresh++;
    else return 0;
    chunks[c] = (struct chunk){0};
    enter_ring(c, kind);
    chunks_used++;
    return 1;
}
/* Returns a slot to build a table of a key into that had `heat` valid claims of late, or -1. Then, when the key deserves it, room is
 * made for a later request. */
static int64_t take_slot(int kind, uint32_t heat) {
    acquire();
    int64_t id = slot_of_kind(kind);
    if (id < 0) {
        if (empty_closing() || add_chunk(kind)) id = slot_of_kind(kind);
        else if (closing_first == NONE && !close_one(kind, (uint64_t)heat * worth[kind] / 2)) evict_one(kind, heat);
    }
    if (id >= 0) {
        chunks[chunk_of((uint32_t)id)].live++;
        rings[kind].live++;
        live_tables++;
        used += table_bytes[kind];
    } else COUNT(refused, 1);
    release();
    return id;
}
/* Puts slot `id`, whose table is complete, into the index for `key`, in place of an older one. */
static void publish(uint32_t id, const uint8_t *key, uint64_t h, int kind, uint32_t heat) {
    struct slot *s = &slots[id];
    uint32_t old;
    acquire();
    memcpy(s->key, key, 33);
    s->kind = (uint8_t)kind;
    s->hash = h;
    set_heat(id, heat);
    _Atomic uint64_t *word = lookup(s->hash, s->key, &old);
    if (chunks[chunk_of(id)].closing || (word && slots[old].kind >= s->kind)) { /* or another thread was faster */
        retire(id);
    } else {
        if (!word) {
            _Atomic uint64_t *bucket = buckets[s->hash & bucket_mask];
            int i = 0;
            while (i < WAYS && (uint32_t)atomic_load(&bucket[i])) i++;
            if (i == WAYS) COUNT(evictions, 1);
            word = &bucket[i < WAYS ? i : (int)(s->hash >> 61)];
        }
        replace(word, (s->hash >> 32) << 32 | (id + 1));
    }
    release();
}
