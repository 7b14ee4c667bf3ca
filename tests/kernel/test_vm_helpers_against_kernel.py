"""Helpers of the userspace machine answer as the running kernel's do, on the same programs and bytes."""

from __future__ import annotations

import random

import pytest

from ebee.errors import VerifierError
from ebee.kernel.simulated import SimulatedKernel
from ebee.loader import load
from tests.kernel.both_kernels import INCLUDES, both, skip_older_kernels
from tests.kernel.door import needs_root
from tests.support.objects import spec_of

pytestmark = [needs_root, pytest.mark.userspace_machine]


@pytest.fixture(scope="module", autouse=True)
def recent() -> None:
    """Skip where the running kernel answers otherwise."""
    skip_older_kernels()


# -- checksums ---------------------------------------------------------------------------------------
def test_differences_of_checksums() -> None:
    text = """
    unsigned char old[32], new[32]; unsigned int old_bytes, new_bytes, seed; long r;
    SEC("tc") int f(struct __sk_buff *s)
    { if (old_bytes > 32 || new_bytes > 32) return 1;
      r = bpf_csum_diff((void *)old, old_bytes, (void *)new, new_bytes, seed); return 0; }
    """
    draw = random.Random(1)

    def some() -> list[int]:
        ones = (b"\xff" * draw.randrange(32)).ljust(32, b"\0")
        return list(draw.choice([bytes(32), b"\xff" * 32, draw.randbytes(32), ones]))

    with both(text) as pair:
        for _ in range(300):
            lengths = draw.choice([0, 4, 8, 16, 20, 28, 32]), draw.choice([0, 4, 8, 12, 32])
            seed = draw.choice([0, 1, 0xFFFF, 0xFFFF_FFFF, draw.getrandbits(32)])
            values = {"old_bytes": lengths[0], "new_bytes": lengths[1], "seed": seed}
            pair.agree(values={"old": some(), "new": some(), **values})


@pytest.mark.parametrize("layer", ["l3", "l4"])
def test_replacements_of_checksums(layer: str) -> None:
    text = f"""
    unsigned int offset; unsigned long old, new, flags; long r;
    SEC("tc") int f(struct __sk_buff *s)
    {{ r = bpf_{layer}_csum_replace(s, offset, old, new, flags); return 0; }}
    """
    draw = random.Random(2)
    offsets = (24, 24, 24, 25, 63, 64, 0, 0x10000, 0x7FFF_FFFE)
    flags = (0, 2, 4, 0, 2, 4, 1, 8, 16, 18, 34, 36, 98, 100, 130, 256, 1 << 40)
    with both(text) as pair:
        for _ in range(300):
            packet = bytes(24) + draw.choice([bytes(2), b"\xff\xff", draw.randbytes(2)]) + bytes(40)
            old, new = (draw.choice([0, 0xFFFF, draw.getrandbits(16), draw.getrandbits(64)]) for _ in "ab")
            values = {"offset": draw.choice(offsets), "old": old, "new": new, "flags": draw.choice(flags)}
            pair.agree(packet, values=values)


# -- text --------------------------------------------------------------------------------------------
NUMBERS = (
    *("0", "-", "- 1", "12", "-12", " 12 ", "\t\n-0x1f", "0x", "0xg", "0x1", "-0", "08", "010", "0X1F"),
    *("18446744073709551615", "18446744073709551616", "9223372036854775807", "9223372036854775808"),
    *("-9223372036854775808", "-9223372036854775809", "+5", "12abc", "abc", "FFFFFFFFFFFFFFFF"),
    *("1" * 64, "0" * 70 + "1", " " * 30 + "42", "zz", "-0x8000000000000000", "0x0x5", "--5", "1_000"),
)


def test_numbers_in_text() -> None:
    text = """
    char text[80]; unsigned int length; unsigned long flags; long r, value, ur; unsigned long uvalue;
    SEC("tc") int f(struct __sk_buff *s)
    { unsigned int n = *(volatile unsigned int *)&length;
      if (n < 1 || n > 80) return 1;
      value = 7; uvalue = 7;
      r = bpf_strtol(text, n, flags, &value); ur = bpf_strtoul(text, n, flags, &uvalue); return 0; }
    """
    with both(text) as pair:
        for number in NUMBERS:
            for flags in (0, 8, 10, 16, 1, 32):
                pair.agree(values={"text": number, "length": len(number), "flags": flags})


FORMATS = (
    *(
        "%d",
        "%5d|",
        "%-5d|",
        "%05d|",
        "%+d|",
        "% d|",
        "%-05d|",
        "%u",
        "%x",
        "%X",
        "%ld",
        "%lu",
        "%llx",
        "%lld",
    ),
    *("%020llx", "%%", "%%%d", "%c%c", "%5c|", "%-5c|", "%px", "%20px|", "%ps", "%pS", "%pB", "%u%x"),
    *("\\t%d\\n", "%lllx", "%hd", "%e", "%n", "%", "%5", "%l", "%lc", "%*d", "%.3d", "%#x", "\\1", "\\200"),
    *("%pX", "%p5", "%pI", "%pI5", "%cd", "%100d|", "%pk", "%pks1", "%pSR", "%o", "%sx"),
)
TEXT_FORMATS = (
    "%s",
    "%10s|",
    "%-10s|",
    "%3s|",
    "%pks",
    "%pus",
    "%pI4",
    "%pi4",
    "%pI6",
    "%pi6",
    "%10pI4|",
    "%s%s",
)


def _formatted(form: str, arguments: str) -> str:
    return f"""
    char out[64], source[24] = "hello\\0\\1\\2\\3"; long r, r4;
    SEC("tc") int f(struct __sk_buff *s)
    {{ static const char form[] = "{form}"; unsigned long long given[3] = {{{arguments}}};
       r = bpf_snprintf(out, 64, form, given, 24);
       r4 = bpf_snprintf(out + 60, 4, form, given, 24); return 0; }}
    """


@pytest.mark.parametrize("form", FORMATS)
def test_formats(form: str) -> None:
    text = _formatted(form, "0x123456789abcdef0, -7, 0x80000000")
    try:
        with both(text) as pair:
            pair.agree()
    except VerifierError:
        # The running kernel's verifier reads the format; the machine answers when it is used.
        with load(spec_of(INCLUDES + text), SimulatedKernel(engine="interpreter")) as machine:
            machine.programs["f"].test_run(bytes(64))
            assert machine.variables["r"].value == -22


@pytest.mark.parametrize("form", TEXT_FORMATS)
def test_formats_of_memory(form: str) -> None:
    with both(_formatted(form, ", ".join(["(unsigned long long)source"] * 3))) as pair:
        pair.agree()


def test_printing_and_its_refusals() -> None:
    text = """
    long r[20];
    SEC("tc") int f(struct __sk_buff *s)
    { int n = 0; char a[] = "hello %d\\n", b[] = "%d %d %d", c[] = "%d %d %d %d", d[] = "open", e[] = "%s";
      char z[] = ""; unsigned long long v[4] = {1, 2, 3, 4};
      r[n++] = bpf_trace_printk(a, sizeof a, 7); r[n++] = bpf_trace_printk(b, sizeof b, 1, 2, 3);
      r[n++] = bpf_trace_printk(c, sizeof c, 1, 2, 3); r[n++] = bpf_trace_printk(d, 4);
      r[n++] = bpf_trace_printk(e, sizeof e, 8); r[n++] = bpf_trace_printk(z, 1);
      r[n++] = bpf_trace_vprintk(c, sizeof c, v, 32); r[n++] = bpf_trace_vprintk(c, sizeof c, v, 24);
      r[n++] = bpf_trace_vprintk(c, sizeof c, v, 12); r[n++] = bpf_trace_vprintk(c, sizeof c, 0, 0);
      return 0; }
    """
    with both(text) as pair:
        pair.agree()


def test_records_without_a_reader() -> None:
    text = """
    struct { __uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY); __uint(max_entries, 2); __type(key, int);
        __type(value, int); } events SEC(".maps");
    long r[20];
    SEC("tc") int f(struct __sk_buff *s)
    { int n = 0; char b[8] = {};
      r[n++] = bpf_perf_event_output(s, &events, 0, b, 8);
      r[n++] = bpf_perf_event_output(s, &events, 2, b, 8);
      r[n++] = bpf_perf_event_output(s, &events, 1ULL << 52, b, 8);
      r[n++] = bpf_perf_event_output(s, &events, 100ULL << 32, b, 8);
      r[n++] = bpf_perf_event_output(s, &events, 64ULL << 32, b, 8); return 0; }
    """
    with both(text) as pair:
        pair.agree()


# -- maps, records, callbacks, dynptrs ---------------------------------------------------------------
def test_maps_queues_and_callbacks() -> None:
    text = """
    #define MAP(name, kind, n) struct { __uint(type, BPF_MAP_TYPE_##kind); __uint(max_entries, n); \\
        __type(key, int); __type(value, long); } name SEC(".maps");
    MAP(h, HASH, 16) MAP(a, ARRAY, 5) MAP(p, PERCPU_ARRAY, 5)
    struct { __uint(type, BPF_MAP_TYPE_QUEUE); __uint(max_entries, 2); __type(value, long); } q SEC(".maps");
    long r[60], sum;
    static long add(void *m, int *k, long *v, void *c) { sum += *k * 100 + *v; *v += 1; return 0; }
    static long three(void *m, int *k, long *v, void *c) { return *k == 3; }
    static long drop(void *m, int *k, long *v, void *c) { bpf_map_delete_elem(m, k); return 0; }
    static long count(unsigned int i, void *c) { sum += i; return i == 7; }
    SEC("tc") int f(struct __sk_buff *s)
    { int n = 0, k = 3; long v = 5;
      for (int i = 0; i < 8; i++)
      { int key = i; long value = i * i; r[n] |= bpf_map_update_elem(&h, &key, &value, 0); }
      n++;
      r[n++] = bpf_for_each_map_elem(&h, add, 0, 0); r[n++] = sum;
      r[n++] = bpf_for_each_map_elem(&a, add, 0, 0); r[n++] = bpf_for_each_map_elem(&p, add, 0, 0);
      r[n++] = bpf_for_each_map_elem(&a, three, 0, 0); r[n++] = bpf_for_each_map_elem(&a, three, 0, 1);
      r[n++] = bpf_for_each_map_elem(&h, drop, 0, 0); r[n++] = bpf_for_each_map_elem(&h, add, 0, 0);
      r[n++] = bpf_map_pop_elem(&q, &v); r[n++] = v; v = 7;
      r[n++] = bpf_map_push_elem(&q, &v, 0); v = 8; r[n++] = bpf_map_push_elem(&q, &v, 0);
      r[n++] = bpf_map_push_elem(&q, &v, 0); r[n++] = bpf_map_push_elem(&q, &v, 2);
      r[n++] = bpf_map_push_elem(&q, &v, 1); r[n++] = bpf_map_peek_elem(&q, &v); r[n++] = v;
      r[n++] = bpf_map_pop_elem(&q, &v); r[n++] = v;
      r[n++] = bpf_map_lookup_percpu_elem(&p, &k, 0) != 0; k = 9;
      r[n++] = bpf_map_lookup_percpu_elem(&p, &k, 0) != 0;
      r[n++] = bpf_loop(5, count, 0, 0); r[n++] = bpf_loop(50, count, 0, 0);
      r[n++] = bpf_loop(0, count, 0, 0);
      r[n++] = bpf_loop(3, count, 0, 1); r[n++] = bpf_loop((1 << 23) + 1, count, 0, 0);
      return 0; }
    """
    with both(text) as pair:
        pair.agree()


def test_records_of_ring_buffers() -> None:
    text = """
    struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); } ring SEC(".maps");
    long r[40];
    SEC("tc") int f(struct __sk_buff *s)
    { int n = 0; char b[200] = {1}; char *p; struct bpf_dynptr d;
      r[n++] = bpf_ringbuf_output(&ring, b, 200, 0); r[n++] = bpf_ringbuf_output(&ring, b, 200, 8);
      p = bpf_ringbuf_reserve(&ring, 3000, 0); r[n++] = p != 0; if (p) bpf_ringbuf_submit(p, 0);
      p = bpf_ringbuf_reserve(&ring, 900, 0); r[n++] = p != 0; if (p) bpf_ringbuf_discard(p, 0);
      r[n++] = bpf_ringbuf_output(&ring, b, 200, 0);
      for (int i = 0; i < 5; i++) r[n++] = bpf_ringbuf_query(&ring, i == 4 ? 9 : i);
      r[n++] = bpf_ringbuf_reserve_dynptr(&ring, 16, 0, &d); r[n++] = bpf_dynptr_write(&d, 0, b, 8, 0);
      bpf_ringbuf_submit_dynptr(&d, 0);
      r[n++] = bpf_ringbuf_reserve_dynptr(&ring, 4000, 0, &d); r[n++] = bpf_dynptr_write(&d, 0, b, 8, 0);
      bpf_ringbuf_discard_dynptr(&d, 0);
      r[n++] = bpf_ringbuf_reserve_dynptr(&ring, 16, 1, &d); bpf_ringbuf_discard_dynptr(&d, 0);
      r[n++] = bpf_ringbuf_reserve_dynptr(&ring, 1 << 25, 0, &d); bpf_ringbuf_discard_dynptr(&d, 0);
      return 0; }
    """
    with both(text) as pair:
        pair.agree()


DYNPTRS = """
extern int bpf_dynptr_from_skb(struct __sk_buff *s, __u64 flags, struct bpf_dynptr *p) __ksym;
extern void *bpf_dynptr_slice(const struct bpf_dynptr *p, __u32 at, void *b, __u32 b__szk) __ksym;
extern void *bpf_dynptr_slice_rdwr(const struct bpf_dynptr *p, __u32 at, void *b, __u32 b__szk) __ksym;
extern int bpf_dynptr_adjust(const struct bpf_dynptr *p, __u32 start, __u32 end) __ksym;
extern _Bool bpf_dynptr_is_null(const struct bpf_dynptr *p) __ksym;
extern _Bool bpf_dynptr_is_rdonly(const struct bpf_dynptr *p) __ksym;
extern __u32 bpf_dynptr_size(const struct bpf_dynptr *p) __ksym;
extern int bpf_dynptr_clone(const struct bpf_dynptr *p, struct bpf_dynptr *c) __ksym;
long r[40]; char buffer[64], other[16];
"""


def test_dynptrs_of_memory() -> None:
    text = (
        DYNPTRS
        + """
    SEC("tc") int f(struct __sk_buff *s)
    { int n = 0; struct bpf_dynptr p, c; char t[16] = {};
      r[n++] = bpf_dynptr_from_mem(buffer, 64, 0, &p); r[n++] = bpf_dynptr_size(&p);
      r[n++] = bpf_dynptr_is_null(&p); r[n++] = bpf_dynptr_is_rdonly(&p);
      r[n++] = bpf_dynptr_write(&p, 4, "abcdefgh", 8, 0); r[n++] = bpf_dynptr_write(&p, 60, "abcdefgh", 8, 0);
      r[n++] = bpf_dynptr_write(&p, 56, "abcdefgh", 8, 1); r[n++] = bpf_dynptr_read(other, 16, &p, 2, 0);
      r[n++] = bpf_dynptr_read(other, 16, &p, 49, 0); r[n++] = bpf_dynptr_read(other, 16, &p, 48, 1);
      r[n++] = bpf_dynptr_data(&p, 0, 64) != 0; r[n++] = bpf_dynptr_data(&p, 60, 8) != 0;
      r[n++] = bpf_dynptr_adjust(&p, 4, 20); r[n++] = bpf_dynptr_size(&p);
      r[n++] = bpf_dynptr_adjust(&p, 8, 4); r[n++] = bpf_dynptr_adjust(&p, 8, 17);
      r[n++] = bpf_dynptr_clone(&p, &c); r[n++] = bpf_dynptr_read(t, 8, &c, 0, 0); r[n++] = *(long *)t;
      r[n++] = bpf_dynptr_from_mem(buffer, 64, 1, &c); r[n++] = bpf_dynptr_size(&c);
      r[n++] = bpf_dynptr_is_null(&c); r[n++] = bpf_dynptr_read(t, 8, &c, 0, 0);
      r[n++] = bpf_dynptr_write(&c, 0, t, 8, 0); r[n++] = bpf_dynptr_adjust(&c, 0, 0);
      return 0; }
    """
    )
    with both(text) as pair:
        pair.agree()


@pytest.mark.parametrize("section", ["tc", "cgroup_skb/ingress", "socket"])
def test_dynptrs_of_packets(section: str) -> None:
    writes = """
      q = bpf_dynptr_slice_rdwr(&p, 3, b, 8); r[n++] = q != 0; if (q) *(long *)q = 7;
      r[n++] = bpf_dynptr_write(&p, 30, "abcdefgh", 8, 0);
      r[n++] = bpf_dynptr_write(&p, 30, "abcdefgh", 8, 8);
      r[n++] = bpf_dynptr_write(&p, 60, "abcdefgh", 8, 0); r[n++] = bpf_dynptr_adjust(&p, 8, 24);
      r[n++] = bpf_dynptr_read(b, 16, &p, 0, 0); r[n++] = *(long *)b;
    """
    text = f"""{DYNPTRS}
    SEC("{section}") int f(struct __sk_buff *s)
    {{ int n = 0; struct bpf_dynptr p; char b[16] = {{}}, *q;
      r[n++] = bpf_dynptr_from_skb(s, 1, &p); r[n++] = bpf_dynptr_from_skb(s, 0, &p);
      r[n++] = bpf_dynptr_size(&p); r[n++] = bpf_dynptr_is_rdonly(&p);
      r[n++] = bpf_dynptr_read(b, 16, &p, 2, 0); r[n++] = *(long *)b;
      r[n++] = bpf_dynptr_read(b, 16, &p, 60, 0);
      q = bpf_dynptr_slice(&p, 3, b, 8); r[n++] = q != 0; if (q) r[n++] = *(long *)q;
      q = bpf_dynptr_slice(&p, 60, b, 8); r[n++] = q != 0; {writes if section == "tc" else ""}
      return 1; }}
    """
    with both(text) as pair:
        pair.agree(bytes(range(64)))


def test_numbers_one_after_the_other() -> None:
    text = """
    extern int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end) __ksym;
    extern int *bpf_iter_num_next(struct bpf_iter_num *it) __ksym;
    extern void bpf_iter_num_destroy(struct bpf_iter_num *it) __ksym;
    long r[40]; int begin, end;
    SEC("tc") int f(struct __sk_buff *s)
    { struct bpf_iter_num it; int *v; long n = 0;
      r[0] = bpf_iter_num_new(&it, begin, end); r[1] = 0;
      while ((v = bpf_iter_num_next(&it))) { r[1] += *v; if (++n > 100) break; }
      r[2] = n; bpf_iter_num_destroy(&it); return 0; }
    """
    ranges = ((0, 10), (5, 5), (5, 4), (-5, 5), (-(1 << 31), 8 - (1 << 31)), (2147483640, 2147483647))
    with both(text) as pair:
        for begin, end in (*ranges, (0, 8 << 20), (0, (8 << 20) + 1)):
            pair.agree(values={"begin": begin, "end": end})


def test_strings_of_kernel_functions() -> None:
    one, two = "bpf_strlen", ("strcmp", "strspn", "strcspn", "strstr")
    names = [f"extern int {one}(const char *) __ksym;"]
    names += [f"extern int bpf_{name}(const char *, const char *) __ksym;" for name in two]
    names += [f"extern int bpf_{name}(const char *, char) __ksym;" for name in ("strchr", "strrchr")]
    calls = ["bpf_strlen(a)", "bpf_strlen(e)", "bpf_strlen((void *)0)"]
    calls += [f"bpf_{name}({left}, {right})" for name in two for left in "abe" for right in "abe"]
    calls += [f"bpf_{name}(a, {c})" for name in ("strchr", "strrchr") for c in ("'o'", "'z'", "0")]
    calls += [f'bpf_strncmp(a, {size}, "{text}")' for size in (3, 4, 6) for text in ("hello", "help", "")]
    body = "".join(f"r[n++] = {call};" for call in calls)
    text = f"""{"".join(names)}
    long r[80]; char a[32] = "hello world", b[16] = "lo w", e[4] = "";
    SEC("syscall") int f(void *c) {{ int n = 0; {body} return 0; }}
    """
    with both(text) as pair:
        pair.agree(b"")


def test_memory_that_may_not_be_there() -> None:
    text = """
    long r[60]; char a[32] = "hello world", d[32];
    SEC("syscall") int f(void *c)
    { int n = 0; char comm[8];
      r[n++] = bpf_probe_read_kernel(d, 8, a); r[n++] = *(long *)d;
      r[n++] = bpf_probe_read_kernel(d, 8, (void *)8); r[n++] = *(long *)d;
      r[n++] = bpf_probe_read_kernel_str(d, 8, a); r[n++] = *(long *)d;
      r[n++] = bpf_probe_read_kernel_str(d, 32, a); r[n++] = bpf_probe_read_kernel_str(d, 0, a);
      r[n++] = bpf_probe_read_kernel_str(d, 1, a); d[0] = 1;
      r[n++] = bpf_probe_read_kernel_str(d, 16, (void *)8); r[n++] = *(long *)d;
      r[n++] = bpf_probe_read_user(d, 8, (void *)8); r[n++] = bpf_probe_read_user(d, 8, a);
      r[n++] = bpf_probe_read_user_str(d, 8, a); r[n++] = bpf_copy_from_user(d, 8, (void *)8);
      r[n++] = bpf_probe_read_kernel(d, 0, (void *)8);
      r[n++] = bpf_get_current_comm(comm, 8); r[n++] = comm[7];
      return 0; }
    """
    with both(text) as pair:
        pair.agree(b"")
