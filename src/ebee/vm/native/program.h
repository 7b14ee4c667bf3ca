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

/* The same where the region is guessed and has one element. */
INLINE u8 *reach_one(const struct guess *g, u64 address, int bytes, int writing)
{
	u64 distance = address - g->first;
	u64 room = writing ? g->write[FOUR(bytes)] : g->read[FOUR(bytes)];

	return likely(distance < room) ? g->base + distance : reach(address, bytes, writing);
}

/* The same where the region is guessed and has many elements. */
INLINE u8 *reach_many(const struct guess *g, u64 number, u64 address, int bytes, int writing)
{
	u64 distance = address - (number << REGION_SHIFT);
	u64 element = distance >> ELEMENT_SHIFT;
	u64 within = (distance & OFFSET_MASK) - g->low;
	u64 room = writing ? g->write[FOUR(bytes)] : g->read[FOUR(bytes)];

	if (likely(element < g->elements && within < room))
		return g->base + element * g->stride + within;
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

INLINE u64 load(struct state *s, u8 *p, u64 slot, u64 address, int bytes)
{
	return likely(p != 0) ? fetch(p, bytes) : s->load(s, slot, address, bytes);
}

INLINE void store(struct state *s, u8 *p, u64 slot, u64 address, int bytes, u64 value)
{
	if (likely(p != 0))
		put(p, bytes, value);
	else
		s->store(s, slot, address, bytes, value);
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
static u64 f0(struct state *s, u64 r1, u64 r2, u64 r3, u64 r4, u64 r5);
static u64 call_at(struct state *s, u64 slot, u64 address, u64 r1, u64 r2, u64 r3, u64 r4, u64 r5);

u64 program(struct state *s, u64 function, const u64 *a)
{
	u64 before = s->program, result;

	s->program = s->entering;
	result = function ? call_at(s, 0, function, a[0], a[1], a[2], a[3], a[4]) : f0(s, a[0], a[1], a[2], a[3], a[4]);
	s->program = before;
	return result;
}

/* The slot of the function with an address; -1 for what is no function's. */
INLINE u64 function_slot(u64 address)
{
	return address >> REGION_SHIFT == CODE && !(address & OFFSET_MASK) ? address >> ELEMENT_SHIFT & ELEMENT_MASK : -1;
}

/* Go on in another program: true when that has returned, as this function then does. */
INLINE int tail_call(struct state *s, u64 slot, u64 r1, u64 r2, u64 r3, u64 *r0)
{
	enter *next = s->tail_call(s, slot, r2, r3);
	u64 arguments[5] = { r1 };

	*r0 = next ? next(s, 0, arguments) : -2ul; /* ENOENT */
	return next != 0;
}
