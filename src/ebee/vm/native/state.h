/* What the process that runs programs shares with the one that asked for it.
 *
 * vm/arena.py and vm/native/layout.py say the same in Python. Nothing is included: the compiler's own
 * types are all there is, because programs are compiled without a C library.
 */

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64;
typedef signed char s8;
typedef short s16;
typedef int s32;
typedef long s64;
typedef __int128 s128;
typedef unsigned __int128 u128;

/* Programs may read and write at any address. */
typedef u16 __attribute__((aligned(1), may_alias)) any16;
typedef u32 __attribute__((aligned(1), may_alias)) any32;
typedef u64 __attribute__((aligned(1), may_alias)) any64;

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define ARENA_AT (1ul << 36)
#define CONTROL_AT 0x40000ul
#define CONTEXT_AT 0x41000ul
#define CRC_AT 0x50000ul
#define MAP_TABLE_AT 0x100000ul
#define MOST_MAPS 65536
#define CODE_AT 0x1000000ul
#define DATA_AT 0x10000000ul

#define OFFSET_MASK 0xffffffful
#define ELEMENT_MASK 0xfffffful
#define ELEMENT_SHIFT 28
#define REGION_SHIFT 52

enum { CONTEXT = 1, PACKET = 2, STACK = 3, MAPS = 4, CODE = 5 };

/* A row of the table of regions: one for each number, zeros where there is none. */
struct region {
	u8 *base;      /* offset 0 of element 0 */
	u32 stride;    /* bytes from element to element */
	u32 elements;
	u32 low;       /* the lowest offset that may be reached */
	u32 read[4];   /* so many offsets, from the lowest, may begin a read of 1, 2, 4, 8 bytes */
	u32 write[4];
	u32 high;      /* the first offset beyond */
	u32 unused[2];
};

/* What is special about the context, at CONTEXT_AT: pointer fields, and the parts that may be written. */
struct context {
	u64 pointer_count;
	struct { u64 offset, value; } pointers[16];
	u64 part_count;
	struct { u64 begin, end; } parts[16];
};

/* A row of the table of maps: what helpers know about one. See maps.c and engine.py. */
struct map {
	u32 kind;
	u32 key_bytes;
	u32 value_bytes;
	u32 entries;
	u32 region;    /* that its values lie in */
	u32 copy_step; /* elements from the value of a CPU to that of the next; 0 where there is one for all */
	struct table *table;
	u64 unused[4];
};

/* What this process says to the other. */
enum {
	DONE = 1,      /* the program ended: value */
	RETURNED,      /* a function that was called ended: value */
	STEP,          /* take the instruction at a slot; the arguments are what it reads of registers */
	TAIL_CALL,     /* r2 and r3; the answer is where a program is entered, or 0 */
	OUTSIDE,       /* a jump from a slot to nowhere; or, with argument 1, the end without an exit */
	FINISH,        /* run the function from a slot to its end; its registers are in the state */
};

/* What the other says to this one. */
enum {
	RUN = 1,       /* enter a program */
	ANSWER,        /* value is the answer */
	CALL,          /* call a function first */
	ABORT,         /* the program is stopped */
};

#define SLICE (1l << 30)
#define MOST_FRAMES 8
#define MOST_TAIL_CALLS 33
#define MOST_LOOPS (8ul << 20)
#define NO_PACKET_BYTES -1ul

struct state;
typedef u64 enter(struct state *, u64 function, const u64 *arguments);

struct state {
	/* messages */
	u64 asked;             /* how many orders there were */
	u64 said;              /* how many answers */
	u64 runner_sleeps;     /* it waits for a byte */
	u64 asker_sleeps;
	u64 spins;             /* how often the runner looks for an order before it sleeps */
	u64 order;
	u64 value;
	u64 kind;
	u64 slot;
	u64 program;           /* which program asks */
	u64 arguments[6];
	/* what to run */
	enter *entry;
	u64 entering;          /* the number of the program that is entered next */
	u64 function;
	u64 call[5];
	u64 repeat;
	u64 budget;
	u64 cpu;
	/* where it stands */
	u64 left;              /* instructions that this run may still take, before it asks for more */
	u64 more;              /* so many more it gets then */
	u64 depth;             /* of frames */
	u64 tail_calls;
	u64 round;             /* of a run that is repeated */
	u64 real_clock;        /* whether the clock is the system's */
	u64 loops;             /* what may_goto has counted in the function that is to be finished */
	u64 registers[10];     /* its registers */
	u64 lock;              /* the spin lock that the program holds, or 0 */
	u64 arena_bytes;
	/* what programs call: slot, and what of registers the instruction there reads */
	void (*stop)(struct state *, u64 kind, u64 slot, u64 a, u64 b) __attribute__((noreturn));
	s64 (*refill)(struct state *, s64 left);
	u64 (*finish)(struct state *, u64 slot);
	u64 (*load)(struct state *, u64 slot, u64 address, u64 size);
	void (*store)(struct state *, u64 slot, u64 address, u64 size, u64 value);
	u64 (*atomic)(struct state *, u64 slot, u64 address, u64 operand, u64 expected);
	u64 (*packet)(struct state *, u64 slot, u64 register, u64 offset, u64 size);
	enter *(*tail_call)(struct state *, u64 slot, u64 r2, u64 r3);
	u64 (*callx)(struct state *, u64 slot, u64 number, u64 r1, u64 r2, u64 r3, u64 r4, u64 r5);
	u64 (*helper)(struct state *, u64 slot, u64 r1, u64 r2, u64 r3, u64 r4, u64 r5);
	u64 (*lookup)(struct state *, u64 slot, u64 map, u64 key, u64 r3, u64 r4, u64 r5);
	u64 (*update)(struct state *, u64 slot, u64 map, u64 key, u64 value, u64 flags, u64 r5);
	u64 (*clock)(struct state *, u64 slot);
	u64 (*lock_spin)(struct state *, u64 slot, u64 address);
	u64 (*unlock_spin)(struct state *, u64 slot, u64 address);
	u64 (*erase)(struct state *, u64 slot, u64 map, u64 key, u64 r3, u64 r4, u64 r5);
};

#define REGIONS ((struct region *)ARENA_AT)
#define STATE ((struct state *)(ARENA_AT + CONTROL_AT))
#define CONTEXT_FACTS ((struct context *)(ARENA_AT + CONTEXT_AT))
#define MAPS_TABLE ((struct map *)(ARENA_AT + MAP_TABLE_AT))
