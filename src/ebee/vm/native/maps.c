/* Maps in the arena: what bpf_map_lookup_elem, bpf_map_update_elem and bpf_map_delete_elem do most of the time.
 *
 * vm/maps/hash.py and vm/maps/arrays.py say how maps lie there. Whatever is not plain (a map of another kind, a
 * flag, a bad pointer) is asked for.
 */

enum { ARRAY = 1, HASH = 2 };
enum { ANY = 0, NOEXIST = 1, EXIST = 2 };
enum { ENOENT = 2, E2BIG = 7, EEXIST = 17 };

struct table {
	u32 count, fresh, free_first, free_last, newest, oldest, capacity, mask;
	u32 key_bytes, record_bytes, max_entries, heads_at, records_at, lru, cpus, unused;
};

struct record { u32 next, hash, newer, older; u8 key[]; };

/* CRC-32 as zlib's, eight bytes at a time. */
#define CRC ((u32 (*)[256])(ARENA_AT + CRC_AT))

static void make_crc_table(void)
{
	for (u32 i = 0; i < 256; i++) {
		u32 crc = i;

		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
		CRC[0][i] = crc;
	}
	for (int j = 1; j < 8; j++)
		for (u32 i = 0; i < 256; i++)
			CRC[j][i] = CRC[j - 1][i] >> 8 ^ CRC[0][CRC[j - 1][i] & 0xff];
}

static u32 crc32(const u8 *p, u32 bytes)
{
	u32 crc = -1u;

	for (; bytes >= 8; bytes -= 8, p += 8) {
		u32 low = crc ^ *(any32 *)p, high = *(any32 *)(p + 4);

		crc = CRC[7][low & 0xff] ^ CRC[6][low >> 8 & 0xff] ^ CRC[5][low >> 16 & 0xff] ^ CRC[4][low >> 24]
		    ^ CRC[3][high & 0xff] ^ CRC[2][high >> 8 & 0xff] ^ CRC[1][high >> 16 & 0xff] ^ CRC[0][high >> 24];
	}
	for (; bytes >= 4; bytes -= 4, p += 4) {
		crc ^= *(any32 *)p;
		crc = CRC[3][crc & 0xff] ^ CRC[2][crc >> 8 & 0xff] ^ CRC[1][crc >> 16 & 0xff] ^ CRC[0][crc >> 24];
	}
	for (; bytes; bytes--, p++)
		crc = crc >> 8 ^ CRC[0][(crc ^ *p) & 0xff];
	return ~crc;
}

INLINE void copy(u8 *to, const u8 *from, u32 bytes)
{
	for (; bytes >= 8; bytes -= 8, to += 8, from += 8)
		*(any64 *)to = *(any64 *)from;
	for (; bytes; bytes--)
		*to++ = *from++;
}

INLINE int equal(const u8 *a, const u8 *b, u32 bytes)
{
	for (; bytes >= 8; bytes -= 8, a += 8, b += 8)
		if (*(any64 *)a != *(any64 *)b)
			return 0;
	for (; bytes; bytes--)
		if (*a++ != *b++)
			return 0;
	return 1;
}

INLINE u32 *heads(struct table *t) { return (u32 *)((u8 *)t + t->heads_at); }

INLINE struct record *record(struct table *t, u32 link)
{
	return (struct record *)((u8 *)t + t->records_at + (u64)(link - 1) * t->record_bytes);
}

/* Return the link of a key's slot, 0 where it is not there. */
INLINE u32 find(struct table *t, const u8 *key, u32 hash)
{
	u32 link = heads(t)[hash & t->mask];

	while (link) {
		struct record *r = record(t, link);

		if (r->hash == hash && (t->key_bytes <= 4 || equal(r->key, key, t->key_bytes)))
			break;
		link = r->next;
	}
	return link;
}

static u32 new_slot(struct table *t)
{
	u32 link = t->free_first;

	if (t->fresh < t->capacity)
		return ++t->fresh;
	t->free_first = record(t, link)->next;
	if (!t->free_first)
		t->free_last = 0;
	return link;
}

static void give_back(struct table *t, u32 link)
{
	record(t, link)->next = 0;
	if (t->free_last)
		record(t, t->free_last)->next = link;
	else
		t->free_first = link;
	t->free_last = link;
}

/* Let what points at a slot, in its bucket, point elsewhere. */
static void relink(struct table *t, u32 link, u32 to)
{
	u32 *at = &heads(t)[record(t, link)->hash & t->mask];

	while (*at != link)
		at = &record(t, *at)->next;
	*at = to;
}

static void unlink_use(struct table *t, struct record *r)
{
	*(r->newer ? &record(t, r->newer)->older : &t->newest) = r->older;
	*(r->older ? &record(t, r->older)->newer : &t->oldest) = r->newer;
}

static void make_newest(struct table *t, u32 link)
{
	struct record *r = record(t, link);

	r->newer = 0;
	r->older = t->newest;
	*(t->newest ? &record(t, t->newest)->newer : &t->oldest) = link;
	t->newest = link;
}

INLINE void touch(struct table *t, u32 link)
{
	if (t->lru && t->newest != link) {
		unlink_use(t, record(t, link));
		make_newest(t, link);
	}
}

static void drop(struct table *t, u32 link)
{
	relink(t, link, record(t, link)->next);
	if (t->lru)
		unlink_use(t, record(t, link));
	t->count--;
	give_back(t, link);
}

static void write_record(struct table *t, u32 link, const u8 *key, u32 hash, u32 next)
{
	struct record *r = record(t, link);

	r->next = next;
	r->hash = hash;
	copy(r->key, key, t->key_bytes);
}

/* Return a slot that a new key now has; 0 where the map is full. */
static u32 insert(struct table *t, const u8 *key, u32 hash)
{
	u32 *head = &heads(t)[hash & t->mask], link;

	if (t->count >= t->max_entries) {
		if (!t->lru)
			return 0;
		drop(t, t->oldest);
	}
	link = new_slot(t);
	write_record(t, link, key, hash, *head);
	*head = link;
	t->count++;
	if (t->lru)
		make_newest(t, link);
	return link;
}

/* Return a slot that a key now has in place of its old one. */
static u32 replace(struct table *t, u32 old, const u8 *key)
{
	u32 link = new_slot(t);

	write_record(t, link, key, record(t, old)->hash, record(t, old)->next);
	relink(t, old, link);
	if (t->lru) {
		unlink_use(t, record(t, old));
		make_newest(t, link);
	}
	give_back(t, old);
	return link;
}

/* The map at an address, if its kind is known here. */
INLINE struct map *map_at(u64 address)
{
	u64 index = (address >> ELEMENT_SHIFT) - ((u64)MAPS << (REGION_SHIFT - ELEMENT_SHIFT));

	return index < MOST_MAPS && !(address & OFFSET_MASK) && MAPS_TABLE[index].kind ? MAPS_TABLE + index : 0;
}

INLINE u8 *value_at(const struct map *m, u64 element)
{
	return REGIONS[m->region].base + element * REGIONS[m->region].stride;
}

INLINE u64 address_of(const struct map *m, u64 element)
{
	return (u64)m->region << REGION_SHIFT | element << ELEMENT_SHIFT;
}

static u64 lookup(struct state *s, u64 slot, u64 map, u64 key, u64 r3, u64 r4, u64 r5)
{
	struct map *m = map_at(map);
	const u8 *k = m ? place(key, m->key_bytes) : 0;
	struct table *t;
	u32 link;

	if (!k)
		return helper(s, slot, map, key, r3, r4, r5);
	if (m->kind == ARRAY) {
		u64 index = *(any32 *)k;

		return index < m->entries ? address_of(m, index + s->cpu * m->copy_step) : 0;
	}
	t = m->table;
	link = find(t, k, crc32(k, m->key_bytes));
	if (!link)
		return 0;
	touch(t, link);
	return address_of(m, link - 1 + s->cpu * m->copy_step);
}

static u64 update(struct state *s, u64 slot, u64 map, u64 key, u64 value, u64 flags, u64 r5)
{
	struct map *m = map_at(map);
	const u8 *k = m ? place(key, m->key_bytes) : 0, *v = k ? place(value, m->value_bytes) : 0;
	u64 copies = s->cpu * (m ? m->copy_step : 0);
	struct table *t;
	u32 link, hash;

	if (!v || flags > EXIST || (m->kind == ARRAY && (flags == NOEXIST || *(any32 *)k >= m->entries)))
		return helper(s, slot, map, key, value, flags, r5);
	if (m->kind == ARRAY) {
		copy(value_at(m, *(any32 *)k + copies), v, m->value_bytes);
		return 0;
	}
	t = m->table;
	hash = crc32(k, m->key_bytes);
	link = find(t, k, hash);
	if (!link) {
		if (flags == EXIST)
			return -(u64)ENOENT;
		link = insert(t, k, hash);
		if (!link)
			return -(u64)E2BIG;
		for (u64 cpu = 0; cpu < t->cpus; cpu++)
			for (u32 i = 0; i < m->value_bytes; i++)
				value_at(m, link - 1 + cpu * m->copy_step)[i] = 0;
	} else {
		if (flags == NOEXIST)
			return -(u64)EEXIST;
		if (!t->cpus)
			link = replace(t, link, k);
		else
			touch(t, link);
	}
	copy(value_at(m, link - 1 + copies), v, m->value_bytes);
	return 0;
}

static u64 erase(struct state *s, u64 slot, u64 map, u64 key, u64 r3, u64 r4, u64 r5)
{
	struct map *m = map_at(map);
	const u8 *k = m && m->kind == HASH ? place(key, m->key_bytes) : 0;
	u32 link;

	if (!k)
		return helper(s, slot, map, key, r3, r4, r5);
	link = find(m->table, k, crc32(k, m->key_bytes));
	if (!link)
		return -(u64)ENOENT;
	drop(m->table, link);
	return 0;
}
