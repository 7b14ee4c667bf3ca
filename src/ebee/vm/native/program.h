/* What every program is made of when it becomes C: reaching memory, arithmetic that is always defined. */

#define INLINE static inline __attribute__((always_inline))
#define FOUR(bytes) ((bytes) == 1 ? 0 : (bytes) == 2 ? 1 : (bytes) == 4 ? 2 : 3)

/* A region that an access is expected in. A wrong guess costs time: what is outside of it goes the long way. */
struct guess {
	u64 first;     /* the lowest address that may be reached */
	u8 *base;      /* what is there */
	u64 low;
	u64 elements;
	u64 stride;
	u64 read[4];
	u64 write[4];
};

INLINE void look(struct guess *g, u64 number)
{
	const struct region *row = REGIONS + number;

	g->first = (number << REGION_SHIFT) + row->low;
	g->base = row->base + row->low;
	g->low = row->low;
	g->elements = row->elements;
	g->stride = row->stride;
	for (int i = 0; i < 4; i++) {
		g->read[i] = row->read[i];
		g->write[i] = row->write[i];
	}
}

/* Where the bytes at an address are; null where the other process has to be asked. */
INLINE u8 *reach(u64 address, int bytes, int writing)
{
	const struct region *row = REGIONS + (address >> REGION_SHIFT);
	u64 element = address >> ELEMENT_SHIFT & ELEMENT_MASK;
	u64 distance = (address & OFFSET_MASK) - row->low;
	u64 room = writing ? row->write[FOUR(bytes)] : row->read[FOUR(bytes)];

	if (likely(distance < room && element < row->elements))
		return row->base + row->low + element * row->stride + distance;
	return 0;
}

INLINE u64 fetch(const u8 *p, int bytes)
{
	switch (bytes) {
	case 1: return *p;
	case 2: return *(const any16 *)p;
	case 4: return *(const any32 *)p;
	default: return *(const any64 *)p;
	}
}

INLINE void put(u8 *p, int bytes, u64 value)
{
	switch (bytes) {
	case 1: *p = value; break;
	case 2: *(any16 *)p = value; break;
	case 4: *(any32 *)p = value; break;
	default: *(any64 *)p = value;
	}
}

/* The long ways. They keep all registers, so that the short ways beside them need not save any. */
#define FAR static __attribute__((noinline, preserve_most, unused))

#define LOAD_FAR(bytes) \
	FAR u64 load_far##bytes(struct state *s, u64 slot, u64 address) \
	{ \
		const u8 *p = reach(address, bytes, 0); \
		return p ? fetch(p, bytes) : s->load(s, slot, address, bytes); \
	}
#define STORE_FAR(bytes) \
	FAR void store_far##bytes(struct state *s, u64 slot, u64 address, u64 value) \
	{ \
		u8 *p = reach(address, bytes, 1); \
		if (p) \
			put(p, bytes, value); \
		else \
			s->store(s, slot, address, bytes, value); \
	}
LOAD_FAR(1) LOAD_FAR(2) LOAD_FAR(4) LOAD_FAR(8)
STORE_FAR(1) STORE_FAR(2) STORE_FAR(4) STORE_FAR(8)

INLINE u64 load_special(struct state *s, u64 slot, u64 address, int bytes)
{
	switch (bytes) {
	case 1: return load_far1(s, slot, address);
	case 2: return load_far2(s, slot, address);
	case 4: return load_far4(s, slot, address);
	default: return load_far8(s, slot, address);
	}
}

INLINE void store_special(struct state *s, u64 slot, u64 address, int bytes, u64 value)
{
	switch (bytes) {
	case 1: store_far1(s, slot, address, value); break;
	case 2: store_far2(s, slot, address, value); break;
	case 4: store_far4(s, slot, address, value); break;
	default: store_far8(s, slot, address, value);
	}
}

/* Nothing is known of the address. */
INLINE u64 load_any(struct state *s, u64 slot, u64 address, int bytes)
{
	const u8 *p = reach(address, bytes, 0);

	return likely(p != 0) ? fetch(p, bytes) : load_special(s, slot, address, bytes);
}

INLINE void store_any(struct state *s, u64 slot, u64 address, int bytes, u64 value)
{
	u8 *p = reach(address, bytes, 1);

	if (likely(p != 0))
		put(p, bytes, value);
	else
		store_special(s, slot, address, bytes, value);
}

/* The region is guessed, and has one element. */
INLINE u64 load_one(struct state *s, const struct guess *g, u64 slot, u64 address, int bytes)
{
	u64 distance = address - g->first;

	return likely(distance < g->read[FOUR(bytes)]) ? fetch(g->base + distance, bytes)
		: load_special(s, slot, address, bytes);
}

INLINE void store_one(struct state *s, const struct guess *g, u64 slot, u64 address, int bytes, u64 value)
{
	u64 distance = address - g->first;

	if (likely(distance < g->write[FOUR(bytes)]))
		put(g->base + distance, bytes, value);
	else
		store_special(s, slot, address, bytes, value);
}

/* The region is guessed, and has many elements. */
#define IN_MANY(room) (likely(element < g->elements && within < g->room[FOUR(bytes)]))
#define MANY \
	u64 element = (address - (number << REGION_SHIFT)) >> ELEMENT_SHIFT; \
	u64 within = (address & OFFSET_MASK) - g->low

INLINE u64 load_many(struct state *s, const struct guess *g, u64 number, u64 slot, u64 address, int bytes)
{
	MANY;

	return IN_MANY(read) ? fetch(g->base + element * g->stride + within, bytes)
		: load_special(s, slot, address, bytes);
}

INLINE void store_many(struct state *s, const struct guess *g, u64 number, u64 slot, u64 address, int bytes, u64 value)
{
	MANY;

	if (IN_MANY(write))
		put(g->base + element * g->stride + within, bytes, value);
	else
		store_special(s, slot, address, bytes, value);
}

/* What may still be taken, when some of the budget was held back. */
FAR s64 more(struct state *s, s64 left)
{
	return s->more ? s->refill(s, left) : left;
}

/* The budget may not reach to where it is looked at next: the rest of the function is run by the interpreter. */
static __attribute__((noinline, unused)) u64 finish(struct state *s, u64 slot, u64 left, u64 loops,
	u64 r0, u64 r1, u64 r2, u64 r3, u64 r4, u64 r5, u64 r6, u64 r7, u64 r8, u64 r9)
{
	u64 registers[10] = { r0, r1, r2, r3, r4, r5, r6, r7, r8, r9 };

	s->left = left;
	s->loops = loops;
	for (int i = 0; i < 10; i++)
		s->registers[i] = registers[i];
	return s->finish(s, slot);
}

/* Division by zero gives 0, the remainder of it the dividend; the smallest number by -1 stays what it is. */
INLINE u64 div64(u64 a, u64 b) { return b ? a / b : 0; }
INLINE u64 mod64(u64 a, u64 b) { return b ? a % b : a; }
INLINE u64 sdiv64(u64 a, u64 b) { return b == 0 ? 0 : b == -1ul ? -a : (u64)((s64)a / (s64)b); }
INLINE u64 smod64(u64 a, u64 b) { return b == 0 ? a : b == -1ul ? 0 : (u64)((s64)a % (s64)b); }
INLINE u32 div32(u32 a, u32 b) { return b ? a / b : 0; }
INLINE u32 mod32(u32 a, u32 b) { return b ? a % b : a; }
INLINE u32 sdiv32(u32 a, u32 b) { return b == 0 ? 0 : b == -1u ? -a : (u32)((s32)a / (s32)b); }
INLINE u32 smod32(u32 a, u32 b) { return b == 0 ? a : b == -1u ? 0 : (u32)((s32)a % (s32)b); }

enum { ADD = 0x00, OR = 0x40, AND = 0x50, XOR = 0xa0, FETCH = 1, XCHG = 0xe1, CMPXCHG = 0xf1 };

#define ATOMIC_ON(T) \
	T *cell = (T *)p, now = operand, wanted = expected; \
	switch (operation & ~FETCH) { \
	case ADD: return __atomic_fetch_add(cell, now, __ATOMIC_SEQ_CST); \
	case OR: return __atomic_fetch_or(cell, now, __ATOMIC_SEQ_CST); \
	case AND: return __atomic_fetch_and(cell, now, __ATOMIC_SEQ_CST); \
	case XOR: return __atomic_fetch_xor(cell, now, __ATOMIC_SEQ_CST); \
	case XCHG & ~FETCH: return __atomic_exchange_n(cell, now, __ATOMIC_SEQ_CST); \
	default: \
		__atomic_compare_exchange_n(cell, &wanted, now, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
		return wanted; \
	}

INLINE u64 atomic32(u8 *p, u64 operation, u64 operand, u64 expected) { ATOMIC_ON(u32) }
INLINE u64 atomic64(u8 *p, u64 operation, u64 operand, u64 expected) { ATOMIC_ON(u64) }

/* Return what was there. Processors refuse atomic access across cache lines; that goes the long way. */
INLINE u64 atomic(struct state *s, u8 *p, u64 slot, u64 address, int bytes, u64 operation, u64 operand, u64 r0)
{
	if (unlikely(p == 0 || ((u64)p & (bytes - 1))))
		return s->atomic(s, slot, address, operand, r0);
	return bytes == 4 ? atomic32(p, operation, operand, r0) : atomic64(p, operation, operand, r0);
}

/* What every program is entered by. */
static u64 f0(struct state *s, u64 r0, u64 r1, u64 r2, u64 r3, u64 r4, u64 r5, u64 r6, u64 r7, u64 r8, u64 r9);
static u64 call_at(struct state *s, u64 slot, u64 address,
	u64 r0, u64 r1, u64 r2, u64 r3, u64 r4, u64 r5, u64 r6, u64 r7, u64 r8, u64 r9);

u64 program(struct state *s, u64 function, const u64 *a)
{
	u64 before = s->program, result;

	s->program = s->entering;
	if (function)
		result = call_at(s, 0, function, 0, a[0], a[1], a[2], a[3], a[4], 0, 0, 0, 0);
	else
		result = f0(s, 0, a[0], a[1], a[2], a[3], a[4], 0, 0, 0, 0);
	s->program = before;
	return result;
}

/* The slot of the function with an address; -1 for what is no function's. */
INLINE u64 function_slot(u64 address)
{
	return address >> REGION_SHIFT == CODE && !(address & OFFSET_MASK) ? address >> ELEMENT_SHIFT & ELEMENT_MASK : -1;
}

static int is_function(u64 address);

/* bpf_loop: calls a function so many times, until it returns what is not zero. */
INLINE u64 loop(struct state *s, u64 slot, u64 depth, u64 r1, u64 r2, u64 r3, u64 r4, u64 r5)
{
	u64 index = 0;

	if (r4 || (u32)r1 > MOST_LOOPS || depth + 1 >= MOST_FRAMES || !is_function(r2))
		return s->helper(s, slot, r1, r2, r3, r4, r5);
	s->depth = depth + 1;
	while (index < (u32)r1)
		if (call_at(s, slot, r2, 0, index++, r3, 0, 0, 0, 0, 0, 0, 0))
			break;
	s->depth = depth;
	return index;
}

/* bpf_map_lookup_elem of an array that is known. */
INLINE u64 lookup_array(const u8 *key, u64 entries, u64 region, u64 copies)
{
	u64 index = *(const any32 *)key;

	return index < entries ? region << REGION_SHIFT | (index + copies) << ELEMENT_SHIFT : 0;
}

/* Go on in another program: true when that has returned, as this function then does. */
INLINE int tail_call(struct state *s, u64 slot, u64 r1, u64 r2, u64 r3, u64 *r0)
{
	enter *next = s->tail_call(s, slot, r2, r3);
	u64 arguments[5] = { r1 };

	*r0 = next ? next(s, 0, arguments) : -2ul; /* ENOENT */
	return next != 0;
}
