/* The process that runs programs: it maps the arena, enters programs, and asks for what it cannot do.
 *
 * It is a whole program without a C library. What a message says is in the arena (descriptor 3), and so are the
 * counts of messages; a byte from descriptor 0 wakes this process, a byte to 1 the other. It ends when nobody
 * can wake it any more.
 */

#define INLINE static inline __attribute__((always_inline))

#if defined(__x86_64__)
enum { SYS_READ = 0, SYS_WRITE = 1, SYS_MMAP = 9, SYS_PRCTL = 157, SYS_GETPPID = 110, SYS_CLOCK_GETTIME = 228, SYS_EXIT_GROUP = 231, SYS_CLOSE_RANGE = 436 };
#define AUDIT_ARCH 0xc000003eu

INLINE long call_kernel(long number, long a, long b, long c, long d, long e, long f)
{
	long result;
	register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;

	__asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

/* The stack begins anew: whatever was on it is given up. */
#define ON_FRESH_STACK(stack, function) \
	__asm__ volatile("mov %0, %%rsp\n\tcall *%1\n\tud2" :: "r"(stack), "r"(function) : "memory")
#define PAUSE __asm__ volatile("pause")
#define START __asm__("xor %ebp, %ebp\n\tand $-16, %rsp\n\tcall begin\n\tud2")
#elif defined(__aarch64__)
enum { SYS_READ = 63, SYS_WRITE = 64, SYS_MMAP = 222, SYS_PRCTL = 167, SYS_GETPPID = 173, SYS_CLOCK_GETTIME = 113, SYS_EXIT_GROUP = 94, SYS_CLOSE_RANGE = 436 };
#define AUDIT_ARCH 0xc00000b7u

INLINE long call_kernel(long number, long a, long b, long c, long d, long e, long f)
{
	register long x8 __asm__("x8") = number, x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d, x4 __asm__("x4") = e, x5 __asm__("x5") = f;

	__asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
	return x0;
}

#define ON_FRESH_STACK(stack, function) \
	__asm__ volatile("mov sp, %0\n\tblr %1\n\tbrk #1" :: "r"(stack), "r"(function) : "memory")
#define PAUSE __asm__ volatile("yield")
#define START __asm__("mov x29, xzr\n\tbl begin\n\tbrk #1")
#endif

/* The kernel enters here. */
__attribute__((naked, noreturn)) void _start(void)
{
	START;
}

static __attribute__((noreturn)) void end(int status)
{
	for (;;)
		call_kernel(SYS_EXIT_GROUP, status, 0, 0, 0, 0, 0);
}

/* What is this process's own; a copy of the parent by fork has another process on the same arena. */
#define OWN_AT (ARENA_AT - 0x10000)
#define OWN ((struct own *)OWN_AT)

struct own {
	u64 stack;
	long parent;
	u64 heard;
	u64 spins;
};

/* -- messages --------------------------------------------------------------------------------------- */

/* A byte wakes who sleeps. Waking takes longer than most answers, so each side first looks for a while. */

INLINE int is_asked(struct state *s)
{
	return __atomic_load_n(&s->asked, __ATOMIC_ACQUIRE) != OWN->heard;
}

static void hear(struct state *s)
{
	char bytes[16];

	for (u64 i = 0; i < OWN->spins && !is_asked(s); i++)
		PAUSE;
	/* Where looking is in vain, for the processor is needed elsewhere, it is soon given up; and tried again. */
	OWN->spins = is_asked(s) ? s->spins : OWN->spins / 2;
	__atomic_store_n(&s->runner_sleeps, 1, __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	while (!is_asked(s))
		if (call_kernel(SYS_READ, 0, (long)bytes, sizeof bytes, 0, 0, 0) <= 0)
			end(0);
	__atomic_store_n(&s->runner_sleeps, 0, __ATOMIC_SEQ_CST);
	OWN->heard++;
	if (OWN->spins < s->spins / 64)
		OWN->spins = s->spins / 64;
}

static void say(struct state *s, u64 kind)
{
	char byte = 0;

	s->kind = kind;
	__atomic_fetch_add(&s->said, 1, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&s->asker_sleeps, __ATOMIC_SEQ_CST))
		if (call_kernel(SYS_WRITE, 1, (long)&byte, 1, 0, 0, 0) != 1)
			end(0);
}

static void serve(void);

/* Say something and wait for the answer, with calls of the program's functions in between. */
static u64 ask(struct state *s, u64 kind, u64 slot)
{
	s->slot = slot;
	say(s, kind);
	for (;;) {
		hear(STATE);
		if (s->order == ANSWER)
			return s->value;
		if (s->order == CALL) {
			u64 depth = s->depth;

			s->depth = depth + 1;
			s->value = s->entry(s, s->function, s->call);
			s->depth = depth;
			say(s, RETURNED);
		} else {
			ON_FRESH_STACK(OWN->stack, serve);
		}
	}
}

/* A budget may last for days: who asked is looked for now and then. */
static s64 refill(struct state *s, s64 left)
{
	s64 more = s->more < SLICE ? s->more : SLICE;

	if (call_kernel(SYS_GETPPID, 0, 0, 0, 0, 0, 0) != OWN->parent)
		end(0);
	s->more -= more;
	return left + more;
}

static void run(struct state *s)
{
	for (u64 i = 0; i < s->repeat; i++) {
		s->left = 0;
		s->more = s->budget;
		s->left = refill(s, 0);
		s->depth = 0;
		s->tail_calls = 0;
		s->round = i;
		s->lock = 0;
		s->value = s->entry(s, s->function, s->call);
	}
	say(s, DONE);
}

static void serve(void)
{
	for (;;) {
		hear(STATE);
		if (STATE->order == RUN)
			run(STATE);
	}
}

/* -- what programs ask for --------------------------------------------------------------------------- */

static u64 step(struct state *s, u64 slot, u64 a, u64 b, u64 c, u64 d, u64 e, u64 f)
{
	u64 arguments[6] = { a, b, c, d, e, f };

	for (int i = 0; i < 6; i++)
		s->arguments[i] = arguments[i];
	return ask(s, STEP, slot);
}

static __attribute__((noreturn)) void stop(struct state *s, u64 kind, u64 slot, u64 a, u64 b)
{
	for (;;) {
		s->arguments[0] = a;
		s->arguments[1] = b;
		ask(s, kind, slot);
	}
}

/* Where bytes of a region with something special are; null where they are out of bounds. */
static u8 *place(u64 address, u64 size)
{
	const struct region *row = REGIONS + (address >> REGION_SHIFT);
	u64 element = address >> ELEMENT_SHIFT & ELEMENT_MASK, offset = address & OFFSET_MASK;

	if (element >= row->elements || offset < row->low || offset + size > row->high)
		return 0;
	return row->base + element * row->stride + offset;
}

static u64 fetch(const u8 *p, u64 size)
{
	return size == 1 ? *p : size == 2 ? *(any16 *)p : size == 4 ? *(any32 *)p : *(any64 *)p;
}

static void put(u8 *p, u64 size, u64 value)
{
	if (size == 1)
		*p = value;
	else if (size == 2)
		*(any16 *)p = value;
	else if (size == 4)
		*(any32 *)p = value;
	else
		*(any64 *)p = value;
}

static u64 load(struct state *s, u64 slot, u64 address, u64 size)
{
	const struct context *c = CONTEXT_FACTS;
	const u8 *p;

	p = address >> REGION_SHIFT == CONTEXT && c->pointer_count <= 16 ? place(address, size) : 0;
	if (p) {
		for (u64 i = 0; size >= 4 && i < c->pointer_count; i++)
			if (c->pointers[i].offset == (address & OFFSET_MASK))
				return c->pointers[i].value;
		return fetch(p, size);
	}
	return step(s, slot, address, 0, 0, 0, 0, 0);
}

static void store(struct state *s, u64 slot, u64 address, u64 size, u64 value)
{
	const struct context *c = CONTEXT_FACTS;
	u64 offset = address & OFFSET_MASK;

	if (address >> REGION_SHIFT == CONTEXT && c->part_count <= 16)
		for (u64 i = 0; i < c->part_count; i++)
			if (c->parts[i].begin <= offset && offset + size <= c->parts[i].end && place(address, size)) {
				put(place(address, size), size, value);
				return;
			}
	step(s, slot, address, value, 0, 0, 0, 0);
}

static u64 atomic(struct state *s, u64 slot, u64 address, u64 operand, u64 expected)
{
	return step(s, slot, address, operand, expected, 0, 0, 0);
}

/* LD_ABS and LD_IND: big-endian bytes at an offset from the packet's begin. */
static u64 packet(struct state *s, u64 slot, u64 from, u64 number, u64 size)
{
	const struct region *row = REGIONS + PACKET;
	u64 offset = (s64)(s32)from + number;
	const u8 *p;

	if ((s64)offset < 0 || !row->base)
		return step(s, slot, from, 0, 0, 0, 0, 0);
	if (offset + size > (u64)row->high - row->low)
		return NO_PACKET_BYTES;
	p = row->base + row->low + offset;
	return size == 1 ? *p : size == 2 ? __builtin_bswap16(*(any16 *)p) : __builtin_bswap32(*(any32 *)p);
}

static u64 finish(struct state *s, u64 slot)
{
	return ask(s, FINISH, slot);
}

static enter *tail_call(struct state *s, u64 slot, u64 r2, u64 r3)
{
	enter *next;

	s->arguments[0] = r2;
	s->arguments[1] = r3;
	next = (enter *)ask(s, TAIL_CALL, slot);
	if (!next || s->tail_calls >= MOST_TAIL_CALLS)
		return 0;
	s->tail_calls++;
	return next;
}

static u64 callx(struct state *s, u64 slot, u64 number, u64 r1, u64 r2, u64 r3, u64 r4, u64 r5)
{
	return step(s, slot, number, r1, r2, r3, r4, r5);
}

static u64 helper(struct state *s, u64 slot, u64 r1, u64 r2, u64 r3, u64 r4, u64 r5)
{
	return step(s, slot, r1, r2, r3, r4, r5, 0);
}

/* The machine's clock is the system's, unless it was set. */
static u64 clock(struct state *s, u64 slot)
{
	u64 time[2];

	if (!s->real_clock)
		return step(s, slot, 0, 0, 0, 0, 0, 0);
	call_kernel(SYS_CLOCK_GETTIME, 1 /* CLOCK_MONOTONIC */, (long)time, 0, 0, 0, 0);
	return time[0] * 1000000000 + time[1];
}

static u64 lock_spin(struct state *s, u64 slot, u64 address)
{
	const struct region *row = REGIONS + (address >> REGION_SHIFT);

	if (s->lock || !place(address, 4) || !row->write[2])
		return step(s, slot, address, 0, 0, 0, 0, 0);
	s->lock = address;
	return 0;
}

static u64 unlock_spin(struct state *s, u64 slot, u64 address)
{
	if (s->lock != address)
		return step(s, slot, address, 0, 0, 0, 0, 0);
	s->lock = 0;
	return 0;
}

static u64 lookup(struct state *s, u64 slot, u64 map, u64 key, u64 r3, u64 r4, u64 r5);
static u64 update(struct state *s, u64 slot, u64 map, u64 key, u64 value, u64 flags, u64 r5);
static u64 erase(struct state *s, u64 slot, u64 map, u64 key, u64 r3, u64 r4, u64 r5);
static void make_crc_table(void);

/* -- the begin --------------------------------------------------------------------------------------- */

/* A filter instruction of seccomp, struct sock_filter; and the program, struct sock_fprog. */
struct filter { u16 code; u8 taken, other; u32 k; };
struct filter_program { u16 length; const struct filter *filter; };

enum { LOAD_WORD = 0x20, JUMP_EQUAL = 0x15, RESULT = 0x06, ALLOW = 0x7fff0000u, KILL = 0x80000000u };

/* From here on this process can read and write what is open, ask for the time and its parent, and end. */
static void give_up_rights(void)
{
	enum { CALLS = 5 };
	struct filter filter[CALLS + 5];
	struct filter_program all = { CALLS + 5, filter };
	u32 calls[CALLS] = { SYS_READ, SYS_WRITE, SYS_GETPPID, SYS_CLOCK_GETTIME, SYS_EXIT_GROUP };

	filter[0] = (struct filter){ LOAD_WORD, 0, 0, 4 /* the architecture */ };
	filter[1] = (struct filter){ JUMP_EQUAL, 0, CALLS + 1, AUDIT_ARCH };
	filter[2] = (struct filter){ LOAD_WORD, 0, 0, 0 /* the number */ };
	for (u8 i = 0; i < CALLS; i++)
		filter[3 + i] = (struct filter){ JUMP_EQUAL, CALLS - i, 0, calls[i] };
	filter[CALLS + 3] = (struct filter){ RESULT, 0, 0, KILL };
	filter[CALLS + 4] = (struct filter){ RESULT, 0, 0, ALLOW };
	call_kernel(SYS_PRCTL, 38 /* PR_SET_NO_NEW_PRIVS */, 1, 0, 0, 0, 0);
	call_kernel(SYS_PRCTL, 22 /* PR_SET_SECCOMP */, 2 /* SECCOMP_MODE_FILTER */, (long)&all, 0, 0, 0);
}

enum { READ = 1, WRITE = 2, EXECUTE = 4, SHARED = 0x01, PRIVATE = 0x02, FIXED = 0x10, ANONYMOUS = 0x20 };

static void map_pages(u64 address, u64 bytes, int rights, int flags, long file, u64 offset)
{
	if (call_kernel(SYS_MMAP, address, bytes, rights, flags | FIXED, file, offset) != (long)address)
		end(2);
}

static void map_arena(u64 begin, u64 end_, int rights)
{
	map_pages(ARENA_AT + begin, end_ - begin, rights, SHARED, 3, begin);
}

/* The tables can only be read here, code can only be run. */
static __attribute__((used, noreturn)) void begin(void)
{
	struct state *s = STATE;

	/* Whatever else the parent's parents have left open; older kernels leave it so. */
	call_kernel(SYS_CLOSE_RANGE, 2, 2, 0, 0, 0, 0);
	call_kernel(SYS_CLOSE_RANGE, 4, -1u, 0, 0, 0, 0);
	map_pages(OWN_AT, 0x10000, READ | WRITE, PRIVATE | ANONYMOUS, -1, 0);
	map_arena(0, CONTROL_AT, READ);
	map_arena(CONTROL_AT, CONTEXT_AT, READ | WRITE);
	map_arena(CONTEXT_AT, CRC_AT, READ);
	map_arena(CRC_AT, MAP_TABLE_AT, READ | WRITE);
	map_arena(MAP_TABLE_AT, CODE_AT, READ);
	map_arena(CODE_AT, DATA_AT, READ | EXECUTE);
	map_arena(DATA_AT, s->arena_bytes, READ | WRITE);
	OWN->stack = (u64)__builtin_frame_address(0) & -16ul;
	OWN->parent = call_kernel(SYS_GETPPID, 0, 0, 0, 0, 0, 0);
	s->stop = stop;
	s->refill = refill;
	s->finish = finish;
	s->load = load;
	s->store = store;
	s->atomic = atomic;
	s->packet = packet;
	s->tail_call = tail_call;
	s->callx = callx;
	s->helper = helper;
	s->lookup = lookup;
	s->update = update;
	s->erase = erase;
	s->clock = clock;
	s->lock_spin = lock_spin;
	s->unlock_spin = unlock_spin;
	make_crc_table();
	give_up_rights();
	ON_FRESH_STACK(OWN->stack, serve);
	end(1);
}
